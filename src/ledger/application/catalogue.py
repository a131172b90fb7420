"""The agreements' catalogue, as far as it was read: which versions are published under a name."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

from ledger.agreement import PublishedAgreement, bindable, read_agreement
from ledger.store.database import Transaction


class Catalogue:
    """All published versions, kept between batches and refreshed when a name's count has changed."""

    def __init__(self) -> None:
        self._published: dict[str, dict[int, PublishedAgreement]] = defaultdict(dict)
        self._counts: dict[str, int] = {}

    def refresh(self, transaction: Transaction) -> None:
        """Read what was published since."""
        counts = {name: int(count) for name, count in transaction.rows("SELECT name, versions FROM catalogue")}
        changed = [name for name, count in counts.items() if self._counts.get(name) != count]
        if changed:
            for name, version, text in transaction.rows_in(
                "SELECT name, version, text FROM agreements WHERE name IN (?*)", changed
            ):
                self._published[name][version] = read_agreement(text)
        self._counts = counts

    def add(self, agreement: PublishedAgreement) -> None:
        """Have a version that was read elsewhere: in a catalogue of one's own, of which no store knows."""
        versions = self._published[agreement.terms.name]
        versions[agreement.terms.version] = agreement
        self._counts[agreement.terms.name] = len(versions)

    def count(self, name: str) -> int:
        """How many versions of an agreement are published."""
        return self._counts.get(name, 0)

    def version(self, name: str, version: int) -> PublishedAgreement:
        """A version that was bound once. Raises KeyError where the catalogue has lost it."""
        return self._published[name][version]

    def bindable(self, name: str, registered_on: date) -> PublishedAgreement | None:
        """The version that holds for a registration on a local date, if any is published."""
        return bindable(list(self._published[name].values()), registered_on)

    def all(self) -> list[PublishedAgreement]:
        """Every published version, by name and version."""
        return [
            self._published[name][version]
            for name in sorted(self._published)
            for version in sorted(self._published[name])
        ]
