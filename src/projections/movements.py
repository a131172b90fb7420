"""Every movement of money that is owed, by the event that made it (contract §3b, `makegood movements`).

A movement is the difference that an event makes to one item, a claim, refund, credit or invoice, of one kind
(projections/movement_kinds.py). Beside them stands what is owed, item by item, since when and until when, so that
what was owed at any instant is found without folding anything. Both have exact numbers that databases add up
(decision 0039). An item is known by its currency too: amounts of two currencies never meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from ledger.events import (
    SETTLING,
    AgreementBound,
    ClaimAssessed,
    ClaimAssessedV1,
    ClaimDecision,
    ClaimSettlement,
    ClaimState,
    ClaimStateV1,
    CreditApplied,
    CreditAppliedV1,
    CreditUse,
    Into,
    InvoiceStanding,
    LedgerEvent,
    OverpaidRecovered,
    PartStatus,
    RefundReport,
    RefundStatus,
    RefundStatusChanged,
    RefundSubmitted,
    SettledPart,
    SettlementChanged,
    Settling,
    SubscriptionRegistered,
    claims_settled,
    clause_of,
    excess_credit_id,
)
from ledger.store.amounts import in_columns, to_minor_units
from ledger.store.instants import to_microseconds
from ledger.values import in_proportion, zero
from projections.movement_kinds import SETTLEMENTS, MovementKind, Owed
from projections.projection import Index, Place, Projection, Row, Rows, Table, Value

READING: tuple[type[LedgerEvent], ...] = (
    AgreementBound,
    ClaimDecision,
    *SETTLING,
    CreditUse,
    RefundSubmitted,
    RefundStatusChanged,
    OverpaidRecovered,
)
"""The events that move something, or tell whose it is."""

MOVEMENTS_MADE = Table(
    "movements",
    {
        "account": "TEXT",
        "event_id": "TEXT",
        "number": "INTEGER",
        "kind": "TEXT",
        "settlement": "TEXT",
        "clause": "TEXT",
        "claim_id": "TEXT",
        "item_id": "TEXT",
        "charge_id": "TEXT",
        "invoice_id": "TEXT",
        "subscription_id": "TEXT",
        "agreement": "TEXT",
        "plan": "TEXT",
        "currency": "TEXT",
        "net": "AMOUNT",
        "tax": "AMOUNT",
        "shard": "INTEGER",
        "position": "BIGINT",
        "recorded_at": "INSTANT",
        "occurred_at": "INSTANT",
    },
    key=("account", "event_id", "number"),
    appends=True,
    indexes=(
        Index("recorded", ("recorded_at", "shard", "position", "number")),
        Index("occurred", ("occurred_at", "shard", "position", "number")),
        Index("kind", ("kind", "recorded_at", "shard", "position", "number")),
        Index("currency", ("currency", "recorded_at", "shard", "position", "number")),
    ),
    finding=True,
)

NOT_RECORDED = -1
"""The shard of movements that nobody recorded, by which they are ordered."""

OWING = {
    "account": "TEXT",
    "counted_as": "TEXT",
    "item_id": "TEXT",
    "currency": "TEXT",
    "number": "INTEGER",
    "clause": "TEXT",
    "claim_id": "TEXT",
    "charge_id": "TEXT",
    "invoice_id": "TEXT",
    "subscription_id": "TEXT",
    "agreement": "TEXT",
    "plan": "TEXT",
    "net": "AMOUNT",
    "tax": "AMOUNT",
    "since": "INSTANT",
    "event_id": "TEXT",
    "shard": "INTEGER",
    "position": "BIGINT",
    "recorded_at": "INSTANT",
}
"""An item as it is owed from an event on: `since` is when it came to be owed, and `number` counts the rows that its
amount takes, which is one."""

OWED_NOW = Table(
    "amounts_owed",
    {**OWING},  # type: ignore[dict-item]
    key=("account", "counted_as", "item_id", "currency", "number"),
    reads=READING,
    indexes=(
        Index("counted_as", ("counted_as", "account", "item_id", "currency", "number")),
        Index("since", ("since",)),
        Index("currency", ("currency", "account", "counted_as", "item_id", "number")),
    ),
    finding=True,
)
OWED_BEFORE = Table(
    "amounts_owed_before",
    {**OWING, "until_position": "BIGINT", "until": "INSTANT"},  # type: ignore[dict-item]
    key=("account", "counted_as", "item_id", "currency", "number", "position"),
    appends=True,
    indexes=(Index("recorded", ("recorded_at", "until")),),
    finding=True,
)

PLANS = Table(
    "movement_plans",
    {"account": "TEXT", "registration": "TEXT", "plan": "TEXT"},
    key=("account", "registration"),
    reads=(AgreementBound,),
    finding=True,
)
SUBSCRIPTIONS = Table(
    "movement_subscriptions",
    {"account": "TEXT", "subscription_id": "TEXT", "plan": "TEXT"},
    key=("account", "subscription_id"),
    reads=(AgreementBound, ClaimDecision),
    finding=True,
)
CLAIMS = Table(
    "movement_claims",
    {
        "account": "TEXT",
        "claim_id": "TEXT",
        "subscription_id": "TEXT",
        "agreement": "TEXT",
        "plan": "TEXT",
        "currency": "TEXT",
        "opened_at": "INSTANT",
        "recorded_at": "INSTANT",
    },
    key=("account", "claim_id"),
    reads=READING,
    indexes=(
        Index("agreement", ("agreement",)),
        Index("plan", ("plan",)),
        Index("recorded", ("recorded_at",)),
        Index("opened", ("opened_at",)),
    ),
    finding=True,
)
REFUNDS = Table(
    "movement_refunds",
    {
        "account": "TEXT",
        "refund_id": "TEXT",
        "currency": "TEXT",
        "claim_id": "TEXT",
        "credit_id": "TEXT",
        "charge_id": "TEXT",
        "invoice_id": "TEXT",
        "part_status": "TEXT",
        "part_net": "TEXT",
        "part_tax": "TEXT",
        "status": "TEXT",
        "net": "TEXT",
        "tax": "TEXT",
        "attempt": "INTEGER",
        "since": "INSTANT",
    },
    key=("account", "refund_id", "currency"),
    reads=READING,
    finding=True,
)
CREDITS = Table(
    "movement_credits",
    {
        "account": "TEXT",
        "credit_id": "TEXT",
        "currency": "TEXT",
        "claim_id": "TEXT",
        "charge_id": "TEXT",
        "invoice_id": "TEXT",
        "net": "TEXT",
        "tax": "TEXT",
        "used_net": "TEXT",
        "used_tax": "TEXT",
        "applied_net": "TEXT",
        "applied_tax": "TEXT",
        "kept_back_net": "TEXT",
        "kept_back_tax": "TEXT",
        "applying": "TEXT",
        "applied_to_charge": "TEXT",
        "applied_to_invoice": "TEXT",
        "since": "INSTANT",
    },
    key=("account", "credit_id", "currency"),
    reads=READING,
    finding=True,
)
REPORTS = Table(
    "movement_reports",
    {"account": "TEXT", "event_id": "TEXT"},
    key=("account", "event_id"),
    reads=SETTLING,
    finding=True,
)
"""The reports of payment processors: a settlement that one of them causes gives back nothing that was applied."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount's net and tax."""

    net: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        """Both together."""
        return self.net + self.tax

    def __add__(self, other: Money) -> Money:
        return Money(self.net + other.net, self.tax + other.tax)

    def __sub__(self, other: Money) -> Money:
        return Money(self.net - other.net, self.tax - other.tax)

    def __neg__(self) -> Money:
        return Money(-self.net, -self.tax)

    def __bool__(self) -> bool:
        return bool(self.net or self.tax)


NOTHING = Money(Decimal(0), Decimal(0))


@dataclass(frozen=True, slots=True)
class Item:
    """What a movement is of."""

    claim_id: str | None
    item_id: str | None
    charge_id: str | None
    invoice_id: str | None


class Telling:
    """One event, and the movements that it makes, counted."""

    def __init__(self, rows: Rows, place: Place, event: LedgerEvent, currency: str) -> None:
        self.rows = rows
        self.event = event
        self.account = event.account
        self.currency = currency
        self.at = to_microseconds(event.recorded_at)
        self._place = place
        self._number = 0

    def move(self, kind: MovementKind, amount: Money, of: Item, currency: str | None = None) -> None:
        """Note a movement, in another currency than the event's where one is given; of nothing there is none."""
        if not amount:
            return
        currency = currency or self.currency
        net, tax = (to_minor_units(each, currency) for each in (amount.net, amount.tax))
        for of_net, of_tax in in_columns(net, tax):
            self._number += 1
            self.rows.put(
                MOVEMENTS_MADE,
                {
                    "account": self.account,
                    "event_id": self.event.event_id,
                    "number": self._number,
                    "kind": kind,
                    "settlement": SETTLEMENTS.get(kind),
                    **self._of_claim(of.claim_id),
                    "item_id": of.item_id,
                    "charge_id": of.charge_id,
                    "invoice_id": of.invoice_id,
                    "currency": currency,
                    "net": of_net,
                    "tax": of_tax,
                    "shard": self._place.shard if self._place.shard is not None else NOT_RECORDED,
                    "position": self._place.position,
                    "recorded_at": self.at,
                    "occurred_at": to_microseconds(self.event.occurred_at),
                },
            )

    def _of_claim(self, claim_id: str | None) -> dict[str, Value]:
        """Whose a movement is; the excess of an invoice belongs to no claim."""
        terms = self.rows.get(CLAIMS, self.account, claim_id) if claim_id is not None else None
        return {
            "clause": clause_of(claim_id) if claim_id is not None else None,
            "claim_id": claim_id,
            "subscription_id": terms["subscription_id"] if terms is not None else None,
            "agreement": terms["agreement"] if terms is not None else None,
            "plan": terms["plan"] if terms is not None else None,
        }

    def owe(self, counted_as: Owed, item_id: str, amount: Money, of: Item, since: int) -> None:
        """Have an item owed with this amount from now on; with nothing, no more."""
        whose = {**self._of_claim(of.claim_id), "charge_id": of.charge_id, "invoice_id": of.invoice_id}
        net, tax = (to_minor_units(each, self.currency) for each in (amount.net, amount.tax))
        after = list(in_columns(net, tax)) if amount.total else []
        before = self.rows_owed(counted_as, item_id)
        said = [(row["net"], row["tax"], row["since"], {name: row[name] for name in whose}) for row in before]
        if said == [(of_net, of_tax, since, whose) for of_net, of_tax in after]:
            return
        for row in before:
            self._owe_no_more(row)
        for number, (of_net, of_tax) in enumerate(after, 1):
            self.rows.put(
                OWED_NOW,
                {
                    "account": self.account,
                    "counted_as": counted_as,
                    "item_id": item_id,
                    "currency": self.currency,
                    "number": number,
                    **whose,
                    "net": of_net,
                    "tax": of_tax,
                    "since": since,
                    "event_id": self.event.event_id,
                    "shard": self._place.shard,
                    "position": self._place.position,
                    "recorded_at": self.at,
                },
            )

    def rows_owed(self, counted_as: Owed, item_id: str) -> list[Row]:
        """The rows by which an item is owed so far."""
        found: list[Row] = []
        key = (self.account, counted_as, item_id, self.currency)
        while (row := self.rows.get(OWED_NOW, *key, len(found) + 1)) is not None:
            found.append(row)
        return found

    def _owe_no_more(self, row: Row) -> None:
        """What was owed by one event's word and not by a later word of the same event was never owed."""
        self.rows.delete(OWED_NOW, *OWED_NOW.key_of(row))
        if row["position"] != self._place.position:
            self.rows.put(OWED_BEFORE, {**row, "until_position": self._place.position, "until": self.at})

    def is_caused_by_report(self) -> bool:
        """Whether it is a settlement that a payment processor's report causes."""
        cause = self.event.causation_id
        return (
            isinstance(self.event, Settling)
            and cause is not None
            and self.rows.get(REPORTS, self.account, cause) is not None
        )

    def attribute(self) -> None:
        """Have what is owed belong to the agreement and plan that its claims have now."""
        for row in self.rows.of_account(OWED_NOW, self.account):
            whose = self._of_claim(row["claim_id"])
            if any(row[name] != value for name, value in whose.items()):
                self._owe_no_more(row)
                place = {"shard": self._place.shard, "position": self._place.position, "recorded_at": self.at}
                self.rows.put(OWED_NOW, {**row, **whose, **place, "event_id": self.event.event_id})


Handled = (
    SubscriptionRegistered
    | RefundReport
    | AgreementBound
    | ClaimAssessed
    | Settling
    | CreditApplied
    | CreditAppliedV1
    | RefundSubmitted
    | RefundStatusChanged
    | OverpaidRecovered
)


def fold(rows: Rows, place: Place, event: Handled) -> None:
    """Each event moves what it says otherwise than before."""
    match event:
        case SubscriptionRegistered():
            plan = {"registration": event.event_id, "plan": event.data.plan}
            rows.put(PLANS, {"account": event.account, **plan})
            return
        case RefundReport():
            rows.put(REPORTS, {"account": event.account, "event_id": event.event_id})
            return
        case AgreementBound():
            _bind(rows, event)
            Telling(rows, place, event, "").attribute()
            return
    told = Telling(rows, place, event, event.data.currency)
    match event:
        case ClaimAssessed() | ClaimAssessedV1():
            _assess(told, event)
        case RefundSubmitted():
            _submit(told, event.data)
        case RefundStatusChanged():
            _stand(told, event.data)
        case OverpaidRecovered():
            _keep_back(told, event.data)
        case CreditApplied() | CreditAppliedV1():
            _apply(told, event.data)
    if isinstance(event, Settling):
        for claim in claims_settled(event):
            _settle(told, claim, event)
    if isinstance(event, SettlementChanged) and event.data.invoice_id is not None:
        _follow_excess(told, event.data, event.data.invoice_id)


# --- claims -------------------------------------------------------------------------------------------------------


def _bind(rows: Rows, event: AgreementBound) -> None:
    """A subscription has the plan of the registration that its agreement was bound to."""
    registered = rows.get(PLANS, event.account, event.data.registration)
    if registered is None:
        return
    subscription_id, plan = event.data.subscription_id, registered["plan"]
    rows.put(SUBSCRIPTIONS, {"account": event.account, "subscription_id": subscription_id, "plan": plan})
    for claim in rows.of_account(CLAIMS, event.account):
        if claim["subscription_id"] == subscription_id:
            rows.put(CLAIMS, {**claim, "plan": plan})


def _assess(told: Telling, event: ClaimAssessed | ClaimAssessedV1) -> None:
    """What a claim is granted; where its charge has another currency by now, nothing is left in the one before."""
    data = event.data
    before = told.rows.get(CLAIMS, told.account, data.claim_id)
    was_in = before["currency"] if before is not None else data.currency
    if data.after is not None and data.after.outcome is not None:
        told.rows.put(
            CLAIMS,
            {
                "account": told.account,
                "claim_id": data.claim_id,
                "subscription_id": data.subscription_id,
                "agreement": data.terms.agreement if data.terms is not None else None,
                "plan": _plan(told, data.subscription_id),
                "currency": data.currency,
                "opened_at": before["opened_at"] if before is not None else to_microseconds(event.occurred_at),
                "recorded_at": told.at,
            },
        )
        told.attribute()
    of, was, is_now = Item(data.claim_id, None, data.charge_id, None), _granted(data.before), _granted(data.after)
    if was_in == data.currency:
        told.move("granted", is_now - was, of)
    else:
        told.move("granted", -was, of, was_in)
        told.move("granted", is_now, of)


def _plan(told: Telling, subscription_id: str | None) -> str | None:
    known = told.rows.get(SUBSCRIPTIONS, told.account, subscription_id) if subscription_id is not None else None
    return str(known["plan"]) if known is not None else None


def _granted(state: ClaimState | ClaimStateV1 | None) -> Money:
    if state is None or state.outcome != "granted":
        return NOTHING
    return Money(state.amount, state.tax)


def _settle(told: Telling, claim: ClaimSettlement, event: Settling) -> None:
    """How a claim is made good otherwise than before, way by way."""
    invoice_id = event.data.invoice_id if isinstance(event, SettlementChanged) else None
    of = Item(claim.claim_id, None, claim.charge_id, invoice_id)

    def change(*ways: Into, id_: str | None = None) -> Money:
        return _sum(claim.after, *ways, id_=id_) - _sum(claim.before, *ways, id_=id_)

    for reduced_id in _ids(claim, "invoice_reduction"):
        reduced = Item(claim.claim_id, None, claim.charge_id, reduced_id)
        told.move("reduced", change("invoice_reduction", id_=reduced_id), reduced)
    told.move("set_off", change("offset"), of)
    told.move("corrected", change("correction"), of)
    told.move("overpaid", -change("overpaid", "recovered", "written_off"), of)
    told.move("recovered", -change("recovered"), of)
    told.move("written_off", -change("written_off"), of)
    if (owed := -_sum(claim.after, "overpaid")) or _sum(claim.before, "overpaid"):
        item_id = f"overpaid/{claim.claim_id}"
        told.owe("overpaid", item_id, owed, of, _since(told, "overpaid", item_id))
    for refund_id in _ids(claim, "refund"):
        _follow_refund(told, claim, refund_id, invoice_id)
    for credit_id in _ids(claim, "credit"):
        parts = [part for part in claim.after if part.into == "credit" and part.id == credit_id]
        used = None  # older versions said of an application only when it was made
        if isinstance(event, SettlementChanged):
            used = _sum([part for part in parts if part.status == "gone_out"], "credit")
        _follow_credit(
            told, Item(claim.claim_id, credit_id, claim.charge_id, invoice_id), _sum(parts, "credit"), used
        )


def _sum(parts: Iterable[SettledPart], *ways: Into, id_: str | None = None) -> Money:
    amounts = (Money(part.net, part.tax) for part in parts if part.into in ways and id_ in (None, part.id))
    return sum(amounts, NOTHING)


def _ids(claim: ClaimSettlement, way: Into) -> list[str]:
    """What a claim was or is settled by in one way, in the order in which the event says it."""
    return list(dict.fromkeys(part.id for part in (*claim.before, *claim.after) if part.into == way))


def _since(told: Telling, counted_as: Owed, item_id: str) -> int:
    """Since when an item is owed that may be owed already."""
    before = told.rows_owed(counted_as, item_id)
    return before[0]["since"] if before else told.at


# --- refunds ------------------------------------------------------------------------------------------------------

SHOWN_AS: Mapping[PartStatus, RefundStatus] = {
    "open": "due",
    "failed": "failed",
    "rejected": "rejected",
    "gone_out": "succeeded",
}
"""How a refund stands that nobody decided about and that was not submitted."""
OWING_STATUSES = frozenset[RefundStatus]({"due", "approved", "submitted", "failed"})
"""The statuses of a refund that is owed."""


def _follow_refund(told: Telling, claim: ClaimSettlement, refund_id: str, invoice_id: str | None) -> None:
    """A refund follows the part of its claim that it pays."""
    part = next((part for part in claim.after if part.into == "refund" and part.id == refund_id), None)
    before = _refund(told, refund_id)
    _put_refund(
        told,
        before,
        {
            **before,
            "claim_id": claim.claim_id,
            "charge_id": claim.charge_id,
            "invoice_id": invoice_id,
            "part_status": SHOWN_AS[part.status] if part is not None else None,
            "part_net": str(part.net) if part is not None else None,
            "part_tax": str(part.tax) if part is not None else None,
        },
    )


def _submit(told: Telling, data: RefundSubmitted.Data) -> None:
    """From its submission on a refund has gone out; of a credit, that much is used from here on."""
    before = _refund(told, data.refund_id)
    after = {
        **before,
        "claim_id": data.claim_id,
        "credit_id": data.credit_id,
        "charge_id": data.charge_id,
        "invoice_id": data.invoice_id,
        "status": "submitted",
        "net": str(data.net),
        "tax": str(data.tax),
        "attempt": data.attempt,
    }
    credit = _refunded_credit(told, data.credit_id)
    if credit is not None and before["status"] not in ("submitted", "succeeded"):
        used = _money(credit, "used_") + Money(data.net, data.tax)
        told.rows.put(CREDITS, _with(credit, _money(credit), used))
    _put_refund(told, before, after)


def _stand(told: Telling, data: RefundStatusChanged.Data) -> None:
    """A refund stands as was last recorded of it, where anything was; else as its claim's part."""
    before = _refund(told, data.refund_id)
    after = {
        **before,
        "claim_id": data.claim_id,
        "credit_id": data.credit_id,
        "charge_id": data.charge_id,
        "status": data.after,
        "net": str(data.net) if data.after is not None else None,
        "tax": str(data.tax) if data.after is not None else None,
        "attempt": data.attempt,
    }
    _put_refund(told, before, after)


def _refund(told: Telling, refund_id: str) -> Row:
    key = {"account": told.account, "refund_id": refund_id, "currency": told.currency}
    return told.rows.get(REFUNDS, *key.values()) or {**dict.fromkeys(REFUNDS.columns), **key, "attempt": 0}


def _standing(refund: Row) -> tuple[RefundStatus | None, Money]:
    """Status and amount of a refund; nothing of one that there is no more."""
    if refund["status"] is not None:
        return refund["status"], _money(refund)
    if refund["part_status"] is not None:
        return refund["part_status"], _money(refund, "part_")
    return None, NOTHING


def _put_refund(told: Telling, before: Row, after: Row) -> None:
    """Have a refund stand otherwise, and note what that moves."""
    status, amount = _standing(after)
    since = before["since"] if before["since"] is not None else told.at
    if status is not None:
        told.rows.put(REFUNDS, {**after, "since": since})
    else:
        told.rows.delete(REFUNDS, *REFUNDS.key_of(after))
    credit_id = after["credit_id"]
    of = Item(_claim_of(told, after), after["refund_id"], after["charge_id"], after["invoice_id"])
    were, are = _moved_by(before, credit_id), _moved_by(after, credit_id)
    for kind, moved in are.items():
        told.move(kind, moved - were[kind], of)
    owed = amount if status in OWING_STATUSES else NOTHING
    told.owe("refunds_due", after["refund_id"], owed, of, since)
    if (credit := _refunded_credit(told, credit_id)) is not None:
        _put_credit(told, credit, Item(credit["claim_id"], credit_id, credit["charge_id"], credit["invoice_id"]))


def _refunded_credit(told: Telling, credit_id: str | None) -> Row | None:
    """The credit that a refund is of; that of a claim is of none."""
    return told.rows.get(CREDITS, told.account, credit_id, told.currency) if credit_id is not None else None


def _claim_of(told: Telling, refund: Row) -> str | None:
    """The claim that a refund, or the credit that it is of, is for."""
    credit = _refunded_credit(told, refund["credit_id"])
    claim_id: str | None = credit["claim_id"] if credit is not None else refund["claim_id"]
    return claim_id


def _moved_by(refund: Row, credit_id: str | None) -> dict[MovementKind, Money]:
    """All that a refund has moved, as it stands."""
    status, amount = _standing(refund)
    submitted = status in ("submitted", "succeeded") and refund["attempt"] > 0
    moved: dict[MovementKind, bool] = {"submitted": submitted}
    if credit_id is None:
        moved |= {"refund_due": True, "rejected": status == "rejected", "refunded": status == "succeeded"}
    else:
        moved |= {"credit_refund_due": status != "rejected", "credit_refunded": status == "succeeded"}
    return {kind: amount if holds else NOTHING for kind, holds in moved.items()}


# --- credits ------------------------------------------------------------------------------------------------------


def _follow_credit(told: Telling, of: Item, amount: Money, used: Money | None) -> None:
    """A credit follows the parts of its claim that it makes good; `used` is None where that is not said."""
    before = _credit_of(told, of)
    if not amount:
        used = NOTHING
    told.move("credited", amount - _money(before), of)
    _put_credit(told, _with(before, amount, used if used is not None else _money(before, "used_")), of)


def _follow_excess(told: Telling, data: SettlementChanged.Data, invoice_id: str) -> None:
    """What was paid on an invoice in excess, and the credit for it, which belongs to no claim and has no tax.

    An invoice without a charge stands as long as something of the credit is used: once it is gone, nothing is.
    """
    of = Item(None, excess_credit_id(invoice_id), None, invoice_id)
    if not (_has_excess(data.before) or _has_excess(data.after)) and not _is_known(told, _item_id(of)):
        return  # as on most invoices
    before = _credit_of(told, of)
    used = Money(data.after.excess_used, zero(data.currency)) if data.after is not None else NOTHING
    was_open, is_open = _excess(data.before), _excess(data.after)
    credited = used
    if data.after is not None and data.after.excess_credit is not None:
        credited = Money(data.after.excess_credit, zero(data.currency))
    told.move("paid_in_excess", is_open + credited - was_open - _money(before), of)
    told.move("excess_credited", credited - _money(before), of)
    if was_open or is_open:
        told.owe("excess", _item_id(of), is_open, of, _since(told, "excess", _item_id(of)))
    _put_credit(told, _with(before, credited, used), of)


def _has_excess(standing: InvoiceStanding | None) -> bool:
    """Whether there is excess, or was, as a credit that may be used."""
    return standing is not None and bool(standing.excess or standing.excess_used or standing.excess_credit)


def _is_known(told: Telling, credit_id: str) -> bool:
    """Whether there is a credit, or a refund of one that is no more."""
    return told.rows.get(CREDITS, told.account, credit_id, told.currency) is not None or any(
        row["credit_id"] == credit_id for row in told.rows.of_account(REFUNDS, told.account)
    )


def _excess(standing: InvoiceStanding | None) -> Money:
    """The excess that is not yet a credit."""
    if standing is None or standing.excess_credit is not None:
        return NOTHING
    return Money(standing.excess, Decimal(0))


def _apply(told: Telling, data: CreditApplied.Data | CreditAppliedV1.Data) -> None:
    """To which charge a credit is applied; how much of it is used then, the settlement that follows says.

    Nothing is, where billing had said before that this payment failed. An older version said it only here.
    """
    credit = told.rows.get(CREDITS, told.account, data.credit_id, told.currency)
    if credit is None:
        return
    if isinstance(data, CreditApplied.Data):
        applying = {"applying": told.event.correlation_id}
        applying |= {"applied_to_charge": data.charge_id, "applied_to_invoice": data.invoice_id}
        told.rows.put(CREDITS, {**credit, **applying})
        return
    amount = _in_proportion(data.amount, _money(credit), data.currency)
    of = Item(data.claim_id, data.credit_id, data.charge_id, data.invoice_id)
    _put_credit(told, _with(credit, _money(credit), _money(credit, "used_") + amount), of)


def _in_proportion(gross: Decimal, whole: Money, currency: str) -> Money:
    """Net and tax of part of a credit of which an older version recorded no more than what it came to."""
    tax = max(in_proportion(gross, whole.tax, whole.total, currency, "half_up"), zero(currency))
    return Money(gross - tax, tax)


def _keep_back(told: Telling, data: OverpaidRecovered.Data) -> None:
    """What was kept back of a credit is used; that it was recovered says the settlement of the other claim."""
    of = Item(data.of_claim_id, data.credit_id, None, None)
    credit, amount = _credit_of(told, of), Money(data.net, data.tax)
    kept_back = _money(credit, "kept_back_") + amount
    credit = {**credit, "kept_back_net": str(kept_back.net), "kept_back_tax": str(kept_back.tax)}
    _put_credit(told, _with(credit, _money(credit), _money(credit, "used_") + amount), of)


def _credit_of(told: Telling, of: Item) -> Row:
    """A credit as it stands, or as it begins."""
    key = {"account": told.account, "credit_id": _item_id(of), "currency": told.currency}
    if (standing := told.rows.get(CREDITS, *key.values())) is not None:
        return standing
    nothing = str(zero(told.currency))
    amounts = {column: nothing for column in CREDITS.columns if column.endswith(("net", "tax"))}
    begun = {**key, "charge_id": of.charge_id, "invoice_id": of.invoice_id, **amounts, **_APPLYING_NOTHING}
    return {**begun, "since": told.at, "claim_id": of.claim_id}


_APPLYING_NOTHING: Mapping[str, Value] = {"applying": None, "applied_to_charge": None, "applied_to_invoice": None}


def _with(credit: Row, amount: Money, used: Money) -> Row:
    """A credit with another amount, of which so much is used."""
    used_columns = {"used_net": str(used.net), "used_tax": str(used.tax)}
    return {**credit, "net": str(amount.net), "tax": str(amount.tax), **used_columns}


def _put_credit(told: Telling, credit: Row, of: Item) -> None:
    """Have a credit stand otherwise, and note what was applied of it or given back: what was used of it but for what
    was refunded and kept back.

    Where a report of the payment processor has a refund bounce, that is used no more, and a moment later the refund
    stands so: nothing that was applied was given back between the two.
    """
    refunds = [row for row in told.rows.of_account(REFUNDS, told.account) if row["credit_id"] == credit["credit_id"]]
    amount, used = _money(credit), _money(credit, "used_")
    out = _total_standing(refunds, "submitted", "succeeded")
    kept_back = _kept_back(credit)
    told.move("kept_back", kept_back - _kept_back(told.rows.get(CREDITS, *CREDITS.key_of(credit))), of)
    applied = used - out - kept_back
    if told.is_caused_by_report():
        applied = _money(credit, "applied_")
    change = applied - _money(credit, "applied_")
    if change and credit["applying"] == told.event.correlation_id:
        of = Item(of.claim_id, of.item_id, credit["applied_to_charge"], credit["applied_to_invoice"])
        credit = {**credit, **_APPLYING_NOTHING}
    told.move("applied", change, of)
    left = amount - used - _total_standing(refunds, "due", "approved", "failed")
    if amount or used or applied or left or _money(credit, "kept_back_"):
        told.rows.put(CREDITS, {**credit, "applied_net": str(applied.net), "applied_tax": str(applied.tax)})
    else:
        told.rows.delete(CREDITS, *CREDITS.key_of(credit))
    belongs = Item(credit["claim_id"], credit["credit_id"], credit["charge_id"], credit["invoice_id"])
    told.owe("credits_left", credit["credit_id"], left, belongs, credit["since"])


def _kept_back(credit: Row | None) -> Money:
    """What is kept back of a credit, for as long as the credit is there: its claim may be in another currency now."""
    return _money(credit, "kept_back_") if credit is not None and _money(credit, "used_") else NOTHING


def _total_standing(refunds: Iterable[Row], *statuses: RefundStatus) -> Money:
    standing = (_standing(refund) for refund in refunds)
    return sum((amount for status, amount in standing if status in statuses), NOTHING)


def _money(row: Row, beginning: str = "") -> Money:
    """The amount in the columns for net and tax that begin so."""
    return Money(Decimal(row[f"{beginning}net"]), Decimal(row[f"{beginning}tax"]))


def _item_id(of: Item) -> str:
    assert of.item_id is not None, "a credit has an id"
    return of.item_id


MOVEMENTS = Projection(
    "movements",
    2,
    (MOVEMENTS_MADE, OWED_NOW, OWED_BEFORE, PLANS, SUBSCRIPTIONS, CLAIMS, REFUNDS, CREDITS, REPORTS),
    (SubscriptionRegistered, RefundReport, *READING),
    fold,
)
