"""The published versions of service agreements, and their texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from typing_extensions import TypedDict

from ledger.store.reading.page import Listed, Order, Page, in_memory
from makegood.answers.unknown import Unknown
from makegood.house.opening import House
from projections.shown_values import Hash, LocalDate

if TYPE_CHECKING:
    from ledger.application.catalogue import Catalogue


class Agreement(TypedDict):
    """A published version of a service agreement."""

    name: Annotated[str, Field(examples=["standard"])]
    version: int
    valid_from: LocalDate
    sha256: Hash


class AgreementText(TypedDict):
    """The published text of a version."""

    name: Annotated[str, Field(examples=["standard"])]
    version: int
    sha256: Hash
    text: Annotated[str, Field(description="TOML.")]


ORDER: Order = {"name": str, "version": int}


def agreements(house: House, page: Page | None = None) -> Listed[Agreement]:
    """The published versions of all agreements, by name and version."""
    published: list[Agreement] = [
        {
            "name": a.terms.name,
            "version": a.terms.version,
            "valid_from": a.terms.valid_from.isoformat(),
            "sha256": a.sha256,
        }
        for a in _catalogue(house).all()
    ]
    return in_memory(published, lambda each: (each["name"], each["version"]), page)


def agreement(house: House, name: str, version: int | None = None) -> AgreementText:
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
    from ledger.application.catalogue import Catalogue

    catalogue = Catalogue()
    with house.database.reading() as transaction:
        catalogue.refresh(transaction)
    return catalogue
