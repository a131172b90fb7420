"""The ledgers of a store's shards, and which of them a message is for.

A shard is a whole store of its own accounts, so that what one does needs no other: no transaction and no lock goes
over two of them (decision 0060).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from ledger.application.ledger import Ledger
from ledger.application.statement import Refusal, Statement
from ledger.store.positions import FIRST_SHARD, shard_for
from ledger.values import is_identifier

I = TypeVar("I", bound=Statement | Refusal)  # noqa: E741


class Shards(Sequence[Ledger]):
    """The ledgers of all shards, by their numbers."""

    def __init__(self, ledgers: Sequence[Ledger]) -> None:
        self._ledgers = tuple(ledgers)

    def __getitem__(self, number):  # type: ignore[no-untyped-def]
        return self._ledgers[number]

    def __len__(self) -> int:
        return len(self._ledgers)

    def __iter__(self) -> Iterator[Ledger]:
        return iter(self._ledgers)

    def number_for(self, item: Statement | Refusal) -> int:
        """The shard of a message: its account's; the first one's where it names none that an account can have."""
        return self.number_of(item.account)

    def number_of(self, account: str | None) -> int:
        """The shard of an account; the first one where none can have the name."""
        if len(self) == 1 or account is None or not is_identifier(account):
            return FIRST_SHARD
        return shard_for(account, len(self))

    def divided(self, items: Iterable[I]) -> dict[int, list[I]]:
        """Messages by their shards, each shard's in their order."""
        found: dict[int, list[I]] = {}
        for item in items:
            found.setdefault(self.number_for(item), []).append(item)
        return found
