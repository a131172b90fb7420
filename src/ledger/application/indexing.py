"""The vault's index is held to what the vault says, and filled where it lacks anything (decision 0053)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from ledger.application.ledger import Ledger
from ledger.store.database import Transaction
from ledger.store.reading.vault import entries_after, every_entry
from ledger.store.reading.vault_index import WHOLE_INDEX, entries_of_nothing, index_is_whole, index_of
from ledger.store.writing import INDEX_COLUMNS, hold_heads
from ledger.vault import Damaged, Gone, IndexEntry, Vault, VaultEntry, customer_subject

Progress = Callable[[int], None]
"""Told how many entries of the vault were looked at."""


@dataclass(slots=True)
class IndexDiffers:
    """How the index differs from the vault: `missing` in it, and `unfounded`, which no entry of the vault says.

    `entries` of the vault were looked at, of which so many were `unreadable` and nobody is found by them.
    """

    entries: int = 0
    missing: int = 0
    unfounded: int = 0
    unreadable: int = 0


def check_index(ledger: Ledger, on_progress: Progress = lambda done: None) -> IndexDiffers:
    """Compare the index with all that the vault says of customers. Raises VaultMismatch and StoreError."""
    found = IndexDiffers()
    with ledger.database.reading() as transaction:
        for entries in every_entry(transaction):
            _compare(transaction, ledger.vault, entries, found)
            on_progress(found.entries)
        found.unfounded += entries_of_nothing(transaction)
    return found


def fill_index(ledger: Ledger, on_progress: Progress = lambda done: None) -> IndexDiffers:
    """Have the index say what the vault does: how it differed. What is cut short is begun again.

    Raises VaultMismatch, Conflict and StoreError.
    """
    found = IndexDiffers()
    key = ledger.vault.index_key_name()
    entries: list[VaultEntry] = []
    while entries := _next(ledger, entries):
        _fill(ledger, entries, found)
        on_progress(found.entries)
    with ledger.database.writing() as writing:
        unfounded = entries_of_nothing(writing)
        if unfounded:
            writing.run(
                "DELETE FROM vault_index WHERE NOT EXISTS (SELECT 1 FROM vault WHERE vault.ref = vault_index.ref) "
                "OR EXISTS (SELECT 1 FROM vault_lost WHERE vault_lost.ref = vault_index.ref)"
            )
        found.unfounded += unfounded
        writing.run(
            "INSERT INTO store (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (WHOLE_INDEX, key),
        )
    return found


def fill_if_not_whole(ledger: Ledger, on_progress: Progress = lambda done: None) -> IndexDiffers | None:
    """Fill the index of a store that had none, or whose key was lost; None where it is whole."""
    with ledger.database.reading() as transaction:
        if index_is_whole(transaction):
            return None
    return fill_index(ledger, on_progress)


def _next(ledger: Ledger, before: Sequence[VaultEntry]) -> list[VaultEntry]:
    with ledger.database.reading() as transaction:
        return entries_after(transaction, before[-1] if before else None)


def _fill(ledger: Ledger, entries: Sequence[VaultEntry], found: IndexDiffers) -> None:
    """The accounts' heads are held, so that none of them is erased between reading its words and writing of them."""
    accounts = {account for entry in entries if (account := _account(entry)) is not None}
    with ledger.database.writing() as writing:
        hold_heads(writing, accounts)
        there = _there(writing, entries)
        missing, unfounded = _compare(writing, ledger.vault, there, found)
        writing.delete(
            "vault_index", ("token", "account", "ref"), [(each.token, each.account, each.ref) for each in unfounded]
        )
        writing.insert("vault_index", INDEX_COLUMNS, [(i.token, i.kind, i.account, i.ref) for i in missing])


def _there(writing: Transaction, entries: Sequence[VaultEntry]) -> list[VaultEntry]:
    """Those that were not erased since they were read."""
    rows = writing.rows_in("SELECT ref FROM vault WHERE ref IN (?*)", [entry.ref for entry in entries])
    there = {ref for (ref,) in rows}
    return [entry for entry in entries if entry.ref in there]


def _compare(
    transaction: Transaction, vault: Vault, entries: Sequence[VaultEntry], found: IndexDiffers
) -> tuple[list[IndexEntry], list[IndexEntry]]:
    """What the index lacks of some entries of the vault, and what it has of them that they do not say."""
    said: set[IndexEntry] = set()
    for entry in entries:
        account = _account(entry)
        if account is not None:
            try:
                said |= set(_words_of(vault, entry, account))
            except (Gone, Damaged):
                found.unreadable += 1
    indexed = index_of(transaction, [entry.ref for entry in entries])
    missing, unfounded = said - indexed, indexed - said
    found.entries += len(entries)
    found.missing += len(missing)
    found.unfounded += len(unfounded)
    return sorted(missing, key=_place), sorted(unfounded, key=_place)


def _place(entry: IndexEntry) -> tuple[str, bytes]:
    return entry.ref, entry.token


def _words_of(vault: Vault, entry: VaultEntry, account: str) -> list[IndexEntry]:
    content = from_json(vault.decrypt(entry))
    return vault.index(entry.ref, account, content) if isinstance(content, dict) else []


def _account(entry: VaultEntry) -> str | None:
    prefix = customer_subject("")
    return entry.subject.removeprefix(prefix) if entry.subject.startswith(prefix) else None
