"""Due work: what changes because time passes. A timer does it in production, `advance` in a sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from ledger.application.account import Account
from ledger.application.contention import Share, decide_in_parts
from ledger.application.gathering import GiveUp
from ledger.application.ledger import Decided, Ledger
from ledger.events import LedgerEvent
from ledger.store.database import StoreError, Transaction
from ledger.store.instants import from_microseconds, to_microseconds
from ledger.store.reading.store import is_sandbox
from ledger.store.writing import Writes
from ledger.values import SYSTEM_ACCOUNT, instant_to_text

ACCOUNTS_PER_BATCH = 500
EVENTS_PER_BATCH = 50_000
"""Accounts of so many events at most are opened together, or one that has more: they take some 2.5 KB each."""

Progress = Callable[[int, int], None]
"""Told how many accounts are done, of how many."""


class NotASandbox(StoreError):
    """The clock of a production store is the system's and cannot be set."""


class ClockGoesForward(StoreError):
    """A sandbox's clock, once set, only goes forward."""


def do_due_work(ledger: Ledger, until: datetime, failing: dict[str, Exception] | None = None) -> int:
    """Assess every account that falls due by an instant, each at its own due instants; returns how many.

    With `failing`, an account that cannot be assessed, and not for a passing cause, is put there with its error and
    left due, and those that are there already are passed over: nobody else waits for them.
    """
    done = 0
    while True:
        with ledger.database.reading() as transaction:
            rows = transaction.rows(
                "SELECT account, version FROM heads WHERE due_at <= ? ORDER BY due_at, account LIMIT ?",
                (to_microseconds(until), ACCOUNTS_PER_BATCH + len(failing or ())),
            )
        due = _of_few_events((account, version) for account, version in rows if account not in (failing or ()))
        if not due:
            return done
        done += _catch_up(ledger, due, until, failing)


def _of_few_events(accounts: Iterable[tuple[str, int]]) -> list[str]:
    """Those of some accounts, with the numbers of their events, that are opened together; one at least."""
    few: list[str] = []
    events = 0
    for account, version in accounts:
        events += version
        if few and events > EVENTS_PER_BATCH:
            break
        few.append(account)
    return few


def _catch_up(ledger: Ledger, due: Sequence[str], until: datetime, failing: dict[str, Exception] | None) -> int:
    """Assess accounts; how many that were. With `failing`, those that cannot be assessed are put there."""
    before = len(failing) if failing is not None else 0
    give_up = failing.__setitem__ if failing is not None else None
    _decide(ledger, due, lambda account: account.catch_up(until, until), give_up)
    return len(due) - (len(failing) - before if failing is not None else 0)


def next_due_at(ledger: Ledger) -> datetime | None:
    """When the next account falls due; None where nothing waits for time."""
    with ledger.database.reading() as transaction:
        rows = transaction.rows("SELECT due_at FROM heads WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1")
    return from_microseconds(rows[0][0]) if rows else None


def advance(ledger: Ledger, to: datetime, progress: Progress = lambda done, of: None) -> int:
    """Set a sandbox's clock, and do all that falls due on the way, in order of its instants.

    The first time the clock may be set to any instant, and everything is assessed anew there; later it only goes
    forward. Returns how many accounts were assessed. Raises NotASandbox or ClockGoesForward.
    """
    with ledger.database.reading() as transaction:
        if not is_sandbox(transaction):
            raise NotASandbox(
                "not a sandbox: the clock cannot be set; create a sandbox with `makegood init --sandbox`"
            )
        standing = transaction.rows("SELECT value FROM store WHERE name = 'clock'")
        half_set = bool(transaction.rows("SELECT 1 FROM store WHERE name = 'clock half set'"))
    if not standing or half_set:
        return _set_for_the_first_time(ledger, to, progress)
    if to < from_microseconds(int(standing[0][0])):
        raise ClockGoesForward(
            f"the clock stands at {instant_to_text(from_microseconds(int(standing[0][0])))} and only moves forward"
        )
    done = 0
    while (instant := next_due_at(ledger)) is not None and instant <= to:
        done += _do_at(ledger, instant)
        progress(done, done)
    _set_clock(ledger, to)
    return done


def _do_at(ledger: Ledger, instant: datetime) -> int:
    """Let the clock reach one due instant: every account that falls due then, and only then the next instant."""
    _set_clock(ledger, instant)
    return do_due_work(ledger, instant)


def _set_for_the_first_time(ledger: Ledger, to: datetime, progress: Progress) -> int:
    """Set the clock and assess every account anew; a mark stands meanwhile, so that a crash is no half-set clock."""
    with ledger.database.writing() as transaction:
        Writes(sandbox_clock=to).write_before_events(transaction)
        transaction.run(
            "INSERT INTO store (name, value) VALUES ('clock half set', 'yes') ON CONFLICT (name) DO NOTHING"
        )
    with ledger.database.reading() as transaction:
        accounts = sorted(row[0] for row in transaction.rows("SELECT account FROM heads") if row[0] != SYSTEM_ACCOUNT)
    for start in range(0, len(accounts), ACCOUNTS_PER_BATCH):
        _decide(ledger, accounts[start : start + ACCOUNTS_PER_BATCH], lambda account: account.assess_anew(to))
        progress(min(start + ACCOUNTS_PER_BATCH, len(accounts)), len(accounts))
    with ledger.database.writing() as transaction:
        transaction.run("DELETE FROM store WHERE name = 'clock half set'")
    return len(accounts)


def _set_clock(ledger: Ledger, to: datetime) -> None:
    with ledger.database.writing() as transaction:
        Writes(sandbox_clock=to).write_before_events(transaction)


def _decide(
    ledger: Ledger,
    account_ids: Sequence[str],
    decide: Callable[[Account], None],
    give_up: GiveUp[str] | None = None,
) -> None:
    """Decide about accounts, together or in parts, as others let us."""

    def attempt(shares: Sequence[Share[str]], held: bool) -> None:
        wanted = [account_id for share in shares for account_id in share.items]

        def decided(transaction: Transaction) -> Decided:
            accounts = ledger.open_accounts(transaction, wanted)
            events: list[LedgerEvent] = []
            for account in accounts.values():
                decide(account)
                events += account.collect()
            return Decided(accounts.values(), events, Writes())

        ledger.decide(decided, wanted if held else ())

    shares = [Share(frozenset([account_id]), (account_id,)) for account_id in account_ids]
    decide_in_parts(ledger, shares, attempt, give_up)
