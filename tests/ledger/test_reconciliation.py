"""A row of a processor's file compared with what went out: each row here is one that finance could meet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ledger.reconciliation import ListedPayout, Occurrence, Payout, compare, is_same

FILE, OTHER = "a" * 64, "b" * 64
HERE = Payout(
    account_id="acct-1",
    refund_id="refund/unused/cyc-1/1",
    return_id="ret-1",
    amount=Decimal("10.00"),
    currency="EUR",
    status="succeeded",
    reference="re-1",
    since=datetime(2026, 1, 12, tzinfo=UTC),
)
ROW = ListedPayout(
    line=2,
    account_id=None,
    refund_id=None,
    return_id="ret-1",
    reference="re-1",
    amount=Decimal("10.00"),
    currency="EUR",
    day=date(2026, 1, 13),
    status="succeeded",
)


def at(row: ListedPayout, file: str = FILE) -> Occurrence:
    return Occurrence(file[:16], row.line, row.digest, row.day, row.status)


def found(row: ListedPayout, here: list[Payout], *others: Occurrence) -> list[tuple[str, tuple[str, ...]]]:
    return [(data.kind, data.differs) for data in compare(row, FILE, here, [at(row), *others]).found]


@pytest.mark.parametrize(
    ("there", "here", "differs"),
    [
        ({}, {}, ()),
        ({"status": "succeeded"}, {"status": "submitted", "reference": None}, ()),
        ({"status": "submitted"}, {"status": "submitted", "reference": None}, ()),
        ({"status": "failed"}, {"status": "failed"}, ()),
        ({"reference": None}, {}, ()),
        ({"amount": Decimal("10.01")}, {}, ("amount",)),
        ({"currency": "USD"}, {}, ("currency",)),
        ({"reference": "re-2"}, {}, ("reference",)),
        ({"status": "failed"}, {}, ("status",)),
        ({"status": "failed"}, {"status": "submitted"}, ("status",)),
        ({"status": "succeeded"}, {"status": "failed"}, ("status",)),
        ({"status": "submitted"}, {}, ("status",)),
        ({"amount": Decimal("1.00"), "currency": "USD", "status": "failed"}, {}, ("amount", "currency", "status")),
    ],
)
def test_what_differs(there: dict[str, Any], here: dict[str, Any], differs: tuple[str, ...]) -> None:
    expected = [("differing", differs)] if differs else []
    assert found(replace(ROW, **there), [replace(HERE, **here)]) == expected


def test_a_whole_refund_is_compared_with_what_of_its_returns_arrived() -> None:
    returns = [replace(HERE, return_id=f"ret-{n}", reference=f"re-{n}") for n in (1, 2)]
    row = replace(ROW, return_id=None, refund_id=HERE.refund_id, reference="payout-7", amount=Decimal("20.00"))
    assert found(row, returns) == []
    failed = [returns[0], replace(returns[1], status="failed")]
    assert found(row, failed) == [("differing", ("amount",))]
    assert found(replace(row, amount=Decimal("10.00")), failed) == []


def test_of_two_rows_about_one_payout_the_later_one_says_how_it_stands() -> None:
    bounced = replace(ROW, line=3, day=date(2026, 1, 20), status="failed")
    for here, of_first, of_second in (
        (HERE, [], [("differing", ("status",))]),
        (replace(HERE, status="failed"), [], []),
    ):
        assert found(ROW, [here], at(bounced)) == of_first
        assert found(bounced, [here], at(ROW)) == of_second
    same_day = replace(bounced, day=ROW.day)
    assert found(ROW, [replace(HERE, status="failed")], at(same_day)) == []


def test_a_row_that_was_overtaken_settles_nothing_that_the_last_one_found() -> None:
    bounced = replace(ROW, line=3, day=date(2026, 1, 20), status="failed")
    [differing] = compare(bounced, FILE, [HERE], [at(ROW), at(bounced)]).found
    assert differing.discrepancy_id not in compare(ROW, FILE, [HERE], [at(ROW), at(bounced)]).possible


def test_the_same_row_in_another_file_is_no_duplicate_and_twice_in_one_file_it_is() -> None:
    assert found(ROW, [HERE], at(replace(ROW, line=9), OTHER)) == []
    second = replace(ROW, line=3)
    assert found(ROW, [HERE], at(second)) == []
    assert found(second, [HERE], at(ROW)) == [("duplicate", ())]


def test_a_payout_listed_with_another_reference_or_date_is_a_duplicate_of_the_first() -> None:
    again = replace(ROW, line=5, reference="re-2", day=date(2026, 2, 3))
    assert found(again, [HERE], at(ROW, OTHER)) == [("duplicate", ())]
    assert found(ROW, [HERE], at(again, OTHER)) == []


def test_a_refund_that_is_unknown_here_is_found_once_and_one_that_failed_is_nothing() -> None:
    outside = replace(ROW, return_id=None, reference="re-9")
    assert found(outside, []) == [("unknown_here", ())]
    assert found(replace(outside, line=3, day=date(2026, 2, 1)), [], at(outside)) == [("duplicate", ())]
    failed = replace(outside, line=3, status="failed", day=date(2026, 2, 1))
    for row, other in ((outside, failed), (failed, outside)):
        compared = compare(row, FILE, [], [at(row), at(other)])
        assert (compared.found, compared.ignored) == ((), True)


def test_a_finding_is_the_same_whichever_file_and_line_it_was_found_in() -> None:
    [one] = compare(replace(ROW, amount=Decimal("9.00")), FILE, [HERE], []).found
    [other] = compare(replace(ROW, amount=Decimal("9.00"), line=8), OTHER, [HERE], []).found
    assert is_same(one, other)
    [changed] = compare(replace(ROW, amount=Decimal("8.00")), FILE, [HERE], []).found
    assert one.discrepancy_id == changed.discrepancy_id
    assert not is_same(one, changed)
