"""Claims: each row is as it was last recorded, and settled as was recorded last."""

from decimal import Decimal

import pytest

from ledger.events import ClaimState, ClaimStateV1, SettledPart
from projections.claims import CLAIMS, shown
from tests.projections.stories import START, Story, gone_out, granted, granted_v1, part, part_v1


def test_a_granted_claim_is_listed_in_the_contracts_shape() -> None:
    story = Story()
    story.assess(None, granted("9.31", tax="1.77"))
    story.settle(part("refund", "refund/unused/cycle-1/1", "9.31", "1.77"))

    assert shown(story.folded(CLAIMS)) == [
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


DECLINED = ClaimState(
    outcome="declined", reason="not_prepaid", amount=Decimal("0.00"), tax=Decimal("0.00"), settle_as="credit"
)


def test_a_later_assessment_takes_the_place_of_the_row() -> None:
    story = Story()
    story.assess(None, granted("9.31"))
    story.settle(part("credit", "credit/unused/cycle-1/1", "9.31"))
    story.assess(granted("9.31"), DECLINED)
    story.settle()

    (claim,) = shown(story.folded(CLAIMS))
    assert (claim["outcome"], claim["reason"], claim["amount"]) == ("declined", "not_prepaid", "0.00")
    assert (claim["settlement"], claim["position"]) == (None, "0:3")


def test_a_claim_that_is_settled_otherwise_keeps_the_position_of_its_assessment() -> None:
    story = Story()
    story.assess(None, granted("9.31"))
    story.settle(part("invoice_reduction", "inv-1", "9.31"))
    story.settle(part("refund", "r", "9.31"))

    (claim,) = shown(story.folded(CLAIMS))
    assert (claim["settlement"], claim["position"]) == ("refund", "0:1")


def test_a_claim_whose_facts_fell_away_is_gone() -> None:
    story = Story()
    story.assess(None, granted("9.31"))
    story.settle(part("refund", "r", "9.31"))
    story.assess(granted("9.31"), None)
    story.settle()

    assert story.folded(CLAIMS) == {"claims": [], "claim_settlements": []}


def test_what_went_out_for_a_claim_that_fell_away_stays_behind_unlisted() -> None:
    story = Story()
    story.assess(None, granted("9.31"))
    story.settle(gone_out("refund", "r", "9.31"))
    story.assess(granted("9.31"), None)
    story.settle(gone_out("refund", "r", "9.31"), part("overpaid", "o", "-9.31"))

    state = story.folded(CLAIMS)
    assert shown(state) == []
    [settled] = state["claim_settlements"]
    assert (settled["settlement"], settled["overpaid"]) == ("refund", "9.31")


REDUCTION = part("invoice_reduction", "inv-1", "4.00")
REFUND = part("refund", "r", "6.00", "1.00")
OFFSET = part("offset", "offset/unused/cycle-1", "2.00")
TOO_MUCH = (part("offset", "offset/unused/cycle-1", "-1.00"), part("overpaid", "o", "-0.70", "-0.05"))


@pytest.mark.parametrize(
    ("parts", "settlement", "overpaid"),
    [
        ((), None, None),
        ((REFUND,), "refund", None),
        ((gone_out("credit", "c", "1.00"), part("credit", "c", "2.00")), "credit", None),
        ((REDUCTION, REFUND), "mixed", None),
        # What was set off is no way of its own beside another, and all of a claim that was set off whole.
        ((OFFSET, REFUND), "refund", None),
        ((OFFSET,), "mixed", None),
        # Neither is what went out too much, nor net that became tax.
        ((gone_out("refund", "r", "6.00", "1.00"), *TOO_MUCH), "refund", "0.75"),
        ((REDUCTION, gone_out("refund", "r", "6.00"), TOO_MUCH[1]), "mixed", "0.75"),
        # Neither is what was recovered of that, or written off.
        (
            (
                gone_out("refund", "r", "6.00"),
                part("recovered", "recovered/unused/cycle-1", "-2.00"),
                part("written_off", "written_off/unused/cycle-1", "-1.00"),
                TOO_MUCH[1],
            ),
            "refund",
            "0.75",
        ),
        ((REFUND, part("correction", "correction/unused/cycle-1", "-0.01", "0.01")), "refund", None),
    ],
)
def test_how_a_claim_is_settled_is_told_in_a_word(
    parts: tuple[SettledPart, ...], settlement: str | None, overpaid: str | None
) -> None:
    story = Story()
    story.assess(None, granted("9.31"))
    story.settle(*parts)

    (claim,) = shown(story.folded(CLAIMS))
    assert (claim["settlement"], claim["overpaid"]) == (settlement, overpaid)


def test_what_older_versions_recorded_stands_until_it_is_settled_anew() -> None:
    story = Story()
    first = granted_v1("9.31", part_v1("invoice_reduction", "inv-1", "4.00"), part_v1("refund", "r", "5.31"))
    story.assess_v1(None, first)
    left = ClaimStateV1(
        outcome=None,
        reason=None,
        amount=Decimal("0.00"),
        tax=Decimal("0.00"),
        settled=(part_v1("refund", "r", "9.31"), part_v1("overpaid", "o", "-9.31")),
    )
    story.assess_v1(None, granted_v1("9.31", part_v1("refund", "r", "9.31")), claim_id="unused/cycle-2")
    story.assess_v1(granted_v1("9.31", part_v1("refund", "r", "9.31")), left, claim_id="unused/cycle-2")

    state = story.folded(CLAIMS)
    (claim,) = shown(state)
    assert (claim["claim_id"], claim["settlement"], claim["amount"]) == ("unused/cycle-1", "mixed", "9.31")
    assert [row["overpaid"] for row in state["claim_settlements"]] == [None, "9.31"]

    story.settle(part("refund", "r", "9.31"))
    story.settle(claim_id="unused/cycle-2")
    state = story.folded(CLAIMS)
    assert [claim["settlement"] for claim in shown(state)] == ["refund"]
    assert [row["overpaid"] for row in state["claim_settlements"]] == [None]


def test_an_open_investigation_says_until_when_it_is_in_time() -> None:
    story = Story()
    pending = ClaimState(
        outcome="pending", reason=None, amount=Decimal("0.00"), tax=Decimal("0.00"), settle_as="refund"
    )
    story.assess(None, pending, clause="billing_error", investigate_by=START)

    (claim,) = shown(story.folded(CLAIMS))
    assert (claim["outcome"], claim["investigate_by"]) == ("pending", "2026-03-01T09:00:00Z")
