"""The part `checkpoints`: builds the Merkle trees, signs them, publishes what is signed, and has it witnessed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from consumers.carrying import STANDS_BY_SECONDS, Batch, Carrier, Lane
from consumers.checkpoints.comparing import (
    Place,
    PlaceUnusable,
    TreeDamaged,
    contradictions,
    found_in,
    found_in_store,
    is_too_small_yet,
)
from consumers.checkpoints.signing import GROWS_BY, KeysOf, KeysUnusable, Rhythm, checkpoint_now, sign
from consumers.checkpoints.witnesses import Witnesses
from consumers.kafka.records import BrokerError
from consumers.part import BackOff
from ledger.audit import Checkpoint, Note, TileInvalid, Unproven, leaf_digest
from ledger.events import PeriodClosed
from ledger.store.audit import write_leaves
from ledger.store.database import Database, Transaction
from ledger.store.positions import FIRST_SHARD
from ledger.store.reading.audit import (
    checkpoint_note,
    checkpoints_after,
    latest_checkpoint,
    leaves_after,
    origin_of,
    tree_reader,
    tree_size,
)
from ledger.store.reading.events import last_of_type
from ledger.values import SYSTEM_ACCOUNT

GROWS_EVERY = 1.0
"""Seconds between two transactions that append few leaves, so that they cost those who record little."""
LOOKS_EVERY = 1.0
"""Seconds between two looks at what is to be signed, published and witnessed."""
REFUSED_FOR = 30.0
"""Seconds after which a contradiction is looked at again."""
PUBLISHES = 100
"""So many checkpoints are published between two looks."""


class TreeLane(Lane[bytes]):
    """The digests of a shard's envelopes, which become the leaves of its tree."""

    closed_at: int | None = None
    """The position of the last month's close, 0 where no month is closed; none where that is not known yet."""

    def after(self, transaction: Transaction, position: int, limit: int) -> Batch[bytes]:
        leaves = leaves_after(transaction, self.shard, position, limit)
        for number, leaf in enumerate(leaves, position + 1):
            if leaf.type == PeriodClosed.stored_as:
                self.closed_at = number
        return Batch([leaf_digest(leaf.envelope) for leaf in leaves], position + len(leaves))


class _Outlet:
    """A place, and the last checkpoint that it has of each log."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.last: dict[str, Note | None] = {}
        self.again_at = 0.0
        self.back_off = BackOff(first=1.0, most=60.0)


class Checkpoints(Carrier[TreeLane, bytes]):
    """The part that builds trees and signs them. Of several processes one works, and the others stand by.

    Without keys the trees are built and nothing is signed. Nothing is signed either before all places were compared
    with the trees, and while one of them contradicts.
    """

    name = "checkpoints"
    passing = (*Carrier.passing, Unproven)

    def __init__(
        self,
        database: Database,
        keys_of: KeysOf,
        *,
        clock: Callable[[], datetime],
        places: Sequence[Place] = (),
        witnesses: Witnesses | None = None,
        rhythm: Rhythm = Rhythm(),  # noqa: B008
        stands_by: float = STANDS_BY_SECONDS,
        grows_every: float = GROWS_EVERY,
        looks_every: float = LOOKS_EVERY,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(database, batch=GROWS_BY, stands_by=stands_by, monotonic=monotonic)
        self._keys_of = keys_of
        self._clock = clock
        self._outlets = [_Outlet(place) for place in places]
        self._witnesses = witnesses
        self._rhythm = rhythm
        self._grows_every = grows_every
        self._looks_every = looks_every
        self._grows_at = 0.0
        self._looks_at = 0.0
        self._compared: set[str] = set()
        """The logs whose trees were compared with all places."""
        self._compares_at: dict[str, float] = {}
        """When each of the others is to be compared again."""
        self._said: dict[str, str] = {}
        """What was last said of each log that is not signed."""

    def step(self) -> int:
        """Append what was recorded to the trees; then sign, publish and have witnessed what is due.

        Raises TreeDamaged, besides what a carrier's does.
        """
        try:
            return self._step()
        except TileInvalid as error:
            raise TreeDamaged(error) from None

    def _step(self) -> int:
        now = self._monotonic()
        went_on = 0
        if now >= self._grows_at:
            went_on = super().step()
            if went_on < GROWS_BY:
                self._grows_at = now + self._grows_every
        if self.holds_all and self._standings and now >= self._looks_at:
            self._looks_at = now + self._looks_every
            for standing in self._standings:
                assert standing.epoch is not None
                self._look_at(standing.lane, standing.epoch)
        return went_on

    def _look_at(self, lane: TreeLane, epoch: int) -> None:
        with self._database.reading() as transaction:
            origin = origin_of(transaction, lane.shard)
            last = latest_checkpoint(transaction, origin)
            size = tree_size(transaction, lane.shard)
            if lane.closed_at is None:
                closed = last_of_type(transaction, SYSTEM_ACCOUNT, PeriodClosed)
                lane.closed_at = closed.position if closed is not None and closed.shard == lane.shard else 0
        if origin not in self._compared and not self._compare(lane.shard, origin):
            return
        closed_at = lane.closed_at if lane.closed_at <= size else 0
        if self._rhythm.is_due(last, size, closed_at, self._clock()):
            self._sign(lane.shard, origin, epoch)
        for outlet in self._outlets:
            self._publish(outlet, origin)
        if self._witnesses is not None:
            self._witnesses.step(self._database, lane.shard, origin)

    # --- comparing -----------------------------------------------------------------------------------------------

    def _compare(self, shard: int, origin: str) -> bool:
        """Compare what was published of a log with its tree; whether it may be signed."""
        if self._monotonic() < self._compares_at.get(origin, 0.0):
            return False
        self._compares_at[origin] = self._monotonic() + REFUSED_FOR
        try:
            found = found_in((outlet.place for outlet in self._outlets), origin)
        except (PlaceUnusable, BrokerError) as error:
            self._compares_at[origin] = self._monotonic() + 2 * self._looks_every
            self._say(origin, "checkpoints_not_compared", str(error))
            return False
        with self._database.reading() as transaction:
            if is_too_small_yet(transaction, shard, found):
                self._compares_at[origin] = self._monotonic() + 2 * self._looks_every
                return False
            told = contradictions(transaction, shard, [*found, *found_in_store(transaction, shard)])
        if told:
            self._say(origin, "checkpoints_refused", "; ".join(told))
            return False
        for outlet in self._outlets:
            outlet.last[origin] = next((each.note for each in found if each.where == outlet.place.name), None)
        self._compared.add(origin)
        self._said.pop(origin, None)
        return True

    def _sign(self, shard: int, origin: str, epoch: int) -> None:
        with self._database.reading() as transaction:
            told = contradictions(transaction, shard, found_in_store(transaction, shard))
            checkpoint = checkpoint_now(transaction, shard)
        if told:
            self._compared.discard(origin)
            self._compares_at[origin] = self._monotonic() + REFUSED_FOR
            self._say(origin, "checkpoints_refused", "; ".join(told))
            return
        try:
            keys = self._keys_of(checkpoint.origin)
        except KeysUnusable as error:
            self._say(origin, "checkpoints_not_signed", str(error))
            return
        if not keys:
            if origin not in self._said:
                self._said[origin] = "there is no key"
                self._log.warning(
                    "checkpoints_not_signed", origin=origin, reason="there is no key: run `makegood audit key new`"
                )
            return
        sign(self._database, shard, epoch, checkpoint, keys, self._clock())
        self._said.pop(origin, None)
        self._log.info("checkpoint_signed", origin=checkpoint.origin, size=checkpoint.size)

    def _say(self, origin: str, event: str, reason: str) -> None:
        """Tell a log's trouble once, until it is another."""
        if self._said.get(origin) != reason:
            self._said[origin] = reason
            self._log.error(event, origin=origin, reason=reason)

    # --- publishing ----------------------------------------------------------------------------------------------

    def _publish(self, outlet: _Outlet, origin: str) -> None:
        """Publish what a place does not have yet: of a place without any, the last checkpoint only."""
        if self._monotonic() < outlet.again_at:
            return
        try:
            for note in self._unpublished(outlet.last.get(origin), origin):
                outlet.place.publish(note)
                outlet.last[origin] = note
                size = Checkpoint.parse(note.text).size
                self._log.info("checkpoint_published", origin=origin, size=size, to=outlet.place.name)
        except (PlaceUnusable, BrokerError) as error:
            wait = outlet.back_off.next()
            outlet.again_at = self._monotonic() + wait
            self._log.warning(
                "checkpoint_not_published", origin=origin, to=outlet.place.name, reason=str(error), seconds=wait
            )
        else:
            outlet.back_off.reset()

    def _unpublished(self, last: Note | None, origin: str) -> list[Note]:
        with self._database.reading() as transaction:
            if last is None:
                latest = latest_checkpoint(transaction, origin)
                sizes = [latest.size] if latest is not None else []
            else:
                size = Checkpoint.parse(last.text).size
                sizes = [size, *(each.size for each in checkpoints_after(transaction, origin, size, PUBLISHES))]
            notes = [note for size in sizes if (note := checkpoint_note(transaction, origin, size)) is not None]
        return [Note.parse(note) for note in notes if last is None or note != str(last)]

    # --- the carrier's --------------------------------------------------------------------------------------------

    def _lanes_of(self, shard: int) -> Sequence[TreeLane]:
        return (TreeLane("the Merkle tree" if shard == FIRST_SHARD else f"the Merkle tree of shard {shard}", shard),)

    def _readers(self, lanes: Sequence[TreeLane]) -> Mapping[TreeLane, str]:
        return {lane: tree_reader(lane.shard) for lane in lanes}

    def _check(self, lane: TreeLane) -> None:
        """Whatever happened to the store, what was published is compared anew before anything is signed."""
        self._compared.clear()
        self._compares_at.clear()
        lane.closed_at = None

    def _hand_over(self, records: Sequence[bytes]) -> None:
        """The tree is in the store itself."""

    def _write(self, transaction: Transaction, lane: TreeLane, position: int, batch: Batch[bytes]) -> None:
        write_leaves(transaction, lane.shard, position, batch.records)

    def _let_go(self) -> None:
        for outlet in self._outlets:
            outlet.place.close()
