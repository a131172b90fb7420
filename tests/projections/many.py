"""Rows of many accounts, put straight into tables: enough of them that a list read whole would be noticed."""

from collections.abc import Iterable
from typing import Any

from ledger.store.database import Database
from ledger.store.instants import to_microseconds
from projections import (
    alarms,
    claims,
    complaints,
    credits,
    goodwill,
    instructions,
    movements,
    outages,
    overpaid,
    reconciliation,
    refunds,
    retractions,
)
from projections.projection import Projection, Table
from tests.projections.stories import START

AT = to_microseconds(START)
HOUR = 3_600_000_000


def fill(database: Database, number: int) -> None:
    """Give each of so many accounts a claim, a dispute, a refund, a credit, a complaint, a goodwill credit, an
    instruction, an outage, a discrepancy, a fact that waits and an e-mail. Of ten complaints one is open, and of ten
    instructions, outages, discrepancies and goodwill credits likewise; of forty refunds one has failed. Every second
    claim is of one plan, and of a thousand one of a plan that few have.
    """
    tables: dict[str, list[dict[str, Any]]] = {}

    def put(projection: Projection, table: Table, **row: Any) -> None:
        name = projection.stored_name(table)
        tables.setdefault(name, []).append({**dict.fromkeys(table.columns), **row})

    for n in range(number):
        # Neither age nor anything else is in the order of accounts.
        of, at, is_open = {"account": f"acct-{n * 7919 % number:06}"}, AT + (n * 104_729 % number) * HOUR, n % 10 == 3
        money = {"currency": "EUR", "net": "10.00", "tax": "1.90", "total": "11.90"}
        message = {"message_time": at, "message_id": f"m-{n}", "message_source": "/s"}
        claim = {"amount": "10.00", "tax": "1.90", "currency": "EUR", "position": f"0:{n + 1}"}
        event = {"event_id": f"e-{n}", "number": 1, "shard": 0, "position": n + 1, "recorded_at": at}
        sums = {"currency": "EUR", "net": 1_000, "tax": 190, **event}
        put(movements.MOVEMENTS, movements.MOVEMENTS_MADE, **of, **sums, kind="granted", occurred_at=at)
        owing = {"counted_as": "refunds_due", "item_id": "refund/unused/c/1", "since": at}
        put(movements.MOVEMENTS, movements.OWED_NOW, **of, **sums, **owing)
        put(
            claims.CLAIMS,
            claims.ROWS,
            **of,
            **claim,
            claim_id="unused/c",
            clause="unused_period",
            outcome="granted" if n % 50 else "pending",
        )
        put(
            claims.CLAIMS,
            claims.ROWS,
            **of,
            **claim,
            claim_id="billing-error/d",
            clause="billing_error",
            outcome="pending" if is_open else "granted",
            investigate_by=at if is_open else None,
        )
        refund = {**of, **money, "claim_id": "unused/c", "status": "failed" if n % 40 == 7 else "due"}
        put(refunds.REFUNDS, refunds.ROWS, **refund, refund_id=f"refund/unused/c-{n}/1", due_at=at)
        credit = {**of, **money, "claim_id": "unused/c", "used": "0.00", "refunded": "0.00", "left_over": "11.90"}
        dormant = {"dormant_since": at if n % 10 == 4 else None}
        put(credits.CREDITS, credits.ROWS, **credit, **dormant, credit_id=f"credit/unused/c-{n}/1", granted_at=at)
        if n % 10 == 5:
            owed_back = {"claim_id": "unused/c", "currency": "EUR", "overpaid": "1.00", "went_out": "[]"}
            put(overpaid.OVERPAID, overpaid.ROWS, **of, **owed_back, recovered="0.00", written_off="0.00", since=at)
        found = {"account": "system", "discrepancy_id": f"dsc-{n}", "kind": "unknown_here", "differs": "[]"}
        found |= {"sha256": "a" * 64, "line": n + 2, "found_at": at, "found_by": "felix"}
        stands = {"status": "open" if is_open else "settled"}
        put(reconciliation.RECONCILIATION, reconciliation.DISCREPANCIES, **found, **stands)
        plan = "team" if n % 2 else "home"
        of_plan = {"agreement": "standard", "plan": "legacy" if n % 1000 == 8 else plan}
        told_of = {"claim_id": "unused/c", "currency": "EUR", "opened_at": at, "recorded_at": at}
        put(movements.MOVEMENTS, movements.CLAIMS, **of, **of_plan, **told_of)
        step = {**of, "complaint_id": f"k-{n}", "channel": "phone", "category": "billing"}
        put(complaints.COMPLAINTS, complaints.STEPS, **step, **message, event_id=f"k-{n}-1", step="opened")
        if not is_open:
            later = {**message, "message_time": at + 1}
            put(complaints.COMPLAINTS, complaints.STEPS, **step, **later, event_id=f"k-{n}-2", step="resolved")
        standing = {"complaint_id": f"k-{n}", "resolved": int(not is_open), "opened_at": at}
        put(complaints.COMPLAINTS, complaints.STANDINGS, **of, **standing)
        proposed = {**of, "credit_id": f"g-{n}", "complaint_id": f"k-{n}", "amount": "5.00", "currency": "EUR"}
        facts = goodwill.GOODWILL, goodwill.FACTS
        put(*facts, **proposed, **message, event_id=f"g-{n}-1", status="proposed", person="ann")
        if not is_open:
            put(*facts, **{**proposed, **message}, event_id=f"g-{n}-2", status="approved", person="bob")
        put(goodwill.GOODWILL, goodwill.STANDINGS, **of, credit_id=f"g-{n}", decided=int(not is_open))
        told = {**of, "instruction_id": f"i-{n}", "kind": "invoice.reduced", "data": "{}", "issued_at": at}
        put(instructions.INSTRUCTIONS, instructions.ISSUED, **told, answered=int(not is_open))
        if not is_open:
            answer = {**of, **message, "instruction_id": f"i-{n}", "event_id": f"a-{n}", "status": "carried_out"}
            put(instructions.INSTRUCTIONS, instructions.ANSWERS, **answer, answered_at=at + 1)
        fact = {**of, **message, "outage_id": f"o-{n}", "subscription_id": f"sub-{n % 20}"}
        began = {"began_at": at, "reported_at": at, "severity": "minor", "cause": "provider"}
        put(outages.OUTAGES, outages.FACTS, **fact, **began, event_id=f"o-{n}-1", said="reported")
        if not is_open:
            later = {**fact, "message_time": at + 1, "resolved_at": at + 1}
            put(outages.OUTAGES, outages.FACTS, **later, event_id=f"o-{n}-2", said="resolved")
        standing = {"outage_id": f"o-{n}", "subscription_id": f"sub-{n % 20}", "began_at": at}
        put(outages.OUTAGES, outages.STANDINGS, **of, **standing, resolved=int(not is_open))
        put(outages.OUTAGES, outages.DECIDED, **of, claim_id="disruption/c", outage_ids=f'["o-{n}"]')
        if n % 1000 == 0:
            alarm = {"identity": "charged_after_end", "alarm": "charged_after_end", "about": '["x"]', "since": at}
            put(alarms.ALARMS, alarms.ROWS, **of, **alarm)
            gone = {"source": "/nobody", "id": f"x-{n}", "by_source": "/nobody", "by_id": f"y-{n}"}
            put(retractions.RETRACTIONS, retractions.GONE, **of, **gone)
        waits = {"event_id": f"w-{n}", "type": "cycle-started.v1", "source": "/s", "id": f"m-{n}", "since": at}
        tables.setdefault("waiting", []).append({**of, **waits, "waits_for": "a registration"})
        notice = {"notice_id": f"n-{n}", "kind": "refund", "event_id": f"e-{n}", "position": n + 1, "attempts": 0}
        status = "queued" if is_open else "sent"
        tables.setdefault("notices", []).append({**of, **notice, "status": status, "repeat": 0, "queued_at": at})
    with database.writing() as transaction:
        for name, rows in tables.items():
            transaction.insert(name, tuple(rows[0]), [tuple(row.values()) for row in rows])
    _gather_statistics(database)


def _gather_statistics(database: Database) -> None:
    """As a database does by itself after a while: without them it takes every table for a small one."""
    with database.writing() as transaction:
        transaction.run("ANALYZE")


def plans(database: Database, asked: Iterable[tuple[str, Any]], *, by_index: bool = False) -> list[str]:
    """How the database would go about statements; `by_index` where it should by an index if any leads there, because
    a table of a test is so short that reading it whole may be as cheap."""
    explain = "EXPLAIN" if database.dialect == "postgresql" else "EXPLAIN QUERY PLAN"
    with database.reading() as transaction:
        if by_index and database.dialect == "postgresql":
            transaction.run("SET LOCAL enable_seqscan = off")
        return [
            "\n".join(str(row[-1]) for row in transaction.rows(f"{explain} {sql}", values)) for sql, values in asked
        ]
