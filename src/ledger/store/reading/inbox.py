"""Which messages were taken, and a keyed digest of what each said."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.store.database import Transaction


def digests_of(transaction: Transaction, ids: Sequence[str]) -> dict[tuple[str, str], str]:
    """The digests of the messages that were taken under some ids, by source and id."""
    rows = transaction.rows_in("SELECT source, id, digest FROM inbox WHERE id IN (?*)", ids)
    return {(source, message_id): digest for source, message_id, digest in rows}
