"""The vault's keys, in a database of their own (design rule 6)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from ledger.store.database import Database
from ledger.store.instants import to_microseconds
from ledger.store.schema import KEY_TABLES
from ledger.vault import KEY_BYTES, Erased


class KeyDatabase:
    """Makes, keeps and hands out keys; what it returns has been committed."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def create(self) -> None:
        """Create the table of keys."""
        self._database.create(KEY_TABLES)

    def of(self, subjects: Iterable[str]) -> Mapping[str, bytes]:
        """The keys of subjects; missing ones are made and committed. An erased subject is left out."""
        wanted = sorted(set(subjects))
        keys = self._known(wanted)
        missing = [subject for subject in wanted if subject not in keys]
        if missing:
            now = to_microseconds(self._clock())
            with self._database.writing() as transaction:
                transaction.run_each(
                    "INSERT INTO vault_keys (subject, key, created_at) VALUES (?, ?, ?) "
                    "ON CONFLICT (subject) DO NOTHING",
                    [(subject, os.urandom(KEY_BYTES), now) for subject in missing],
                )
            keys |= self._known(missing)
        return {subject: key for subject, key in keys.items() if key is not None}

    def count(self) -> int:
        """How many keys there are. Raises StoreError where there is no table of keys."""
        with self._database.reading() as transaction:
            return int(transaction.rows("SELECT COUNT(*) FROM vault_keys WHERE key IS NOT NULL")[0][0])

    def existing(self, subject: str) -> bytes | None:
        """A subject's key, None where it never had one. Raises Erased."""
        known = self._known([subject])
        if subject in known and known[subject] is None:
            raise Erased(f"the key of {subject} was erased: its data can no longer be read")
        return known.get(subject)

    def _known(self, subjects: list[str]) -> dict[str, bytes | None]:
        with self._database.reading() as transaction:
            rows = transaction.rows_in("SELECT subject, key FROM vault_keys WHERE subject IN (?*)", subjects)
        return {subject: bytes(key) if key is not None else None for subject, key in rows}
