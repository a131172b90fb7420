"""A billing account: every claim row as recorded, how it is settled, and the alarms that stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

from ledger.aggregates.recording import Cause, LedgerAggregate, stream_name
from ledger.events import (
    AlarmCleared,
    AlarmData,
    AlarmRaised,
    ClaimAssessed,
    ClaimState,
    Clause,
    CreditApplied,
    LedgerEvent,
    RefundSucceeded,
    SettledPart,
    Terms,
)
from ledger.policy.assess import Assessment
from ledger.policy.assessed import Alarm, Assessed
from ledger.policy.charges import Charge
from ledger.policy.known_facts import Invoice
from ledger.policy.settlement import Owing, applied, balance, settle
from ledger.values import zero

FACTS_NAMED_MAX = 1_000
"""A decision names so many facts by event id; of more it gives the count and a digest (design rule 5)."""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Credit:
    """What was granted as a credit, gross."""

    claim_id: str
    currency: str
    total: Decimal


class BillingAccount(LedgerAggregate):
    """Records an account's facts that belong to no subscription, and every difference that an assessment makes."""

    def __init__(self, account: str) -> None:
        super().__init__(stream_name("account", account), account)
        self.claims: dict[str, RecordedClaim] = {}
        self.alarms: dict[Alarm, None] = {}
        self.refunds: set[str] = set()
        self.credits: dict[str, Credit] = {}
        """By id, in the order in which they were granted."""
        self.paid_by_credit: set[str] = set()
        """The charges that credits were applied to."""
        self._used: dict[str, Decimal] = defaultdict(Decimal)
        self._applications: set[str] = set()
        self._applied_on: dict[str, Decimal] = defaultdict(Decimal)
        self._paid_out: set[str] = set()
        self._reductions: dict[str, Decimal] = defaultdict(Decimal)

    # --- deciding ------------------------------------------------------------------------------------------------

    def record_differences(
        self,
        assessment: Assessment,
        contradictions: Iterable[Alarm],
        invoice_of: Callable[[str], tuple[str, Invoice] | None],
        cause: Cause,
    ) -> None:
        """Record every claim row that differs from what stood, every row that fell away, and alarms come and gone.

        Rows are taken charge by charge in the policy's order, whatever order the facts came in; those for no charge
        come first. `invoice_of` finds a charge's invoice.
        """
        changes = {
            claim_id: claim
            for claim_id, claim in self.claims.items()
            if claim_id not in assessment.claims and assessment.covers(claim_id, claim.charge_id)
        }
        for claim_id in sorted(
            {*changes, *assessment.claims}, key=lambda claim_id: self._order(claim_id, assessment)
        ):
            after = assessment.claims.get(claim_id)
            if after is not None:
                self._record_row(after, invoice_of, cause)
            else:
                self._record_fallen_away(changes[claim_id], invoice_of, cause)
        self._record_alarms(assessment, set(contradictions), cause)

    def _order(self, claim_id: str, assessment: Assessment) -> tuple[str, int, str]:
        row = assessment.claims.get(claim_id) or self.claims[claim_id]
        rank = ("billing_error", "service_disruption", "unused_period", "complaint").index(row.clause)
        return (row.charge_id or "", rank, claim_id)

    def _record_row(
        self, row: Assessed, invoice_of: Callable[[str], tuple[str, Invoice] | None], cause: Cause
    ) -> None:
        recorded = self.claims.get(row.claim_id)
        before = recorded.state if recorded is not None else None
        why = reasons(row)
        if recorded is not None and _same(recorded, row, why):
            return
        parts = before.settled if before is not None else ()
        owing = self._owing(row.charge_id, row.currency, invoice_of)
        after = ClaimState(
            outcome=row.outcome,
            reason=row.reason,
            amount=row.amount,
            tax=row.tax,
            settled=settle(row.claim_id, parts, row.amount, row.tax, row.settle_as, row.currency, owing),
        )
        data = ClaimAssessed.Data(
            claim_id=row.claim_id,
            clause=row.clause,
            subscription_id=row.subscription_id,
            charge_id=row.charge_id,
            currency=row.currency,
            before=before,
            after=after,
            investigate_by=row.investigate_by,
            terms=why.terms,
            formula=why.formula,
            inputs=why.inputs,
            working=why.working,
            facts=why.facts,
            facts_count=why.facts_count,
            facts_digest=why.facts_digest,
            now=cause.now,
        )
        self.record(ClaimAssessed, data, cause)

    def _record_fallen_away(
        self, claim: RecordedClaim, invoice_of: Callable[[str], tuple[str, Invoice] | None], cause: Cause
    ) -> None:
        """A row without its facts is gone; only what had gone out for it is remembered, as overpaid."""
        nothing = zero(claim.currency)
        owing = self._owing(claim.charge_id, claim.currency, invoice_of)
        left = settle(claim.claim_id, claim.state.settled, nothing, nothing, "credit", claim.currency, owing)
        after = ClaimState(outcome=None, reason=None, amount=nothing, tax=nothing, settled=left) if left else None
        if after == claim.state:
            return
        data = ClaimAssessed.Data(
            claim_id=claim.claim_id,
            clause=claim.clause,
            subscription_id=claim.subscription_id,
            charge_id=claim.charge_id,
            currency=claim.currency,
            before=claim.state,
            after=after,
            investigate_by=None,
            terms=None,
            formula=None,
            inputs={},
            working=("the facts that it was assessed from no longer give a claim",),
            facts=(),
            facts_count=0,
            facts_digest=None,
            now=cause.now,
        )
        self.record(ClaimAssessed, data, cause)

    def _owing(
        self, charge_id: str | None, currency: str, invoice_of: Callable[[str], tuple[str, Invoice] | None]
    ) -> Owing:
        invoice_id, owed = None, zero(currency)
        found = invoice_of(charge_id) if charge_id is not None else None
        if found is not None:
            invoice_id, invoice = found
            owed = self._balance(invoice_id, invoice)
        return Owing(invoice_id, owed, self._paid_out.__contains__, self._used.__getitem__)

    def _balance(self, invoice_id: str, invoice: Invoice) -> Decimal:
        taken_off = self._reductions[invoice_id] + self._applied_on[invoice_id]
        return balance(invoice, taken_off, self._applications)

    def apply_credits(
        self,
        charges: Iterable[Charge],
        granted_before: Container[str],
        invoices: Mapping[str, Invoice],
        cause: Cause,
    ) -> None:
        """Apply credits to charges that became known after they were granted (policy §7).

        Only what the charge's invoice still asks for is paid; a charge gets something of each credit once.
        """
        for charge in charges:
            left = [
                (credit_id, credit.total - self._used[credit_id])
                for credit_id, credit in self.credits.items()
                if credit_id in granted_before and credit.currency == charge.currency
            ]
            owed = self._balance(charge.invoice_id, invoices[charge.invoice_id])
            for credit_id, amount in applied(left, owed):
                data = CreditApplied.Data(
                    application_id=_application_id(self.account, credit_id, charge.charge_id),
                    credit_id=credit_id,
                    claim_id=self.credits[credit_id].claim_id,
                    charge_id=charge.charge_id,
                    invoice_id=charge.invoice_id,
                    amount=amount,
                    currency=charge.currency,
                    now=cause.now,
                )
                self.record(CreditApplied, data, cause)

    def _record_alarms(self, assessment: Assessment, contradictions: set[Alarm], cause: Cause) -> None:
        standing = set(self.alarms)
        in_scope = {
            alarm
            for alarm in standing
            if alarm.alarm == "contradiction" or assessment.covers(alarm.claim_id or "", alarm.charge_id)
        }
        due = assessment.alarms | contradictions
        for alarm in sorted(in_scope - due, key=_alarm_order):
            self.record(AlarmCleared, _alarm_data(alarm, cause), cause)
        for alarm in sorted(due - standing, key=_alarm_order):
            self.record(AlarmRaised, _alarm_data(alarm, cause), cause)

    # --- remembering ---------------------------------------------------------------------------------------------

    def when(self, event: LedgerEvent) -> None:
        match event:
            case ClaimAssessed():
                self._remember_claim(event)
            case AlarmRaised():
                self.alarms[_alarm(event.data)] = None
            case AlarmCleared():
                self.alarms.pop(_alarm(event.data), None)
            case CreditApplied():
                self.paid_by_credit.add(event.data.charge_id)
                self._used[event.data.credit_id] += event.data.amount
                self._applications.add(event.data.application_id)
                self._applied_on[event.data.invoice_id] += event.data.amount
            case RefundSucceeded():
                self._paid_out.add(event.data.refund_id)

    def _remember_claim(self, event: ClaimAssessed) -> None:
        data = event.data
        before = data.before.settled if data.before is not None else ()
        after = data.after.settled if data.after is not None else ()
        for sign, parts in ((-1, before), (1, after)):
            for part in parts:
                if part.into == "invoice_reduction":
                    self._reductions[part.id] += sign * (part.net + part.tax)
                elif part.into == "refund":
                    self.refunds.add(part.id)
        credits = {part.id: part for part in after if part.into == "credit"}
        for part in before:
            if part.into == "credit" and part.id not in credits:
                del self.credits[part.id]
        for part in credits.values():
            self.credits[part.id] = Credit(data.claim_id, data.currency, part.net + part.tax)
        if data.after is None:
            del self.claims[data.claim_id]
        else:
            self.claims[data.claim_id] = RecordedClaim(
                claim_id=data.claim_id,
                clause=data.clause,
                subscription_id=data.subscription_id,
                charge_id=data.charge_id,
                currency=data.currency,
                investigate_by=data.investigate_by,
                state=data.after,
                reasons=Reasons(
                    terms=data.terms,
                    formula=data.formula,
                    inputs=data.inputs,
                    working=data.working,
                    facts=data.facts,
                    facts_count=data.facts_count,
                    facts_digest=data.facts_digest,
                ),
            )


def settlement_of(parts: Iterable[SettledPart]) -> str | None:
    """How a claim is settled, in a word: one way, `mixed`, or None where nothing is settled."""
    ways = {part.into for part in parts} - {"overpaid"}
    return None if not ways else ways.pop() if len(ways) == 1 else "mixed"


def reasons(row: Assessed) -> Reasons:
    """The reasons that a row is recorded with."""
    working = row.working()
    terms = row.binding.data if row.binding is not None else None
    names = tuple(fact.event_id for fact in working.facts)
    few = len(names) <= FACTS_NAMED_MAX
    return Reasons(
        terms=Terms(agreement=terms.agreement, version=terms.version, sha256=terms.sha256) if terms else None,
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
