"""One account in full, as `makegood account` shows it: made from rows, wherever they come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from ledger.values import zero
from projections import accounts, alarms, claims, complaints, credits, goodwill, instructions, refunds, retractions
from projections.catalog import CATALOG
from projections.projection import State

EMPTY: State = {table.name: () for projection in CATALOG for table in projection.tables}


def account_state(state: State, account_id: str) -> dict[str, Any]:
    """The account whose rows these are. Tables that are not given are taken for empty."""
    state = {**EMPTY, **state}
    left_out, gone = alarms.left_out(state), retractions.never_said(state)
    known = accounts.registered(state, gone)
    charged = accounts.charges(state, left_out)
    paid = accounts.payments(state, left_out)
    claimed = claims.listed(state)
    refunded = refunds.listed(state, gone)
    credited = credits.listed(state)
    applications = {each["application_id"] for each in state["credit_applications"]}
    came_in = [each for each in paid if each["method"] != "balance" or each["payment_id"] not in applications]
    invoices = accounts.invoices(state)
    totals: dict[str, dict[str, Decimal]] = {
        "charged": _totals((invoice["currency"], invoice["charged"]) for invoice in invoices),
        "captured": _totals((p["currency"], p["amount"]) for p in came_in if p["status"] == "captured"),
        "reduced": _totals((invoice["currency"], invoice["reduced"]) for invoice in invoices),
        "owed": _totals((invoice["currency"], invoice["asks_for"]) for invoice in invoices),
        "captured_in_excess": _totals(
            (invoice["currency"], invoice["excess"]) for invoice in invoices if invoice["excess_credit"] is None
        ),
        "refund_due": _totals((r["currency"], r["total"]) for r in refunded if r["status"] != "succeeded"),
        "refunded": _totals((r["currency"], r["total"]) for r in refunded if r["status"] == "succeeded"),
        "credit_used": _totals((credit["currency"], credit["used"]) for credit in credited),
        "credit_left": _totals((credit["currency"], credit["left"]) for credit in credited),
        "overpaid": _totals((claim["currency"], claim["overpaid"]) for claim in claims.overpaid(state)),
    }
    currencies = {currency for total in totals.values() for currency in total}
    if known["currency"] is not None:
        currencies.add(known["currency"])
    return {
        "account_id": account_id,
        **known,
        "balances": [
            {
                "currency": currency,
                **{name: str(zero(currency) + total.get(currency, 0)) for name, total in totals.items()},
            }
            for currency in sorted(currencies)
        ],
        "subscriptions": accounts.subscriptions(state, gone),
        "charges": charged,
        "payments": paid,
        "invoices": invoices,
        "claims": claimed,
        "refunds": refunded,
        "credits": credited,
        "complaints": complaints.listed(state, left_out),
        "goodwill": goodwill.listed(state, left_out),
        "alarms": alarms.listed(state),
        "instructions": [each for each in instructions.listed(state, gone) if each["status"] == "open"],
    }


def _totals(amounts: Iterable[tuple[Any, ...]]) -> dict[str, Decimal]:
    """Exact sums by currency, of amounts that follow their currency."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for currency, *parts in amounts:
        totals[str(currency)] += sum((Decimal(part) for part in parts), Decimal(0))
    return totals
