"""Two clocks: lists and exports as they were known at a moment, or by what was true at one, on both stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, nullcontext
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.application.due_work import do_due_work
from ledger.store.connecting import connect
from ledger.store.instants import to_microseconds
from ledger.store.positions import KnownAt, Reached
from ledger.store.reading.shards import shard_ends
from ledger.values import instant_to_text
from makegood.access.sight import EVERYTHING
from makegood.answers import account as answering
from makegood.answers import finance, owed
from makegood.answers.another_time import house_then
from makegood.answers.filters import Asked
from makegood.answers.moments import NOW, Moment
from makegood.exports.exporting import export
from makegood.exports.lists import Format, What
from makegood.house.opening import House, open_house
from makegood.house.settings import Settings
from projections.follower import Follower
from tests.door.conftest import Door
from tests.door.test_commands import CANCELLATION, STORY
from tests.ledger.books import Books, oracle_agreements
from tests.oracle import histories
from tests.search import sample

LISTS = ("claims", "refunds", "credits")
EXPORTS: tuple[What, ...] = ("claims", "refunds", "credits", "disputes", "complaints", "movements")
APRIL = date(2026, 4, 15)


def exported(door: Door, folder: Path, what: str, *options: str, format_: str = "csv") -> bytes:
    file = folder / f"{what}.{format_}"
    door("export", what, "--format", format_, "--to", str(file), "--force", *options)
    return file.read_bytes()


def file_of(house: House, folder: Path, what: What, format_: Format = "csv", at: Moment = NOW) -> bytes:
    """An export of a house, which may be one of another time."""
    file = folder / f"{what}.{format_}"
    file.unlink(missing_ok=True)
    export(house, EVERYTHING, what, format_, file, {}, at=at)
    return file.read_bytes()


def ends_of(house: House) -> Reached:
    """Where the store ends."""
    with house.database.reading() as transaction:
        return Reached(dict(shard_ends(transaction)))


# --- known at -----------------------------------------------------------------------------------------------------


ASSESSED: tuple[tuple[What, Format], ...] = (("claims", "csv"), ("movements", "csv"), ("journal", "hledger"))
AHEAD = Reached({0: 999_999})
"""A position ahead of all events."""


def test_what_is_known_now_is_what_stands(twenty_accounts_in_july: Door, tmp_path: Path) -> None:
    """Rows and files, with their filters; a position ahead of all events and an instant ahead of all are now."""
    door = twenty_accounts_in_july
    narrowed: tuple[Asked, ...] = (
        {},
        {"currency": "EUR", "from_": date(2026, 7, 1)},
        {"plan": "solo-voip"},
        {"account": "acct-0006"},
    )
    with open_house(Settings(store=door.store)) as house:
        for known_at in (AHEAD, datetime(2089, 1, 1, tzinfo=UTC)):
            with house_then(house, EVERYTHING, Moment(known_at=known_at)) as then:
                for asked in narrowed:
                    for name in LISTS:
                        stands = list(getattr(owed, name)(house, EVERYTHING, **asked))
                        assert stands or asked, name
                        assert list(getattr(owed, name)(then, EVERYTHING, **asked)) == stands
                assert owed.claims(then, EVERYTHING, outcome="declined")
        with house_then(house, EVERYTHING, Moment(known_at=AHEAD)) as then:
            for what in EXPORTS:
                assert file_of(then, tmp_path, what) == file_of(house, tmp_path, what), what
            journals = [file_of(each, tmp_path, "journal", "beancount") for each in (house, then)]
    assert journals[0].partition(b"days: ")[2] == journals[1].partition(b"days: ")[2]
    for command in (
        ("claims", "--plan", "solo-voip"),
        ("refunds", "--account", "acct-0006"),
        ("credits", "--dormant"),
    ):
        assert door.json(*command, "--known-at", str(AHEAD)) == door.json(*command)
    assert exported(door, tmp_path, "refunds", "--known-at", str(AHEAD)) == exported(door, tmp_path, "refunds")


def test_what_was_known_is_the_same_for_ever_byte_for_byte(
    twenty_accounts_in_july: Door, tmp_path: Path, lines: Any
) -> None:
    """Whatever comes afterwards, late facts, decisions, later days and a rebuild."""
    door = twenty_accounts_in_july
    with open_house(Settings(store=door.store)) as house:
        moments = (Reached({0: 700}), ends_of(house))

    def told() -> dict[tuple[str, ...], Any]:
        found: dict[tuple[str, ...], Any] = {}
        with open_house(Settings(store=door.store)) as house:
            for known_at in moments:
                of, at = str(known_at), Moment(known_at=known_at)
                with house_then(house, EVERYTHING, at) as then:
                    for name in LISTS:
                        found[name, of] = json.dumps(getattr(owed, name)(then, EVERYTHING))
                    for what in EXPORTS:
                        found["export", what, of] = file_of(then, tmp_path, what, at=at)
                    if known_at == moments[0]:
                        found["claims", "xlsx", of] = file_of(then, tmp_path, "claims", "xlsx", at)
                    found["journal", "hledger", of] = file_of(then, tmp_path, "journal", "hledger", at)
                with house_then(house, EVERYTHING, Moment(as_of=APRIL, known_at=known_at)) as then:
                    found["refunds", of, "as of"] = json.dumps(owed.refunds(then, EVERYTHING))
                found["owed", of] = json.dumps(finance.owed_sums(house, EVERYTHING, ("age",), known_at=known_at))
                anew = finance.owed_sums(house, EVERYTHING, as_of=APRIL, known_at=known_at)
                found["owed", of, "as of"] = json.dumps(anew)
                for account in ("acct-0002", "acct-0006"):
                    answer = answering.account(house, EVERYTHING, account, known_at=known_at).answer
                    found["account", account, of] = json.dumps(answer)
        found["claims", "at the command line"] = door("claims", "--known-at", str(moments[1]), "--json")
        return found

    before = told()
    assert len({before["claims", str(moment)] for moment in moments}) == 2, "the moments tell of different claims"
    door("advance", "2026-07-04T00:00:00Z")
    overcharged = {"dispute_id": "late", "charge_id": "cyc-0006-2026-04-02", "amount": "3.00", "currency": "EUR"}
    door("ingest", lines(_message("late-1", "overcharge.confirmed", overcharged, "acct-0006")))
    assert door.json("claims") != json.loads(before["claims", str(moments[1])])
    door("rebuild")
    after = told()
    assert [name for name, said in before.items() if after[name] != said] == []


def _message(id_: str, type_: str, data: dict[str, Any], account: str) -> dict[str, Any]:
    time = "2026-04-20T00:00:00Z"
    head = {"specversion": "1.0", "id": id_, "source": "/test", "type": f"voip.{type_}.v1", "time": time}
    return {**head, "subject": account, "data": data}


@pytest.fixture(params=["sqlite", "postgresql"])
def books(request: pytest.FixtureRequest) -> Iterator[Books]:
    """A ledger with the agreements of random histories."""
    of_kind = request.param == "postgresql"
    url = request.getfixturevalue("pg_store") if of_kind else "sqlite:///:memory:"
    opened = Books.open(url, agreements=oracle_agreements())
    Follower(opened.database).create()
    yield opened
    opened.close()


def questions(house: House, at: Moment) -> dict[str, Any]:
    """All that is asked with two clocks."""
    found: dict[str, Any] = {}
    with house_then(house, EVERYTHING, at) if at else nullcontext(house) as then:
        for name in LISTS:
            found[name] = list(getattr(owed, name)(then, EVERYTHING))
        found["movements"] = list(finance.movements(then, EVERYTHING))
    items = finance.owed_items(house, EVERYTHING, as_of=at.as_of, known_at=at.known_at)
    found["owed"] = [{**item, "age": None, "age_days": None} for item in items]
    return found


def test_any_history_is_known_as_it_stood_and_stays_so(books: Books) -> None:
    """Known now is what stands, and known at K is what stood at K whatever came since, for any history."""
    few = books.database.dialect == "postgresql"
    database = books.database
    house = House(Settings(store=database.real.url), database, books.ledger.vault, Follower(database))
    for seed in range(sample(1 if few else 4)):
        accounts = [f"acct-{seed}-{n}" for n in range(2)]
        messages = [m for n, account in enumerate(accounts) for m in histories.history(seed * 2 + n, account=account)]
        stood: dict[KnownAt, dict[str, Any]] = {}
        for part in (messages[::3], messages[1::3], messages[2::3]):
            books.take(part)
            do_due_work(books.ledger, books.clock.at)
            house.projections.catch_up()
            stood[ends_of(house)] = questions(house, NOW)
        for known_at, rows in stood.items():
            assert questions(house, Moment(known_at=known_at)) == rows, f"seed {seed}, {known_at}"


# --- as of --------------------------------------------------------------------------------------------------------


def test_a_list_as_of_a_date_has_what_each_account_tells_for_it(twenty_accounts_in_july: Door) -> None:
    door = twenty_accounts_in_july
    accounts = [f"acct-{number:04}" for number in range(1, 21)]
    with open_house(Settings(store=door.store)) as house:
        for as_of, known_at in ((APRIL, None), (date(2026, 6, 1), Reached({0: 900}))):
            told = [answering.account(house, EVERYTHING, each, as_of, known_at).answer for each in accounts]
            with house_then(house, EVERYTHING, Moment(as_of, known_at)) as then:
                for name in LISTS:
                    expected = [row for account in told for row in account[name]]  # type: ignore[literal-required]
                    assert list(getattr(owed, name)(then, EVERYTHING)) == expected
                    assert expected, name
    options = ("--as-of", str(as_of), "--known-at", str(known_at))
    assert door.json("credits", *options) == [row for account in told for row in account["credits"]]


def test_exports_as_of_a_date_add_up_to_what_was_owed_by_it(twenty_accounts_in_july: Door, tmp_path: Path) -> None:
    """What was granted by the movements is what the claims come to, and the journal has a transaction for each."""
    at, file = Moment(as_of=APRIL), tmp_path / "rows"
    with (
        open_house(Settings(store=twenty_accounts_in_july.store)) as house,
        house_then(house, EVERYTHING, at) as then,
    ):
        claims, movements, journal = (
            export(then, EVERYTHING, what, format_, file.with_suffix(f".{what}"), {}, at=at)
            for what, format_ in ASSESSED
        )
        rows = file_of(then, tmp_path, "movements", "jsonl", at).splitlines()
    granted = {t["currency"]: t["sums"]["net"] for t in movements["totals"] if t["kind"] == "granted"}
    assert granted == {total["currency"]: total["sums"]["amount"] for total in claims["totals"]}
    assert (journal["rows"], len(rows)) == (movements["rows"],) * 2
    assert {json.loads(row)["position"] for row in rows} == {None}
    assert max(json.loads(row)["recorded_at"] for row in rows) < "2026-04-16T12"
    by_command = exported(
        twenty_accounts_in_july, tmp_path, "journal", "--as-of", str(APRIL), format_="hledger"
    ).decode()
    assert by_command == file.with_suffix(".journal").read_text()
    assert "--as-of 2026-04-15" in by_command


def test_people_see_which_moment_a_list_is_of(twenty_accounts_in_july: Door) -> None:
    said = twenty_accounts_in_july("refunds", "--known-at", "0:700", "--as-of", str(APRIL))
    assert said.splitlines()[0] == "Refunds, as of 2026-04-15, known at 0:700"
    nothing = twenty_accounts_in_july("claims", "--known-at", "0:1")
    assert nothing == "no claims; record messages with `makegood ingest FILE` or `makegood run`, known at 0:1\n"


# --- what waits ---------------------------------------------------------------------------------------------------


def test_how_many_messages_were_set_aside_is_told_for_then(store: str, sandbox: Door, lines: Any) -> None:
    """As long as one is, payouts wait: an approved refund says so, also when it is asked for afterwards."""
    sandbox("ingest", lines(*STORY, CANCELLATION))
    [due] = sandbox.json("refunds")
    sandbox("refund", "approve", due["refund_id"], "--as", "anna", "--seen", due["proposal"])
    [approved] = sandbox.json("refunds")
    at = datetime.fromisoformat(approved["approved_at"])
    moments = [at + timedelta(hours=hours) for hours in range(4)]
    set_aside = {"origin": "o", "reason": "r", "source": "/test", "id": "m", "channel": "c"}
    with closing(connect(store)) as database, database.writing() as transaction:
        columns = {**set_aside, "position": 1, "set_aside_id": "s-1", "account": "acct-1"}
        row = {**columns, "set_aside_at": to_microseconds(moments[1])}
        transaction.insert("set_aside", tuple(row), [tuple(row.values())])
    assert sandbox.json("refunds")[0]["waits_for"] == "a message set aside"
    with closing(connect(store)) as database, database.writing() as transaction:
        closure = {"kept": "set-aside", "kept_id": "s-1", "outcome": "replayed", "actor": "anna"}
        closure |= {"closed_at": str(to_microseconds(moments[2]))}
        transaction.insert("closures", tuple(closure), [tuple(closure.values())])
    assert sandbox.json("refunds")[0]["waits_for"] is None

    told = []
    for moment in map(instant_to_text, moments):
        account = sandbox.json("account", "acct-1", "--known-at", moment)
        [refund] = sandbox.json("refunds", "--known-at", moment)
        assert account["refunds"] == [refund]
        told.append((account["set_aside"], refund["waits_for"]))
    assert told == [(0, None), (1, "a message set aside"), (0, None), (0, None)]
