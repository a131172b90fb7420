"""Lists in the order of a key, whole or a page of them: order, filters and page are the database's work.

A page goes on after the last row of the one before, by that row's key, so that rows which come or go meanwhile make
no other row be missed or shown twice, and so that an index leads to it wherever it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice, takewhile
from typing import Any, TypeVar

from ledger.store.database import Transaction

T = TypeVar("T")
U = TypeVar("U")

Key = tuple[str | int, ...]
"""What a row is ordered by; no two rows of a list have the same."""

Order = Mapping[str, type[str] | type[int]]
"""The columns that a list is ordered by, with what each holds. Text is ordered by code point."""


@dataclass(frozen=True, slots=True)
class Page:
    """At most so many rows: the first of a list, or those that follow a key in its order."""

    limit: int
    after: Key | None = None


class Listed(list[T]):
    """The rows of a list, or of a page of it, with the key of each; `next` is the key that more rows follow, None
    where none do."""

    def __init__(self, rows: Iterable[T] = (), next_: Key | None = None, *, keys: Iterable[Key] = ()) -> None:
        super().__init__(rows)
        self.next = next_
        self.keys = tuple(keys)

    def told(self, rows: Iterable[U]) -> Listed[U]:
        """The same rows in another form, one for each."""
        found = Listed(rows, self.next, keys=self.keys)
        assert len(found) == len(self), "each row has one form"
        return found

    def only(self, is_wanted: Callable[[T], bool]) -> Listed[T]:
        """Those of the rows of which something holds."""
        kept = [(row, key) for row, key in zip(self, self.keys, strict=True) if is_wanted(row)]
        return Listed((row for row, _ in kept), self.next, keys=(key for _, key in kept))


@dataclass(slots=True)
class Where:
    """What rows must be: conditions that all hold, and the values that stand for the marks in them."""

    conditions: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def equal(self, **columns: str | int | None) -> Where:
        """Have columns hold these values; what is None is not asked for."""
        for column, value in columns.items():
            if value is not None:
                self.that(f"{column} = ?", value)
        return self

    def among(self, column: str, values: Collection[str] | None) -> Where:
        """Have a column hold one of these values; any where None is asked for."""
        if values is not None:
            marks = ", ".join("?" for _ in values)
            self.that(f"{column} IN ({marks})" if values else "1 = 0", *sorted(values))
        return self

    def that(self, condition: str, *values: str | int | bytes) -> Where:
        """Have a condition hold."""
        self.conditions.append(condition)
        self.values += values
        return self

    def __str__(self) -> str:
        return f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""


def listed(
    transaction: Transaction, columns: Sequence[str], source: str, order: Order, where: Where, page: Page | None
) -> Listed[Mapping[str, Any]]:
    """The rows of a table, or of tables joined, by their columns, among which are those of the order.

    Of a page one row more is read than it has: that tells whether another follows.
    """
    statement, values = statement_of(columns, source, order, where, page)
    rows = [dict(zip(columns, row, strict=True)) for row in transaction.rows(statement, values)]
    keys = [tuple(row[column] for column in order) for row in rows]
    if page is None or len(rows) <= page.limit:
        return Listed(rows, keys=keys)
    return Listed(rows[: page.limit], keys[page.limit - 1], keys=keys[: page.limit])


def statement_of(
    columns: Sequence[str], source: str, order: Order, where: Where, page: Page | None
) -> tuple[str, list[Any]]:
    """What `listed` asks of the database."""
    by = [f'{column} COLLATE "C"' if held is str else column for column, held in order.items()]
    conditions, values = list(where.conditions), list(where.values)
    if page is not None and page.after is not None:
        conditions.append(f"({', '.join(by)}) > ({', '.join('?' for _ in by)})")
        values += page.after
    ending = f" LIMIT {page.limit + 1}" if page is not None else ""
    narrowed = Where(conditions)
    return f"SELECT {', '.join(columns)} FROM {source}{narrowed} ORDER BY {', '.join(by)}{ending}", values


class TooManyRows(Exception):
    """There are more rows than somebody would have added up at once."""


def check_at_most(transaction: Transaction, source: str, where: Where, rows: int | None) -> None:
    """Raises TooManyRows where more rows are found than so many, of which no more are read; None sets no limit."""
    if rows is None:
        return
    counted = f"SELECT COUNT(*) FROM (SELECT 1 FROM {source}{where} LIMIT {rows + 1}) AS found"
    if transaction.rows(counted, where.values)[0][0] > rows:
        raise TooManyRows


def in_memory(rows: Iterable[T], key: Callable[[T], Key], page: Page | None) -> Listed[T]:
    """A page of a list that is short, and stands in memory in order."""
    every = [(key(row), row) for row in rows]
    if page is None:
        return _of_pairs(every)
    rest = [(of, row) for of, row in every if page.after is None or of > page.after]
    found = _of_pairs(rest[: page.limit])
    found.next = found.keys[-1] if len(rest) > page.limit else None
    return found


def merged(lists: Sequence[Listed[T]], page: Page | None) -> Listed[T]:
    """One list of several in the same order, of which each has the rows of this page that it has itself.

    No two rows have the same key. Where one of the lists goes on, the others may have rows beyond its end that come
    after its next ones: these are left for the page that follows.
    """
    if len(lists) == 1:
        return lists[0]
    pairs = merge(*(zip(of.keys, of, strict=True) for of in lists), key=lambda pair: pair[0])
    if page is None:
        return _of_pairs(pairs)
    end = min((of.next for of in lists if of.next is not None), default=None)
    known = list(islice(takewhile(lambda pair: end is None or pair[0] <= end, pairs), page.limit + 1))
    found = _of_pairs(known[: page.limit])
    found.next = found.keys[-1] if len(known) > page.limit else end
    return found


def _of_pairs(pairs: Iterable[tuple[Key, T]]) -> Listed[T]:
    known = list(pairs)
    return Listed((row for _, row in known), keys=(key for key, _ in known))
