"""Messages from a file or a request, of which one may keep failing: it is set aside, and the others go on."""

from __future__ import annotations

from collections.abc import Sequence

from consumers.part import reason_of
from ledger.application.kept import set_aside
from ledger.application.ledger import Ledger
from ledger.application.record import take
from ledger.application.statement import Refusal, Statement, Taken
from ledger.store.database import Conflict, Unavailable

SET_ASIDE_MAX = 10
"""So many messages of a file or a request are set aside; if yet another fails, it is we who are wrong."""


def take_apart(ledger: Ledger, items: Sequence[Statement | Refusal], taken: Taken) -> None:
    """Take a batch in one transaction, and add to `taken` what became of it.

    Where it fails, and not for a passing cause, it is taken by halves, until what fails alone is set aside.
    """
    try:
        of_batch = take(ledger, items)
    except (Conflict, Unavailable):
        raise
    except Exception as error:
        if len(items) > 1:
            take_apart(ledger, items[: len(items) // 2], taken)
            take_apart(ledger, items[len(items) // 2 :], taken)
            return
        [item] = items
        if isinstance(item, Refusal) or taken.set_aside >= SET_ASIDE_MAX:
            raise
        set_aside(ledger, item, reason_of(error), None)
        taken.read += 1
        taken.set_aside += 1
        taken.each.append("set aside")
    else:
        taken.read += of_batch.read
        taken.accepted += of_batch.accepted
        taken.duplicates += of_batch.duplicates
        taken.refused += of_batch.refused
        taken.each += of_batch.each
