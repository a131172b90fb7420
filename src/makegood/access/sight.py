"""What somebody may see: which rows of an answer, and which of their fields.

The provider's people see an answer whole, as far as they may ask for it. Of what a customer may see, everything is
named here: a new field, and a type that is not here, no customer sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, cast, get_args

from typing_extensions import get_type_hints, is_typeddict

from ledger.store.reading.page import Listed
from ledger.values import SYSTEM_ACCOUNT, is_identifier
from projections.asking import unknown
from projections.claims import ClaimHead, is_goodwill_not_granted
from projections.complaints import ComplaintHead

T = TypeVar("T")
C = TypeVar("C", bound=ClaimHead)
H = TypeVar("H", bound=ComplaintHead)


def _of(names: str) -> frozenset[str]:
    return frozenset(names.split())


_PART = "claim_id account_id charge_id net tax total currency"
_CLAIM = _of(
    "claim_id clause account_id subscription_id charge_id outcome amount tax currency reason settlement overpaid "
    "investigate_by agreement agreement_version position"
)
_COMPLAINT = (
    "complaint_id account_id subscription_id category channel status opened_at resolved_at resolution_code links "
    "notes steps"
)

CUSTOMERS_SEE: Mapping[str, frozenset[str]] = {
    "Claim": _CLAIM,
    "ClaimOfAccount": _CLAIM,
    # Without who approved it, what it waits for, and by what it is approved.
    "Refund": _of(
        f"{_PART} refund_id credit_id status due_at approved_at submitted_at settled_at processor_reference returns"
    ),
    "Return": _of("return_id payment_id method amount status processor_reference"),
    "Credit": _of(f"{_PART} credit_id used refunded left granted_at dormant_since applied recovered"),
    "Recovered": _of("application_id claim_id amount recovered_at"),
    "Applied": _of("application_id charge_id invoice_id amount applied_at"),
    "Dispute": _of(
        "dispute_id claim_id account_id subscription_id charge_id status outcome reason opened_at age_seconds "
        "investigate_by overdue complaint_ids"
    ),
    "Complaint": _of(f"{_COMPLAINT} age_seconds"),
    "ComplaintOfAccount": _of(_COMPLAINT),
    "ComplaintStep": _of("step at event_id"),
    # With what they wrote themselves and what they were answered, and no note: these are the provider's own.
    "ComplaintInFull": _of(f"{_COMPLAINT} age_seconds"),
    "ComplaintStepInFull": _of("step at event_id resolution_code words"),
    "Link": _of("kind linked_id"),
    "Outage": _of(
        "outage_id account_id subscription_id severity cause channel status began_at reported_at resolved_at "
        "duration_seconds claims complaint_ids"
    ),
    "OutageClaim": _of("claim_id outcome reason amount tax currency"),
    # An account without goodwill, alarms and instructions: what was proposed and not granted, and what went wrong, is
    # the provider's own work.
    "Account": _of(
        "account_id as_of known_at nothing_yet time_zone currency registered_at balances subscriptions charges "
        "payments invoices claims refunds credits complaints set_aside"
    ),
    "Balance": _of(
        "currency charged captured reduced owed captured_in_excess refund_due refunded credit_used credit_left "
        "overpaid"
    ),
    "Subscription": _of("subscription_id account_id plan agreement agreement_version status effective_on"),
    "Charge": _of(
        "charge_id account_id kind subscription_id starts_on ends_on price tax currency invoice_id prepaid"
    ),
    "Payment": _of("payment_id account_id invoice_id amount currency method status"),
    "Invoice": _of(
        "invoice_id account_id currency charged paid_in_money paid_from_balance excess_used reduced asks_for excess "
        "excess_credit"
    ),
    # What is held about them, without what the provider's people wrote to each other, and who of them did what: a
    # person looks that over before they get it (role privacy).
    "PersonalData": _of("account_id made_at erased_at customer account history emails"),
    "CustomerHeld": _of("name email locale time_zone"),
    "EventHeld": _of("position type occurred_at recorded_at words unreadable"),
    "Notice": _of("notice_id account_id kind event_id status attempts repeat queued_at next_attempt_at"),
    # What was decided and why, without who of the provider's people did it. A message that somebody instructed is
    # named after them, so messages are not named either.
    "Explanation": _of(
        "id claim_id account_id subscription_id charge_id charge clause policy currency claim agreement formula "
        "inputs working facts facts_count retracted left_out complaint_ids steps settlements refunds applied "
        "recovered"
    ),
    "ChargeExplained": _of("price tax invoice_id starts_on ends_on"),
    "ClaimState": _of("outcome reason amount tax settled"),
    "Settled": _of("into id net tax status"),
    "Terms": _of("agreement version sha256"),
    "FactUsed": _of("position event_id type occurred_at recorded_at time words"),
    "RetractedFact": _of("position event_id type retracted_by words"),
    "RetractedBy": _of("position recorded_at"),
    "LeftOutFact": _of("position event_id type because since stands"),
    "StandingFact": _of("position event_id type"),
    "RefundCourse": _of("refund_id status total steps"),
    "RefundStep": _of("position event_id what amount at processor_reference recorded_at"),
    "ExplanationStep": _of(
        "position event_id change before after formula cause cause_event_id now recorded_at channel"
    ),
    "SettlementStep": _of("position event_id invoice_id reasons before after cause cause_event_id recorded_at"),
    "RecoveredAmount": _of("position event_id application_id claim_id credit_id amount recorded_at"),
    "UseOfCredit": _of("position event_id application_id credit_id charge_id invoice_id amount recorded_at"),
}
"""The fields that customers see, by the name of the answer's type or of a type within it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What somebody may see of what they may ask for: a customer of their accounts, the provider's people of all."""

    accounts: frozenset[str] | None = None
    goodwill: bool = True
    """Whether they may know of goodwill credits more than those that were granted."""
    words: bool = True
    """Whether they may read what the provider's people wrote of complaints, and about goodwill credits."""
    system: bool = True
    """Whether they may see what the provider did in no account."""

    def check(self, account: str) -> str:
        """The account, which they may ask for. Raises UnknownAccount, as for one that does not exist."""
        mine = self.accounts is None or account in self.accounts
        if not mine or not is_identifier(account) or (account == SYSTEM_ACCOUNT and not self.system):
            raise unknown(account)
        return account

    def among(self, account: str | None) -> frozenset[str] | None:
        """The accounts that a list may show, with one as filter or without; None for all."""
        if account is None:
            return self.accounts
        return frozenset({account}) if self.accounts is None or account in self.accounts else frozenset()

    def row(self, of: type[T], row: T) -> T:
        """An answer with the fields that they may see."""
        return row if self.accounts is None else cast(T, _for_customers(of, row))

    def rows(self, of: type[T], rows: Listed[T]) -> Listed[T]:
        """A list with the fields that they may see."""
        return rows if self.accounts is None else rows.told(self.row(of, row) for row in rows)

    def claims(self, claims: list[C]) -> list[C]:
        """The claims that they may know of."""
        return [claim for claim in claims if self.goodwill or not is_goodwill_not_granted(claim)]

    def complaint(self, complaint: H) -> H:
        """A complaint with the links that they may know of."""
        if self.goodwill:
            return complaint
        links = [link for link in complaint["links"] if link["kind"] != "goodwill"]
        return cast(H, {**complaint, "links": links})


EVERYTHING = Sight()
"""For whoever works on the machine itself."""


def _for_customers(of: type, row: Any) -> Any:
    fields = _fields_for_customers(of)
    return {name: _within(fields[name], value) for name, value in row.items() if name in fields}


def _within(of: type | None, value: Any) -> Any:
    if of is None or value is None:
        return value
    return [_for_customers(of, each) for each in value] if isinstance(value, list) else _for_customers(of, value)


@cache
def _fields_for_customers(of: type) -> Mapping[str, type | None]:
    """The fields of an answer's type that customers see, with the type of what each holds where that has fields."""
    hints = get_type_hints(of)
    return {name: _typed_dict_in(hints[name]) for name in hints if name in CUSTOMERS_SEE.get(of.__name__, ())}


def _typed_dict_in(hint: Any) -> type | None:
    if is_typeddict(hint):
        return cast(type, hint)
    return next((found for part in get_args(hint) if (found := _typed_dict_in(part)) is not None), None)
