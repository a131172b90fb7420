"""Ranges of messages that were lost on their way to us: each leaves a mark until a person closes it with a reason."""

from __future__ import annotations

from ledger.aggregates import SystemRecord
from ledger.application.acts import Act, By, perform
from ledger.application.ledger import Ledger
from ledger.events import LostRange, LostRangeClosed, MessagesLost
from ledger.store.database import StoreError
from ledger.store.reading.events import events_of_stream, find_event
from ledger.store.reading.vault import VaultInStore
from ledger.store.writing import ReaderMove
from ledger.values import SYSTEM_ACCOUNT, stream_name
from ledger.vault import lost_range_subject


class NoSuchRange(StoreError):
    """No lost range has the id."""


class RangeClosed(StoreError):
    """The lost range was closed before: nothing is left to do."""


def pass_over(ledger: Ledger, lost: LostRange, reader: ReaderMove | None, by: By) -> None:
    """Record that a range was lost, and move the reader past it, in one transaction.

    Raises ReaderFenced where another reader took over, Conflict, and Unavailable.
    """

    def decide(act: Act) -> None:
        act.writes.readers = [reader] if reader is not None else []
        stream = stream_name("lost", lost.topic_id, str(lost.partition), str(lost.first))
        act.record(SystemRecord.empty(stream), MessagesLost, lost, by)

    perform(ledger, {SYSTEM_ACCOUNT}, decide)


def close(ledger: Ledger, lost_id: str, reason: str, by: By) -> None:
    """Say for good what became of a lost range: `lost_id` is the id of the event that tells of it.

    Raises NoSuchRange, RangeClosed, Conflict, and Unavailable.
    """
    subject = lost_range_subject(lost_id)

    def decide(act: Act) -> None:
        found = find_event(act.transaction, lost_id)
        if found is None or found.type != MessagesLost.stored_as:
            raise NoSuchRange(f"there is no lost range {lost_id}; see `makegood lost list --all`")
        past = events_of_stream(act.transaction, found.stream)
        if len(past) > 1:
            raise RangeClosed(f"the lost range {lost_id} was closed already, by {past[-1].event().actor}")
        ledger.vault.prepare([subject], VaultInStore(act.transaction))
        sealed, entries = ledger.vault.seal(f"{subject}/closing", subject, {"reason": reason})
        act.writes.vault += entries
        data = LostRangeClosed.Data(lost_id=lost_id, sealed=sealed)
        act.record(SystemRecord.empty(found.stream, len(past)), LostRangeClosed, data, by)

    perform(ledger, {SYSTEM_ACCOUNT}, decide)
