"""What an undisturbed run of a lot ends in, and how a store differs from it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from consumers.upstream import read_kafka
from ledger.application.agreements import publish
from ledger.application.due_work import do_due_work
from ledger.application.payouts import submit_approved
from ledger.application.record import take
from ledger.audit import leaf_hash
from ledger.store.reading.events import StoredEnvelope, follow_account
from projections.catalog import CATALOG
from projections.projection import Table, fold_account
from tests.faults.lots import Lot
from tests.integration.world import Books

ARRIVAL = {
    "applied_at",
    "approved_at",
    "dormant_since",
    "due_at",
    "ended_at",
    "granted_at",
    "issued_at",
    "ordered_at",
    "position",
    "proposal",
    "recorded_at",
    "recovered_at",
    "shard",
    "since",
    "submitted_at",
    "until",
    "until_position",
}
"""Columns that say when and in which company an event was recorded."""
OCCURRED = "CASE WHEN channel IN ('timer', 'payouts') THEN NULL ELSE occurred_at END"
"""What no message caused became true when it fell due, which here is when its agreement was published, or when it was
submitted."""

OF_THE_LEDGER = {
    "inbox": ("source, id", "id LIKE '%-' || ?"),
    "heads": ("account, version", "account LIKE '%-' || ?"),
    "waiting": ("event_id, account, type, source, id, waits_for", "account LIKE '%-' || ?"),
    "approved_refunds": ("account, refund_id", "account LIKE '%-' || ?"),
    "set_aside": ("source, id, reason", "account LIKE '%-' || ?"),
    "vault": ("ref, subject", "subject LIKE '%-' || ?"),
}
"""What is compared of the ledger's own tables, and whose rows."""

Found = Mapping[str, Counter[Any]]


def undisturbed(lot: Lot) -> Found:
    """What taking the lot's messages in their order, without Kafka and in memory, ends in."""
    books = Books("sqlite:///:memory:").create()
    try:
        ledger = books.ledger()
        by_partition: dict[int, list[Any]] = defaultdict(list)
        for number, sent in enumerate(lot.messages):
            by_partition[sent.partition or 0].append(
                read_kafka(sent.headers, sent.key, sent.value, origin=f"message:{number}")
            )
        for partition in sorted(by_partition):
            take(ledger, by_partition[partition])
        publish(ledger, lot.late_agreement, actor="test", channel="test")
        do_due_work(ledger, books.clock())
        submit_approved(ledger)
        books.follower().catch_up()
        return found_in(books, lot, since_dead_letter=0)
    finally:
        books.close()


def found_in(books: Books, lot: Lot, since_dead_letter: int) -> Found:
    """A lot's rows in every projection and in the ledger's own tables, without what depends on their arrival.

    Its dead letters are those after a position, because some of them name no account.
    """
    found: dict[str, Counter[Any]] = {}
    for projection in CATALOG:
        for table in projection.tables:
            columns = [
                OCCURRED if column == "occurred_at" else column
                for column in table.columns
                if column not in ARRIVAL and (column != "occurred_at" or "channel" in table.columns)
            ]
            found[table.name] = Counter(
                books.rows(
                    f"SELECT {', '.join(columns)} FROM {projection.stored_name(table)} WHERE account LIKE '%-' || ?",
                    lot.name,
                )
            )
    for table_name, (columns_, whose) in OF_THE_LEDGER.items():
        found[table_name] = Counter(books.rows(f"SELECT {columns_} FROM {table_name} WHERE {whose}", lot.name))
    letters = books.rows(
        "SELECT reason, field, source, id, account, channel FROM dead_letters WHERE position > ?",
        since_dead_letter,
    )
    # Published again into a topic made anew, a refused message comes from another place: it is another dead letter.
    found["dead_letters"] = Counter(letters if lot.published < 2 else set(letters))
    return found


def differences(expected: Found, found: Found) -> list[str]:
    """Every row that is missing, or too many."""
    told = []
    for table in expected:
        told += [f"{table}: missing {row} (× {n})" for row, n in (expected[table] - found[table]).items()]
        told += [f"{table}: too many {row} (× {n})" for row, n in (found[table] - expected[table]).items()]
    return told


def damage(books: Books, accounts: Iterable[str]) -> list[str]:
    """What is wrong with a store by itself: holes, broken chains, and rows that a replay does not give."""
    told = []
    for table, sequence in (("events", "shard:0"), ("dead_letters", "dead-letters")):
        ((count, first, last),) = books.rows(
            f"SELECT count(*), coalesce(min(position), 1), coalesce(max(position), 0) FROM {table}"
        )
        ends = books.rows("SELECT position FROM sequences WHERE name = ?", sequence)
        if (first, count) != (1, last) or (ends[0][0] if ends else 0) != last:
            told.append(f"{table}: {count} rows from position {first} to {last}, and the sequence is at {ends}")
    for account in accounts:
        history = list(follow_account(books.database, account))
        told += [f"{account}: {broken}" for broken in _broken(history)]
        told += _not_as_replayed(books, account, history)
    return told


def _broken(history: list[StoredEnvelope]) -> Iterable[str]:
    """Where an account's events are not each chained to the one before."""
    previous = None
    for version, envelope in enumerate(history, 1):
        if envelope.account_version != version:
            yield f"event {version} has the number {envelope.account_version}"
        if envelope.event().previous != previous:
            yield f"event {version} is not chained to the one before"
        previous = leaf_hash(envelope.envelope)


def _not_as_replayed(books: Books, account: str, history: list[StoredEnvelope]) -> Iterable[str]:
    """Rows that differ from those of a fresh replay, every column of them."""
    if not history:
        yield f"{account}: no events"
        return
    *_, last = fold_account(history, CATALOG)
    state = last.state()
    for projection in CATALOG:
        for table in projection.tables:
            replayed = Counter(table.values_of(row) for row in state[table.name])
            if replayed != (stored := _rows_of(books, projection.stored_name(table), table, account)):
                yield f"{account}: {table.name} differs from a replay: {stored - replayed} for {replayed - stored}"


def _rows_of(books: Books, name: str, table: Table, account: str) -> Counter[Any]:
    return Counter(books.rows(f"SELECT {', '.join(table.columns)} FROM {name} WHERE account = ?", account))
