"""A log that was exported into a folder: C2SP's tlog-tiles, with its entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path

from pydantic_core import from_json

from ledger.application.verification.entries import Bad, Entry, History, Run, check_run
from ledger.application.verification.events import REPEATED
from ledger.application.verification.found import Mismatch
from ledger.application.verification.tables import among_events
from ledger.application.verification.trees import Covered, against_tiles, changed_leaves, tiles_of_leaves, tree_of
from ledger.audit import (
    TILE_WIDTH,
    Checkpoint,
    Note,
    Tile,
    TileInvalid,
    TrustPolicy,
    Unproven,
    bundles_of,
    entries_in,
    root_at,
    tile_path,
    tiles_of,
    verified_signatures,
)
from ledger.store.positions import FIRST_SHARD, Position

CHECKPOINT = "checkpoint"
MISSING_MAX = 1_000
"""So many bundles may be missing and are told one by one. A checkpoint that covers more entries than that beyond the
folder's is told at once: whoever wrote it could otherwise keep a verifier busy for ever."""
BUNDLES_AT_ONCE = 8
"""So many bundles of entries are checked together."""

Each = Callable[[Callable[[list[Tile]], Run], Iterable[list[Tile]]], Iterator[Run]]
"""Does one thing for each of many, as `map` does, and maybe in other processes."""


class LogUnreadable(Exception):
    """There is no log in the folder, or it cannot be read; the message says what to do next."""


class LogFolder:
    """A log in a folder, of which nothing is believed that its checkpoint does not show."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.found: list[Mismatch] = []
        self.covered: Covered | None = None
        self.history = History()

    def checkpoint(self) -> Note | None:
        """The checkpoint that lies in the folder; None where it is damaged. Raises LogUnreadable."""
        file = self._folder / CHECKPOINT
        try:
            note = Note.parse(file.read_text(encoding="utf-8"))
            Checkpoint.parse(note.text)
        except OSError as error:
            raise LogUnreadable(
                f"{file} cannot be read ({error.strerror}): name the folder that `makegood audit export-log` wrote"
            ) from None
        except (Unproven, ValueError) as error:
            self._tell(None, f"{file} is not a signed checkpoint: {error}")
            return None
        return note

    def verify(self, note: Note, policy: TrustPolicy | None, each: Each = map) -> Iterator[tuple[int, int]]:
        """Verify the log up to a checkpoint, some bundles at a time; how many entries are done of how many.

        Raises LogUnreadable, and what `each` raises.
        """
        checkpoint = Checkpoint.parse(note.text)
        shard = shard_of(checkpoint.origin)
        there = sum(1 for file in (self._folder / "tile" / "entries").rglob("*") if file.is_file())
        if checkpoint.size > (there + MISSING_MAX) * TILE_WIDTH:
            covers = f"the checkpoint covers {checkpoint.size} entries"
            self._tell(None, f"{covers}, and {there} bundles of {TILE_WIDTH} are there: the log is of another size")
            return
        for run in each(partial(_check_bundles, self._folder), _some(bundles_of(checkpoint.size))):
            self.history.add(run)
            yield self.history.entries, checkpoint.size
        stored = self._tiles(checkpoint.size)
        changed = list(changed_leaves(self.history.digests, stored, checkpoint.size))
        for position in changed:
            at = Position(shard, position)
            self.found.append(Mismatch(at, self._account(position), "has another hash than the tile has for it"))
        expected = tiles_of_leaves(self.history.digests)
        for what in against_tiles(expected, stored, checkpoint.size, bool(changed)):
            self._tell(None, what)
        for bad in (*self.history.bad, *self.history.broken(set(changed))):
            place = Position(shard, bad.position) if bad.position is not None else None
            self.found.append(Mismatch(place, bad.account, bad.what))
        self.found += among_events({shard: self.history})
        if root_at(tree_of(expected, checkpoint.size), checkpoint.size) != checkpoint.root:
            self._tell(None, "the checkpoint has another root than the entries make")
        else:
            self._signed(note, checkpoint, policy, shard)

    def _signed(self, note: Note, checkpoint: Checkpoint, policy: TrustPolicy | None, shard: int) -> None:
        if policy is None:
            self.covered = Covered(shard, checkpoint)
            return
        try:
            trusted = policy.check(note)
        except Unproven as error:
            self._tell(None, f"the checkpoint is not trusted: {error}")
            return
        keys = [each.key for each in verified_signatures(note, (log.key for log in policy.logs))]
        self.covered = Covered(shard, checkpoint, keys, dict(trusted.cosigned))

    def _account(self, position: int) -> str | None:
        """Whose entry stands at a position, where it can be read."""
        number, at = divmod(position - 1, TILE_WIDTH)
        width = min(TILE_WIDTH, self.history.entries - number * TILE_WIDTH)
        try:
            return str(from_json(entries_in(_read(self._folder, tile_path("entries", number, width)))[at])["account"])
        except (TileInvalid, ValueError, LookupError, TypeError):
            return None

    def _tiles(self, size: int) -> dict[tuple[int, int], bytes]:
        found = {}
        for tile in tiles_of(size):
            assert isinstance(tile.level, int)
            try:
                found[tile.level, tile.number] = _read(self._folder, tile.path)
            except TileInvalid as error:
                self._tell(None, f"{tile_path(tile.level, tile.number, tile.width)}: {error}")
        return found

    def _tell(self, at: Position | None, what: str) -> None:
        self.found.append(Mismatch(at, None, what))


def _some(bundles: Iterator[Tile]) -> Iterator[list[Tile]]:
    while some := list(islice(bundles, BUNDLES_AT_ONCE)):
        yield some


def _check_bundles(folder: Path, bundles: list[Tile]) -> Run:
    """Check the entries of bundles that follow each other. Raises LogUnreadable."""
    unusable: list[Bad] = []
    entries = chain.from_iterable(_entries(folder, bundle, unusable) for bundle in bundles)
    run = check_run(entries, _first(bundles[0]), _first(bundles[-1]) + bundles[-1].width - 1, REPEATED)
    run.bad += unusable
    run.messages.clear()
    return run


def _first(bundle: Tile) -> int:
    """The position of its first entry."""
    return bundle.number * TILE_WIDTH + 1


def _entries(folder: Path, bundle: Tile, unusable: list[Bad]) -> Iterator[Entry]:
    first = _first(bundle)
    try:
        entries = entries_in(_read(folder, bundle.path))
        if len(entries) != bundle.width:
            raise TileInvalid(f"it has {len(entries)} entries instead of {bundle.width}")  # noqa: TRY301
    except TileInvalid as error:
        unusable.append(Bad(first, None, f"{bundle.path} cannot be used: {error}"))
        return
    for position, envelope in enumerate(entries, first):
        yield Entry(position, envelope, None)


def _read(folder: Path, path: str) -> bytes:
    file = folder / path
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise TileInvalid("it is not there") from None
    except OSError as error:
        raise LogUnreadable(f"{file} cannot be read ({error.strerror}): give yourself the right to") from None


def shard_of(origin: str) -> int:
    """The shard whose log an origin names, as ours do; the first one for one that somebody else chose."""
    parts = origin.split("/")
    return int(parts[2]) if len(parts) > 2 and parts[2].isdecimal() and len(parts[2]) < 10 else FIRST_SHARD
