"""One account in full, as `makegood account` shows it: made from rows, wherever they come from."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import LedgerEvent
from ledger.store.database import Database, Transaction
from ledger.store.reading.events import StoredEnvelope, follow_account
from ledger.values import zero
from projections import (
    access,
    accounts,
    alarms,
    claims,
    complaints,
    credits,
    goodwill,
    instructions,
    outages,
    overpaid,
    periods,
    reconciliation,
    refunds,
    retractions,
)
from projections.asking import state_of, unknown
from projections.audit_trail import AUDIT_TRAIL, version_folded
from projections.catalog import CATALOG
from projections.follower import positions_of
from projections.movements import MOVEMENTS
from projections.projection import State, Unrecorded, fold_account
from projections.shown_values import Amount, Currency, Position

FOLDED = tuple(projection for projection in CATALOG if projection not in (AUDIT_TRAIL, MOVEMENTS))
"""What an account's state is made of; the audit trail is the events themselves, and movements lead up to it."""

NOT_TOLD = (access.ACCESS, outages.OUTAGES, periods.PERIODS, reconciliation.RECONCILIATION)
"""What is asked for by lists of its own, and stands in no account's answer."""

TOLD = tuple(projection for projection in FOLDED if projection not in NOT_TOLD)
"""What an account's answer is made of."""

ASSESSED = tuple(projection for projection in FOLDED if projection is not instructions.INSTRUCTIONS)
"""What there is of an account that was assessed anew: nobody was told to do anything because of it."""

EMPTY: State = {table.name: () for projection in CATALOG for table in projection.tables}


class Balance(TypedDict):
    """The balance of an account in one currency."""

    currency: Currency
    charged: Amount
    captured: Amount
    reduced: Amount
    owed: Amount
    captured_in_excess: Amount
    refund_due: Amount
    refunded: Amount
    credit_used: Amount
    credit_left: Amount
    overpaid: Amount


class ClaimOfAccount(claims.ClaimHead):
    """A claim of an account, as recorded or as assessed for this answer only."""

    position: Annotated[
        Position | None, Field(description="Null if it was assessed for this answer, as of another time.")
    ]


class AccountState(accounts.Registered):
    """One account as its rows make it."""

    account_id: Annotated[str, Field(examples=["acct-0006"])]
    balances: list[Balance]
    subscriptions: list[accounts.Subscription]
    charges: list[accounts.Charge]
    payments: list[accounts.Payment]
    invoices: list[accounts.Invoice]
    claims: list[ClaimOfAccount]
    refunds: list[refunds.Refund]
    credits: list[credits.Credit]
    complaints: list[complaints.ComplaintOfAccount]
    goodwill: list[goodwill.Goodwill]
    alarms: list[alarms.Alarm]
    instructions: Annotated[list[instructions.Instruction], Field(description="Instructions without an answer.")]


@dataclass(frozen=True, slots=True)
class AccountFound:
    """An account as its rows stand, and of which version that is, where the rows tell one."""

    state: AccountState
    version: int | None


def account(database: Database, account_id: str) -> AccountFound:
    """An account as its rows stand. Raises UnknownAccount.

    The version is how many of the account's events the rows have in them; none is told where one projection is ahead
    of another.
    """
    with database.reading() as transaction:
        return account_in(transaction, account_id)


def account_in(transaction: Transaction, account_id: str) -> AccountFound:
    """The same in a state of the store that is read already."""
    version = version_folded(transaction, account_id)
    state = state_of(transaction, TOLD, [account_id])
    # The trail may be behind: then the account is known by any row that it has.
    known = version is not None or any(state.values())
    if not known and not any(state_of(transaction, NOT_TOLD, [account_id]).values()):
        raise unknown(account_id)
    held = refunds.held_in(transaction, [account_id])
    return AccountFound(account_state(state, account_id, held), version if _stand_alike(transaction) else None)


def _stand_alike(transaction: Transaction) -> bool:
    stand = list(positions_of(transaction, CATALOG).values())
    return all(positions == stand[0] for positions in stand)


def recorded(database: Database, account_id: str, to: int | None = None) -> list[StoredEnvelope]:
    """What was recorded of an account, in order: all of it, or its first events. Raises UnknownAccount."""
    envelopes = list(follow_account(database, account_id, to_version=to))
    if not envelopes:
        raise unknown(account_id)
    return envelopes


def account_recorded(envelopes: Iterable[StoredEnvelope], account_id: str, set_aside: bool = False) -> AccountState:
    """An account as these events left it, decisions included: read as it was recorded up to one of its events.

    `set_aside` says whether messages of it had been set aside, because of which its payouts waited.
    """
    last = deque(fold_account(envelopes, FOLDED), maxlen=1)
    state = last[0].state() if last else {}
    waiting = frozenset({account_id}) if set_aside else frozenset[str]()
    held = refunds.Held(waiting, alarms.stopped(state.get(alarms.ROWS.name, ())))
    return account_state(state, account_id, held)


def account_assessed(events: Iterable[LedgerEvent], account_id: str) -> AccountState:
    """An account as these facts and decisions have it, which nobody recorded: its claims have no position."""
    told = (Unrecorded(event, number) for number, event in enumerate(events, 1))
    last = deque(fold_account(told, ASSESSED), maxlen=1)
    return account_state(last[0].state() if last else {}, account_id)


def account_state(state: State, account_id: str, held: refunds.Held = refunds.NOTHING_HELD) -> AccountState:
    """The account whose rows these are. Tables that are not given are taken for empty.

    `held` says which accounts' payouts wait.
    """
    state = {**EMPTY, **state}
    left_out, gone = alarms.left_out(state), retractions.never_said(state)
    known = accounts.registered(state, gone)
    paid = accounts.payments(state, left_out)
    refunded, credited, invoices = refunds.shown(state, gone, held), credits.shown(state), accounts.invoices(state)
    applications = {row["application_id"] for row in state[credits.APPLICATIONS.name]}
    came_in = [each for each in paid if each["method"] != "balance" or each["payment_id"] not in applications]
    went_out_too_much = overpaid.shown(state)
    totals = {
        "charged": _totals((invoice["currency"], invoice["charged"]) for invoice in invoices),
        "captured": _totals((p["currency"], p["amount"]) for p in came_in if p["status"] == "captured"),
        "reduced": _totals((invoice["currency"], invoice["reduced"]) for invoice in invoices),
        "owed": _totals((invoice["currency"], invoice["asks_for"]) for invoice in invoices),
        "captured_in_excess": _totals(
            (invoice["currency"], invoice["excess"]) for invoice in invoices if invoice["excess_credit"] is None
        ),
        "refund_due": _totals((r["currency"], r["total"]) for r in refunded if refunds.is_owed(r)),
        "refunded": _totals((r["currency"], r["total"]) for r in refunded if r["status"] == "succeeded"),
        "credit_used": _totals((credit["currency"], credit["used"]) for credit in credited),
        "credit_left": _totals((credit["currency"], credit["left"]) for credit in credited),
        "overpaid": _totals((claim["currency"], claim["overpaid"]) for claim in went_out_too_much),
    }
    currencies = {currency for total in totals.values() for currency in total}
    if known["currency"] is not None:
        currencies.add(known["currency"])
    return {
        "account_id": account_id,
        **known,
        "balances": [_balance(currency, totals) for currency in sorted(currencies)],
        "subscriptions": accounts.subscriptions(state, gone),
        "charges": accounts.charges(state, left_out),
        "payments": paid,
        "invoices": invoices,
        "claims": [_claim(claim) for claim in claims.shown(state)],
        "refunds": refunded,
        "credits": credited,
        "complaints": complaints.shown(state, left_out),
        "goodwill": goodwill.shown(state, left_out),
        "alarms": alarms.shown(state),
        "instructions": [each for each in instructions.shown(state, gone) if each["status"] == "open"],
    }


def _claim(claim: claims.Claim) -> ClaimOfAccount:
    head: claims.ClaimHead = claim
    return {**head, "position": claim["position"]}


Totals = dict[str, Decimal]
"""Exact sums, by currency."""


def _balance(currency: str, totals: Mapping[str, Totals]) -> Balance:
    def total(name: str) -> str:
        return str(zero(currency) + totals[name].get(currency, 0))

    return {
        "currency": currency,
        "charged": total("charged"),
        "captured": total("captured"),
        "reduced": total("reduced"),
        "owed": total("owed"),
        "captured_in_excess": total("captured_in_excess"),
        "refund_due": total("refund_due"),
        "refunded": total("refunded"),
        "credit_used": total("credit_used"),
        "credit_left": total("credit_left"),
        "overpaid": total("overpaid"),
    }


def _totals(amounts: Iterable[tuple[str | None, str | None]]) -> Totals:
    """The sums of amounts that follow their currency."""
    totals: Totals = defaultdict(Decimal)
    for currency, amount in amounts:
        assert currency is not None, "money has a currency"
        totals[currency] += Decimal(amount or 0)
    return totals
