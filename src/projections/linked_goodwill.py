"""Goodwill credits with the complaints that they have to do with (contract §3, `makegood goodwill`).

Both sides tell of it: a complaint names the credits that were proposed for it, or that it was linked with.
"""

from __future__ import annotations

from ledger.store.database import Database
from ledger.store.reading.page import Listed, Page
from projections import goodwill
from projections.asking import Accounts
from projections.complaints import linked_in

ORDER = goodwill.ORDER


class GoodwillLinked(goodwill.Goodwill):
    """A goodwill credit with all linked complaints."""

    complaint_ids: list[str]


def listed(
    database: Database, *, accounts: Accounts = None, still_open: bool = False, page: Page | None = None
) -> Listed[GoodwillLinked]:
    """The goodwill credits with who proposed them and who decided; `still_open` lists those nobody decided about."""
    with database.reading() as transaction:
        found = goodwill.listed_in(transaction, accounts=accounts, still_open=still_open, page=page)
        linked = linked_in(transaction, {credit["account_id"] for credit in found})
    with_links: list[GoodwillLinked] = [
        {**credit, "complaint_ids": linked.get((credit["account_id"], "goodwill", credit["credit_id"]), [])}
        for credit in found
    ]
    return found.told(with_links)
