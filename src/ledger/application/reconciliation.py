"""Processors' files are reconciled: what they list is noted, and what differs is recorded until it is settled.

A file is noted whole before its rows are compared, because a later row may change what an earlier one means. Every
step may be repeated: rows are known by file and line, discrepancies by what they are about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ledger.aggregates import SystemRecord
from ledger.application.acts import Act, By, perform
from ledger.application.ledger import Ledger
from ledger.application.requests import Request, carried_out, keep_request
from ledger.events import DiscrepancyFound, DiscrepancySettled, FileReconciled
from ledger.events.event_ids import event_id_of
from ledger.reconciliation import ListedPayout, is_same
from ledger.store.database import StoreError, Transaction
from ledger.store.listed_payouts import note_listed
from ledger.store.reading.events import StoredEnvelope, events_of_stream, last_of_streams
from ledger.store.reading.vault import VaultInStore
from ledger.values import SYSTEM_ACCOUNT, stream_name
from ledger.vault import discrepancy_subject


class NoSuchDiscrepancy(StoreError):
    """No discrepancy has the id."""


class DiscrepancyClosed(StoreError):
    """The discrepancy was settled before: nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How discrepancies stand after rows were compared: those that are open, and how many a person had settled."""

    open: tuple[DiscrepancyFound, ...]
    settled: frozenset[str]


def note(ledger: Ledger, file: str, rows: Sequence[tuple[ListedPayout, Collection[str]]]) -> None:
    """Note rows of a file under their names. Raises Conflict and Unavailable."""
    with ledger.database.writing() as transaction:
        note_listed(transaction, file, rows)


def record_found(
    ledger: Ledger, found: Iterable[DiscrepancyFound.Data], possible: Collection[str], by: By
) -> Standing:
    """Record the discrepancies that hold, once each, and of all the `possible` ones that do not hold any more that
    both sides match by now. One that a person settled stays settled as long as it says the same.

    Raises Conflict and Unavailable.
    """
    holding = {data.discrepancy_id: data for data in found}

    def decide(act: Act) -> Standing:
        stored = last_of_streams(act.transaction, [_stream(id_) for id_ in {*holding, *possible}])
        settled: set[str] = set()
        for discrepancy_id in sorted({*holding, *possible}):
            last = stored.get(_stream(discrepancy_id))
            data = holding.get(discrepancy_id)
            if data is None:
                _match(act, discrepancy_id, last, by)
            elif _is_settled_for(act, discrepancy_id, last, data):
                settled.add(discrepancy_id)
            else:
                _find(act, data, last, by)
        return Standing((), frozenset(settled))

    standing = perform(ledger, {SYSTEM_ACCOUNT}, decide)
    with ledger.database.reading() as transaction:
        stored = last_of_streams(transaction, [_stream(id_) for id_ in holding.keys() - standing.settled])
    events = (each.event() for _, each in sorted(stored.items()))
    return Standing(tuple(event for event in events if isinstance(event, DiscrepancyFound)), standing.settled)


def _find(act: Act, data: DiscrepancyFound.Data, last: StoredEnvelope | None, by: By) -> None:
    before = last.event() if last is not None else None
    if isinstance(before, DiscrepancyFound) and is_same(before.data, data):
        return
    act.record(_record(data.discrepancy_id, last), DiscrepancyFound, data, by)


def _match(act: Act, discrepancy_id: str, last: StoredEnvelope | None, by: By) -> None:
    if last is not None and last.type == DiscrepancyFound.stored_as:
        data = DiscrepancySettled.Data(discrepancy_id=discrepancy_id, settled_by="match", sealed=None)
        act.record(_record(discrepancy_id, last), DiscrepancySettled, data, by)


def _is_settled_for(act: Act, discrepancy_id: str, last: StoredEnvelope | None, data: DiscrepancyFound.Data) -> bool:
    """Whether a person settled the discrepancy when it said the same as now."""
    settling = last.event() if last is not None else None
    if not isinstance(settling, DiscrepancySettled) or settling.data.settled_by != "person":
        return False
    past = [each.event() for each in events_of_stream(act.transaction, _stream(discrepancy_id))]
    found = [event for event in past if isinstance(event, DiscrepancyFound)]
    return is_same(found[-1].data, data)


def record_reconciled(ledger: Ledger, data: FileReconciled.Data, by: By) -> None:
    """Record what a file came to; nothing where it came to the same before. Raises Conflict and Unavailable."""
    stream = stream_name("reconciled", data.sha256)

    def decide(act: Act) -> None:
        past = events_of_stream(act.transaction, stream)
        for each in past[-1:]:
            before = each.event()
            assert isinstance(before, FileReconciled)
            if before.data.model_copy(update={"position": data.position}) == data:
                return
        act.record(SystemRecord.empty(stream, len(past)), FileReconciled, data, by)

    perform(ledger, {SYSTEM_ACCOUNT}, decide)


def has_discrepancy(transaction: Transaction, discrepancy_id: str) -> bool:
    """Whether a discrepancy was ever found."""
    return bool(last_of_streams(transaction, [_stream(discrepancy_id)]))


def settle(ledger: Ledger, discrepancy_id: str, reason: str, by: By, request: Request | None = None) -> None:
    """Say for good what became of a discrepancy. A request that was carried out before does nothing.

    Raises NoSuchDiscrepancy, DiscrepancyClosed, KeyReused, Conflict, and Unavailable.
    """
    subject = discrepancy_subject(discrepancy_id)

    def decide(act: Act) -> None:
        if request is not None and carried_out(act.transaction, request) is not None:
            return
        last = last_of_streams(act.transaction, [_stream(discrepancy_id)]).get(_stream(discrepancy_id))
        if last is None:
            raise NoSuchDiscrepancy(
                f"there is no discrepancy {discrepancy_id}; see `makegood reconciliation list --all`"
            )
        settled = last.event()
        if isinstance(settled, DiscrepancySettled):
            how = "because both sides match" if settled.data.settled_by == "match" else f"by {settled.actor}"
            raise DiscrepancyClosed(f"the discrepancy {discrepancy_id} was settled already, {how}")
        ledger.vault.prepare([subject], VaultInStore(act.transaction))
        sealed, entries = ledger.vault.seal(f"{subject}/{last.stream_version + 1}", subject, {"reason": reason})
        act.writes.vault += entries
        data = DiscrepancySettled.Data(discrepancy_id=discrepancy_id, settled_by="person", sealed=sealed)
        record = _record(discrepancy_id, last)
        act.record(record, DiscrepancySettled, data, by)
        if request is not None:
            keep_request(act, request, SYSTEM_ACCOUNT, event_id_of("decision", record.id, str(record.version)))

    perform(ledger, {SYSTEM_ACCOUNT}, decide)


def _stream(discrepancy_id: str) -> str:
    return stream_name("discrepancy", discrepancy_id)


def _record(discrepancy_id: str, last: StoredEnvelope | None) -> SystemRecord:
    return SystemRecord.empty(_stream(discrepancy_id), last.stream_version if last is not None else 0)
