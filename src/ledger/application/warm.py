"""Accounts that stay in memory between batches, as many as fit into so many bytes."""

from __future__ import annotations

from collections import OrderedDict

from ledger.application.account import Account

WARM_BYTES_MAX = 128 * 2**20
"""So many bytes of accounts, as estimated, stay in memory; that is 1,800 of the sample's accounts, and 5 of 10,000
events."""
ACCOUNT_BYTES = 20 * 2**10
EVENT_BYTES = 2_560
"""What an account takes, and each of its events, in bytes. By tracemalloc, with Python 3.11, one took 47 KB of 14
events, 60 KB of 20, 2.2 MB of 735, 3.1 MB of 1,459 and 18 MB of 9,386; those opened by a snapshot half or less."""


class WarmAccounts:
    """The accounts used last; the one used longest ago is loaded anew when it is next needed."""

    def __init__(self, bytes_max: int = WARM_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._accounts: OrderedDict[str, tuple[Account, int]] = OrderedDict()
        self.bytes = 0
        """What they take, as estimated."""

    def __len__(self) -> int:
        return len(self._accounts)

    def take(self, account_id: str) -> Account | None:
        """Hand an account out for good; None where it is not there."""
        account, size = self._accounts.pop(account_id, (None, 0))
        self.bytes -= size
        return account

    def keep(self, account: Account) -> None:
        """Keep an account, in place of those that it leaves no room for. None that is greater than all the room."""
        self.take(account.head.account)
        size = ACCOUNT_BYTES + EVENT_BYTES * account.head.version
        if size > self._bytes_max:
            return
        self._accounts[account.head.account] = (account, size)
        self.bytes += size
        while self.bytes > self._bytes_max:
            _, (_, size) = self._accounts.popitem(last=False)
            self.bytes -= size
