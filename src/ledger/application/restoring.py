"""A store that was restored from a backup begins a new generation, so that positions tell two histories apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ledger.aggregates import SystemRecord
from ledger.application.acts import Act, By, perform
from ledger.application.ledger import Ledger
from ledger.events import FoundAhead, RefundRequestsFound, RequestFound, SequenceKept, StoreRestored
from ledger.store.database import StoreError
from ledger.store.positions import dead_letter_sequence, event_sequence
from ledger.store.reading.generations import newest_generation
from ledger.store.reading.notice_queue import QueuedNotice
from ledger.store.reading.shards import sequence_end, shards_of
from ledger.store.reading.vault import VaultInStore
from ledger.store.writing import Begun
from ledger.values import SYSTEM_ACCOUNT, stream_name
from ledger.vault import generation_subject


class GenerationBegun(StoreError):
    """Somebody else began a generation meanwhile."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What has to be known of the history that is given up.

    `keeps` names, by sequence, the position up to which it is the ledger's own, where that is before the ledger's
    end. `readers` are those of the topics, each with the sequence that it follows.
    """

    generation: int
    ahead: Collection[FoundAhead]
    keeps: Mapping[str, int] = field(default_factory=dict)
    readers: Mapping[str, str] = field(default_factory=dict)
    notices_sent: Collection[QueuedNotice] = ()
    """E-mails that the given-up history says were taken over."""
    collected: Mapping[str, datetime] = field(default_factory=dict)
    """The notices whose link was used in that history, and when."""
    requested: Collection[RequestFound] = ()
    """The refunds that a payment processor was asked for in that history."""


def begin_generation(ledger: Ledger, restored: Restored, reason: str | None, by: By) -> Mapping[str, int]:
    """Record that the store was restored; by sequence, the position up to which earlier generations hold.

    Readers of the topics go back to there. E-mails that went out count as sent, and are not sent again when what they
    tell of is recorded again; refunds that were requested are not requested again. Raises GenerationBegun, Conflict,
    and Unavailable.
    """

    def decide(act: Act) -> Mapping[str, int]:
        if newest_generation(act.transaction) >= restored.generation:
            raise GenerationBegun("another generation was begun meanwhile; see `makegood status`")
        keeps = {
            sequence: min(sequence_end(act.transaction, sequence), restored.keeps.get(sequence, 2**62))
            for shard in shards_of(act.transaction)
            for sequence in (event_sequence(shard), dead_letter_sequence(shard))
        }
        act.writes.generation = Begun(
            restored.generation,
            keeps,
            {reader: keeps[sequence] for reader, sequence in restored.readers.items()},
            restored.notices_sent,
            restored.collected,
        )
        sealed = None
        if reason is not None:
            subject = generation_subject(restored.generation)
            ledger.vault.prepare([subject], VaultInStore(act.transaction))
            sealed, entries = ledger.vault.seal(f"{subject}/reason", subject, {"reason": reason})
            act.writes.vault += entries
        data = StoreRestored.Data(
            generation=restored.generation,
            kept=tuple(SequenceKept(sequence=name, position=position) for name, position in keeps.items()),
            ahead=tuple(restored.ahead),
            notices_sent=tuple(sorted(notice.notice_id for notice in restored.notices_sent)),
            sealed=sealed,
        )
        stream = stream_name("generation", str(restored.generation))
        act.record(SystemRecord.empty(stream), StoreRestored, data, by)
        if restored.requested:
            found = RefundRequestsFound.Data(generation=restored.generation, requests=tuple(restored.requested))
            stream = stream_name("refund-requests-found", str(restored.generation))
            act.record(SystemRecord.empty(stream), RefundRequestsFound, found, by)
        return keeps

    return perform(ledger, {SYSTEM_ACCOUNT}, decide)
