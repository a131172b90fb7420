"""What the entries of a log must say whoever keeps them: each itself, its account's one before, and its place.

Entries are checked in runs, which follow each other in the log and may be looked at by several processes. What needs
more than one run to be told is put together by `History`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic_core import from_json

from ledger.audit.leaf import DIGEST_BYTES, leaf_digest
from ledger.events import STORED_TYPES, AgreementBound, ClaimDecision, Fact
from ledger.events.event_ids import message_event_id

FACTS = frozenset(type_ for type_, event in STORED_TYPES.items() if issubclass(event, Fact))
_BY_TERMS = frozenset(type_ for type_, event in STORED_TYPES.items() if issubclass(event, ClaimDecision))
_BINDING = AgreementBound.stored_as

MISSING = bytes(DIGEST_BYTES)
"""Stands for the hash of an entry that is not there: nothing hashes to it."""


class Columns(NamedTuple):
    """What a database's columns repeat of an envelope, so that events are found."""

    account: str
    account_version: int
    stream: str
    stream_version: int
    type: str
    event_id: str


class Entry(NamedTuple):
    """An entry as it is kept: its position, counted from 1, and its envelope. A log in a folder has no columns."""

    position: int
    envelope: bytes
    columns: Columns | None


class Bad(NamedTuple):
    """Something that is not as it was recorded. Position and account are None where no one entry is to blame."""

    position: int | None
    account: str | None
    what: str


class Break(NamedTuple):
    """An entry names another hash for its account's previous entry than that one has: one of the two was changed, or
    one that stood between them is gone.
    """

    account: str
    previous: int
    next: int


class Said(NamedTuple):
    """An entry that other tables repeat."""

    position: int
    account: str
    event_id: str
    recorded_at: str
    actor: str
    data: Mapping[str, Any]


Named = tuple[str, int, str]
"""An agreement as decisions name it: its name, version and the SHA-256 of its text."""


@dataclass(slots=True)
class Chain:
    """What a run says of one account's chain: the hash that it follows, and where it ends."""

    first: int
    previous: object
    last: int
    last_hash: str
    recorded_at: object
    version: int
    """The account's version at its first entry here, by the columns."""
    entries: int = 1
    others: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Of entries whose version does not follow from the first one's: position and version, by which it is here."""


@dataclass(slots=True)
class Run:
    """What was found in some entries that follow each other in a log."""

    first: int
    digests: bytearray = field(default_factory=bytearray)
    """The leaf hashes, one after the other."""
    bytes_hashed: int = 0
    bad: list[Bad] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)
    chains: dict[str, Chain] = field(default_factory=dict)
    streams: dict[str, tuple[int, int, int, str]] = field(default_factory=dict)
    """Of each stream the first version here, the last, and the position and account of the first."""
    messages: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """Position and account of each fact, by the source and id of its message, until they are counted."""
    facts: int = 0
    named: dict[Named, list[tuple[int, str]]] = field(default_factory=dict)
    """By which texts of agreements was decided, and where."""
    said: dict[str, list[Said]] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The position of the last entry."""
        return self.first + len(self.digests) // DIGEST_BYTES - 1


def check_run(entries: Iterable[Entry], first: int, last: int, repeated: frozenset[str]) -> Run:
    """Check the entries at the positions `first` to `last`, which come in their order.

    `repeated` are the stored types that other tables repeat, whose content is to be handed on.
    """
    run = Run(first)
    expected = first
    for entry in entries:
        while expected < entry.position:
            run.bad.append(Bad(expected, None, "is missing: positions have no holes"))
            run.digests += MISSING
            expected += 1
        _check(run, entry, repeated)
        expected += 1
    for position in range(expected, last + 1):
        run.bad.append(Bad(position, None, "is missing: positions have no holes"))
        run.digests += MISSING
    return run


def _check(run: Run, entry: Entry, repeated: frozenset[str]) -> None:
    position, envelope, columns = entry
    if not isinstance(envelope, bytes):
        run.bad.append(Bad(position, _named_by(columns), "its envelope is not stored as bytes"))
        run.digests += MISSING
        return
    digest = leaf_digest(envelope)
    run.digests += digest
    run.bytes_hashed += len(envelope) + 1
    try:
        said = from_json(envelope)
        account, stream, stream_version = said["account"], said["stream"], said["stream_version"]
        type_, data, previous = said["type"], said["data"], said["previous"]
        if columns is not None and (
            columns.account != account
            or columns.stream != stream
            or columns.stream_version != stream_version
            or columns.type != type_
            or columns.event_id != said["event_id"]
        ):
            differing = [name for name in _REPEATED if said.get(name) != getattr(columns, name)]
            run.bad.append(Bad(position, account, f"columns differ from the envelope: {', '.join(differing)}"))
        if columns is not None and not isinstance(columns.account_version, int):
            run.bad.append(Bad(position, account, "the column account_version is no whole number"))
            columns = None
        _chain(run, position, account, previous, digest.hex(), said["recorded_at"], columns)
        _count(run, position, account, stream, stream_version)
        if type_ in FACTS:
            message = data["message"]
            run.facts += 1
            run.messages[message["source"], message["id"]] = (position, account)
            if said["event_id"] != message_event_id(message["source"], message["id"]):
                run.bad.append(Bad(position, account, "its id does not follow from its message"))
        if type_ in repeated:
            run.said.setdefault(type_, []).append(
                Said(position, account, said["event_id"], said["recorded_at"], said["actor"], data)
            )
        terms = data if type_ == _BINDING else data["terms"] if type_ in _BY_TERMS else None
        if terms is not None:
            named = (terms["agreement"], terms["version"], terms["sha256"])
            run.named.setdefault(named, []).append((position, account))
    except (ValueError, KeyError, TypeError):
        run.bad.append(Bad(position, _named_by(columns), "its envelope is not that of an event"))


_REPEATED = ("account", "stream", "stream_version", "type", "event_id")


def _named_by(columns: Columns | None) -> str | None:
    return columns.account if columns is not None and isinstance(columns.account, str) else None


def _chain(
    run: Run, position: int, account: str, previous: object, own: str, at: object, columns: Columns | None
) -> None:
    chain = run.chains.get(account)
    version = columns.account_version if columns is not None else 0
    if chain is None:
        run.chains[account] = Chain(position, previous, position, own, at, version)
        return
    if previous != chain.last_hash:
        run.breaks.append(Break(account, chain.last, position))
    if columns is not None and version != chain.version + chain.entries:
        chain.others[chain.entries] = (position, version)
    chain.entries += 1
    chain.last, chain.last_hash, chain.recorded_at = position, own, at


def _count(run: Run, position: int, account: str, stream: str, version: int) -> None:
    counted = run.streams.get(stream)
    if counted is None:
        run.streams[stream] = (version, version, position, account)
        return
    if version != counted[1] + 1:
        run.bad.append(Bad(position, account, f"is version {version} of {stream}, which had {counted[1]}"))
    run.streams[stream] = (counted[0], version, *counted[2:])


@dataclass(slots=True)
class End:
    """Where an account's history ends, as its entries say."""

    version: int
    position: int
    leaf_hash: str
    recorded_at: object


class History:
    """What runs say that follow each other, from the first position on. It keeps 32 bytes of each entry."""

    def __init__(self) -> None:
        self.digests = bytearray()
        self.bytes_hashed = 0
        self.bad: list[Bad] = []
        self.breaks: list[Break] = []
        self.ends: dict[str, End] = {}
        self.named: defaultdict[Named, list[tuple[int, str]]] = defaultdict(list)
        self.said: defaultdict[str, list[Said]] = defaultdict(list)
        self.facts = 0
        self._streams: dict[str, int] = {}

    @property
    def entries(self) -> int:
        """How many entries there are, those included that should be there."""
        return len(self.digests) // DIGEST_BYTES

    def add(self, run: Run) -> None:
        """Go on with the run that comes next."""
        self.digests += run.digests
        self.bytes_hashed += run.bytes_hashed
        self.bad += run.bad
        self.breaks += run.breaks
        self.facts += run.facts
        for account, chain in run.chains.items():
            self._follow(account, chain)
        for stream, (first, last, position, account) in run.streams.items():
            before = self._streams.get(stream, 0)
            if first != before + 1:
                self.bad.append(Bad(position, account, f"is version {first} of {stream}, which had {before}"))
            self._streams[stream] = last
        for named, places in run.named.items():
            self.named[named] += places
        for type_, said in run.said.items():
            self.said[type_] += said

    def cut(self) -> set[str]:
        """The accounts of which an entry that cannot be read comes after all those that can."""
        return {
            account
            for position, account, _ in self.bad
            if account in self.ends and position is not None and position > self.ends[account].position
        }

    def broken(self, suspects: Collection[int]) -> Iterator[Bad]:
        """Which entries the breaks in chains lie at. `suspects` are positions of entries known to be changed.

        An entry's own hash changes with it, so that the next one of its account names another: the earlier of the two
        is told of, unless the later one is known to be changed, or does not fit on its other side either.
        """
        missing = list(self._missing())
        unfit = {each.previous for each in self.breaks}
        for account, previous, following in self.breaks:
            at = bisect_right(missing, previous)
            if at < len(missing) and missing[at] < following:
                yield Bad(following, account, "names an entry before it that is not there")
            elif previous not in suspects and (following in suspects or following in unfit):
                yield Bad(following, account, f"does not name its account's entry before it, at {previous}")
            else:
                yield Bad(previous, account, f"has another hash than its account's next entry names, at {following}")

    def _missing(self) -> Iterator[int]:
        at = self.digests.find(MISSING)
        while at >= 0:
            if at % DIGEST_BYTES == 0:
                yield at // DIGEST_BYTES + 1
            at = self.digests.find(MISSING, at + 1)

    def _follow(self, account: str, chain: Chain) -> None:
        end = self.ends.get(account)
        if end is None:
            if chain.previous is not None:
                self.bad.append(Bad(chain.first, account, "is its account's first entry and names one before it"))
        elif chain.previous != end.leaf_hash:
            self.breaks.append(Break(account, end.position, chain.first))
        before = end.version if end is not None else 0
        if chain.version:
            before += self._apart(account, chain, before + 1)
        self.ends[account] = End(before + chain.entries, chain.last, chain.last_hash, chain.recorded_at)

    def _apart(self, account: str, chain: Chain, expected: int) -> int:
        """Hold the column that counts an account's events to what was counted; how far it is apart in the end.

        Where two entries in a row are apart by the same, those before them are too few or too many, and it is counted
        on from there: one that is missing is told of once.
        """
        if chain.version == expected and not chain.others:
            return 0
        positions = {0: chain.first} | {number: position for number, (position, _) in chain.others.items()}
        versions = {number: version for number, (_, version) in chain.others.items()}
        by = [versions.get(each, chain.version + each) - expected - each for each in range(chain.entries)]
        apart = 0
        for number, found in enumerate(by):
            if found != apart and number in positions:
                what = f"is counted as its account's {expected + number + found}. event, and is the "
                self.bad.append(Bad(positions[number], account, f"{what}{expected + number + apart}."))
                if by[number + 1 : number + 2] == [found]:
                    apart = found
        return apart
