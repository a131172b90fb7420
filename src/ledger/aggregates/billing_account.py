"""A billing account: every claim row as recorded, how it is settled, and the alarms that stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

from ledger.aggregates.recording import Cause, LedgerAggregate
from ledger.aggregates.settlements import Credit, Settlements
from ledger.events import (
    AlarmCleared,
    AlarmData,
    AlarmRaised,
    ClaimAssessed,
    ClaimAssessedV1,
    ClaimState,
    ClaimStateV1,
    Clause,
    CreditApplied,
    CreditUse,
    LedgerEvent,
    OverpaidRecovered,
    OverpaidRecoveryOrdered,
    SettledAnew,
    SettlementChanged,
    Terms,
    unchecked,
)
from ledger.policy.assess import FROM_ALL_FACTS, Assessment
from ledger.policy.assessed import Alarm, Assessed
from ledger.policy.facts import EVERYTHING, AccountFacts, Touched
from ledger.policy.facts.charge import Charge
from ledger.policy.rules import RULES
from ledger.policy.scope import NOTHING
from ledger.policy.settlement import proportion
from ledger.values import stream_name, value, zero

_assessed = unchecked(ClaimAssessed.Data)
_state = unchecked(ClaimState)
_terms = unchecked(Terms)

FACTS_NAMED_MAX = 1_000
"""A decision names so many facts by event id; of more it gives the count and a digest (design rule 5)."""

LAW_BROKEN = "law_broken"
"""The alarm for a law of the books that does not hold; no assessment raises or clears it."""


@value
class Reasons:
    """The terms and the working that a claim row was recorded with.

    `facts` are the event ids of the facts used; of too many there are none, but the digest of all.
    """

    terms: Terms | None
    formula: str | None
    inputs: dict[str, str]
    working: tuple[str, ...]
    facts: tuple[str, ...]
    facts_count: int
    facts_digest: str | None


@value
class RecordedClaim:
    """A claim row as it was last recorded."""

    claim_id: str
    clause: Clause
    subscription_id: str | None
    charge_id: str | None
    currency: str
    investigate_by: datetime | None
    state: ClaimState
    reasons: Reasons
    changed_at: datetime
    """The `now` of the assessment that changed it last."""


@value
class _Recovery:
    """What is still to be recovered of what went out too much for a claim, gross."""

    currency: str
    left: Decimal
    credits_before: Mapping[str, Decimal]
    """What was left of each credit when a person ordered it: only later credits are kept back."""
    times: int


class _GrantedRows:
    """What the recorded rows grant."""

    def __init__(self, claims: Mapping[str, RecordedClaim]) -> None:
        self._claims = claims

    def amount(self, claim_id: str, currency: str) -> tuple[Decimal, Decimal]:
        """Net and tax of a claim in a currency."""
        claim = self._claims.get(claim_id)
        if claim is None or claim.state.outcome != "granted" or claim.currency != currency:
            return zero(currency), zero(currency)
        return claim.state.amount, claim.state.tax

    def all(self) -> Iterable[str]:
        """The claims that have a row."""
        return self._claims


class BillingAccount(LedgerAggregate):
    """Records an account's facts that belong to no subscription, and every difference that an assessment makes."""

    def __init__(self, account: str, facts: AccountFacts) -> None:
        super().__init__(stream_name("account", account), account)
        self.claims: dict[str, RecordedClaim] = {}
        self.alarms: dict[Alarm, None] = {}
        self.settlements = Settlements(facts, _GrantedRows(self.claims))
        self.paid_by_credit: set[str] = set()
        """The charges that credits were applied to."""
        self._recoveries: dict[str, _Recovery] = {}
        """What is to be recovered, by claim."""

    # --- deciding ------------------------------------------------------------------------------------------------

    def record_differences(
        self,
        assessment: Assessment,
        contradictions: Iterable[Alarm],
        cause: Cause,
    ) -> set[str]:
        """Record every claim row that differs from what stood, every row that fell away, and alarms come and gone.

        Rows are taken charge by charge in the policy's order, whatever order the facts came in; those for no charge
        come first. Returns the claims whose rows were recorded.
        """
        looked_at = [*assessment.claims]
        if assessment.scope is not NOTHING:
            looked_at += [
                claim_id
                for claim_id, claim in self.claims.items()
                if claim_id not in assessment.claims and assessment.covers(claim_id, claim.charge_id)
            ]
        if len(looked_at) > 1:
            looked_at.sort(key=lambda claim_id: self._order(claim_id, assessment))
        recorded = set()
        for claim_id in looked_at:
            after = assessment.claims.get(claim_id)
            if after is None:
                self._record_fallen_away(self.claims[claim_id], cause)
            if after is None or self._record_row(after, cause):
                recorded.add(claim_id)
        due = assessment.alarms.union(contradictions)
        if due or self.alarms:
            self._record_alarms(assessment, due, cause)
        return recorded

    def _order(self, claim_id: str, assessment: Assessment) -> tuple[str, int, str]:
        row = assessment.claims.get(claim_id) or self.claims[claim_id]
        rank = ("billing_error", "service_disruption", "unused_period", "complaint").index(row.clause)
        return (row.charge_id or "", rank, claim_id)

    def _record_row(self, row: Assessed, cause: Cause) -> bool:
        """Record a row where it differs from what is recorded; returns whether it does."""
        recorded = self.claims.get(row.claim_id)
        why = reasons(row)
        if recorded is not None and _same(recorded, row, why):
            return False
        data = _assessed(
            claim_id=row.claim_id,
            clause=row.clause,
            subscription_id=row.subscription_id,
            charge_id=row.charge_id,
            currency=row.currency,
            before=recorded.state if recorded is not None else None,
            after=_state(
                outcome=row.outcome,
                reason=row.reason,
                amount=row.amount,
                tax=row.tax,
                settle_as=row.settle_as,
            ),
            investigate_by=row.investigate_by,
            terms=why.terms,
            formula=why.formula,
            inputs=why.inputs,
            working=why.working,
            facts=why.facts,
            facts_count=why.facts_count,
            facts_digest=why.facts_digest,
            rules=RULES,
            now=cause.now,
        )
        self.record(ClaimAssessed, data, cause)
        return True

    def _record_fallen_away(self, claim: RecordedClaim, cause: Cause) -> None:
        """A row without its facts is gone; what had gone out for it is remembered by its settlement."""
        data = ClaimAssessed.Data(
            claim_id=claim.claim_id,
            clause=claim.clause,
            subscription_id=claim.subscription_id,
            charge_id=claim.charge_id,
            currency=claim.currency,
            before=claim.state,
            after=None,
            investigate_by=None,
            terms=None,
            formula=None,
            inputs={},
            working=("the facts that it was assessed from no longer give a claim",),
            facts=(),
            facts_count=0,
            facts_digest=None,
            rules=RULES,
            now=cause.now,
        )
        self.record(ClaimAssessed, data, cause)

    # --- settling ------------------------------------------------------------------------------------------------

    def settle(self, touched: Touched, changed: Iterable[str], cause: Cause) -> None:
        """Settle anew what a fact or a changed claim touches, and record each difference (policy §7).

        `changed` are the claims whose rows were recorded.
        """
        for data in self.settlements.differences(touched, changed, cause.now):
            self.record(SettlementChanged, data, cause)

    def settle_anew(self, cause: Cause) -> None:
        """Settle all that older rules had settled, once, and say so (policy §7)."""
        self.record(SettledAnew, SettledAnew.Data(rules=RULES, now=cause.now), cause)
        for data in self.settlements.differences(EVERYTHING, (), cause.now, anew=True):
            self.record(SettlementChanged, data, cause)

    @property
    def refunds_due(self) -> Set[str]:
        """The refunds that are or were due, by id."""
        return self.settlements.outgoings.due.keys()

    @property
    def credits(self) -> Mapping[str, Credit]:
        """What is left of each credit, in the order in which they were granted."""
        return self.settlements.credits

    def apply_credits(self, charges: Iterable[Charge], before: Mapping[str, Credit], cause: Cause) -> None:
        """Apply credits to charges that became known after they were granted (policy §7).

        `before` are the credits as they were before. Only what the charge's invoice still asks for is paid; a charge
        gets something of each credit once.
        """
        if not before:
            return
        unused = {credit_id: credit.left for credit_id, credit in before.items()}
        for charge in charges:
            for credit_id in [id_ for id_, credit in self.credits.items() if credit.currency == charge.currency]:
                asked_for = self.settlements.asks_for(charge.invoice_id, charge.currency)
                left = min(self.credits[credit_id].left, unused.get(credit_id, zero(charge.currency)))
                amount = min(left, asked_for)
                if amount > 0:
                    unused[credit_id] -= amount
                    self._apply(credit_id, amount, charge, cause)

    def _apply(self, credit_id: str, amount: Decimal, charge: Charge, cause: Cause) -> None:
        credit = self.credits[credit_id]
        net, tax = self._of_credit(credit, amount)
        data = CreditApplied.Data(
            application_id=_application_id(self.account, credit_id, charge.charge_id),
            credit_id=credit_id,
            claim_id=credit.claim_id,
            charge_id=charge.charge_id,
            invoice_id=charge.invoice_id,
            amount=amount,
            net=net,
            tax=tax,
            currency=charge.currency,
            rules=RULES,
            now=cause.now,
        )
        self.record(CreditApplied, data, cause)
        self.settle(Touched(payments={data.application_id}), (), cause)

    def recover_overpaid(self, cause: Cause) -> None:
        """Keep later credits back for what went out too much, as people have ordered (policy §7)."""
        for claim_id in sorted(self._recoveries):
            for credit_id in list(self.credits):
                self._recover(claim_id, credit_id, cause)

    def _recover(self, claim_id: str, credit_id: str, cause: Cause) -> None:
        credit, recovery = self.credits[credit_id], self._recoveries[claim_id]
        settled = self.settlements.claims.get((claim_id, recovery.currency))
        overpaid = next((part for part in settled.parts if part.into == "overpaid"), None) if settled else None
        if overpaid is None or credit.currency != recovery.currency or credit.claim_id == claim_id:
            return
        too_much = -(overpaid.net + overpaid.tax)
        later = credit.left - recovery.credits_before.get(credit_id, Decimal(0))
        amount = min(too_much, recovery.left, later)
        if amount <= 0:
            return
        net, tax = self._of_credit(credit, amount)
        back = -overpaid.net, -overpaid.tax
        if amount != too_much:
            back = proportion(amount, too_much, -overpaid.tax, credit.currency)
        data = OverpaidRecovered.Data(
            application_id=_application_id(self.account, credit_id, f"{claim_id} {recovery.times}"),
            claim_id=claim_id,
            credit_id=credit_id,
            of_claim_id=credit.claim_id,
            amount=amount,
            net=net,
            tax=tax,
            recovered_net=back[0],
            recovered_tax=back[1],
            currency=credit.currency,
            rules=RULES,
            now=cause.now,
        )
        self.record(OverpaidRecovered, data, cause)
        self.settle(Touched(payments={data.application_id}, claims={claim_id}), (), cause)

    def _of_credit(self, credit: Credit, amount: Decimal) -> tuple[Decimal, Decimal]:
        """A part of a credit takes net and tax in its claim's proportion at this moment, the rest what remains."""
        if amount == credit.left:
            return credit.net, credit.tax
        net, tax = _GrantedRows(self.claims).amount(credit.claim_id or "", credit.currency)
        return proportion(amount, net + tax, tax, credit.currency)

    @property
    def laws_broken(self) -> Set[str]:
        """The laws that were found not to hold: nothing is paid out until they do."""
        return {law for alarm in self.alarms if alarm.alarm == LAW_BROKEN for law in alarm.about}

    def note_broken(self, laws: Set[str], cause: Cause, *, clears: bool) -> None:
        """Raise an alarm for each law that does not hold; with `clears` clear those of the laws that do."""
        if clears:
            for law in sorted(self.laws_broken - laws):
                self.record(AlarmCleared, _alarm_data(Alarm(LAW_BROKEN, (law,)), cause), cause)
        for law in sorted(laws - self.laws_broken):
            self.record(AlarmRaised, _alarm_data(Alarm(LAW_BROKEN, (law,)), cause), cause)

    def _record_alarms(self, assessment: Assessment, due: Set[Alarm], cause: Cause) -> None:
        standing = {alarm for alarm in self.alarms if alarm.alarm != LAW_BROKEN}
        in_scope = {
            alarm
            for alarm in standing
            if alarm.alarm in FROM_ALL_FACTS or assessment.covers(alarm.claim_id or "", alarm.charge_id)
        }
        for alarm in sorted(in_scope - due, key=_alarm_order):
            self.record(AlarmCleared, _alarm_data(alarm, cause), cause)
        for alarm in sorted(due - standing, key=_alarm_order):
            self.record(AlarmRaised, _alarm_data(alarm, cause), cause)

    # --- remembering ---------------------------------------------------------------------------------------------

    def when(self, event: LedgerEvent) -> None:
        match event:
            case ClaimAssessed() | ClaimAssessedV1():
                self._remember_claim(event)
            case AlarmRaised():
                self.alarms[_alarm(event.data)] = None
            case AlarmCleared():
                self.alarms.pop(_alarm(event.data), None)
            case CreditUse():
                self.paid_by_credit.add(event.data.charge_id)
            case OverpaidRecoveryOrdered(data=data):
                before = self._recoveries.get(data.claim_id)
                left = before.left if before is not None and before.currency == data.currency else Decimal(0)
                self._recoveries[data.claim_id] = _Recovery(
                    currency=data.currency,
                    left=left + data.amount,
                    credits_before={id_: credit.left for id_, credit in self.credits.items()},
                    times=before.times if before is not None else 0,
                )
            case OverpaidRecovered(data=data):
                recovery = self._recoveries[data.claim_id]
                self._recoveries[data.claim_id] = replace(
                    recovery, left=recovery.left - data.amount, times=recovery.times + 1
                )
        self.settlements.remember(event)

    def _remember_claim(self, event: ClaimAssessed | ClaimAssessedV1) -> None:
        data = event.data
        state = _row(data.after) if isinstance(data.after, ClaimStateV1) else data.after
        if state is None:
            self.claims.pop(data.claim_id, None)
        else:
            self.claims[data.claim_id] = RecordedClaim(
                claim_id=data.claim_id,
                clause=data.clause,
                subscription_id=data.subscription_id,
                charge_id=data.charge_id,
                currency=data.currency,
                investigate_by=data.investigate_by,
                state=state,
                reasons=Reasons(
                    terms=data.terms,
                    formula=data.formula,
                    inputs=data.inputs,
                    working=data.working,
                    facts=data.facts,
                    facts_count=data.facts_count,
                    facts_digest=data.facts_digest,
                ),
                changed_at=data.now,
            )


def _row(state: ClaimStateV1) -> ClaimState | None:
    """A claim row as older versions recorded it; one that fell away has no outcome."""
    if state.outcome is None:
        return None
    return ClaimState(outcome=state.outcome, reason=state.reason, amount=state.amount, tax=state.tax, settle_as=None)


def reasons(row: Assessed) -> Reasons:
    """The reasons that a row is recorded with."""
    working = row.working()
    terms = row.binding.data if row.binding is not None else None
    names = tuple(fact.event_id for fact in working.facts)
    few = len(names) <= FACTS_NAMED_MAX
    return Reasons(
        terms=_terms(agreement=terms.agreement, version=terms.version, sha256=terms.sha256) if terms else None,
        formula=working.formula,
        inputs=working.inputs,
        working=working.lines,
        facts=names if few else (),
        facts_count=len(names),
        facts_digest=None if few else sha256("\n".join(names).encode()).hexdigest(),
    )


def _same(recorded: RecordedClaim, row: Assessed, why: Reasons) -> bool:
    """Whether a row says what is recorded, and for the same reasons (policy §1).

    A dispute's subscription and term become known when its charge does.
    """
    state = recorded.state
    return (
        (recorded.subscription_id, recorded.charge_id, recorded.currency, recorded.investigate_by)
        == (row.subscription_id, row.charge_id, row.currency, row.investigate_by)
        and (state.outcome, state.reason, state.amount, state.tax) == (row.outcome, row.reason, row.amount, row.tax)
        and state.settle_as in (None, row.settle_as)
        and recorded.reasons == why
    )


def _application_id(account: str, credit_id: str, charge_id: str) -> str:
    """An application is told by what it takes from and what it pays for: no charge gets of a credit twice."""
    return sha256("\x00".join((CreditApplied.__name__, account, credit_id, charge_id)).encode()).hexdigest()[:32]


def _alarm(data: AlarmData) -> Alarm:
    return Alarm(data.alarm, data.about, data.claim_id, data.charge_id, data.subscription_id)


def _alarm_data(alarm: Alarm, cause: Cause) -> AlarmData:
    return AlarmData(
        alarm=alarm.alarm,
        about=alarm.about,
        claim_id=alarm.claim_id,
        charge_id=alarm.charge_id,
        subscription_id=alarm.subscription_id,
        now=cause.now,
    )


def _alarm_order(alarm: Alarm) -> tuple[str, ...]:
    return (alarm.alarm, alarm.charge_id or "", alarm.claim_id or "", *alarm.about)
