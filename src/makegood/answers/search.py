"""A customer is found: by an id of theirs, or by their e-mail address, name or telephone number (decision 0053)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import Field
from typing_extensions import TypedDict

from ledger.finding import sought_by
from ledger.store.database import Transaction
from ledger.store.reading.heads import account_version
from ledger.store.reading.page import Listed, Order, Page, in_memory
from ledger.store.reading.vault_index import accounts_found
from ledger.values import SYSTEM_ACCOUNT, is_identifier
from makegood.access.sight import Sight
from makegood.answers.customer import name_and_email
from makegood.answers.of_all_shards import of_all_shards
from makegood.house.opening import House
from projections.found_by_id import IdKind, accounts_with

By = Literal["account", "claim", "credit", "email", "name", "number", "refund", "subscription"]
ORDER: Order = {"account": str, "by": str}
PAGE = 500
"""So many accounts are looked for at once where all are asked for."""


class Found(TypedDict):
    """An account that was found, and by what: `makegood find`."""

    account_id: str
    by: Annotated[By, Field(description="The kind of id or word that the account has.")]
    id: Annotated[str | None, Field(description="The id by which it was found; null where it was found by words.")]
    name: Annotated[
        str | None,
        Field(description="The customer's name; null where it is gone, and for those who may not read words."),
    ]
    email: Annotated[str | None, Field(description="The customer's e-mail address; null likewise.")]


@of_all_shards
def search(house: House, sight: Sight, text: str, *, page: Page | None = None) -> Listed[Found]:
    """The accounts that have an id, or whose customer has or had an e-mail address, a name or a telephone number: by
    account, then by what they are found by.

    A name is found by its words in any order, without accents and capitals; a number in any spelling, with its
    country code or without. The words are those of the vault: of an erased account none are left. Each account whose
    customer is named counts as a look at words. Raises VaultMismatch and StoreError.
    """
    with house.database.reading() as transaction:
        text = text.strip()
        found = _found(house, sight, transaction, text, page)
        return found.told(_shown(house, sight, transaction, text, *each) for each in found)


def _found(
    house: House, sight: Sight, transaction: Transaction, text: str, page: Page | None
) -> Listed[tuple[str, By]]:
    if page is not None:
        after = str(page.after[0]) if page.after is not None else ""
        rows = sorted(_each(house, sight, transaction, text, after, page.limit + 2))
        return in_memory(rows, lambda row: row, page)
    every: list[tuple[str, By]] = []
    part = Page(PAGE)
    while True:
        some = _found(house, sight, transaction, text, part)
        every += some
        if some.next is None:
            return Listed(every, keys=every)
        part = Page(PAGE, some.next)


def _each(
    house: House, sight: Sight, transaction: Transaction, text: str, from_account: str, limit: int
) -> Iterator[tuple[str, By]]:
    """So many accounts of each kind of finding: of a page one more than it has, and the one that it goes on after."""

    def seen(accounts: list[str], by: By) -> Iterator[tuple[str, By]]:
        return ((each, by) for each in accounts if sight.accounts is None or each in sight.accounts)

    if text >= from_account and _is_account(sight, transaction, text):
        yield from seen([text], "account")
    for kind in get_args(IdKind):
        accounts = accounts_with(
            transaction, kind, text, from_account=from_account, limit=limit, goodwill=sight.goodwill
        )
        yield from seen(accounts, kind)
    for sought in sought_by(text):
        accounts = accounts_found(transaction, house.vault, sought, from_account=from_account, limit=limit)
        yield from seen(accounts, sought.kind)


def _is_account(sight: Sight, transaction: Transaction, text: str) -> bool:
    known = is_identifier(text) and account_version(transaction, text) > 0
    return known and (text != SYSTEM_ACCOUNT or sight.system)


def _shown(house: House, sight: Sight, transaction: Transaction, text: str, account: str, by: By) -> Found:
    name, email = name_and_email(house, sight, transaction, account)
    if name or email:
        house.looked("words", account)
    return {
        "account_id": account,
        "by": by,
        "id": None if by in ("email", "name", "number") else text,
        "name": name,
        "email": email,
    }
