"""The published versions of service agreements, and their texts."""

from __future__ import annotations

from typing import Any

from ledger.application.catalogue import Catalogue
from makegood.answers.unknown import Unknown
from makegood.house.opening import House


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
        raise Unknown(f"agreement {name} is not published; see `makegood agreement list`")
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
