"""Charts, drawn on the server as SVG: each stands beside the table of its numbers, which says the same.

Lengths are whole units worked out of exact amounts. Nothing is shown by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup

WIDTH, BAR, GAP, LABEL_WIDTH, VALUE_WIDTH = 640, 22, 12, 190, 120
SERIES_MAX = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, its parts in the order of the series, and what stands at its end."""

    label: str
    parts: tuple[Decimal, ...]
    value: str


def bars(title: str, rows: Sequence[Bar], series: Sequence[str] = ()) -> Markup:
    """Horizontal bars of one or, one after the other, several parts; `series` names the parts. Amounts of one bar are
    of one currency; parts below zero are drawn by their size and said to be so by `value`."""
    if any(len(row.parts) > SERIES_MAX for row in rows):
        raise ValueError(f"a chart has at most {SERIES_MAX} series")
    greatest = max((sum((abs(part) for part in row.parts), Decimal(0)) for row in rows), default=Decimal(0))
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    height = len(rows) * (BAR + GAP) + GAP
    drawn = []
    for number, row in enumerate(rows):
        top = GAP + number * (BAR + GAP)
        middle = top + BAR // 2 + 5
        drawn.append(_text(LABEL_WIDTH - 10, middle, _shortened(row.label), "end"))
        begin = LABEL_WIDTH
        for place, part in enumerate(row.parts, start=1):
            length = int(abs(part) * room / greatest) if greatest else 0
            if part and length == 0:
                length = 1
            drawn.append(
                Markup('<rect class="s{}" x="{}" y="{}" width="{}" height="{}" rx="2"/>').format(
                    place, begin, top, length, BAR
                )
            )
            begin += length
        drawn.append(_text(begin + 8, middle, row.value, "start"))
    drawn.append(Markup('<line class="axis" x1="{0}" y1="0" x2="{0}" y2="{1}"/>').format(LABEL_WIDTH, height))
    return _svg(title, height, drawn) + _key(series)


def line(title: str, points: Sequence[tuple[str, int]], unit: str) -> Markup:
    """A line over evenly spaced points, each with its label, such as an hour, and its value in a unit."""
    height, top, bottom, left = 180, 16, 28, 56
    greatest = max((value for _, value in points), default=0)
    room, tall = WIDTH - left - 16, height - top - bottom
    step = max(len(points) - 1, 1)
    places = [
        (left + room * number // step, top + tall - (tall * value // greatest if greatest else 0))
        for number, (_, value) in enumerate(points)
    ]
    drawn = [
        Markup('<line class="axis" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(left, y, WIDTH - 16, y)
        for y in (top, top + tall)
    ]
    drawn += [_text(left - 8, top + 5, f"{greatest} {unit}", "end"), _text(left - 8, top + tall + 5, "0", "end")]
    if places:
        along = " ".join(f"{x},{y}" for x, y in places)
        drawn.append(Markup('<polyline class="line" points="{}"/>').format(along))
        drawn.append(_text(left, height - 8, points[0][0], "start"))
        drawn.append(_text(WIDTH - 16, height - 8, points[-1][0], "end"))
    return _svg(title, height, drawn)


def _svg(title: str, height: int, drawn: Sequence[Markup]) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, height, title, Markup("").join(drawn)
    )


def _text(x: int, y: int, text: str, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _key(series: Sequence[str]) -> Markup:
    if not series:
        return Markup("")
    square = Markup('<svg viewBox="0 0 12 12" aria-hidden="true"><rect class="s{}" width="12" height="12"/></svg>')
    entries = [
        Markup("<li>{}{}</li>").format(square.format(number), name) for number, name in enumerate(series, start=1)
    ]
    return Markup('<ul class="key">{}</ul>').format(Markup("").join(entries))


def _shortened(label: str) -> str:
    return label if len(label) <= 26 else f"{label[:25]}…"
