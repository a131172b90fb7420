"""§8 Goodwill credits: granted by a person, approved by another, for a complaint."""

from __future__ import annotations

from itertools import permutations

import pytest

from ledger.policy.assess import assess
from ledger.policy.facts import Touched
from tests.policy.case import (
    Case,
    Row,
    Said,
    account,
    agreement,
    approved,
    charge,
    complaint,
    confirmed,
    cycle,
    disapproved,
    outage,
    proposed,
    row,
    subscription,
    table,
)

APRIL = cycle(tax="5.70")
CREDIT = "goodwill/credit"


@table(
    row("proposed: it waits for another person", complaint(), proposed("10.00"), gives={CREDIT: "pending"}),
    row(
        "approved by another: the proposed amount is granted",
        complaint(),
        proposed("10.00"),
        approved(),
        gives={CREDIT: "granted 10.00"},
    ),
    row(
        "rejected by another: declined",
        complaint(),
        proposed("10.00"),
        disapproved(),
        gives={CREDIT: "declined: rejected"},
    ),
    row(
        "approved by the one who proposed it: that counts for nothing",
        complaint(),
        proposed("10.00"),
        approved("ann"),
        gives={CREDIT: "pending"},
    ),
    row(
        "rejected by the one who proposed it: nor does that",
        complaint(),
        proposed("10.00"),
        disapproved("ann"),
        gives={CREDIT: "pending"},
    ),
    row(
        "rejected by the one who proposed it, then approved by another",
        complaint(),
        proposed("10.00"),
        disapproved("ann"),
        approved("bob"),
        gives={CREDIT: "granted 10.00"},
    ),
    row(
        "the first verdict holds: rejected, then approved",
        complaint(),
        proposed("10.00"),
        disapproved("bob"),
        approved("cem"),
        gives={CREDIT: "declined: rejected"},
    ),
    row(
        "the first verdict holds, whichever comes first: at one time the id decides",
        complaint(),
        proposed("10.00"),
        disapproved("bob").at("2026-05-01T00:00:00Z", id="b"),
        approved("cem").at("2026-05-01T00:00:00Z", id="a"),
        gives={CREDIT: "granted 10.00"},
    ),
    row(
        "where time and id are the same, the source decides",
        complaint(),
        proposed("10.00"),
        disapproved("bob").at("2026-05-01T00:00:00Z", id="a", source="/b"),
        approved("cem").at("2026-05-01T00:00:00Z", id="a", source="/a"),
        gives={CREDIT: "granted 10.00"},
    ),
    row("for a complaint that nobody opened: it waits", proposed("10.00"), approved(), gives={CREDIT: "pending"}),
    row(
        "for a subscription that is not registered: it waits",
        complaint(),
        proposed("10.00", subscription_id="other"),
        approved(),
        gives={CREDIT: "pending"},
    ),
    row(
        "for the subscription that the complaint is about",
        complaint(),
        proposed("10.00", subscription_id="sub"),
        approved(),
        gives={CREDIT: "granted 10.00"},
    ),
    row("a verdict without a proposal is no claim", complaint(), approved(), gives={}),
    row(
        "two credits for one complaint are two claims",
        complaint(),
        proposed("10.00"),
        proposed("5.00", "other"),
        approved(),
        disapproved("cem", "other"),
        gives={CREDIT: "granted 10.00", "goodwill/other": "declined: rejected"},
    ),
    row(
        "the first proposal stands: one with another amount is left out",
        complaint(),
        proposed("10.00"),
        proposed("90.00"),
        approved(),
        gives={CREDIT: "granted 10.00"},
    ),
    row(
        "so is one by another person, who may still decide about the first",
        complaint(),
        proposed("10.00"),
        proposed("10.00", proposed_by="bob"),
        approved("bob"),
        gives={CREDIT: "granted 10.00"},
    ),
    row(
        "one in a currency that is not the account's is left out, whenever it came",
        complaint(),
        proposed("10", currency="JPY"),
        proposed("10.00"),
        approved(),
        gives={CREDIT: "granted 10.00"},
    ),
    row(
        "one in another currency alone is no claim",
        complaint(),
        proposed("10", currency="JPY"),
        approved(),
        gives={},
    ),
    row(
        "amounts have their currency's scale",
        complaint(),
        proposed("1.5", currency="KWD"),
        approved(),
        currency="KWD",
        gives={CREDIT: "granted 1.500"},
    ),
    row(
        "it is outside the cap: where a charge came back whole, it is granted all the same, without tax",
        APRIL,
        confirmed("30.00"),
        complaint(),
        proposed("100.00"),
        approved(),
        gives={"billing-error/dispute": "granted 30.00 + 5.70", CREDIT: "granted 100.00"},
    ),
    row(
        "and it leaves the others what they are",
        APRIL,
        outage("2026-04-10", "2026-04-12"),
        complaint(),
        proposed("29.00"),
        approved(),
        gives={"disruption/april": "granted 2.00 + 0.38", CREDIT: "granted 29.00"},
    ),
)
def test_granted_by_a_person_approved_by_another(row: Row) -> None:
    row.holds()


def heard(*said: Said) -> Case:
    return Case([agreement()]).hear(account().at(id="account"), subscription(), *said)


STORY = (
    complaint().at(id="opened"),
    proposed("10.00").at(id="proposed"),
    approved("ann").at(id="own"),
    approved("bob").at(id="verdict"),
)


def test_in_whatever_order_its_facts_come_and_however_often() -> None:
    messages = [one.message("acct", place) for place, one in enumerate(STORY, 10)]
    for order in permutations(messages):
        case = heard()
        for message in (*order, *order):
            case.take(message)
        assert case.recorded() == {CREDIT: "granted 10.00"}
        assert case.alarms() == {("decided_by_proposer", "proposed", "own", "no charge")}
        assert case.settled(CREDIT) == ["credit credit/goodwill/credit/1 10.00"]
        assert case.facts.waiting() == []


def test_it_is_credited_though_an_invoice_is_open() -> None:
    case = heard(APRIL, charge("headset", "15.00"), *STORY)
    assert case.settled(CREDIT) == ["credit credit/goodwill/credit/1 10.00"]


def test_what_the_account_waits_for() -> None:
    case = heard(approved())
    assert waiting(case) == {"goodwill credit"}
    case.hear(proposed("10.00"))
    assert waiting(case) == {"complaint noise"}
    case.hear(complaint())
    assert waiting(case) == set()
    assert case.recorded() == {CREDIT: "granted 10.00"}


def waiting(case: Case) -> set[str]:
    return {w.waits_for for w in case.facts.waiting()}


@pytest.mark.parametrize(
    "said",
    [
        Said("complaint.noted", {"complaint_id": "noise", "note": "rang them back"}),
        Said("complaint.linked", {"complaint_id": "noise", "kind": "outage", "linked_id": "out"}),
    ],
)
def test_notes_and_links_wait_for_their_complaint_and_move_no_money(said: Said) -> None:
    case = heard(said)
    assert waiting(case) == {"complaint noise"}
    assert case.learn(said.at(id="again").message("acct", 99)) == Touched()
    case.hear(complaint())
    assert waiting(case) == set()
    assert case.recorded() == {}


def test_a_verdict_waits_where_the_only_proposal_is_in_another_currency() -> None:
    case = heard(complaint(), proposed("10", currency="JPY").at(id="yen"), approved())
    assert waiting(case) == {"goodwill credit"}
    assert case.alarms() == {("contradiction", "account", "yen", "no charge")}


def test_a_proposal_that_is_left_out_waits_for_nothing_until_it_says_the_same_as_the_first() -> None:
    """An earlier proposal turns up: which of the others is left out changes, and with it what waits."""
    case = heard(proposed("10.00").at(id="kept"), proposed("90.00").at(id="other"))
    assert [w.fact.data.message.id for w in case.facts.waiting()] == ["kept"]
    case.hear(proposed("90.00").at("2025-01-01T00:00:00Z", id="first"))
    assert {w.fact.data.message.id for w in case.facts.waiting()} == {"first", "other"}
    assert case.alarms() == {("contradiction", "first", "kept", "no charge")}


def test_two_proposals_that_say_the_same_are_one() -> None:
    case = heard(complaint(), proposed("10.00"), proposed("10.00", reason="they waited for a week"), approved())
    assert case.recorded() == {CREDIT: "granted 10.00"}
    assert case.alarms() == set()


@pytest.mark.parametrize(
    "other",
    [
        proposed("10.01"),
        proposed("10.00", proposed_by="bob"),
        proposed("10.00", complaint_id="echo"),
        proposed("10.00", subscription_id="sub"),
    ],
)
def test_an_alarm_names_two_proposals_of_one_credit(other: Said) -> None:
    case = heard(proposed("10.00").at(id="kept"), other.at(id="left-out"))
    assert case.alarms() == {("contradiction", "kept", "left-out", "no charge")}


def test_the_alarm_about_a_proposers_own_verdict_goes_when_another_proposal_stands() -> None:
    case = heard(complaint(), proposed("10.00").at(id="proposed"), approved("ann").at(id="verdict"))
    [alarm] = case.billing.alarms
    assert (alarm.alarm, alarm.claim_id) == ("decided_by_proposer", CREDIT)
    assert alarm.about == ("/provisioning/test proposed", "/provisioning/test verdict")
    case.hear(proposed("10.00", proposed_by="bob").at("2025-01-01T00:00:00Z", id="first"))
    assert case.alarms() == {("contradiction", "first", "proposed", "no charge")}
    assert case.recorded() == {CREDIT: "granted 10.00"}


def test_before_its_account_is_known_it_stands_as_pending_in_its_own_currency() -> None:
    case = Case([agreement()]).hear(complaint(), proposed("10.00"), approved())
    assert case.recorded() == case.claims_by_the_oracle() == {CREDIT: "pending"}
    assert waiting(case) == {"account acct"}
    case.hear(account(currency="JPY"))
    assert case.recorded() == case.claims_by_the_oracle() == {}


def test_its_working_says_who_proposed_who_decided_and_for_which_complaint() -> None:
    case = heard(*STORY)
    working = case.working(CREDIT)
    assert working.formula == "10.00 proposed and approved"
    assert working.lines == (
        "ann proposed 10.00 EUR for complaint noise",
        "ann approved it too, which counts for nothing: another person decides",
        "bob approved it",
    )
    assert [fact.data.message.id for fact in working.facts if hasattr(fact.data, "message")] == [
        "opened",
        "proposed",
        "own",
        "verdict",
    ]


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        (
            (complaint(), proposed("10.00")),
            ("ann proposed 10.00 EUR for complaint noise", "no other person has decided yet"),
        ),
        (
            (proposed("10.00"), disapproved()),
            (
                "ann proposed 10.00 EUR for complaint noise",
                "bob rejected it; their words are in the vault",
                "complaint noise is not known yet",
            ),
        ),
    ],
)
def test_what_is_missing_stands_in_the_working(said: tuple[Said, ...], lines: tuple[str, ...]) -> None:
    working = heard(*said).working(CREDIT)
    assert (working.formula, working.lines) == (None, lines)


def test_only_what_is_touched_is_looked_at() -> None:
    case = heard(complaint(), proposed("10.00"), approved(), proposed("5.00", "other"))
    found = assess(case.facts, case.at, Touched(goodwill={"other"}))
    assert set(found.claims) == {"goodwill/other"}
    assert found.covers("goodwill/other", None)
    assert not found.covers(CREDIT, None)
