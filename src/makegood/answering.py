"""Answers that are more than one query of the read side, given alike by the command line and over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.application.catalogue import Catalogue
from ledger.application.kept import Kept
from ledger.events import KeptAs
from ledger.vault import Erased
from makegood.house import House

ID_OF: Mapping[KeptAs, str] = {"dead-letter": "dead_letter_id", "set-aside": "set_aside_id"}
"""By which field each kind of kept message names its id."""


class Unknown(LookupError):
    """There is nothing of the name that was asked for; the message says where to look."""


def agreements(house: House) -> list[dict[str, Any]]:
    """The published versions of all agreements, by name and version."""
    return [
        {
            "name": a.terms.name,
            "version": a.terms.version,
            "valid_from": a.terms.valid_from.isoformat(),
            "sha256": a.sha256,
        }
        for a in _catalogue(house).all()
    ]


def agreement(house: House, name: str, version: int | None = None) -> dict[str, Any]:
    """The text that a version was published as; the newest version's unless one is named. Raises Unknown."""
    versions = {a.terms.version: a for a in _catalogue(house).all() if a.terms.name == name}
    if not versions:
        raise Unknown(f"no agreement {name} is published; see `makegood agreement list`")
    chosen = versions.get(version if version is not None else max(versions))
    if chosen is None:
        raise Unknown(f"agreement {name} has no version {version}; it has {', '.join(map(str, sorted(versions)))}")
    return {"name": name, "version": chosen.terms.version, "sha256": chosen.sha256, "text": chosen.text}


def _catalogue(house: House) -> Catalogue:
    """A catalogue of one's own: that of the ledger belongs to whoever records."""
    catalogue = Catalogue()
    with house.database.reading() as transaction:
        catalogue.refresh(transaction)
    return catalogue


def with_body(house: House, kept: KeptAs, row: Mapping[str, Any]) -> dict[str, Any]:
    """A kept message with what it said, None where that was erased."""
    try:
        body = Kept(kept, row[ID_OF[kept]], row["origin"]).body(house.ledger)
    except Erased:
        body = None
    return {**row, "body": body.decode(errors="backslashreplace") if body is not None else None}
