"""Where what a record carries stands in the ledger, as its headers say: written by the relay, read by who follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from consumers.kafka.records import Record
from ledger.store.positions import Position
from ledger.store.reading.generations import FIRST


class Place(NamedTuple):
    """A position, and the generation that it belongs to. (A tuple for the same reason as `Record`.)"""

    generation: int
    shard: int
    position: int

    @property
    def at(self) -> Position:
        """The position."""
        return Position(self.shard, self.position)


def place_headers(store: bytes, at: Position, generation: int) -> tuple[tuple[str, bytes], ...]:
    """The headers that say where something stands, of which store."""
    return ("store", store), ("position", str(at).encode()), ("generation", str(generation).encode())


def place_of(record: Record, store: bytes | None = None) -> Place | None:
    """Where what a record carries stands; None where it is somebody else's record, or another store's."""
    return place_in(dict(record.headers), store)


def is_of(store: bytes, record: Record) -> bool:
    """Whether what a record carries stands somewhere in a store."""
    return place_of(record, store) is not None


def place_in(headers: Mapping[str, bytes | None], store: bytes | None) -> Place | None:
    """The place that headers name. One without a generation is of the first: older versions wrote none."""
    value = headers.get("position")
    if value is None or (store is not None and headers.get("store") != store):
        return None
    shard, _, position = value.decode("ascii", "replace").partition(":")
    generation = (headers.get("generation") or b"%d" % FIRST).decode("ascii", "replace")
    if not (is_number(shard) and is_number(position) and is_number(generation)):
        return None
    return Place(int(generation), int(shard), int(position))


def is_number(text: str) -> bool:
    """Whether it can be one of ours: anybody may write to the topic, and longer ones are no numbers to Python."""
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX


_DIGITS_MAX = 19
