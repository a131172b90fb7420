"""The texts that the portal has in each language: every language fills all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ledger.events import Clause, Into, Outcome, PartStatus, RefundStatus
from ledger.events.billing_account import Reason
from ledger.events.subscription import Status
from projections.complaints import Step

Wrong = Literal[
    "form", "key", "subscription_id", "began_at", "time_changes", "severity", "charge_id", "claimed", "category",
    "description", "reason", "keep_service", "complaint_id",
]  # fmt: skip
"""What can be wrong with a form: a field by its name, a time that clocks skip or have twice, a key that was used for
another form, and all of it."""
Severity = Literal["significant", "minor"]
Category = Literal["call_quality", "billing", "support", "contract", "other"]
CATEGORIES: tuple[Category, ...] = ("call_quality", "billing", "support", "contract", "other")
"""What a customer can say a complaint is about; upstream's complaints may have other categories."""
Fact = Literal[
    "cycle-started",
    "charge-posted",
    "payment-captured",
    "outage-reported",
    "outage-resolved",
    "outage-reopened",
    "billing-error-reported",
    "overcharge-confirmed",
    "overcharge-rejected",
    "cancellation-requested",
    "cancellation-withdrawn",
    "subscription-suspended",
    "subscription-reinstated",
    "subscription-terminated",
    "subscription-registered",
    "agreement-bound",
]
"""The facts that an amount can rest on, and that customers know of, by their stored names without version."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A text with a number in it, in the singular and the plural."""

    one: str
    many: str

    def of(self, number: int, **values: object) -> str:
        """The text for a number."""
        return (self.one if number == 1 else self.many).format(number=number, **values)


@dataclass(frozen=True, slots=True)
class Titled:
    """A heading and what stands below it."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class PortalWords:
    """All texts in one language. What stands in braces is filled in; the braces are the same in every language."""

    language: str
    """The language's own name."""
    switch: str
    skip: str
    sandbox: str
    navigation: str
    footer: str
    account_named: str
    """{account}"""
    sign_out: str
    sign_out_everywhere: str
    optional: str
    decimal_point: str

    # the navigation
    overview: str
    report_outage: str
    report_error: str
    complain: str
    own_data: str

    # the overview
    account: str
    times: str
    """In which time zone times are shown: {zone}."""
    comes_back: str
    credit_left: str
    open_invoices: str
    nothing_comes_back: str
    refunds: str
    refunds_settled: str
    no_refunds: Titled
    for_what: str
    amount: str
    when: str
    status: str
    period: str
    why: str
    see_why: str
    refund_when: Mapping[RefundStatus, str]
    """When a refund comes, by its status; {day} is the day of the last change."""
    credits: str
    no_credits: str
    of_total: str
    """What is left of a credit: {total}."""
    dormant: str
    subscriptions: str
    no_subscriptions: Titled
    plan: str
    ends_on: str
    """{day} is the date on which a subscription ends."""
    ended_on: str
    current_cycle: str
    no_cycle: str
    cycles: Counted
    prepaid: str
    not_prepaid: str
    cycle_from_to: str
    """{first} and {last} are the first and the last day of a cycle."""
    price: str
    statuses: Mapping[Status, str]
    cancel: str
    withdraw: str
    open_matters: str
    nothing_open: Titled
    outage_since: str
    """{moment}"""
    outage_from_to: str
    """{moment} and {until}"""
    settled_matters: str
    rows_shown: str
    """{first} to {last} are shown of {of}"""
    rows_before: str
    rows_after: str
    outages: str
    dispute_about: str
    """{charge}"""
    decided_by: str
    """{day}"""
    complaints: str
    complaint_of: str
    """{day}"""
    complaint_statuses: Mapping[Literal["open", "resolved"], str]
    decisions: str
    no_decisions: Titled
    outcomes: Mapping[Outcome, str]
    clauses: Mapping[Clause | Literal["excess"], str]
    set_aside: str
    on_charge: str
    """A one-off charge: {charge}."""

    # what an amount is for
    why_title: str
    granted: Mapping[Clause | Literal["excess"], str]
    """{amount} is what is granted, with its tax."""
    tax_in_it: str
    """{net} and {tax}"""
    declined: Mapping[Reason, str]
    pending: Mapping[Clause, str]
    withdrawn: str
    fell_away: str
    unused_days: Counted
    """{number} of {cycle} days; {price} is the price of the cycle."""
    unused_time: str
    """{price}"""
    thirty_days: str
    fee: str
    """{fee}"""
    less_than_reckoned: str
    credited_days: Counted
    """{time} without service count as {number} of {cycle} days; {price}"""
    credited_time: str
    """{time} and {price}"""
    investigate_by: str
    """{day}"""
    formula: str
    formula_words: Mapping[str, str]
    """The words that stand in formulas, in English and in this language."""
    investigator: str
    rests_on: str
    facts: Mapping[Fact, str]
    more_facts: Counted
    made_good: str
    into: Mapping[Into, str]
    """{amount}"""
    part_statuses: Mapping[PartStatus, str]
    used_for: str
    """{amount} of a credit was used for {invoice} on {day}"""
    disagree: Titled

    # forms
    preview: str
    confirm: str
    change: str
    leave: str
    not_recorded_yet: str
    not_accepted: str
    wrong: Mapping[Wrong, str]
    choose: str
    subscription: str
    nothing_changes: str
    what_it_means: str
    send: str

    outage_lead: str
    began_at: str
    began_at_hint: str
    """{zone}"""
    severity: str
    severities: Mapping[Severity, str]
    outage_means: str
    outage_recorded: str
    no_subscription: Titled

    error_lead: str
    charge: str
    claimed: str
    claimed_hint: str
    """{currency}"""
    error_description: str
    error_means: str
    error_recorded: str
    no_charge: Titled

    complain_lead: str
    category: str
    categories: Mapping[Category, str]
    other_category: str
    complaint_description: str
    complaint_means: str
    complaint_recorded: str
    complaint: str
    steps: Mapping[Step, str]
    you_wrote: str
    we_wrote: str
    no_answer_yet: str
    resolutions: Mapping[str, str]
    """What a resolution's code means to a customer."""
    resolved_otherwise: str
    reopen: str
    reopen_reason: str
    reopened: str

    cancel_title: str
    """{plan}"""
    cancel_lead: str
    effective: str
    """{day} is the date on which the service ends."""
    effective_at_once: str
    give_back: str
    keep: str
    comes_back_amount: str
    """{amount}"""
    comes_back_nothing: str
    cancel_choice: str
    cancel_reason: str
    cancel_confirm: str
    cancel_recorded: str
    """{day}"""
    cancelled_at_once: str
    receipt: str
    cannot_cancel: Titled
    withdraw_title: str
    withdraw_lead: str
    """{day}"""
    withdraw_confirm: str
    withdraw_recorded: str
    cannot_withdraw: Titled
    withdraw_too_soon: Titled

    # the activation
    activation: str
    activation_states: Mapping[Literal["waiting", "sent", "collected", "not_yet"], str]
    show_password: str
    recorded: str
    """What the other clock is called beside a time."""
    activation_again: str

    # what is held
    own_data_lead: str
    held_name: str
    held_email: str
    held_language: str
    held_zone: str
    held_events: Counted
    held_emails: Counted
    download_data: str
    not_in_it: str
    held: str
    emails: str
    kinds: Mapping[str, str]
    """The e-mails, by kind."""
