"""The journal: hledger and beancount read it, and their balances are the amounts owed, month by month."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from datetime import date, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pytest
from beancount import loader
from beancount.core.data import Transaction
from hypothesis import given
from hypothesis import strategies as st

from ledger.application.payouts import submit_approved
from makegood.cli import run
from makegood.exports.bookkeeping import BANK, OWED_IN, RECOVERY, REFUNDS_SUBMITTED, UNSETTLED
from makegood.exports.journal import TAGS, tagged
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from tests.door.conftest import SAMPLE, Door, with_an_agreement
from tests.parts.stores import Stores

pytestmark = pytest.mark.long

MONTHS = ("2026-02", "2026-03", "2026-04", "2026-05", "2026-06", "2026-07")
"""What is recorded at the beginning of each is what became true in the months before."""
Balances = dict[tuple[str, str], Decimal]
"""What accounts have, by currency and account."""


def told(store: str, *arguments: str) -> Any:
    """What a command answers."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as errors:
        assert run([*arguments, "--store", store, "--json"]) == 0, errors.getvalue()
    return json.loads(out.getvalue())


def with_half_a_year(store: str) -> None:
    """Eighty accounts of the sample, recorded month by month; refunds are approved, submitted, arrive and fail."""
    with_an_agreement(store)
    known = {(each["source"], each["id"]): each for each in reversed(_valid_messages())}
    messages = sorted(known.values(), key=lambda each: each["time"])
    for month in MONTHS:
        _advance(store, f"{month}-01T00:00:00Z")
        _ingest(store, (each for each in messages if each["time"][:7] < month))
        messages = [each for each in messages if each["time"][:7] >= month]
        _pay_out(store, month)


def _valid_messages() -> list[dict[str, Any]]:
    lines = (SAMPLE / "events.jsonl").read_text().splitlines()
    with redirect_stdout(StringIO()) as out:
        run(["contract", "check", str(SAMPLE / "events.jsonl"), "--json"])
    refused = {problem["line"] for problem in json.loads(out.getvalue())}
    valid = (json.loads(line) for number, line in enumerate(lines, 1) if number not in refused)
    return [message for message in valid if message["subject"] <= "acct-0080"]


def _advance(store: str, to: str) -> None:
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as errors:
        assert run(["advance", to, "--store", store]) == 0, errors.getvalue()


def _ingest(store: str, messages: Iterable[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "messages.jsonl"
        file.write_text("".join(f"{json.dumps(message)}\n" for message in messages))
        told(store, "ingest", str(file))


def _pay_out(store: str, month: str) -> None:
    """Decide about what is due and submit it; one of three arrives, another fails."""
    for refund in told(store, "refunds", "--status", "due"):
        named = refund["refund_id"], "--account", refund["account_id"], "--as", "ada"
        if _number(refund) % 5 == 4:
            told(store, "refund", "reject", *named, "--reason", "paid in cash")
        else:
            told(store, "refund", "approve", *named, "--seen", refund["proposal"])
    with open_house(Settings(store=store)) as house:
        submit_approved(house.ledger)
        house.projections.catch_up()
    submitted = told(store, "refunds", "--status", "submitted")
    new = [each for each in submitted if each["submitted_at"][:7] == month]
    _ingest(store, (_answer(each, month) for each in new if _number(each) % 3 < 2))


def _number(refund: dict[str, Any]) -> int:
    return int(refund["account_id"].removeprefix("acct-"))


def _answer(refund: dict[str, Any], month: str) -> dict[str, Any]:
    at = f"{month}-01T00:00:00Z"
    of, more = (
        ("voip.refund.succeeded.v1", {"processor_reference": f"re-{month}", "succeeded_at": at})
        if _number(refund) % 3 == 0
        else ("voip.refund.failed.v1", {"reason": "account_closed"})
    )
    return {
        "specversion": "1.0",
        "id": f"answer-{month}-{refund['refund_id']}",
        "source": "/pay",
        "type": of,
        "subject": refund["account_id"],
        "time": at,
        "data": {"refund_id": refund["refund_id"], **more},
    }


@pytest.fixture
def door(stores: Stores, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Door:
    """A store with half a year in it. That both kinds of stores export alike, `test_exports.py` says."""
    return Door(stores.new("sqlite", tmp_path, with_half_a_year), capsys)


def hledger(file: Path, *arguments: str) -> list[list[str]]:
    """What hledger answers, row by row."""
    program = shutil.which("hledger")
    assert program is not None, "install hledger with `make deps`"
    asked = [program, "-f", str(file), *arguments, "-O", "csv"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, env={"LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr
    return list(csv.reader(done.stdout.splitlines()))[1:]


def balances(file: Path, *query: str) -> Balances:
    """The balances of hledger's accounts by the end of a day, or of what else is asked for."""
    found: Balances = {}
    for account, amounts in hledger(file, "balance", "--strict", "--flat", "--no-total", *query):
        for amount in amounts.split(", "):
            number, _, currency = amount.partition(" ")
            if currency:
                found[currency, account] = Decimal(number)
    return {key: amount for key, amount in found.items() if amount}


def balances_of_beancount(file: Path, before: date) -> Balances:
    """The same by beancount's own reading."""
    entries, errors, _ = loader.load_file(str(file))
    assert errors == []
    found: Balances = defaultdict(Decimal)
    for entry in entries:
        if isinstance(entry, Transaction) and entry.date < before:
            for posting in entry.postings:
                found[posting.units.currency, posting.account] += posting.units.number
    return {key: amount for key, amount in found.items() if amount}


def owed(door: Door, *options: str) -> dict[tuple[str, str], Decimal]:
    """What is owed, by currency and what it is counted as."""
    rows = door.json("owed", *options)["rows"]
    found = {(row["currency"], name): Decimal(row[name]) for row in rows for name in OWED_IN}
    return {key: amount for key, amount in found.items() if amount}


def owed_in(books: Balances) -> dict[tuple[str, str], Decimal]:
    """The same by the accounts in which it stands."""
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for (currency, account), amount in books.items():
        for name, accounts in OWED_IN.items():
            if account in accounts:
                found[currency, name] += amount if name == "overpaid" else -amount
    return {key: amount for key, amount in found.items() if amount}


def test_at_the_end_of_every_month_both_have_the_amounts_owed(door: Door, tmp_path: Path) -> None:
    files = {format_: tmp_path / f"books.{format_}" for format_ in ("hledger", "beancount")}
    for format_, file in files.items():
        door("export", "journal", "--format", format_, "--to", str(file))
    seen = []
    for month in (*MONTHS, "2026-08"):
        first = f"{month}-01"
        books = balances(files["hledger"], "--end", first)
        assert books == balances_of_beancount(files["beancount"], date.fromisoformat(first))
        assert owed_in(books) == owed(door, "--known-at", f"{_day_before(first)}T23:59:59.999999Z")
        assert not any(account in (UNSETTLED, RECOVERY) for _, account in books)
        seen.append(books)
    assert seen[0] == {}
    assert len({str(books) for books in seen}) == len(seen), "something moved in each month"
    last = {account for _, account in seen[-1]}
    assert {BANK, REFUNDS_SUBMITTED, "Income:Refunds-Rejected", "Liabilities:Tax"} <= last


def _day_before(first: str) -> str:
    return date.fromordinal(date.fromisoformat(first).toordinal() - 1).isoformat()


def test_each_customer_has_what_they_are_owed_and_each_movement_its_transaction(door: Door, tmp_path: Path) -> None:
    file, moved = tmp_path / "books.journal", door.json("movements")["rows"]
    done = door.json("export", "journal", "--format", "hledger", "--to", str(file))
    assert done["rows"] == len(moved)
    totals = {
        (total["currency"], total["kind"]): (
            total["rows"],
            {name: Decimal(sum_) for name, sum_ in total["sums"].items()},
        )
        for total in done["totals"]
    }
    assert totals == {
        (total["currency"], total["kind"]): (
            total["count"],
            {name: Decimal(total[name]) for name in ("net", "tax", "total")},
        )
        for total in door.json("movements")["totals"]
    }
    for account in sorted({movement["account_id"] for movement in moved})[::4]:
        assert owed_in(balances(file, f"tag:account_id=^{account}$")) == owed(door, "--account", account), account
    for movement in moved[::50]:
        of_event = balances(file, f"tag:event_id=^{movement['event_id']}$", f"tag:number=^{movement['number']}$")
        assert sum(of_event.values()) == 0
    entries, errors, _ = loader.load_file(str(_beancount(door, tmp_path)))
    assert errors == []
    transactions = [entry for entry in entries if isinstance(entry, Transaction)]
    told_of = {
        tuple((name, unquote(entry.meta[name])) for name in TAGS if name in entry.meta) for entry in transactions
    }
    assert told_of == {
        tuple((name, str(movement[name])) for name in TAGS if movement[name] is not None) for movement in moved
    }


def _beancount(door: Door, folder: Path) -> Path:
    file = folder / "books.beancount"
    door("export", "journal", "--format", "beancount", "--to", str(file))
    return file


def test_a_period_has_its_own_transactions_by_the_day_recorded_or_the_day_it_became_true(
    door: Door, tmp_path: Path
) -> None:
    for option in ((), ("--by-occurrence",)):
        file = tmp_path / f"march{len(option)}.journal"
        asked = ("--from", "2026-03-01", "--until", "2026-03-31", *option)
        done = door.json("export", "journal", *asked, "--format", "hledger", "--to", str(file))
        moved = door.json("movements", "--from", "2026-03-01", "--to", "2026-03-31", *option)["rows"]
        assert done["rows"] == len(moved) > 0
        days = {row[1] for row in hledger(file, "print")}
        assert {day[:7] for day in days} == {"2026-03"}
        assert days == {movement["occurred_at" if option else "recorded_at"][:10] for movement in moved}


def test_days_are_those_of_the_providers_time_zone(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEGOOD_TIME_ZONE", "America/New_York")
    file = tmp_path / "books.journal"
    door("export", "journal", "--format", "hledger", "--to", str(file))
    recorded = {datetime.fromisoformat(each["recorded_at"]) for each in door.json("movements")["rows"]}
    days = {row[1] for row in hledger(file, "print")}
    assert days == {instant.astimezone(ZoneInfo("America/New_York")).date().isoformat() for instant in recorded}
    assert "2026-03-31" in days, "what was recorded at midnight in London"


@given(text=st.text())
def test_a_tag_holds_one_value_whatever_is_in_it(text: str) -> None:
    said = tagged(text)
    assert said.isascii()
    assert said.isprintable()
    assert not set(said) & set(',;"\\')
    assert unquote(said) == text
