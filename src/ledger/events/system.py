"""What no account did: acts of the provider and of its operators, in the account `system` (design rule 13)."""

from __future__ import annotations

from datetime import date

from ledger.events.envelope import Decision, Stored


class AgreementPublished(Decision):
    """A version of a service agreement may be bound from now on. `text` is the published TOML, whole."""

    stored_as = "agreement-published.v1"

    class Data(Stored):
        name: str
        version: int
        valid_from: date
        sha256: str
        text: str

    data: Data
