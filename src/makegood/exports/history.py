"""An account's history as CSV: a row for each event, with columns for the amounts owed in each currency."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import get_args

from makegood.answers.history import HistoryEntry
from makegood.exports.comma_separated import harmless
from projections.movement_kinds import Owed

CSV = "text/csv; charset=utf-8; header=present"
_FIELDS = (
    *("position", "version", "recorded_at", "occurred_at", "kind", "type", "name", "summary", "because"),
    *("claims", "clauses", "agreements", "actor", "channel", "event_id", "cause", "cause_position", "stream"),
)
_AMOUNTS = (*get_args(Owed), "total")


def history_csv(rows: Sequence[HistoryEntry]) -> str:
    """The heading and the rows. No text is a formula to a spreadsheet."""
    currencies = sorted({amounts["currency"] for row in rows for amounts in row["owed"]})
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*_FIELDS, *(f"{name}_{currency}" for currency in currencies for name in _AMOUNTS)))
    writer.writerows((*_said(row), *_owed(row, currencies)) for row in rows)
    return out.getvalue()


def _said(row: HistoryEntry) -> Iterator[str]:
    agreements = (f"{c['agreement']} {c['agreement_version']}" for c in row["claims"] if c["agreement"] is not None)
    several = {
        "claims": " ".join(claim["claim_id"] for claim in row["claims"]),
        "clauses": " ".join(dict.fromkeys(claim["clause"] for claim in row["claims"])),
        "agreements": ", ".join(dict.fromkeys(agreements)),
    }
    fields = {**row, **several}
    for name in _FIELDS:
        value = fields[name]
        yield harmless(str(value)) if value is not None else ""


def _owed(row: HistoryEntry, currencies: Sequence[str]) -> Iterator[str]:
    by_currency = {amounts["currency"]: {**amounts} for amounts in row["owed"]}
    for currency in currencies:
        for name in _AMOUNTS:
            yield str(by_currency[currency][name]) if currency in by_currency else ""
