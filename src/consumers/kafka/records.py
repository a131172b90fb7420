"""Records, partitions and topics as the parts see them, whatever client carries them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from consumers.part import Explained

Headers = Sequence[tuple[str, bytes | None]]


class BrokerError(Explained):
    """The broker could not do what was asked; the message says what to do next."""


class BrokerUnavailable(BrokerError):
    """The broker cannot be reached, or gave up for a passing cause: try again."""


class TopicMissing(BrokerUnavailable):
    """There is no such topic, or not yet."""


class Undelivered(BrokerUnavailable):
    """The broker did not confirm all that was sent: it may have it or not, so send it again."""


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


class Record(NamedTuple):
    """One record as it was read. (Like `Outgoing` a tuple, because tens of thousands are made in a second.)"""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    damage: str | None = None
    """Why the rest of it could not be read, in words that quote nothing of it."""


class Extent(NamedTuple):
    """What there is of a partition, by offsets."""

    first: int
    """The first that is there."""
    decided: int
    """Up to here nothing belongs to an open transaction, and a reader may come."""
    written: int
    """The next one to be written."""


class Outgoing(NamedTuple):
    """One record to be sent; without a partition the client chooses by the key."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class TopicIdentity:
    """Which topic this is: one that was deleted and made anew under its name is another (design rule 7)."""

    cluster: str
    topic: str
    topic_id: str

    def __str__(self) -> str:
        return f"{self.cluster}/{self.topic_id}"


Only = Callable[[Record], bool]
"""Whether a record is one of those that are asked for."""


class RecordsAtEnd(Protocol):
    """Tells what was written last."""

    def last_records(
        self, topic: str, limit: int, *, only: Only | None = None, partition: int | None = None
    ) -> list[Record]:
        """The last records of each partition of a topic, or of one, at most so many of each.

        With `only` the last ones that it is true of, however many others came after them. Raises BrokerUnavailable.
        """


class TopicWatch(Protocol):
    """Notices that a topic was made anew."""

    def look(self) -> TopicIdentity | None:
        """The topic's identity where there is news of it; never waits."""


class Claimant(Protocol):
    """Whoever is told which partitions a group's member has. Called from within `GroupMember.poll`."""

    def assigned(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Partitions are ours from now on: where to begin each. One that is left out stays paused until `begin`."""

    def unassigned(self, partitions: Sequence[Partition], *, lost: bool) -> None:
        """Partitions are not ours any more: drop what is in memory; of lost ones nothing may be written either."""

    def stopped(self, partition: Partition, *, damaged: bool) -> None:
        """Nothing more comes of a partition until `GroupMember.begin`: the broker does not have what is next, or,
        where it is `damaged`, the client cannot take it apart. What was handed out before that counts.
        """


class GroupMember(Protocol):
    """A member of a consumer group; not to be used from two threads."""

    def join(self, claimant: Claimant) -> None:
        """Ask for a share of the partitions."""

    def poll(self, limit: int, timeout: float) -> list[Record]:
        """What has come, waiting for the first record only; keeps the membership alive."""

    def begin(self, partition: Partition, offset: int) -> bool:
        """Read a partition from an offset on, and no longer pause it. False where that is not yet possible."""

    def pause(self, partition: Partition) -> None:
        """Hand out nothing more of a partition until `resume` or `begin`."""

    def resume(self, partition: Partition) -> None:
        """Go on after the last record that was handed out."""

    def report(self, partition: Partition, offset: int) -> None:
        """Tell the broker how far a partition was worked off; only lag tools read it. Where a partition was begun it
        is told by itself, and once more at the end."""

    def leave(self) -> None:
        """Give up the partitions and the membership."""


class Sender(Protocol):
    """Sends records."""

    def send(self, records: Iterable[Outgoing], deadline: float) -> None:
        """Send records and wait until the broker has confirmed every one, until an instant of `time.monotonic`.

        Nothing is handed to the client after that. Raises Undelivered.
        """

    def close(self) -> None:
        """Let go of the connections; what was not confirmed by then is dropped."""
