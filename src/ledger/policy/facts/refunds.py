"""What was submitted of refunds, and what the payment processor reports of them (policy §7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from ledger.events import (
    CLAUSES,
    RefundAct,
    RefundReport,
    RefundSubmitted,
    RefundSucceeded,
    RefundSucceededV1,
    Return,
    ReturnStatus,
)
from ledger.policy.facts.contradictions import Contradictions
from ledger.policy.facts.registration import RegisteredAccount
from ledger.policy.facts.touched import Touched
from ledger.policy.facts.waiting import WaitingFacts
from ledger.values import unit, value

Success = RefundSucceeded | RefundSucceededV1


@value
class RefundWord:
    """What the payment processor's reports say of one refund, or of one return."""

    succeeded: tuple[Success, ...]
    """The reports of success since it failed last, in order; none where the latest says that it failed."""
    latest: RefundReport

    @property
    def naming(self) -> RefundSucceeded | None:
        """The last report of success that names an amount; None where none does."""
        named = (r for r in reversed(self.succeeded) if isinstance(r, RefundSucceeded) and r.data.amount is not None)
        return next(named, None)

    @property
    def amount(self) -> Decimal | None:
        """What arrived, gross, by the last of them that names an amount; None where none does."""
        return self.naming.data.amount if self.naming is not None else None


@value
class ReturnWord:
    """One return of an attempt, and what the reports say of it: those of itself and those of the whole refund."""

    returned: Return
    word: RefundWord | None

    @property
    def status(self) -> ReturnStatus:
        """Submitted, as long as nothing was reported of it."""
        if self.word is None:
            return "submitted"
        return "succeeded" if self.word.succeeded else "failed"

    @property
    def amount(self) -> Decimal:
        """What was submitted of it, gross."""
        return self.returned.net + self.returned.tax

    @property
    def names_its_own(self) -> bool:
        """Whether the amount that was named is the return's, and not that of the whole refund."""
        naming = self.word.naming if self.word is not None else None
        return naming is not None and naming.data.refund_id == self.returned.return_id


@value
class Attempt:
    """A refund as it was submitted once, and what the reports say of its returns."""

    submitted: RefundSubmitted
    returns: tuple[ReturnWord, ...]
    otherwise: Mapping[str, Decimal]
    """The returns, by id, of which another amount went out than was submitted, with that amount, gross."""

    @property
    def out(self) -> tuple[ReturnWord, ...]:
        """The returns that have gone out: of which the latest word is no failure."""
        return tuple(each for each in self.returns if each.status != "failed")

    @property
    def failed(self) -> Decimal:
        """What was submitted and failed, gross."""
        return sum((each.amount for each in self.returns if each.status == "failed"), Decimal(0))

    @property
    def as_submitted(self) -> tuple[ReturnWord, ...]:
        """The returns that have gone out with the amounts that were submitted."""
        return tuple(each for each in self.out if each.returned.return_id not in self.otherwise)

    def amount_out(self, of: ReturnWord) -> Decimal:
        """What has gone out of a return, gross."""
        return Decimal(0) if of.status == "failed" else self.otherwise.get(of.returned.return_id, of.amount)


@dataclass(slots=True)
class RefundFacts:
    """What is known of one refund: the reports, and those in the account's currency put together.

    `word` is what is reported of it without our having submitted it.
    """

    reports: list[RefundReport] = field(default_factory=list)
    word: RefundWord | None = None
    attempts: tuple[Attempt, ...] = ()
    names_amount: bool = False
    """Whether any of the reports names what went out."""


class Submissions:
    """What was submitted of each refund. It is no fact, so that it stays where facts are taken back."""

    def __init__(self) -> None:
        self.of: dict[str, list[RefundSubmitted]] = defaultdict(list)
        self.refund_of: dict[str, str] = {}
        """The refund of each return."""
        self.to_invoice: dict[str, set[str]] = defaultdict(set)
        """The refunds that were returned to an invoice's payments."""
        self._known_when: dict[str, int] = {}

    def note(self, submitted: RefundSubmitted) -> None:
        """Remember that a refund was submitted."""
        self.of[submitted.data.refund_id].append(submitted)
        self.to_invoice[submitted.data.invoice_id].add(submitted.data.refund_id)
        self.refund_of.update((each.return_id, submitted.data.refund_id) for each in submitted.data.returns)

    def before(self, fact: RefundReport | RefundAct) -> int:
        """How many times its refund had been submitted when a fact about it was recorded."""
        return self._known_when.setdefault(fact.event_id, len(self.of.get(fact.data.refund_id, ())))


class Refunds:
    """Every refund that was submitted or that the payment processor reported on, whether it was ever due or not."""

    def __init__(
        self,
        account: RegisteredAccount,
        submissions: Submissions,
        contradictions: Contradictions,
        waiting: WaitingFacts,
    ) -> None:
        self._account = account
        self._submissions = submissions
        self._contradictions = contradictions
        self._waiting = waiting
        self._of_claim: dict[str, set[str]] = defaultdict(set)
        self._of_credit: dict[str, set[str]] = defaultdict(set)
        self.by_id: dict[str, RefundFacts] = defaultdict(RefundFacts)
        self._of_return: dict[str, list[RefundReport]] = defaultdict(list)
        for refund_id in submissions.of:
            self._file(refund_id)

    def learn(self, fact: RefundReport) -> Touched:
        """Take in one report, of a refund or of one of its returns."""
        named = fact.data.refund_id
        self._submissions.before(fact)
        if is_return(named):
            self._of_return[named].append(fact)
            refund_id = self._submissions.refund_of.get(named)
            self._waiting.ask_anew(*self._of_return[named])
            if refund_id is None:
                return Touched()
        else:
            refund_id = named
            self._file(refund_id)
            self.by_id[refund_id].reports.append(fact)
        self._judge(refund_id)
        self._waiting.ask_anew(*self.by_id[refund_id].reports)
        return Touched(refunds={refund_id})

    def _file(self, refund_id: str) -> None:
        claim_id, credit_id = claim_of_refund(refund_id), credit_of_refund(refund_id)
        if claim_id is not None:
            self._of_claim[claim_id].add(refund_id)
        if credit_id is not None:
            self._of_credit[credit_id].add(refund_id)

    def submit(self, submitted: RefundSubmitted) -> Touched:
        """Take note that a refund was submitted: what was reported of its returns before waits no more."""
        self._submissions.note(submitted)
        refund_id = submitted.data.refund_id
        self._file(refund_id)
        self._judge(refund_id)
        for returned in submitted.data.returns:
            self._waiting.became_known("refund", returned.return_id)
        return Touched(refunds={refund_id})

    def judge(self) -> None:
        """Find what the reports on each say."""
        for refund_id in {*self.by_id, *self._submissions.of}:
            self._judge(refund_id)

    def _judge(self, refund_id: str) -> None:
        refund = self.by_id[refund_id]
        reports = sorted(self._own(refund.reports), key=_order)
        submitted = self._submissions.of.get(refund_id, [])
        of_attempt = self._by_attempt(reports, len(submitted))
        refund.word = _word(of_attempt[0])
        refund.attempts = tuple(
            _attempt(each, tuple(self._judged(returned, whole) for returned in each.data.returns))
            for each, whole in zip(submitted, of_attempt[1:], strict=True)
        )
        refund.names_amount = any(isinstance(r, RefundSucceeded) and r.data.amount is not None for r in reports)

    def _judged(self, returned: Return, whole: Sequence[RefundReport]) -> ReturnWord:
        own = self._own(self._of_return.get(returned.return_id, ()))
        return ReturnWord(returned, _word(sorted([*own, *whole], key=_order)))

    def _by_attempt(self, reports: Sequence[RefundReport], attempts: int) -> list[list[RefundReport]]:
        """The reports on the whole refund by the attempt that each is about; the first are about none.

        It is the last attempt before the report was recorded. One that is not later than the failure by which an
        earlier attempt ended says nothing new: it is about that one.
        """
        of_attempt: list[list[RefundReport]] = [[] for _ in range(attempts + 1)]
        ended: dict[int, datetime] = {}
        for report in sorted(reports, key=self._submissions.before):
            attempt = self._submissions.before(report)
            while attempt and attempt - 1 in ended and report.data.message.time <= ended[attempt - 1]:
                attempt -= 1
            of_attempt[attempt].append(report)
            if not isinstance(report, Success):
                ended[attempt] = max(ended.get(attempt, report.data.message.time), report.data.message.time)
        return [sorted(each, key=_order) for each in of_attempt]

    def waits_for(self, fact: RefundReport) -> str | None:
        """It waits until its refund is due, unless it is known what went out for what can be a claim."""
        named = fact.data.refund_id
        if is_return(named):
            known = named in self._submissions.refund_of
        else:
            known = named in self._submissions.of or (
                claim_of_refund(named) is not None and self.by_id[named].names_amount
            )
        return None if known or self._contradictions.leaves_out(fact) else f"refund {named}"

    def _own(self, reports: Iterable[RefundReport]) -> Iterator[RefundReport]:
        """The reports in the account's currency, and with no more digits than it has; the others are left out."""
        registration = self._account.registration
        for report in self._account.own(reports):
            if registration is not None and _has_more_digits(report, registration.data.currency):
                self._contradictions.leave_out(report, because_of=registration)
            else:
                yield report

    # --- questions -----------------------------------------------------------------------------------------------

    def of_claim(self, claim_id: str) -> Iterable[str]:
        """The refunds of one claim that were submitted or reported on."""
        return self._of_claim.get(claim_id, ())

    def of_credit(self, credit_id: str) -> Iterable[str]:
        """The refunds of one credit that were submitted or reported on."""
        return self._of_credit.get(credit_id, ())

    def any_of(self, claim_id: str, credit_id: str) -> bool:
        """Whether any refund of a claim or of its credit was submitted or reported on."""
        return claim_id in self._of_claim or credit_id in self._of_credit

    def word(self, refund_id: str) -> RefundWord | None:
        """What the payment processor says of a refund that was not submitted; None where it said nothing."""
        refund = self.by_id.get(refund_id)
        return refund.word if refund is not None else None

    def attempts(self, refund_id: str) -> tuple[Attempt, ...]:
        """The refund each time that it was submitted, with what became of it."""
        refund = self.by_id.get(refund_id)
        return refund.attempts if refund is not None else ()

    def submitted(self) -> Iterable[str]:
        """The refunds that were submitted."""
        return self._submissions.of

    def submitted_to(self, invoice_id: str) -> Iterable[str]:
        """The refunds that were returned to an invoice's payments."""
        return self._submissions.to_invoice.get(invoice_id, ())

    def returns(self) -> AbstractSet[str]:
        """The returns of all refunds that were submitted, by id."""
        return self._submissions.refund_of.keys()

    def returned(self, payment_id: str) -> Decimal:
        """What has gone out to a payment, gross."""
        return sum(
            (
                attempt.amount_out(each)
                for refund_id in self._submissions.of
                for attempt in self.attempts(refund_id)
                for each in attempt.out
                if each.returned.payment_id == payment_id
            ),
            Decimal(0),
        )

    def references_that_differ(self) -> Iterator[tuple[Success, Success]]:
        """The reports of success that name another reference than the first since their refund failed last."""
        for refund in self.by_id.values():
            words = [refund.word, *(each.word for attempt in refund.attempts for each in attempt.returns)]
            for word in words:
                if word is not None and word.succeeded:
                    first, *others = word.succeeded
                    for other in others:
                        if other.data.processor_reference != first.data.processor_reference:
                            yield first, other

    def amounts_that_differ(self) -> Iterator[tuple[RefundSubmitted, Success]]:
        """The reports of submitted refunds that name another amount than was submitted, with what was."""
        for refund in self.by_id.values():
            for attempt in refund.attempts:
                for each in attempt.out:
                    naming = each.word.naming if each.word is not None else None
                    if naming is not None and each.returned.return_id in attempt.otherwise:
                        yield attempt.submitted, naming


def _attempt(submitted: RefundSubmitted, returns: tuple[ReturnWord, ...]) -> Attempt:
    out = [each for each in returns if each.status != "failed"]
    return Attempt(submitted, returns, _otherwise(out, unit(submitted.data.currency)))


def _otherwise(out: Sequence[ReturnWord], digits: Decimal) -> dict[str, Decimal]:
    """The amounts of the returns that went out with another than was submitted.

    Where the whole refund is reported with another amount, its first return bears the difference, as far as it goes,
    then the next.
    """
    own: dict[str, Decimal] = {}
    whole: list[ReturnWord] = []
    for each in out:
        amount = each.word.amount if each.word is not None else None
        if amount is not None and each.names_its_own:
            own[each.returned.return_id] = amount.quantize(digits)
        elif amount is not None:
            whole.append(each)
    submitted = {each.returned.return_id: each.amount for each in out}
    differing = {id_: amount for id_, amount in own.items() if amount != submitted[id_]}
    namings = [naming for each in whole if each.word is not None and (naming := each.word.naming) is not None]
    if namings:
        named = max(namings, key=_order).data.amount or Decimal(0)
        difference = named.quantize(digits) - sum({**submitted, **own}.values(), Decimal(0))
        for each in whole:
            if difference:
                amount = max(Decimal(0), each.amount + difference)
                difference -= amount - each.amount
                differing[each.returned.return_id] = amount
    return differing


def _word(reports: Sequence[RefundReport]) -> RefundWord | None:
    """What reports say together, in their order."""
    since_failure: list[Success] = []
    for report in reports:
        if isinstance(report, Success):
            since_failure.append(report)
        else:
            since_failure.clear()
    return RefundWord(tuple(since_failure), reports[-1]) if reports else None


def _order(report: RefundReport) -> tuple[datetime, str, str]:
    return report.order


def is_return(id_: str) -> bool:
    """Whether an id is that of a return, and not of a whole refund (contract §3b)."""
    return id_.startswith("ret-")


def claim_of_refund(refund_id: str) -> str | None:
    """The claim that a refund is for, by its id, `refund/CLAIM/N`; None where it names none."""
    of, number = _refunded(refund_id)
    of_a_claim = of.partition("/")[0] in CLAUSES and of.partition("/")[2]
    return of if of_a_claim and number.isdecimal() else None


def credit_of_refund(refund_id: str) -> str | None:
    """The credit that a refund pays out, by its id, `refund/CREDIT/N`; None where it names none."""
    of, number = _refunded(refund_id)
    return of if of.partition("/")[0] in ("credit", "excess") and number.isdecimal() else None


def _refunded(refund_id: str) -> tuple[str, str]:
    kind, _, rest = refund_id.partition("/")
    of, _, number = rest.rpartition("/")
    return (of, number) if kind == "refund" else ("", "")


def _has_more_digits(report: RefundReport, currency: str) -> bool:
    """Whether an amount that is named without its currency cannot be one of the account's."""
    if not isinstance(report, RefundSucceeded) or report.data.currency is not None or report.data.amount is None:
        return False
    return report.data.amount != report.data.amount.quantize(unit(currency))
