"""The bundled sample through the real ledger: rows kept live are what a replay in memory gives, account by account.

Every projection in the catalogue is held to it, so that a fold that looks at rows which its table's `reads` forgets,
or that depends on how events are batched, is found here.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from consumers.upstream.reading import read_structured
from ledger.application.agreements import publish
from ledger.application.ledger import Ledger
from ledger.application.record import take
from ledger.store.database import Database, connect
from ledger.store.keys import KeyDatabase
from ledger.store.reading import StoredEnvelope, read_shard
from ledger.vault import Vault
from projections import queries
from projections.access import ACCESS
from projections.catalog import CATALOG
from projections.follower import Follower
from projections.goodwill import GOODWILL
from projections.projection import fold_account
from projections.retractions import RETRACTIONS

SAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "sample"


@pytest.fixture(scope="module")
def sample() -> Iterator[Database]:
    """A store with the sample taken into it."""

    def clock() -> datetime:
        return datetime(2026, 10, 1, tzinfo=UTC)

    database, keys = connect("sqlite:///:memory:"), connect("sqlite:///:memory:")
    key_database = KeyDatabase(keys, clock)
    key_database.create()
    ledger = Ledger(database, Vault(key_database), clock)
    ledger.create_store(sandbox=True)
    for path in sorted((SAMPLE / "agreements").glob("*.toml")):
        publish(ledger, path.read_text(encoding="utf-8"), actor="test", channel="test")
    lines = (SAMPLE / "events.jsonl").read_bytes().splitlines()
    incoming = [read_structured(line, origin=f"file:{n}", channel="file", line=n) for n, line in enumerate(lines, 1)]
    for start in range(0, len(incoming), 500):
        take(ledger, incoming[start : start + 500])
    Follower(database).create()
    Follower(database).catch_up(limit=700)
    yield database
    database.close()
    keys.close()


@pytest.fixture(scope="module")
def by_account(sample: Database) -> dict[str, list[StoredEnvelope]]:
    accounts: dict[str, list[StoredEnvelope]] = defaultdict(list)
    with sample.reading() as transaction:
        for envelope in read_shard(transaction, 0, 0, 1_000_000):
            accounts[envelope.account].append(envelope)
    return accounts


def test_rows_kept_live_are_those_of_a_replay(sample: Database, by_account: Any) -> None:
    replayed: dict[str, set[Any]] = {t.name: set() for p in CATALOG for t in p.tables}
    for envelopes in by_account.values():
        *_, last = fold_account(envelopes, CATALOG)
        state = last.state()
        for projection in CATALOG:
            for table in projection.tables:
                replayed[table.name].update(table.values_of(row) for row in state[table.name])
    with sample.reading() as transaction:
        live = {
            table.name: set(
                transaction.rows(f"SELECT {', '.join(table.columns)} FROM {projection.stored_name(table)}")
            )
            for projection in CATALOG
            for table in projection.tables
        }

    assert live == replayed
    silent = {table.name for of in (ACCESS, GOODWILL, RETRACTIONS) for table in of.tables}  # nothing is said of it
    assert {name for name, rows in live.items() if not rows} == silent


def test_every_account_reads_alike_from_rows_and_from_events(sample: Database, by_account: Any) -> None:
    for account_id in by_account:
        assert queries.account(sample, account_id) == queries.account_recorded(by_account[account_id], account_id)


def test_the_parts_of_every_claim_add_up_to_it(sample: Database) -> None:
    """Refunds, credits, invoice reductions and what is overpaid: together they are the claim, to the cent."""
    settled: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for part in (*queries.refunds(sample), *queries.credits(sample)):
        settled[part["account_id"], part["claim_id"]] += Decimal(part["total"])
    with sample.reading() as transaction:
        for account, claim_id, total in transaction.rows(
            "SELECT account, claim_id, total FROM invoice_reductions_v2"
        ):
            settled[account, claim_id] += Decimal(total)
    claims = queries.claims(sample)
    for claim in claims:
        due = Decimal(claim["amount"]) + Decimal(claim["tax"]) + Decimal(claim["overpaid"] or 0)
        assert settled.pop((claim["account_id"], claim["claim_id"]), Decimal(0)) == due
    assert settled == {}
    assert {claim["outcome"] for claim in claims} >= {"granted", "declined"}
