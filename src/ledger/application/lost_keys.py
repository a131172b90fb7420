"""Which vault is a store's: the vault of a store that an older version made, and one whose keys are lost for good.

What a store's vault can be is never guessed: every entry has to decrypt, or a person accepts what does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from ledger.aggregates import SystemRecord
from ledger.application.acts import Act, By, perform
from ledger.application.ledger import Ledger
from ledger.events import KeysLost
from ledger.store.database import Transaction
from ledger.store.reading.store import store_id
from ledger.store.reading.vault import VaultInStore, every_entry, find_bound
from ledger.store.schema import TABLES
from ledger.store.vault_keys import KeyDatabase, VaultMismatch
from ledger.store.writing import Writes
from ledger.values import SYSTEM_ACCOUNT, stream_name
from ledger.vault import (
    STORE_SUBJECT,
    Bound,
    Damaged,
    VaultEntry,
    customer_subject,
    dead_letter_subject,
    decrypted,
    lost_keys_subject,
    set_aside_subject,
)

ACCOUNTS_NAMED_MAX = 1_000
"""So many accounts an event names; of more it has the digest."""


@dataclass(slots=True)
class Unreadable:
    """What of a store nobody can read with the keys that are there: references by subject."""

    refs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    store_key: bool = False
    """Whether the store's own key is missing, though messages were digested with it."""
    readable: int = 0
    """How many entries can be read."""
    by_another_key: int = 0
    """How many entries cannot be read though their subject has a key."""

    def __bool__(self) -> bool:
        return bool(self.refs) or self.store_key

    @property
    def entries(self) -> int:
        """How many entries cannot be read."""
        return sum(map(len, self.refs.values()))

    @property
    def accounts(self) -> list[str]:
        """The accounts of customers of whom something cannot be read."""
        prefix = customer_subject("")
        return sorted(subject.removeprefix(prefix) for subject in self.refs if subject.startswith(prefix))

    def of_kind(self, subject: Callable[[str], str]) -> int:
        """How many subjects of a kind something cannot be read of."""
        return sum(each.startswith(subject("")) for each in self.refs)

    @property
    def kept_reasons(self) -> int:
        """How many subjects there are of no kind that is told apart: reasons of operators."""
        kinds = (customer_subject, dead_letter_subject, set_aside_subject)
        return len(self.refs) - sum(self.of_kind(kind) for kind in kinds)


def unreadable(ledger: Ledger, keys: KeyDatabase) -> Unreadable:
    """Try all that the vault stores and that is not known as lost. What was erased is not lost."""
    ledger.database.create(TABLES)
    found = Unreadable()
    with ledger.database.reading() as transaction:
        for entries in every_entry(transaction):
            _try(entries, keys, found)
        ring = keys.ring()
        subject = ring.store_subject if ring is not None else STORE_SUBJECT
        found.store_key = not keys.kept([subject]) and _digested(transaction)
    return found


def _try(entries: Sequence[VaultEntry], keys: KeyDatabase, found: Unreadable) -> None:
    there = keys.kept({entry.subject for entry in entries})
    for entry in entries:
        secret = there.get(entry.subject)
        if entry.subject in there and secret is None:
            continue
        if secret is not None and _decrypts(entry, secret):
            found.readable += 1
            continue
        found.refs[entry.subject].append(entry.ref)
        found.by_another_key += secret is not None


def _decrypts(entry: VaultEntry, secret: bytes) -> bool:
    try:
        decrypted(entry, secret)
    except Damaged:
        return False
    return True


def _matches(keys: KeyDatabase) -> bool:
    try:
        keys.check()
    except VaultMismatch:
        return False
    return True


def _digested(transaction: Transaction) -> bool:
    """Whether anything was digested with the store's own key."""
    return any(
        transaction.rows(f"SELECT 1 FROM {table} LIMIT 1")
        for table in ("inbox", "requests", "dead_letters", "set_aside")
    )


def bind_older(ledger: Ledger, keys: KeyDatabase) -> None:
    """Bind the store of an older version, which knows no vault yet, to the key database that it is opened with.

    Raises VaultMismatch where a key is missing for anything that the store has, or the store's own.
    """
    ledger.database.create(TABLES)
    with ledger.database.reading() as transaction:
        if find_bound(transaction) is not None:
            return
        store = store_id(transaction)
    if not keys.is_there():
        raise VaultMismatch(f"the key database {keys.address} is missing or empty")
    found = unreadable(ledger, keys)
    if _is_anothers(keys, found):
        raise VaultMismatch(_ANOTHERS.format(keys.address))
    if found:
        raise VaultMismatch(
            f"the key database at {keys.address} is empty or older than the store: keys of {len(found.refs)} "
            "customers or kept messages are missing"
        )
    writes = Writes(bound=keys.bind(store))
    with ledger.database.writing() as transaction:
        writes.write_before_events(transaction)


_ANOTHERS = "the key database at {} is another store's: none of its keys decrypts anything of this store"


def _is_anothers(keys: KeyDatabase, found: Unreadable) -> bool:
    """Whether keys of which no store is known are another store's."""
    return keys.ring() is None and not found.readable and bool(found.by_another_key)


def accept_loss(ledger: Ledger, keys: KeyDatabase, reason: str, by: By) -> tuple[Unreadable, bool]:
    """Accept that what cannot be read with the keys that are there is lost for good, and let the store go on with
    them; what is lost, and whether that was recorded: not where nothing is, and the vault is the store's.

    Subjects whose key is lost get a new one with their next data. Raises VaultMismatch where the key database is
    another store's, Conflict, and Unavailable.
    """
    found = unreadable(ledger, keys)
    with ledger.database.reading() as transaction:
        store, bound = store_id(transaction), find_bound(transaction)
    if bound is not None:
        keys.belongs_to(bound)
    if not found and bound is not None and _matches(keys):
        return found, False
    if _is_anothers(keys, found):
        raise VaultMismatch(_ANOTHERS.format(keys.address))
    # The keys come first, as ever; where this is cut short the store refuses its vault until it is done again.
    now_bound = keys.bind(store, new_store_key=found.store_key)
    loss_id, subject = now_bound.vault_id, lost_keys_subject(now_bound.vault_id)

    def decide(act: Act) -> None:
        act.writes.bound = now_bound
        act.writes.index_lost = found.store_key
        act.writes.lost = [(ref, loss_id) for refs in found.refs.values() for ref in refs]
        ledger.vault.prepare([subject], _Rebound(act.transaction, now_bound))
        sealed, entries = ledger.vault.seal(f"{subject}/reason", subject, {"reason": reason})
        act.writes.vault += entries
        accounts = found.accounts
        data = KeysLost.Data(
            loss_id=loss_id,
            customers=len(accounts),
            dead_letters=found.of_kind(dead_letter_subject),
            set_aside=found.of_kind(set_aside_subject),
            reasons=found.kept_reasons,
            entries=found.entries,
            store_key=found.store_key,
            accounts=accounts if len(accounts) <= ACCOUNTS_NAMED_MAX else [],
            accounts_digest=_digest(accounts) if len(accounts) > ACCOUNTS_NAMED_MAX else None,
            sealed=sealed,
        )
        act.record(SystemRecord.empty(stream_name("lost-keys", loss_id)), KeysLost, data, by)

    perform(ledger, {SYSTEM_ACCOUNT}, decide)
    return found, True


def _digest(accounts: Sequence[str]) -> str:
    return sha256("\n".join(accounts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Rebound:
    """What a store will say of its vault once the loss is recorded."""

    transaction: Transaction
    now_bound: Bound

    def bound(self) -> Bound:
        return self.now_bound

    def with_ciphertext(self, subjects: Collection[str]) -> Collection[str]:
        return VaultInStore(self.transaction).with_ciphertext(subjects)

    def erased(self, subjects: Collection[str]) -> Collection[str]:
        return VaultInStore(self.transaction).erased(subjects)
