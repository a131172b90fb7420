"""Which accounts were erased, and what subjects of the vault are an account's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from ledger.events import DiscrepancyFound, LedgerEvent
from ledger.store.database import Transaction
from ledger.store.instants import from_microseconds
from ledger.store.reading.events import events_of_streams, events_of_type
from ledger.values import SYSTEM_ACCOUNT, stream_name
from ledger.vault import customer_subject, dead_letter_subject, discrepancy_subject, set_aside_subject


def erased_at(transaction: Transaction, account: str) -> datetime | None:
    """When an account was erased; None where it was not."""
    rows = transaction.rows("SELECT erased_at FROM erasures WHERE account = ?", (account,))
    return from_microseconds(rows[0][0]) if rows else None


def erased_accounts(transaction: Transaction, accounts: Collection[str] | None = None) -> set[str]:
    """Those of some accounts that were erased; all that were where none are named."""
    if accounts is None:
        rows = transaction.rows("SELECT account FROM erasures")
    else:
        rows = transaction.rows_in("SELECT account FROM erasures WHERE account IN (?*)", sorted(accounts))
    return {account for (account,) in rows}


def erased_among(transaction: Transaction, subjects: Collection[str]) -> set[str]:
    """Those of some subjects of the vault that are an erased account's."""
    found: set[str] = set()
    for subject_of, accounts_of in _KINDS:
        prefix = subject_of("")
        ids = [subject.removeprefix(prefix) for subject in subjects if subject.startswith(prefix)]
        if ids:
            account_of = accounts_of(transaction, ids)
            erased = erased_accounts(transaction, set(account_of.values()))
            found |= {subject_of(id_) for id_, account in account_of.items() if account in erased}
    return found


def subjects_of(transaction: Transaction, accounts: Collection[str]) -> dict[str, list[str]]:
    """The subjects of the vault under which something is said of accounts, an account's own first: by account.

    Dead letters and messages set aside are an account's where they could be read that far; the words of people about
    a discrepancy are those of the account that it was found for.
    """
    found = {account: [customer_subject(account)] for account in accounts}
    for table, column, subject in (
        ("dead_letters", "dead_letter_id", dead_letter_subject),
        ("set_aside", "set_aside_id", set_aside_subject),
    ):
        for account, id_ in transaction.rows_in(
            f"SELECT account, {column} FROM {table} WHERE account IN (?*) ORDER BY position", sorted(accounts)
        ):
            found[account].append(subject(id_))
    discrepancies = events_of_type(transaction, SYSTEM_ACCOUNT, DiscrepancyFound)
    for id_, account in _accounts_of(event for _, event in discrepancies).items():
        if account in found:
            found[account].append(discrepancy_subject(id_))
    return found


def entries_of(transaction: Transaction, subjects: Collection[str]) -> dict[str, int]:
    """How many entries the vault has of some subjects; nothing of a subject that has none."""
    counted: dict[str, int] = defaultdict(int)
    for (subject,) in transaction.rows_in("SELECT subject FROM vault WHERE subject IN (?*)", sorted(subjects)):
        counted[subject] += 1
    return counted


def _themselves(_: Transaction, accounts: Collection[str]) -> dict[str, str]:
    return {account: account for account in accounts}


def _of_dead_letters(transaction: Transaction, ids: Collection[str]) -> dict[str, str]:
    return dict(
        transaction.rows_in(
            "SELECT dead_letter_id, account FROM dead_letters WHERE dead_letter_id IN (?*) AND account IS NOT NULL",
            sorted(ids),
        )
    )


def _of_set_aside(transaction: Transaction, ids: Collection[str]) -> dict[str, str]:
    return dict(
        transaction.rows_in("SELECT set_aside_id, account FROM set_aside WHERE set_aside_id IN (?*)", sorted(ids))
    )


def _of_discrepancies(transaction: Transaction, ids: Collection[str]) -> dict[str, str]:
    of_each = events_of_streams(transaction, [stream_name("discrepancy", id_) for id_ in ids])
    return _accounts_of(stored.event() for stored in of_each)


def _accounts_of(events: Iterable[LedgerEvent]) -> dict[str, str]:
    """The accounts of discrepancies, by id, as far as one is known."""
    found = (event.data for event in events if isinstance(event, DiscrepancyFound))
    return {data.discrepancy_id: data.account_id for data in found if data.account_id is not None}


_KINDS: tuple[tuple[Callable[[str], str], Callable[[Transaction, Collection[str]], dict[str, str]]], ...] = (
    (customer_subject, _themselves),
    (dead_letter_subject, _of_dead_letters),
    (set_aside_subject, _of_set_aside),
    (discrepancy_subject, _of_discrepancies),
)
