"""The event by which people looked at records. It says nothing of what they saw."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from ledger.events.envelope import Decision, Stored

LookedAt = Literal["words", "kept_message", "personal_data", "erasure", "export", "evidence"]
"""What was looked at: words that people wrote, a kept message's body, everything that is held about a customer, what
was destroyed of them, a list as a file, an evidence pack."""


class Look(Stored):
    """All looks of one person at one kind of record of one account; `account_id` is null for those of all accounts.

    `times` is how often they looked, and `records` how many records they were shown by it: words, bodies, events,
    rows, or entries of the vault.
    """

    by: str
    channel: str
    kind: LookedAt
    account_id: str | None
    times: int
    records: int


class RecordsLookedAt(Decision):
    """People looked at records between two instants. One event stands for many looks.

    A long-running process records them within seconds, a command before it ends.
    """

    stored_as = "records-looked-at.v1"

    class Data(Stored):
        begin: AwareDatetime
        end: AwareDatetime
        looks: tuple[Look, ...]

    data: Data
