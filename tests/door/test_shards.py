"""A store of several shards, as the command line shows it: an account is asked for in its shard, and what is asked of
all accounts says how to name one."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pytest

from ledger.application.agreements import publish
from ledger.store.database import redacted
from ledger.store.positions import shard_for
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from makegood.house.shard_map import create_shards, open_shards, settings_of
from makegood.house.stop import Stop
from projections import access
from tests.door.conftest import ROOT, SAMPLE, Door, commands
from tests.parts.stores import Stores, nothing

pytestmark = pytest.mark.long
SHARDS = 3
UNTIL = "2026-07-01T00:00:00Z"


def with_the_sample(store: str, lines: Path, *init: str) -> None:
    commands(store, ("init", "--sandbox", *init))
    commands(store, ("agreement", "publish", str(SAMPLE / "agreements" / "standard.toml")))
    commands(store, ("ingest", str(lines)), exits=3)
    commands(store, ("advance", UNTIL))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the sample says of its first twenty accounts."""
    subjects = [f'"subject":"acct-{n:04}"' for n in range(1, 21)]
    said = (SAMPLE / "events.jsonl").read_text().splitlines()
    file = tmp_path_factory.mktemp("messages") / "some.jsonl"
    file.write_text("\n".join(line for line in said if any(each in line for each in subjects)))
    return file


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def kept(
    request: pytest.FixtureRequest, stores: Stores, lines: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """These accounts in a store of several shards, for all tests: what one of them publishes or grants stays."""
    url = stores.new(request.param, tmp_path_factory.mktemp("divided"), nothing)
    with_the_sample(url, lines, "--shards", str(SHARDS))
    yield url
    stores.give_back(url)


@pytest.fixture
def divided(kept: str, capsys: pytest.CaptureFixture[str]) -> Door:
    return Door(kept, capsys)


@pytest.fixture(scope="module")
def kept_in_one(lines: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('one')}/one.db"
    with_the_sample(url, lines)
    return url


@pytest.fixture
def one(kept_in_one: str, capsys: pytest.CaptureFixture[str]) -> Door:
    """The same accounts in a store of one shard."""
    return Door(kept_in_one, capsys)


def asked(door: Door, shard: int, *command: str, exits: int = 0) -> Any:
    with patch.dict(os.environ, MAKEGOOD_SHARD=str(shard)):
        return door.json(*command, exits=exits)


def test_each_account_has_what_it_has_in_a_store_of_one_shard(divided: Door, one: Door) -> None:
    for number in range(1, 21):
        account = f"acct-{number:04}"
        claims, expected = (each.json("claims", "--account", account) for each in (divided, one))
        assert [claim | {"position": None} for claim in claims] == [claim | {"position": None} for claim in expected]
        assert {claim["position"].partition(":")[0] for claim in claims} <= {str(shard_for(account, SHARDS))}
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for shard in range(SHARDS):
        for row in asked(divided, shard, "owed")["rows"]:
            sums[row["currency"]] += Decimal(row["total"])
    assert sums == {row["currency"]: Decimal(row["total"]) for row in one.json("owed")["rows"]}


def test_all_shards_together_come_to_what_one_says(
    divided: Door, one: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the guide's own command and query, to the cent."""
    monkeypatch.chdir(tmp_path)
    [(command,)] = [re.findall(r"makegood (export .*)\n", text) for text in in_guide("export each shard")]
    for shard in range(SHARDS):
        with patch.dict(os.environ, MAKEGOOD_SHARD=str(shard)):
            divided(*command.replace("$shard", str(shard)).split())
    [query] = in_guide("duckdb")
    found = {(currency, clause, kind): tuple(sums) for currency, clause, kind, *sums in duckdb.sql(query).fetchall()}
    rows = one.json("movements", "--by", "clause")["rows"]
    expected = {
        (row["currency"], row["clause"], row["kind"]): (row["count"], Decimal(row["net"]), Decimal(row["tax"]))
        for row in rows
    }
    assert found == expected


def in_guide(of: str) -> list[str]:
    """What the guide has under a comment."""
    guide = (ROOT / "docs" / "finance-views.md").read_text(encoding="utf-8")
    return re.findall(rf"<!-- {of} -->\n```\w+\n(.*?)```", guide, re.DOTALL)


def test_what_one_shard_does_says_how_to_name_it(divided: Door) -> None:
    for command in (["audit", "verify"], ["rebuild"]):
        divided(*command, exits=1)
        assert "the store has 3 shards" in divided.errors
        assert "MAKEGOOD_SHARD to one from 0 to 2" in divided.errors
    with patch.dict(os.environ, MAKEGOOD_SHARD="3"):
        divided("rebuild", exits=1)
    assert "the store has no shard 3" in divided.errors


def test_a_shard_that_is_taken_for_the_store_says_what_to_name(
    divided: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = Door(settings_of(Settings(store=divided.store), 1).store, capsys)
    for command in (["owed"], ["ingest", "-"]):
        alone(*command, exits=1)
        assert "is shard 1 of a store" in alone.errors


def test_an_account_that_nobody_knows_is_asked_for_in_its_shard(divided: Door) -> None:
    divided("claims", "--account", "acct-none", exits=1)
    assert "acct-none" in divided.errors


def test_each_shard_is_verified_and_performed_again_by_itself(divided: Door) -> None:
    for shard in range(SHARDS):
        assert asked(divided, shard, "audit", "verify")["ok"]
        assert asked(divided, shard, "audit", "reperform")["differing"] == []


def test_what_has_numbers_of_its_shard_is_told_of_one_shard_after_the_other(divided: Door, one: Door) -> None:
    command = ["dead-letters", "list"]
    rows = divided.json(*command)
    assert len(rows) == len(one.json(*command))
    assert rows == [row for shard in range(SHARDS) for row in asked(divided, shard, *command)]
    assert "of 3 shards one after the other" in divided(*command)
    assert "shards" not in one(*command)


def test_what_is_the_providers_is_told_once_and_stands_in_the_first_shard(divided: Door) -> None:
    assert [row["version"] for row in divided.json("agreement", "list")] == [1]
    divided("access", "grant", "ada", "finance")
    assert [row["principal"] for row in divided.json("access", "list")] == ["ada"]
    assert [len(asked(divided, shard, "access", "list")) for shard in range(SHARDS)] == [1] * SHARDS
    with open_shards(Settings(store=divided.store)) as houses:
        assert [len(access.grants(house.database)) for house in houses] == [1, 0, 0]


def test_what_is_asked_of_an_account_needs_no_shard(divided: Door, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        account = f"acct-{number:04}"
        at = f"{shard_for(account, SHARDS)}:1"
        assert divided.json("account", account)["account_id"] == account
        assert {row["position"].partition(":")[0] for row in divided.json("history", account)} == {at[0]}
        assert divided.json("audit", "diff", "--account", account, "--from", at, "--to", at)["account_id"] == account
        assert divided.json("audit", "reperform", "--account", account)["differing"] == []
        assert divided.json("check", "--account", account)
        divided("replay", account)
        divided("subject", "export", account, "--to", str(tmp_path / f"{account}.txt"))
        divided("subject", "erase", account, "--as", "ada", "--basis", "asked", "--dry-run")


def test_the_status_tells_how_each_shard_stands(divided: Door) -> None:
    together = divided.json("status")
    said = together["shards"]
    assert together["status"] == "well"
    open_letters = [each["metrics"]["makegood_open_dead_letters"] for each in (together, *said.values())]
    [all_of_them], *of_each = open_letters
    assert all_of_them["value"] == sum(each["value"] for [each] in of_each) == 2
    metrics = divided("status", "--metrics")
    assert all(f'makegood_store_events{{shard="{shard}"}}' in metrics for shard in range(SHARDS))
    assert [said[str(shard)]["status"] for shard in range(SHARDS)] == ["well"] * SHARDS
    shown = divided("status")
    assert [f"shard {shard}" in shown for shard in range(SHARDS)] == [True] * SHARDS
    assert asked(divided, 2, "status") == said["2"]


def test_the_doctor_looks_at_every_shard(divided: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(exits: int = 0) -> dict[str, tuple[str, str, str | None]]:
        checks = divided.json("doctor", exits=exits)["checks"]
        return {each["check"]: (each["verdict"], each["found"], each["next"]) for each in checks}

    well = found()
    assert well["store"][:2] == ("well", f"readable at {redacted(divided.store)}, with all {SHARDS} shards")
    assert [f"shard {shard}: " in well["vault"][1] for shard in range(SHARDS)] == [True] * SHARDS
    assert well["clock"][0] == "well"
    settings, file = Settings(store=divided.store), tmp_path / "map.toml"
    monkeypatch.setenv("MAKEGOOD_SHARD_MAP", str(file))
    one, two = (settings_of(settings, shard) for shard in (1, 2))

    file.write_text(f'[1]\nstore = "{two.store}"\nvault = "{two.vault}"\n')
    verdict, what, what_next = found(exits=1)["store"]
    assert (verdict, "has shard 2 of 3, and not shard 1 of 3" in what) == ("broken", True)
    assert "MAKEGOOD_SHARD_MAP" in str(what_next)

    file.write_text(f'[1]\nstore = "{one.store}"\nvault = "{two.vault}"\n')
    broken = found(exits=1)
    assert (broken["store"][0], broken["vault"][0]) == ("well", "broken")
    assert broken["vault"][1].startswith("shard 1: ")

    file.write_text(f'[2]\nstore = "{two.store}"\naway = true\n')
    verdict, what, _ = found(exits=1)["store"]
    assert (verdict, what.startswith("shard 2: the shard map"), "is away" in what) == ("broken", True, True)


def test_an_agreement_that_some_shards_have_is_published_in_the_rest(divided: Door, tmp_path: Path) -> None:
    """As where publishing was cut short: the same call goes on."""
    text = (SAMPLE / "agreements" / "standard.toml").read_text().replace("version = 1", "version = 2")
    (tmp_path / "two.toml").write_text(text)
    with open_house(settings_of(Settings(store=divided.store), 1)) as house:
        publish(house.ledger, text, actor="test", channel="cli")
    divided("agreement", "publish", str(tmp_path / "two.toml"))
    versions = [[row["version"] for row in asked(divided, shard, "agreement", "list")] for shard in range(SHARDS)]
    assert versions == [[1, 2]] * SHARDS


def test_what_was_cut_short_while_it_was_made_is_made_whole(door: Door) -> None:
    settings = Settings(store=door.store)
    with (
        patch("makegood.house.shard_map._is_begun", side_effect=[False, KeyboardInterrupt]),
        pytest.raises(KeyboardInterrupt),
    ):
        create_shards(settings, SHARDS, sandbox=True)
    door("claims", exits=1)
    assert "makegood init" in door.errors
    door("init", "--sandbox", "--shards", str(SHARDS))
    assert [asked(door, shard, "claims") for shard in range(SHARDS)] == [[]] * SHARDS


def test_a_store_has_1_to_64_shards(door: Door) -> None:
    for number in ("0", "65"):
        door("init", "--shards", number, exits=64)
        assert "a store has 1 to 64 shards" in door.errors
    door("init")
    assert door.json("claims") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "cannot be read"),
        ("[1", "is not valid TOML"),
        ('[0]\nstore = "sqlite:///a.db"', "shards that it places are 1 to 63"),
        ('[one]\nstore = "sqlite:///a.db"', "shards that it places are 1 to 63"),
        ('[1]\nplace = "here"', "must say `store ="),
        ("[1]\nstore = 1", "must say `store ="),
        ('[1]\nstore = "sqlite:///a.db"\naway = "yes"', "must say `store ="),
    ],
)
def test_a_shard_map_that_cannot_be_used_says_why(tmp_path: Path, text: str | None, reason: str) -> None:
    file = tmp_path / "map.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(Stop, match=reason):
        settings_of(Settings(store="sqlite:///a.db", shard_map=str(file)), 1)


def test_shards_are_beside_the_store_unless_the_map_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('[2]\nstore = "postgresql://db2/books"\n')
    settings = Settings(store="postgresql://db1/books?sslmode=require", shard_map=str(tmp_path / "map.toml"))
    assert settings_of(settings, 0) is settings
    beside = settings_of(settings, 1)
    assert beside.store == "postgresql://db1/books?sslmode=require&options=-csearch_path%3Dmakegood_shard_1"
    assert beside.vault == "postgresql://db1/books_vault?sslmode=require&options=-csearch_path%3Dmakegood_shard_1"
    elsewhere = settings_of(settings, 2)
    assert (elsewhere.store, elsewhere.vault) == ("postgresql://db2/books", "postgresql://db2/books_vault")
    assert settings_of(Settings(store="sqlite:///books.db"), 3).store == "sqlite:///books-shard3.db"
