"""What was retracted keeps its row and is shown no more; what it had displaced is shown again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

from ledger.application.as_of import assess_as_of
from ledger.events import (
    AccountRegistered,
    AgreementBound,
    ChargePosted,
    ComplaintOpened,
    ComplaintResolved,
    FactRetracted,
    InstructionRefused,
    PaymentCaptured,
    PaymentFailed,
    RefundFailed,
    RefundSucceeded,
    RetractedMessage,
    SubscriptionRegistered,
    SubscriptionStatusChanged,
)
from ledger.store.database import Database
from ledger.store.reading.events import StoredEnvelope, recorded_by
from ledger.store.reading.page import Page
from projections import account_state, audit_trail, instructions, refunds
from projections.catalog import CATALOG
from projections.projection import fold_account
from projections.retractions import RETRACTIONS, never_said
from tests.projections.stories import START, Story, gone_out, part
from tests.projections.test_asking import kept


def waiting_for_an_answer(database: Database) -> int:
    with database.reading() as transaction:
        return instructions.instructions_left(transaction).count


SUBSCRIBED = {"subscription_id": "sub-1", "agreement": "standard", "plan": "home"}
REFUND = {"refund_id": "refund/1", "processor_reference": "psp", "succeeded_at": START}
NO_AMOUNT = {"amount": None, "currency": None}
DUE, FAILED = part("refund", "refund/1", "1.00"), part("refund", "refund/1", "1.00", status="failed")
PAID = gone_out("refund", "refund/1", "1.00")


def take_back(story: Story, wrong: StoredEnvelope, **more: Any) -> StoredEnvelope:
    """Retract the message of an event; the retraction is as good a message as any."""
    message = wrong.event().data.message
    retracts = RetractedMessage(source=message.source, id=message.id)
    return story.tell(FactRetracted, wrong.account, retracts=retracts, source=message.source, **more)


def shown(story: Story) -> dict[str, Any]:
    *_, last = fold_account(story.envelopes, CATALOG)
    return account_state.account_state(last.state(), "acct-1")


def test_a_charge_and_a_payment_that_never_were_are_neither_listed_nor_reckoned_with() -> None:
    story = Story()
    story.tell(AccountRegistered, time_zone="UTC", currency="EUR")
    charge = {"charge_id": "c-1", "subscription_id": None, "tax": Decimal(0), "currency": "EUR", "invoice_id": "i"}
    wrong = story.tell(ChargePosted, price=Decimal("99.00"), **charge)
    story.tell(ChargePosted, price=Decimal("5.00"), **charge)
    paid = {"payment_id": "p-1", "invoice_id": "i"}
    captured = story.tell(PaymentCaptured, amount=Decimal("4.00"), currency="EUR", method="card", **paid)
    assert [each["price"] for each in shown(story)["charges"]] == ["99.00"]

    take_back(story, wrong)
    assert [each["price"] for each in shown(story)["charges"]] == ["5.00"]

    back = take_back(story, captured)
    assert [balance["captured"] for balance in shown(story)["balances"]] == ["0.00"]
    story.tell(PaymentFailed, time=START, **paid)
    assert [each["status"] for each in shown(story)["payments"]] == ["failed"]
    take_back(story, back)
    assert [each["status"] for each in shown(story)["payments"]] == ["captured"]


def test_a_subscription_whose_registration_was_retracted_is_none_until_it_stands_again() -> None:
    story = Story()
    story.tell(AccountRegistered, time_zone="UTC", currency="EUR")
    registration = story.tell(SubscriptionRegistered, **SUBSCRIBED)
    bound = {"agreement": "standard", "version": 2, "sha256": "0" * 64, "time_zone": "UTC"}
    story.tell(AgreementBound, subscription_id="sub-1", registration=registration.event().event_id, **bound)
    status = {"before": None, "after": "active", "effective_on": None, "now": START}
    story.tell(SubscriptionStatusChanged, subscription_id="sub-1", **status)
    active = shown(story)["subscriptions"]
    assert [(each["status"], each["agreement_version"]) for each in active] == [("active", 2)]

    back = take_back(story, registration)
    assert shown(story)["subscriptions"] == []
    again = story.tell(SubscriptionRegistered, **SUBSCRIBED | {"plan": "office"})
    [other] = shown(story)["subscriptions"]
    assert (other["plan"], other["agreement_version"]) == ("office", None)
    take_back(story, again)
    take_back(story, back)
    assert shown(story)["subscriptions"] == active


def test_without_its_registration_an_account_has_no_zone_and_its_subscriptions_no_status() -> None:
    story = Story()
    wrong = story.tell(AccountRegistered, time_zone="Europe/Berlin", currency="EUR")
    story.tell(SubscriptionRegistered, **SUBSCRIBED)
    status = {"before": None, "after": "cancelling", "effective_on": date(2026, 4, 1), "now": START}
    story.tell(SubscriptionStatusChanged, subscription_id="sub-1", **status)
    take_back(story, wrong)

    account = shown(story)
    assert (account["time_zone"], account["currency"], account["registered_at"]) == (None, None, None)
    assert [(each["status"], each["effective_on"]) for each in account["subscriptions"]] == [(None, None)]
    story.tell(AccountRegistered, time_zone="UTC", currency="EUR")
    assert shown(story)["time_zone"] == "UTC"


def test_a_complaint_that_was_not_resolved_is_open_again_and_one_that_nobody_made_is_none() -> None:
    story = Story()
    opened = story.tell(ComplaintOpened, complaint_id="k", subscription_id=None, channel="phone", category="noise")
    take_back(story, story.tell(ComplaintResolved, complaint_id="k", resolution_code="exchanged"))
    assert [each["status"] for each in shown(story)["complaints"]] == ["open"]
    take_back(story, opened)
    assert shown(story)["complaints"] == []


def test_a_refund_that_did_not_arrive_after_all_is_due_in_every_list(database: Database) -> None:
    story = Story()
    for account in ("acct-1", "acct-2"):
        story.settle(DUE, account=account)
    arrived = story.tell(RefundSucceeded, **REFUND, **NO_AMOUNT)
    story.settle(PAID)
    kept(database, story)
    assert statuses(database) == {"acct-1": "succeeded", "acct-2": "due"}

    back = take_back(story, arrived)
    story.settle(DUE)
    kept(database, story)
    assert statuses(database) == {"acct-1": "due", "acct-2": "due"}
    found = refunds.find(database, "refund/1", "acct-1")
    assert found is not None
    assert (found["status"], found["settled_at"], found["processor_reference"]) == ("due", None, None)
    assert account_state.account(database, "acct-1").state["balances"][0]["refund_due"] == "1.00"

    failed = story.tell(RefundFailed, refund_id="refund/1")
    story.settle(FAILED)
    kept(database, story)
    assert statuses(database) == {"acct-1": "failed", "acct-2": "due"}
    take_back(story, failed)
    take_back(story, back)
    story.settle(PAID)
    kept(database, story)
    assert statuses(database) == {"acct-1": "succeeded", "acct-2": "due"}


def statuses(database: Database) -> dict[str, str]:
    """How the refund of each account stands, by all lists alike: whole, by page, and by what is asked for."""
    whole = {each["account_id"]: each["status"] for each in refunds.listed(database)}
    for status in ("due", "failed", "succeeded"):
        having = sorted(account for account, its in whole.items() if its == status)
        for page in (None, Page(10)):
            assert [each["account_id"] for each in refunds.listed(database, status=status, page=page)] == having
    return whole


def test_an_answer_that_was_retracted_leaves_an_instruction_open(database: Database) -> None:
    story = Story()
    story.settle(part("invoice_reduction", "inv-1", "2.00"))
    kept(database, story)
    [instruction] = instructions.listed(database, START)
    answer = story.tell(InstructionRefused, instruction_id=instruction["instruction_id"])
    kept(database, story)
    assert instructions.listed(database, START, still_open=True) == []
    assert waiting_for_an_answer(database) == 0

    take_back(story, answer)
    kept(database, story)
    assert instructions.listed(database, START, still_open=True) == instructions.listed(database, START)
    assert [each["status"] for each in account_state.account(database, "acct-1").state["instructions"]] == ["open"]
    assert waiting_for_an_answer(database) == 1


def test_what_was_never_so_was_so_at_no_instant(database: Database) -> None:
    """As of a day before the retraction was sent the fact is left out; by what was known then it stands."""
    story = Story()
    story.tell(AccountRegistered, time_zone="UTC", currency="EUR")
    take_back(story, story.tell(SubscriptionRegistered, **SUBSCRIBED), occurred_at=START + timedelta(days=9))
    kept(database, story)

    recorded = account_state.recorded(database, "acct-1")

    def subscriptions(known: Iterable[StoredEnvelope]) -> list[str]:
        then = assess_as_of("acct-1", known, [], START + timedelta(days=1))
        return [each["plan"] for each in account_state.account_assessed(then.events, "acct-1")["subscriptions"]]

    assert subscriptions(recorded) == []
    assert subscriptions(recorded_by(recorded, START + timedelta(minutes=2))) == ["home"]
    assert [row["name"] for row in audit_trail.listed(database, "acct-1")] == [
        "AccountRegistered",
        "SubscriptionRegistered",
        "FactRetracted",
    ]


def test_of_retractions_in_any_order_the_same_messages_are_gone() -> None:
    """r takes back the fact, and is taken back by rr, which rrr takes back; of another account nothing is gone."""

    def tells(story: Story, name: str, named: str, account: str = "acct-1") -> None:
        retracts = RetractedMessage(source="/billing", id=named)
        story.tell(FactRetracted, account, retracts=retracts, time=START, message_id=name)

    steps = [("r", "fact"), ("rr", "r"), ("rrr", "rr"), ("other", "thing")]
    for order in permutations(steps):
        story = Story()
        for name, named in order:
            tells(story, name, named)
        assert never_said(story.folded(RETRACTIONS)) == {
            ("acct-1", f"/billing {gone}") for gone in ("fact", "rr", "thing")
        }


def test_a_retraction_in_one_account_says_nothing_of_another(database: Database) -> None:
    story = Story()
    for account in ("acct-1", "acct-2"):
        story.settle(DUE, account=account)
        arrived = story.tell(RefundSucceeded, account, **REFUND, **NO_AMOUNT)
        story.settle(PAID, account=account)
    there = arrived.event().data.message
    story.tell(FactRetracted, retracts=RetractedMessage(source=there.source, id=there.id))
    kept(database, story)
    assert statuses(database) == {"acct-1": "succeeded", "acct-2": "succeeded"}
    arrivals = [refund["processor_reference"] for refund in refunds.listed(database)]
    assert arrivals == ["psp", "psp"]
