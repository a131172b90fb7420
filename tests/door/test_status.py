"""`makegood status` as whoever is on call meets it, and as a monitor does."""

import os
import re
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from consumers.payouts.asking import reader_of
from ledger.store.asked_returns import count_as_answered, queue_returns
from ledger.store.connecting import connect
from ledger.store.notice_queue import queue_notices
from ledger.store.reading.asked_returns import AskedReturn
from ledger.store.reading.notice_queue import QueuedNotice
from makegood.answers.metrics import METRICS, Metric, Sample, exposed
from projections.catalog import CATALOG
from tests.door.conftest import Door
from tests.parts.process import free_ports

YEAR_2026 = datetime(2026, 1, 1, tzinfo=UTC)
OF_STRIPE = ("makegood_unasked",)
OF_SIGNING = "makegood_checkpoint"
OF_THE_MAIL = ("makegood_notices", "makegood_unsent")
OF_THE_BROKER = ("makegood_broker", "makegood_intake", "makegood_relay", "makegood_payouts")


@pytest.fixture
def books(twenty_accounts_in_july: Door) -> Door:
    """A sandbox at the end of the sample's months."""
    return twenty_accounts_in_july


def change(door: Door, sql: str, *parameters: Any) -> None:
    with closing(connect(door.store)) as database, database.writing() as transaction:
        assert transaction.run(sql, parameters) > 0


def number(answer: Any, metric: str, **labels: str) -> int:
    (found,) = [each for each in answer["metrics"][metric] if labels.items() <= each.items()]
    return int(found["value"])


def names(text: str) -> set[str]:
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if not line.startswith("#")}


class TestWell:
    def test_everything_is_taken_up_and_what_is_left_for_people_is_counted(self, books: Door) -> None:
        found = books.json("status")

        assert (found["status"], found["problems"], found["late"]) == ("well", [], [])
        assert found["store"]["sandbox"] is True
        assert found["store"]["clock"] == "2026-07-01T00:00:00Z"
        assert found["broker"] == {"address": None, "reachable": None}
        end = number(found, "makegood_store_events", shard="0")
        for projection in CATALOG:
            where = {"projection": projection.name, "shard": "0"}
            assert number(found, "makegood_projection_position", **where) == end
            assert number(found, "makegood_projection_lag_events", **where) == 0
            assert number(found, "makegood_projection_lag_seconds", **where) == 0
        assert number(found, "makegood_timers_lag_accounts") == 0
        assert number(found, "makegood_open_dead_letters") == 2
        assert number(found, "makegood_waiting_facts") == len(books.json("waiting"))
        assert number(found, "makegood_standing_alarms") == len(books.json("alarms"))
        assert number(found, "makegood_set_aside_messages") == 0

    def test_a_discarded_dead_letter_is_not_open_any_more(self, books: Door) -> None:
        books("dead-letters", "discard", "1", "--reason", "sent by mistake")
        assert number(books.json("status"), "makegood_open_dead_letters") == 1

    def test_people_read_it_at_a_glance(self, books: Door) -> None:
        lines = [line.split() for line in books("status").splitlines()]

        assert lines[0] == ["well:", "nothing", "is", "broken,", "and", "nothing", "is", "late"]
        assert lines[1][-5:] == ["sandbox,", "clock", "set", "to", "2026-07-01T00:00:00Z"]
        assert "not configured" in " ".join(lines[2])
        assert ["projector", "claims", "shard", "0", lines[1][2], "0", "–"] in lines
        assert ["timers", "accounts", "due", "0", "–"] in lines
        assert ["dead", "letters", "2", "0", "s", "makegood", "dead-letters", "list"] in lines

    def test_an_empty_store_names_the_next_command(self, door: Door) -> None:
        door("init")
        assert "next: makegood agreement publish FILE" in door("status")
        assert door.json("status")["next"] == "makegood agreement publish FILE"


class TestLate:
    def test_a_projection_that_is_behind_is_late_by_its_oldest_event(self, books: Door) -> None:
        """The clock of this store stands a month after the last event was recorded."""
        books("advance", "2099-01-01T00:00:00Z")
        end = number(books.json("status"), "makegood_store_events")
        change(books, "UPDATE projection_positions SET position = position - 3 WHERE projection = 'claims'")
        (recorded_at,) = [
            event["recorded_at"]
            for event in books.json("history", _account_at(books, end - 2))
            if event["position"] == f"0:{end - 2}"
        ]

        found = books.json("status", exits=2)
        where = {"projection": "claims", "shard": "0"}
        assert found["status"] == "late"
        assert number(found, "makegood_status") == 2
        assert number(found, "makegood_projection_lag_events", **where) == 3
        waits = number(found, "makegood_store_clock_seconds") - number(
            found, "makegood_projection_lag_seconds", **where
        )
        assert _since_1970(recorded_at) - 1 <= waits <= _since_1970(recorded_at) + 1
        assert number(found, "makegood_projection_lag_events", projection="refunds") == 0
        (late,) = found["late"]
        assert late.startswith("projector is behind on claims, shard 0: the oldest is ")
        assert f"late: {late}" in books("status", exits=2).splitlines()
        books("status", "--max-age", str(10**10))

    def test_e_mails_that_are_not_sent_are_late_where_they_should_be(
        self, books: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with closing(connect(books.store)) as database, database.writing() as transaction:
            transaction.run(
                "INSERT INTO readers (reader, position, epoch) "
                "SELECT 'notices/0', position, 1 FROM sequences WHERE name = 'shard:0'"
            )
            queue_notices(transaction, [QueuedNotice("1" * 32, "acct-0001", "credit", "e", 1, YEAR_2026)])
            queue_notices(transaction, [QueuedNotice("2" * 32, "acct-0001", "credit", "e", 1, YEAR_2026, "failed")])
        found = books.json("status")
        assert (found["status"], number(found, "makegood_undelivered_emails")) == ("well", 1)
        monkeypatch.setenv("MAKEGOOD_SMTP", "smtp://mail.example")
        found = books.json("status", exits=2)
        assert number(found, "makegood_unsent_emails") == 1
        assert number(found, "makegood_notices_lag_events", shard="0") == 0
        (late,) = found["late"]
        assert late.startswith("e-mails to customers are delayed: the oldest is ")
        lines = [line.split() for line in books("status", exits=2).splitlines()]
        assert any(line[:2] == ["notices", "e-mails"] and line[2] == "1" for line in lines)
        assert any(line[:2] == ["e-mails", "1"] and line[-2:] == ["makegood", "notices"] for line in lines)

    def test_returns_that_stripe_has_not_taken_are_late_where_they_should_be(
        self, books: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waiting = AskedReturn("ret-1", "acct-0001", "refund/x/1", "pi_1", Decimal("1.00"), "EUR", YEAR_2026)
        under_way = replace(waiting, return_id="ret-2", reference="re_1")
        with closing(connect(books.store)) as database, database.writing() as transaction:
            queue_returns(transaction, [waiting, under_way])
            transaction.run(
                "INSERT INTO readers (reader, position, epoch) "
                "SELECT ?, position, 1 FROM sequences WHERE name = 'shard:0'",
                (reader_of(0),),
            )
        assert books.json("status")["status"] == "well"
        monkeypatch.setenv("MAKEGOOD_STRIPE_KEY", "sk_test_1")
        found = books.json("status", exits=2)
        assert number(found, "makegood_unasked_returns") == 1
        assert number(found, "makegood_payouts_lag_events", processor="stripe", shard="0") == 0
        (late,) = found["late"]
        assert late.startswith("returns of refunds wait for Stripe: the oldest is ")
        lines = [line.split() for line in books("status", exits=2).splitlines()]
        assert any(line[:3] == ["stripe", "returns", "1"] for line in lines)
        with closing(connect(books.store)) as database, database.writing() as transaction:
            count_as_answered(transaction, "ret-1")
        assert books.json("status")["late"] == []

    def test_an_account_that_is_overdue_is_late(self, books: Door) -> None:
        now = number(books.json("status"), "makegood_store_clock_seconds")
        change(books, "UPDATE heads SET due_at = ? WHERE account = 'acct-0006'", (now - 400) * 1_000_000)
        change(books, "UPDATE heads SET due_at = ? WHERE account = 'acct-0007'", (now - 20) * 1_000_000)

        found = books.json("status", exits=2)
        assert number(found, "makegood_timers_lag_accounts") == 2
        assert number(found, "makegood_timers_lag_seconds") == 400
        assert found["late"] == ["timers are behind on accounts that fell due: the oldest is 6 min old"]
        books("status", "--max-age", "400")
        books("status", "--max-age", "399", exits=2)

    def test_the_settings_say_what_is_late(self, books: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        now = number(books.json("status"), "makegood_store_clock_seconds")
        change(books, "UPDATE heads SET due_at = ? WHERE account = 'acct-0006'", (now - 100) * 1_000_000)
        books("status")
        monkeypatch.setenv("MAKEGOOD_MAX_AGE", "60")
        assert books.json("status", exits=2)["max_age_seconds"] == 60


class TestBroken:
    def test_a_broker_that_does_not_answer(self, books: Door) -> None:
        address = f"127.0.0.1:{free_ports(1)[0]}"
        found = books.json("status", "--kafka", address, exits=1)

        assert found["status"] == "broken"
        assert found["broker"] == {"address": address, "reachable": False}
        assert number(found, "makegood_broker_reachable") == 0
        assert number(found, "makegood_projection_lag_events", projection="claims") == 0
        assert not {name for name in found["metrics"] if name.startswith(OF_THE_BROKER[1:])}
        said = books("status", "--kafka", address, exits=1)
        assert said.startswith(f"broken: Kafka at {address} cannot be reached: ")
        assert f"broker  {address}: does not answer" in said.splitlines()

    def test_a_hole_in_the_store_where_a_projection_stands(self, books: Door) -> None:
        change(books, "UPDATE projection_positions SET position = position - 3")
        end = number(books.json("status"), "makegood_store_events")
        change(books, "DELETE FROM events WHERE position = ?", end - 2)

        found = books.json("status", exits=1)
        assert found["store"]["reachable"] is True
        (problem,) = found["problems"]
        assert problem.startswith(f"position 0:{end - 2} is missing")

    def test_a_store_that_cannot_be_read_takes_one_line(self, tmp_path: Path) -> None:
        """In processes of their own: the library for PostgreSQL would tell there of each attempt to connect."""
        missing = f"sqlite:///{tmp_path}/no/such/folder/books.db"
        away = f"postgresql://u:secret@127.0.0.1:{free_ports(1)[0]}/x"
        makegood = Path(sys.executable).parent / "makegood"
        at_once = {
            (command, store): subprocess.Popen(
                [makegood, command],
                env={**os.environ, "MAKEGOOD_STORE": store},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for command in ("status", "claims")
            for store in (missing, away)
        }
        for (command, _), process in at_once.items():
            said, _ = process.communicate(timeout=120)
            assert process.returncode == 1
            (line,) = said.splitlines()
            assert line.startswith("broken: " if command == "status" else "makegood: ")
            assert "secret" not in line

    def test_no_store_at_all_names_the_next_command(self, door: Door) -> None:
        assert "create one with `makegood init`" in door("status", exits=1)
        found = door.json("status", exits=1)
        assert {name: told[0]["value"] for name, told in found["metrics"].items()} == {
            "makegood_status": 1,
            "makegood_store_reachable": 0,
        }


class TestMetrics:
    def test_each_listed_metric_is_told_and_none_that_is_not_listed(
        self, books: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those that need a broker are looked for where there is one (tests/integration/test_status.py)."""
        monkeypatch.setenv("MAKEGOOD_AUDIT_KEY", str(tmp_path / "audit.key"))
        listed = {metric.name for metric in METRICS if not metric.name.startswith(OF_THE_BROKER)}
        not_configured = {name for name in listed if name.startswith((*OF_THE_MAIL, *OF_STRIPE, OF_SIGNING))}
        assert names(books("status", "--metrics")) == listed - not_configured
        monkeypatch.setenv("MAKEGOOD_SMTP", "smtp://mail.example")
        monkeypatch.setenv("MAKEGOOD_STRIPE_KEY", "sk_test_1")
        books("audit", "key", "new")
        books("audit", "checkpoint")
        listed |= {metric.name for metric in METRICS if metric.name.startswith("makegood_payouts")}
        assert names(books("status", "--metrics", "--max-age", str(10**10))) == listed
        assert set(books.json("status", "--max-age", str(10**10))["metrics"]) == listed

    def test_they_are_told_in_the_text_format_of_openmetrics(self, books: Door) -> None:
        lines = books("status", "--metrics").splitlines()
        at = lines.index('makegood_projection_lag_events{projection="claims",shard="0"} 0.0')

        while not lines[at].startswith("#"):
            at -= 1
        assert lines[at - 2 : at + 1] == [
            "# HELP makegood_projection_lag_events Number of events that a projection has not processed yet.",
            "# TYPE makegood_projection_lag_events gauge",
            "# UNIT makegood_projection_lag_events events",
        ]
        assert lines[-1] == "# EOF"

    def test_two_answers_at_once_are_refused(self, books: Door) -> None:
        books("status", "--metrics", "--json", exits=1)
        assert "exclude each other" in books.errors

    def test_names_are_listed_once_and_explained(self) -> None:
        assert len({metric.name for metric in METRICS}) == len(METRICS)
        assert all(metric.says.endswith(".") for metric in METRICS)

    def test_a_name_ends_with_its_unit(self) -> None:
        with pytest.raises(TypeError, match="end with its unit"):
            Metric("makegood_lag", "seconds", (), "How long.")

    def test_a_sample_bears_the_labels_of_its_metric(self) -> None:
        with pytest.raises(TypeError, match="is labelled with"):
            Sample(METRICS[0], 1, {"shard": "0"})

    def test_what_a_label_says_is_escaped(self) -> None:
        labelled = next(metric for metric in METRICS if metric.labels == ("topic", "partition"))
        text, _ = exposed([Sample(labelled, 1, {"topic": 'a"b\\c\nd', "partition": "0"})])
        assert text.decode().splitlines()[-2] == labelled.name + '{partition="0",topic="a\\"b\\\\c\\nd"} 1.0'


def _account_at(door: Door, position: int) -> str:
    with closing(connect(door.store)) as database, database.reading() as transaction:
        ((account,),) = transaction.rows("SELECT account FROM events WHERE position = ?", (position,))
    return str(account)


def _since_1970(instant: str) -> int:
    from ledger.values import instant_from_text

    return int(instant_from_text(instant).timestamp())
