"""What is asked of all accounts of a store of several shards: what a store of one shard says, in its order and to the
cent."""

from __future__ import annotations

import csv
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from consumers.notices import Notices
from ledger.application.acts import By
from ledger.application.record import take
from ledger.store.positions import reached_from_text, shard_for
from ledger.store.reading.page import Listed, Page
from ledger.store.reading.shards import shard_end
from ledger.values import month_from_text
from makegood.access.sight import EVERYTHING
from makegood.answers import finance, owed
from makegood.answers.another_time import house_then, listed_then
from makegood.answers.instructions import instructions
from makegood.answers.moments import Moment
from makegood.answers.month_board import month_board
from makegood.answers.notices import notices
from makegood.answers.periods import close
from makegood.answers.search import search
from makegood.answers.waiting import waiting
from makegood.house.clock import system_clock
from makegood.house.opening import House
from makegood.house.settings import Settings
from makegood.house.shard_map import open_whole
from tests.door.conftest import Door, commands
from tests.ledger.messages import Message, Upstream, read_all
from tests.oracle import histories
from tests.parts.stores import Stores, nothing

pytestmark = pytest.mark.long
SHARDS = 3
SEEDS = range(20)
COMPLAINING = [f"acct-{letter}" for letter in "pqrstu"]
OF_A_STORE = {"position", "event_id", "age_seconds", "proposal", "instruction_id", "notice_id"}
"""What says where something was recorded, or how long ago, and not what."""
WHEN_RECORDED = re.compile(rf"{datetime.now(UTC).year}-.*T.*Z")


def complaining(account: str) -> list[Message]:
    """A customer who complains, to whom a credit is offered, and one to whom one was granted."""
    up = Upstream(account, source="/upstream")
    customer = {"name": f"Zoë {account}", "email": f"zoe@{account}.example", "locale": "en"}
    return [
        up.account_registered(customer=customer),
        up.subscription_registered(),
        up.cycle_started(),
        up.payment_captured(),
        up.complaint_opened("com-1"),
        up.goodwill_proposed("gw-1", "com-1"),
        up.cancellation_requested(),
    ]


MESSAGES = [m for seed in SEEDS for m in histories.history(seed, account=f"acct-{seed}", money=True)]


def record(store: str, messages: Callable[[str], list[Message]]) -> None:
    with open_whole(Settings(store=store)) as house:
        for account in COMPLAINING:
            assert not take(house.of(account).ledger, read_all(messages(account))).refused
        for each in house.every:
            each.projections.catch_up()


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def kept(
    request: pytest.FixtureRequest, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Many accounts in a store of several shards, and in one of one."""
    folder = tmp_path_factory.mktemp("stores")
    for name, text in histories.agreement_texts(money=True).items():
        (folder / f"{name}.toml").write_text(text)
    (folder / "messages.jsonl").write_text("\n".join(map(json.dumps, MESSAGES)))
    divided, one = (stores.new(request.param, tmp_path_factory.mktemp("store"), nothing) for _ in range(2))
    for store, shards in ((divided, SHARDS), (one, 1)):
        commands(store, ("init", "--sandbox", "--shards", str(shards)))
        commands(store, *(("agreement", "publish", str(file)) for file in sorted(folder.glob("*.toml"))))
        commands(store, ("ingest", str(folder / "messages.jsonl")), ("advance", "2035-01-01T00:00:00Z"))
        record(store, complaining)
        with open_whole(Settings(store=store)) as house:
            for each in house.every:
                notices_of_it = Notices(each.ledger, None, clock=system_clock, jitter=lambda: 0.5)
                while notices_of_it.queue():
                    pass
    yield divided, one
    stores.give_back(divided)
    stores.give_back(one)


@pytest.fixture
def divided(kept: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> Door:
    return Door(kept[0], capsys)


@pytest.fixture
def one(kept: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> Door:
    return Door(kept[1], capsys)


def said(answer: Any) -> Any:
    """An answer without what is of the store that it was recorded in."""
    if isinstance(answer, dict):
        return {name: said(value) for name, value in answer.items() if name not in OF_A_STORE}
    if isinstance(answer, str) and WHEN_RECORDED.fullmatch(answer):
        return "when it was recorded"
    return [said(each) for each in answer] if isinstance(answer, list) else answer


def in_any_order(rows: list[Any]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


@pytest.mark.parametrize(
    "command",
    [
        "claims",
        "claims --min 5 --currency EUR",
        "claims --as-of 2026-04-30",
        "refunds",
        "credits",
        "disputes",
        "disputes --by-age",
        "complaints --by-age",
        "outages",
        "goodwill",
        "alarms",
        "waiting",
        "find acct-3",
        "owed",
        "owed --by clause,age,agreement,plan",
        "owed --items",
        "owed --as-of 2026-05-31",
        "owed --items --as-of 2026-05-31",
        "movements --by clause,settlement,account",
        "movements --by month --from 2026-01-01 --to 2026-12-31",
        "rollforward",
    ],
)
def test_it_says_what_one_shard_says(divided: Door, one: Door, command: str) -> None:
    found = divided.json(*command.split())
    assert said(found) == said(one.json(*command.split()))
    assert found


@pytest.mark.parametrize(
    "command", ["credits --dormant", "overpaid", "complaints", "instructions", "notices", "movements"]
)
def test_what_is_in_the_order_of_recording_has_the_same_rows(divided: Door, one: Door, command: str) -> None:
    found, expected = (said(door.json(*command.split())) for door in (divided, one))
    if command == "movements":
        assert found["totals"] == expected["totals"]
        found, expected = found["rows"], expected["rows"]
    assert in_any_order(found) == in_any_order(expected)
    assert len({shard_for(row["account_id"], SHARDS) for row in found}) > 1, "they are of several shards"


def test_a_claim_is_explained_wherever_it_is(divided: Door, one: Door) -> None:
    claims = [claim for claim in divided.json("claims") if claim["account_id"] not in COMPLAINING]
    by_shard = {shard_for(claim["account_id"], SHARDS): claim["claim_id"] for claim in claims}
    assert len(by_shard) == SHARDS
    for claim_id in by_shard.values():
        found, expected = (door.json("explain", claim_id) for door in (divided, one))
        assert (found["account_id"], found["formula"]) == (expected["account_id"], expected["formula"])


def test_an_id_that_accounts_of_several_shards_have_names_all_of_them(divided: Door, one: Door) -> None:
    said_of_all = [door("complaint", "com-1", exits=1) + door.errors for door in (divided, one)]
    assert said_of_all[0] == said_of_all[1]
    assert "6 accounts have com-1: acct-p, acct-q, acct-r" in said_of_all[0]


Asked = Callable[[House, Page | None], Listed[Any]]
LISTS: dict[str, Asked] = {
    "claims": lambda house, page: owed.claims(house, EVERYTHING, page=page),
    "refunds": lambda house, page: owed.refunds(house, EVERYTHING, page=page),
    "credits": lambda house, page: owed.credits(house, EVERYTHING, page=page),
    "dormant credits": lambda house, page: owed.credits(house, EVERYTHING, dormant=True, page=page),
    "overpaid": lambda house, page: owed.overpaid(house, EVERYTHING, page=page),
    "disputes": lambda house, page: owed.disputes(house, EVERYTHING, page=page),
    "complaints": lambda house, page: owed.complaints(house, EVERYTHING, page=page),
    "outages": lambda house, page: owed.outages(house, EVERYTHING, page=page),
    "goodwill": lambda house, page: owed.goodwill(house, EVERYTHING, page=page),
    "alarms": lambda house, page: owed.alarms(house, EVERYTHING, page=page),
    "waiting": lambda house, page: waiting(house, EVERYTHING, page=page),
    "instructions": lambda house, page: instructions(house, EVERYTHING, page=page),
    "notices": lambda house, page: notices(house, page=page),
    "owed": lambda house, page: finance.owed_items(house, EVERYTHING, page=page),
    "movements": lambda house, page: finance.movements(house, EVERYTHING, page=page),
    "customers": lambda house, page: search(house, EVERYTHING, "Zoë", page=page),
}


def by_page(house: House, asked: Asked, limit: int) -> list[Any]:
    rows: list[Any] = []
    page: Page | None = Page(limit)
    while page is not None:
        found = asked(house, page)
        assert len(found) <= limit
        rows += found
        page = Page(limit, found.next) if found.next is not None else None
    return rows


@pytest.mark.parametrize("of", LISTS)
def test_page_by_page_it_is_the_whole_list(kept: tuple[str, str], of: str) -> None:
    with open_whole(Settings(store=kept[0])) as house:
        every = LISTS[of](house, None)
        parts = [row for each in house.every for row in LISTS[of](each, None)]
        assert in_any_order(every) == in_any_order(parts)
        for limit in (1 + len(every) // 20, len(every)):
            assert by_page(house, LISTS[of], limit) == every


def positions_midway(store: str) -> list[str]:
    with open_whole(Settings(store=store)) as house:
        ends = []
        for number, each in enumerate(house.every):
            with each.database.reading() as transaction:
                ends.append(f"{number}:{shard_end(transaction, number) // 2}")
    return ends


@pytest.mark.parametrize("command", ["claims --known-at", "refunds --known-at", "changes --since"])
def test_what_was_known_is_told_by_a_position_in_each_shard(divided: Door, command: str) -> None:
    midway = positions_midway(divided.store)
    found = divided.json(*command.split(), ",".join(midway))
    of_each = []
    for number, position in enumerate(midway):
        with patch.dict(os.environ, MAKEGOOD_SHARD=str(number)):
            of_each += divided.json(*command.split(), position)
    assert in_any_order(found) == in_any_order(of_each)
    assert [row["account_id"] for row in found] == sorted(row["account_id"] for row in found)
    assert len({shard_for(row["account_id"], SHARDS) for row in found}) == SHARDS


@pytest.mark.parametrize("of", ["claims", "refunds", "credits"])
def test_what_was_known_is_told_page_by_page(kept: tuple[str, str], of: str) -> None:
    at = Moment(known_at=reached_from_text(",".join(positions_midway(kept[0]))))

    def asked(house: House, page: Page | None) -> Listed[Any]:
        assert page is not None
        return listed_then(house, EVERYTHING, at, None, page, LISTS[of])

    with open_whole(Settings(store=kept[0])) as house:
        with house_then(house, EVERYTHING, at) as then:
            every = LISTS[of](then, None)
        for limit in (1 + len(every) // 4, len(every)):
            assert by_page(house, asked, limit) == every


def test_what_was_owed_then_adds_up_over_all_shards(divided: Door) -> None:
    midway = positions_midway(divided.store)
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for number, position in enumerate(midway):
        with patch.dict(os.environ, MAKEGOOD_SHARD=str(number)):
            for row in divided.json("owed", "--known-at", position)["rows"]:
                sums[row["currency"]] += Decimal(row["total"])
    found = divided.json("owed", "--known-at", ",".join(midway))
    assert {row["currency"]: Decimal(row["total"]) for row in found["totals"]} == sums


@pytest.mark.parametrize("month", ["2024-02", "2026-04", str(date.today())[:7]])
def test_the_month_looks_as_in_one_shard(kept: tuple[str, str], month: str) -> None:
    found = []
    for store in kept:
        with open_whole(Settings(store=store)) as house:
            found.append(said(dict(month_board(house, EVERYTHING, month_from_text(month)))))
    assert found[0] == found[1]


def test_an_export_has_the_rows_of_all_shards_and_says_how_far_each_had_come(
    divided: Door, one: Door, tmp_path: Path
) -> None:
    done, expected = (
        door.json("export", "claims", "--format", "csv", "--to", str(tmp_path / name))
        for door, name in ((divided, "divided.csv"), (one, "one.csv"))
    )
    assert (done["rows"], done["totals"]) == (expected["rows"], expected["totals"])
    assert [each.partition(":")[0] for each in done["position"].split(",")] == ["0", "1", "2"]
    columns, *rows = csv.reader((tmp_path / "divided.csv").read_text(encoding="utf-8-sig").splitlines())
    of = columns.index("account_id")
    assert [row[of] for row in rows] == [claim["account_id"] for claim in divided.json("claims")]


def close_in(store: str, month: str, number: int) -> None:
    """Have a month be closed in one shard, as where closing was cut short after it."""
    with open_whole(Settings(store=store)) as house:
        each = house.every[number]
        close(each, month_from_text(month), By("ada", "cli"))
        each.projections.catch_up()


def test_a_month_is_closed_in_all_shards(kept: tuple[str, str], divided: Door, one: Door) -> None:
    late = {"position", "closed_at", "accounts", "events", "sha256"}
    for month in ("2024-02", "2026-03", str(date.today())[:7]):
        close_in(divided.store, month, SHARDS - 1)
        assert divided.json("period", "show", month)["status"] == "open"
        closed, expected = (door.json("period", "close", month, "--as", "ada") for door in (divided, one))
        assert {k: v for k, v in said(closed).items() if k not in late} == {
            k: v for k, v in said(expected).items() if k not in late
        }
        assert (closed["status"], closed["recomputed"], closed["position"].count(":")) == ("closed", True, SHARDS)
        assert divided.json("period", "show", month) == closed
        divided("period", "close", month, "--as", "ada", exits=1)
        assert "was closed at" in divided.errors
    assert [row["period"] for row in divided.json("periods")] == [row["period"] for row in one.json("periods")]
    for store in kept:
        record(store, lambda account: [Upstream(account, source="/late").overcharge_confirmed("dis-1", "cyc-1")])
    cut_off, expected = (said(door.json("period", "cut-off", "2026-03")) for door in (divided, one))
    assert cut_off["totals"] == expected["totals"]
    assert in_any_order(cut_off["rows"]) == in_any_order(expected["rows"]) != []
