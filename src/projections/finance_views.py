"""The views that finance asks with tools of its own: each with its columns, and what they mean (decision 0042).

Names are those of the answers with `--json`, but that of a credit what is left is `left_over`, because `left` is a
word of SQL. Lists within a row are views of their own, and what depends on the time of asking is left out: an age is
what its asker makes of `since`.
"""

from __future__ import annotations

from collections.abc import Sequence

from projections.views import Column, View, Views


def _of(table: str, *columns: Column) -> tuple[Column, ...]:
    """Columns of a table that stands beside others under a name of its own, where they name no source."""
    return tuple(
        Column(each.name, each.kind, each.description, each.source or f"{table}.{each.name}", each.kept)
        for each in columns
    )


def _account(source: str = "account") -> Column:
    return Column("account_id", "text", "The billing account.", source)


def _text(name: str, description: str, source: str = "") -> Column:
    return Column(name, "text", description, source)


def _instant(name: str, description: str, source: str = "") -> Column:
    return Column(name, "instant", description, source)


def _integer(name: str, description: str, source: str = "") -> Column:
    return Column(name, "integer", description, source)


def _amount(name: str, description: str, source: str = "") -> Column:
    return Column(name, "amount", description, source)


def _minor(name: str, description: str, source: str = "") -> Column:
    return Column(name, "amount", description, source, "in minor units")


_CURRENCY = _text("currency", "ISO 4217; amounts of two currencies are never added up.")
_CLAIM = _text("claim_id", "The claim; null for an excess payment on an invoice.")
_CHARGE = _text("charge_id", "The charge; null if there is none.")
_POSITION = _text("position", "The event behind the row, as shard:position.")


def _counts(fact: str) -> str:
    """That a fact was neither retracted nor left out as a contradiction, of which an alarm of its account tells."""
    return (
        f"NOT EXISTS (SELECT 1 FROM {{retracted_messages}} AS gone WHERE gone.account = {fact}.account "
        f"AND gone.source = {fact}.message_source AND gone.id = {fact}.message_id) "
        f"AND NOT EXISTS (SELECT 1 FROM {{complaints_contradicted}} AS less WHERE less.account = {fact}.account "
        f"AND less.left_out = {fact}.message_source || ' ' || {fact}.message_id)"
    )


_FIRST = "message_time, message_id, message_source"
_LATEST = "message_time DESC, message_id DESC, message_source DESC"


def _counting(table: str, id_: str, order: str, only: str = "1 = 1") -> str:
    """The facts of a table that count, numbered in an order under each id of their account."""
    return (
        f"(SELECT fact.*, ROW_NUMBER() OVER (PARTITION BY account, {id_} ORDER BY {order}) AS nth "
        f"FROM {{{table}}} AS fact WHERE {only} AND {_counts('fact')})"
    )


CLAIMS = View(
    "claims",
    "The result of one clause of the policy for one charge, as it stands; one row for each claim.",
    _of(
        "claim",
        _account("claim.account"),
        _text("claim_id", "The claim, unique within its account."),
        _text("clause", "service_disruption, billing_error, unused_period or complaint."),
        _text("subscription_id", "The subscription; null if there is none."),
        _CHARGE,
        _text("outcome", "granted, declined, pending or withdrawn."),
        _amount("amount", "The net amount of the claim."),
        _amount("tax", "The tax that comes back with it."),
        _CURRENCY,
        _text("reason", "The reason for which it was declined; null unless it was."),
        _text(
            "settlement", "refund, credit, invoice_reduction or mixed; null if nothing is settled.", "way.settlement"
        ),
        _amount(
            "overpaid", "The amount that was paid out and is no longer owed; null if there is none.", "way.overpaid"
        ),
        _instant("investigate_by", "The instant by which a billing error is to be investigated; null for others."),
        _text("agreement", "The agreement by whose terms it was decided; null if none was bound."),
        _integer("agreement_version", "The version of the agreement."),
        _POSITION,
    ),
    "{claims} AS claim LEFT JOIN {claim_settlements} AS way "
    "ON way.account = claim.account AND way.claim_id = claim.claim_id AND way.currency = claim.currency",
    "claim.currency",
)

DISPUTES = View(
    "disputes",
    "A disputed charge with the status of its investigation; one row for each dispute, which is a claim too.",
    _of(
        "claim",
        _account("claim.account"),
        _text("dispute_id", "The dispute, unique within its account.", "SUBSTR(claim.claim_id, 15)"),
        _text("claim_id", "Its claim."),
        _text("subscription_id", "The subscription; null if there is none."),
        _CHARGE,
        _text(
            "status",
            "investigating, confirmed, rejected, or waiting for the charge that a confirmation names.",
            "CASE WHEN outcome = 'pending' AND investigate_by IS NOT NULL THEN 'investigating' "
            "WHEN outcome = 'pending' THEN 'waiting' WHEN reason = 'rejected' THEN 'rejected' ELSE 'confirmed' END",
        ),
        _text("outcome", "The outcome of its claim."),
        _text("reason", "The reason for which the claim was declined; null unless it was."),
        _instant("opened_at", "The instant at which it was reported or found.", "opened.opened_at"),
        _instant("investigate_by", "The instant by which it is to be investigated; null once there is a verdict."),
        _amount("amount", "The net amount of the claim."),
        _amount("tax", "The tax that comes back with it."),
        _CURRENCY,
    ),
    "{claims} AS claim LEFT JOIN {movement_claims} AS opened "
    "ON opened.account = claim.account AND opened.claim_id = claim.claim_id WHERE clause = 'billing_error'",
    "claim.currency",
)

REFUNDS = View(
    "refunds",
    "Money to be paid back or paid back; one row for each refund of a claim or of a credit.",
    _of(
        "refund",
        _account("refund.account"),
        _text("refund_id", "The refund, unique within its account."),
        _text("claim_id", "The claim; null for a refund of an excess payment's credit."),
        _text("credit_id", "The credit that is refunded; null for a claim's own refund."),
        _CHARGE,
        _amount("net", "The net amount."),
        _amount("tax", "The tax."),
        _amount("total", "Net and tax together."),
        _CURRENCY,
        _text("status", "due, approved, submitted, succeeded, failed or rejected."),
        _instant("due_at", "The instant at which it became due."),
        _text("proposal", "The hash of the event that set the amount."),
        _text("approved_by", "The member of staff who approved it, or the agreement that did; null before."),
        _instant("approved_at", "The instant at which it was approved; null before."),
        _integer("attempt", "The number of times it was submitted; null while nobody has decided about it."),
        _instant("submitted_at", "The instant at which it was last submitted; null before."),
        _instant(
            "settled_at",
            "The instant at which the payment processor paid it; null before.",
            "COALESCE(result.succeeded_at, refund.settled_at)",
        ),
        _text(
            "processor_reference",
            "The payment processor's reference; null before.",
            "COALESCE(result.processor_reference, refund.processor_reference)",
        ),
    ),
    "{refunds} AS refund LEFT JOIN "
    f"{_counting('refund_results', 'refund_id', _LATEST, 'succeeded_at IS NOT NULL')} AS result "
    "ON result.account = refund.account AND result.refund_id = refund.refund_id AND result.nth = 1 "
    "AND refund.attempt IS NULL AND refund.status = 'succeeded'",
    "refund.currency",
)

RETURNS = View(
    "returns",
    "The part of a refund that goes back to one payment; one row for each payment of the last attempt.",
    (
        _account("refund.account"),
        _text("refund_id", "The refund.", "refund.refund_id"),
        _integer("attempt", "The number of times the refund was submitted.", "refund.attempt"),
        _text("return_id", "The id under which the payment processor was asked.", "each.value ->> 'return_id'"),
        _text("payment_id", "The payment that it goes back to.", "each.value ->> 'payment_id'"),
        _text("method", "The method of the payment: card, bank, balance or other.", "each.value ->> 'method'"),
        _amount("amount", "The amount, tax included.", "(each.value ->> 'amount')"),
        _text("currency", _CURRENCY.description, "refund.currency"),
        _text("status", "submitted, succeeded or failed.", "each.value ->> 'status'"),
        _text(
            "processor_reference",
            "The payment processor's reference; null before.",
            "each.value ->> 'processor_reference'",
        ),
    ),
    "{refunds} AS refund CROSS JOIN ELEMENTS(refund.returns) AS each",
    "refund.currency",
)

CREDITS = View(
    "credits",
    "Money kept for an account's next charges; one row for each credit.",
    (
        _account(),
        _text("credit_id", "The credit, unique within its account."),
        _CLAIM,
        _CHARGE,
        _amount("net", "The net amount."),
        _amount("tax", "The tax."),
        _amount("total", "Net and tax together."),
        _CURRENCY,
        _amount("used", "The amount applied to charges, or kept back for overpaid claims."),
        _amount("refunded", "The amount submitted to be paid out, or paid out."),
        _amount("left_over", "The amount that is left."),
        _instant("granted_at", "The instant at which it was granted."),
        _instant(
            "dormant_since", "The end of the account's last subscription, if something is left since; else null."
        ),
    ),
    "{credits}",
)

CREDIT_USES = View(
    "credit_uses",
    "A use of a credit; one row for each application to a charge or an overpaid claim.",
    (
        _account(),
        _text("credit_id", "The credit."),
        _text("application_id", "The application, unique within its account."),
        _text("kind", "applied to a charge, or recovered for an overpaid claim."),
        _text("charge_id", "The charge that it was applied to; null where it was recovered."),
        _text("invoice_id", "The invoice of that charge; null where it was recovered."),
        _text("claim_id", "The overpaid claim; null where it was applied."),
        _amount("amount", "The amount, tax included."),
        _CURRENCY,
        _instant("used_at", "The instant at which it was recorded."),
    ),
    "(SELECT account, credit_id, application_id, 'applied' AS kind, charge_id, invoice_id, "
    "CAST(NULL AS TEXT) AS claim_id, amount, currency, applied_at AS used_at FROM {credit_applications} "
    "UNION ALL SELECT account, credit_id, application_id, 'recovered', NULL, NULL, claim_id, amount, currency, "
    "recovered_at FROM {credit_recoveries}) AS uses",
)

_WHOSE = (
    _text("clause", "The clause of the claim; null for an excess payment on an invoice."),
    _CLAIM,
    _CHARGE,
    _text("invoice_id", "The invoice; null if there is none."),
    _text("subscription_id", "The subscription; null if there is none."),
    _text("agreement", "The agreement; null if there is none."),
    _text("plan", "The subscription's plan; null if there is none."),
)

MOVEMENTS = View(
    "movements",
    "The difference that one event made to a claim, refund, credit or invoice; never changed, only added to.",
    (
        _account(),
        _text("event_id", "The event."),
        _integer("number", "The number among the movements of the event."),
        _text("kind", "The kind of movement, such as granted, reduced, refunded, credited or applied."),
        _text("settlement", "The way of settling that the kind belongs to; null if it belongs to none."),
        *_WHOSE,
        _text("item_id", "The refund or credit; null for a claim itself."),
        _CURRENCY,
        _minor("net", "The net amount; negative where something was taken back."),
        _minor("tax", "The tax."),
        _minor("total", "Net and tax together.", "net + tax"),
        _instant("recorded_at", "The instant at which it was recorded."),
        _instant("occurred_at", "The instant at which it became true."),
        Column("position", "text", _POSITION.description, "CAST(shard AS TEXT) || ':' || CAST(position AS TEXT)"),
    ),
    "{movements}",
)

OWED = View(
    "owed",
    "An amount that is owed now; one row for each refund, credit, excess payment and amount overpaid.",
    (
        _account(),
        _text("counted_as", "refunds_due, credits_left, excess, or overpaid, which counts against the others."),
        _text("id", "The refund or credit; of an excess the credit that it becomes.", "item_id"),
        *_WHOSE,
        _CURRENCY,
        _minor("net", "The net amount."),
        _minor("tax", "The tax."),
        _minor("total", "Net and tax together.", "net + tax"),
        _minor(
            "owed",
            "The total, negative for an overpaid amount, so that its sum is the amount owed.",
            "CASE WHEN counted_as = 'overpaid' THEN -(net + tax) ELSE net + tax END",
        ),
        _instant("since", "The instant from which it has been owed."),
        _text("event_id", "The event that set the amount."),
        Column("position", "text", _POSITION.description, "CAST(shard AS TEXT) || ':' || CAST(position AS TEXT)"),
    ),
    "{amounts_owed}",
)

OVERPAID = View(
    "overpaid",
    "An amount that was paid out for a claim and is no longer owed; one row for each claim with an undecided part.",
    _of(
        "claim",
        _account("claim.account"),
        _text("claim_id", "The claim."),
        _CHARGE,
        _amount("overpaid", "The amount that is neither recovered nor written off."),
        _CURRENCY,
        _instant("since", "The instant from which it has been overpaid."),
        _amount("recovered", "The amount kept back of credits for it."),
        _amount("written_off", "The amount written off."),
        _text(
            "recovery_ordered_by",
            "The member of staff who ordered it recovered from the account's next credits; null if nobody did.",
            "last.ordered_by",
        ),
        _instant(
            "recovery_ordered_at", "The instant at which that was ordered; null if it was not.", "last.ordered_at"
        ),
    ),
    "{overpaid} AS claim LEFT JOIN (SELECT told.account, told.claim_id, told.currency, told.ordered_by, "
    "told.ordered_at, ROW_NUMBER() OVER (PARTITION BY told.account, told.claim_id, told.currency "
    "ORDER BY told.ordered_at DESC, told.event_id DESC) AS nth FROM {recoveries_ordered} AS told) AS last "
    "ON last.account = claim.account AND last.claim_id = claim.claim_id AND last.currency = claim.currency "
    "AND last.nth = 1 AND last.ordered_at >= claim.since",
    "claim.currency",
)

INVOICES = View(
    "invoices",
    "The charges, payments and amount due of an invoice, tax included; one row for each invoice.",
    (
        _account(),
        _text("invoice_id", "The invoice, unique within its account."),
        _CURRENCY,
        _amount("charged", "The sum of its charges."),
        _amount("paid_in_money", "The payments on it by card, bank or otherwise."),
        _amount("paid_from_balance", "The payments on it from credits and balance."),
        _amount("excess_used", "The used part of the credit for its excess."),
        _amount("reduced", "The reduction by claims."),
        _amount("asks_for", "The amount still to be paid on it."),
        _amount("excess", "The amount paid beyond its charges and not used yet."),
        _amount("excess_credit", "The credit for its excess; null until the agreement's hold has ended."),
    ),
    "{invoices}",
)

CHARGES = View(
    "charges",
    "A billing cycle or one-off charge that counts; one row for each charge.",
    (
        _account(),
        _text("charge_id", "The charge, unique within its account."),
        _text("kind", "cycle or one_off."),
        _text("subscription_id", "The subscription; null for a one-off without one."),
        Column("starts_on", "date", "The first date of a cycle, in the account's zone; null for a one-off."),
        Column("ends_on", "date", "The first date after a cycle; null for a one-off."),
        _amount("price", "The net price."),
        _amount("tax", "The tax."),
        _CURRENCY,
        _text("invoice_id", "The invoice."),
        Column("prepaid", "boolean", "True if a cycle is paid in advance; null for a one-off."),
    ),
    f"{_counting('charges', 'charge_id', _FIRST)} AS charge WHERE nth = 1",
)

_HOLDS = "message_time DESC, CASE WHEN status = 'failed' THEN 1 ELSE 0 END DESC, message_id DESC, message_source DESC"
"""The latest message about a payment holds; at the same time a failure."""

PAYMENTS = View(
    "payments",
    "A payment, captured or failed, as the latest message about it says; one row for each payment.",
    (
        _account(),
        _text("payment_id", "The payment, unique within its account."),
        _text("invoice_id", "The invoice."),
        _amount("amount", "The amount; null where it failed."),
        _text("currency", "ISO 4217; null where it failed."),
        _text("method", "card, bank, balance or other; null where it failed."),
        _text("status", "captured or failed."),
    ),
    f"{_counting('payments', 'payment_id', _HOLDS)} AS payment WHERE nth = 1",
)


def _parts(names: Sequence[str], *tables: tuple[str, dict[str, str]]) -> str:
    """The rows of several tables together, each with the amounts that it adds to, and nothing for the others."""
    selects = (
        f"SELECT account, currency, {', '.join(f'{amounts.get(name, 0)} AS {name}' for name in names)} FROM {table}"
        for table, amounts in tables
    )
    return f"({' UNION ALL '.join(selects)}) AS part GROUP BY account, currency"


_BALANCES = {
    "charged": "The sum of all charges.",
    "captured": "All payments that arrived, but those made by applying a credit.",
    "reduced": "The reductions of invoices by claims.",
    "owed": "The amounts still to be paid on invoices.",
    "captured_in_excess": "The amounts paid on invoices beyond their charges that are no credits yet.",
    "refund_due": "Refunds that are due, approved, submitted or failed.",
    "refunded": "Refunds that were paid.",
    "credit_used": "The used part of credits.",
    "credit_left": "The rest of credits.",
    "overpaid": "The amounts paid out for claims that are no longer owed and undecided.",
}

_OWING = (
    "(credit_id IS NULL AND status IN ('due', 'approved', 'submitted', 'failed')) "
    "OR (credit_id IS NOT NULL AND status = 'submitted')"
)

BALANCES = View(
    "balances",
    "The balance of an account, tax included; one row for each account and currency with any amount.",
    (
        _account(),
        _CURRENCY,
        *(_minor(name, description, f"SUM({name})") for name, description in _BALANCES.items()),
    ),
    _parts(
        tuple(_BALANCES),
        (
            "{invoices}",
            {
                "charged": "MINOR(charged)",
                "reduced": "MINOR(reduced)",
                "owed": "MINOR(asks_for)",
                "captured_in_excess": "CASE WHEN excess_credit IS NULL THEN MINOR(excess) ELSE 0 END",
            },
        ),
        (
            PAYMENTS.source + " AND status = 'captured' AND (method <> 'balance' OR NOT EXISTS "
            "(SELECT 1 FROM {credit_applications} AS used WHERE used.account = payment.account "
            "AND used.application_id = payment.payment_id))",
            {"captured": "MINOR(amount)"},
        ),
        (
            "{refunds}",
            {
                "refund_due": f"CASE WHEN {_OWING} THEN MINOR(total) ELSE 0 END",
                "refunded": "CASE WHEN status = 'succeeded' THEN MINOR(total) ELSE 0 END",
            },
        ),
        ("{credits}", {"credit_used": "MINOR(used)", "credit_left": "MINOR(left_over)"}),
        ("{overpaid}", {"overpaid": "MINOR(overpaid)"}),
    ),
)

_OPENED, _NOTED, _LINKED, _PROPOSED = "step = 'opened'", "step = 'noted'", "step = 'linked'", "status = 'proposed'"
_STANDING = "step IN ('opened', 'resolved', 'reopened')"

COMPLAINTS = View(
    "complaints",
    "A customer's complaint; one row for each complaint that was opened.",
    (
        _account("opened.account"),
        _text("complaint_id", "The complaint, unique within its account.", "opened.complaint_id"),
        _text("subscription_id", "The subscription; null if there is none.", "opened.subscription_id"),
        _text("category", "The category as a code; null if it is free text.", "opened.category"),
        _text("channel", "The channel as a code; null if it is free text.", "opened.channel"),
        _text("status", "open or resolved.", "CASE WHEN latest.step = 'resolved' THEN 'resolved' ELSE 'open' END"),
        _instant("opened_at", "The instant at which the customer complained.", "opened.message_time"),
        _instant(
            "resolved_at",
            "The instant at which support resolved it; null while it is open.",
            "CASE WHEN latest.step = 'resolved' THEN latest.message_time END",
        ),
        _text(
            "resolution_code",
            "The resolution as a code; null while it is open, or if it is free text.",
            "CASE WHEN latest.step = 'resolved' THEN latest.resolution_code END",
        ),
        _integer("notes", "The number of notes.", "COALESCE(noted.notes, 0)"),
    ),
    f"{_counting('complaints', 'complaint_id', _FIRST, _OPENED)} AS opened "
    f"JOIN {_counting('complaints', 'complaint_id', _LATEST, _STANDING)} AS latest "
    "ON latest.account = opened.account AND latest.complaint_id = opened.complaint_id AND latest.nth = 1 "
    "LEFT JOIN (SELECT account, complaint_id, COUNT(*) AS notes FROM "
    f"{_counting('complaints', 'complaint_id', _FIRST, _NOTED)} AS note GROUP BY account, complaint_id) AS noted "
    "ON noted.account = opened.account AND noted.complaint_id = opened.complaint_id WHERE opened.nth = 1",
)

COMPLAINT_LINKS = View(
    "complaint_links",
    "A link of a complaint; one row for each outage, dispute or goodwill credit linked to it.",
    (
        _account("linked.account"),
        _text("complaint_id", "The complaint.", "linked.complaint_id"),
        _text("kind", "outage, dispute or goodwill.", "linked.kind"),
        _text("linked_id", "The outage, dispute or goodwill credit.", "linked.linked_id"),
    ),
    "(SELECT account, complaint_id, kind, linked_id FROM "
    f"{_counting('complaints', 'complaint_id', _FIRST, _LINKED)} AS step "
    "UNION SELECT account, complaint_id, 'goodwill', credit_id FROM "
    f"{_counting('goodwill', 'credit_id', _FIRST, _PROPOSED)} AS proposal WHERE nth = 1) AS linked "
    "JOIN {complaint_standings} AS complaint "
    "ON complaint.account = linked.account AND complaint.complaint_id = linked.complaint_id",
)

PERIODS = View(
    "periods",
    "A month that was closed; one row for each, which never changes.",
    (
        _text("period", "The month, as YYYY-MM."),
        _text("time_zone", "The provider's time zone, by which a movement has its day."),
        _instant("closed_at", "The instant at which it was closed."),
        _text("closed_by", "The member of staff who closed it, or for whom it was closed."),
        _text("position", "The last position that the figures cover."),
        _integer("accounts", "The rows of the manifest."),
        _integer("events", "The events covered, of all accounts."),
        _text("sha256", "The SHA-256 of the manifest."),
    ),
    "{periods}",
)

PERIOD_TOTALS = View(
    "period_totals",
    "A total of a closed month; one row for each currency, clause and kind of movement, which never changes.",
    (
        _text("period", "The month, as YYYY-MM."),
        _text("counted", "all movements booked in the month, or those of them that became known late."),
        _CURRENCY,
        _text("clause", "The clause; null for an excess payment on an invoice.", "NULLIF(clause, '')"),
        _text("kind", "The kind of movement, such as granted, reduced, refunded, credited or applied."),
        _text("settlement", "The way of settling that the kind belongs to; null if it belongs to none."),
        _integer("count", "The number of movements.", "movements"),
        _amount("net", "The net amount."),
        _amount("tax", "The tax."),
    ),
    "{period_totals}",
)

FINANCE = Views(
    "finance",
    1,
    (
        CLAIMS,
        DISPUTES,
        REFUNDS,
        RETURNS,
        CREDITS,
        CREDIT_USES,
        OWED,
        OVERPAID,
        MOVEMENTS,
        INVOICES,
        CHARGES,
        PAYMENTS,
        BALANCES,
        COMPLAINTS,
        COMPLAINT_LINKS,
        PERIODS,
        PERIOD_TOTALS,
    ),
)
