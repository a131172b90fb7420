"""Erased customers are found nowhere: not in files, on topics, in exports, in logs, or by asking a running process.

`make erasures` erases 100 of them on each kind of store; `make test` a few, on SQLite. What was said of each is
looked for wherever it was found before, and where it could have got to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import pytest

from consumers.kafka.topics import DEAD_LETTERS, EVENTS, INSTRUCTIONS
from consumers.relay import DeadLetterLane, EventLane, InstructionLane
from ledger.audit import leaf_digest, root_of
from ledger.store.connecting import connect
from ledger.store.database import Database, beside
from ledger.store.positions import FIRST_SHARD
from ledger.store.reading.events import read_shard
from makegood.api.app import endpoints
from tests.api.conftest import Api, serving
from tests.door.conftest import SAMPLE, Door
from tests.ledger.test_vault import found_in, private_words

MANY = int(os.environ.get("MAKEGOOD_TEST_ERASED", "3"))
KINDS = ["sqlite", "postgresql"] if MANY > 3 else ["sqlite"]
EVERYTHING = 1_000_000


def lines_of_each() -> dict[str, list[bytes]]:
    """The sample's messages by account, those left out that nobody can read."""
    found: dict[str, list[bytes]] = {}
    for line in (SAMPLE / "events.jsonl").read_bytes().splitlines():
        try:
            found.setdefault(json.loads(line)["subject"], []).append(line)
        except (ValueError, KeyError, TypeError):
            continue
    return found


def words_of(erased: list[str], there: set[str]) -> set[str]:
    """What is said of some customers and of nobody else, long enough to be told from other words."""
    said = lines_of_each()
    others = chain.from_iterable(lines for account, lines in said.items() if account in there - set(erased))
    theirs = private_words(chain.from_iterable(said[account] for account in erased))
    return {word for word in theirs - private_words(others) if len(word) > 7}


def asked(api: Api, accounts: list[str]) -> Iterator[tuple[str, str]]:
    """What a running process answers to whoever may read most about each account, by address."""
    keys = [api.key(role) for role in ("auditor", "privacy", "support")]
    for endpoint in endpoints(api.app):
        if endpoint.method != "GET" or "/exports/" in endpoint.path:
            continue
        for account in accounts if "account" in endpoint.path else [""]:
            address = endpoint.path.replace("{account_id}", account)
            if "{" not in address:
                for key in keys:
                    yield address, api.ask(key, address).text


def written(door: Door, accounts: list[str], folder: Path) -> Iterator[tuple[str, bytes]]:
    """What the command line tells and writes about them."""
    for what in ("claims", "complaints", "refunds", "movements"):
        door("export", what, "--format", "jsonl", "--to", str(folder / f"{what}.jsonl"), "--force")
    for account in accounts:
        yield f"history {account}", door("history", account, "--json").encode()
        pack = folder / f"{account}.zip"
        door("audit", "evidence", "--account", account, "--to", str(pack), "--force")
        with ZipFile(pack) as packed:
            yield from ((f"{name} of {account}'s evidence", packed.read(name)) for name in packed.namelist())
        door("subject", "export", account, "--to", str(folder / f"{account}.txt"), "--force")
    listed = door.json("complaints")
    for row in listed:
        if row["account_id"] in accounts:
            told = door("complaint", row["complaint_id"], "--account", row["account_id"], "--json")
            yield f"complaint {row['complaint_id']}", told.encode()
    for row in door.json("dead-letters", "list", "--all"):
        if row["account_id"] in accounts:
            yield f"dead letter {row['position']}", door("dead-letters", "show", str(row["position"])).encode()
    yield from ((file.name, file.read_bytes()) for file in folder.iterdir())


def values_of(database: Database) -> Iterator[tuple[str, bytes]]:
    """All that a store on PostgreSQL keeps in columns of text or bytes; the files of SQLite are looked at whole."""
    if database.dialect == "sqlite":
        return
    with database.reading() as transaction:
        columns = transaction.rows(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = current_schema() AND data_type IN ('text', 'bytea')"
        )
        assert len(columns) > 3
        for table, column in columns:
            values = transaction.rows(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
            told = (value.encode() if isinstance(value, str) else bytes(value) for (value,) in values)
            yield table, b"\n".join(told)


@pytest.mark.parametrize("store", KINDS, indirect=True)
def test_nothing_of_them_is_left_and_all_that_was_proven_is_proven_still(
    store: str,
    twenty_accounts_in_july: Door,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = twenty_accounts_in_july
    folder = tmp_path / "written"
    folder.mkdir()
    if MANY > 20:  # the sample has 300 accounts
        door("ingest", str(SAMPLE / "events.jsonl"), exits=3)
    monkeypatch.setenv("MAKEGOOD_AUDIT_KEY", str(tmp_path / "audit.key"))
    door("audit", "key", "new")
    door("audit", "checkpoint")
    with closing(connect(store)) as database, database.reading() as transaction:
        there = {account for (account,) in transaction.rows("SELECT DISTINCT account FROM events")}
        before = [leaf_digest(e.envelope) for e in read_shard(transaction, FIRST_SHARD, 0, EVERYTHING)]
    erased = sorted(account for account in there if account in lines_of_each())[:MANY]
    words = words_of(erased, there)
    assert len(words) > 2 * len(erased)

    with serving(store) as api:
        told = "\n".join(text for _, text in asked(api, erased)).encode()
        told += b"\n".join(content for _, content in written(door, erased, folder))
        assert len(found_in(told, words)) > len(words) / 2, "the search finds them, and the process knows their keys"
        with closing(connect(beside(store, "vault"))) as keys, keys.reading() as transaction:
            secrets = [
                bytes(key)
                for subject, key in transaction.rows("SELECT subject, key FROM vault_keys")
                if subject.removeprefix("account/") in erased
            ]
        assert len(secrets) == len(erased)
        for account in erased:
            done = door.json("subject", "erase", account, "--as", "pia", "--basis", "asked for by letter")
            assert (done["outcome"], done["entries"] > 0) == ("erased", True)
        for address, text in asked(api, erased):
            assert found_in(text.encode(), words) == [], address
        for what, content in written(door, erased, folder):
            assert found_in(content, words) == [], what
    logged = capsys.readouterr()
    assert found_in((logged.out + logged.err).encode(), words) == []

    with closing(connect(store)) as database, closing(connect(beside(store, "vault"))) as keys:
        for table, content in chain(values_of(database), values_of(keys)):
            assert found_in(content, words) == [], table
            assert not any(secret in content for secret in secrets), table
        with database.reading() as transaction:
            after = [leaf_digest(e.envelope) for e in read_shard(transaction, FIRST_SHARD, 0, EVERYTHING)]
            for lane in (
                EventLane(EVENTS.name, FIRST_SHARD),
                InstructionLane(INSTRUCTIONS.name, FIRST_SHARD),
                DeadLetterLane(DEAD_LETTERS.name, FIRST_SHARD),
            ):
                records = lane.after(transaction, 0, EVERYTHING).records
                assert found_in(b"\n".join(record.value or b"" for record in records), words) == [], lane.name
    for file in tmp_path.glob("*.db*"):
        content = file.read_bytes()
        assert found_in(content, words) == [], file.name
        assert not any(secret in content for secret in secrets), file.name
    assert root_of(after[: len(before)]) == root_of(before), "the tree of before is a part of the tree of now"
    assert door.json("audit", "verify")["ok"] is True
    assert door.json("rebuild", "--compare-only")["differing"] == []
