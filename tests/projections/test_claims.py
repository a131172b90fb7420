"""Claims: each row is as it was last recorded."""

from decimal import Decimal

from ledger.events import ClaimState
from projections.claims import CLAIMS, listed
from tests.projections.stories import START, Story, granted, part


def test_a_granted_claim_is_listed_in_the_contracts_shape() -> None:
    story = Story()
    story.assess(None, granted("9.31", part("refund", "refund/unused/cycle-1/1", "9.31", "1.77"), tax="1.77"))

    assert listed(story.folded(CLAIMS)) == [
        {
            "claim_id": "unused/cycle-1",
            "clause": "unused_period",
            "account_id": "acct-1",
            "subscription_id": "sub-1",
            "charge_id": "cycle-1",
            "outcome": "granted",
            "amount": "9.31",
            "tax": "1.77",
            "currency": "EUR",
            "reason": None,
            "settlement": "refund",
            "overpaid": None,
            "investigate_by": None,
            "agreement": "standard",
            "agreement_version": 2,
            "position": "0:1",
        }
    ]


def test_a_later_assessment_takes_the_place_of_the_row() -> None:
    story = Story()
    first = granted("9.31", part("credit", "credit/unused/cycle-1/1", "9.31"))
    declined = ClaimState(
        outcome="declined", reason="not_prepaid", amount=Decimal("0.00"), tax=Decimal("0.00"), settled=()
    )
    story.assess(None, first)
    story.assess(first, declined)

    (claim,) = listed(story.folded(CLAIMS))
    assert (claim["outcome"], claim["reason"], claim["amount"]) == ("declined", "not_prepaid", "0.00")
    assert (claim["settlement"], claim["position"]) == (None, "0:2")


def test_a_claim_whose_facts_fell_away_is_gone() -> None:
    story = Story()
    story.assess(None, granted("9.31"))
    story.assess(granted("9.31"), None)

    assert story.folded(CLAIMS)["claims"] == []


def test_what_went_out_for_a_claim_that_fell_away_stays_behind_unlisted() -> None:
    story = Story()
    first = granted("9.31", part("refund", "r", "9.31"))
    story.assess(None, first)
    left = ClaimState(
        outcome=None,
        reason=None,
        amount=Decimal("0.00"),
        tax=Decimal("0.00"),
        settled=(part("refund", "r", "9.31"), part("overpaid", "o", "-9.31")),
    )
    story.assess(first, left)

    state = story.folded(CLAIMS)
    assert listed(state) == []
    assert [row["overpaid"] for row in state["claims"]] == ["9.31"]


def test_two_ways_of_settling_are_mixed_and_overpaid_is_none() -> None:
    story = Story()
    parts = (
        part("invoice_reduction", "inv-1", "4.00"),
        part("refund", "r", "6.00", "1.00"),
        part("overpaid", "o", "-0.70", "-0.05"),
    )
    story.assess(None, granted("9.30", *parts, tax="0.95"))
    story.assess(None, granted("6.00", *parts[1:]), claim_id="unused/cycle-2")

    mixed, refund = listed(story.folded(CLAIMS))
    assert (mixed["settlement"], mixed["overpaid"]) == ("mixed", "0.75")
    assert (refund["settlement"], refund["overpaid"]) == ("refund", "0.75")


def test_an_open_investigation_says_until_when_it_is_in_time() -> None:
    story = Story()
    pending = ClaimState(outcome="pending", reason=None, amount=Decimal("0.00"), tax=Decimal("0.00"), settled=())
    story.assess(None, pending, clause="billing_error", investigate_by=START)

    (claim,) = listed(story.folded(CLAIMS))
    assert (claim["outcome"], claim["investigate_by"]) == ("pending", "2026-03-01T09:00:00Z")
