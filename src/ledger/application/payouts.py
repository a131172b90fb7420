"""Payouts: what people may decide about refunds, and the submission of those that are approved (policy §7).

What may be decided is checked in the state of the store that the act is recorded in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial

from ledger.aggregates import RecordedClaim
from ledger.aggregates.owed_refunds import claim_of_credit
from ledger.application.account import Account
from ledger.application.acts import Act, perform
from ledger.application.four_eyes import is_same_person, people_of
from ledger.application.ledger import Ledger
from ledger.audit import leaf_hash
from ledger.events import Fact, RefundStatus
from ledger.policy.payout import Owed
from ledger.policy.standing import status_of
from ledger.store.database import Conflict, Transaction
from ledger.store.reading.approved_refunds import ApprovedRefund, approved_refunds, has_set_aside
from ledger.store.reading.events import find_event

AT_ONCE = 200
"""So many approved refunds are read at once."""


class RefundRefused(Exception):
    """A person may not decide this about the refund as it stands: the sentence says why, and what to do."""


class ProposalMoved(RefundRefused):
    """The refund is not what the person has seen: the sentence says what it is now."""


class NoSuchRefund(Exception):
    """The account has no such refund, credit, or claim for which too much went out."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a person decides about: a refund's amounts, and the event that set them, by leaf hash and by id."""

    refund_id: str
    proposal: str
    set_by: str
    net: Decimal
    tax: Decimal
    currency: str


def approvable(act: Act, account: str, refund_id: str, seen: str, person: str) -> Proposal:
    """What a person approves who has seen a refund's proposal.

    Raises NoSuchRefund, and RefundRefused where it changed since, is not due, or came from that person's own act.
    """
    loaded = act.account(account)
    owed, stands = _standing(loaded, refund_id, act.now())
    if stands not in ("due", "failed"):
        raise RefundRefused(_not(refund_id, stands, "approved"))
    proposal = _seen(act.transaction, owed, seen)
    for theirs in _caused_by(act.transaction, loaded, owed):
        if is_same_person(theirs, person):
            raise RefundRefused(
                f"refund {refund_id} came from an act of {person}: another person must approve it (four eyes)"
            )
    return proposal


def rejectable(act: Act, account: str, refund_id: str, seen: str | None, person: str) -> Proposal:
    """What a person rejects; `seen` may be left out. Raises NoSuchRefund and RefundRefused."""
    owed, stands = _standing(act.account(account), refund_id, act.now())
    if stands not in ("due", "approved"):
        raise RefundRefused(_not(refund_id, stands, "rejected"))
    return _seen(act.transaction, owed, seen)


def retryable(act: Act, account: str, refund_id: str) -> Proposal:
    """What is to be submitted anew. Raises NoSuchRefund and RefundRefused."""
    owed, stands = _standing(act.account(account), refund_id, act.now())
    if stands != "failed":
        raise RefundRefused(_not(refund_id, stands, "retried"))
    return _seen(act.transaction, owed, None)


def turnable(act: Act, account: str, refund_id: str) -> tuple[Decimal, str]:
    """The amount, gross, and currency that becomes a credit. Raises NoSuchRefund and RefundRefused."""
    owed, stands = _standing(act.account(account), refund_id, act.now())
    if owed.credit_id is not None:
        raise RefundRefused(f"refund {refund_id} pays out a credit: reject it, and the credit stays what it is")
    if stands != "failed":
        raise RefundRefused(_not(refund_id, stands, "turned into credit"))
    return owed.total, owed.currency


def refundable_credit(act: Act, account: str, credit_id: str) -> str:
    """The id of the refund that what is left of a credit becomes. Raises NoSuchRefund and RefundRefused."""
    loaded, now = act.account(account), act.now()
    credit = loaded.billing.credits.get(credit_id)
    zone = loaded.facts.time_zone
    if credit is None or zone is None:
        raise NoSuchRefund(f"account {account} has no credit {credit_id}; see `makegood credits --account {account}`")
    if credit.left <= 0:
        raise RefundRefused(f"nothing is left of credit {credit_id}")
    for subscription in loaded.facts.subscriptions.by_id.values():
        if subscription.registration is not None and status_of(subscription, zone, now)[0] not in _ENDED:
            raise RefundRefused(
                f"credit {credit_id} pays for the next charges of subscription {subscription.subscription_id}: "
                "a credit is refunded once the last subscription has ended"
            )
    number = 1
    while loaded.facts.refund_acts.credit_of(f"refund/{credit_id}/{number}") is not None:
        refund_id = f"refund/{credit_id}/{number}"
        owed = loaded.refunds.owed(refund_id, now)
        if owed is not None and owed.status in ("open", "failed"):
            raise RefundRefused(f"credit {credit_id} is already to be refunded, as {refund_id}")
        number += 1
    return f"refund/{credit_id}/{number}"


_ENDED = ("cancelled", "terminated")


def decidable_overpaid(act: Act, account: str, claim_id: str) -> tuple[Decimal, str]:
    """The amount, gross, and currency that went out too much for a claim. Raises NoSuchRefund."""
    loaded = act.account(account)
    currency = loaded.facts.currency or ""
    settled = loaded.billing.settlements.claims.get((claim_id, currency))
    for part in settled.parts if settled is not None else ():
        if part.into == "overpaid":
            return -(part.net + part.tax), currency
    raise NoSuchRefund(f"nothing went out too much for {claim_id} of account {account}; see `makegood overpaid`")


# --- Looking at an account ------------------------------------------------------------------------------------------


def _standing(account: Account, refund_id: str, now: datetime) -> tuple[Owed, RefundStatus]:
    """A refund and how it stands."""
    owed = account.refunds.owed(refund_id, now)
    if owed is None:
        name = account.head.account
        raise NoSuchRefund(f"account {name} owes no refund {refund_id}; see `makegood refunds --account {name}`")
    return owed, account.refunds.status(owed)


def _not(refund_id: str, stands: RefundStatus, decided: str) -> str:
    what = {
        "due": "is due and was not submitted",
        "approved": "is approved already, and goes out as soon as nothing holds it",
        "submitted": "was submitted, and its amount is fixed: wait for the payment processor's answer",
        "succeeded": "has arrived",
        "failed": "failed: retry it, or turn it into a credit",
        "rejected": "was rejected, and is not due again until its amount changes",
    }[stands]
    return f"refund {refund_id} cannot be {decided}: it {what}"


def _seen(transaction: Transaction, owed: Owed, seen: str | None) -> Proposal:
    """What is proposed now; it must be what the person has seen."""
    stored = find_event(transaction, owed.set_by)
    if stored is None:
        raise RefundRefused(f"refund {owed.refund_id} has just changed: look at it again, then decide")
    proposal = leaf_hash(stored.envelope)
    if seen not in (None, proposal):
        event = stored.event()
        raise ProposalMoved(
            f"refund {owed.refund_id} is not what was seen: since {event.recorded_at.isoformat()} it is "
            f"{owed.total} {owed.currency} ({owed.net} and {owed.tax} tax), set by event {owed.set_by}; look at it "
            f"again, then decide about its proposal {proposal}"
        )
    return Proposal(owed.refund_id, proposal, owed.set_by, owed.net, owed.tax, owed.currency)


def _caused_by(transaction: Transaction, account: Account, owed: Owed) -> Iterable[str]:
    """The people from whose acts a refund came: those who told the facts of its claim, and who asked for it."""
    if owed.credit_id is not None:
        yield from account.facts.refund_acts.people(owed.refund_id)
    claim_id = owed.claim_id or claim_of_credit(owed.credit_id or "")
    claim: RecordedClaim | None = account.billing.claims.get(claim_id or "")
    named = set(claim.reasons.facts) if claim is not None else set()
    for event_id in {*named, *_causes(transaction, owed.set_by)}:
        stored = find_event(transaction, event_id)
        event = stored.event() if stored is not None else None
        if isinstance(event, Fact):
            yield from people_of(event)


def _causes(transaction: Transaction, event_id: str) -> Iterable[str]:
    """The fact by which an amount was set."""
    stored = find_event(transaction, event_id)
    cause = stored.event().causation_id if stored is not None else None
    return () if cause is None else (cause,)


# --- Submitting -----------------------------------------------------------------------------------------------------


def submit_approved(ledger: Ledger) -> int:
    """Submit the refunds that are approved and may go out; how many that were. Of the others each says why it waits.

    While a message of the account is set aside its payouts wait; so do those about whose charge two facts contradict
    each other, and those for which no payment has enough left on it. Raises Unavailable.
    """
    submitted = 0
    after: ApprovedRefund | None = None
    while True:
        with ledger.database.reading() as transaction:
            found = approved_refunds(transaction, after, AT_ONCE)
        if not found:
            return submitted
        after = found[-1]
        for account in sorted({each.account for each in found if not each.is_held}):
            refund_ids = [each.refund_id for each in found if each.account == account]
            try:
                submitted += perform(ledger, {account}, partial(_submit, account=account, refund_ids=refund_ids))
            except Conflict:
                continue  # other writers were faster for too long: the next round finds it again


def _submit(act: Act, account: str, refund_ids: Sequence[str]) -> int:
    if has_set_aside(act.transaction, account):
        return 0
    return len(act.have_decided(account, lambda opened: opened.submit(refund_ids, act.now())))
