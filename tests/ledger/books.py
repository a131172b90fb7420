"""A ledger for stories: a store with its keys and a clock that stands, and what an auditor can read in it."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Self

from hypothesis import Phase

from ledger.application.agreements import publish
from ledger.application.ledger import Ledger
from ledger.application.record import take
from ledger.application.statement import Taken
from ledger.store.connecting import connect
from ledger.store.database import Database, Row, Transaction
from ledger.store.reading.events import StoredEnvelope, read_shard
from ledger.store.vault_keys import KeyDatabase
from ledger.store.writing import ReaderMove
from ledger.vault import STORE_SUBJECT, Bound, Erased, InStore, Key, Keys, Ring, Serial, Vault
from tests.ledger.messages import Message, read_all
from tests.oracle import histories

STANDARD = 'name = "standard"\nversion = 1\nvalid_from = 2000-01-01\n'
LONG_AFTER = datetime(2035, 1, 1, tzinfo=UTC)
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""For properties of a seed: a smaller seed is another history and no simpler one."""
STORE_TABLES = (
    "store",
    "sequences",
    "heads",
    "events",
    "inbox",
    "requests",
    "catalogue",
    "agreements",
    "awaiting_agreement",
    "waiting",
    "approved_refunds",
    "listed_payouts",
    "dead_letters",
    "set_aside",
    "closures",
    "readers",
    "notices",
    "activation_links",
    "asked_returns",
    "vault",
    "vault_bound",
    "vault_lost",
    "vault_index",
    "erasures",
    "snapshots",
)


@dataclass
class StandingClock:
    """The time is what a story says it is."""

    at: datetime = LONG_AFTER

    def __call__(self) -> datetime:
        return self.at


class KeysByName:
    """Keys that follow from their subjects, so that two stores encrypt alike. Only for comparing stores."""

    def __init__(self) -> None:
        self.destroyed: set[str] = set()

    def begin(self, store_id: str) -> Bound:
        return Bound(store_id, "0123456789abcdef", Serial(1, "0123456789abcdef"))

    def of(self, subjects: Any, in_store: InStore) -> dict[str, Key]:
        return {subject: _key_by_name(subject) for subject in subjects if subject not in self.destroyed}

    def existing(self, subject: str) -> Key | None:
        if subject in self.destroyed:
            raise Erased(f"the key of {subject} was erased")
        return _key_by_name(subject)

    def erase(self, subjects: Collection[str], in_store: InStore) -> int:
        before = len(self.destroyed)
        self.destroyed.update(subjects)
        return len(self.destroyed) - before

    def erased(self, subjects: Collection[str] | None = None) -> set[str]:
        return self.destroyed if subjects is None else self.destroyed & set(subjects)

    def store_subject(self) -> str:
        return STORE_SUBJECT

    def check(self) -> Ring:
        return Ring("0123456789abcdef", "", 1, STORE_SUBJECT)


def _key_by_name(subject: str) -> Key:
    return Key(sha256(subject.encode()).digest(), Serial(1, "0123456789abcdef"))


def no_randomness(count: int) -> bytes:
    """Nonces that are all alike, so that two stores can be compared byte for byte. Never for data of anyone."""
    return bytes(count)


class Killed(BaseException):
    """The process ends here."""


def killed() -> None:
    raise Killed


class Counted(Transaction):
    """A transaction of which it is counted how many rows it is told to write or to delete."""

    def __init__(self, real: Transaction, rows: Counter[str]) -> None:
        self._real = real
        self._rows = rows

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._real.rows(sql, parameters)

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._count(sql, self._real.run(sql, parameters))

    def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, new_only: bool = False
    ) -> int:
        self._rows[table] += len(rows)
        return self._real.insert(table, columns, rows, new_only=new_only)

    def update(self, table: str, columns: Mapping[str, str], key: Mapping[str, str], rows: Sequence[Row]) -> int:
        self._rows[table] += len(rows)
        return self._real.update(table, columns, key, rows)

    def upsert(
        self, table: str, columns: Mapping[str, str], key: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        self._rows[table] += len(rows)
        self._real.upsert(table, columns, key, rows)

    def delete(self, table: str, key: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
        deleted = self._real.delete(table, key, rows)
        self._rows[table] += deleted
        return deleted

    def rows_in(self, sql: str, values: Sequence[Any]) -> list[Row]:
        return self._real.rows_in(sql, values)

    def _count(self, sql: str, changed: int) -> int:
        """The table is the first name after INTO, FROM or UPDATE."""
        words = sql.split()
        self._rows[words[1] if words[0] == "UPDATE" else words[2]] += changed
        return changed


class Watched(Database):
    """A real database with somebody standing at its door: what they were told to do happens at that moment, once.

    What is raised `before_commit` rolls back, as the database does for anyone; raised `after_commit` it comes when
    everything is committed already, as when a connection breaks before the answer.
    """

    def __init__(self, real: Database) -> None:
        self.real = real
        self.dialect = real.dialect
        self.holds_rows = real.holds_rows
        self.url = real.url
        self.before_writing: deque[Callable[[], object]] = deque()
        self.before_commit: deque[Callable[[], object]] = deque()
        self.after_commit: deque[Callable[[], object]] = deque()
        self.after_reading: deque[Callable[[], object]] = deque()
        self.writings = 0
        self.written: Counter[str] = Counter()
        """How many rows were written or deleted, by table."""

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        self.writings += 1
        _do_next(self.before_writing)
        with self.real.writing() as transaction:
            yield Counted(transaction, self.written)
            _do_next(self.before_commit)
        _do_next(self.after_commit)

    @contextmanager
    def reading(self, *, by_keys: bool = False) -> Iterator[Transaction]:
        with self.real.reading(by_keys=by_keys) as transaction:
            yield transaction
        _do_next(self.after_reading)

    def close(self) -> None:
        self.real.close()

    def in_dialect(self, ddl: str) -> str:
        return self.real.in_dialect(ddl)

    def lacking(self, statements: Sequence[str]) -> list[str]:
        return self.real.lacking(statements)

    def lose_keys(self, subject: str) -> None:
        """A person has accepted that a subject's key is lost."""
        self.tamper(
            f"INSERT INTO vault_lost (ref, loss_id) SELECT ref, 'burnt' FROM vault WHERE subject = '{subject}'"
        )

    def tamper(self, *statements: str) -> None:
        """Change what is stored past the ledger, and past whoever stands at the door."""
        with self.real.writing() as transaction:
            for statement in statements:
                transaction.run(statement)


def _do_next(steps: deque[Callable[[], object]]) -> None:
    if steps:
        steps.popleft()()


@dataclass
class Books:
    """One process at work on a store."""

    database: Watched
    keys: Keys
    clock: StandingClock
    randomness: Callable[[int], bytes] | None = None
    shard: int = 0
    ledger: Ledger = field(init=False)
    others: list[Books] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        vault = Vault(self.keys) if self.randomness is None else Vault(self.keys, self.randomness)
        self.ledger = Ledger(self.database, vault, self.clock)

    @classmethod
    def open(
        cls,
        url: str = "sqlite:///:memory:",
        *,
        keys: Keys | None = None,
        sandbox: bool = False,
        now: datetime = LONG_AFTER,
        agreements: Sequence[str] = (STANDARD,),
        randomness: Callable[[int], bytes] | None = None,
        shards: int = 1,
        shard: int = 0,
    ) -> Self:
        """A new store, or one of the shards of one. Its keys are in memory unless others are given."""
        clock = StandingClock(now)
        if keys is None:
            keys = KeyDatabase(connect("sqlite:///:memory:"), clock)
        books = cls(Watched(connect(url)), keys, clock, randomness, shard)
        books.ledger.create_store(sandbox=sandbox, shards=shards, shard=shard)
        for text in agreements:
            books.publish(text)
        return books

    def another_process(self) -> Books:
        """Another process on the same store, with connections of its own where the database can be reached twice."""
        real = self.database.real
        alone = real.url == "sqlite:///:memory:"
        other = Books(Watched(real if alone else connect(real.url)), self.keys, self.clock, self.randomness)
        self.others.append(other)
        return other

    def close(self) -> None:
        """End this process and all others on its store."""
        for other in self.others:
            other.close()
        self.database.close()

    # --- what can be asked of it ---------------------------------------------------------------------------------

    def take(
        self,
        messages: Sequence[Message | bytes],
        *,
        batch: int | None = None,
        reader: ReaderMove | None = None,
        file: str = "story",
    ) -> Taken:
        """Take messages, all in one batch unless told otherwise."""
        incoming = read_all(messages, file=file)
        taken = Taken()
        size = batch or max(1, len(incoming))
        for start in range(0, max(1, len(incoming)), size):
            part = take(self.ledger, incoming[start : start + size], *([reader] if reader else []))
            taken.read += part.read
            taken.accepted += part.accepted
            taken.duplicates += part.duplicates
            taken.refused += part.refused
        return taken

    def publish(self, text: str = STANDARD) -> bool:
        """Publish an agreement; whether it was new."""
        return publish(self.ledger, text, actor="/makegood/test", channel="command line").new

    # --- what is written in it -----------------------------------------------------------------------------------

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        with self.database.real.reading() as transaction:
            found = transaction.rows(sql, parameters)
        return [tuple(bytes(value) if isinstance(value, memoryview) else value for value in row) for row in found]

    def envelopes(self) -> list[StoredEnvelope]:
        """Every stored event in order of position, through the port that readers use."""
        with self.database.real.reading() as transaction:
            return read_shard(transaction, self.shard, 0, 1_000_000)

    def stored(self, account: str | None = None) -> list[dict[str, Any]]:
        """Every envelope as plain JSON, of all customers or of one account, in order of position."""
        found = [json.loads(envelope.envelope) for envelope in self.envelopes()]
        return [e for e in found if (e["account"] == account if account else e["account"] != "system")]

    def stored_of(self, account: str) -> list[dict[str, Any]]:
        """One account's envelopes, read by its own index: the quick way where a store holds many accounts."""
        rows = self.rows("SELECT envelope FROM events WHERE account = ? ORDER BY account_version", account)
        return [json.loads(row[0]) for row in rows]

    def types(self, account: str | None = None) -> list[str]:
        return [envelope["type"] for envelope in self.stored(account)]

    def claims(self) -> list[dict[str, Any]]:
        """The claims as recorded, in the shape of contract §3 and of the oracle."""
        return claims_in(self.stored())

    def amounts(self) -> dict[str, str]:
        """What each claim comes to, net."""
        return {claim["claim_id"]: claim["amount"] for claim in self.claims()}

    def alarms(self) -> list[dict[str, Any]]:
        """The alarms that stand, as they were raised, in order."""
        return alarms_in(self.stored())

    def waiting(self) -> list[tuple[str, str]]:
        """Which messages wait, and for what."""
        return sorted(self.rows("SELECT id, waits_for FROM waiting"))

    def content(self) -> dict[str, list[Row]]:
        """Every row of every table."""
        return {table: sorted(self.rows(f"SELECT * FROM {table}"), key=repr) for table in STORE_TABLES}

    def check_positions(self) -> int:
        """Positions count from 1 without a hole, and so do each account's and each stream's versions."""
        found = self.rows(
            "SELECT position, account, account_version, stream, stream_version FROM events ORDER BY position"
        )
        accounts: Counter[str] = Counter()
        streams: Counter[str] = Counter()
        for expected, (position, account, account_version, stream, stream_version) in enumerate(found, 1):
            accounts[account] += 1
            streams[stream] += 1
            assert (position, account_version, stream_version) == (expected, accounts[account], streams[stream])
        heads = dict(self.rows("SELECT account, version FROM heads"))
        assert heads == dict(accounts)
        return len(found)


def claims_in(envelopes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The claims that stand after some envelopes: of each claim what was recorded last."""
    standing: dict[tuple[str, str], dict[str, Any]] = {}
    for envelope in envelopes:
        if envelope["type"] == "claim-assessed.v2":
            data, after = envelope["data"], envelope["data"]["after"]
            standing.pop((envelope["account"], data["claim_id"]), None)
            if after is not None:
                standing[envelope["account"], data["claim_id"]] = {
                    "claim_id": data["claim_id"],
                    "clause": data["clause"],
                    "account_id": envelope["account"],
                    "subscription_id": data["subscription_id"],
                    "charge_id": data["charge_id"],
                    "outcome": after["outcome"],
                    "amount": after["amount"],
                    "tax": after["tax"],
                    "currency": data["currency"],
                    "reason": after["reason"],
                }
    return [standing[key] for key in sorted(standing)]


def alarms_in(envelopes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The alarms that stand after some envelopes."""
    standing: dict[str, dict[str, Any]] = {}
    for envelope in envelopes:
        if envelope["type"] in {"alarm-raised.v1", "alarm-cleared.v1"}:
            alarm = {name: value for name, value in envelope["data"].items() if name != "now"}
            key = json.dumps([envelope["account"], alarm])
            if envelope["type"] == "alarm-raised.v1":
                assert key not in standing, "an alarm is raised once"
                standing[key] = {"account": envelope["account"], **alarm}
            else:
                del standing[key]
    return [standing[key] for key in sorted(standing)]


def oracle_agreements(*, money: bool = False) -> list[str]:
    """The texts of all agreements that the oracle's histories name."""
    return list(histories.agreement_texts(money=money).values())
