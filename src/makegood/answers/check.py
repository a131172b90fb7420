"""Whether every account's books keep their laws: `makegood check` (policy §7, contract §3b)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from typing_extensions import TypedDict

from ledger.aggregates.laws import Broken
from ledger.application.acts import By
from ledger.application.checking import Books, check_books, note_broken
from ledger.store.reading.events import account_pages, how_many_accounts, read_accounts
from ledger.values import SYSTEM_ACCOUNT
from makegood.answers.unknown import check_account
from makegood.house.opening import House
from projections.catalog import CATALOG
from projections.comparing import differences_of

AT_ONCE = 100
"""So many accounts are read at once: their events are in memory together."""


class BrokenLaw(TypedDict):
    """A law that an account's books break: what something should come to, and what it does."""

    law: str
    account_id: str
    currency: str | None
    about: str
    expected: str
    found: str


class Checked(TypedDict):
    """The result of a check of the books."""

    ok: bool
    accounts: int
    broken: list[BrokenLaw]


def check(
    house: House,
    *,
    account: str | None = None,
    by: By | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Checked:
    """Check all accounts, or one. With `by` what is found is an alarm that stops the account's payouts, and what
    holds again stops them no more; without it nothing is written."""
    of_each = [_check(each, account, by, progress) for each in house.every]
    return {
        "ok": all(each["ok"] for each in of_each),
        "accounts": sum(each["accounts"] for each in of_each),
        "broken": [broken for each in of_each for broken in each["broken"]],
    }


def _check(house: House, account: str | None, by: By | None, progress: Callable[[int, int], None]) -> Checked:
    broken: list[BrokenLaw] = []
    done = 0
    if account is not None:
        check_account(house.database, account)
    with house.database.reading() as transaction:
        of = how_many_accounts(transaction) - 1 if account is None else 1
    for page in account_pages(house.database, AT_ONCE) if account is None else [[account]]:
        page = [each for each in page if each != SYSTEM_ACCOUNT]
        for account_id, books in _checked(house, page).items():
            broken += [_told(account_id, each) for each in books.broken]
            if by is not None and {each.law for each in books.broken} != books.noted:
                note_broken(house.ledger, account_id, {each.law for each in books.broken}, by)
        done += len(page)
        progress(done, max(of, done))
    if by is not None:
        house.projections.catch_up()
    return {"ok": not broken, "accounts": done, "broken": broken}


def _checked(house: House, accounts: Sequence[str]) -> dict[str, Books]:
    """The books of some accounts, with their projections, in one state of the store."""
    with house.database.reading() as transaction:
        catalogue = house.ledger.catalogue(transaction)
        events = read_accounts(transaction, accounts)
        differing = differences_of(transaction, CATALOG, events)
    found = {
        account: check_books(account, [stored.event() for stored in of_account], catalogue)
        for account, of_account in events.items()
    }
    for each in differing:
        rows = ", ".join(f"{count} of {table}" for table, count in sorted(each.rows.items()))
        found[each.account].broken.append(
            Broken("projections", f"{each.projection}: {rows}", None, each.expected, each.found)
        )
    return found


def _told(account_id: str, broken: Broken) -> BrokenLaw:
    return {
        "law": broken.law,
        "account_id": account_id,
        "currency": broken.currency,
        "about": broken.about,
        "expected": broken.expected,
        "found": broken.found,
    }
