"""The vault: whether the key database is the store's, and what of it nobody can read any more (contract §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import KeysLost
from ledger.store.database import redacted
from ledger.store.reading.events import events_of_type
from ledger.values import SYSTEM_ACCOUNT, instant_to_text
from ledger.vault import dead_letter_subject, set_aside_subject
from makegood.answers.words import words_or_why_not
from makegood.house.opening import House, check_vault
from projections.shown_values import Instant

if TYPE_CHECKING:
    from ledger.application.indexing import IndexDiffers
    from ledger.application.lost_keys import Unreadable


class Counted(TypedDict):
    """What nobody can read any more, by kind."""

    customers: Annotated[int, Field(description="Customers with names, addresses, secrets or free text.")]
    dead_letters: Annotated[int, Field(description="Bodies of dead letters.")]
    set_aside: Annotated[int, Field(description="Bodies of messages set aside.")]
    reasons: Annotated[int, Field(description="Reasons that operators gave for what they closed.")]
    entries: Annotated[int, Field(description="Entries of the vault, in all.")]
    store_key: Annotated[bool, Field(description="The store's own key: messages that come again cannot be compared.")]
    accounts: Annotated[list[str], Field(description="The accounts of the customers.")]


class LossAccepted(Counted):
    """A loss of keys that a person accepted."""

    loss_id: str
    accepted_at: Instant
    accepted_by: str
    reason: str | None


class VaultStands(TypedDict):
    """The key database of a store, which matches it."""

    address: Annotated[str, Field(description="Without its password.")]
    vault_id: str
    store_id: str
    keys: Annotated[int, Field(description="The number of keys made so far.")]
    losses: list[LossAccepted]


class LossFound(Counted):
    """What `makegood vault accept-loss` found."""

    outcome: Annotated[str, Field(description="`accepted`, `would be accepted`, or `nothing is lost`.")]


class IndexChecked(TypedDict):
    """The index by which customers are found, compared with the vault: `makegood vault index`."""

    ok: Annotated[bool, Field(description="Whether nothing differed.")]
    entries: Annotated[int, Field(description="Entries of the vault that were compared.")]
    unreadable: Annotated[int, Field(description="Entries of customers that nobody can read any more.")]
    missing: Annotated[int, Field(description="Words that the index lacked.")]
    unfounded: Annotated[int, Field(description="Words that no entry of the vault says.")]
    repaired: bool


def index_checked(found: IndexDiffers, *, repaired: bool) -> IndexChecked:
    """How the index differed from the vault, as a command answers."""
    return {
        "ok": not found.missing and not found.unfounded,
        "entries": found.entries,
        "unreadable": found.unreadable,
        "missing": found.missing,
        "unfounded": found.unfounded,
        "repaired": repaired,
    }


def vault(house: House) -> VaultStands:
    """The key database, and the losses that were accepted, the oldest first. Raises VaultMismatch."""
    ring = check_vault(house)
    return {
        "address": redacted(house.settings.vault),
        "vault_id": ring.vault_id,
        "store_id": ring.store_id,
        "keys": ring.made,
        "losses": losses(house),
    }


def losses(house: House) -> list[LossAccepted]:
    """The losses that were accepted, the oldest first. Of very many accounts the event has a digest alone."""
    with house.database.reading() as transaction:
        events = [event for _, event in events_of_type(transaction, SYSTEM_ACCOUNT, KeysLost)]
    return [
        {
            "loss_id": event.data.loss_id,
            "accepted_at": instant_to_text(event.recorded_at),
            "accepted_by": event.actor,
            "reason": words_or_why_not(house, event.account, event.data.sealed, "reason"),
            "customers": event.data.customers,
            "dead_letters": event.data.dead_letters,
            "set_aside": event.data.set_aside,
            "reasons": event.data.reasons,
            "entries": event.data.entries,
            "store_key": event.data.store_key,
            "accounts": event.data.accounts,
        }
        for event in events
    ]


def found_lost(found: Unreadable, outcome: str) -> LossFound:
    """What nobody can read any more, as a command answers."""
    return {
        "outcome": outcome,
        "customers": len(found.accounts),
        "dead_letters": found.of_kind(dead_letter_subject),
        "set_aside": found.of_kind(set_aside_subject),
        "reasons": found.kept_reasons,
        "entries": found.entries,
        "store_key": found.store_key,
        "accounts": found.accounts,
    }


def in_words(found: Counted) -> str:
    """What nobody can read any more, in a sentence."""
    counts = (
        (found["customers"], "private data of customers: {}"),
        (found["dead_letters"], "bodies of dead letters: {}"),
        (found["set_aside"], "bodies of messages set aside: {}"),
        (found["reasons"], "reasons given by people: {}"),
    )
    parts = [said.format(count) for count, said in counts if count]
    if found["store_key"]:
        parts.append("whether a message that comes again says the same: by its id it counts as a duplicate")
    return f"lost for good: {'; '.join(parts)}" if parts else "nothing is lost"
