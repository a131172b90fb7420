"""Lists on pages: filters that stand in the address, pages by cursor, and the address of the export with the same
filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import urlencode

from fastapi import Request

from ledger.store.reading.page import Listed, Order, Page, TooManyRows
from ledger.values import date_from_text
from makegood.answers.cursors import CURSOR_LENGTH_MAX, cursor_of, key_in
from makegood.answers.filters import FilterRefused, Filters
from makegood.pages.shell import path_of

T = TypeVar("T")
ROWS = 50
"""The rows of one page of a list."""
LIVE_ROWS = 20
"""Those of one that refreshes by itself: its scripts come with it, and a page is to stay small."""
ADDED_UP_AT_ONCE = 2_000
"""A list of so many rows is added up with each of its pages; a longer one would take longer than the page does."""
SLICE_ROWS = 20
"""The rows that are shown together of a table that is one of several on a page."""


@dataclass(frozen=True, slots=True)
class FilterField:
    """One filter of a list: its name in the address, and how it is asked for."""

    name: str
    label: str
    kind: Literal["text", "date", "choice"] = "text"
    options: tuple[tuple[str, str], ...] = ()
    """The values that can be chosen, each with its words."""


def choice(name: str, label: str, values: Sequence[str], words: Mapping[str, str] | None = None) -> FilterField:
    """A filter that is one of some values; any of them where it is left out."""
    known = words or {}
    return FilterField(name, label, "choice", tuple((v, known.get(v, v.replace("_", " "))) for v in values))


ACCOUNT = FilterField("account", "Account")
CURRENCY = FilterField("currency", "Currency")
AGREEMENT = FilterField("agreement", "Agreement")
PLAN = FilterField("plan", "Plan")
LEAST = FilterField("min", "At least")
FIRST_DAY = FilterField("from", "From", "date")
LAST_DAY = FilterField("to", "To", "date")


@dataclass(slots=True)
class AskedList:
    """What of a list is asked for by an address. What of it cannot be meant so stands in `wrong`, by filter, and is
    not asked for."""

    path: str
    fields: Sequence[FilterField]
    given: dict[str, str]
    filters: Filters = field(default_factory=Filters)
    wrong: dict[str, str] = field(default_factory=dict)
    page: Page = field(default_factory=lambda: Page(ROWS))
    stays: dict[str, str] = field(default_factory=dict)
    """What of the address is no filter, and stays when the filters are cleared."""

    @property
    def cleared(self) -> str:
        """The address without filters."""
        return f"{self.path}?{urlencode(self.stays)}" if self.stays else self.path

    def one_of(self, name: str) -> Any:
        """The chosen value of a filter; None where it is left out."""
        return self.given.get(name)

    def refuse(self, name: str, why: str) -> None:
        """Mark a filter that cannot be meant so, and ask no longer for it."""
        self.wrong[name] = why
        self.given.pop(name, None)

    def address(self, path: str | None = None, **more: str) -> str:
        """An address with the same filters: by default this page's, from its first row."""
        query = urlencode({**self.stays, **self.given, **more})
        return f"{path or self.path}?{query}" if query else path or self.path


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """Some rows of one of several tables of a page, and where those before and after them are."""

    rows: Sequence[T]
    first: int
    """The number of the first of them, from 1."""
    of: int
    """How many rows there are."""
    before: str | None
    after: str | None

    @property
    def last(self) -> int:
        """The number of the last of them."""
        return self.first + len(self.rows) - 1


def slice_of(request: Request, name: str, rows: Sequence[T]) -> Slice[T]:
    """The rows of a table that an address asks for: with `?charges=41` those from the 41st on.

    The answer to a form has no address of its own, and leads to no other rows.
    """
    asked = request.query_params.get(name, "")
    first = int(asked) if asked.isdecimal() and len(asked) < 10 and 1 <= int(asked) <= len(rows) else 1

    def at(number: int) -> str:
        others = {key: value for key, value in request.query_params.items() if key != name}
        return f"?{urlencode({**others, name: number})}#{name}"

    has_address = request.method == "GET"
    before = at(max(1, first - SLICE_ROWS)) if has_address and first > 1 else None
    after = at(first + SLICE_ROWS) if has_address and first + SLICE_ROWS <= len(rows) else None
    return Slice(rows[first - 1 : first - 1 + SLICE_ROWS], first, len(rows), before, after)


@dataclass(frozen=True, slots=True)
class ShownList(Generic[T]):
    """The rows of a page of a list, and where the others are."""

    rows: list[T]
    next: str | None
    """The address of the next page; None after the last."""
    first: str | None
    """The address of the first page, where this is another."""


@dataclass(frozen=True, slots=True)
class AddedUp(Generic[T]):
    """What a list comes to, added up or counted; None where it is long, until somebody asks for it."""

    sums: T | None
    at: str
    """The address of the same page with it."""


def added_up(request: Request, add_up: Callable[[int | None], T]) -> AddedUp[T]:
    """What a list comes to: at once for a short one, which takes no time, and for a long one with `?sums=yes`.

    `add_up` is given how many rows may be added up, None for any number, and raises TooManyRows where there are more.
    """
    at = f"?{urlencode({**request.query_params, 'sums': 'yes'})}"
    if request.query_params.get("sums") == "yes":
        return AddedUp(add_up(None), at)
    try:
        return AddedUp(add_up(ADDED_UP_AT_ONCE), at)
    except TooManyRows:
        return AddedUp(None, at)


def asked_list(request: Request, fields: Sequence[FilterField], order: Order, rows: int = ROWS) -> AskedList:
    """The filters and the page that an address asks for. Filters that are left empty are not asked for.

    A cursor that is none, such as one of an older version, leads to the first page.
    """
    given = {f.name: text for f in fields if (text := request.query_params.get(f.name, "").strip())}
    found = AskedList(request.url.path, fields, given, page=Page(rows))
    for each in fields:
        if each.kind == "choice" and given.get(each.name) not in (None, *(value for value, _ in each.options)):
            found.wrong[each.name] = "choose one of the list"
    _read_filters(found)
    for name in found.wrong:
        given.pop(name, None)
    found.page = asked_page(request, "after", order, rows)
    return found


def asked_page(request: Request, name: str, order: Order, rows: int = ROWS) -> Page:
    """The page that an address asks for by the cursor under a name; the first where none can be read."""
    cursor = request.query_params.get(name, "")
    if cursor and len(cursor) <= CURSOR_LENGTH_MAX:
        with suppress(ValueError):
            return Page(rows, key_in(cursor, order))
    return Page(rows)


def _read_filters(found: AskedList) -> None:
    words = {"min": "min_amount", "from": "from_"}
    asked: dict[str, Any] = {}
    for name in ("account", "currency", "clause", "agreement", "plan", "min"):
        if name in found.given and name not in found.wrong:
            asked[words.get(name, name)] = found.given[name]
    for name in ("from", "to"):
        if name in found.given:
            try:
                asked[words.get(name, name)] = date_from_text(found.given[name])
            except ValueError:
                found.wrong[name] = "write a date, such as 2026-04-24"
    while (refused := _refused(asked)) is not None:
        found.wrong[refused.word] = str(refused)
        asked.pop(words.get(refused.word, refused.word))
    found.filters = Filters(**asked)


def _refused(asked: Mapping[str, Any]) -> FilterRefused | None:
    try:
        Filters(**asked)
    except FilterRefused as refused:
        return refused
    return None


def shown_list(request: Request, asked: AskedList, rows: Listed[T]) -> ShownList[T]:
    """A page of a list, with the addresses of the pages beside it."""
    onward = asked.address(after=cursor_of(rows.next)) if rows.next is not None else None
    return ShownList(list(rows), onward, asked.address() if "after=" in path_of(request) else None)


def second_list(request: Request, name: str, rows: Listed[T]) -> ShownList[T]:
    """A page of another list on the same page, whose cursor stands under a name of its own; the first stays as it
    is."""
    others = {key: value for key, value in request.query_params.items() if key != name}
    onward = f"?{urlencode({**others, name: cursor_of(rows.next)})}#{name}" if rows.next is not None else None
    first = f"?{urlencode(others)}#{name}" if name in request.query_params else None
    return ShownList(list(rows), onward, first)
