"""What finance asks at the command line: sums that lead to their rows, and days of the provider's time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ledger.store.instants import from_microseconds
from makegood.access.sight import EVERYTHING, Sight
from makegood.answers.filters import FilterRefused, Filters
from makegood.commands.filter_options import as_options
from projections.movement_kinds import EFFECTS, KINDS, OWED
from tests.door.conftest import Door


@pytest.mark.parametrize(
    ("zone", "first", "last", "begins", "ends"),
    [
        ("UTC", "2026-03-01", "2026-03-31", "2026-03-01T00:00:00", "2026-04-01T00:00:00"),
        ("Europe/Berlin", "2026-03-29", "2026-03-29", "2026-03-28T23:00:00", "2026-03-29T22:00:00"),
        ("Europe/Berlin", "2026-10-25", "2026-10-25", "2026-10-24T22:00:00", "2026-10-25T23:00:00"),
        ("Asia/Tokyo", "2026-01-01", "2026-01-31", "2025-12-31T15:00:00", "2026-01-31T15:00:00"),
    ],
)
def test_a_period_has_the_days_of_the_providers_time_zone_whole(
    zone: str, first: str, last: str, begins: str, ends: str
) -> None:
    filters = Filters(from_=date.fromisoformat(first), to=date.fromisoformat(last))
    narrowing = filters.narrowing(EVERYTHING, zone)
    assert narrowing.begin is not None
    assert narrowing.end is not None
    assert from_microseconds(narrowing.begin) == datetime.fromisoformat(begins).replace(tzinfo=UTC)
    assert from_microseconds(narrowing.end) == datetime.fromisoformat(ends).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("word", "filters"),
    [
        ("min", {"min_amount": "5"}),
        ("min", {"min_amount": "5.001", "currency": "EUR"}),
        ("min", {"min_amount": "much", "currency": "EUR"}),
        ("currency", {"currency": "XXX"}),
        ("to", {"from_": date(2026, 2, 1), "to": date(2026, 1, 31)}),
    ],
)
def test_a_filter_that_cannot_be_meant_names_its_word(word: str, filters: Any) -> None:
    with pytest.raises(FilterRefused) as refused:
        Filters(**filters)
    assert refused.value.word == word


def test_whoever_sees_some_accounts_only_is_asked_about_no_other() -> None:
    sight = Sight(accounts=frozenset({"ann"}))
    assert Filters().narrowing(sight, "UTC").accounts == {"ann"}
    assert Filters(account="bob").narrowing(sight, "UTC").accounts == frozenset()


class TestAtTheTerminal:
    def test_every_sum_leads_to_its_rows(self, twenty_accounts_in_july: Door) -> None:
        door = twenty_accounts_in_july
        found = door.json("owed", "--by", "clause,age")
        assert found["rows"]
        for row in found["rows"]:
            items = door.json("owed", "--items", *options(row["filter"]))
            assert len(items) == row["count"]
            for name in OWED:
                total = sum((Decimal(i["total"]) for i in items if i["counted_as"] == name), Decimal(0))
                assert total == Decimal(row[name])
        door("owed", "--by", "clause")
        assert "the amounts behind a sum: makegood owed --items" in door.errors

    def test_movements_add_up_to_what_is_owed(self, twenty_accounts_in_july: Door) -> None:
        door = twenty_accounts_in_july
        moved: dict[str, dict[str, Decimal]] = {}
        for total in door.json("movements")["totals"]:
            of = moved.setdefault(total["currency"], dict.fromkeys(OWED, Decimal(0)))
            for name, sign in EFFECTS[total["kind"]].items():
                of[name] += sign * Decimal(total["total"])
        owed = {row["currency"]: {name: Decimal(row[name]) for name in OWED} for row in door.json("owed")["totals"]}
        assert {currency: of for currency, of in moved.items() if any(of.values())} == owed

    def test_a_rollforward_leads_from_what_was_owed_to_what_is_owed(self, twenty_accounts_in_july: Door) -> None:
        door = twenty_accounts_in_july
        days = sorted({row["recorded_at"][:10] for row in door.json("movements")["rows"]})
        first = days[0]
        for period in ((), ("--to", first), ("--from", "2026-07-02"), ("--by-occurrence", "--from", "2026-03-01")):
            found = door.json("rollforward", *period)
            for row in found["rows"]:
                moved = sum((Decimal(each["total"]) for each in row["movements"]), Decimal(0))
                assert Decimal(row["opening"]) + moved == Decimal(row["closing"])
        whole = door.json("rollforward")
        owed = {total["currency"]: total for total in door.json("owed")["totals"]}
        assert {"refunds_due", "credits_left", "excess"} <= {row["counted_as"] for row in whole["rows"]} <= set(OWED)
        for row in whole["rows"]:
            assert Decimal(row["opening"]) == 0
            assert row["closing"] == owed[row["currency"]][row["counted_as"]]
        for total in whole["totals"]:
            assert total["closing"] == owed[total["currency"]]["total"]
        march = door.json("rollforward", "--by-occurrence", "--from", "2026-03-01", "--to", "2026-03-31")["totals"]
        later = door.json("rollforward", "--by-occurrence", "--from", "2026-04-01")["totals"]
        opening = {each["currency"]: each["opening"] for each in later}
        assert all(opening[each["currency"]] == each["closing"] for each in march)
        assert "opening" in door("rollforward", "--by-occurrence", "--from", "2026-04-01")

    def test_months_and_days_add_up_to_the_period(self, twenty_accounts_in_july: Door) -> None:
        door = twenty_accounts_in_july
        period = ("--by-occurrence", "--from", "2026-01-15", "--to", "2026-06-10")
        whole = door.json("movements", *period, "--by", "currency")
        assert whole["rows"]
        for by in ("month", "day"):
            parts = door.json("movements", *period, "--by", by)
            assert parts["totals"] == whole["totals"]
        months = door.json("movements", *period, "--by", "month")["rows"]
        assert [row["filter"]["from"] for row in months if row["month"] == "2026-01"][:1] == ["2026-01-15"]
        for row in months[:5]:
            rows = door.json("movements", *options(row["filter"]))["rows"]
            assert len(rows) == row["count"]
            assert sum((Decimal(each["net"]) for each in rows), Decimal(0)) == Decimal(row["net"])

    def test_wrong_words_are_usage_errors(self, sandbox: Door) -> None:
        sandbox("owed", "--by", "mood", exits=64)
        sandbox("owed", "--min", "5", exits=64)
        sandbox("movements", "--by", "day", exits=1)
        assert "name it with the filters from and to" in sandbox.errors
        sandbox("rollforward", "--from", "2026-02-01", "--to", "2026-01-01", exits=64)
        sandbox("credits", "--dormant", "--currency", "EUR", exits=64)

    def test_where_nothing_is_owed_it_says_where_to_look(self, sandbox: Door) -> None:
        assert sandbox("owed").strip() == "nothing is owed; see the movements with `makegood movements`"
        assert sandbox.json("owed") == {"as_of": None, "known_at": None, "rows": [], "totals": []}
        assert sandbox.json("changes", "--since", "0:1") == []
        assert sandbox.json("disputes", "--by-age") == {"rows": [], "totals": {"count": 0, "overdue": 0}}

    def test_as_of_and_known_at_are_other_moments(self, twenty_accounts_in_july: Door) -> None:
        door = twenty_accounts_in_july
        now = door.json("owed")["totals"]
        last = door.json("movements")["rows"][-1]["recorded_at"]
        assert door.json("owed", "--known-at", last)["totals"] == now
        assert door.json("owed", "--known-at", "2020-01-01T00:00:00Z")["totals"] == []
        as_of = door.json("owed", "--as-of", "2026-03-15", "--by", "age")
        assert as_of["as_of"] == "2026-03-15"
        assert {row["age"] for row in as_of["rows"]} - {"0-7"}, "it is as old as what it follows from"
        items = door.json("owed", "--as-of", "2026-03-15", "--items")
        assert sum(row["count"] for row in as_of["totals"]) == len(items)


def options(words: dict[str, str]) -> list[str]:
    """A sum's filter as the command line takes it."""
    given = []
    for word, value in words.items():
        option = f"--{word.replace('_', '-')}"
        given += [option] if value == "true" else [option, value]
    return given


def test_a_filter_is_written_as_a_shell_takes_it() -> None:
    words = {"currency": "EUR", "clause": "", "by_occurrence": "true"}
    assert as_options(words) == "--currency EUR --clause '' --by-occurrence"
    assert len(KINDS) == len(EFFECTS)
