"""Instructions as they are shown: what was told, and the answer that holds."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import permutations
from typing import Any

import pytest

from ledger.events import (
    ClaimSettlement,
    CreditApplied,
    InstructionCarriedOut,
    InstructionRefused,
    PaymentCaptured,
    SettlementChanged,
    SubscriptionStatusChanged,
)
from ledger.store.database import Database
from projections import account_state, instructions
from projections.follower import Follower
from projections.instructions import INSTRUCTIONS, instructions_left, open_seconds, shown
from tests.projections.stories import START, Story, gone_out, granted_v1, part, part_v1, standing

APRIL = date(2026, 4, 1)
CARRIED_OUT = (InstructionCarriedOut, {"carried_out_at": START + timedelta(days=1)})
REFUSED = (InstructionRefused, {})


def stands(story: Story, after: str, on: date | None, before: str | None = None, account: str = "acct-1") -> None:
    status = {"before": before, "after": after, "effective_on": on, "now": START}
    story.tell(SubscriptionStatusChanged, account, subscription_id="sub-1", **status)


def scheduled() -> tuple[Story, str]:
    """A story in which a cancellation is scheduled, and the id of the instruction."""
    story = Story()
    stands(story, "active", None)
    stands(story, "cancelling", APRIL, "active")
    [instruction] = shown(story.folded(INSTRUCTIONS))
    return story, str(instruction["instruction_id"])


def test_it_is_shown_with_what_is_to_be_done() -> None:
    story, instruction_id = scheduled()
    assert shown(story.folded(INSTRUCTIONS)) == [
        {
            "instruction_id": instruction_id,
            "kind": "cancellation.scheduled",
            "account_id": "acct-1",
            "data": {"subscription_id": "sub-1", "effective_on": "2026-04-01"},
            "issued_at": story.recorded_at(2),
            "status": "open",
            "answered_at": None,
        }
    ]


def test_a_status_that_changes_nothing_about_the_end_gives_none() -> None:
    story, _ = scheduled()
    stands(story, "suspended", APRIL, "cancelling")
    stands(story, "cancelled", APRIL, "suspended")
    assert len(shown(story.folded(INSTRUCTIONS))) == 1
    stands(story, "active", None, "cancelled")
    stands(story, "terminated", APRIL, "active")
    kinds = [each["kind"] for each in shown(story.folded(INSTRUCTIONS))]
    assert kinds == ["cancellation.scheduled", "cancellation.withdrawn"]


@pytest.mark.parametrize(
    ("answers", "status", "answered_at"),
    [
        ([], "open", None),
        ([CARRIED_OUT], "carried_out", "2026-03-02T09:00:00Z"),
        ([REFUSED], "refused", None),
        ([REFUSED, CARRIED_OUT], "carried_out", "2026-03-02T09:00:00Z"),
        ([CARRIED_OUT, REFUSED], "refused", None),
    ],
)
def test_of_several_answers_the_last_by_its_message_holds(
    answers: list[tuple[type, dict[str, Any]]], status: str, answered_at: str | None
) -> None:
    for order in permutations(range(len(answers))):
        story, instruction_id = scheduled()
        for number in order:
            event, data = answers[number]
            said = START + timedelta(hours=number)
            told_at = data.get("carried_out_at", said)
            story.tell(event, time=said, occurred_at=told_at, instruction_id=instruction_id, **data)
        [instruction] = shown(story.folded(INSTRUCTIONS))
        assert instruction["status"] == status
        assert (instruction["answered_at"] is None) == (status == "open")
        assert answered_at is None or instruction["answered_at"] == answered_at


def test_an_answer_counts_in_its_own_account_only_and_may_come_first() -> None:
    story, instruction_id = scheduled()
    other = Story()
    event, data = CARRIED_OUT
    other.tell(event, instruction_id=instruction_id, **data)
    assert shown(other.folded(INSTRUCTIONS)) == []
    state = {name: [*rows, *other.folded(INSTRUCTIONS)[name]] for name, rows in story.folded(INSTRUCTIONS).items()}
    assert [each["status"] for each in shown(state)] == ["carried_out"]
    for answer in other.folded(INSTRUCTIONS)["instruction_answers"]:
        state = {**story.folded(INSTRUCTIONS), "instruction_answers": [{**answer, "account": "acct-2"}]}
        assert [each["status"] for each in shown(state)] == ["open"]


def applies(story: Story, **data: Any) -> None:
    took = {"amount": Decimal("3.00"), "net": Decimal("2.52"), "tax": Decimal("0.48"), "rules": 1}
    story.tell(CreditApplied, application_id="5f" * 16, invoice_id="inv-2", now=START, **took, **data)


def data_of(story: Story) -> list[tuple[str, dict[str, str]]]:
    return [(each["kind"], each["data"]) for each in shown(story.folded(INSTRUCTIONS))]


def test_an_applied_credit_is_answered_by_the_payment_that_bears_its_id() -> None:
    story = Story()
    data = {"credit_id": "credit/1", "claim_id": "disruption/cycle-1", "charge_id": "cycle-2", "currency": "EUR"}
    applies(story, **data)
    paid = {"payment_id": "5f" * 16, "invoice_id": "inv-2", "amount": Decimal("3.00"), "currency": "EUR"}
    story.tell(PaymentCaptured, method="card", **paid)
    [instruction] = shown(story.folded(INSTRUCTIONS))
    assert (instruction["instruction_id"], instruction["kind"]) == ("5f" * 16, "credit.applied")
    assert instruction["data"] == {**data, "invoice_id": "inv-2", "amount": "3.00"}
    assert instruction["status"] == "open"

    said = START + timedelta(days=3)
    story.tell(PaymentCaptured, method="balance", time=said, occurred_at=said, **paid)
    [instruction] = shown(story.folded(INSTRUCTIONS))
    assert (instruction["status"], instruction["answered_at"]) == ("carried_out", "2026-03-04T09:00:00Z")


def test_the_credit_of_an_excess_is_applied_without_a_claim() -> None:
    story = Story()
    data = {"credit_id": "excess/inv-1", "charge_id": "cycle-2", "currency": "EUR"}
    applies(story, **data, claim_id=None)

    assert data_of(story) == [("credit.applied", {**data, "invoice_id": "inv-2", "amount": "3.00"})]


def test_billing_is_told_what_all_claims_take_off_an_invoice_and_what_it_asks_for_then() -> None:
    story = Story()
    reduced = standing("10.00", reduced="4.00", asks_for="6.00")
    story.settle(part("invoice_reduction", "inv-1", "1.68", "0.32"), stands=reduced)
    story.settle(part("invoice_reduction", "inv-1", "0.84", "0.16"), part("refund", "r", "0.84", "0.16"))

    about = {"invoice_id": "inv-1", "claim_id": "unused/cycle-1", "currency": "EUR"}
    stands = {"invoice_total": "4.00", "asks_for": "6.00"}
    first = {"net": "1.68", "tax": "0.32", "total": "2.00"}
    second = {"net": "0.84", "tax": "0.16", "total": "1.00"}
    lowered = {"change_net": "-0.84", "change_tax": "-0.16", "change_total": "-1.00"}
    assert data_of(story) == [
        ("invoice.reduced", {**about, **stands, **first, **{f"change_{name}": of for name, of in first.items()}}),
        ("invoice.reduced", {**about, **stands, **second, **lowered}),
    ]


def test_an_event_that_reduces_an_invoice_for_several_claims_gives_an_instruction_for_each() -> None:
    story = Story()
    claims = tuple(
        ClaimSettlement(
            claim_id=claim_id,
            charge_id="cycle-1",
            before=(),
            after=(part("invoice_reduction", "inv-1", "1.00"),),
        )
        for claim_id in ("disruption/cycle-1", "unused/cycle-1")
    )
    settled = {"invoice_id": "inv-1", "currency": "EUR", "reasons": ("paid",), "rules": 1, "now": START}
    after = standing("5.00", reduced="2.00", asks_for="3.00")
    story.tell(SettlementChanged, **settled, claims=claims, before=None, after=after)

    told = shown(story.folded(INSTRUCTIONS))
    assert sorted(each["data"]["claim_id"] for each in told) == ["disruption/cycle-1", "unused/cycle-1"]
    assert {each["data"]["invoice_total"] for each in told} == {"2.00"}
    assert len({each["instruction_id"] for each in told}) == 2


def test_a_settlement_that_moves_money_elsewhere_instructs_nobody() -> None:
    story = Story()
    story.settle(part("refund", "r", "1.00"), stands=standing("5.00", paid_in_money="5.00"))
    story.settle(gone_out("refund", "r", "1.00"))
    story.stand(standing("5.00", paid_in_money="9.00", excess="4.00", excess_credit="4.00"))

    assert data_of(story) == []


def test_what_older_versions_instructed_says_no_totals_and_keeps_its_id() -> None:
    """Billing may answer it years later: it goes by the event alone, as it did when it was sent."""
    story = Story()
    told = story.assess_v1(None, granted_v1("2.00", part_v1("invoice_reduction", "inv-1", "2.00")))

    (instruction,) = shown(story.folded(INSTRUCTIONS))
    assert {"invoice_total", "asks_for"} & instruction["data"].keys() == set()
    assert (instruction["data"]["total"], instruction["data"]["change_total"]) == ("2.00", "2.00")
    named = "\x00".join((told.event().event_id, "invoice.reduced", "inv-1"))
    assert instruction["instruction_id"] == sha256(named.encode()).hexdigest()[:32]


def test_those_without_an_answer_come_first_the_oldest_before_all(database: Database) -> None:
    story = Story()
    for account in ("acct-3", "acct-1", "acct-2"):
        stands(story, "cancelling", APRIL, account=account)
    story.settle(part("invoice_reduction", "inv-1", "2.00"), account="acct-1")
    follower = Follower(database)
    follower.create()
    story.write(database)
    follower.catch_up()
    first = instructions.listed(database, START)[0]
    story.tell(InstructionRefused, "acct-3", instruction_id=first["instruction_id"])
    story.write(database)
    follower.catch_up()

    now = START + timedelta(minutes=62)
    found = instructions.listed(database, now)
    assert [(each["account_id"], each["kind"], each["status"], each["age_seconds"]) for each in found] == [
        ("acct-1", "cancellation.scheduled", "open", 3600),
        ("acct-2", "cancellation.scheduled", "open", 3540),
        ("acct-1", "invoice.reduced", "open", 3480),
        ("acct-3", "cancellation.scheduled", "refused", None),
    ]
    assert instructions.listed(database, now, still_open=True) == found[:3]
    assert instructions.listed(database, now, accounts=["acct-1"]) == [found[0], found[2]]
    assert instructions.listed(database, now, kind="invoice.reduced") == [found[2]]
    of_account = account_state.account(database, "acct-1").state["instructions"]
    assert [each["instruction_id"] for each in of_account] == [found[0]["instruction_id"], found[2]["instruction_id"]]
    assert account_state.account(database, "acct-3").state["instructions"] == []
    with database.reading() as transaction:
        left = instructions_left(transaction)
    assert (left.count, left.since) == (3, START + timedelta(minutes=2))


def test_an_open_one_ages_and_an_answered_one_does_not() -> None:
    story, _ = scheduled()
    [instruction] = shown(story.folded(INSTRUCTIONS))
    assert open_seconds(instruction, START + timedelta(hours=1)) == 58 * 60
    assert open_seconds({**instruction, "status": "refused"}, START) is None
    assert open_seconds(instruction, START - timedelta(days=1)) == 0, "a sandbox's clock may stand before"
