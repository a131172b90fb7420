"""A refund's life (policy §7): who approves it, what goes out to which payment, and what is owed when it fails."""

from __future__ import annotations

import gc
import weakref
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest

from ledger.application.account import Account
from ledger.application.acts import Act, perform
from ledger.application.catalogue import Catalogue
from ledger.application.due_work import do_due_work
from ledger.application.payouts import (
    NoSuchRefund,
    Proposal,
    RefundRefused,
    approvable,
    decidable_overpaid,
    refundable_credit,
    rejectable,
    retryable,
    submit_approved,
    turnable,
)
from ledger.application.statement import Refusal, Statement
from ledger.store.writing import Head
from tests.ledger.books import Books
from tests.ledger.conftest import Opener
from tests.ledger.messages import Message, Upstream, read

BY_HAND = 'name = "standard"\nversion = 1\nvalid_from = 2000-01-01\n'
AUTOMATIC = BY_HAND + '[approval.automatic_up_to]\nEUR = "20.00"\n'
CREDIT = BY_HAND + '[billing_error]\nsettle_as = "credit"\n'
IN_APRIL = datetime(2026, 4, 10, 12, tzinfo=UTC)
REFUND = "refund/billing-error/dis-1/1"
REST = "refund/billing-error/dis-1/2"


class Desk:
    """A customer's account as its provider's people and its payment processor see it."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.customer = Upstream()

    # --- what is said --------------------------------------------------------------------------------------------

    def tell(self, *messages: Message) -> None:
        taken = self.books.take(messages)
        assert taken.accepted == len(messages), taken.refused

    def billed(self, *payments: tuple[str, str, str], price: str = "100.00", tax: str = "0.00") -> None:
        """A charge of 100.00 on invoice `inv-1`, and payments: method, id, amount."""
        says = self.customer
        charge = says.charge_posted("chg-1", price=price, tax=tax, invoice_id="inv-1")
        paid = [says.payment_captured("inv-1", amount, method=how, payment_id=id_) for how, id_, amount in payments]
        self.tell(says.account_registered(), charge, *paid)

    def overcharged(self, amount: str, dispute_id: str = "dis-1", **other: Any) -> None:
        self.tell(self.customer.overcharge_confirmed(dispute_id, "chg-1", amount=amount, **other))

    def succeeded(self, id_: str, **other: Any) -> None:
        self.tell(self.customer.refund_succeeded(id_, **other))

    def failed(self, id_: str, **other: Any) -> None:
        self.tell(self.customer.refund_failed(id_, **other))

    def pass_time(self, hours: float) -> None:
        self.books.clock.at += timedelta(hours=hours)
        do_due_work(self.books.ledger, self.books.clock.at)

    # --- what people do ------------------------------------------------------------------------------------------

    def approve(self, refund_id: str = REFUND, *, seen: str | None = None, person: str = "boss") -> None:
        seen = seen or self.proposal(refund_id)
        self._decide(
            "refund.approved", lambda act: _verdict(approvable(act, "acct-1", refund_id, seen, person), person)
        )

    def reject(self, refund_id: str = REFUND) -> None:
        self._decide(
            "refund.rejected",
            lambda act: {
                **_verdict(rejectable(act, "acct-1", refund_id, None, "boss"), "boss"),
                "reason": "a mistake",
            },
        )

    def retry(self, refund_id: str = REFUND) -> None:
        self._decide("refund.retried", lambda act: _verdict(retryable(act, "acct-1", refund_id), "fin"))

    def to_credit(self, refund_id: str = REFUND) -> None:
        def decided(act: Act) -> dict[str, Any]:
            amount, currency = turnable(act, "acct-1", refund_id)
            return {"refund_id": refund_id, "amount": str(amount), "currency": currency, "decided_by": "fin"}

        self._decide("refund.turned_into_credit", decided)

    def refund_credit(self, credit_id: str) -> str:
        asked: list[str] = []

        def decided(act: Act) -> dict[str, Any]:
            asked.append(refundable_credit(act, "acct-1", credit_id))
            return {"refund_id": asked[-1], "credit_id": credit_id, "decided_by": "fin"}

        self._decide("credit.refund_requested", decided)
        return asked[-1]

    def decide_overpaid(self, kind: str, claim_id: str = "billing-error/dis-1") -> None:
        def decided(act: Act) -> dict[str, Any]:
            amount, currency = decidable_overpaid(act, "acct-1", claim_id)
            said = {"claim_id": claim_id, "amount": str(amount), "currency": currency}
            return {**said, "decided_by": "fin", "reason": "too small"}

        self._decide(kind, decided)

    def _decide(self, kind: str, decided: Any) -> None:
        def act(act: Act) -> None:
            statement = read(self.customer.instructs(kind, **decided(act)))
            assert isinstance(statement, Statement), statement
            for became in act.take([statement]):
                assert not isinstance(became, Refusal), became

        perform(self.books.ledger, {"acct-1"}, act)

    def submit(self) -> int:
        return submit_approved(self.books.ledger)

    # --- what is recorded ----------------------------------------------------------------------------------------

    def proposal(self, refund_id: str = REFUND) -> str:
        def ask(act: Act) -> Proposal:
            return rejectable(act, "acct-1", refund_id, None, "boss")

        return perform(self.books.ledger, {"acct-1"}, ask).proposal

    def stands(self, refund_id: str = REFUND) -> dict[str, Any] | None:
        found = [d for d in self.data("refund-status-changed.v1") if d["refund_id"] == refund_id]
        return found[-1] if found and found[-1]["after"] is not None else None

    def status(self, refund_id: str = REFUND) -> str | None:
        stands = self.stands(refund_id)
        return stands["after"] if stands is not None else None

    def course(self, refund_id: str = REFUND) -> list[str | None]:
        return [d["after"] for d in self.data("refund-status-changed.v1") if d["refund_id"] == refund_id]

    def data(self, type_: str) -> list[dict[str, Any]]:
        return [e["data"] for e in self.books.stored("acct-1") if e["type"] == type_]

    def submitted(self) -> list[dict[str, Any]]:
        return self.data("refund-submitted.v1")

    def parts(self, claim_id: str = "billing-error/dis-1") -> list[tuple[str, str, Decimal, str]]:
        """How a claim is settled now: into, id, gross, status."""
        last: list[dict[str, Any]] = []
        for data in self.data("settlement-changed.v1"):
            for claim in data["claims"]:
                if claim["claim_id"] == claim_id:
                    last = claim["after"]
        return [(p["into"], p["id"], Decimal(p["net"]) + Decimal(p["tax"]), p["status"]) for p in last]


def _verdict(proposal: Proposal, person: str) -> dict[str, Any]:
    return {
        "refund_id": proposal.refund_id,
        "proposal": proposal.proposal,
        "set_by": proposal.set_by,
        "net": str(proposal.net),
        "tax": str(proposal.tax),
        "currency": proposal.currency,
        "decided_by": person,
    }


@pytest.fixture
def desk(open_books: Opener) -> Desk:
    return Desk(open_books(now=IN_APRIL, agreements=[BY_HAND]))


@pytest.fixture
def automatic(open_books: Opener) -> Desk:
    """A desk whose agreement approves refunds up to 20.00 by itself."""
    desk = Desk(open_books(now=IN_APRIL, agreements=[AUTOMATIC]))
    says = desk.customer
    desk.tell(
        says.account_registered(),
        says.subscription_registered(),
        says.charge_posted("chg-1", price="100.00", invoice_id="inv-1", subscription_id="sub-1"),
        says.payment_captured("inv-1", "100.00", payment_id="pay-1"),
    )
    return desk


# --- approval -------------------------------------------------------------------------------------------------------


def test_a_person_approves_and_it_goes_out_to_the_payment_it_came_from(desk: Desk) -> None:
    desk.billed(("card", "pay-1", "119.00"), tax="19.00")
    desk.overcharged("10.00")
    assert desk.submit() == 0, "nobody has approved it"
    desk.approve()
    assert desk.course() == ["approved"]
    assert desk.submit() == 1
    [sent] = desk.submitted()
    return_id = "ret-" + sha256(f"acct-1\n{REFUND}\n1\npay-1".encode()).hexdigest()[:32]
    assert (sent["attempt"], sent["net"], sent["tax"], sent["approved_by"]) == (1, "10.00", "1.90", "boss")
    assert sent["returns"] == [
        {"return_id": return_id, "payment_id": "pay-1", "method": "card", "net": "10.00", "tax": "1.90"}
    ]
    assert desk.submit() == 0, "it is submitted once"
    assert desk.parts() == [("refund", REFUND, Decimal("11.90"), "gone_out")]
    desk.succeeded(return_id)
    assert desk.course() == ["approved", "submitted", "succeeded"]
    assert desk.parts() == [("refund", REFUND, Decimal("11.90"), "gone_out")]


def test_approval_is_bound_to_what_was_seen(desk: Desk) -> None:
    desk.billed(("card", "pay-1", "100.00"))
    desk.overcharged("10.00")
    seen = desk.proposal()
    desk.overcharged("4.00", time="2026-02-01T00:00:00Z")  # an earlier verdict turns up, and holds
    with pytest.raises(RefundRefused, match=r"not what was seen: .* it is 4\.00 EUR"):
        desk.approve(seen=seen)
    desk.approve()
    assert desk.status() == "approved"


def test_a_late_fact_takes_the_approval_back(desk: Desk) -> None:
    desk.billed(("card", "pay-1", "100.00"))
    desk.overcharged("10.00")
    desk.approve()
    desk.overcharged("12.00", time="2026-02-01T00:00:00Z")
    assert desk.course() == ["approved", "due"]
    assert desk.submit() == 0
    desk.approve()
    assert desk.submit() == 1
    assert desk.submitted()[0]["net"] == "12.00"


def test_nobody_approves_what_came_from_their_own_act(desk: Desk) -> None:
    ended(desk)
    refund_id = desk.refund_credit(CREDIT_ID)
    for same in ("fin", "/makegood/cli/root for fin"):
        with pytest.raises(RefundRefused, match="four eyes"):
            desk.approve(refund_id, person=same)
    desk.approve(refund_id, person="boss")


def test_the_agreement_approves_what_has_rested(automatic: Desk) -> None:
    automatic.overcharged("20.00")
    automatic.pass_time(23.9)
    assert automatic.course() == []
    automatic.pass_time(0.1)
    assert automatic.course() == ["approved"]
    assert automatic.submit() == 1
    assert automatic.submitted()[0]["approved_by"] == "agreement standard v1"


def test_a_change_lets_it_rest_anew(automatic: Desk) -> None:
    automatic.overcharged("20.00")
    automatic.pass_time(20)
    automatic.overcharged("10.00", time="2026-02-01T00:00:00Z")
    automatic.pass_time(23)
    assert automatic.course() == []
    automatic.pass_time(1)
    assert automatic.course() == ["approved"]


def test_above_the_limit_a_person_approves(automatic: Desk) -> None:
    automatic.overcharged("20.01")
    automatic.pass_time(1_000)
    assert automatic.course() == []
    automatic.approve()
    assert automatic.course() == ["approved"]


def test_a_rejected_refund_is_due_again_when_its_amount_changes(desk: Desk) -> None:
    desk.billed(("card", "pay-1", "100.00"))
    desk.overcharged("10.00")
    desk.reject()
    assert desk.status() == "rejected"
    assert desk.parts() == [("refund", REFUND, Decimal("10.00"), "rejected")]
    with pytest.raises(RefundRefused, match="was rejected"):
        desk.approve(seen="whatever")
    desk.overcharged("12.00", time="2026-02-01T00:00:00Z")
    assert desk.course() == ["rejected", "due"]
    desk.overcharged("10.00", time="2026-01-01T00:00:00Z")
    assert desk.status() == "due", "what was rejected once is due again, whatever it comes to"


def test_what_is_owed_no_more_is_not_paid(desk: Desk) -> None:
    desk.billed(("card", "pay-1", "100.00"))
    verdict = desk.customer.overcharge_confirmed("dis-1", "chg-1", amount="10.00")
    desk.tell(verdict)
    desk.approve()
    desk.tell(desk.customer.fact_retracted(verdict))
    assert desk.course() == ["approved", None]
    assert desk.submit() == 0
    with pytest.raises(NoSuchRefund):
        desk.approve(seen="whatever")


# --- waiting --------------------------------------------------------------------------------------------------------


def test_a_contradiction_about_the_charge_holds_the_payout(desk: Desk) -> None:
    desk.billed(("card", "pay-1", "100.00"))
    desk.overcharged("10.00")
    desk.approve()
    other = desk.customer.charge_posted("chg-1", price="90.00", invoice_id="inv-1")
    desk.tell(other)
    stands = desk.stands()
    assert stands is not None
    assert (stands["after"], stands["held_by"]) == ("approved", "contradiction")
    assert desk.submit() == 0
    desk.tell(desk.customer.fact_retracted(other))
    assert desk.submit() == 1


def test_a_message_set_aside_holds_the_payouts_of_its_account(desk: Desk) -> None:
    desk.billed(("card", "pay-1", "100.00"))
    desk.overcharged("10.00")
    desk.approve()
    desk.books.database.tamper(
        "INSERT INTO set_aside (position, set_aside_id, origin, reason, source, id, account, channel, set_aside_at) "
        "VALUES (1, 'aside', 'x', 'it keeps failing', '/p', 'm', 'acct-1', 'kafka', 0)"
    )
    assert desk.submit() == 0
    desk.books.database.tamper(
        "INSERT INTO closures (kept, kept_id, outcome, actor, closed_at) VALUES ('set-aside', 'aside', 'd', 'a', 0)"
    )
    assert desk.submit() == 1


# --- the way back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payments", "amount", "expected"),
    [
        ([("card", "a", "60.00"), ("bank", "b", "40.00")], "10.00", {"a": "6.00", "b": "4.00"}),
        ([("card", "a", "33.33"), ("card", "b", "33.33"), ("card", "c", "33.34")], "0.01", {"c": "0.01"}),
        ([("card", "a", "50.00"), ("card", "b", "50.00")], "0.03", {"a": "0.02", "b": "0.01"}),
        ([("card", "a", "50.00"), ("other", "b", "50.00")], "100.00", {"a": "50.00", "b": "50.00"}),
    ],
)
def test_a_refund_goes_back_the_way_the_money_came(
    desk: Desk, payments: list[tuple[str, str, str]], amount: str, expected: dict[str, str]
) -> None:
    """In proportion to what is left on each payment, the largest remainder first, then the payment's id."""
    desk.billed(*payments)
    desk.overcharged(amount)
    desk.approve()
    desk.submit()
    assert {r["payment_id"]: r["net"] for r in desk.submitted()[0]["returns"]} == expected


def test_what_came_from_balance_goes_back_as_credit(desk: Desk) -> None:
    desk.billed(("card", "pay-1", "60.00"), ("balance", "pay-2", "40.00"))
    desk.overcharged("10.00")
    desk.approve()
    desk.submit()
    assert desk.parts() == [
        ("refund", REFUND, Decimal("6.00"), "gone_out"),
        ("credit", "credit/billing-error/dis-1/1", Decimal("4.00"), "open"),
    ]


def test_the_second_refund_goes_by_what_the_first_left(desk: Desk) -> None:
    desk.billed(("card", "a", "10.00"), ("card", "b", "90.00"))
    for dispute, amount in (("dis-1", "50.00"), ("dis-2", "50.00")):
        desk.overcharged(amount, dispute)
        desk.approve(f"refund/billing-error/{dispute}/1")
        desk.submit()
    sent = [{r["payment_id"]: r["net"] for r in each["returns"]} for each in desk.submitted()]
    assert sent == [{"a": "5.00", "b": "45.00"}, {"a": "5.00", "b": "45.00"}]


# --- what the payment processor answers -------------------------------------------------------------------------


def sent(desk: Desk, *payments: tuple[str, str, str], amount: str = "10.00") -> dict[str, str]:
    """A refund that was submitted; its returns' ids by payment."""
    desk.billed(*(payments or (("card", "a", "60.00"), ("card", "b", "40.00"))))
    desk.overcharged(amount)
    desk.approve()
    assert desk.submit() == 1
    return {r["payment_id"]: r["return_id"] for r in desk.submitted()[0]["returns"]}


def test_some_returns_arrive_and_others_fail(desk: Desk) -> None:
    returns = sent(desk)
    desk.succeeded(returns["a"])
    assert desk.status() == "submitted"
    desk.failed(returns["b"])
    assert desk.status() == "succeeded"
    assert desk.parts() == [
        ("refund", REFUND, Decimal("6.00"), "gone_out"),
        ("refund", REST, Decimal("4.00"), "failed"),
    ]
    desk.retry(REST)
    assert desk.status(REST) == "approved", "the same amount was approved as part of the first"
    assert desk.submit() == 1
    assert [(s["refund_id"], s["attempt"], s["net"]) for s in desk.submitted()] == [
        (REFUND, 1, "10.00"),
        (REST, 1, "4.00"),
    ]


def test_a_refund_that_failed_twice_becomes_a_credit(desk: Desk) -> None:
    sent(desk, ("card", "a", "100.00"))
    desk.failed(REFUND)
    assert desk.status() == "failed"
    assert desk.submit() == 0, "a person decides"
    desk.retry()
    assert desk.submit() == 1
    desk.failed(REFUND)
    assert desk.course() == ["approved", "submitted", "failed", "approved", "submitted", "failed"]
    assert [s["attempt"] for s in desk.submitted()] == [1, 2]
    desk.to_credit()
    assert desk.course()[-1] is None
    assert desk.parts() == [("credit", "credit/billing-error/dis-1/1", Decimal("10.00"), "open")]
    desk.overcharged("12.00", time="2026-02-01T00:00:00Z")
    assert desk.parts() == [
        ("refund", REFUND, Decimal("2.00"), "open"),
        ("credit", "credit/billing-error/dis-1/1", Decimal("10.00"), "open"),
    ], "up to that amount"


def test_a_failed_refund_of_another_amount_is_approved_anew(desk: Desk) -> None:
    sent(desk, ("card", "a", "100.00"))
    desk.failed(REFUND)
    desk.overcharged("12.00", time="2026-02-01T00:00:00Z")
    assert desk.status() == "failed"
    desk.retry()
    assert desk.status() == "due", "nobody has approved 12.00"
    assert desk.submit() == 0
    desk.approve()
    assert desk.submit() == 1


def test_one_that_bounced_after_it_had_arrived_is_owed_again(desk: Desk) -> None:
    returns = sent(desk, ("card", "a", "100.00"))
    desk.succeeded(returns["a"])
    desk.failed(returns["a"])
    assert desk.course() == ["approved", "submitted", "succeeded", "failed"]
    desk.succeeded(returns["a"])
    assert desk.status() == "succeeded"


def test_an_answer_that_comes_again_after_the_retry_says_nothing_new(desk: Desk) -> None:
    sent(desk, ("card", "a", "100.00"))
    desk.failed(REFUND, time="2026-04-10T13:00:00Z")
    desk.retry()
    desk.submit()
    desk.failed(REFUND, time="2026-04-10T13:00:00Z", message_id="the-same-again")
    assert desk.status() == "submitted", "nothing is paid twice"


def test_success_after_a_failure_that_was_retried_shows_what_went_out_twice(desk: Desk) -> None:
    returns = sent(desk, ("card", "a", "100.00"))
    desk.failed(returns["a"])
    desk.retry()
    desk.submit()
    desk.succeeded(returns["a"])
    assert desk.parts() == [
        ("refund", REFUND, Decimal("20.00"), "gone_out"),
        ("overpaid", "overpaid/billing-error/dis-1", Decimal("-10.00"), "open"),
    ]


def test_an_answer_with_another_amount_is_alarmed_and_counts(desk: Desk) -> None:
    returns = sent(desk, ("card", "a", "100.00"))
    desk.succeeded(returns["a"], amount="8.00", currency="EUR")
    assert [alarm["alarm"] for alarm in desk.books.alarms()] == ["refund_amount_differs"]
    assert desk.parts() == [
        ("refund", REFUND, Decimal("8.00"), "gone_out"),
        ("refund", REST, Decimal("2.00"), "open"),
    ]


def test_two_references_for_one_return_are_alarmed(desk: Desk) -> None:
    returns = sent(desk, ("card", "a", "100.00"))
    desk.succeeded(returns["a"])
    desk.succeeded(returns["a"], processor_reference="psp-78")
    assert [alarm["alarm"] for alarm in desk.books.alarms()] == ["refund_references_differ"]
    assert desk.parts() == [("refund", REFUND, Decimal("10.00"), "gone_out")]


def test_a_report_of_a_return_that_nobody_submitted_waits(desk: Desk) -> None:
    desk.billed(("card", "pay-1", "100.00"))
    desk.succeeded("ret-unheard-of")
    assert [waits_for for _, waits_for in desk.books.waiting()] == ["refund ret-unheard-of"]


def test_what_was_reported_early_goes_out_without_us(desk: Desk) -> None:
    desk.billed(("card", "pay-1", "100.00"))
    desk.succeeded(REFUND)
    desk.overcharged("10.00")
    assert desk.parts() == [("refund", REFUND, Decimal("10.00"), "gone_out")]
    with pytest.raises(RefundRefused, match="has arrived"):
        desk.approve(seen="whatever")


def test_from_submission_on_the_amount_is_fixed(desk: Desk) -> None:
    sent(desk, ("card", "a", "100.00"))
    desk.overcharged("4.00", time="2026-02-01T00:00:00Z")
    assert desk.parts() == [
        ("refund", REFUND, Decimal("10.00"), "gone_out"),
        ("overpaid", "overpaid/billing-error/dis-1", Decimal("-6.00"), "open"),
    ]
    assert desk.status() == "submitted"


# --- credits to their end -------------------------------------------------------------------------------------------


def ended(desk: Desk, *, settle_as: str = "credit") -> None:
    """A customer whose last subscription has ended, with a credit of 10.00."""
    says = desk.customer
    desk.billed(("card", "pay-1", "100.00"))
    desk.tell(says.subscription_registered(), says.cycle_started("cyc-1", price="0.00"))
    desk.overcharged("10.00", settle_as=settle_as)
    desk.tell(says.subscription_terminated())


CREDIT_ID = "credit/billing-error/dis-1/1"


def test_what_is_left_of_a_credit_is_refunded_on_request(desk: Desk) -> None:
    ended(desk)
    refund_id = desk.refund_credit(CREDIT_ID)
    assert refund_id == f"refund/{CREDIT_ID}/1"
    assert desk.status(refund_id) == "due"
    with pytest.raises(RefundRefused, match="already"):
        desk.refund_credit(CREDIT_ID)
    desk.approve(refund_id)
    assert desk.submit() == 1
    [out] = desk.submitted()
    assert (out["claim_id"], out["credit_id"], out["net"]) == ("billing-error/dis-1", CREDIT_ID, "10.00")
    assert desk.parts() == [("credit", CREDIT_ID, Decimal("10.00"), "gone_out")]
    desk.failed(refund_id)
    assert desk.status(refund_id) == "failed"
    assert desk.parts() == [("credit", CREDIT_ID, Decimal("10.00"), "open")]
    desk.retry(refund_id)
    desk.submit()
    desk.succeeded(refund_id)
    assert desk.course(refund_id) == ["due", "approved", "submitted", "failed", "approved", "submitted", "succeeded"]


def test_a_credit_is_not_refunded_while_a_subscription_lives(desk: Desk) -> None:
    desk.billed(("card", "pay-1", "100.00"))
    desk.tell(desk.customer.subscription_registered())
    desk.overcharged("10.00", settle_as="credit")
    with pytest.raises(RefundRefused, match="once the last subscription has ended"):
        desk.refund_credit(CREDIT_ID)


def test_a_credit_goes_to_the_latest_payment_with_enough_left(desk: Desk) -> None:
    ended(desk)
    says = desk.customer
    charge = says.charge_posted("chg-2", price="5.00", invoice_id="inv-2", time="2026-02-01T00:00:00Z")
    desk.tell(says.payment_captured("inv-2", "5.00", payment_id="pay-2"), charge)
    refund_id = desk.refund_credit(CREDIT_ID)
    desk.approve(refund_id)
    desk.submit()
    [out] = desk.submitted()
    assert [r["payment_id"] for r in out["returns"]] == ["pay-1"]


def test_a_credit_without_any_payment_waits_to_be_paid_by_hand(desk: Desk) -> None:
    says = desk.customer
    desk.billed(("balance", "pay-1", "100.00"))
    desk.tell(says.subscription_registered(), says.cycle_started("cyc-1", price="0.00"))
    desk.overcharged("10.00")
    desk.tell(says.subscription_terminated())
    refund_id = desk.refund_credit(CREDIT_ID)
    desk.approve(refund_id)
    assert desk.submit() == 0
    assert (desk.stands(refund_id) or {})["held_by"] == "payment"
    desk.succeeded(refund_id, processor_reference="transfer-of-2-May")
    assert desk.status(refund_id) == "succeeded"
    assert desk.parts() == [("credit", CREDIT_ID, Decimal("10.00"), "gone_out")]


def test_the_excess_of_an_invoice_is_refunded_on_request(desk: Desk) -> None:
    says = desk.customer
    desk.billed(("card", "pay-1", "112.00"))
    desk.pass_time(24)
    refund_id = desk.refund_credit("excess/inv-1")
    desk.approve(refund_id)
    assert desk.submit() == 1
    standing = desk.data("settlement-changed.v1")[-1]["after"]
    assert (standing["excess"], standing["excess_used"], standing["excess_credit"]) == ("0.00", "12.00", "12.00")
    desk.tell(says.charge_posted("chg-2", price="20.00", invoice_id="inv-1"))
    standing = desk.data("settlement-changed.v1")[-1]["after"]
    assert standing["asks_for"] == "20.00", "what was paid out is asked for again"


# --- what went out too much -----------------------------------------------------------------------------------------


def overpaid(desk: Desk) -> None:
    """6.00 too much went out for dispute `dis-1`."""
    sent(desk, ("card", "a", "100.00"))
    desk.overcharged("4.00", time="2026-02-01T00:00:00Z")


def test_what_went_out_too_much_is_written_off(desk: Desk) -> None:
    overpaid(desk)
    desk.decide_overpaid("overpaid.written_off")
    assert desk.parts() == [
        ("refund", REFUND, Decimal("10.00"), "gone_out"),
        ("written_off", "written-off/billing-error/dis-1", Decimal("-6.00"), "open"),
    ]
    with pytest.raises(NoSuchRefund, match="nothing went out too much"):
        desk.decide_overpaid("overpaid.written_off")


def test_what_went_out_too_much_is_recovered_from_the_next_credits_and_from_no_earlier_ones(desk: Desk) -> None:
    says = desk.customer
    desk.billed(("card", "a", "100.00"))
    desk.tell(
        says.charge_posted("chg-2", price="50.00", invoice_id="inv-2"),
        says.payment_captured("inv-2", "50.00", payment_id="b"),
        says.overcharge_confirmed("old", "chg-2", amount="3.00", settle_as="credit"),
    )
    desk.overcharged("10.00")
    desk.approve()
    desk.submit()
    desk.overcharged("4.00", time="2026-02-01T00:00:00Z")
    desk.decide_overpaid("overpaid.recovery_ordered")
    assert desk.data("overpaid-recovered.v1") == [], "the credit was there before"
    desk.tell(says.overcharge_confirmed("new", "chg-2", amount="4.00", settle_as="credit"))
    desk.tell(says.overcharge_confirmed("newer", "chg-2", amount="5.00", settle_as="credit"))
    assert [(d["credit_id"], d["amount"]) for d in desk.data("overpaid-recovered.v1")] == [
        ("credit/billing-error/new/1", "4.00"),
        ("credit/billing-error/newer/1", "2.00"),
    ]
    assert desk.parts() == [
        ("refund", REFUND, Decimal("10.00"), "gone_out"),
        ("recovered", "recovered/billing-error/dis-1", Decimal("-6.00"), "gone_out"),
    ]
    assert desk.parts("billing-error/newer") == [
        ("credit", "credit/billing-error/newer/1", Decimal("2.00"), "gone_out"),
        ("credit", "credit/billing-error/newer/1", Decimal("3.00"), "open"),
    ]


def test_what_is_stored_goes_on_as_what_lived(desk: Desk) -> None:
    """Another process that reads the account from its events decides alike."""
    returns = sent(desk)
    desk.books = desk.books.another_process()
    desk.failed(returns["a"])
    desk.succeeded(returns["b"])
    desk.books = desk.books.another_process()
    desk.retry(REST)
    desk.books = desk.books.another_process()
    assert desk.submit() == 1
    assert desk.books.rows("SELECT * FROM approved_refunds") == []


def test_an_account_that_nobody_needs_is_freed_at_once() -> None:
    """Parts look for circles of objects seldom (`collect_rarely`), so that accounts must not be in any."""
    account = Account(Head("acct-1"), Catalogue())
    gone = weakref.ref(account)
    gc.disable()
    try:
        del account
        assert gone() is None
    finally:
        gc.enable()
