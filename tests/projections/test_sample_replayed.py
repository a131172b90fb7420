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

from consumers.upstream.statements import read_structured
from ledger.application.agreements import publish
from ledger.application.ledger import Ledger
from ledger.application.record import take
from ledger.events import claims_settled
from ledger.store.connecting import connect
from ledger.store.database import Database
from ledger.store.reading.events import StoredEnvelope, read_shard
from ledger.store.vault_keys import KeyDatabase
from ledger.vault import Vault
from projections import account_state, accounts, claims, credits, overpaid, refunds
from projections.access import ACCESS
from projections.catalog import CATALOG
from projections.follower import Follower
from projections.goodwill import GOODWILL
from projections.periods import PERIODS
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
    unsaid = (ACCESS, GOODWILL, RETRACTIONS, PERIODS)  # nothing is said of it
    silent = {table.name for of in unsaid for table in of.tables} | {"discrepancies"}
    silent |= {"complaints_retractions", "instructions_retractions", "outages_retractions"}
    silent |= {"credit_refunds", "credit_recoveries", "recoveries_ordered"}
    silent -= {"goodwill_contradicted"}  # that two facts contradict each other is said of others
    assert {name for name, rows in live.items() if not rows} == silent


def test_every_account_reads_alike_from_rows_and_from_events(sample: Database, by_account: Any) -> None:
    for account_id in by_account:
        assert account_state.account(sample, account_id).state == account_state.account_recorded(
            by_account[account_id], account_id
        )


def test_the_parts_of_every_claim_add_up_to_it(sample: Database, by_account: dict[str, list[StoredEnvelope]]) -> None:
    """What is shown as refund, credit, reduction and overpaid, and what was set off: to the cent, net and tax."""
    settled: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for part in (*refunds.listed(sample), *credits.listed(sample), *accounts.listed_reductions(sample)):
        if part["claim_id"] is not None:
            settled[part["account_id"], part["claim_id"]] += Decimal(part["total"])
    for row in overpaid.listed(sample):
        settled[row["account_id"], row["claim_id"]] -= Decimal(row["overpaid"])
    recorded = {
        (account, claim.claim_id): claim.after
        for account, envelopes in by_account.items()
        for envelope in envelopes
        for claim in claims_settled(envelope.event())
    }
    for claim, parts in recorded.items():
        settled[claim] += sum((p.net + p.tax for p in parts if p.into in ("offset", "correction")), Decimal(0))

    granted: dict[tuple[str, str], tuple[Decimal, Decimal]] = {
        (claim["account_id"], claim["claim_id"]): (Decimal(claim["amount"]), Decimal(claim["tax"]))
        for claim in claims.listed(sample)
    }
    assert {claim: total for claim, total in settled.items() if total} == {
        claim: net + tax for claim, (net, tax) in granted.items() if net + tax
    }
    for claim, parts in recorded.items():
        sums = (sum((p.net for p in parts), Decimal(0)), sum((p.tax for p in parts), Decimal(0)))
        assert sums == granted.get(claim, (0, 0))
    assert {claim["outcome"] for claim in claims.listed(sample)} >= {"granted", "declined"}


def test_every_invoice_accounts_for_all_that_was_paid_on_it(sample: Database, by_account: Any) -> None:
    """Paid and asked for, less what goes back: charged, less what is granted and what went out too much (§7)."""

    def on_invoices(rows: list[dict[str, Any]], *columns: str) -> dict[str, Decimal]:
        """Sums of columns by invoice, of what is for a charge that is known."""
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for row in rows:
            if row["charge_id"] in invoice_of:
                sums[invoice_of[row["charge_id"]]] += sum((Decimal(row[c] or 0) for c in columns), Decimal(0))
        return sums

    seen = 0
    for account_id in by_account:
        account = account_state.account(sample, account_id).state
        invoice_of = {charge["charge_id"]: charge["invoice_id"] for charge in account["charges"]}
        goes_back = on_invoices([*account["refunds"], *account["credits"]], "total")
        granted = on_invoices(account["claims"], "amount", "tax", "overpaid")
        for invoice in account["invoices"]:
            amount = {name: Decimal(invoice[name] or 0) for name in invoice if name not in NO_AMOUNTS}
            paid = amount["paid_in_money"] + amount["paid_from_balance"]
            back = goes_back[invoice["invoice_id"]] + amount["excess_used"] + amount["excess"]
            owed = amount["charged"] - granted[invoice["invoice_id"]]
            assert paid + amount["asks_for"] - back == owed, (account_id, invoice)
            seen += 1
    assert seen > 1_000


NO_AMOUNTS = {"account_id", "invoice_id", "currency"}
