"""What many subscribers need, as docs/scale.md has it: reckoned from what is kept there, and a month played."""

from __future__ import annotations

import json

import pytest
from bench.report import Report
from bench.scale import DOCS, MONTH, Costs, Wave, kept, medians, play, shards, tables, waves, written
from bench.subscribers import SECTION
from hypothesis import given
from hypothesis import strategies as st

SAID = json.loads((DOCS / "scale.json").read_text())
COSTS = Costs.of(medians(SAID))


def test_the_page_is_what_is_reckoned_from_the_figures_beside_it() -> None:
    page = (DOCS / "scale.md").read_text()
    assert page == written(page, tables(SAID)), "run `make scale`"


def test_a_month_costs_its_messages_and_all_that_follows_their_events() -> None:
    """By hand: 2 messages of 1,500 µs in all, of 5 events, each of which 400 µs follow."""
    figures = medians(SAID) | {
        "a subscriber's month: ours": 1_000,
        "a subscriber's month: PostgreSQL's": 500,
        "a subscriber's month: messages": 2,
        "a subscriber's month: events": 5,
        "projected, an event: ours": 100,
        "projected, an event: PostgreSQL's": 50,
        "relayed, an event: ours": 150,
        "relayed, an event: PostgreSQL's": 50,
        "into the Merkle tree, an event: ours": 20,
        "into the Merkle tree, an event: PostgreSQL's": 30,
    }
    costs = Costs.of(figures)
    assert costs.month == pytest.approx(0.0035)
    assert costs.message == pytest.approx(0.00175)


AT_ONCE = Wave(0, 1, 1_000, 0.6)
"""600 s of work in the first minute."""
STEADY = Wave(1, 9, 540, 1.0)
"""60 s of work in each of the nine minutes after it."""


@pytest.mark.parametrize(
    ("coming", "cores", "waited", "busy"),
    [
        ([AT_ONCE], 1, 9, 8),  # 540 s are left of the first minute, and 60 fewer of each that follows
        ([AT_ONCE, STEADY], 1, 9, 17),  # 540 s for as long as as much comes as is done
        ([AT_ONCE], 2, 4, 3),
        ([AT_ONCE, STEADY], 2, 4, 6),
        ([AT_ONCE, STEADY], 10, 0, 0),
    ],
)
def test_who_comes_last_waits_for_all_before(coming: list[Wave], cores: int, waited: float, busy: int) -> None:
    played = play(coming, cores)
    assert (played.waited, played.busy, played.left) == (pytest.approx(waited), busy, 0)


def test_what_is_not_done_by_the_end_of_the_month_is_told() -> None:
    played = play([Wave(0, MONTH, MONTH * 60, 1.5)], 1)
    assert played.left == pytest.approx(MONTH * 30)
    assert played.used == pytest.approx(1)


@given(subscribers=st.integers(1, 10**8), cores=st.integers(1, 64))
def test_more_cores_let_nobody_wait_longer_and_nothing_is_lost(subscribers: int, cores: int) -> None:
    coming = waves(COSTS, subscribers)
    one, more = play(coming, cores), play(coming, cores + 1)
    assert more.waited <= one.waited
    work = sum(wave.messages * wave.seconds for wave in coming)
    assert one.used * MONTH * 60 * cores + one.left == pytest.approx(work)


@pytest.mark.parametrize(("subscribers", "expected"), [(1, 1), (10_000_000, 1), (10_000_001, 2), (100_000_000, 10)])
def test_a_shard_has_ten_million_subscribers_at_most(subscribers: int, expected: int) -> None:
    assert shards(subscribers) == expected


def test_a_report_without_what_is_needed_says_how_to_measure_it() -> None:
    with pytest.raises(ValueError, match="make bench SECTIONS=subscribers"):
        kept({"about": {}, "sections": []})


def test_what_is_kept_of_a_report_is_what_the_page_is_made_from() -> None:
    report = Report(dict(SAID["about"]))
    section = report.section(SECTION, "400 subscribers for a year")
    for each in SAID["figures"]:
        section.add(each["name"], [each["median"]] * 3, each["unit"])
    again = kept(report.to_json())
    assert Costs.of(medians(again)) == COSTS
    assert again["about"]["subscribers"] == "400"


def test_a_page_that_lacks_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table needs"):
        written("<!-- measured -->\n<!-- /measured -->", {"needs": []})
