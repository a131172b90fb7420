"""Laws that hold whatever the facts, over histories that go looking for corners."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from ledger.aggregates.billing_account import Reasons, reasons
from ledger.agreement import read_agreement
from ledger.policy.assess import Assessment, assess, contradictions
from ledger.policy.assessed import Alarm, Assessed
from ledger.policy.facts import Touched
from ledger.policy.standing import next_due, status_of
from ledger.values import Period, rounded, zero
from tests.oracle import histories
from tests.oracle import policy as oracle
from tests.policy.case import (
    Case,
    Message,
    Said,
    account,
    agreement,
    cancelled,
    cycle,
    in_a_word,
    outage,
    reinstated,
    subscription,
    suspended,
)

AGREEMENTS = [read_agreement(text) for text in histories.agreement_texts().values()]
SEEDS = st.integers(0, 1_000_000)
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)


def case_of(messages: Iterable[Message], now: datetime, *, name: str = "acct") -> Case:
    case = Case(AGREEMENTS, now.isoformat(), name)
    for message in messages:
        case.take(message)
    return case


def history(seed: int) -> tuple[list[Message], datetime]:
    messages = histories.history(seed, account="acct", instructed=True)
    return messages, histories.moment(seed, messages)


def alarms_of(case: Case) -> set[tuple[str, str]]:
    """The alarms that stand, as the oracle names them."""
    found = set()
    for alarm in case.billing.alarms:
        last = alarm.about[-1].split(" ", 1)[1]
        about = {
            "contradiction": f"{last} contradicts {alarm.about[0].split(' ', 1)[1]}",
            "charged_after_end": alarm.charge_id or "",
            "confirmation_exceeds_charge": (alarm.claim_id or "").removeprefix("billing-error/"),
            "decided_by_proposer": f"{last} of {alarm.about[0].split(' ', 1)[1]}",
        }[alarm.alarm]
        found.add((alarm.alarm, about))
    return found


# --- any order, any repetition ------------------------------------------------------------------------------------


@given(SEEDS, st.randoms(use_true_random=False))
def test_any_order_and_repetition_gives_the_same_claims_taxes_and_alarms(seed: int, rng: random.Random) -> None:
    messages, now = history(seed)
    again = messages + rng.choices(messages, k=len(messages) // 3)
    rng.shuffle(again)
    one, other = case_of(messages, now), case_of(again, now)
    assert other.recorded() == one.recorded()
    assert reasons_of(other) == reasons_of(one)
    assert ways_of(other) == ways_of(one)
    assert set(other.billing.alarms) == set(one.billing.alarms)
    assert {w.fact.event_id for w in other.facts.waiting()} == {w.fact.event_id for w in one.facts.waiting()}


def reasons_of(case: Case) -> dict[str, Reasons]:
    """What is recorded of why each row stands; that terms were bound is told by which, whenever that was."""
    bindings = [s.binding for s in case.facts.subscriptions.by_id.values() if s.binding is not None]
    bound = {b.event_id: f"{b.data.agreement} {b.data.version} for {b.data.subscription_id}" for b in bindings}
    return {
        claim_id: replace(claim.reasons, facts=tuple(bound.get(fact, fact) for fact in claim.reasons.facts))
        for claim_id, claim in case.billing.claims.items()
        if claim.state.outcome is not None
    }


def ways_of(case: Case) -> dict[str, str]:
    """How each row is to be settled."""
    return {claim_id: row.settle_as for claim_id, row in assess(case.facts, case.at).claims.items()}


@given(SEEDS, st.randoms(use_true_random=False))
def test_nor_does_the_order_matter_where_facts_contradict_one_another(seed: int, rng: random.Random) -> None:
    """Which of them stands, what each alarm names, and what the rows rest on then."""
    messages, now = history(seed)
    others = [said_otherwise(message, messages, rng) for message in rng.sample(messages, k=min(6, len(messages)))]
    messages += others
    one, other = case_of(messages, now), case_of(rng.sample(messages, k=len(messages)), now)
    assert other.recorded() == one.recorded() == one.claims_by_the_oracle()
    assert reasons_of(other) == reasons_of(one)
    assert set(other.billing.alarms) == set(one.billing.alarms)


def said_otherwise(message: Message, messages: list[Message], rng: random.Random) -> Message:
    """A message about the same things that says something else: what another one of its kind says there."""
    data = dict(message["data"])
    alike = [m["data"] for m in messages if m["type"] == message["type"] and m["data"].keys() >= data.keys()]
    alike = [other for other in alike if other.get("currency") == data.get("currency")]
    for name in rng.sample(sorted(data.keys() - {"starts_on", "ends_on", "currency"}), k=1):
        data[name] = rng.choice([other[name] for other in alike])
    time = datetime.fromisoformat(message["time"]) + timedelta(days=rng.choice([-2, -1, 0, 1]))
    return {**message, "id": f"{message['id']}-otherwise", "time": time.isoformat(), "data": data}


Told = tuple[object, ...]
"""All that a row says of itself: what it comes to, under which terms, settled how, and its whole working."""


def told(row: Assessed) -> Told:
    working = row.working()
    facts = tuple(fact.event_id for fact in working.facts)
    return (row, working.formula, working.inputs, working.lines, facts)


class Standing:
    """The rows and alarms that stand after assessments that each looked at a part."""

    def __init__(self) -> None:
        self.rows: dict[str, Told] = {}
        self.charges: dict[str, str | None] = {}
        self.alarms: set[Alarm] = set()

    def take(self, found: Assessment) -> None:
        self.charges |= {claim_id: row.charge_id for claim_id, row in found.claims.items()}
        standing = {id_: row for id_, row in self.rows.items() if not found.covers(id_, self.charges[id_])}
        self.rows = standing | rows_of(found)
        self.alarms = {a for a in self.alarms if not found.covers(a.claim_id or "", a.charge_id)} | found.alarms


def rows_of(found: Assessment) -> dict[str, Told]:
    return {claim_id: told(row) for claim_id, row in found.claims.items()}


@given(SEEDS)
def test_a_narrowed_assessment_finds_what_a_full_one_finds_after_every_fact(seed: int) -> None:
    """Row by row, with all of its working: a row that stands never tells reasons that hold no more."""
    messages, now = history(seed)
    case, standing = Case(AGREEMENTS, now.isoformat()), Standing()
    for message in messages:
        standing.take(assess(case.facts, now, case.learn(message)))
        full = assess(case.facts, now)
        assert standing.rows == rows_of(full)
        assert standing.alarms == full.alarms


@given(SEEDS)
def test_what_is_recorded_fact_by_fact_is_what_a_full_assessment_finds(seed: int) -> None:
    messages, now = history(seed)
    case = case_of(messages, now)
    assert case.recorded() == case.claims()
    rows = assess(case.facts, now).claims
    assert {id_: c.reasons for id_, c in case.billing.claims.items() if c.state.outcome is not None} == {
        claim_id: reasons(row) for claim_id, row in rows.items()
    }
    assert set(case.billing.alarms) == assess(case.facts, now).alarms | contradictions(case.facts)


@given(SEEDS)
def test_a_second_implementation_from_the_page_agrees(seed: int) -> None:
    messages, now = history(seed)
    case = case_of(messages, now)
    assert case.recorded() == case.claims_by_the_oracle()
    alike = [spelled_alike(message) for message in messages]
    expected = {(a["alarm"], a["about"]) for a in oracle.alarms(alike, histories.agreements(), now)}
    found = alarms_of(case)
    assert expected <= found
    assert all(ours_alone(case, alarm, about) for alarm, about in found - expected)


def spelled_alike(message: Message) -> Message:
    """The same message with its instants in UTC: the second implementation compares contents by their text."""
    instants = {key: text for key, text in message["data"].items() if key.endswith("_at")}
    in_utc = {key: datetime.fromisoformat(text).astimezone(UTC).isoformat() for key, text in instants.items()}
    return {**message, "data": message["data"] | in_utc}


def ours_alone(case: Case, alarm: str, about: str) -> bool:
    """What the second implementation leaves out: cycles charged after a termination, and outages of nobody."""
    if alarm == "charged_after_end":
        return bool(
            case.facts.subscriptions.by_id[case.facts.charges.assessed[about].subscription_id or ""].terminations
        )
    [left_out] = [c.left_out for c in case.facts.contradictions if about.startswith(f"{c.left_out.data.message.id} ")]
    known = case.facts.subscriptions.by_id.get(getattr(left_out.data, "subscription_id", ""))
    return case.facts.registration is None or (known is not None and known.registration is None)


# --- money --------------------------------------------------------------------------------------------------------


@given(SEEDS)
def test_no_charge_gives_back_more_than_it_took(seed: int) -> None:
    messages, now = history(seed)
    case = case_of(messages, now)
    net: dict[str, Decimal] = defaultdict(Decimal)
    tax: dict[str, Decimal] = defaultdict(Decimal)
    for row in assess(case.facts, now).claims.values():
        assert (row.charge_id is None) == (row.clause == "complaint")
        if row.charge_id is not None:
            net[row.charge_id] += row.amount
            tax[row.charge_id] += row.tax
        assert row.amount >= 0
        assert (row.outcome == "granted") == (row.amount > 0)
        assert (row.outcome == "declined") == (row.reason is not None)
        assert row.amount.as_tuple().exponent == row.tax.as_tuple().exponent == zero(row.currency).as_tuple().exponent
    for charge_id in net:
        charge = case.facts.charges.assessed.get(charge_id)
        if charge is None:
            assert net[charge_id] == tax[charge_id] == 0
        else:
            assert net[charge_id] <= charge.price
            assert 0 <= tax[charge_id] <= charge.tax
            assert net[charge_id] < charge.price or not charge.price or tax[charge_id] == charge.tax


@given(st.fractions(min_value=0, max_value=1000), st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_rounding_is_to_the_nearest_and_halves_are_decided_by_the_agreement(exact: Fraction, currency: str) -> None:
    unit = {"EUR": Decimal("0.01"), "JPY": Decimal(1), "KWD": Decimal("0.001"), "CLF": Decimal("0.0001")}[currency]
    up, even = rounded(exact, currency, "half_up"), rounded(exact, currency, "half_even")
    assert abs(Fraction(up) - exact) * 2 <= Fraction(unit)
    assert abs(Fraction(even) - exact) * 2 <= Fraction(unit)
    if up != even:
        assert up - even == unit
        assert int(even / unit) % 2 == 0


# --- more of one thing --------------------------------------------------------------------------------------------


def disruptions(case: Case) -> dict[str, Decimal]:
    rows = assess(case.facts, case.at).claims.values()
    return {row.claim_id: row.amount for row in rows if row.clause == "service_disruption"}


@given(SEEDS, st.randoms(use_true_random=False))
def test_a_second_of_outage_more_never_lowers_a_disruption(seed: int, rng: random.Random) -> None:
    messages, now = history(seed)
    case = case_of(messages, now)
    endings = [
        o.ending.data.message
        for s in case.facts.subscriptions.by_id.values()
        for _, _, o in s.outages.ended
        if o.ending
    ]
    if not endings:
        return
    chosen = rng.choice(endings)
    longer = [
        {**m, "data": {**m["data"], "resolved_at": a_second_after(m["data"]["resolved_at"])}}
        if (m["source"], m["id"]) == (chosen.source, chosen.id)
        else m
        for m in messages
    ]
    before, after = disruptions(case), disruptions(case_of(longer, now))
    assert before.keys() <= after.keys()
    assert all(after[claim_id] >= amount for claim_id, amount in before.items())


def a_second_after(text: str) -> str:
    return (datetime.fromisoformat(text) + SECOND).isoformat()


HOURS = st.integers(0, 70 * 24)
LENGTHS = st.sampled_from([0, 1, 11, 12, 13, 23, 24, 25, 48, 100, 800])
NUDGES = st.sampled_from([0, 0, 0, 1, -1])


def hour(count: int, seconds: int = 0) -> str:
    return (datetime(2026, 3, 25, tzinfo=UTC) + timedelta(hours=count, seconds=seconds)).isoformat()


OUTAGES = st.lists(st.tuples(HOURS, LENGTHS, NUDGES), min_size=1, max_size=5)
TERMS = st.sampled_from(
    [
        {},
        {"proration.basis": "exact_time", "disruption.floor": "none"},
        {"proration.basis": "thirty_days", "disruption.significant_after": "PT12H"},
        {"cancellation.notice_days": 3, "cancellation.fee.EUR": "4.00"},
    ]
)


@given(OUTAGES, st.lists(HOURS, max_size=2), st.none() | HOURS, TERMS, st.data())
def test_nor_does_it_exceed_the_price_where_outages_suspensions_and_a_cancellation_crowd(
    outages: list, suspensions: list, request: int | None, terms: dict, data: st.DataObject
) -> None:
    longer = data.draw(st.integers(0, len(outages) - 1))

    def crowd(extra: int) -> Case:
        said: list[Said] = [account(), subscription(), cycle(price="31.37")]
        said += [cycle("may", "2026-05-01", "2026-06-01", "19.95", monthly_price="25.00")]
        for place, (begin, length, nudge) in enumerate(outages):
            end = hour(begin + length, max(nudge, 0 if not length else nudge) + (extra if place == longer else 0))
            said += outage(hour(begin), end, f"out-{place}")
        for begin in suspensions:
            said += [suspended(hour(begin)), reinstated(hour(begin + 30))]
        if request is not None:
            said.append(cancelled(hour(request)))
        return Case([agreement(terms)]).hear(said)

    before, after = crowd(0), crowd(1)
    assert before.recorded() == before.claims_by_the_oracle()
    for charge in after.facts.charges.assessed.values():
        rows = assess(after.facts, after.at).claims.values()
        assert sum(row.amount for row in rows if row.charge_id == charge.charge_id) <= charge.price
    assert all(disruptions(after)[claim_id] >= amount for claim_id, amount in disruptions(before).items())


@given(SEEDS, st.none() | SEEDS)
def test_facts_about_another_subscription_change_nothing_here(seed: int, other_seed: int | None) -> None:
    """Least of all where the very same happens to the other one, at the same instants."""
    messages, now = history(seed)
    elsewhere = [
        {**message, "subject": "acct"}
        for message in histories.history(
            seed if other_seed is None else other_seed, account="elsewhere", instructed=True
        )
        if message["type"] != "voip.account.registered.v1"
    ]
    alone, together = case_of(messages, now).recorded(), case_of([*messages, *elsewhere], now).recorded()
    assert {claim_id: row for claim_id, row in together.items() if "elsewhere" not in claim_id} == alone


# --- time ---------------------------------------------------------------------------------------------------------


def statuses(case: Case, now: datetime) -> list[object]:
    zone = case.facts.time_zone
    known = [s for s in case.facts.subscriptions.by_id.values() if s.registration is not None]
    return [status_of(s, zone, now) for s in known] if zone is not None else []


@given(SEEDS, st.integers(0, 999))
def test_until_the_next_instant_that_is_due_nothing_changes(seed: int, part: int) -> None:
    messages, now = history(seed)
    case = case_of(messages, now)
    due = next_due(case.facts, now)
    assert due is None or due > now
    until = due or now + timedelta(days=4000)
    for later in (until - MICROSECOND, now + (until - now) * part // 1000):
        assert rows_of(assess(case.facts, later)) == rows_of(assess(case.facts, now))
        assert assess(case.facts, later).alarms == assess(case.facts, now).alarms
        assert statuses(case, later) == statuses(case, now)


@given(SEEDS)
def test_step_by_step_through_time_finds_what_a_full_assessment_finds(seed: int) -> None:
    """From before everything to after: what time alone touches is enough to look at."""
    messages, _ = history(seed)
    at = datetime(2009, 1, 1, tzinfo=UTC)
    case = case_of(messages, at)
    standing = Standing()
    standing.take(assess(case.facts, at))
    for _ in range(400):
        due = next_due(case.facts, at)
        if due is None:
            break
        at = due
        standing.take(assess(case.facts, at, case.facts.touched_by_time()))
        full = assess(case.facts, at)
        assert standing.rows == rows_of(full)
        assert standing.alarms == full.alarms
    assert next_due(case.facts, at) is None
    assert standing.rows == rows_of(assess(case.facts, datetime(2050, 1, 1, tzinfo=UTC)))


# --- what is not a law of amounts ---------------------------------------------------------------------------------


@given(SEEDS)
def test_every_row_says_how_it_came_about(seed: int) -> None:
    messages, now = history(seed)
    case = case_of(messages, now)
    for row in assess(case.facts, now).claims.values():
        working = row.working()
        assert working.lines or working.formula, row.claim_id
        assert working.formula is not None or row.outcome != "granted"
        assert working.formula is None or row.outcome in ("granted", "declined")
        known = {message["id"] for message in messages}
        facts = [fact for fact in working.facts if hasattr(fact.data, "message")]
        assert {fact.data.message.id for fact in facts} <= known
        assert facts, row.claim_id


@given(SEEDS, SEEDS)
def test_what_two_facts_touch_is_what_both_touch_together(seed: int, cut: int) -> None:
    """A batch may look once at all that its facts touched: nothing is found twice, and nothing is missed."""
    messages, now = history(seed)
    case, standing, touched = Case(AGREEMENTS, now.isoformat()), Standing(), Touched()
    rng = random.Random(cut)
    for message in messages:
        touched = touched.joined(case.learn(message))
        if rng.random() < 0.3:
            standing.take(assess(case.facts, now, touched))
            touched = Touched()
    standing.take(assess(case.facts, now, touched))
    assert standing.rows == rows_of(assess(case.facts, now))


def test_what_either_of_two_touches() -> None:
    january, march = (Period(datetime(2026, m, 1, tzinfo=UTC), datetime(2026, m, 9, tzinfo=UTC)) for m in (1, 3))
    one = Touched(windows={"a": january}, charges={"c"}, disputes={"d"}, goodwill={"g"})
    other = Touched(everything=True, windows={"a": march, "b": march}, charges={"e"}, disputes={"f"}, goodwill={"h"})
    both = Touched(True, {"a": january.hull(march), "b": march}, {"c", "e"}, {"d", "f"}, {"g", "h"})
    assert one.joined(other) == both == other.joined(one)
    assert one.joined(one) == one


@given(SEEDS)
def test_a_row_in_a_word_says_all_that_its_recorded_state_says(seed: int) -> None:
    messages, now = history(seed)
    case = case_of(messages, now)
    rows = assess(case.facts, now).claims
    for claim_id, claim in case.billing.claims.items():
        row = rows[claim_id]
        assert (claim.charge_id, claim.subscription_id, claim.currency) == (
            row.charge_id,
            row.subscription_id,
            row.currency,
        )
        if row.clause == "complaint":
            assert row.binding is None
            continue
        charge = case.facts.charges.assessed.get(row.charge_id or "")
        assert row.subscription_id == (charge.subscription_id if charge is not None else None)
        known = case.facts.subscriptions.by_id[row.subscription_id] if row.subscription_id is not None else None
        assert row.binding is (known.binding if known is not None else None)
        assert case.recorded()[claim_id] == in_a_word(row.outcome, row.reason, row.amount, row.tax)
