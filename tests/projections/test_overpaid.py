"""Overpaid: what went out too much for a claim, since when, what it went out for, and what became of it."""

from decimal import Decimal

from ledger.events import OverpaidRecoveryOrdered
from ledger.store.database import Database
from projections import overpaid
from projections.follower import Follower
from projections.overpaid import OVERPAID, shown
from tests.projections.stories import Story, gone_out, part

OVER = part("overpaid", "overpaid/unused/cycle-1", "-2.00", "-0.38")


def orders(story: Story, amount: str, claim_id: str = "unused/cycle-1") -> None:
    said = {"claim_id": claim_id, "amount": Decimal(amount), "currency": "EUR", "decided_by": "felix"}
    story.tell(OverpaidRecoveryOrdered, **said)


def test_it_is_told_with_everything_that_went_out_for_the_claim() -> None:
    story = Story()
    out = (gone_out("refund", "refund/unused/cycle-1/1", "5.00", "0.95"), gone_out("credit", "credit/c", "1.00"))
    story.settle(*out, part("credit", "credit/c", "2.00"))
    assert shown(story.folded(OVERPAID)) == []

    story.settle(*out, OVER)
    assert shown(story.folded(OVERPAID)) == [
        {
            "account_id": "acct-1",
            "claim_id": "unused/cycle-1",
            "charge_id": "cycle-1",
            "overpaid": "2.38",
            "currency": "EUR",
            "since": story.recorded_at(2),
            "recovered": "0.00",
            "written_off": "0.00",
            "went_out": [
                {"into": "refund", "id": "refund/unused/cycle-1/1", "amount": "5.95"},
                {"into": "credit", "id": "credit/c", "amount": "1.00"},
            ],
            "recovery_ordered_by": None,
            "recovery_ordered_at": None,
        }
    ]


def test_it_stands_from_when_it_was_first_found_until_nothing_is_left_of_it() -> None:
    story = Story()
    out = gone_out("refund", "r", "5.00")
    story.settle(out, OVER)
    story.settle(out, part("overpaid", "o", "-3.00"))
    (row,) = shown(story.folded(OVERPAID))
    assert (row["overpaid"], row["since"]) == ("3.00", story.recorded_at(1))

    story.settle(out, part("written_off", "w", "-3.00"))
    assert shown(story.folded(OVERPAID)) == []
    story.settle(out, part("written_off", "w", "-3.00"), part("overpaid", "o", "-1.00"))
    (row,) = shown(story.folded(OVERPAID))
    assert (row["overpaid"], row["written_off"], row["since"]) == ("1.00", "3.00", story.recorded_at(4))


def test_a_recovery_that_was_ordered_is_told_with_what_came_back_so_far() -> None:
    story = Story()
    out = gone_out("refund", "r", "5.00")
    story.settle(out, OVER)
    orders(story, "2.38")
    orders(story, "9.99", "unused/another")
    story.settle(out, gone_out("recovered", "r", "-0.84", "-0.16"), part("overpaid", "o", "-1.16", "-0.22"))
    (row,) = shown(story.folded(OVERPAID))
    assert (row["overpaid"], row["recovered"], row["recovery_ordered_by"], row["recovery_ordered_at"]) == (
        "1.38",
        "1.00",
        "felix",
        story.recorded_at(2),
    )
    assert [each["id"] for each in row["went_out"]] == ["r"]


def test_an_order_of_before_is_over_when_too_much_goes_out_again() -> None:
    story = Story()
    out = gone_out("refund", "r", "5.00")
    story.settle(out, OVER)
    orders(story, "2.38")
    story.settle(out)
    story.settle(out, OVER)
    (row,) = shown(story.folded(OVERPAID))
    assert row["recovery_ordered_by"] is None


def test_the_list_has_the_longest_first_on_both_databases(database: Database) -> None:
    story = Story()
    for account in ("acct-2", "acct-1"):
        story.settle(gone_out("refund", "r", "5.00"), OVER, account=account)
    story.write(database)
    follower = Follower(database)
    follower.create()
    follower.catch_up()
    assert [row["account_id"] for row in overpaid.listed(database)] == ["acct-2", "acct-1"]
    assert [row["account_id"] for row in overpaid.listed(database, accounts=["acct-1"])] == ["acct-1"]
