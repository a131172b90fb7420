"""What is known of a customer in words is erased for good (design rule 6, decision 0048).

The erasure is recorded first, in the transaction that deletes what the vault has; then the keys are destroyed. Where
that is cut short, whoever starts next ends it: what is recorded is applied to the key database, and what only the key
database knows is recorded again, because then the store was restored from a backup of before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.aggregates import Erasure
from ledger.application.acts import Act, By, perform
from ledger.application.ledger import Ledger
from ledger.application.notice_delivery import discard_unsent
from ledger.application.requests import Request, carried_out, keep_request
from ledger.events import SubjectErased
from ledger.events.event_ids import event_id_of
from ledger.store.database import StoreError, Transaction
from ledger.store.reading.erasures import entries_of, erased_accounts, erased_at, subjects_of
from ledger.store.reading.events import events_of_type
from ledger.store.reading.heads import account_version
from ledger.store.reading.kept_messages import kept_left
from ledger.store.reading.notice_queue import notices_in
from ledger.store.reading.vault import VaultInStore
from ledger.store.writing import ErasedAccount
from ledger.values import SYSTEM_ACCOUNT, is_identifier
from ledger.vault import customer_subject, dead_letter_subject, erasure_subject, set_aside_subject

PART = By("/makegood/erasure", "erasure")
"""Who records an erasure again that a restored store had lost."""


class NothingKnown(StoreError):
    """Nothing was recorded for the account, and no message of it is kept."""


@dataclass(frozen=True, slots=True)
class InWords:
    """What is held of an account in words, or was: in all so many `entries` of the vault, those of kept messages
    among them, and e-mails that were not sent yet."""

    entries: int
    dead_letters: int
    set_aside: int
    notices: int


@dataclass(frozen=True, slots=True)
class Erased:
    """That an account was erased: what was destroyed, when, and whether by this call. `keys` were destroyed by it."""

    destroyed: InWords
    keys: int
    at: datetime
    now: bool


def held_in_words(transaction: Transaction, account: str) -> InWords:
    """What is held of an account in words. Raises NothingKnown."""
    subjects = subjects_of(transaction, [account])[account]
    known = bool(account_version(transaction, account)) or len(subjects) > 1
    if account == SYSTEM_ACCOUNT or not is_identifier(account) or not known:
        raise NothingKnown(f"account {account} not found: check the id; `makegood account` shows one that is known")
    entries = entries_of(transaction, subjects)
    return InWords(
        entries=sum(entries.values()),
        dead_letters=_with_body(entries, dead_letter_subject("")),
        set_aside=_with_body(entries, set_aside_subject("")),
        notices=len(notices_in(transaction, ("queued", "failed", "in_doubt"), account)),
    )


def _with_body(entries: dict[str, int], prefix: str) -> int:
    return sum(subject.startswith(prefix) for subject in entries)


def still_set_aside(transaction: Transaction, account: str) -> int:
    """How many messages of an account are set aside and open: erasing destroys their bodies unrecorded."""
    return kept_left(transaction, "set-aside", account).count


def erase(ledger: Ledger, account: str, basis: str | None, by: By, request: Request | None = None) -> Erased:
    """Erase what is known of an account in words, once; whoever asks again is told that it was done.

    Its facts and amounts stay, and so do the envelopes: what was proven before can be proven still. Without a basis
    it is recorded again. Raises NothingKnown, KeyReused, VaultMismatch, Conflict, and Unavailable.
    """

    def decide(act: Act) -> bool:
        if request is not None and carried_out(act.transaction, request) is not None:
            return True
        if erased_at(act.transaction, account) is not None:
            return False
        held = held_in_words(act.transaction, account)
        sealed = None
        if basis is not None:
            subject = erasure_subject(account)
            ledger.vault.prepare([subject], VaultInStore(act.transaction))
            sealed, entries = ledger.vault.seal(f"{subject}/basis", subject, {"basis": basis})
            act.writes.vault += entries
        discard_unsent(act, account, by)
        data = SubjectErased.Data(
            entries=held.entries,
            dead_letters=held.dead_letters,
            set_aside=held.set_aside,
            notices=held.notices,
            restored=basis is None,
            sealed=sealed,
        )
        erasure = Erasure.empty(account)
        act.record(erasure, SubjectErased, data, by)
        act.writes.erased = ErasedAccount(account, act.now())
        if request is not None:
            keep_request(act, request, account, event_id_of("decision", erasure.id, str(erasure.version)))
        return True

    ledger.vault.check()  # nothing is deleted whose keys could not be destroyed
    now = perform(ledger, {account}, decide)
    with ledger.database.reading() as transaction:
        subjects = subjects_of(transaction, [account])[account]
        keys = ledger.vault.erase(subjects, VaultInStore(transaction))
        at = erased_at(transaction, account)
        destroyed = recorded(transaction, account)
    assert at is not None, "it is recorded by now"
    return Erased(destroyed, keys, at, now)


def recorded(transaction: Transaction, account: str) -> InWords:
    """What was destroyed when an account was erased, as it was recorded."""
    [(_, event)] = events_of_type(transaction, account, SubjectErased)
    data = event.data
    return InWords(data.entries, data.dead_letters, data.set_aside, data.notices)


def apply_recorded(ledger: Ledger) -> list[str]:
    """Have store and key database agree on which accounts are erased, before anything else is done: the accounts of
    which something had to be made good.

    A key database that was restored from a backup of before an erasure loses its keys again; a store that was loses
    what the vault has again, and records that. Raises VaultMismatch, Conflict, and Unavailable.
    """
    tombstones = ledger.vault.erased_keys()
    with ledger.database.reading() as transaction:
        accounts = erased_accounts(transaction)
        lacking = [account for account in accounts if customer_subject(account) not in tombstones]
        if lacking:
            subjects = [subject for each in subjects_of(transaction, lacking).values() for subject in each]
            ledger.vault.erase(subjects, VaultInStore(transaction))
    again = [account for account in _accounts_of(tombstones) - accounts if _erase_again(ledger, account)]
    return sorted([*lacking, *again])


def _accounts_of(subjects: set[str]) -> set[str]:
    prefix = customer_subject("")
    return {subject.removeprefix(prefix) for subject in subjects if subject.startswith(prefix)}


def _erase_again(ledger: Ledger, account: str) -> bool:
    """Whether there was anything of the account: of one that the restored store does not know nothing is held."""
    try:
        return erase(ledger, account, None, PART).now
    except NothingKnown:
        return False
