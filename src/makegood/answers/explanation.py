"""Explain a claim, refund or credit: clause, agreement, formula with its numbers, facts, and each recorded step.

Everything shown was recorded with the decision (design rule 3); nothing is reckoned anew here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal

from ledger import events
from ledger.events import (
    ChargePosted,
    ClaimAssessed,
    ClaimAssessedV1,
    ClaimSettlement,
    ClaimState,
    ClaimStateV1,
    CreditApplied,
    CreditAppliedV1,
    CycleStarted,
    Fact,
    FactRetracted,
    GoodwillProposed,
    GoodwillRejected,
    InvoiceStanding,
    LedgerEvent,
    LinkedKind,
    OutageReported,
    OverchargeRejected,
    OverpaidAct,
    OverpaidRecovered,
    RefundAct,
    Retraction,
    Sealed,
    SettledPart,
    SettlementChanged,
    claim_of,
    claims_settled,
    credit_of,
    excess_credit_id,
    message_key,
    retracted,
)
from ledger.events.event_ids import message_event_id
from ledger.store.reading.events import StoredEnvelope, follow_account
from ledger.values import instant_to_text
from makegood.access.sight import Sight
from makegood.answers import explanation_types as explained
from makegood.answers.course_of_refunds import course_of_refunds, course_of_refunds_of_credit
from makegood.answers.explanation_types import (
    Change,
    ChargeExplained,
    Explanation,
    ExplanationStep,
    FactUsed,
    PersonsDecision,
    RecoveredAmount,
    RetractedFact,
    Settled,
    SettlementStep,
    Terms,
    UseOfCredit,
)
from makegood.answers.left_out_facts import About, left_out_facts
from makegood.answers.words import words_or_why_not
from makegood.house.opening import House
from projections.audit_trail import accounts_with_claim
from projections.complaints import about
from projections.credits import listed as listed_credits
from projections.what_happened import what_happened

CLAUSES = {
    "service_disruption": "Refund 1: a significant, unresolved disruption, reported promptly (policy §3)",
    "billing_error": "Refund 2: an overcharge confirmed by the investigation (policy §4)",
    "unused_period": "Cancellation 2: the unused part of a prepaid cycle (policy §5, §6)",
    "complaint": "Return: a goodwill credit for a complaint (policy §8)",
}


class Unexplained(LookupError):
    """The requested object does not exist, or the caller has no access to it."""


class SeveralHaveIt(Unexplained):
    """Several accounts have an id: it must be said which is meant."""


def explain(house: House, sight: Sight, id_: str, account: str | None = None) -> Explanation:
    """Everything that is recorded about a claim, refund or credit, as far as it may be seen. Raises Unexplained.

    Where no account is given, it is looked for in all that may be seen. Whoever may not read what people wrote is
    told nothing of what the provider's people wrote to each other about a goodwill credit or a retraction.
    """
    if account is not None:
        sight.check(account)
    credit_id = credit_of(id_)
    if credit_id.startswith(excess_credit_id("")):
        return sight.row(Explanation, _explain_excess(house, id_, credit_id, account, sight.accounts))
    claim_id = claim_of(id_)
    account_id = _account_of(house, id_, claim_id, account, sight.accounts)
    house = house.of(account_id)
    recorded = follow_account(house.database, account_id)
    found = explain_claim(house, recorded, id_, claim_id, account_id, words=sight.words)
    if found["clause"] == "complaint" and not sight.goodwill:
        raise Unexplained("goodwill proposals are not visible to you")
    return sight.row(Explanation, found)


def explain_claim(
    house: House, recorded: Iterable[StoredEnvelope], id_: str, claim_id: str, account_id: str, *, words: bool
) -> Explanation:
    """What an account's events, from its first on, say about a claim. Raises Unexplained."""
    envelopes = [(envelope, envelope.event()) for envelope in recorded]
    steps = [
        (e, event)
        for e, event in envelopes
        if isinstance(event, ClaimAssessed | ClaimAssessedV1) and event.data.claim_id == claim_id
    ]
    settlements = [
        (e, event, claim) for e, event in envelopes for claim in claims_settled(event) if claim.claim_id == claim_id
    ]
    if not steps:
        raise Unexplained(
            f"account {account_id} has no claim, refund or credit {id_}; see `makegood claims --account {account_id}`"
        )
    by_event_id = {event.event_id: (envelope, event) for envelope, event in envelopes}
    last = steps[-1][1].data
    used = [by_event_id[event_id] for event_id in last.facts if event_id in by_event_id]
    rested_on = {event_id for _, event in steps for event_id in event.data.facts}
    about = About(claim_id, last.subscription_id, last.charge_id, _invoice_of(envelopes, rested_on), rested_on)
    decided = next((event.data for _, event in reversed(steps) if event.data.facts or event.data.terms), last)
    settled = [_settled_until(settlements, next_) for next_ in [e for e, _ in steps[1:]] + [None]]
    return {
        "id": id_,
        "claim_id": claim_id,
        "account_id": account_id,
        "subscription_id": last.subscription_id,
        "charge_id": last.charge_id,
        "complaint_ids": _complaints_about(house, account_id, claim_id, (event for _, event in used)),
        "charge": next((_charge(event) for _, event in used if isinstance(event, CycleStarted | ChargePosted)), None),
        "clause": last.clause,
        "policy": CLAUSES[last.clause],
        "currency": last.currency,
        "claim": state(last.after, settled[-1]),
        "agreement": _terms(decided.terms) if decided.terms is not None else None,
        "formula": last.formula,
        "inputs": last.inputs,
        "working": list(last.working),
        "facts": [_fact(house, envelope, event, words=words) for envelope, event in used],
        "facts_count": last.facts_count,
        "retracted": _retracted(house, by_event_id, [event for _, event in steps], words=words),
        "left_out": left_out_facts(envelopes, about),
        "steps": [
            _step(envelope, event, before, after, by_event_id)
            for (envelope, event), before, after in zip(steps, [(), *settled], settled, strict=False)
        ],
        "settlements": [_settlement(envelope, event, claim, by_event_id) for envelope, event, claim in settlements],
        "refunds": course_of_refunds(envelopes, claim_id, retracted(_retractions(envelopes))),
        "applied": [
            _application(envelope, event)
            for envelope, event in envelopes
            if isinstance(event, CreditApplied | CreditAppliedV1) and event.data.claim_id == claim_id
        ],
        "recovered": [
            _recovery(envelope, event)
            for envelope, event in envelopes
            if isinstance(event, OverpaidRecovered) and claim_id in (event.data.claim_id, event.data.of_claim_id)
        ],
        "decisions": [
            _decision(house, envelope, event)
            for envelope, event in envelopes
            if isinstance(event, RefundAct | OverpaidAct) and _claim_decided_about(event) == claim_id
        ],
    }


def _explain_excess(
    house: House, id_: str, credit_id: str, account: str | None, among: Collection[str] | None
) -> Explanation:
    """The credit for what was paid on an invoice in excess: it belongs to no claim, and rests on no clause."""
    accounts = among if account is None else [account]
    credits = (credit for each in house.every for credit in listed_credits(each.database, accounts=accounts))
    having = {credit["account_id"]: credit for credit in credits if credit["credit_id"] == credit_id}
    if not having:
        raise Unexplained(f"no credit {credit_id}; see `makegood credits`")
    account_id, invoice_id = _the_only(list(having), id_), credit_id.removeprefix(excess_credit_id(""))
    house = house.of(account_id)
    envelopes = [(envelope, envelope.event()) for envelope in follow_account(house.database, account_id)]
    by_event_id = {event.event_id: (envelope, event) for envelope, event in envelopes}
    changes = [
        (envelope, event)
        for envelope, event in envelopes
        if isinstance(event, SettlementChanged) and event.data.invoice_id == invoice_id
    ]
    stands = changes[-1][1].data.after
    assert stands is not None, "an excess stands on an invoice"
    paid = stands.paid_in_money + stands.paid_from_balance
    set_off = paid - stands.excess_used - stands.charged - stands.excess
    return {
        "id": id_,
        "claim_id": None,
        "account_id": account_id,
        "subscription_id": None,
        "charge_id": None,
        "complaint_ids": [],
        "charge": None,
        "clause": None,
        "policy": "What was paid on an invoice in excess is the customer's (policy §7)",
        "currency": having[account_id]["currency"],
        "claim": None,
        "agreement": None,
        "formula": f"{paid} paid − {stands.charged} charged"
        + (f" − {set_off} set off" if set_off > 0 else "")
        + f" = {stands.excess_credit}",
        "inputs": {name: str(amount) for name, amount in stands.model_dump().items() if amount is not None},
        "working": [f"invoice {invoice_id}: of {stands.excess_credit} {stands.excess_used} was used or paid out"],
        "facts": [],
        "facts_count": 0,
        "retracted": [],
        "left_out": left_out_facts(envelopes, About(None, None, None, invoice_id, ())),
        "steps": [],
        "settlements": [
            _settlement(envelope, event, None, by_event_id)
            for envelope, event in changes
            if _excess_credit(event.data.before) != _excess_credit(event.data.after)
        ],
        "refunds": course_of_refunds_of_credit(envelopes, credit_id),
        "applied": [
            _application(envelope, event)
            for envelope, event in envelopes
            if isinstance(event, CreditApplied) and event.data.credit_id == credit_id
        ],
        "recovered": [
            _recovery(envelope, event)
            for envelope, event in envelopes
            if isinstance(event, OverpaidRecovered) and event.data.credit_id == credit_id
        ],
        "decisions": [
            _decision(house, envelope, event)
            for envelope, event in envelopes
            if isinstance(event, RefundAct) and credit_of(event.data.refund_id) == credit_id
        ],
    }


def _excess_credit(standing: InvoiceStanding | None) -> Decimal | None:
    return standing.excess_credit if standing is not None else None


Settling = tuple[StoredEnvelope, LedgerEvent, ClaimSettlement]


def _settled_until(settlements: Sequence[Settling], next_: StoredEnvelope | None) -> tuple[SettledPart, ...]:
    """How a claim was settled until its row changed next; None for how it is settled now."""
    parts: tuple[SettledPart, ...] = ()
    for envelope, _, claim in settlements:
        if next_ is None or envelope.account_version < next_.account_version:
            parts = claim.after
    return parts


def _settlement(
    envelope: StoredEnvelope,
    event: LedgerEvent,
    claim: ClaimSettlement | None,
    by_event_id: dict[str, tuple[StoredEnvelope, LedgerEvent]],
) -> SettlementStep:
    """A recorded change of how a claim is settled, with why."""
    return {
        "position": f"{envelope.shard}:{envelope.position}",
        "event_id": event.event_id,
        "invoice_id": event.data.invoice_id if isinstance(event, SettlementChanged) else None,
        "reasons": list(event.data.reasons) if isinstance(event, SettlementChanged) else ["claimed"],
        "before": _parts(claim.before if claim is not None else ()),
        "after": _parts(claim.after if claim is not None else ()),
        "cause": _cause(event, by_event_id),
        "cause_event_id": event.causation_id,
        "recorded_at": instant_to_text(event.recorded_at),
    }


def _cause(event: LedgerEvent, by_event_id: dict[str, tuple[StoredEnvelope, LedgerEvent]]) -> str:
    """What a decision followed from, in a word."""
    cause = by_event_id.get(event.causation_id or "")
    return cause[1].type if cause is not None else "time passed"


def _parts(parts: Iterable[SettledPart]) -> list[Settled]:
    return [
        {
            "into": part.into,
            "id": part.id,
            "net": str(part.net),
            "tax": str(part.tax),
            "status": part.status,
        }
        for part in parts
    ]


def _terms(terms: events.Terms) -> Terms:
    return {"agreement": terms.agreement, "version": terms.version, "sha256": terms.sha256}


def _complaints_about(house: House, account_id: str, claim_id: str, used: Iterable[LedgerEvent]) -> list[str]:
    """The complaints that have to do with a claim: with its dispute, its goodwill credit, or one of its outages."""
    kind, _, business_id = claim_id.partition("/")
    outages = [event.data.outage_id for event in used if isinstance(event, OutageReported)]
    things: list[tuple[LinkedKind, str]] = [("outage", outage_id) for outage_id in outages]
    if kind in _LINKED_AS:
        things.append((_LINKED_AS[kind], business_id))
    return about(house.database, account_id, things)


_LINKED_AS: dict[str, LinkedKind] = {"billing-error": "dispute", "goodwill": "goodwill"}
"""What a complaint's link calls that which a claim is about, by the kind of claim."""


def _account_of(house: House, id_: str, claim_id: str, account: str | None, among: Collection[str] | None) -> str:
    if account is not None:
        return account
    having = (account_id for each in house.every for account_id in accounts_with_claim(each.database, claim_id))
    accounts = sorted(account_id for account_id in having if among is None or account_id in among)
    if not accounts:
        raise Unexplained(f"no claim, refund or credit {id_}; see `makegood claims`")
    return _the_only(accounts, id_)


def _the_only(accounts: Sequence[str], id_: str) -> str:
    if len(accounts) > 1:
        raise SeveralHaveIt(f"several accounts have {id_}: {', '.join(accounts)}; choose one with --account")
    return accounts[0]


def state(claim: ClaimState | ClaimStateV1 | None, settled: Iterable[SettledPart]) -> explained.ClaimState | None:
    """A claim row as it stood, and how it was settled; None where there was none."""
    if claim is None or claim.outcome is None:
        return None
    return {
        "outcome": claim.outcome,
        "reason": claim.reason,
        "amount": str(claim.amount),
        "tax": str(claim.tax),
        "settled": _parts(settled),
    }


def _charge(event: CycleStarted | ChargePosted) -> ChargeExplained:
    """What was charged; a cycle runs from one date until another, which is not part of it any more."""
    data = event.data
    charge: ChargeExplained = {"price": str(data.price), "tax": str(data.tax), "invoice_id": data.invoice_id}
    if isinstance(data, CycleStarted.Data):
        charge["starts_on"] = data.starts_on.isoformat()
        charge["ends_on"] = data.ends_on.isoformat()
    return charge


def _fact(house: House, envelope: StoredEnvelope, event: LedgerEvent, *, words: bool) -> FactUsed:
    fact: FactUsed = {
        "position": f"{envelope.shard}:{envelope.position}",
        "event_id": event.event_id,
        "type": event.type,
        "occurred_at": instant_to_text(event.occurred_at),
        "recorded_at": instant_to_text(event.recorded_at),
    }
    if isinstance(event, Fact):
        message = event.data.message
        fact["source"] = message.source
        fact["id"] = message.id
        fact["time"] = instant_to_text(message.time)
    told = OverchargeRejected | GoodwillProposed | GoodwillRejected if words else OverchargeRejected
    if isinstance(event, told) and event.data.sealed is not None:
        fact["words"] = _reason(house, event.account, event.data.sealed)
    return fact


def _reason(house: House, account: str, sealed: Sealed) -> str | None:
    return words_or_why_not(house, account, sealed, "reason")


def _retracted(
    house: House,
    by_event_id: dict[str, tuple[StoredEnvelope, LedgerEvent]],
    steps: Sequence[ClaimAssessed | ClaimAssessedV1],
    *,
    words: bool,
) -> list[RetractedFact]:
    """The facts that some step rested on and that count as never said by now, each with the message that says so.

    A claim rests on registrations without naming them: these are found where taking them back changed the claim.
    """
    retractions = {
        message_key(event): (envelope, event)
        for envelope, event in by_event_id.values()
        if isinstance(event, FactRetracted)
    }
    gone = retracted(event.retraction for _, event in retractions.values())
    rested_on = [event_id for step in steps for event_id in step.data.facts]
    for step in steps:
        _, cause = by_event_id.get(step.causation_id or "", (None, None))
        if isinstance(cause, FactRetracted):
            rested_on.append(message_event_id(cause.data.retracts.source, cause.data.retracts.id))
    told: list[RetractedFact] = []
    for event_id in dict.fromkeys(rested_on):
        envelope, fact = by_event_id.get(event_id, (None, None))
        if envelope is None or not isinstance(fact, Fact) or message_key(fact) not in gone:
            continue
        by_envelope, by = retractions[gone[message_key(fact)].message]
        row: RetractedFact = {
            "position": f"{envelope.shard}:{envelope.position}",
            "event_id": fact.event_id,
            "type": fact.type,
            "source": fact.data.message.source,
            "id": fact.data.message.id,
            "retracted_by": {
                "source": by.data.message.source,
                "id": by.data.message.id,
                "position": f"{by_envelope.shard}:{by_envelope.position}",
                "recorded_at": instant_to_text(by.recorded_at),
            },
        }
        if words and by.data.sealed is not None:
            row["words"] = _reason(house, by.account, by.data.sealed)
        told.append(row)
    return told


def _invoice_of(envelopes: Iterable[tuple[StoredEnvelope, LedgerEvent]], rested_on: Collection[str]) -> str | None:
    """The invoice of the charge that a claim is for, or was for where it fell away."""
    charges = (event for _, event in envelopes if isinstance(event, CycleStarted | ChargePosted))
    return next((event.data.invoice_id for event in charges if event.event_id in rested_on), None)


def _retractions(envelopes: Iterable[tuple[StoredEnvelope, LedgerEvent]]) -> Iterator[Retraction]:
    return (event.retraction for _, event in envelopes if isinstance(event, FactRetracted))


def _step(
    envelope: StoredEnvelope,
    event: ClaimAssessed | ClaimAssessedV1,
    settled_before: tuple[SettledPart, ...],
    settled_after: tuple[SettledPart, ...],
    by_event_id: dict[str, tuple[StoredEnvelope, LedgerEvent]],
) -> ExplanationStep:
    return {
        "position": f"{envelope.shard}:{envelope.position}",
        "event_id": event.event_id,
        "change": change_in_a_word(event.data.before, event.data.after),
        "before": state(event.data.before, settled_before),
        "after": state(event.data.after, settled_after),
        "formula": event.data.formula,
        "cause": _cause(event, by_event_id),
        "cause_event_id": event.causation_id,
        "now": instant_to_text(event.data.now),
        "recorded_at": instant_to_text(event.recorded_at),
        "actor": event.actor,
        "channel": event.channel,
    }


def _application(envelope: StoredEnvelope, event: CreditApplied | CreditAppliedV1) -> UseOfCredit:
    """What of the claim's credits paid for a later charge."""
    data = event.data
    return {
        "position": f"{envelope.shard}:{envelope.position}",
        "event_id": event.event_id,
        "application_id": data.application_id,
        "credit_id": data.credit_id,
        "charge_id": data.charge_id,
        "invoice_id": data.invoice_id,
        "amount": str(data.amount),
        "recorded_at": instant_to_text(event.recorded_at),
    }


def _recovery(envelope: StoredEnvelope, event: OverpaidRecovered) -> RecoveredAmount:
    data = event.data
    return {
        "position": f"{envelope.shard}:{envelope.position}",
        "event_id": event.event_id,
        "application_id": data.application_id,
        "claim_id": data.claim_id,
        "credit_id": data.credit_id,
        "amount": str(data.amount),
        "recorded_at": instant_to_text(event.recorded_at),
    }


def _claim_decided_about(event: RefundAct | OverpaidAct) -> str:
    return event.data.claim_id if isinstance(event, OverpaidAct) else claim_of(event.data.refund_id)


def _decision(house: House, envelope: StoredEnvelope, event: RefundAct | OverpaidAct) -> PersonsDecision:
    """What a person decided, with their reason where they gave one."""
    return {
        "position": f"{envelope.shard}:{envelope.position}",
        "event_id": event.event_id,
        "type": event.type,
        "summary": what_happened(event),
        "decided_by": event.data.decided_by,
        "recorded_at": instant_to_text(event.recorded_at),
        "words": _reason(house, event.account, event.data.sealed) if event.data.sealed is not None else None,
    }


def change_in_a_word(before: ClaimState | ClaimStateV1 | None, after: ClaimState | ClaimStateV1 | None) -> Change:
    """A step in a word: opened, increased, decreased, changed, or fell away."""
    if after is None or after.outcome is None:
        return "fell away"
    if before is None or before.outcome is None:
        return "opened"
    difference = (after.amount + after.tax) - (before.amount + before.tax)
    return "increased" if difference > 0 else "decreased" if difference < 0 else "changed"
