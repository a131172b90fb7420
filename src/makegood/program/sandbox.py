"""In a sandbox whoever started it signs in by links that stand in their terminal: one for each role."""

from __future__ import annotations

from ledger.application.acts import By
from ledger.store.database import Transaction
from ledger.store.reading.heads import accounts_by_code_point
from ledger.store.reading.page import Page
from ledger.store.reading.store import is_sandbox
from ledger.values import SYSTEM_ACCOUNT, Month
from makegood.access.sight import EVERYTHING
from makegood.access.sign_in_links import sandbox_links
from makegood.answers import owed
from makegood.house.actor import actor_of
from makegood.house.clock import system_clock
from makegood.house.opening import House


def sign_in_lines(house: House, address: str, account: str | None = None, month: Month | None = None) -> list[str]:
    """What a sandbox's terminal says of signing in at an address: a line for each role with its link, none where the
    store is no sandbox. The roles are granted by whoever runs the program. `account` is whose customer has a link,
    and `month` the one whose board finance begins at, if not the present one."""
    with house.database.reading() as transaction:
        if not is_sandbox(transaction):
            return []
        first = _first(transaction)
    account = account or next((row["account_id"] for row in owed.refunds(house, EVERYTHING, page=Page(1))), first)
    links = sandbox_links(house, system_clock, By(actor_of(""), "cli"), account)
    where = (house.settings.public_url or address).rstrip("/").replace("//0.0.0.0", "//127.0.0.1")
    leads_to = {"finance": f"?next=/console/months/{month}"} if month is not None else {}
    return [f"{link.role:<13} {where}/sign-in/link/{link.token}{leads_to.get(link.role, '')}" for link in links]


def _first(transaction: Transaction) -> str | None:
    return next((a for a in accounts_by_code_point(transaction, "", 2) if a != SYSTEM_ACCOUNT), None)
