"""What the payment processor reports of refunds (policy §7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from ledger.events import CLAUSES, RefundReport, RefundSucceeded, RefundSucceededV1
from ledger.policy.facts.contradictions import Contradictions
from ledger.policy.facts.registration import RegisteredAccount
from ledger.policy.facts.touched import Touched
from ledger.policy.facts.waiting import WaitingFacts
from ledger.values import unit

Success = RefundSucceeded | RefundSucceededV1


@dataclass(frozen=True, slots=True)
class RefundWord:
    """What the payment processor's reports say of one refund."""

    succeeded: tuple[Success, ...]
    """The reports of success since it failed last, in order; none where the latest says that it failed."""
    latest: RefundReport

    @property
    def amount(self) -> Decimal | None:
        """What arrived, gross, by the last of them that names an amount; None where none does."""
        named = (r.data.amount for r in reversed(self.succeeded) if isinstance(r, RefundSucceeded))
        return next((amount for amount in named if amount is not None), None)


@dataclass(slots=True)
class RefundFacts:
    """What is known of one refund: the reports, and those in the account's currency put together."""

    reports: list[RefundReport] = field(default_factory=list)
    word: RefundWord | None = None
    names_amount: bool = False
    """Whether any of them names what went out."""


class Refunds:
    """Every refund that the payment processor reported on, whether it was ever due or not."""

    def __init__(self, account: RegisteredAccount, contradictions: Contradictions, waiting: WaitingFacts) -> None:
        self._account = account
        self._contradictions = contradictions
        self._waiting = waiting
        self._of_claim: dict[str, set[str]] = defaultdict(set)
        self.by_id: dict[str, RefundFacts] = defaultdict(RefundFacts)

    def learn(self, fact: RefundReport) -> Touched:
        """Take in one report."""
        refund_id = fact.data.refund_id
        refund = self.by_id[refund_id]
        refund.reports.append(fact)
        claim_id = claim_of_refund(refund_id)
        if claim_id is not None:
            self._of_claim[claim_id].add(refund_id)
        self._judge(refund)
        self._waiting.ask_anew(*refund.reports)
        return Touched(refunds={refund_id})

    def judge(self) -> None:
        """Find what the reports on each say."""
        for refund in self.by_id.values():
            self._judge(refund)

    def _judge(self, refund: RefundFacts) -> None:
        reports = sorted(self._own(refund.reports), key=lambda fact: fact.order)
        since_failure: list[Success] = []
        for report in reports:
            if isinstance(report, Success):
                since_failure.append(report)
            else:
                since_failure.clear()
        refund.word = RefundWord(tuple(since_failure), reports[-1]) if reports else None
        refund.names_amount = any(isinstance(r, RefundSucceeded) and r.data.amount is not None for r in reports)

    def waits_for(self, fact: RefundReport) -> str | None:
        """It waits until its refund is due, unless it is known what went out for what can be a claim."""
        refund_id = fact.data.refund_id
        known = claim_of_refund(refund_id) is not None and self.by_id[refund_id].names_amount
        return None if known or self._contradictions.leaves_out(fact) else f"refund {refund_id}"

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
        """The refunds of one claim that were reported on."""
        return self._of_claim.get(claim_id, ())

    def word(self, refund_id: str) -> RefundWord | None:
        """What the payment processor says of a refund, by its latest report; None where it said nothing."""
        refund = self.by_id.get(refund_id)
        return refund.word if refund is not None else None

    def references_that_differ(self) -> Iterator[tuple[Success, Success]]:
        """The reports of success that name another reference than the first since their refund failed last."""
        for refund in self.by_id.values():
            if refund.word is not None and refund.word.succeeded:
                first, *others = refund.word.succeeded
                for other in others:
                    if other.data.processor_reference != first.data.processor_reference:
                        yield first, other


def claim_of_refund(refund_id: str) -> str | None:
    """The claim that a refund is for, by its id, `refund/CLAIM/N`; None where it names none."""
    kind, _, rest = refund_id.partition("/")
    claim_id, _, number = rest.rpartition("/")
    of_a_claim = kind == "refund" and claim_id.partition("/")[0] in CLAUSES and claim_id.partition("/")[2]
    return claim_id if of_a_claim and number.isdecimal() else None


def _has_more_digits(report: RefundReport, currency: str) -> bool:
    """Whether an amount that is named without its currency cannot be one of the account's."""
    if not isinstance(report, RefundSucceeded) or report.data.currency is not None or report.data.amount is None:
        return False
    return report.data.amount != report.data.amount.quantize(unit(currency))
