"""The ledgers of a store's shards, and which of them a message is for.

A shard is a whole store of its own accounts, so that what one does needs no other: no transaction and no lock goes
over two of them (decision 0060).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from ledger.application.ledger import Ledger
from ledger.store.positions import shard_of


class OfAccount(Protocol):
    """A message, or what else is an account's."""

    @property
    def account(self) -> str | None:
        """The account that it names."""


I = TypeVar("I", bound=OfAccount)  # noqa: E741


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

    def number_for(self, item: OfAccount) -> int:
        """The shard of a message, or of what else is an account's; the first one where it names no account."""
        return shard_of(item.account, len(self))

    def divided(self, items: Iterable[I]) -> dict[int, list[I]]:
        """What is accounts' by their shards, each shard's in its order."""
        found: dict[int, list[I]] = {}
        for item in items:
            found.setdefault(self.number_for(item), []).append(item)
        return found
