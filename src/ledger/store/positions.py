"""Where an event stands, and how far something has come: a position is one shard's, and "up to here" names them all.

A shard is everything of its accounts, with one gapless sequence of positions (design rule 4), in a database of its
own. Its number stands in each account's head for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from ledger.values import is_identifier

FIRST_SHARD = 0
"""The shard that every store has. What is of the provider and of no account (roles, sessions) stands in it."""
SHARDS_MAX = 64
"""A store is divided into so many shards at most."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the ledger: which of a shard's events, counted from 1."""

    shard: int
    position: int

    def __str__(self) -> str:
        return f"{self.shard}:{self.position}"


EXAMPLE = Position(FIRST_SHARD, 4536)
"""What a position looks like, for those who are told to write one."""


class Reached(Mapping[int, int]):
    """How far something has come: by shard, the last position that it has reached. It never changes.

    Written as positions with commas between them, `shard:position,…`. In a shard that it does not name nothing was
    reached yet.
    """

    __slots__ = ("_positions",)

    def __init__(self, positions: Mapping[int, int]) -> None:
        self._positions = dict(sorted(positions.items()))

    def __getitem__(self, shard: int) -> int:
        return self._positions[shard]

    def __iter__(self) -> Iterator[int]:
        return iter(self._positions)

    def __len__(self) -> int:
        return len(self._positions)

    def __hash__(self) -> int:
        return hash(frozenset(self._positions.items()))

    def __str__(self) -> str:
        """It is never empty: where nothing was reached, it is the position before the first."""
        written = ",".join(f"{shard}:{position}" for shard, position in self._positions.items())
        return written or str(Position(FIRST_SHARD, 0))

    def __repr__(self) -> str:
        return f"Reached({self})"

    def covers(self, other: Position | Reached) -> bool:
        """Whether what stands at a position, or everything up to another vector, had been reached."""
        if isinstance(other, Position):
            return self._positions.get(other.shard, 0) >= other.position
        return all(self._positions.get(shard, 0) >= position for shard, position in other.items())

    @classmethod
    def of_shards(cls, of_each: Iterable[Reached]) -> Reached:
        """How far several shards have come, of which each is told by itself."""
        return cls(dict(chain.from_iterable(each.items() for each in of_each)))

    def moved(self, to: Position) -> Reached:
        """The same, but in one shard as far as a position."""
        return Reached({**self._positions, to.shard: to.position})


KnownAt = datetime | Reached
"""Up to where something was recorded: by an instant, or with the events at positions."""

_ONE = "[0-9]{1,9}:[0-9]{1,18}"
PATTERN = f"^{_ONE}(,{_ONE})*$"
"""What a vector looks like when it is written, as a regular expression."""


def reached_from_text(text: str) -> Reached:
    """A vector as it is written, such as `shard:position`. Raises ValueError."""
    pairs = [each.split(":") for each in text.split(",")] if re.fullmatch(PATTERN, text) else []
    found = {int(shard): int(position) for shard, position in pairs}
    if not found or len(found) < len(pairs):
        raise ValueError(f"a position has the form shard:position, such as '{EXAMPLE}', one of each shard")
    return Reached(found)


# --- shards -------------------------------------------------------------------------------------------------------


def check_number_of_shards(number: int) -> None:
    """Raises ValueError where a store with so many shards cannot be made."""
    if not 1 <= number <= SHARDS_MAX:
        raise ValueError(f"a store has 1 to {SHARDS_MAX} shards")


def shard_for(account: str, number: int) -> int:
    """In which of so many shards a new account belongs; of every other its head tells it.

    It is the partition that Kafka's own clients choose for the account as key, of a topic with so many.
    """
    return murmur2(account.encode()) % number


def shard_of(account: str | None, number: int) -> int:
    """The shard that is asked about an account, of so many: the first one where no account can have the name."""
    if number == 1 or account is None or not is_identifier(account):
        return FIRST_SHARD
    return shard_for(account, number)


def murmur2(key: bytes) -> int:
    """The hash by which Kafka's clients choose partitions (org.apache.kafka.common.utils.Utils), without its sign."""
    mask, factor = 0xFFFFFFFF, 0x5BD1E995
    found = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at : at + 4], "little") * factor & mask
        word = (word ^ word >> 24) * factor & mask
        found = (found * factor & mask) ^ word
    if rest := key[whole:]:
        found = (found ^ int.from_bytes(rest, "little")) * factor & mask
    found = (found ^ found >> 13) * factor & mask
    return (found ^ found >> 15) & 0x7FFFFFFF


# --- what is counted or followed in a shard, by the name under which it is stored ---------------------------------


def event_sequence(shard: int) -> str:
    """The sequence that counts a shard's events."""
    return f"shard:{shard}"


def dead_letter_sequence(shard: int) -> str:
    """The sequence that counts a shard's dead letters."""
    return numbered("dead-letters", shard)


def set_aside_sequence(shard: int) -> str:
    """The sequence that counts a shard's messages set aside."""
    return numbered("set-aside", shard)


def numbered(name: str, shard: int, between: str = ":") -> str:
    """A name with its shard's number. That of the first shard is stored without one, as it was from the start."""
    return name if shard == FIRST_SHARD else f"{name}{between}{shard}"
