"""The questions that the read side answers, in the shapes of the contract (§3): plain values, ready for JSON.

Lists are in the order of account, then id, by code point, whatever the database's own order of text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from ledger.events import STORED_TYPES, LedgerEvent
from ledger.store.database import Database, Transaction
from ledger.store.instants import from_microseconds
from ledger.store.reading import StoredEnvelope, follow_account
from ledger.values import instant_from_text, instant_to_text
from projections import accounts as accounts_
from projections import alarms as alarms_
from projections import claims as claims_
from projections import complaints as complaints_
from projections import credits as credits_
from projections import goodwill as goodwill_
from projections import instructions as instructions_
from projections import refunds as refunds_
from projections import retractions as retractions_
from projections.account_state import account_state
from projections.audit_trail import AUDIT_TRAIL
from projections.audit_trail import ROWS as AUDIT_ROWS
from projections.catalog import CATALOG
from projections.follower import positions_of
from projections.page import Page
from projections.projection import Projection, Row, State, Step, Unrecorded, Value, fold_account, shown_instant

Answer = dict[str, Any]

FOLDED = tuple(projection for projection in CATALOG if projection is not AUDIT_TRAIL)
"""What an account's state is made of; the audit trail is the events themselves."""

ASSESSED = tuple(projection for projection in FOLDED if projection is not instructions_.INSTRUCTIONS)
"""What there is of an account that was assessed anew: nobody was told to do anything because of it."""


class UnknownAccount(LookupError):
    """Nothing was ever recorded for the account."""


class AmbiguousId(LookupError):
    """Several accounts have the id: it must be asked for within one of them."""


Accounts = Collection[str] | None
"""The accounts that an answer is limited to; None for all."""


# --- lists --------------------------------------------------------------------------------------------------------


def claims(
    database: Database,
    account: str | None = None,
    clause: str | None = None,
    outcome: str | None = None,
    *,
    goodwill_in_full: bool = True,
    accounts: Accounts = None,
    page: Page | None = None,
) -> list[Answer]:
    """The claims that stand; of goodwill only what was granted, unless `goodwill_in_full`."""
    where = {"account": account, "clause": clause, "outcome": outcome}
    only = None if goodwill_in_full else "(clause <> 'complaint' OR outcome = 'granted')"
    with database.reading() as transaction:
        found = claims_.listed(_rows(transaction, claims_.CLAIMS, where, accounts, page, only=only if page else None))
    return [claim for claim in found if goodwill_in_full or not is_goodwill_not_granted(claim)]


def is_goodwill_not_granted(claim: Answer) -> bool:
    """Whether it is a goodwill credit that somebody proposed, and nobody has granted."""
    return bool(claim["clause"] == "complaint" and claim["outcome"] != "granted")


def invoice_reductions(database: Database, account: str | None = None) -> list[Answer]:
    """What claims took off invoices that were still unpaid."""
    with database.reading() as transaction:
        rows = _rows(transaction, accounts_.ACCOUNTS, {"account": account})["invoice_reductions"]
    return sorted(
        (
            {
                "account_id": row["account"],
                "invoice_id": row["invoice_id"],
                "claim_id": row["claim_id"],
                "total": row["total"],
                "currency": row["currency"],
            }
            for row in rows
        ),
        key=lambda row: (str(row["account_id"]), str(row["invoice_id"]), str(row["claim_id"])),
    )


def overpaid(database: Database, account: str | None = None) -> list[Answer]:
    """Claims for which more went out than they stand at now, those that fell away included (policy §7)."""
    with database.reading() as transaction:
        return claims_.overpaid(_rows(transaction, claims_.CLAIMS, {"account": account}))


def disputes(
    database: Database,
    now: datetime,
    account: str | None = None,
    overdue: bool = False,
    *,
    accounts: Accounts = None,
) -> list[Answer]:
    """Every dispute with its status, and until when its investigation is in time (policy §4).

    `status` is `investigating` while no verdict is known, `confirmed` or `rejected` after one, and `waiting` where a
    confirmation waits for its charge. `overdue` lists only investigations that are open longer than agreed.
    """
    with database.reading() as transaction:
        linked = complaints_.linked(_complaints(transaction, account, accounts=accounts))
    rows = []
    for claim in claims(database, account=account, clause="billing_error", accounts=accounts):
        investigate_by = claim["investigate_by"]
        late = investigate_by is not None and instant_from_text(investigate_by) < now
        if late or not overdue:
            dispute_id = claim["claim_id"].removeprefix("billing-error/")
            rows.append(
                {
                    "dispute_id": dispute_id,
                    "claim_id": claim["claim_id"],
                    "account_id": claim["account_id"],
                    "subscription_id": claim["subscription_id"],
                    "charge_id": claim["charge_id"],
                    "status": _dispute_status(claim),
                    "outcome": claim["outcome"],
                    "reason": claim["reason"],
                    "investigate_by": investigate_by,
                    "overdue": late,
                    "complaint_ids": linked.get((claim["account_id"], "dispute", dispute_id), []),
                }
            )
    return rows


def _dispute_status(claim: Answer) -> str:
    if claim["outcome"] == "pending":
        return "investigating" if claim["investigate_by"] is not None else "waiting"
    return "rejected" if claim["reason"] == "rejected" else "confirmed"


def complaints(
    database: Database,
    now: datetime,
    account: str | None = None,
    still_open: bool = False,
    *,
    accounts: Accounts = None,
) -> list[Answer]:
    """The complaints, those first that have been open longest; `still_open` leaves out the resolved ones."""
    with database.reading() as transaction:
        found = _complaints(transaction, account, accounts=accounts)
    aged = [{**complaint, "age_seconds": complaints_.open_seconds(complaint, now)} for complaint in found]
    return sorted(
        (complaint for complaint in aged if complaint["status"] == "open" or not still_open),
        key=lambda c: (c["status"] != "open", c["opened_at"], c["account_id"], c["complaint_id"]),
    )


def _complaints(
    transaction: Transaction, account: str | None, complaint_id: str | None = None, *, accounts: Accounts = None
) -> list[Answer]:
    where = {"account": account, "complaint_id": complaint_id}
    left_out = _left_out(transaction, account, accounts)
    state = {
        **_rows(transaction, complaints_.COMPLAINTS, where, accounts),
        **_rows(transaction, goodwill_.GOODWILL, where, accounts),
    }
    return complaints_.listed(state, left_out)


def _left_out(transaction: Transaction, account: str | None, accounts: Accounts) -> set[tuple[str, str]]:
    """The facts that the assessment does without."""
    alarms = _rows(transaction, alarms_.ALARMS, {"account": account}, accounts)
    return alarms_.left_out(
        {**alarms, **_rows(transaction, retractions_.RETRACTIONS, {"account": account}, accounts)}
    )


def _never_said(transaction: Transaction, rows: Iterable[Row]) -> set[tuple[str, str]]:
    """The messages that were retracted in the accounts of some rows."""
    of = sorted({str(row["account"]) for row in rows})
    table = retractions_.GONE
    found = transaction.rows_in(
        f"SELECT {', '.join(table.columns)} FROM {retractions_.RETRACTIONS.stored_name(table)} WHERE account IN (?*)",
        of,
    )
    return retractions_.never_said({table.name: [table.row(values) for values in found]})


def complaints_about(database: Database, account: str, about: Iterable[tuple[str, str]]) -> list[str]:
    """The ids of an account's complaints that have to do with any of these, each a kind and an id."""
    with database.reading() as transaction:
        linked = complaints_.linked(_complaints(transaction, account))
    return sorted({id_ for kind, linked_id in about for id_ in linked.get((account, kind, linked_id), ())})


def goodwill(
    database: Database, account: str | None = None, still_open: bool = False, *, accounts: Accounts = None
) -> list[Answer]:
    """The goodwill credits with who proposed them and who decided; `still_open` lists those nobody decided about."""
    of = {"account": account}
    with database.reading() as transaction:
        left_out = _left_out(transaction, account, accounts)
        claims = _rows(transaction, claims_.CLAIMS, {**of, "clause": "complaint"}, accounts)
        proposed = _rows(transaction, goodwill_.GOODWILL, of, accounts)
        found = goodwill_.listed({**proposed, **claims}, left_out)
        linked = complaints_.linked(_complaints(transaction, account, accounts=accounts))
    return [
        {**credit, "complaint_ids": linked.get((credit["account_id"], "goodwill", credit["credit_id"]), [])}
        for credit in found
        if credit["status"] == "proposed" or not still_open
    ]


def refunds(
    database: Database,
    account: str | None = None,
    status: str | None = None,
    *,
    accounts: Accounts = None,
    page: Page | None = None,
) -> list[Answer]:
    """The refunds: due, and what the payment processor said of them."""
    with database.reading() as transaction:
        rows = _rows(transaction, refunds_.REFUNDS, {"account": account, "status": status}, accounts, page)
        return refunds_.listed(rows, _never_said(transaction, rows["refunds"]))


def credits(
    database: Database, account: str | None = None, *, accounts: Accounts = None, page: Page | None = None
) -> list[Answer]:
    """The credits granted, and what is left of them."""
    with database.reading() as transaction:
        return credits_.listed(_rows(transaction, credits_.CREDITS, {"account": account}, accounts, page))


def instructions(
    database: Database,
    now: datetime,
    account: str | None = None,
    kind: str | None = None,
    still_open: bool = False,
    *,
    accounts: Accounts = None,
) -> list[Answer]:
    """What billing and provisioning were told to do, what waits longest for its answer first.

    `still_open` leaves out what was answered.
    """
    with database.reading() as transaction:
        where = {"account": account, "kind": kind}
        rows = _rows(transaction, instructions_.INSTRUCTIONS, where, accounts)
        found = instructions_.listed(rows, _never_said(transaction, rows["instructions"]))
    aged = [{**each, "age_seconds": instructions_.open_seconds(each, now)} for each in found]
    return [each for each in aged if each["status"] == "open" or not still_open]


def alarms(
    database: Database, account: str | None = None, *, accounts: Accounts = None, page: Page | None = None
) -> list[Answer]:
    """The alarms that stand."""
    with database.reading() as transaction:
        return alarms_.listed(_rows(transaction, alarms_.ALARMS, {"account": account}, accounts, page))


def waiting(
    database: Database, now: datetime, account: str | None = None, *, accounts: Accounts = None
) -> list[Answer]:
    """The facts that wait for another, those that have waited longest first within an account."""
    conditions, values = _conditions({"account": account}, accounts)
    with database.reading() as transaction:
        rows = transaction.rows(
            f"SELECT account, type, source, id, waits_for, since, event_id FROM waiting{_where(conditions)}", values
        )
    return [
        {
            "account_id": account_id,
            "type": type_,
            "source": source,
            "id": message_id,
            "waits_for": waits_for,
            "since": shown_instant(since),
            "age_seconds": int((now - from_microseconds(since)).total_seconds()),
            "event_id": event_id,
        }
        for account_id, type_, source, message_id, waits_for, since, event_id in sorted(
            rows, key=lambda row: (row[0], row[5], row[3], row[2])
        )
    ]


@dataclass(frozen=True, slots=True)
class LeftForPeople:
    """How much of one kind waits for a person, or for facts to come, and since when."""

    count: int
    since: datetime | None


def left_for_people(database: Database) -> dict[str, LeftForPeople]:
    """What is open, by kind: dead letters, messages set aside, facts that wait, e-mails that failed or are in doubt,
    alarms that stand, instructions without an answer, goodwill credits nobody has decided about.
    """
    left = {}
    with database.reading() as transaction:
        for kind, statement in _LEFT_FOR_PEOPLE.items():
            ((count, since),) = transaction.rows(statement)
            left[kind] = LeftForPeople(count, from_microseconds(since) if since is not None else None)
    return left


_OPEN = "WHERE NOT EXISTS (SELECT 1 FROM closures WHERE kept = '{}' AND kept_id = {})"
_LEFT_FOR_PEOPLE = {
    "dead letters": "SELECT COUNT(*), MIN(refused_at) FROM dead_letters "
    + _OPEN.format("dead-letter", "dead_letter_id"),
    "set aside": "SELECT COUNT(*), MIN(set_aside_at) FROM set_aside " + _OPEN.format("set-aside", "set_aside_id"),
    "waiting": "SELECT COUNT(*), MIN(since) FROM waiting",
    "e-mails": "SELECT COUNT(*), MIN(queued_at) FROM notices WHERE status IN ('failed', 'in_doubt')",
    "alarms": f"SELECT COUNT(*), MIN(since) FROM {alarms_.ALARMS.stored_name(alarms_.ROWS)}",
    "instructions": "SELECT COUNT(*), MIN(issued_at) "
    f"FROM {instructions_.INSTRUCTIONS.stored_name(instructions_.ISSUED)} AS issued WHERE NOT EXISTS "
    f"(SELECT 1 FROM {instructions_.INSTRUCTIONS.stored_name(instructions_.ANSWERS)} AS answer "
    "WHERE answer.account = issued.account AND answer.instruction_id = issued.instruction_id "
    f"AND {retractions_.still_said('answer')})",
    # Whether one is decided its claim says: a proposal may be left out, and a verdict count for nothing.
    "goodwill": "SELECT COUNT(*), MIN(since) FROM (SELECT MIN(message_time) AS since "
    f"FROM {goodwill_.GOODWILL.stored_name(goodwill_.FACTS)} AS proposed "
    f"JOIN {claims_.CLAIMS.stored_name(claims_.ROWS)} AS claims "
    "ON claims.account = proposed.account AND claims.claim_id = 'goodwill/' || proposed.credit_id "
    "WHERE proposed.status = 'proposed' AND claims.outcome = 'pending' "
    "GROUP BY proposed.account, proposed.credit_id) AS undecided",
}


# --- one claim, refund or credit ----------------------------------------------------------------------------------


def find_claim(database: Database, claim_id: str, account: str | None = None) -> Answer | None:
    """The claim with this id, if it stands. Raises AmbiguousId where several accounts have one."""
    where = {"account": account, "claim_id": claim_id}
    with database.reading() as transaction:
        return _only(claims_.listed(_rows(transaction, claims_.CLAIMS, where)), claim_id)


def find_refund(database: Database, refund_id: str, account: str | None = None) -> Answer | None:
    """The refund with this id, if there is one. Raises AmbiguousId where several accounts have one."""
    where = {"account": account, "refund_id": refund_id}
    with database.reading() as transaction:
        rows = _rows(transaction, refunds_.REFUNDS, where)
        return _only(refunds_.listed(rows, _never_said(transaction, rows["refunds"])), refund_id)


def find_credit(database: Database, credit_id: str, account: str | None = None) -> Answer | None:
    """The credit with this id, if there is one. Raises AmbiguousId where several accounts have one."""
    where = {"account": account, "credit_id": credit_id}
    with database.reading() as transaction:
        return _only(credits_.listed(_rows(transaction, credits_.CREDITS, where)), credit_id)


def find_complaint(database: Database, now: datetime, complaint_id: str, account: str | None = None) -> Answer | None:
    """The complaint with this id, if it was opened. Raises AmbiguousId where several accounts have one."""
    with database.reading() as transaction:
        found = _only(_complaints(transaction, account, complaint_id), complaint_id)
    return None if found is None else {**found, "age_seconds": complaints_.open_seconds(found, now)}


def accounts_with_claim(database: Database, claim_id: str) -> list[str]:
    """The accounts in which a claim of this id was ever decided about, those in which it fell away included."""
    with database.reading() as transaction:
        rows = transaction.rows(
            f"SELECT DISTINCT account FROM {AUDIT_TRAIL.stored_name(AUDIT_ROWS)} WHERE claim_id = ?", (claim_id,)
        )
    return sorted(row[0] for row in rows)


def _only(found: Sequence[Answer], asked: str) -> Answer | None:
    if len(found) > 1:
        accounts = [answer["account_id"] for answer in found]
        named = ", ".join(accounts[:5]) + (f" and {len(accounts) - 5} more" if len(accounts) > 5 else "")
        raise AmbiguousId(f"{len(accounts)} accounts have {asked}: {named}; choose one with --account")
    return found[0] if found else None


# --- one account --------------------------------------------------------------------------------------------------


def account(database: Database, account_id: str) -> Answer:
    """An account as its rows stand. Raises UnknownAccount."""
    with database.reading() as transaction:
        return _account(transaction, account_id)


def _account(transaction: Transaction, account_id: str) -> Answer:
    state: dict[str, Any] = {}
    for projection in FOLDED:
        state |= _rows(transaction, projection, {"account": account_id})
    if not any(state.values()) and not _trail(transaction, account_id, limit=1):
        raise _unknown(account_id)
    return account_state(state, account_id)


@dataclass(frozen=True, slots=True)
class AccountFound:
    """An account as it is shown, and of which version that is, where the rows tell one."""

    answer: Answer
    version: int | None


def account_in_full(database: Database, account_id: str, then: Answer | None = None) -> AccountFound:
    """An account as `makegood account` shows it, with how many of its messages are set aside.

    `then` is the account as it was at another time, in place of how its rows stand. The version is how many of the
    account's events the rows have in them; none is told where one projection is ahead of another, nor for an account
    as it was at another time. Raises UnknownAccount.
    """
    with database.reading() as transaction:
        found = then if then is not None else _account(transaction, account_id)
        ((aside,),) = transaction.rows(
            f"SELECT COUNT(*) FROM set_aside {_OPEN.format('set-aside', 'set_aside_id')} AND account = ?",
            (account_id,),
        )
        version = None if then is not None else _version_folded(transaction, account_id)
    return AccountFound({**found, "set_aside": aside}, version)


def _version_folded(transaction: Transaction, account_id: str) -> int | None:
    stand = positions_of(transaction, CATALOG).values()
    if any(positions != next(iter(stand)) for positions in stand):
        return None
    rows = transaction.rows(
        f"SELECT MAX(account_version) FROM {AUDIT_TRAIL.stored_name(AUDIT_ROWS)} WHERE account = ?", (account_id,)
    )
    return int(rows[0][0]) if rows[0][0] is not None else None


def recorded(database: Database, account_id: str, to: int | None = None) -> list[StoredEnvelope]:
    """What was recorded of an account, in order: all of it, or its first events. Raises UnknownAccount."""
    envelopes = list(follow_account(database, account_id, to_version=to))
    if not envelopes:
        raise _unknown(account_id)
    return envelopes


def account_recorded(envelopes: Iterable[StoredEnvelope], account_id: str) -> Answer:
    """An account as these events left it, decisions included: read as it was recorded up to one of its events."""
    last = deque(fold_account(envelopes, FOLDED), maxlen=1)
    return account_state(last[0].state() if last else {}, account_id)


def account_assessed(events: Iterable[LedgerEvent], account_id: str) -> Answer:
    """An account as these facts and decisions have it, which nobody recorded: its claims have no position."""
    told = (Unrecorded(event, number) for number, event in enumerate(events, 1))
    last = deque(fold_account(told, ASSESSED), maxlen=1)
    return account_state(last[0].state() if last else {}, account_id)


def replay(
    database: Database, account_id: str, to: int | None = None, *, with_state: bool = False
) -> Iterator[Answer]:
    """An account event by event: what each one changed, and on demand how the account stood after it.

    Raises UnknownAccount.
    """
    steps = fold_account(recorded(database, account_id, to), FOLDED)
    return (_step(step, account_id, with_state) for step in steps)


def _step(step: Step, account_id: str, with_state: bool) -> Answer:
    answer = {
        "version": step.stored.account_version,
        "position": f"{step.stored.shard}:{step.stored.position}",
        "type": step.event.type,
        "name": type(step.event).__name__,
        "event_id": step.event.event_id,
        "occurred_at": instant_to_text(step.event.occurred_at),
        "recorded_at": instant_to_text(step.event.recorded_at),
        "changed": _changed(step),
    }
    return {**answer, "state": account_state(step.state(), account_id)} if with_state else answer


def history(
    database: Database, account_id: str, claim_id: str | None = None, *, page: Page | None = None
) -> list[Answer]:
    """An account's audit trail in order: every fact and decision, or those about one claim. Raises UnknownAccount."""
    with database.reading() as transaction:
        if page is None:
            rows = _trail(transaction, account_id)
        else:
            after = int(page.after[0]) if page.after is not None else 0
            rows = _trail(transaction, account_id, page.limit, after)
        known = bool(rows) or (page is not None and bool(_trail(transaction, account_id, limit=1)))
    if not known:
        raise _unknown(account_id)
    trail = [_trail_row(row) for row in rows]
    return [row for row in trail if claim_id is None or claim_id in _claims_of(row)]


def _claims_of(row: Answer) -> set[str]:
    """The claims that an event is about: one by name, or those that it settles otherwise."""
    return {row["claim_id"], *(claim["claim_id"] for claim in row["data"].get("claims", ()))}


def _trail(transaction: Transaction, account_id: str, limit: int = 2**62, after: int = 0) -> list[Answer]:
    """Rows of the audit trail's index, with the events that they point to."""
    columns = tuple(AUDIT_ROWS.columns)
    found = transaction.rows(
        f"SELECT {', '.join(f'trail.{column}' for column in columns)}, events.envelope "
        f"FROM {AUDIT_TRAIL.stored_name(AUDIT_ROWS)} AS trail "
        "JOIN events ON events.shard = trail.shard AND events.position = trail.position "
        "WHERE trail.account = ? AND trail.account_version > ? ORDER BY trail.account_version LIMIT ?",
        (account_id, after, limit),
    )
    return [dict(zip((*columns, "envelope"), row, strict=True)) for row in found]


def _trail_row(row: Answer) -> Answer:
    envelope = from_json(bytes(row["envelope"]))
    event = STORED_TYPES.get(row["type"])
    return {
        "position": f"{row['shard']}:{row['position']}",
        "version": row["account_version"],
        "kind": row["kind"],
        "type": row["type"],
        "name": event.__name__ if event is not None else row["type"],
        "event_id": row["event_id"],
        "stream": envelope["stream"],
        "occurred_at": shown_instant(row["occurred_at"]),
        "recorded_at": shown_instant(row["recorded_at"]),
        "actor": row["actor"],
        "channel": row["channel"],
        "cause": envelope["causation_id"],
        "claim_id": row["claim_id"],
        "data": envelope["data"],
    }


def _changed(step: Step) -> list[Answer]:
    """The rows that an event put or deleted, instants as they are shown."""
    return [
        {
            "table": table.name,
            "key": dict(zip(table.key, key, strict=True)),
            "row": {
                column: shown_instant(value) if table.columns[column] == "INSTANT" else value
                for column, value in table.row(values).items()
            }
            if values is not None
            else None,
        }
        for table, changes in step.changes.items()
        for key, values in changes.items()
    ]


def _unknown(account_id: str) -> UnknownAccount:
    return UnknownAccount(f"account {account_id} not found; account ids are case-sensitive")


# --- rows ---------------------------------------------------------------------------------------------------------


def _rows(
    transaction: Transaction,
    projection: Projection,
    where: Mapping[str, str | None],
    accounts: Accounts = None,
    page: Page | None = None,
    only: str | None = None,
) -> State:
    """The rows of a projection's tables, by those of the columns asked for that a table has.

    A page is one of the first table's rows, by its key, of those for which `only` is true; of the other tables there
    are the rows of the accounts on it.
    """
    state: dict[str, list[Row]] = {}
    for table in projection.tables:
        conditions, values = _conditions(
            {column: value for column, value in where.items() if column in table.columns}, accounts
        )
        ending = ""
        if page is not None and table is projection.tables[0]:
            key = ", ".join(table.key)
            if page.after is not None:
                conditions.append(f"({key}) > ({', '.join('?' for _ in table.key)})")
                values += page.after
            if only is not None:
                conditions.append(only)
            ending = f" ORDER BY {key} LIMIT {page.limit}"
        elif page is not None:
            shown = [str(row["account"]) for row in state[projection.tables[0].name]]
            conditions.append("account BETWEEN ? AND ?")
            values += [min(shown, default=""), max(shown, default="")]
        found = transaction.rows(
            f"SELECT {', '.join(table.columns)} FROM {projection.stored_name(table)}{_where(conditions)}{ending}",
            values,
        )
        state[table.name] = [table.row(values) for values in found]
    return state


def _conditions(where: Mapping[str, str | None], accounts: Accounts) -> tuple[list[str], list[Value]]:
    """What a row must be, and the values that stand for the marks in it."""
    asked = {column: value for column, value in where.items() if value is not None}
    conditions, values = [f"{column} = ?" for column in asked], list[Value](asked.values())
    if accounts is not None:
        conditions.append(f"account IN ({', '.join('?' for _ in accounts)})" if accounts else "1 = 0")
        values += sorted(accounts)
    return conditions, values


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
