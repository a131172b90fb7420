"""A ledger that was restored from a backup without its projections, as the command line shows it, without Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest

from consumers.restored import GivenUp, Lost
from ledger.events import RequestFound
from ledger.store.connecting import connect
from ledger.store.schema import TABLES
from makegood.answers.restored import answer
from projections.catalog import CATALOG
from tests.door.conftest import SAMPLE, USER, Door

OF_THE_STORE = ("store", "generations")
LEDGER_TABLES = [
    name
    for name in (statement.split()[5] for statement in TABLES if statement.startswith("CREATE TABLE"))
    if name not in OF_THE_STORE
]
REQUESTED = RequestFound(
    account_id="acct-1", refund_id="refund/claim-1/1", attempt=1, amount=Decimal("11.90"), currency="EUR"
)
PROJECTION_TABLES = ["projection_positions", *(p.stored_name(table) for p in CATALOG for table in p.tables)]

Kept = dict[str, list[tuple[Any, ...]]]


def kept(door: Door, tables: list[str]) -> Kept:
    """A backup of some tables."""
    with closing(connect(door.store)) as database, database.reading() as transaction:
        return {table: transaction.rows(f"SELECT * FROM {table}") for table in tables}


def put_back(door: Door, backup: Kept) -> None:
    with closing(connect(door.store)) as database, database.writing() as transaction:
        for table, rows in backup.items():
            transaction.run(f"DELETE FROM {table}")
            for row in rows:
                transaction.run(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def sample(accounts: int) -> list[str]:
    def subject(line: str) -> str | None:
        try:
            return str(json.loads(line)["subject"])
        except (ValueError, KeyError, TypeError):
            return None

    wanted = {f"acct-{n:04}" for n in range(1, accounts + 1)}
    return [line for line in (SAMPLE / "events.jsonl").read_text().splitlines() if subject(line) in wanted]


def answers(door: Door) -> list[Any]:
    """What is owed, without when and where it was recorded."""
    arrival = {"position", "due_at", "granted_at", "applied_at", "proposal"}

    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(each) for each in value]
        if isinstance(value, dict):
            return {name: without(each) for name, each in value.items() if name not in arrival}
        return value

    return [without(door.json(question)) for question in ("claims", "refunds", "credits", "complaints")]


@pytest.fixture
def behind(sandbox: Door, lines: Callable[..., str]) -> tuple[Door, list[str], list[Any]]:
    """A store whose ledger is of yesterday and whose rows are of today; what came since; what was answered today."""
    told = sample(7)
    sandbox("ingest", lines(*told[:60]))
    backup = kept(sandbox, LEDGER_TABLES)
    sandbox("ingest", lines(*told[60:110]))
    sandbox("access", "grant", "desk", "support")
    owed = answers(sandbox)
    put_back(sandbox, backup)
    return sandbox, told[60:110], owed


@pytest.mark.parametrize(
    ("lost", "says"),
    [
        ({"kind": "message", "source": "/billing/eu-1", "returns": True}, "intake reads it again"),
        ({"kind": "message", "source": "/billing/eu-1"}, "send it again"),
        ({"kind": "message", "source": "/makegood/http"}, "do it again"),
        ({"kind": "act"}, "do it again"),
        ({"kind": "dead letter", "returns": True}, "intake reads it again"),
        ({"kind": "dead letter"}, "send it again"),
        ({"kind": "e-mail", "id": "a-notice"}, "was sent; it is not sent again"),
        ({"kind": "e-mail"}, "was sent; it may be sent again"),
        (
            {"kind": "refund request"},
            "was submitted; ask the payment processor whether it has it before it is approved again",
        ),
        (
            {"kind": "refund request", "request": REQUESTED},
            "was requested; this attempt is not requested again: wait for the processor's answer",
        ),
    ],
)
def test_each_thing_that_is_lost_says_what_to_do(lost: dict[str, Any], says: str) -> None:
    unknown = dict.fromkeys(("id", "source", "type", "account", "time", "recorded_at", "channel", "actor"))
    found = GivenUp(2, [], [], lost=[Lost(**{**unknown, **lost})])
    assert [each["next"] for each in answer(found, {}, [], dry_run=True)["lost"]] == [says]


def test_no_command_answers_or_writes_before_the_new_generation(
    behind: tuple[Door, list[str], list[Any]], lines: Callable[..., str]
) -> None:
    door, since, _ = behind
    for arguments in (("refunds",), ("claims",), ("ingest", lines(*since)), ("run",), ("rebuild",), ("history", "x")):
        door(*arguments, exits=1)
        assert "makegood restored" in door.errors
    assert door.json("status", exits=1)["status"] == "broken"
    said = door.json("status", exits=1)["problems"][0]
    assert "and the ledger ends at 0:" in said
    assert "makegood restored" in said
    examined = {each["check"]: each for each in door.json("doctor", exits=1)["checks"]}
    assert (examined["store"]["verdict"], examined["vault"]["verdict"]) == ("broken", "well")
    assert "makegood restored" in examined["store"]["next"]


def test_what_the_ledger_lacks_is_listed_and_sent_again_nothing_is_doubled(
    behind: tuple[Door, list[str], list[Any]], lines: Callable[..., str]
) -> None:
    door, since, owed = behind
    listed = door.json("restored", "--dry-run")
    assert listed["dry_run"]
    assert "makegood restored" in str(door.json("status", exits=1)["problems"]), "nothing was done"
    told = door.json("restored", "--as", "ada", "--reason", "the disk broke")
    assert told == {**listed, "dry_run": False}
    assert told["generation"] == 2
    assert {each["kind"] for each in told["ahead"]} == {"projection"}
    facts = [lost for lost in told["lost"] if lost["kind"] == "message"]
    sent = {(json.loads(line)["source"], json.loads(line)["id"]) for line in since}
    assert len(facts) == len(sent)
    assert {(lost["source"], lost["id"]) for lost in facts if lost["id"] is not None} <= sent
    assert sum(lost["id"] is not None for lost in facts) > len(sent) / 2
    assert [(lost["type"], lost["actor"]) for lost in told["lost"] if lost["kind"] == "act"] == [
        ("role-granted.v1", USER)
    ]
    assert not any(lost["returns"] for lost in told["lost"])
    assert door.json("status")["problems"] == []
    assert "accounts match" in door("rebuild", "--compare-only")
    begun = door.json("history", "system")[-1]
    assert (begun["type"], begun["actor"]) == ("store-restored.v1", f"{USER} for ada")
    assert begun["data"]["kept"][0] == {"sequence": "shard:0", "position": told["kept"]["shard:0"]}
    assert "the disk broke" not in json.dumps(begun)

    door("ingest", lines(*since))
    door("access", "grant", "desk", "support")
    assert answers(door) == owed
    assert "accounts match" in door("rebuild", "--compare-only")
    assert "nothing to do" in door("restored")


def test_cut_short_before_the_rows_were_rebuilt_it_is_noticed_again(
    behind: tuple[Door, list[str], list[Any]], lines: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    door, since, owed = behind

    class Cut(BaseException):
        pass

    def cut(*_: Any, **__: Any) -> Any:
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr("makegood.commands.terminal.rebuilding.rebuild", cut)
        with pytest.raises(Cut):
            door("restored")
    door("claims", exits=1)
    assert door.json("restored")["generation"] == 3
    assert "accounts match" in door("rebuild", "--compare-only")
    door("ingest", lines(*since))
    door("access", "grant", "desk", "support")
    assert answers(door) == owed


def test_where_the_ledger_went_on_past_its_rows_the_trail_tells(sandbox: Door, lines: Callable[..., str]) -> None:
    """A program that did not look, such as an older version, wrote on: positions alone show nothing then."""
    told = sample(7)
    sandbox("ingest", lines(*told[:60]))
    backup = kept(sandbox, LEDGER_TABLES)
    sandbox("ingest", lines(*told[60:80]))
    rows = kept(sandbox, PROJECTION_TABLES)
    put_back(sandbox, {**backup, **{table: [] for table in PROJECTION_TABLES}})
    sandbox("ingest", lines(*told[80:]))
    put_back(sandbox, rows)

    sandbox("claims", exits=1)
    assert "has applied another event at" in sandbox.errors
    sandbox("restored")
    assert "accounts match" in sandbox("rebuild", "--compare-only")
    sandbox("ingest", lines(*told[60:80]))
    assert "accounts match" in sandbox("rebuild", "--compare-only")
    assert sandbox.json("status")["problems"] == []


def test_rows_of_an_older_backup_catch_up(sandbox: Door, lines: Callable[..., str]) -> None:
    told = sample(7)
    sandbox("ingest", lines(*told[:60]))
    rows = kept(sandbox, PROJECTION_TABLES)
    sandbox("ingest", lines(*told[60:100]))
    owed = answers(sandbox)
    put_back(sandbox, rows)
    assert "nothing to do" in sandbox("restored")
    assert sandbox.json("status", "--max-age", "1000000")["problems"] == []
    sandbox("ingest", lines(*told[:10]))  # duplicates, after which rows catch up
    assert "accounts match" in sandbox("rebuild", "--compare-only")
    assert answers(sandbox) == owed
