"""Credits: they follow their claim's parts and their invoice's excess."""

from decimal import Decimal

from ledger.events import CreditApplied, CreditAppliedV1, OverpaidRecovered, SubscriptionStatusChanged
from ledger.store.database import Database
from projections import credits
from projections.credits import CREDITS, shown
from projections.follower import Follower
from tests.projections.stories import START, Story, gone_out, granted_v1, part, part_v1, standing
from tests.projections.test_refunds import stand

CREDIT = "credit/disruption/cycle-1/1"


def test_a_credit_is_granted_once_and_all_of_it_is_left() -> None:
    story = Story()
    story.settle(part("credit", CREDIT, "5.00", "0.95"), claim_id="disruption/cycle-1")
    story.settle(part("credit", CREDIT, "9.31", "1.77"), claim_id="disruption/cycle-1")

    assert shown(story.folded(CREDITS)) == [
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
            "dormant_since": None,
            "applied": [],
            "recovered": [],
        }
    ]


def test_a_credit_whose_part_vanished_is_gone() -> None:
    story = Story()
    story.settle(part("credit", CREDIT, "5.00"))
    story.settle(part("refund", "r", "5.00"))

    assert shown(story.folded(CREDITS)) == []


def test_nothing_is_written_at_the_currencys_scale() -> None:
    story = Story()
    story.settle(part("credit", CREDIT, "500", "0"), currency="JPY")

    (credit,) = shown(story.folded(CREDITS))
    assert (credit["total"], credit["used"], credit["left"]) == ("500", "0", "500")


def applies(story: Story, charge_id: str, amount: str, credit_id: str = CREDIT) -> None:
    story.tell(
        CreditApplied,
        application_id=f"{credit_id.rpartition('/')[0]} to {charge_id}",
        credit_id=credit_id,
        claim_id=credit_id.removeprefix("credit/").rpartition("/")[0] if credit_id.startswith("credit/") else None,
        charge_id=charge_id,
        invoice_id=f"inv-{charge_id}",
        amount=Decimal(amount),
        net=Decimal(amount),
        tax=Decimal("0.00"),
        currency="EUR",
        rules=1,
        now=START,
    )


def test_what_was_used_of_a_credit_is_told_charge_by_charge() -> None:
    story = Story()
    story.settle(part("credit", CREDIT, "5.00", "0.95"))
    applies(story, "cycle-2", "3.10")
    applies(story, "cycle-3", "0.05")
    applies(story, "cycle-2", "9.00", "credit/of/another/1")
    story.settle(gone_out("credit", CREDIT, "2.65", "0.50"), part("credit", CREDIT, "2.35", "0.45"))

    (credit,) = shown(story.folded(CREDITS))
    assert (credit["net"], credit["tax"], credit["total"]) == ("5.00", "0.95", "5.95")
    assert (credit["used"], credit["left"], credit["granted_at"]) == ("3.15", "2.80", story.recorded_at(1))
    told = [(each["application_id"], each["charge_id"], each["amount"]) for each in credit["applied"]]
    assert told == [
        ("credit/disruption/cycle-1 to cycle-2", "cycle-2", "3.10"),
        ("credit/disruption/cycle-1 to cycle-3", "cycle-3", "0.05"),
    ]
    assert credit["applied"][0]["applied_at"] == story.recorded_at(2)
    assert credit["applied"][0]["invoice_id"] == "inv-cycle-2"


def test_a_credit_that_was_used_up_is_shown_with_nothing_left() -> None:
    story = Story()
    story.settle(part("credit", CREDIT, "5.00"))
    applies(story, "cycle-2", "5.00")
    story.settle(gone_out("credit", CREDIT, "5.00"))

    (credit,) = shown(story.folded(CREDITS))
    assert (credit["total"], credit["used"], credit["left"]) == ("5.00", "5.00", "0.00")


def test_an_application_that_bounced_is_left_to_the_credit_again() -> None:
    """It stays listed among what was applied: it was, and the payment that bears its id tells the rest."""
    story = Story()
    story.settle(part("credit", CREDIT, "5.00"))
    applies(story, "cycle-2", "5.00")
    story.settle(gone_out("credit", CREDIT, "5.00"))
    story.settle(part("credit", CREDIT, "5.00"))

    (credit,) = shown(story.folded(CREDITS))
    assert (credit["used"], credit["left"], len(credit["applied"])) == ("0.00", "5.00", 1)


def test_what_was_used_of_a_credit_stays_when_its_claim_is_lowered() -> None:
    story = Story()
    story.settle(gone_out("credit", CREDIT, "3.00"), part("credit", CREDIT, "2.00"))
    story.settle(gone_out("credit", CREDIT, "3.00"), part("overpaid", "o", "-1.00"))

    (credit,) = shown(story.folded(CREDITS))
    assert (credit["total"], credit["used"], credit["left"]) == ("3.00", "3.00", "0.00")


def test_an_excess_that_has_rested_is_a_credit_of_no_claim() -> None:
    story = Story()
    story.stand(standing("10.00", paid_in_money="14.00", excess="4.00"))
    assert shown(story.folded(CREDITS)) == [], "it has not rested yet"

    story.stand(standing("10.00", paid_in_money="14.00", excess="4.00", excess_credit="4.00"))
    assert shown(story.folded(CREDITS)) == [
        {
            "credit_id": "excess/inv-1",
            "claim_id": None,
            "account_id": "acct-1",
            "charge_id": None,
            "net": "4.00",
            "tax": "0.00",
            "total": "4.00",
            "currency": "EUR",
            "used": "0.00",
            "refunded": "0.00",
            "left": "4.00",
            "granted_at": story.recorded_at(2),
            "dormant_since": None,
            "applied": [],
            "recovered": [],
        }
    ]


def test_the_credit_of_an_excess_follows_it_used_or_not() -> None:
    story = Story()
    story.stand(standing("10.00", paid_in_money="14.00", excess="4.00", excess_credit="4.00"))
    applies(story, "cycle-2", "3.00", "excess/inv-1")
    story.stand(standing("10.00", paid_in_money="14.00", excess_used="3.00", excess="1.00", excess_credit="4.00"))
    story.stand(standing("10.00", paid_in_money="15.00", excess_used="3.00", excess="2.00", excess_credit="5.00"))

    (credit,) = shown(story.folded(CREDITS))
    assert (credit["total"], credit["used"], credit["left"]) == ("5.00", "3.00", "2.00")
    assert credit["granted_at"] == story.recorded_at(1)
    assert [each["amount"] for each in credit["applied"]] == ["3.00"]

    story.stand(standing("10.00", paid_in_money="15.00"))
    assert shown(story.folded(CREDITS)) == []


def test_the_credit_of_an_excess_goes_with_its_invoice() -> None:
    story = Story()
    story.stand(standing("10.00", paid_in_money="14.00", excess="4.00", excess_credit="4.00"))
    story.stand(None)

    assert shown(story.folded(CREDITS)) == []


def test_what_was_used_of_an_older_credit_counts_until_it_is_settled_anew() -> None:
    """Older versions left the claim's part as it was when some of its credit was used."""
    story = Story()
    small = granted_v1("5.00", part_v1("credit", CREDIT, "5.00"))
    story.assess_v1(None, small)
    used = {"application_id": "a", "credit_id": CREDIT, "claim_id": "unused/cycle-1", "charge_id": "cycle-2"}
    story.tell(CreditAppliedV1, **used, invoice_id="inv-2", amount=Decimal("3.10"), currency="EUR", now=START)

    def stands() -> list[tuple[str, str, str]]:
        return [(credit["total"], credit["used"], credit["left"]) for credit in shown(story.folded(CREDITS))]

    assert stands() == [("5.00", "3.10", "1.90")]
    story.assess_v1(small, granted_v1("6.00", part_v1("credit", CREDIT, "6.00")))
    assert stands() == [("6.00", "3.10", "2.90")]
    story.settle(gone_out("credit", CREDIT, "3.10"), part("credit", CREDIT, "2.90"))
    assert stands() == [("6.00", "3.10", "2.90")]
    assert [credit["granted_at"] for credit in shown(story.folded(CREDITS))] == [story.recorded_at(1)]


REFUND = {"refund_id": f"refund/{CREDIT}/1", "credit_id": CREDIT, "claim_id": "disruption/cycle-1"}


def test_what_is_paid_out_of_a_credit_is_told_apart_from_what_is_used_of_it() -> None:
    """The columns foot at every step: what was granted is used, refunded or left."""
    story = Story()
    seen = []

    def look() -> None:
        (credit,) = shown(story.folded(CREDITS))
        assert sum(Decimal(credit[way]) for way in ("used", "refunded", "left")) == Decimal(credit["total"])  # type: ignore[literal-required]
        seen.append((credit["used"], credit["refunded"], credit["left"]))

    def settled(*parts: object) -> None:
        story.settle(*parts, claim_id="disruption/cycle-1")  # type: ignore[arg-type]
        look()

    def stands(before: str | None, after: str | None) -> None:
        stand(story, before, after, "1.50", "0.50", **REFUND)
        look()

    settled(part("credit", CREDIT, "5.00"))
    settled(gone_out("credit", CREDIT, "3.00"), part("credit", CREDIT, "2.00"))
    stands(None, "due")
    stands("due", "approved")
    stands("approved", "submitted")
    settled(gone_out("credit", CREDIT, "5.00"))
    stands("submitted", "failed")
    settled(gone_out("credit", CREDIT, "3.00"), part("credit", CREDIT, "2.00"))
    stands("failed", "submitted")
    settled(gone_out("credit", CREDIT, "5.00"))
    stands("submitted", "succeeded")

    assert seen[0] == ("0.00", "0.00", "5.00")
    assert seen[1:4] == [("3.00", "0.00", "2.00")] * 3, "asked for and approved, and still on the credit"
    assert seen[5] == ("3.00", "2.00", "0.00")
    assert seen[7] == ("3.00", "0.00", "2.00"), "it failed, and is left on the credit again"
    assert seen[9:] == [("3.00", "2.00", "0.00")] * 2


def test_the_credit_of_an_excess_is_refunded_likewise() -> None:
    story = Story()
    of = {"refund_id": "refund/excess/inv-1/1", "credit_id": "excess/inv-1", "claim_id": None, "charge_id": None}
    story.stand(standing("10.00", paid_in_money="14.00", excess="4.00", excess_credit="4.00"))
    stand(story, "approved", "submitted", "4.00", "0.00", **of)
    story.stand(standing("10.00", paid_in_money="14.00", excess_used="4.00", excess="0.00", excess_credit="4.00"))

    (credit,) = shown(story.folded(CREDITS))
    assert (credit["used"], credit["refunded"], credit["left"]) == ("0.00", "4.00", "0.00")


def test_what_was_kept_back_for_another_claim_is_told_with_the_claim() -> None:
    story = Story()
    story.settle(part("credit", CREDIT, "5.00"), claim_id="disruption/cycle-1")
    story.tell(
        OverpaidRecovered,
        application_id="recovered-1",
        claim_id="unused/cycle-1",
        credit_id=CREDIT,
        of_claim_id="disruption/cycle-1",
        amount=Decimal("2.00"),
        net=Decimal("2.00"),
        tax=Decimal("0.00"),
        recovered_net=Decimal("1.68"),
        recovered_tax=Decimal("0.32"),
        currency="EUR",
        rules=1,
        now=START,
    )
    story.settle(gone_out("credit", CREDIT, "2.00"), part("credit", CREDIT, "3.00"), claim_id="disruption/cycle-1")

    (credit,) = shown(story.folded(CREDITS))
    assert (credit["used"], credit["left"], credit["applied"]) == ("2.00", "3.00", [])
    assert credit["recovered"] == [
        {
            "application_id": "recovered-1",
            "claim_id": "unused/cycle-1",
            "amount": "2.00",
            "recovered_at": story.recorded_at(2),
        }
    ]


def becomes(story: Story, status: str, subscription_id: str = "sub-1", account: str = "acct-1") -> None:
    said = {"subscription_id": subscription_id, "before": None, "after": status, "effective_on": None, "now": START}
    story.tell(SubscriptionStatusChanged, account, **said)


def test_a_credit_is_dormant_from_the_end_of_the_last_subscription_while_something_is_left() -> None:
    story = Story()
    seen = []

    def look() -> None:
        (credit,) = shown(story.folded(CREDITS))
        seen.append(credit["dormant_since"])

    becomes(story, "active")
    becomes(story, "active", "sub-2")
    story.settle(part("credit", CREDIT, "5.00"))
    becomes(story, "cancelled")
    look()
    becomes(story, "cancelling", "sub-2")
    look()
    assert seen == [None, None], "one subscription is left"

    becomes(story, "terminated", "sub-2")
    look()
    ended = story.recorded_at(6)
    becomes(story, "cancelled", "sub-2")
    look()
    story.settle(gone_out("credit", CREDIT, "3.00"), part("credit", CREDIT, "2.00"))
    look()
    assert seen[2:] == [ended] * 3, "since when it ended first, until something else stands"

    story.settle(gone_out("credit", CREDIT, "5.00"))
    look()
    story.settle(part("credit", CREDIT, "5.00"))
    becomes(story, "active", "sub-3")
    look()
    assert seen[5:] == [None, None]


def test_a_credit_that_is_granted_after_the_end_is_dormant_from_then_on() -> None:
    story = Story()
    story.settle(part("credit", CREDIT, "5.00"))
    (credit,) = shown(story.folded(CREDITS))
    assert credit["dormant_since"] is None, "nobody knows of a subscription"

    late = Story()
    becomes(late, "terminated")
    late.settle(part("credit", CREDIT, "5.00"))
    (credit,) = shown(late.folded(CREDITS))
    assert credit["dormant_since"] == late.recorded_at(2)


def test_dormant_credits_are_listed_the_longest_first(database: Database) -> None:
    story = Story()
    for account in ("acct-1", "acct-2", "acct-3"):
        story.settle(part("credit", CREDIT, "5.00"), account=account)
    for account in ("acct-3", "acct-1"):
        becomes(story, "cancelled", account=account)
    story.write(database)
    follower = Follower(database)
    follower.create()
    follower.catch_up()
    dormant = credits.listed(database, dormant=True)
    assert [(credit["account_id"], credit["dormant_since"]) for credit in dormant] == [
        ("acct-3", story.recorded_at(4)),
        ("acct-1", story.recorded_at(5)),
    ]
    assert [credit["account_id"] for credit in credits.listed(database)] == ["acct-1", "acct-2", "acct-3"]
