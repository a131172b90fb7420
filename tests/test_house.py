"""The house as it stands: its picture in ARCHITECTURE.md is drawn from the code, and no rooms import each other.

`python -m tests.test_house` draws docs/house.svg anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
PICTURE = ROOT / "docs" / "house.svg"

FLOORS = {
    "makegood": "the door",
    "consumers": "carry",
    "projections": "explain",
    "ledger": "decides and remembers",
}
"""The four parts, each above what it imports, and what each is there for."""


@dataclass(frozen=True)
class Room:
    """A folder or a module right below a part."""

    name: str
    files: int

    @property
    def title(self) -> str:
        return self.name.rpartition(".")[2]


@cache
def imports() -> grimp.ImportGraph:
    first, *others = FLOORS
    return grimp.build_graph(first, *others, cache_dir=None)


def rooms_of(part: str) -> dict[str, Room]:
    rooms = {}
    for path in sorted((SRC / part).iterdir()):
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        if path.stem.startswith("__") or not files or files[0].suffix != ".py":
            continue
        name = f"{part}.{path.stem}"
        rooms[name] = Room(name, len(files))
    return rooms


def room_in(module: str) -> str:
    return ".".join(module.split(".")[:2])


def arrows_within(part: str) -> set[tuple[str, str]]:
    """Which room of a part imports which other one."""
    there = rooms_of(part)
    found = {
        (room_in(importer), room_in(imported))
        for importer in imports().modules
        for imported in imports().find_modules_directly_imported_by(importer)
    }
    return {(above, below) for above, below in found if above != below and above in there and below in there}


def storeys(rooms: Iterable[str], arrows: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The rooms from the top down, each above all that it imports. Raises AssertionError for a circle."""
    left, arrows = set(rooms), set(arrows)
    rows: list[list[str]] = []
    while left:
        ground = sorted(room for room in left if not any(a == room and b in left for a, b in arrows))
        assert ground, f"these import each other in a circle: {', '.join(sorted(left))}"
        rows.insert(0, ground)
        left -= set(ground)
    return rows


# --- the picture ----------------------------------------------------------------------------------------------------

WIDTH, LEFT, GAP = 1120, 190, 10
BOX_WIDTH, BOX_HEIGHT, ROW_GAP = 144, 31, 30
A_ROW = (WIDTH - LEFT - GAP) // (BOX_WIDTH + GAP)
TINTS = {"makegood": "#e7eefb", "consumers": "#e9f5ec", "projections": "#fdf3e0", "ledger": "#f6e9ee"}


def drawn() -> str:
    """The picture: parts from the top down, their rooms in storeys, and an arrow for who imports whom."""
    shapes: list[str] = []
    top = 20
    for part, motto in FLOORS.items():
        rooms, arrows = rooms_of(part), arrows_within(part)
        rows = [row[start : start + A_ROW] for row in storeys(rooms, arrows) for start in range(0, len(row), A_ROW)]
        height = len(rows) * (BOX_HEIGHT + ROW_GAP) + 14
        shapes.append(
            f'<rect x="10" y="{top}" width="{WIDTH - 20}" height="{height}" rx="10" fill="{TINTS[part]}"/>'
            f'<text x="28" y="{top + 34}" class="part">{part}</text>'
            f'<text x="28" y="{top + 54}" class="motto">{motto}</text>'
        )
        shapes += _storeys(rooms, rows, arrows, top + 20)
        shapes.append(f'<path d="M 60 {top + height + 3} v 16" class="down"/>')
        top += height + 26
    shapes.pop()
    return _SVG.format(width=WIDTH, height=top - 16, shapes="\n".join(shapes))


def _storeys(
    rooms: Mapping[str, Room], rows: Sequence[Sequence[str]], arrows: Iterable[tuple[str, str]], top: int
) -> list[str]:
    places = _placed(rows, set(arrows), top)
    shapes = []
    for above, below in sorted(arrows):
        (x, y), (to_x, to_y) = places[above], places[below]
        start, end, bottom = x + BOX_WIDTH / 2, to_x + BOX_WIDTH / 2, y + BOX_HEIGHT
        bend = (to_y - bottom) / 2
        shapes.append(
            f'<path d="M {start:g} {bottom:g} C {start:g} {bottom + bend:g} {end:g} {to_y - bend:g} {end:g} {to_y:g}"'
            ' class="arrow">'
            f"<title>{escape(above)} imports {escape(below)}</title></path>"
        )
    for name, (x, y) in places.items():
        room = rooms[name]
        shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5" class="room"/>'
            f'<text x="{x + 9:g}" y="{y + 20:g}" class="name">{room.title}</text>'
            + (
                f'<text x="{x + BOX_WIDTH - 9:g}" y="{y + 20:g}" class="files">{room.files}</text>'
                if room.files > 1
                else ""
            )
        )
    return shapes


def _placed(rows: Sequence[Sequence[str]], arrows: set[tuple[str, str]], top: int) -> dict[str, tuple[float, float]]:
    """Where each room is drawn: rows are centred, and a room stands below those that import it where it can."""
    places: dict[str, tuple[float, float]] = {}
    middle = (LEFT + WIDTH - GAP) / 2

    def wanted(name: str) -> tuple[float, str]:
        above = [places[importer][0] for importer, imported in arrows if imported == name and importer in places]
        return (sum(above) / len(above) if above else middle, name)

    for row, names in enumerate(rows):
        left = middle - (len(names) * (BOX_WIDTH + GAP) - GAP) / 2
        for column, name in enumerate(sorted(names, key=wanted)):
            places[name] = (left + column * (BOX_WIDTH + GAP), top + row * (BOX_HEIGHT + ROW_GAP))
    return places


_SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" \
role="img" aria-label="Makegood's parts and rooms, each above what it imports">
<style>
text {{ font-family: system-ui, sans-serif; fill: #1d2733; }}
.part {{ font-size: 19px; font-weight: 700; }}
.motto {{ font-size: 13px; }}
.name {{ font-size: 13px; font-weight: 600; }}
.files {{ font-size: 11px; fill: #51606f; text-anchor: end; }}
.room {{ fill: #fff; stroke: #8794a1; }}
.arrow {{ fill: none; stroke: #5b6b7b; stroke-opacity: .38; }}
.down {{ fill: none; stroke: #1d2733; stroke-width: 2; marker-end: url(#tip); }}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M 0 0 L 8 4 L 0 8 z" fill="#1d2733"/></marker></defs>
<rect width="{width}" height="{height}" fill="#fff"/>
{shapes}
</svg>
"""


# --- what must hold -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", FLOORS)
def test_no_rooms_import_each_other_in_a_circle(part: str) -> None:
    assert storeys(rooms_of(part), arrows_within(part))


def test_a_circle_of_rooms_is_noticed() -> None:
    with pytest.raises(AssertionError, match="in a circle: a, b"):
        storeys(["a", "b", "c"], [("a", "b"), ("b", "a"), ("a", "c")])


def test_the_picture_shows_the_house_as_it_stands() -> None:
    assert PICTURE.read_text(encoding="utf-8") == drawn(), "draw it anew: python -m tests.test_house"


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")
