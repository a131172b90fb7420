"""Messages that are kept in a store, as tests look at them."""

from ledger.store.database import Database
from ledger.store.reading.kept_messages import KeptMessage, kept_messages


def dead_letters(database: Database, *, closed: bool = True) -> list[KeptMessage]:
    with database.reading() as transaction:
        return kept_messages(transaction, "dead-letter", {}, closed=closed)


def set_aside(database: Database, *, closed: bool = True) -> list[KeptMessage]:
    with database.reading() as transaction:
        return kept_messages(transaction, "set-aside", {}, closed=closed)
