"""A refund made outside: support paid a customer in the processor's dashboard, and finance finds it.

Felix reconciles the processor's file of January with what went out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.application.payouts import submit_approved
from ledger.store.connecting import connect
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from tests.door.conftest import USER, Door
from tests.ledger.messages import Message, Upstream

Lines = Callable[..., str]
AUTOMATIC = """
name = "standard"
version = 2
valid_from = 2000-01-01
[approval.automatic_up_to]
EUR = "20.00"
"""
MADE_OUTSIDE = "refund/billing-error/dis-3/1"
HEADING = "return_id,refund_id,reference,amount,currency,date,status,customer"
FELIX = f"{USER} for felix"


class Files:
    """The files of a payment processor, as finance downloads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str, *rows: str, heading: str = HEADING) -> str:
        path = self.folder / f"{name}.csv"
        path.write_text("\n".join((heading, *rows)) + "\n", encoding="utf-8")
        return str(path)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def returns(door: Door) -> dict[str, str]:
    """The return of each refund that was submitted."""
    rows = door.json("refunds")
    return {row["refund_id"]: row["returns"][0]["return_id"] for row in rows if row["returns"]}


def submit(door: Door) -> None:
    """What the part `payouts` does."""
    with open_house(Settings(store=door.store)) as house:
        assert submit_approved(house.ledger) == 2
        house.projections.catch_up()


@pytest.fixture
def january(sandbox: Door, lines: Lines, tmp_path: Path) -> Door:
    """A customer was charged too much three times. Two refunds went out; the third waits for a person."""
    agreement = tmp_path / "agreement.toml"
    agreement.write_text(AUTOMATIC, encoding="utf-8")
    sandbox("agreement", "publish", str(agreement))
    sandbox("advance", "2026-01-10T00:00:00Z")
    says = Upstream("acct-1", begins="2026-01-01T09:00:00Z")
    sandbox(
        "ingest",
        lines(
            says.account_registered(),
            says.subscription_registered(),
            *charged_too_much(says, 1, "10.00"),
            *charged_too_much(says, 2, "10.00"),
            *charged_too_much(says, 3, "30.00"),
        ),
    )
    sandbox("advance", "2026-01-12T00:00:00Z")
    submit(sandbox)
    return sandbox


def charged_too_much(says: Upstream, number: int, amount: str) -> list[Message]:
    charge, invoice = f"chg-{number}", f"inv-{number}"
    return [
        says.charge_posted(charge, price="100.00", invoice_id=invoice, subscription_id="sub-1"),
        says.payment_captured(invoice, "100.00", payment_id=f"pay-{number}"),
        says.overcharge_confirmed(f"dis-{number}", charge, amount=amount),
    ]


def arrived(return_id: str, reference: str, amount: str, at: str = "2026-01-13T10:00:00Z") -> Message:
    says = Upstream("acct-1", source=f"/processor/{reference}", begins=at)
    return says.refund_succeeded(
        return_id, processor_reference=reference, amount=amount, currency="EUR", succeeded_at=at
    )


def test_a_refund_made_outside_is_found_and_recorded(january: Door, lines: Lines, files: Files) -> None:
    door = january
    first, second = (returns(door)[f"refund/billing-error/dis-{number}/1"] for number in (1, 2))
    door("ingest", lines(arrived(first, "re-1", "10.00")))
    file = files(
        "january",
        f"{first},,re-1,10.00,EUR,2026-01-13,succeeded,Zoë Ruf",
        ",,re-9,30.00,EUR,2026-01-20,succeeded,Zoë Ruf",
    )

    found = door.json("reconcile", file, "--as", "felix", exits=2)
    assert (found["rows"], found["matched"], found["differing"], found["duplicates"]) == (2, 1, [], [])
    assert (found["first_day"], found["last_day"]) == ("2026-01-13", "2026-01-20")
    [unknown] = found["unknown_here"]
    assert unknown["there"] == {
        "amount": "30.00",
        "currency": "EUR",
        "status": "succeeded",
        "reference": "re-9",
        "day": "2026-01-20",
    }
    assert (unknown["line"], unknown["found_by"], unknown["status"]) == (3, FELIX, "open")
    assert found["missing_there"] == [], "the other refund was submitted before the file's first day"
    assert door.json("reconciliation", "list") == [unknown]

    door("ingest", lines(arrived(MADE_OUTSIDE, "re-9", "30.00", "2026-01-20T11:00:00Z")))
    again = door.json("reconcile", file, "--as", "felix")
    assert (again["matched"], again["unknown_here"]) == (2, [])
    assert door.json("reconciliation", "list") == []
    [settled] = door.json("reconciliation", "list", "--all")
    assert (settled["status"], settled["matched"], settled["settled_by"]) == ("settled", True, FELIX)
    assert [row["status"] for row in door.json("refunds") if row["refund_id"] == MADE_OUTSIDE] == ["succeeded"]

    wider = door.json("reconcile", file, "--from", "2026-01-01", "--to", "2026-01-31", exits=2)
    [missing] = wider["missing_there"]
    assert (missing["return_id"], missing["refund_id"]) == (second, "refund/billing-error/dis-2/1")
    assert missing["here"]["status"] == "submitted"
    next_file = files("february", f"{second},,re-2,10.00,EUR,2026-02-02,succeeded,")
    assert door.json("reconcile", next_file)["matched"] == 1
    assert door.json("reconciliation", "list") == []


def test_a_refund_made_outside_is_settled_with_a_reason(january: Door, files: Files) -> None:
    door = january
    file = files("january", ",,re-9,30.00,EUR,2026-01-20,succeeded,Zoë Ruf")
    [found] = door.json("reconcile", file, exits=2)["unknown_here"]
    reason = "Zoë was paid for a broken phone: no claim of ours"
    done = door.json("reconciliation", "settle", found["discrepancy_id"], "--as", "felix", "--reason", reason)
    assert done == [{"discrepancy_id": found["discrepancy_id"], "outcome": "settled"}]
    again = door.json("reconcile", file)
    assert (again["unknown_here"], again["settled"], again["matched"]) == ([], 1, 0)
    [settled] = door.json("reconciliation", "list", "--all")
    assert (settled["settled_by"], settled["matched"]) == (FELIX, False)
    door("reconciliation", "settle", found["discrepancy_id"], "--reason", "again", exits=1)
    assert f"was settled already, by {FELIX}" in door.errors
    door("reconciliation", "settle", "dsc-0", "--reason", "what", exits=1)
    assert "there is no discrepancy dsc-0" in door.errors


def test_the_same_file_again_changes_nothing(january: Door, files: Files) -> None:
    door = january
    file = files("january", ",,re-9,30.00,EUR,2026-01-20,succeeded,Zoë Ruf", ",,re-8,1.00,EUR,2026-01-21,failed,")
    first = door.json("reconcile", file, exits=2)
    recorded = door.json("history", "system")
    assert door.json("reconcile", file, exits=2) == first
    assert door.json("history", "system") == recorded
    assert first["ignored"] == 1, "a refund that failed moved no money"
    summaries = [entry["summary"] for entry in recorded][-2:]
    assert summaries[0].endswith(": nothing here is known of 30.00 EUR, re-9")
    assert summaries[1] == "A processor's file for 2026-01-20 to 2026-01-21 was reconciled: 0 of 2 rows match"


def test_nothing_of_a_customer_in_the_file_is_kept(january: Door, files: Files) -> None:
    door = january
    door("reconcile", files("january", ",,re-9,30.00,EUR,2026-01-20,succeeded,Zoë Ruf"), exits=2)
    database = connect(door.store)
    with database.reading() as transaction:
        for (envelope,) in transaction.rows("SELECT envelope FROM events WHERE account = 'system'"):
            assert "Zoë" not in bytes(envelope).decode()
        for row in transaction.rows("SELECT * FROM listed_payouts"):
            assert "re-9" not in str(row)
    database.close()


def test_what_differs_is_named(january: Door, lines: Lines, files: Files) -> None:
    door = january
    first, second = (returns(door)[f"refund/billing-error/dis-{number}/1"] for number in (1, 2))
    door("ingest", lines(arrived(first, "re-1", "10.00")))
    file = files(
        "january",
        f"{first},,re-1,10.00,EUR,2026-01-13,failed,",
        f"{second},,re-2,12.00,EUR,2026-01-14,succeeded,",
    )
    differing = {row["return_id"]: row["differs"] for row in door.json("reconcile", file, exits=2)["differing"]}
    assert differing == {first: ["status"], second: ["amount"]}


def test_what_was_paid_twice_is_found_in_one_file_and_in_two(january: Door, lines: Lines, files: Files) -> None:
    door = january
    first, second = (returns(door)[f"refund/billing-error/dis-{number}/1"] for number in (1, 2))
    row = f"{first},,re-1,10.00,EUR,2026-01-13,succeeded,"
    twice = door.json("reconcile", files("twice", row, row), exits=2)
    assert [(each["return_id"], each["line"]) for each in twice["duplicates"]] == [(first, 3)]
    assert (twice["matched"], twice["differing"]) == (1, [])

    file = files("one", f"{second},,re-2,10.00,EUR,2026-01-14,succeeded,")
    assert door.json("reconcile", file)["matched"] == 1
    overlapping = files("overlapping", f"{second},,re-2,10.00,EUR,2026-01-14,succeeded,", "")
    assert door.json("reconcile", overlapping)["duplicates"] == []
    other = files("two", f"{second},,re-7,10.00,EUR,2026-02-14,succeeded,")
    [again] = door.json("reconcile", other, exits=2)["duplicates"]
    assert (again["return_id"], again["there"]["reference"]) == (second, "re-7")


def test_a_refund_that_failed_after_it_arrived_is_one_refund(january: Door, lines: Lines, files: Files) -> None:
    door = january
    first = returns(door)["refund/billing-error/dis-1/1"]
    says = Upstream("acct-1", source="/processor/bounced", begins="2026-01-15T10:00:00Z")
    door("ingest", lines(arrived(first, "re-1", "10.00"), says.refund_failed(first)))
    file = files(
        "january",
        f"{first},,re-1,10.00,EUR,2026-01-13,succeeded,",
        f"{first},,re-1,10.00,EUR,2026-01-15,failed,",
    )
    found = door.json("reconcile", file)
    assert (found["matched"], found["differing"], found["duplicates"]) == (2, [], [])


def test_stripes_balance_report_is_read(january: Door, lines: Lines, files: Files) -> None:
    door = january
    first, second = (returns(door)[f"refund/billing-error/dis-{number}/1"] for number in (1, 2))
    door("ingest", lines(arrived(first, "re_1", "10.00")))
    heading = (
        "balance_transaction_id,created_utc,available_on_utc,currency,gross,fee,net,reporting_category,source_id,"
        "description,customer_facing_amount,customer_facing_currency,refund_metadata[makegood_return]"
    )
    file = files(
        "stripe",
        "txn_0,2026-01-02 10:00:00,2026-01-04 00:00:00,eur,100.00,1.50,98.50,charge,ch_1,Zoë Ruf,100.00,eur,",
        'txn_1,2026-01-13 10:00:00,2026-01-13 10:00:00,eur,-10.00,0.00,-10.00,refund,re_1,"Zoë, Ruf",-10.00,eur,',
        f"txn_2,2026-01-14 10:00:00,2026-01-14 10:00:00,usd,-11.62,0,-11.62,refund,re_2,,-10.00,eur,{second}",
        "txn_3,2026-01-20 10:00:00,2026-01-20 10:00:00,eur,-30.00,0.00,-30.00,refund,re_9,,-30.00,eur,",
        heading=heading,
    )
    found = door.json("reconcile", file, exits=2)
    assert (found["format"], found["rows"], found["matched"], found["ignored"]) == ("stripe", 4, 2, 1)
    assert [row["there"]["reference"] for row in found["unknown_here"]] == ["re_9"]
    failed = files(
        "failed",
        "txn_4,2026-01-25 10:00:00,2026-01-25 10:00:00,eur,30.00,0.00,30.00,refund_failure,re_9,,30.00,eur,",
        heading=heading,
    )
    assert door.json("reconcile", failed)["ignored"] == 1
    assert door.json("reconciliation", "list") == []


def test_the_list_is_exported_without_formulas(january: Door, files: Files) -> None:
    door = january
    door("reconcile", files("january", ',,"=1+1",30.00,EUR,2026-01-20,succeeded,'), exits=2)
    [row] = csv.DictReader(io.StringIO(door("reconciliation", "list", "--csv")))
    assert (row["kind"], row["there_amount"], row["there_reference"]) == ("unknown_here", "30.00", "'=1+1")
    assert "unknown_here" in door("reconciliation", "list")


def test_bad_rows_are_listed_and_refuse_nothing_else(january: Door, files: Files) -> None:
    door = january
    first = returns(door)["refund/billing-error/dis-1/1"]
    file = files(
        "january",
        f"{first},,re-1,10.00,EUR,2026-01-13,succeeded,",
        f'{first},,re-2,"1.234,00",EUR,2026-01-13,succeeded,',
        ",,paid to Zoë,1.00,EUR,2026-01-13,succeeded,",
        ",,re-3,1.00,EUR,13.01.2026,succeeded,",
        ",,re-3,1.00,EURO,2026-01-13,succeeded,",
        ",,re-3,1.00,EUR,2026-01-13,done,",
        ",,,1.00,EUR,2026-01-13,succeeded,",
        "re-3,1.00",
        ",,re-3,1.001,EUR,2026-01-13,succeeded,",
    )
    found = door.json("reconcile", file, exits=3)
    assert found["matched"] == 1
    assert [(row["line"], row["column"]) for row in found["unreadable"]] == [
        (3, "amount"),
        (4, "reference"),
        (5, "date"),
        (6, "currency"),
        (7, "status"),
        (8, "return_id"),
        (9, None),
        (10, "amount"),
    ]
    assert "Zoë" not in door("reconcile", file, exits=3) + door.errors


def test_a_file_that_is_none_is_refused_with_what_to_do(january: Door, files: Files, tmp_path: Path) -> None:
    door = january

    def refused(content: bytes) -> str:
        file = tmp_path / "refused.csv"
        file.write_bytes(content)
        door("reconcile", str(file), exits=1)
        return door.errors

    assert "line 1: the heading lacks the column date" in refused(b"return_id,amount,currency,status\n")
    assert "Stripe's report lacks the column source_id" in refused(
        b"balance_transaction_id,created,currency,gross,net,reporting_category\n"
    )
    good = HEADING.encode() + b"\n"
    row = b",,re-1,1.00,EUR,2026-01-13,succeeded,\n"
    assert "line 3, column 8: the file is not UTF-8" in refused(good + row + b",,re-1,\xff")
    assert "line 2: this is no row of CSV" in refused(good + b',,"re-1,1.00')
    assert "the file lists no refund: give the first and the last day" in refused(good)
    assert "the heading has the column amount twice" in refused(b"return_id,amount,amount,currency,date,status\n")
    assert "refused.csv" in door.errors
    door("reconcile", str(tmp_path / "nowhere.csv"), exits=1)
    assert "not found; check the path" in door.errors
    assert not [entry for entry in door.json("history", "system") if entry["type"].startswith("file-reconciled")]
