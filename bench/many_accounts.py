"""A store of very many accounts: some thousand lives that the ledger recorded, and copies of their rows.

Each life is short, as most are, and something happens in most of them: every list has rows of one account in twenty
or more. All ids of a life have its account's name in them, so that a copy has ids of its own by another name; its
instants are a little later. A copy is made of rows: its events do not verify, and only every tenth copy has any,
because they would take half of the disk. What is read in full, words included, is asked of lives that were recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from itertools import islice

import psycopg
from tests.ledger.messages import Message, Upstream, read_all

from bench.houses import house_at, take
from bench.messages import new_account, old_account
from ledger.application import due_work, record
from ledger.store.database import Database, Transaction
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from projections.catalog import CATALOG

RECORDED = 5_000
"""So many lives the ledger records at most; the others are copies."""
AT_ONCE = 500
"""The messages of one transaction."""
FIRST = 1_000
"""The number of the recorded lives among their copies, so that all numbers are of one length."""
MONTHS = (3, 4, 5)
OLDEST = "old-1"
"""An account of ten years, with every month and 200 outages; it has no copy."""
NEWEST = "new-1"
EVENTS_OF_EVERY = 10
LISTED = 8
"""For so many accounts each of the lists that no message leads to has a row."""
LATER = 37 * 60 * 1_000_000
"""So many microseconds a copy is later than the one before it."""


def account(life: int, copy: int = FIRST) -> str:
    """The name of a life, or of its copy with a number: `acct-1000-000017`."""
    return f"acct-{copy}-{life:06}"


def fill(url: str, accounts: int) -> int:
    """Make a store with so many accounts, its projections caught up; how many of them were recorded."""
    recorded = min(RECORDED, accounts)
    with house_at(url, sandbox=True) as house:
        for place, month in enumerate(MONTHS):
            due_work.advance(house.ledger, datetime(2026, month, 28, tzinfo=UTC))
            told = (message for life in range(place, recorded, len(MONTHS)) for message in _life(life, month))
            while some := list(islice(told, AT_ONCE)):
                if record.take(house.ledger, read_all(some)).accepted != len(some):
                    raise RuntimeError("messages of the bench were refused")
        take(house.ledger, old_account(OLDEST))
        due_work.advance(house.ledger, datetime(2026, 6, 15, tzinfo=UTC))
        house.projections.catch_up()
        _copy_all(house.database, accounts, max(0, accounts // recorded - 1))
    with open_house(Settings(store=url), restored=True) as house:
        take(house.ledger, new_account(NEWEST))  # a house compares the last event as it opens: it must be a real one
        house.projections.catch_up()
    return recorded


# --- a life ---------------------------------------------------------------------------------------------------------


def _life(number: int, month: int) -> Iterator[Message]:
    """An account with a month that it paid for, and what happens then; in two of twenty lives nothing does."""
    name, day = account(number), f"2026-{month:02}-"
    up = Upstream(name, begins=f"{day}02T09:00:00Z", source="/upstream")
    sub, cycle = {"subscription_id": f"{name}-s"}, f"{name}-c"
    yield up.account_registered()
    yield up.subscription_registered(**sub, plan=("home-voip", "team-voip")[number % 2])
    yield up.cycle_started(cycle, **sub, starts_on=f"{day}01", ends_on=f"2026-{month + 1:02}-01")
    happens = number % 20
    if happens != 19:  # whose invoice is reduced, because it is not paid
        yield up.payment_captured(f"inv-{cycle}")
    dispute, refund = f"{name}-d", f"refund/billing-error/{name}-d/1"
    if happens in (0, 1, 2, 3, 4):
        yield up.billing_error_reported(dispute, cycle, reported_at=f"{day}05T10:00:00Z")
        yield up.overcharge_confirmed(dispute, cycle, settle_as="refund")
    if happens == 2:
        yield up.refund_succeeded(refund, processor_reference=f"psp-{name}", succeeded_at=f"{day}20T10:00:00Z")
    if happens == 3:
        yield up.refund_failed(refund)
    if happens == 4:
        yield up.refund_succeeded(refund, processor_reference=f"psp-{name}", succeeded_at=f"{day}20T10:00:00Z")
        yield up.overcharge_confirmed(dispute, cycle, amount="1.00", settle_as="refund", time="2026-02-01T00:00:00Z")
    if happens in (5, 6, 19):
        yield up.overcharge_confirmed(dispute, cycle, amount="4.00")
    if happens in (7, 17):
        yield up.cancellation_requested(**sub, requested_at=f"{day}21T12:00:00Z")
    if happens == 17:  # it is charged after its end
        yield up.cycle_started(f"{cycle}-2", **sub, starts_on="2026-08-01", ends_on="2026-09-01")
    if happens in (8, 9, 10):
        yield up.outage_reported(f"{name}-o", **sub, began_at=f"{day}10T00:00:00Z")
    if happens in (8, 9):
        yield up.outage_resolved(f"{name}-o", **sub, resolved_at=f"{day}12T00:00:00Z")
    if happens in (11, 12, 13):
        yield up.complaint_opened(f"{name}-k", **sub, description="it rings at night")
    if happens == 11:
        yield up.goodwill_proposed(f"{name}-g", f"{name}-k", **sub)
        yield up.goodwill_approved(f"{name}-g")
        yield up.complaint_resolved(f"{name}-k")
    if happens == 12:
        yield up.goodwill_proposed(f"{name}-g", f"{name}-k", **sub, reason="a week without an answer")
    if happens in (14, 15):
        yield up.billing_error_reported(dispute, cycle, reported_at=f"{day}05T10:00:00Z")
    if happens == 15:
        yield up.overcharge_rejected(dispute, cycle)
    if happens == 16:  # its subscription is not registered yet
        yield up.cycle_started(
            f"{cycle}-x", subscription_id=f"{name}-x", starts_on=f"{day}01", ends_on=f"2026-{month + 1:02}-01"
        )


# --- its copies -----------------------------------------------------------------------------------------------------

_OF_THE_STORE = {
    "heads": (),
    "events": (),
    "inbox": (),
    "waiting": ("since",),
    "vault": (),
    "vault_index": (),
    "approved_refunds": ("since",),
}
"""The ledger's own tables that are copied, each with its instants."""


def _copy_all(database: Database, accounts: int, copies: int) -> None:
    """Copy the rows of all recorded lives, without indexes meanwhile: made in the end they take less time."""
    with database.writing() as transaction:
        indexes = _indexes(database, transaction)
        for name in indexes:
            transaction.run(f"DROP INDEX {name}")
        last = int(transaction.rows("SELECT MAX(position) FROM events")[0][0])
    tables = {name: set(instants) for name, instants in _OF_THE_STORE.items()}
    for projection in CATALOG:
        for of in projection.tables:
            instants = {column for column, type_ in of.columns.items() if type_ == "INSTANT"}
            tables[projection.stored_name(of)] = instants
    for name, times in tables.items():
        with database.writing() as transaction:
            _copy(database, transaction, name, times, copies, last)
    _fill_lists_of_the_store(database, accounts // LISTED)
    for statement in indexes.values():
        with database.writing() as transaction:
            transaction.run(statement)
    with database.writing() as transaction:
        for counted in ("sequences WHERE name LIKE 'shard:%'", "projection_positions"):
            table, _, where = counted.partition(" ")
            transaction.run(f"UPDATE {table} SET position = position + {copies * last} {where}")
        transaction.run("ANALYZE")
    if database.dialect == "postgresql":  # as it does by itself after a while
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")


def _indexes(database: Database, transaction: Transaction) -> dict[str, str]:
    """The indexes that are no keys, by name, each with the statement that makes it."""
    if database.dialect == "postgresql":
        asked = (
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND indexname NOT IN "
            "(SELECT conname FROM pg_constraint)"
        )
    else:
        asked = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    return dict(transaction.rows(asked))


def _copy(
    database: Database, transaction: Transaction, table: str, instants: Collection[str], copies: int, last: int
) -> None:
    if not copies:
        return
    columns = _columns(database, transaction, table)
    of = f"WHERE {'subject' if table == 'vault' else 'id' if table == 'inbox' else 'account'} LIKE ?"
    every = EVENTS_OF_EVERY if table == "events" else 1
    source = f"(SELECT * FROM {table} {of}) AS life CROSS JOIN numbers"
    values = ", ".join(
        _copied(database, column, type_, column in instants, last) for column, type_ in columns.items()
    )
    transaction.run(
        f"WITH RECURSIVE numbers(n) AS (SELECT {FIRST} + 1 UNION ALL SELECT n + {every} FROM numbers "
        f"WHERE n + {every} <= {FIRST + copies}) "
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {source}",
        (f"%acct-{FIRST}-%",),
    )


def _columns(database: Database, transaction: Transaction, table: str) -> dict[str, str]:
    if database.dialect == "postgresql":
        asked = (
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            f"WHERE attrelid = CAST('{table}' AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
    else:
        asked = f"SELECT name, type FROM pragma_table_info('{table}') ORDER BY cid"
    return {str(name): str(type_).lower() for name, type_ in transaction.rows(asked)}


def _copied(database: Database, column: str, type_: str, is_instant: bool, last: int) -> str:
    """What a column of a copy is made of: the number `n` of the copy, and what stands in the row that is copied."""
    named = f"replace({{}}, 'acct-{FIRST}-', 'acct-' || n || '-')"
    if column in ("event_id", "ref"):
        return f"{column} || '-' || n"
    if column in ("envelope", "token"):
        if database.dialect == "postgresql":
            if column == "token":
                return "sha256(token || convert_to(n::text, 'UTF8'))"
            text = named.format("convert_from(envelope, 'UTF8')")
            return f"convert_to({text}, 'UTF8')"
        return f"CAST({named.format('CAST(envelope AS TEXT)')} AS BLOB)" if column == "envelope" else "token || n"
    if column == "position" and type_ != "text":
        return f"position + CAST(n - {FIRST} AS BIGINT) * {last}"
    if is_instant:
        return f"{column} + CAST(n - {FIRST} AS BIGINT) * {LATER}"
    return named.format(column) if type_.startswith("text") else column


def _fill_lists_of_the_store(database: Database, rows: int) -> None:
    """Have rows in the lists that no message leads to: e-mails, refused messages, those set aside, discrepancies."""
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows})"
    at = "1772000000000000 + CAST(n AS BIGINT) * 60000000"
    who = f"'acct-{FIRST}-' || CAST(100000 + n % {RECORDED} AS TEXT)"
    found = next(each for each in CATALOG if each.name == "reconciliation")
    discrepancies = next(table for table in found.tables if table.name == "discrepancies")
    put = {
        "notices (notice_id, account, kind, event_id, position, status, attempts, repeat, queued_at)": (
            f"'n-' || n, {who}, 'refund', 'e-' || n, n, CASE WHEN n % 2 = 0 THEN 'sent' ELSE 'queued' END, 0, 0, {at}"
        ),
        "dead_letters (position, dead_letter_id, origin, reason, field, source, id, account, channel, refused_at)": (
            f"n, 'dl-' || n, 'bench', 'no amount', CASE WHEN n % 3 = 0 THEN 'data.amount' ELSE 'data' END, "
            f"'/upstream/' || CAST(n % 7 AS TEXT), 'm-' || n, {who}, 'file', {at}"
        ),
        "set_aside (position, set_aside_id, origin, reason, source, id, account, channel, set_aside_at)": (
            f"n, 'sa-' || n, 'bench', 'it kept failing', '/upstream/' || CAST(n % 7 AS TEXT), 'm-' || n, {who}, "
            f"'file', {at}"
        ),
        "closures (kept, kept_id, outcome, actor, closed_at)": (
            f"'dead-letter', 'dl-' || n, 'discarded', 'ops', {at}"
        ),
        f"{found.stored_name(discrepancies)} (account, discrepancy_id, kind, differs, sha256, line, found_at, "
        "found_by, status)": (
            f"'system', 'dsc-' || n, 'unknown_here', '[]', '{64 * 'a'}', n, {at}, 'felix', "
            "CASE WHEN n % 2 = 0 THEN 'settled' ELSE 'open' END"
        ),
    }
    with database.writing() as transaction:
        for into, values in put.items():
            narrowed = " WHERE n % 2 = 0" if into.startswith("closures") else ""
            transaction.run(f"{numbers} INSERT INTO {into} SELECT {values} FROM numbers{narrowed}")
