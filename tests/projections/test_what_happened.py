"""History in words: every kind of stored event has its sentence, and each says amounts and what became of a claim."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger.events import (
    STORED_TYPES,
    AlarmCleared,
    AlarmRaised,
    CancellationRequested,
    ClaimState,
    ClaimStateV1,
    Decision,
    OverchargeConfirmed,
    RefundSucceeded,
    RoleGranted,
    SubscriptionStatusChanged,
    from_stored,
)
from projections import audit_trail
from projections.follower import Follower
from projections.what_happened import what_happened
from tests.projections.stories import START, Story, gone_out, granted, granted_v1, part, part_v1, standing
from tests.projections.test_refunds import stand

SAMPLES = Path(__file__).resolve().parents[1] / "stored_events"
SENTENCES: dict[str, str] = json.loads((Path(__file__).parent / "sentences.json").read_text(encoding="utf-8"))
DECLINED = ClaimState(
    outcome="declined", reason="reported_late", amount=Decimal("0.00"), tax=Decimal("0.00"), settle_as="refund"
)
PENDING = DECLINED.model_copy(update={"outcome": "pending", "reason": None})


@pytest.mark.parametrize("type_", sorted(STORED_TYPES))
def test_every_stored_event_has_its_sentence(type_: str) -> None:
    told = what_happened(from_stored(type_, (SAMPLES / f"{type_}.json").read_bytes()))
    assert told == SENTENCES[type_], "is it as you want it read? Then keep it in tests/projections/sentences.json"
    assert told[0].isupper()
    assert not told.endswith(".")
    assert "\n" not in told


def test_an_event_without_a_sentence_is_an_error_that_says_where_to_write_it() -> None:
    sample = json.loads((SAMPLES / "settled-anew.v1.json").read_bytes())
    at = {name: datetime(2026, 3, 1, tzinfo=UTC) for name in ("occurred_at", "recorded_at")}
    with pytest.raises(TypeError, match=r"Decision has no sentence in projections/what_happened\.py"):
        what_happened(Decision(**(sample | at)))


def last(story: Story) -> str:
    return what_happened(story.envelopes[-1].event())


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, granted("3.00", "0.57"), "was opened: granted, 3.00 EUR net and 0.57 EUR tax"),
        (None, DECLINED, "was opened: declined (reported late)"),
        (PENDING, granted("3.00"), "changed from pending to granted, 3.00 EUR net and 0.00 EUR tax"),
        (
            granted("3.00"),
            granted("2.00"),
            "changed from granted, 3.00 EUR net and 0.00 EUR tax to granted, 2.00 EUR net and 0.00 EUR tax",
        ),
        (
            granted("3.00"),
            granted("3.00"),
            "is still granted, 3.00 EUR net and 0.00 EUR tax, for other reasons or terms",
        ),
        (granted("3.00"), None, "fell away; it was granted, 3.00 EUR net and 0.00 EUR tax"),
    ],
)
def test_a_claim_is_told_as_it_stands_and_stood(
    before: ClaimState | None, after: ClaimState | None, said: str
) -> None:
    story = Story()
    story.assess(before, after)
    assert last(story) == f"Claim unused/cycle-1 {said}"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            None,
            granted_v1("3.00", part_v1("refund", "r", "3.00")),
            "was opened: granted, 3.00 EUR net and 0.00 EUR tax; settled by a refund of 3.00 EUR",
        ),
        (
            granted_v1("3.00", part_v1("refund", "r", "3.00")),
            ClaimStateV1(outcome=None, reason=None, amount=Decimal("0.00"), tax=Decimal("0.00"), settled=()),
            "fell away; it was granted, 3.00 EUR net and 0.00 EUR tax; no longer settled",
        ),
    ],
)
def test_a_claim_of_an_older_version_is_told_with_how_it_was_settled(
    before: ClaimStateV1 | None, after: ClaimStateV1, said: str
) -> None:
    story = Story()
    story.assess_v1(before, after)
    assert last(story) == f"Claim unused/cycle-1 {said}"


def test_a_settlement_tells_invoice_and_claims() -> None:
    story = Story()
    story.stand(standing("11.90", asks_for="11.90"))
    assert last(story) == "Invoice inv-1 was opened: 11.90 EUR charged, 11.90 EUR still to pay"
    story.settle(part("invoice_reduction", "inv-1", "2.00", "0.38"), part("refund", "r", "1.00"))
    assert last(story) == (
        "Invoice inv-1 was settled again: claim unused/cycle-1 is settled by an invoice reduction of 2.38 EUR "
        "and a refund of 1.00 EUR"
    )
    story.settle(gone_out("refund", "r", "1.00"), part("overpaid", "o", "-0.40", "-0.10"))
    assert last(story).endswith("settled by a refund of 1.00 EUR (paid out) and 0.50 EUR overpaid")
    story.settle(gone_out("credit", "c", "1.00"), part("refund", "r", "1.00", status="failed"))
    assert last(story).endswith("settled by a credit of 1.00 EUR (used) and a refund of 1.00 EUR (failed)")
    story.settle(part("recovered", "o", "-0.40"), part("written_off", "o", "-0.10"))
    assert last(story).endswith("settled by 0.40 EUR recovered and 0.10 EUR written off")
    story.settle(part("refund", "r", "1.00", status="rejected"))
    assert last(story).endswith("settled by a refund of 1.00 EUR (rejected)")
    story.settle()
    assert last(story) == "Invoice inv-1 was settled again: claim unused/cycle-1 is no longer settled"
    story.stand(standing("11.90", paid_in_money="12.90", excess="1.00"))
    assert last(story) == ("Invoice inv-1 changed: 11.90 EUR charged, 0.00 EUR still to pay; 1.00 EUR paid in excess")
    story.stand(standing("11.90", paid_in_money="12.90", excess="1.00", excess_credit="1.00"))
    assert last(story) == "Invoice inv-1 changed: 1.00 EUR of the excess credited"
    story.settle(part("credit", "c", "5.00"), invoice_id=None, claim_id="goodwill/g", charge_id=None)
    assert last(story) == "Claims were settled: claim goodwill/g is settled by a credit of 5.00 EUR"


NO_IDS = {"claim_id": None, "charge_id": None, "subscription_id": None, "now": START}


@pytest.mark.parametrize(
    ("event", "data", "said"),
    [
        (
            AlarmRaised,
            {"alarm": "contradiction", "about": ("/s m-1", "/s m-2"), **NO_IDS},
            "The alarm contradiction was raised: message /s m-2 is left out, and /s m-1 stands",
        ),
        (AlarmCleared, {"alarm": "odd", "about": (), **NO_IDS}, "The alarm odd was cleared"),
        (
            RefundSucceeded,
            {
                "refund_id": "r",
                "processor_reference": "psp",
                "succeeded_at": START,
                "amount": Decimal("2.50"),
                "currency": "EUR",
            },
            "Refund r succeeded: 2.50 EUR, reference psp",
        ),
        (
            CancellationRequested,
            {"subscription_id": "s", "requested_at": START, "channel": "support", "keep_service": True},
            "Subscription s was cancelled through support, with the service kept until the end",
        ),
        (
            SubscriptionStatusChanged,
            {"subscription_id": "s", "before": None, "after": "active", "effective_on": None, "now": START},
            "The status of subscription s changed to active",
        ),
        (
            SubscriptionStatusChanged,
            {
                "subscription_id": "s",
                "before": "active",
                "after": "cancelled",
                "effective_on": date(2026, 4, 1),
                "now": START,
            },
            "The status of subscription s changed from active to cancelled, effective on 2026-04-01",
        ),
        (
            OverchargeConfirmed,
            {"dispute_id": "d", "charge_id": "c", "amount": Decimal("2.00"), "currency": "EUR", "settle_as": None},
            "Dispute d was confirmed: charge c was too high by 2.00 EUR",
        ),
        (
            RoleGranted,
            {"principal": "ann", "role": "finance", "account_id": None},
            "The role finance was granted to ann",
        ),
    ],
)
def test_what_may_be_there_or_not_is_said_where_it_is(event: Any, data: dict[str, Any], said: str) -> None:
    story = Story()
    story.tell(event, **data)
    assert last(story) == said


@pytest.mark.parametrize(
    ("before", "after", "held_by", "said"),
    [
        (None, "due", None, "The status of refund r changed to due: 5.00 EUR net and 0.95 EUR tax"),
        ("due", "due", None, "Refund r is still due: 5.00 EUR net and 0.95 EUR tax"),
        (
            "due",
            "approved",
            "contradiction",
            (
                "The status of refund r changed from due to approved: 5.00 EUR net and 0.95 EUR tax; it waits "
                "because of a contradiction"
            ),
        ),
        ("approved", None, None, "Refund r is no longer owed; it was approved"),
    ],
)
def test_how_a_refund_stands_is_told_with_its_amount(
    before: str | None, after: str | None, held_by: str | None, said: str
) -> None:
    story = Story()
    stand(story, before, after, refund_id="r", held_by=held_by)
    assert last(story) == said


def test_an_e_mail_that_was_sent_again_says_so() -> None:
    sent = from_stored("notice-sent.v1", (SAMPLES / "notice-sent.v1.json").read_bytes())
    again = sent.model_copy(update={"data": sent.data.model_copy(update={"repeat": True})})
    assert what_happened(again) == "The e-mail about the activation was sent again"


def test_the_audit_trail_has_the_sentence_of_each_event(database: Any) -> None:
    story = Story()
    story.assess(None, granted("3.00"))
    story.assess(granted("3.00"), None)
    story.write(database)
    follower = Follower(database)
    follower.create()
    follower.catch_up()
    assert [entry["summary"] for entry in audit_trail.listed(database, "acct-1")] == [
        "Claim unused/cycle-1 was opened: granted, 3.00 EUR net and 0.00 EUR tax",
        "Claim unused/cycle-1 fell away; it was granted, 3.00 EUR net and 0.00 EUR tax",
    ]
