"""The returns that a processor is asked for one by one: how rows may change.

Whoever claims a return counts its attempts up and says until when nobody else may take it; from then on a change is
made only while the attempt is the same and the return is not answered. So who is too late changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from ledger.store.database import Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.asked_returns import COLUMNS, AskedReturn, returns_due


def queue_returns(transaction: Transaction, returns: Iterable[AskedReturn]) -> int:
    """Put returns into the queue; how many were new. One that is known stays as it is."""
    return transaction.insert(
        "asked_returns",
        COLUMNS,
        [
            (
                each.return_id,
                each.account,
                each.refund_id,
                each.payment_id,
                f"{each.amount:f}",
                each.currency,
                to_microseconds(each.queued_at),
                each.attempts,
                to_microseconds(each.queued_at),
                each.reference,
                each.last_error,
            )
            for each in returns
        ],
        new_only=True,
    )


def claim_returns(transaction: Transaction, now: datetime, until: datetime, limit: int) -> list[AskedReturn]:
    """Take the returns whose time has come, up to a limit, so that nobody else takes them until an instant."""
    claimed = []
    # In one order, so that two who claim at once do not wait for each other.
    for each in sorted(returns_due(transaction, now, limit), key=lambda due: due.return_id):
        mine = replace(each, attempts=each.attempts + 1, next_attempt_at=until)
        if _change(transaction, each, mine):
            claimed.append(mine)
    return claimed


def put_back(transaction: Transaction, claimed: AskedReturn, at: datetime, error: str | None) -> None:
    """Ask for a claimed return again at an instant; `error` is a code of ours that says why."""
    _change(transaction, claimed, replace(claimed, next_attempt_at=at, last_error=error))


def keep_under_way(transaction: Transaction, claimed: AskedReturn, reference: str, at: datetime) -> None:
    """The processor has a claimed return under way, by this reference: look at it again at an instant."""
    after = replace(claimed, reference=reference, next_attempt_at=at, last_error=None)
    _change(transaction, claimed, after)


def count_as_answered(transaction: Transaction, return_id: str) -> None:
    """What became of a return is recorded: nobody need ask for it again."""
    transaction.run(
        "UPDATE asked_returns SET next_attempt_at = NULL, last_error = NULL "
        "WHERE return_id = ? AND next_attempt_at IS NOT NULL",
        (return_id,),
    )


def _change(transaction: Transaction, before: AskedReturn, after: AskedReturn) -> bool:
    changed = transaction.run(
        "UPDATE asked_returns SET attempts = ?, next_attempt_at = ?, reference = ?, last_error = ? "
        "WHERE return_id = ? AND attempts = ? AND next_attempt_at IS NOT NULL",
        (
            after.attempts,
            None if after.next_attempt_at is None else to_microseconds(after.next_attempt_at),
            after.reference,
            after.last_error,
            before.return_id,
            before.attempts,
        ),
    )
    return changed == 1
