"""Credits: they follow their claim's parts."""

from decimal import Decimal

from ledger.events import CreditApplied
from projections.credits import CREDITS, listed
from tests.projections.stories import START, Story, granted, part

CREDIT = "credit/disruption/cycle-1/1"


def test_a_credit_is_granted_once_and_all_of_it_is_left() -> None:
    story = Story()
    small = granted("5.00", part("credit", CREDIT, "5.00", "0.95"), tax="0.95")
    story.assess(None, small, claim_id="disruption/cycle-1")
    grown = granted("9.31", part("credit", CREDIT, "9.31", "1.77"), tax="1.77")
    story.assess(small, grown, claim_id="disruption/cycle-1")

    assert listed(story.folded(CREDITS)) == [
        {
            "credit_id": CREDIT,
            "claim_id": "disruption/cycle-1",
            "account_id": "acct-1",
            "charge_id": "cycle-1",
            "net": "9.31",
            "tax": "1.77",
            "total": "11.08",
            "currency": "EUR",
            "used": "0.00",
            "refunded": "0.00",
            "left": "11.08",
            "granted_at": story.recorded_at(1),
            "applied": [],
        }
    ]


def test_a_credit_whose_part_vanished_is_gone() -> None:
    story = Story()
    story.assess(None, granted("5.00", part("credit", CREDIT, "5.00")))
    story.assess(granted("5.00", part("credit", CREDIT, "5.00")), granted("5.00", part("refund", "r", "5.00")))

    assert listed(story.folded(CREDITS)) == []


def test_nothing_is_written_at_the_currencys_scale() -> None:
    story = Story()
    story.assess(None, granted("500", part("credit", CREDIT, "500", "0"), tax="0"), currency="JPY")

    (credit,) = listed(story.folded(CREDITS))
    assert (credit["total"], credit["used"], credit["left"]) == ("500", "0", "500")


def applies(story: Story, charge_id: str, amount: str, **more: str) -> None:
    data = {"credit_id": CREDIT, "claim_id": "disruption/cycle-1", "currency": "EUR", **more}
    story.tell(
        CreditApplied,
        application_id=f"{data['credit_id'].rpartition('/')[0]} to {charge_id}",
        charge_id=charge_id,
        invoice_id=f"inv-{charge_id}",
        amount=Decimal(amount),
        now=START,
        **data,
    )


def test_what_was_used_of_a_credit_is_told_charge_by_charge() -> None:
    story = Story()
    story.assess(None, granted("5.00", part("credit", CREDIT, "5.00", "0.95"), tax="0.95"))
    applies(story, "cycle-2", "3.10")
    applies(story, "cycle-3", "0.05")
    applies(story, "cycle-2", "9.00", credit_id="credit/of/another/1")

    (credit,) = listed(story.folded(CREDITS))
    assert (credit["total"], credit["used"], credit["left"]) == ("5.95", "3.15", "2.80")
    told = [(each["application_id"], each["charge_id"], each["amount"]) for each in credit["applied"]]
    assert told == [
        ("credit/disruption/cycle-1 to cycle-2", "cycle-2", "3.10"),
        ("credit/disruption/cycle-1 to cycle-3", "cycle-3", "0.05"),
    ]
    assert credit["applied"][0]["applied_at"] == story.recorded_at(2)
    assert credit["applied"][0]["invoice_id"] == "inv-cycle-2"
