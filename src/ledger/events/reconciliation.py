"""Events of reconciliation: what a payment processor's file came to, and the discrepancies with what stands here.

They belong to the account `system`. Of a file nothing is taken but ids, references, amounts, days and statuses: what
a processor writes beside them may name people.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from ledger.events.envelope import Amount, Decision, Sealed, Stored

FileFormat = Literal["makegood", "stripe"]
"""Whose columns a file has: our own, or those of Stripe's balance reports."""
DiscrepancyKind = Literal["missing_there", "unknown_here", "differing", "duplicate"]
PayoutStatus = Literal["submitted", "succeeded", "failed"]
"""How a payout stands, here and in a file: a processor that has not finished says `submitted`."""
DifferingField = Literal["amount", "currency", "reference", "status"]
SettledBy = Literal["person", "match"]


class FileReconciled(Decision):
    """A processor's file was compared with what went out here.

    `sha256` is that of its bytes, `first_day` and `last_day` the period for which it was compared, both included.
    `matched` are the rows without a discrepancy, `settled` those whose discrepancy a person had settled before,
    `ignored` those that are no refunds, or refunds that failed and are not known here, `unreadable` those that could
    not be read. The others are the discrepancies that were open then. `position` says up to where the ledger was
    read, as `Reached` writes it.
    """

    stored_as = "file-reconciled.v1"

    class Data(Stored):
        sha256: str
        format: FileFormat
        first_day: date
        last_day: date
        rows: int
        matched: int
        settled: int
        ignored: int
        unreadable: int
        missing_there: int
        unknown_here: int
        differing: int
        duplicates: int
        position: str

    data: Data


class PayoutStanding(Stored):
    """A payout as one side has it, gross. A file states `day`, the date of its row."""

    amount: Amount
    currency: str
    status: PayoutStatus
    reference: str | None
    day: date | None


class DiscrepancyFound(Decision):
    """A processor's file and the ledger do not say the same of a payout; it stands until it is settled.

    `here` is null where nothing here is known of it, `there` where the file does not have it. `account_id` is null
    where no account is known. `line` is that of the row in the file.
    """

    stored_as = "discrepancy-found.v1"

    class Data(Stored):
        discrepancy_id: str
        kind: DiscrepancyKind
        account_id: str | None
        refund_id: str | None
        return_id: str | None
        differs: tuple[DifferingField, ...]
        here: PayoutStanding | None
        there: PayoutStanding | None
        sha256: str
        line: int | None

    data: Data


class DiscrepancySettled(Decision):
    """A discrepancy is settled: by a person, whose reason lies in the vault, or because both sides match by now."""

    stored_as = "discrepancy-settled.v1"

    class Data(Stored):
        discrepancy_id: str
        settled_by: SettledBy
        sealed: Sealed | None

    data: Data
