"""The ledger on a store: loads accounts, saves what is decided about them, and tells the time."""

from __future__ import annotations

import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime

from eventsourcing.application import Application
from eventsourcing.persistence import ApplicationRecorder, EventStore, Mapper

from ledger.application.account import Account
from ledger.application.catalogue import Catalogue
from ledger.application.gathering import Gathering
from ledger.application.snapshots import Snapshots
from ledger.application.statement import Became, Refusal, Statement
from ledger.application.warm import WarmAccounts
from ledger.events import LedgerEvent
from ledger.store.database import Database, Transaction
from ledger.store.instants import to_microseconds
from ledger.store.notice_queue import begin_after_what_is_there
from ledger.store.positions import FIRST_SHARD, check_number_of_shards
from ledger.store.reading.store import Clock, clock_in, is_sandbox, store_is_older
from ledger.store.reading.vault_index import WHOLE_INDEX
from ledger.store.recorders import EnvelopeMapper, LedgerRecorder, SealingEventStore, events_of
from ledger.store.schema import SCHEMA_VERSION, TABLES
from ledger.store.writing import Head, Writes, hold_heads, read_heads, read_waiting
from ledger.values import SYSTEM_ACCOUNT
from ledger.vault import Vault

TURNS = 64
"""How many accounts, at most, can be written about at once by those who take turns."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided about accounts: `events` in the order in which they were decided, and what else is written."""

    accounts: Collection[Account]
    events: list[LedgerEvent]
    writes: Writes


class Ledger(Application[str]):
    """The write side on one database. Clock and vault are handed in; several ledgers may share a database."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self.database = database
        self.vault = vault
        self._system_clock = clock
        self._is_sandbox: bool | None = None
        self._warm = WarmAccounts()
        self._catalogue = Catalogue()
        self.account_snapshots = Snapshots(vault, self._catalogue)
        self.gathering: Gathering[Statement | Refusal, Became] = Gathering()
        """Those who bring messages, each in a thread of its own."""
        self._turn = threading.RLock()
        self._turns = [threading.RLock() for _ in range(TURNS)]
        super().__init__(env={})

    def construct_mapper(self) -> Mapper[str]:
        """What is stored is the envelope, whole."""
        return EnvelopeMapper()

    def construct_recorder(self) -> ApplicationRecorder:
        """Our own recorder: gapless positions, and everything a batch brings in one transaction."""
        return LedgerRecorder(self.database)

    def construct_event_store(self) -> EventStore[str]:
        """Seals envelopes into their accounts' chains."""
        return SealingEventStore(self.mapper, self.recorder)

    # --- the store -----------------------------------------------------------------------------------------------

    def create_store(self, *, sandbox: bool, shards: int = 1, shard: int = FIRST_SHARD) -> None:
        """Create the tables in an empty database, for one of so many shards for ever, and its vault.

        The vault's own commit is the first: a store without a vault is never there. Raises Conflict where there is a
        store already, VaultMismatch where the key database has another store's keys, and ValueError for a number of
        shards that no store has.
        """
        check_number_of_shards(shards)
        self.database.create(TABLES)
        bound = self.vault.begin(secrets.token_hex(8))
        with self.database.writing() as transaction:
            transaction.insert(
                "store",
                ("name", "value"),
                [
                    ("schema", str(SCHEMA_VERSION)),
                    ("shards", str(shards)),
                    ("shard", str(shard)),
                    ("sandbox", "yes" if sandbox else "no"),
                    ("id", bound.store_id),
                    (WHOLE_INDEX, self.vault.index_key_name()),
                ],
            )
            transaction.insert(
                "vault_bound", ("vault_id", "serial", "mark"), [(bound.vault_id, bound.last.number, bound.last.mark)]
            )

    def bring_up_to_date(self) -> bool:
        """Add the tables that an older version's store lacks; returns whether the store was an older one.

        All its accounts fall due: what older rules had settled is settled anew, once (policy §7). Raises what
        `store_is_older` raises, and NotPermitted where a table is missing that whoever runs the program may not
        create.
        """
        if not store_is_older(self.database):
            return False
        self.database.create(TABLES)
        with self.database.writing() as transaction:
            begin_after_what_is_there(transaction)
            now = to_microseconds(self.clock_in(transaction)())
            transaction.run(
                "UPDATE heads SET due_at = ? WHERE account <> ? AND (due_at IS NULL OR due_at > ?)",
                (now, SYSTEM_ACCOUNT, now),
            )
            transaction.run("UPDATE store SET value = ? WHERE name = 'schema'", (str(SCHEMA_VERSION),))
        return True

    def clock_in(self, transaction: Transaction) -> Clock:
        """The store's time: the system's, until a sandbox's clock is set, which then stands still."""
        return clock_in(transaction, self._system_clock) if self.is_sandbox(transaction) else self._system_clock

    def is_sandbox(self, transaction: Transaction) -> bool:
        """Whether the store is one for trials, which it is for ever or never."""
        if self._is_sandbox is None:
            self._is_sandbox = is_sandbox(transaction)
        return self._is_sandbox

    def now(self) -> datetime:
        """What time it is in this store."""
        with self.database.reading() as transaction:
            return self.clock_in(transaction)()

    # --- accounts ------------------------------------------------------------------------------------------------

    def catalogue(self, transaction: Transaction) -> Catalogue:
        """The published agreements."""
        self._catalogue.refresh(transaction)
        return self._catalogue

    def open_accounts(self, transaction: Transaction, account_ids: Iterable[str]) -> dict[str, Account]:
        """Accounts as of the transaction: warm ones whose head has not moved; the others are loaded, those that have
        no snapshot in one query.

        They are handed out for good; `save` takes them back when their changes are committed.
        """
        heads = read_heads(transaction, account_ids)
        accounts: dict[str, Account] = {}
        with self._turn:
            for account_id, head in heads.items():
                warm = self._warm.take(account_id)
                if warm is not None and warm.head == head:
                    accounts[account_id] = warm
        opened = {account_id: head for account_id, head in heads.items() if account_id not in accounts}
        if opened:
            # Who binds a warm account by what was published before hears of it when it is written, and opens it anew.
            self._catalogue.refresh(transaction)
            accounts |= self._opened(transaction, opened)
        return {account_id: accounts[account_id] for account_id in heads}

    def _opened(self, transaction: Transaction, heads: Mapping[str, Head]) -> Iterator[tuple[str, Account]]:
        """Accounts that are not warm, by those of their events that come after a snapshot, or by all of them."""
        cold = {account_id: head for account_id, head in heads.items() if head.version}
        resumed = self.account_snapshots.open(transaction, cold) if cold else {}
        histories: dict[str, list[LedgerEvent]] = defaultdict(list)
        if whole := [account_id for account_id in cold if account_id not in resumed]:
            for event in events_of(transaction, whole):
                histories[event.account].append(event)
        waiting = read_waiting(transaction, cold) if cold else {}
        for account_id, head in heads.items():
            memory, events = resumed.get(account_id) or (None, histories[account_id])
            account = Account(head, self._catalogue, memory)
            if account_id in cold:
                account.replay(events, waiting[account_id])
                self.account_snapshots.note(head, len(events))
            yield account_id, account

    @contextmanager
    def turn(self, account_ids: Iterable[str]) -> Iterator[None]:
        """The turn to write about accounts. Nobody need take it, because the store lets only one of two writers
        through; but the other has decided in vain, and of many threads some would do so every time.
        """
        with ExitStack() as turns:
            for number in sorted({hash(account_id) % TURNS for account_id in account_ids}):
                turns.enter_context(self._turns[number])
            yield

    def decide(self, decide: Callable[[Transaction], Decided | None], held: Collection[str] = ()) -> None:
        """Decide about accounts as of one state of the store, and write it; where it is None, nothing.

        The heads of `held` are locked before anything is read: whoever else writes about them waits until this is
        done, and what is decided is not decided in vain. Raises Conflict where another writer was faster: the
        accounts are then spent, and must be opened and decided about anew.
        """
        if held:
            with self.database.writing() as transaction:
                hold_heads(transaction, held)
                decided = decide(transaction)
                changed = self._write(decided, transaction) if decided is not None else []
        else:
            with self.database.reading(by_keys=True) as transaction:
                decided = decide(transaction)
            changed = self._write(decided, None) if decided is not None else []
        self._keep_warm(changed)

    def _write(self, decided: Decided, within: Transaction | None) -> list[Account]:
        """Write it in a transaction of its own or within one; the accounts that changed."""
        writes = decided.writes
        changed = [account for account in decided.accounts if account.head_has_moved()]
        for account in changed:
            writes.heads[account.head.account] = account.head_move()
            for name, count in account.agreements_seen.items():
                writes.catalogue[name] = min(count, writes.catalogue.get(name, count))
            waiting = account.waiting_changes()
            if waiting is not None:
                writes.waiting[account.head.account] = waiting
            awaited = account.awaited_if_changed()
            if awaited is not None:
                writes.awaiting[account.head.account] = awaited
            approved = account.approved_if_changed()
            if approved is not None:
                writes.approved[account.head.account] = approved
        self.events.put(decided.events, writes=writes, within=within)
        return changed

    def _keep_warm(self, changed: Iterable[Account]) -> None:
        with self._turn:
            for account in changed:
                account.settled()
                self._warm.keep(account)
