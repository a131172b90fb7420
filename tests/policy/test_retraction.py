"""§1 What a source takes back counts as never said, whichever of the two came first, with all that follows."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import Retraction, retracted
from ledger.policy.assess import assess
from tests.policy.case import (
    LONG_AFTER,
    STARTED_SAYING,
    Case,
    Message,
    Said,
    account,
    agreement,
    cancelled,
    charge,
    complaint,
    confirmed,
    cycle,
    dispute,
    outage,
    payment,
    proposed,
    refund_succeeded,
    rejected,
    resolved,
    subscription,
    suspended,
    takes_back,
    terminated,
    withdrawn,
)
from tests.policy.test_laws import AGREEMENTS, SEEDS, Standing, case_of, history, rows_of

APRIL = cycle()
SOURCE = "/provisioning/test"


def wrong(said: Said, message_id: str = "wrong") -> Said:
    """The same message with an id by which it can be taken back."""
    return said.at(id=message_id)


def heard(*said: Said | Iterable[Said], now: str = LONG_AFTER) -> Case:
    return Case([agreement()], now).hear(account(), subscription(), *said)


# --- which retractions count --------------------------------------------------------------------------------------


def retraction(name: str, retracts: str, second: int = 0) -> Retraction:
    return Retraction((SOURCE, name), (SOURCE, retracts), STARTED_SAYING + timedelta(seconds=second))


def taken_back(*retractions: Retraction) -> dict[str, str]:
    """What is taken back, by which retraction, by their ids; in whatever order they are known."""
    [found] = {
        tuple(sorted((key[1], by.message[1]) for key, by in retracted(order).items()))
        for order in permutations(retractions)
    }
    return dict(found)


@pytest.mark.parametrize(
    ("retractions", "expected"),
    [
        ([], {}),
        ([retraction("r", "fact")], {"fact": "r"}),
        ([retraction("r", "fact"), retraction("rr", "r")], {"r": "rr"}),
        ([retraction("r", "fact"), retraction("rr", "r"), retraction("rrr", "rr")], {"fact": "r", "rr": "rrr"}),
        ([retraction("late", "fact", 2), retraction("early", "fact", 1)], {"fact": "early"}),
        ([retraction("b", "fact"), retraction("a", "fact")], {"fact": "a"}),
        (
            [retraction("one", "fact"), retraction("two", "fact"), retraction("rr", "one")],
            {"fact": "two", "one": "rr"},
        ),
        ([retraction("r", "fact", 9), retraction("rr", "r", 1)], {"r": "rr"}),
        ([retraction("a", "b"), retraction("b", "a")], {}),
        ([retraction("a", "b"), retraction("b", "c"), retraction("c", "a")], {}),
        ([retraction("a", "b"), retraction("b", "a"), retraction("r", "a")], {"a": "b"}),
        ([retraction("r", "fact"), retraction("a", "b"), retraction("b", "a")], {"fact": "r"}),
        ([retraction("itself", "itself"), retraction("r", "fact")], {"fact": "r"}),
    ],
    ids=[
        "nothing is taken back where nobody takes anything back",
        "what is retracted is",
        "a retraction that is retracted takes nothing back",
        "and does again where that was retracted too",
        "of two the earlier one takes it back",
        "then the one with the smaller id",
        "one of two may go, and the other one holds",
        "whichever is the older message",
        "two that take each other back do not count",
        "nor do three in a ring",
        "unless another one takes one of them back: then the other counts",
        "and the rest goes on",
        "one that names itself does not count",
    ],
)
def test_a_retraction_counts_unless_one_that_counts_takes_it_back(
    retractions: list[Retraction], expected: dict[str, str]
) -> None:
    assert taken_back(*retractions) == expected


# --- what follows -------------------------------------------------------------------------------------------------

APRIL_CANCELLED = {"unused/april": "granted 15.00"}
OUT = outage("2026-04-10", "2026-04-12")
TWO_DAYS = {"disruption/april": "granted 2.00"}
STORIES = [
    pytest.param(said, wrong_, with_it, without, id=sentence)
    for sentence, said, wrong_, with_it, without in [
        (
            "an outage that never was earns nothing",
            [APRIL],
            [wrong(OUT[0]), OUT[1]],
            TWO_DAYS,
            {},
        ),
        (
            "an outage that was not resolved goes on until its cycle ends",
            [APRIL, OUT[0]],
            [wrong(OUT[1])],
            TWO_DAYS,
            {"disruption/april": "granted 21.00"},
        ),
        (
            "what was resolved later than was said first is resolved then",
            [APRIL, OUT[0], OUT[1]],
            [wrong(resolved("out-2026-04-10", "2026-04-11")).at("2026-05-01T00:00:00Z")],
            {"disruption/april": "declined: below_threshold"},
            TWO_DAYS,
        ),
        (
            "a cycle that was never charged gives nothing back",
            [cancelled("2026-04-16")],
            [wrong(APRIL)],
            APRIL_CANCELLED,
            {},
        ),
        (
            "the cycle that it had displaced stands again",
            [cycle("right", "2026-04-10", "2026-05-10", "30.00").at("2026-05-01T00:00:00Z"), cancelled("2026-04-16")],
            [wrong(cycle("april"))],
            APRIL_CANCELLED,
            {"unused/right": "granted 24.00"},
        ),
        (
            "and so does other content under the same id",
            [cycle(price="60.00").at("2026-05-01T00:00:00Z"), cancelled("2026-04-16")],
            [wrong(APRIL)],
            APRIL_CANCELLED,
            {"unused/april": "granted 30.00"},
        ),
        (
            "a cancellation that nobody asked for ends nothing",
            [APRIL],
            [wrong(cancelled("2026-04-16"))],
            APRIL_CANCELLED,
            {},
        ),
        (
            "of two requests the other one counts",
            [APRIL, cancelled("2026-04-21")],
            [wrong(cancelled("2026-04-16"))],
            APRIL_CANCELLED,
            {"unused/april": "granted 10.00"},
        ),
        (
            "a withdrawal that was a mistake leaves the cancellation standing",
            [APRIL, cancelled("2026-04-16")],
            [wrong(withdrawn("2026-04-17"))],
            {"unused/april": "withdrawn"},
            APRIL_CANCELLED,
        ),
        (
            "a suspension that never was declines nothing",
            [APRIL, cancelled("2026-04-16")],
            [wrong(suspended("2026-04-15"))],
            {"unused/april": "declined: service_violation"},
            APRIL_CANCELLED,
        ),
        (
            "nor does a termination",
            [APRIL],
            [wrong(terminated("2026-04-15"))],
            {"unused/april": "declined: service_violation"},
            {},
        ),
        (
            "a dispute that nobody raised is gone",
            [APRIL],
            [wrong(dispute())],
            {"billing-error/dispute": "pending"},
            {},
        ),
        (
            "without its verdict a dispute is open again",
            [APRIL, dispute()],
            [wrong(confirmed("5.00"))],
            {"billing-error/dispute": "granted 5.00"},
            {"billing-error/dispute": "pending"},
        ),
        (
            "the later verdict holds where the first was a mistake",
            [APRIL, confirmed("5.00").at("2026-05-01T00:00:00Z")],
            [wrong(rejected())],
            {"billing-error/dispute": "declined: rejected"},
            {"billing-error/dispute": "granted 5.00"},
        ),
        (
            "a confirmation that fills no price any more leaves room for another",
            [APRIL, confirmed("20.00", "second").at("2026-05-01T00:00:00Z")],
            [wrong(confirmed("20.00"))],
            {"billing-error/dispute": "granted 20.00", "billing-error/second": "declined: amount_exceeds_charge"},
            {"billing-error/second": "granted 20.00"},
        ),
        (
            "a charge that never was can be overcharged no more",
            [confirmed("5.00", charge_id="headset")],
            [wrong(charge())],
            {"billing-error/dispute": "granted 5.00"},
            {"billing-error/dispute": "pending"},
        ),
        (
            "nothing is known of a subscription that was never registered",
            [cycle(subscription_id="other"), cancelled("2026-04-16", subscription_id="other")],
            [wrong(subscription("other"))],
            APRIL_CANCELLED,
            {},
        ),
        (
            "a goodwill credit that was never proposed is none",
            [complaint()],
            [wrong(proposed("5.00"))],
            {"goodwill/credit": "pending"},
            {},
        ),
    ]
]


@pytest.mark.parametrize(("said", "mistakes", "with_it", "without"), STORIES)
def test_everything_that_follows_from_a_fact_goes_with_it_and_comes_back(
    said: list[Said], mistakes: list[Said], with_it: dict[str, str], without: dict[str, str]
) -> None:
    def comes_to(claims: dict[str, str], *more: Said) -> None:
        case = heard(mistakes, said, *more)
        assert case.recorded() == case.claims() == claims
        messages = case.messages
        for order in (messages[::-1], messages[len(messages) // 2 :] + messages[: len(messages) // 2]):
            again = Case(case.agreements, case.now)
            for message in order:
                again.take(message)
            assert again.recorded() == again.claims() == claims
            assert again.alarms() == case.alarms()

    comes_to(with_it)
    comes_to(without, takes_back("wrong", id="back"))
    comes_to(with_it, takes_back("wrong", id="back"), takes_back("back", id="not-back"))


def test_without_its_registration_an_account_has_no_claims_and_another_one_may_stand() -> None:
    case = Case([agreement()]).hear(
        wrong(account("America/Los_Angeles", "EUR")), subscription(), APRIL, cancelled("2026-04-16T05:00+00:00")
    )
    assert case.recorded() == {"unused/april": "granted 16.00"}, "the 15th, in Los Angeles"

    case.hear(takes_back("wrong"))
    assert case.recorded() == case.claims() == {}
    assert case.facts.registration is None
    assert {w.waits_for for w in case.facts.waiting()} == {"account acct"}

    case.hear(account("UTC"))
    assert case.recorded() == {"unused/april": "granted 15.00"}


def test_what_contradicted_only_what_was_retracted_is_no_alarm_any_more() -> None:
    case = heard(wrong(APRIL), cycle("overlapping", "2026-04-30", "2026-05-30").at(id="later"))
    assert case.alarms() == {("contradiction", "wrong", "later", "overlapping")}
    case.hear(takes_back("wrong"))
    assert case.alarms() == set()


def test_the_terms_that_were_bound_for_a_registration_are_its_own_when_it_stands_again() -> None:
    """A version that was published meanwhile is not asked for: nothing is ever bound anew (contract §2)."""
    case = Case([agreement()]).hear(account(), wrong(subscription()), APRIL, takes_back("wrong", id="back"))
    assert case.facts.subscriptions.by_id["sub"].binding is None
    case.agreements = [*case.agreements, agreement({"cancellation.unused_period": "none"}, version=2)]
    case.hear(cancelled("2026-04-16"), takes_back("back"))
    binding = case.facts.subscriptions.by_id["sub"].binding
    assert binding is not None
    assert binding.data.version == 1
    assert case.recorded() == APRIL_CANCELLED


# --- waiting ------------------------------------------------------------------------------------------------------


def waiting(case: Case) -> dict[str, str]:
    return {w.fact.data.message.id: w.waits_for for w in case.facts.waiting()}


def test_a_retraction_waits_for_its_message_and_what_is_retracted_waits_for_nothing() -> None:
    case = heard(takes_back("unheard-of", id="back"))
    assert waiting(case) == {"back": f"message unheard-of from {SOURCE}"}
    case.hear(cancelled("2026-04-16", subscription_id="nobody's").at(id="unheard-of"))
    assert waiting(case) == {}
    case.hear(takes_back("back", id="not-back"))
    assert waiting(case) == {"unheard-of": "subscription nobody's"}


def test_a_retraction_of_another_source_under_the_same_id_leaves_a_fact_alone() -> None:
    case = heard(APRIL, wrong(cancelled("2026-04-16")), takes_back("wrong", source="/billing", id="back"))
    assert case.recorded() == APRIL_CANCELLED
    assert waiting(case) == {"back": "message wrong from /billing"}


def test_a_retraction_does_not_wait_for_the_account() -> None:
    case = Case([agreement()]).hear(wrong(APRIL), takes_back("wrong"))
    assert waiting(case) == {}


def test_what_waited_for_a_retracted_fact_waits_again() -> None:
    case = heard(APRIL, wrong(OUT[0]), OUT[1].at(id="resolution"), payment("30.00"), refund_succeeded("r").at(id="r"))
    assert waiting(case) == {"r": "refund r"}
    case.hear(takes_back("wrong"))
    assert waiting(case) == {"r": "refund r", "resolution": "outage out-2026-04-10"}


def test_what_is_retracted_waits_for_nothing_also_where_all_is_judged_again_before_anybody_asks() -> None:
    """A batch asks once, at its end, what waits; until then an overlapping cycle may have come too."""
    case = heard(APRIL, wrong(resolved("unheard-of", "2026-04-11")))
    assert waiting(case) == {"wrong": "outage unheard-of"}
    case.hear(takes_back("wrong"), cycle("overlapping", "2026-04-30", "2026-05-30"))
    assert waiting(case) == {}


# --- any history --------------------------------------------------------------------------------------------------


def regretted(messages: list[Message], rng: random.Random) -> tuple[list[Message], list[Message]]:
    """A history in which some messages are taken back, some of these not in the end; and what it leaves standing."""
    told, standing = list(messages), list(messages)
    for number, message in enumerate(rng.sample(messages, k=min(len(messages), rng.randint(1, 6)))):
        depth, named = rng.choice([1, 1, 1, 2, 3]), message
        for step in range(depth):
            named = {
                **named,
                "id": f"back-{number}-{step}",
                "type": "voip.fact.retracted.v1",
                "time": rng.choice(messages)["time"],
                "data": {"retracts": {"source": named["source"], "id": named["id"]}},
            }
            told.append(named)
        if depth % 2:
            standing.remove(message)
    rng.shuffle(told)
    return told, standing


@given(SEEDS, st.randoms(use_true_random=False))
def test_a_history_with_retracted_messages_ends_as_the_one_without_them(seed: int, rng: random.Random) -> None:
    messages, now = history(seed)
    told, standing = regretted(messages, rng)
    case, never_said = case_of(told, now), case_of(standing, now)
    assert case.recorded() == never_said.recorded()
    assert set(case.billing.alarms) == set(never_said.billing.alarms)
    assert {w.fact.event_id for w in case.facts.waiting()} == {w.fact.event_id for w in never_said.facts.waiting()}


@given(SEEDS, st.randoms(use_true_random=False))
def test_a_narrowed_assessment_finds_what_a_full_one_finds_whatever_is_taken_back(
    seed: int, rng: random.Random
) -> None:
    messages, now = history(seed)
    case, standing = Case(AGREEMENTS, now.isoformat()), Standing()
    for message in regretted(messages, rng)[0]:
        touched = case.learn(message)
        standing.take(assess(case.facts, now, touched))
        full = assess(case.facts, now)
        assert standing.rows == rows_of(full)
        assert standing.alarms == full.alarms
