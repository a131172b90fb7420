"""What happened, in words: one sentence for each kind of stored event, with its amount.

A sentence names things by their ids and quotes no text that people wrote: reasons and notes are in the vault.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from ledger.events import (
    AccountRegistered,
    ActivationDue,
    AgreementBound,
    AgreementPublished,
    AlarmCleared,
    AlarmData,
    AlarmRaised,
    ApiKeyIssued,
    ApiKeyRevoked,
    BillingErrorReported,
    CancellationRequested,
    CancellationWithdrawn,
    ChargePosted,
    ClaimAssessed,
    ClaimAssessedV1,
    ClaimSettlement,
    ClaimState,
    ClaimStateV1,
    ComplaintLinked,
    ComplaintNoted,
    ComplaintOpened,
    ComplaintReopened,
    ComplaintResolved,
    ComplaintResolvedV1,
    CredentialsCollected,
    CreditApplied,
    CreditAppliedV1,
    CreditRefundRequested,
    CustomerChanged,
    CycleStarted,
    DiscrepancyFound,
    DiscrepancySettled,
    FactRetracted,
    FileReconciled,
    GoodwillApproved,
    GoodwillProposed,
    GoodwillRejected,
    Grant,
    InstructionCarriedOut,
    InstructionRefused,
    InvoiceStanding,
    KeysLost,
    LedgerEvent,
    LogOriginBegun,
    LostRangeClosed,
    MessageDiscarded,
    MessageReplayed,
    MessagesLost,
    NoticeDiscarded,
    NoticeFailed,
    NoticeKind,
    NoticeResent,
    NoticeSent,
    OutageReopened,
    OutageReported,
    OutageResolved,
    OverchargeConfirmed,
    OverchargeRejected,
    OverpaidRecovered,
    OverpaidRecoveryOrdered,
    OverpaidWrittenOff,
    PaymentCaptured,
    PaymentFailed,
    PeriodClosed,
    RecordsLookedAt,
    RefundApproved,
    RefundFailed,
    RefundRejected,
    RefundRequestsFound,
    RefundRetried,
    RefundStatusChanged,
    RefundSubmitted,
    RefundSucceeded,
    RefundSucceededV1,
    RefundTurnedIntoCredit,
    RoleGranted,
    RoleRevoked,
    SettledAnew,
    SettledPart,
    SettlementChanged,
    StoreRestored,
    SubjectErased,
    SubscriptionRegistered,
    SubscriptionReinstated,
    SubscriptionStatusChanged,
    SubscriptionSuspended,
    SubscriptionTerminated,
    claims_settled,
)
from ledger.values import instant_to_text
from projections.alarms import LEAVING_OUT


def what_happened(event: LedgerEvent) -> str:
    """One sentence without a full stop. Raises TypeError for a kind of event that has no sentence."""
    match event:
        # --- the account -------------------------------------------------------------------------------------------
        case AccountRegistered(data=data):
            return f"The account was registered with the currency {data.currency} and the time zone {data.time_zone}"
        case CustomerChanged():
            return "The customer's name, e-mail address or language changed"
        case FactRetracted(data=data):
            return f"Message {data.retracts.id} from {data.retracts.source} was retracted and counts as never sent"
        # --- the subscription --------------------------------------------------------------------------------------
        case SubscriptionRegistered(data=data):
            return f"Subscription {data.subscription_id} was registered under the agreement {data.agreement}"
        case AgreementBound(data=data):
            return f"Subscription {data.subscription_id} was bound to version {data.version} of {data.agreement}"
        case SubscriptionStatusChanged(data=data):
            was = f" from {data.before}" if data.before is not None else ""
            ends = f", effective on {data.effective_on}" if data.effective_on is not None else ""
            return f"The status of subscription {data.subscription_id} changed{was} to {data.after}{ends}"
        case ActivationDue(data=data):
            return f"The activation e-mail for subscription {data.subscription_id} became due"
        case CancellationRequested(data=data):
            kept = ", with the service kept until the end" if data.keep_service else ""
            return f"Subscription {data.subscription_id} was cancelled through {_CHANNELS[data.channel]}{kept}"
        case CancellationWithdrawn(data=data):
            return f"The cancellation of subscription {data.subscription_id} was withdrawn"
        case SubscriptionSuspended(data=data):
            return f"Subscription {data.subscription_id} was suspended for {_VIOLATIONS[data.reason]}"
        case SubscriptionReinstated(data=data):
            return f"Subscription {data.subscription_id} was reinstated"
        case SubscriptionTerminated(data=data):
            return f"Subscription {data.subscription_id} was terminated for {_VIOLATIONS[data.reason]}"
        case OutageReported(data=data):
            return (
                f"Outage {data.outage_id} of subscription {data.subscription_id} was reported: {data.severity}, "
                f"cause {_words(data.cause)}, began at {instant_to_text(data.began_at)}"
            )
        case OutageResolved(data=data):
            at = instant_to_text(data.resolved_at)
            return f"Outage {data.outage_id} of subscription {data.subscription_id} was resolved at {at}"
        case OutageReopened(data=data):
            return f"Outage {data.outage_id} of subscription {data.subscription_id} was reopened"
        # --- charges and payments ----------------------------------------------------------------------------------
        case CycleStarted(data=data):
            return (
                f"Cycle {data.cycle_id} of subscription {data.subscription_id} from {data.starts_on} until "
                f"{data.ends_on} was charged: {_net_and_tax(data.price, data.tax, data.currency)}, on invoice "
                f"{data.invoice_id}"
            )
        case ChargePosted(data=data):
            amounts = _net_and_tax(data.price, data.tax, data.currency)
            return f"Charge {data.charge_id} was posted: {amounts}, on invoice {data.invoice_id}"
        case PaymentCaptured(data=data):
            paid = f"{data.amount} {data.currency}{_METHODS[data.method]}"
            return f"Payment {data.payment_id} for invoice {data.invoice_id} was captured: {paid}"
        case PaymentFailed(data=data):
            return f"Payment {data.payment_id} for invoice {data.invoice_id} failed"
        # --- disputes ----------------------------------------------------------------------------------------------
        case BillingErrorReported(data=data):
            claimed = f"{data.claimed} {data.currency} of charge {data.charge_id}"
            return f"Dispute {data.dispute_id} was opened about {claimed}"
        case OverchargeConfirmed(data=data):
            way = f", to be settled as a {data.settle_as}" if data.settle_as is not None else ""
            over = f"charge {data.charge_id} was too high by {data.amount} {data.currency}{way}"
            return f"Dispute {data.dispute_id} was confirmed: {over}"
        case OverchargeRejected(data=data):
            return f"Dispute {data.dispute_id} was rejected: charge {data.charge_id} is correct"
        # --- complaints and goodwill -------------------------------------------------------------------------------
        case ComplaintOpened(data=data):
            about = f" about subscription {data.subscription_id}" if data.subscription_id is not None else ""
            return f"Complaint {data.complaint_id} was opened{about}"
        case ComplaintResolved(data=data):
            code = f" with the code {data.resolution_code}" if data.resolution_code is not None else ""
            return f"Complaint {data.complaint_id} was resolved{code}"
        case ComplaintResolvedV1(data=data):
            return f"Complaint {data.complaint_id} was resolved"
        case ComplaintReopened(data=data):
            return f"Complaint {data.complaint_id} was reopened"
        case ComplaintNoted(data=data):
            return f"A note was added to complaint {data.complaint_id}"
        case ComplaintLinked(data=data):
            return f"Complaint {data.complaint_id} was linked to {_LINKED[data.kind]} {data.linked_id}"
        case GoodwillProposed(data=data):
            of = f"{data.amount} {data.currency} for complaint {data.complaint_id}"
            return f"Goodwill credit {data.credit_id} was proposed by {data.proposed_by}: {of}"
        case GoodwillApproved(data=data):
            return f"Goodwill credit {data.credit_id} was approved by {data.decided_by}"
        case GoodwillRejected(data=data):
            return f"Goodwill credit {data.credit_id} was rejected by {data.decided_by}"
        # --- claims and how they are settled -----------------------------------------------------------------------
        case ClaimAssessed() | ClaimAssessedV1():
            return _assessed(event)
        case SettlementChanged(data=data):
            return _settled(data)
        case SettledAnew(data=data):
            return f"All claims were settled again under revision {data.rules} of the rules"
        case CreditApplied(data=data) | CreditAppliedV1(data=data):
            paid = f"{data.amount} {data.currency} of charge {data.charge_id} on invoice {data.invoice_id}"
            return f"Credit {data.credit_id} paid {paid}"
        case RefundSucceeded(data=data):
            of = f"{data.amount} {data.currency}, " if data.amount is not None else ""
            return f"Refund {data.refund_id} succeeded: {of}reference {data.processor_reference}"
        case RefundSucceededV1(data=data):
            return f"Refund {data.refund_id} succeeded: reference {data.processor_reference}"
        case RefundFailed(data=data):
            return f"Refund {data.refund_id} failed"
        # --- payouts -----------------------------------------------------------------------------------------------
        case RefundApproved(data=data):
            of = _net_and_tax(data.net, data.tax, data.currency)
            return f"Refund {data.refund_id} was approved by {data.decided_by}: {of}"
        case RefundRejected(data=data):
            of = _net_and_tax(data.net, data.tax, data.currency)
            return f"Refund {data.refund_id} was rejected by {data.decided_by}: {of}"
        case RefundRetried(data=data):
            return f"A retry of refund {data.refund_id} was ordered by {data.decided_by}"
        case RefundTurnedIntoCredit(data=data):
            of = f"{data.amount} {data.currency}"
            return f"Refund {data.refund_id} was turned into a credit by {data.decided_by}: {of}"
        case CreditRefundRequested(data=data):
            return f"A refund of credit {data.credit_id} was requested by {data.decided_by}: {data.refund_id}"
        case RefundSubmitted(data=data):
            again = f" again, attempt {data.attempt}" if data.attempt > 1 else ""
            return f"Refund {data.refund_id} was submitted{again}: {_returns(data)}"
        case RefundStatusChanged(data=data):
            return _standing(data)
        case FileReconciled(data=data):
            period = f"{data.first_day} to {data.last_day}"
            return f"A processor's file for {period} was reconciled: {data.matched} of {data.rows} rows match"
        case DiscrepancyFound(data=data):
            return f"Discrepancy {data.discrepancy_id} was found: {_discrepancy(data)}"
        case DiscrepancySettled(data=data):
            why = ": both sides match" if data.settled_by == "match" else ""
            return f"Discrepancy {data.discrepancy_id} was settled{why}"
        case OverpaidWrittenOff(data=data):
            of = f"{data.amount} {data.currency} for claim {data.claim_id}"
            return f"An overpayment of {of} was written off by {data.decided_by}"
        case OverpaidRecoveryOrdered(data=data):
            of = f"{data.amount} {data.currency} for claim {data.claim_id}"
            return f"The recovery of an overpayment of {of} was ordered by {data.decided_by}"
        case OverpaidRecovered(data=data):
            of = f"{data.amount} {data.currency} for claim {data.claim_id}"
            return f"An overpayment of {of} was recovered from credit {data.credit_id}"
        case AlarmRaised(data=data):
            return f"The alarm {data.alarm} was raised{_alarm(data)}"
        case AlarmCleared(data=data):
            return f"The alarm {data.alarm} was cleared{_alarm(data)}"
        # --- instructions and e-mails ------------------------------------------------------------------------------
        case InstructionCarriedOut(data=data):
            return f"Instruction {data.instruction_id} was carried out at {instant_to_text(data.carried_out_at)}"
        case InstructionRefused(data=data):
            return f"Instruction {data.instruction_id} was refused"
        case NoticeSent(data=data):
            return f"The e-mail about {_ABOUT[data.kind]} was sent{' again' if data.repeat else ''}"
        case NoticeFailed(data=data):
            return f"The e-mail about {_ABOUT[data.kind]} failed: {_words(data.code)}"
        case NoticeResent(data=data):
            return f"The e-mail about {_ABOUT[data.kind]} was queued again"
        case NoticeDiscarded(data=data):
            return f"The e-mail about {_ABOUT[data.kind]} was discarded"
        case CredentialsCollected(data=data):
            return f"The customer collected the credentials of subscription {data.subscription_id}"
        case SubjectErased(data=data):
            again = ", again after the store was restored from a backup" if data.restored else ""
            return f"The customer's personal data was erased{again}; entries of the vault destroyed: {data.entries}"
        # --- the provider ------------------------------------------------------------------------------------------
        case AgreementPublished(data=data):
            return f"Version {data.version} of {data.name} was published, valid from {data.valid_from}"
        case MessageReplayed(data=data):
            repaired = ", repaired" if data.repaired else ""
            return f"{_KEPT[data.kept]} {data.kept_id} was replayed{repaired}: {data.outcome}"
        case MessageDiscarded(data=data):
            return f"{_KEPT[data.kept]} {data.kept_id} was discarded"
        case MessagesLost(data=data):
            place = f"partition {data.partition} of {data.topic}"
            return f"Messages {data.first} to {data.last} of {place} were lost: {_LOST[data.cause]}"
        case LostRangeClosed(data=data):
            return f"The lost range {data.lost_id} was closed"
        case KeysLost(data=data):
            return f"The loss of vault keys was accepted; entries that cannot be read any more: {data.entries}"
        case StoreRestored(data=data):
            return f"The store was restored from a backup, and generation {data.generation} of its positions began"
        case LogOriginBegun(data=data):
            return f"Checkpoints are signed under a new origin from here on: {data.origin}"
        case PeriodClosed(data=data):
            return f"The month {data.period} was closed with everything known up to position {data.position}"
        case RefundRequestsFound(data=data):
            return f"The store was restored; refunds found requested, not to be requested again: {len(data.requests)}"
        case RecordsLookedAt(data=data):
            people = len({look.by for look in data.looks})
            return f"Records were looked at; people: {people}, looks: {sum(look.times for look in data.looks)}"
        case RoleGranted(data=data):
            return f"The role {_role(data)} was granted to {data.principal}"
        case RoleRevoked(data=data):
            return f"The role {_role(data)} was revoked from {data.principal}"
        case ApiKeyIssued(data=data):
            return f"API key {data.key_id} was issued to {data.principal}"
        case ApiKeyRevoked(data=data):
            return f"API key {data.key_id} of {data.principal} was revoked"
        case _:
            raise TypeError(f"{type(event).__name__} has no sentence in projections/what_happened.py")


_VIOLATIONS = {"misuse": "misuse", "non_payment": "non-payment"}
_CHANNELS = {"portal": "the portal", "support": "support"}
_METHODS = {"card": " by card", "bank": " by bank transfer", "balance": " from the balance", "other": ""}
_LINKED = {"outage": "outage", "dispute": "dispute", "goodwill": "goodwill credit"}
_KEPT = {"dead-letter": "Dead letter", "set-aside": "Set-aside message"}
_LOST = {"deleted": "deleted from Kafka before they were read", "damaged": "damaged in Kafka"}
_ABOUT: dict[NoticeKind, str] = {
    "activation": "the activation",
    "cancellation": "the cancellation",
    "withdrawal": "the withdrawal of the cancellation",
    "credit": "the credit",
    "refund": "the refund",
    "complaint_opened": "the opened complaint",
    "complaint_resolved": "the resolved complaint",
}


def _words(code: str) -> str:
    return code.replace("_", " ")


def _net_and_tax(net: Decimal, tax: Decimal, currency: str) -> str:
    return f"{net} {currency} net and {tax} {currency} tax"


def _role(grant: Grant) -> str:
    return f"{grant.role} for account {grant.account_id}" if grant.account_id is not None else grant.role


def _alarm(data: AlarmData) -> str:
    """What an alarm is about: the message left out and the one that stands, or else everything that it names."""
    if data.alarm in LEAVING_OUT and len(data.about) == 2:
        return f": message {data.about[1]} is left out, and {data.about[0]} stands"
    named = [
        *(f"{what} {id_}" for what, id_ in _ids(data) if id_ is not None),
        *(f"message {about}" for about in data.about),
    ]
    return f": {', '.join(named)}" if named else ""


def _ids(data: AlarmData) -> Iterator[tuple[str, str | None]]:
    yield "claim", data.claim_id
    yield "charge", data.charge_id
    yield "subscription", data.subscription_id


def _assessed(event: ClaimAssessed | ClaimAssessedV1) -> str:
    """A claim opened, changed in outcome or amount, changed in its reasons only, or fell away."""
    data = event.data
    before, after = _stands(data.before, data.currency), _stands(data.after, data.currency)
    claim = f"Claim {data.claim_id}"
    ways = "".join(f"; {_way(settled, data.currency)}" for settled in claims_settled(event))
    if after is None:
        return f"{claim} fell away; it was {before}{ways}" if before is not None else f"{claim} fell away{ways}"
    if before is None:
        return f"{claim} was opened: {after}{ways}"
    if before == after:
        return f"{claim} is still {after}, for other reasons or terms{ways}"
    return f"{claim} changed from {before} to {after}{ways}"


def _stands(claim: ClaimState | ClaimStateV1 | None, currency: str) -> str | None:
    if claim is None or claim.outcome is None:
        return None
    if claim.outcome == "granted":
        return f"granted, {_net_and_tax(claim.amount, claim.tax, currency)}"
    return f"{claim.outcome} ({_words(claim.reason)})" if claim.reason is not None else claim.outcome


def _settled(data: SettlementChanged.Data) -> str:
    """What an invoice asks for where that changed, what became a credit of its excess, and how its claims settle."""
    told = [*_invoice(data.before, data.after, data.currency)]
    told += [_settlement(claim, data.currency) for claim in data.claims]
    if data.invoice_id is None:
        whole = "Claims were settled"
    elif data.claims:
        whole = f"Invoice {data.invoice_id} was settled again"
    else:
        whole = f"Invoice {data.invoice_id} {'was opened' if data.before is None else 'changed'}"
    return f"{whole}: {'; '.join(told)}" if told else whole


def _invoice(before: InvoiceStanding | None, after: InvoiceStanding | None, currency: str) -> Iterator[str]:
    if after is None:
        return
    if before is None or (before.charged, before.asks_for) != (after.charged, after.asks_for):
        yield f"{after.charged} {currency} charged, {after.asks_for} {currency} still to pay"
    was = before.excess if before is not None else Decimal(0)
    if after.excess != was:
        yield f"{after.excess} {currency} paid in excess"
    if after.excess_credit is not None and (before is None or before.excess_credit != after.excess_credit):
        yield f"{after.excess_credit} {currency} of the excess credited"


def _settlement(claim: ClaimSettlement, currency: str) -> str:
    return f"claim {claim.claim_id} is {_way(claim, currency)}"


def _way(claim: ClaimSettlement, currency: str) -> str:
    return f"settled by {_parts(claim.after, currency)}" if claim.after else "no longer settled"


def _returns(data: RefundSubmitted.Data) -> str:
    return " and ".join(
        f"{each.net + each.tax} {data.currency} to payment {each.payment_id}" for each in data.returns
    )


def _discrepancy(data: DiscrepancyFound.Data) -> str:
    of = data.there or data.here
    amount = f"{of.amount} {of.currency}" if of is not None else "a payout"
    what = f"{amount}, {data.return_id or data.refund_id or (of.reference if of is not None else None)}"
    match data.kind:
        case "missing_there":
            return f"no file of the processor lists {what}"
        case "unknown_here":
            return f"nothing here is known of {what}"
        case "differing":
            return f"{what} differs in {', '.join(data.differs)}"
        case "duplicate":
            return f"{what} is listed once more"


_HELD_BY = {"contradiction": "a contradiction", "payment": "payments that have not enough left"}


def _standing(data: RefundStatusChanged.Data) -> str:
    """A refund's status, and why it has to wait, if it has to."""
    if data.after is None:
        return f"Refund {data.refund_id} is no longer owed; it was {data.before}"
    of = _net_and_tax(data.net, data.tax, data.currency)
    waits = f"; it waits because of {_HELD_BY[data.held_by]}" if data.held_by is not None else ""
    if data.after == data.before:
        return f"Refund {data.refund_id} is still {data.after}: {of}{waits}"
    was = f" from {data.before}" if data.before is not None else ""
    return f"The status of refund {data.refund_id} changed{was} to {data.after}: {of}{waits}"


_INTO = {
    "invoice_reduction": "an invoice reduction",
    "offset": "a set-off",
    "refund": "a refund",
    "credit": "a credit",
    "correction": "a correction",
}


def _parts(parts: Sequence[SettledPart], currency: str) -> str:
    told = []
    for part in parts:
        amount = f"{part.net + part.tax} {currency}"
        if part.into in ("overpaid", "recovered", "written_off"):
            told.append(f"{-(part.net + part.tax)} {currency} {_words(part.into)}")
        elif part.status == "open" or part.into not in ("refund", "credit"):
            told.append(f"{_INTO[part.into]} of {amount}")
        else:
            gone = "paid out" if part.into == "refund" else "used"
            said = gone if part.status == "gone_out" else part.status
            told.append(f"{_INTO[part.into]} of {amount} ({said})")
    return " and ".join(told)
