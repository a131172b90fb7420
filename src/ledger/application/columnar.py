"""Python objects as columns, and back: how what an account is in memory is put on paper.

Nothing in the form can run code. It names classes, and only our own; an object is made without its constructor and
given its attributes, each a string, a number, a truth value, nothing, or another object of the form. What the form
does not know is refused when it is written, so that nothing is left out in silence.

Objects of one class stand together, one column for each attribute, because Python reads a column several times as
fast as it reads as many objects one by one. Every object has a number, in the order of the tables; 0 is None. An
object that several refer to is one object again when it is read.
"""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import chain, islice, repeat
from operator import attrgetter
from typing import Any, Protocol

from pydantic import BaseModel
from pydantic_core import from_json, to_json

OURS = "ledger."
"""Only classes of modules that begin so are written and read."""

_PLAIN = (str, int, bool, type(None))
_ONE_US = timedelta(microseconds=1)
_VALUES: Mapping[type, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    Decimal: (str, Decimal),
    datetime: (lambda instant: _instant_to_text(instant), datetime.fromisoformat),
    date: (date.isoformat, date.fromisoformat),
    timedelta: (lambda span: span // _ONE_US, lambda number: number * _ONE_US),
}
"""How values that are no objects of our own are written, and read."""
_READING = {kind.__name__: read for kind, (_, read) in _VALUES.items()}
_CONTAINERS = {"list": list, "set": set, "dict": dict}
_RANKS = ("plain", "value", "lent", "class", "list", "set", "dict", "defaultdict", "tuple")
"""The order of the tables: a tuple is made of what comes before it, and so of tuples that are less deep."""

_AS_IT_IS, _BY_NUMBER, _ALL_ALIKE = 0, 1, 2
"""How a column is written: by its values, by the numbers of its objects, or by one value for all."""
_NUMBERS = "I"
"""Numbers are unsigned, of four bytes each, the least significant first."""

Table = tuple[Any, ...]
"""What the objects of a table are: their kind, and what else all of them have in common."""


class NotWritable(Exception):
    """Something is of a kind that the form does not know."""


class Lender(Protocol):
    """What is not written, but lent by whoever reads."""

    def kind(self, item: object) -> str | None:
        """Under what kind an object is lent; None for one that is written."""

    def name(self, item: object) -> object:
        """The name of an object that is lent, plain itself. It is asked once of each, kind by kind."""


Lend = Callable[[str, Sequence[Any]], Iterable[object]]
"""Gives the objects of a kind that are lent by their names, kind by kind in the order in which they were asked."""


# --- writing --------------------------------------------------------------------------------------------------------


def to_columns(root: object, lender: Lender) -> tuple[bytes, bytes]:
    """An object with all that it refers to: tables as JSON, and the numbers in them. Raises NotWritable."""
    return _Writer(lender).write(root)


class _Writer:
    def __init__(self, lender: Lender) -> None:
        self._lender = lender
        self._tables: dict[Table, list[Any]] = {("plain",): []}
        self._places: dict[object, tuple[Table, int]] = {}
        """By an object's identity, or by the value of what has none: its table, and its place there."""
        self._numbers = array(_NUMBERS)

    def write(self, root: object) -> tuple[bytes, bytes]:
        self._collect(root)
        columns = {table: list(self._columns(table, objects)) for table, objects in self._in_order()}
        first: dict[Table, int] = {}
        number = 1
        for table, objects in self._in_order():
            first[table] = number
            number += len(objects)

        def number_of(item: object) -> int:
            if item is None:
                return 0
            table, place = self._places[_identity(item)]
            return first[table] + place

        tables = []
        for table, objects in self._in_order():
            written = []
            for how, values in columns.get(table, ()):
                if how == _BY_NUMBER:
                    self._numbers.extend(map(number_of, values))
                written.append([how, len(values) if how == _BY_NUMBER else values])
            tables.append([table, len(objects), written])
        if sys.byteorder == "big":
            self._numbers.byteswap()
        return to_json({"root": number_of(root), "tables": tables}), self._numbers.tobytes()

    def _in_order(self) -> list[tuple[Table, list[Any]]]:
        return sorted(self._tables.items(), key=lambda each: _rank(each[0]))

    def _collect(self, root: object) -> None:
        """Give every object its place; a tuple after those in it."""
        waiting: list[tuple[Any, bool]] = [(root, False)]
        while waiting:
            item, is_ready = waiting.pop()
            if is_ready:
                self._place(("tuple", self._depth(item), len(item)), item)
            elif _identity(item) not in self._places:
                if type(item) is tuple:
                    waiting.append((item, True))
                else:
                    self._place(self._table(item), item)
                waiting.extend((part, False) for part in self._parts(item) if type(part) not in _PLAIN)

    def _place(self, table: Table, item: object) -> None:
        if _identity(item) not in self._places:
            objects = self._tables.setdefault(table, [])
            self._places[_identity(item)] = (table, len(objects))
            objects.append(item)

    def _depth(self, item: tuple[Any, ...]) -> int:
        """How many tuples are in one another."""
        inner = [self._places.get(_identity(part)) for part in item if type(part) is tuple]
        if None in inner:
            raise NotWritable("a snapshot cannot hold a tuple that refers to itself")
        return max((1 + place[0][1] for place in inner if place is not None), default=0)

    def _table(self, item: object) -> Table:
        kind = type(item)
        if kind in _VALUES:
            return ("value", kind.__name__)
        lent = self._lender.kind(item)
        if lent is not None:
            return ("lent", lent)
        if isinstance(item, list) and kind is list:
            return ("list", len(item))
        if kind in (set, dict):
            return (kind.__name__,)
        if isinstance(item, defaultdict) and kind is defaultdict:
            return ("defaultdict", _name_of_factory(item.default_factory))
        if kind.__module__.startswith(OURS) and not isinstance(item, tuple | list | set | dict | type):
            return ("class", _name(kind), *_attributes(item))
        raise NotWritable(f"a snapshot cannot hold a {kind.__module__}.{kind.__qualname__}")

    def _parts(self, item: Any) -> Iterable[Any]:
        kind = type(item)
        if kind in _VALUES or self._lender.kind(item) is not None:
            return ()
        if isinstance(item, dict):
            return chain(item, item.values())
        if isinstance(item, list | set | tuple):
            return item
        return [getattr(item, name) for name in _attributes(item)]

    def _columns(self, table: Table, objects: list[Any]) -> Iterator[tuple[int, Any]]:
        match table:
            case ("plain",):
                yield _AS_IT_IS, objects
            case ("value", _):
                yield _AS_IT_IS, list(map(_VALUES[type(objects[0])][0], objects))
            case ("lent", _):
                yield _AS_IT_IS, list(map(self._lender.name, objects))
            case ("class", _, *names):
                for name in names:
                    yield self._column([getattr(each, name) for each in objects])
            case ("list" | "tuple", *_):
                yield self._column(list(chain.from_iterable(objects)))
            case (kind, *_):
                yield _AS_IT_IS, [len(each) for each in objects]
                yield self._column(list(chain.from_iterable(objects)))
                if kind != "set":
                    yield self._column(list(chain.from_iterable(each.values() for each in objects)))

    def _column(self, values: list[Any]) -> tuple[int, Any]:
        """Plain values that are repeated stand once, in a table of their own."""
        if all(type(each) in _PLAIN for each in values):
            distinct = {(type(each), each) for each in values}
            if len(distinct) == 1:
                return _ALL_ALIKE, values[0]
            if 4 * len(distinct) > len(values):
                return _AS_IT_IS, values
        for each in values:
            if each is not None and type(each) in _PLAIN:
                self._place(("plain",), each)
        return _BY_NUMBER, values


def _rank(table: Table) -> tuple[int, int]:
    return _RANKS.index(table[0]), table[1] if table[0] == "tuple" else 0


def _identity(item: object) -> object:
    kind = type(item)
    if kind in _PLAIN:
        return (kind, item)
    return (kind, _VALUES[kind][0](item)) if kind in _VALUES else id(item)


def _attributes(item: object) -> Sequence[str]:
    """The names of all that an object has."""
    kind = type(item)
    names = _declared(kind)  # type: ignore[arg-type]  # mypy takes the hash of a class for that of its objects
    if not isinstance(item, BaseModel):
        return names or tuple(item.__dict__)
    if item.__pydantic_extra__ is not None or item.__pydantic_private__ is not None:
        raise NotWritable(f"a snapshot cannot hold a {kind.__qualname__} with more than its fields")
    if tuple(item.__dict__) != names:
        raise NotWritable(f"a snapshot cannot hold a {kind.__qualname__} without all its fields")
    return names


@cache
def _declared(kind: type) -> tuple[str, ...]:
    """The names that a class declares for all its objects; none where each has a `__dict__` of its own."""
    if issubclass(kind, BaseModel):
        return tuple(kind.model_fields)
    return tuple(name for base in reversed(kind.__mro__) for name in base.__dict__.get("__slots__", ()))


def _instant_to_text(instant: datetime) -> str:
    if instant.tzinfo is None or instant.tzinfo.utcoffset(None) is None:
        raise NotWritable("a snapshot cannot hold an instant without an offset of its own")
    return instant.isoformat()


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _name_of_factory(factory: Callable[[], Any] | None) -> str:
    if not isinstance(factory, type):
        raise NotWritable("a snapshot cannot hold a defaultdict that calls a function")
    return factory.__name__ if factory in _CONTAINERS.values() else _name(factory)


# --- reading --------------------------------------------------------------------------------------------------------


def from_columns(form: bytes, numbers: bytes, lend: Lend) -> Any:
    """The object that was written.

    Every object is there, empty, before any is filled, because they may refer to each other in a circle; and it is
    filled before it becomes a key, because its hash is that of its attributes. What is not of the form raises
    whatever comes of it: who reads has made sure that it was written here.
    """
    objects: list[Any] = [None]
    numbered = array(_NUMBERS, numbers)
    if sys.byteorder == "big":
        numbered.byteswap()
    read, begin, found = from_json(form), 0, []
    for table, count, columns in read["tables"]:
        for column in columns:
            if column[0] == _BY_NUMBER:
                end = begin + column[1]
                column[1], begin = numbered[begin:end], end
        first = len(objects)
        objects += _made(table, count, columns, objects, lend)
        found.append((table, objects[first:], columns))
    for table, made, columns in found:
        _fill(table, made, [_values(objects, column, len(made)) for column in columns])
    return objects[read["root"]]


def _made(
    table: Sequence[Any], count: int, columns: Sequence[Any], objects: Sequence[Any], lend: Lend
) -> Iterable[object]:
    """The objects of a table, empty where they can be filled later."""
    match table:
        case ["plain"]:
            return columns[0][1]  # type: ignore[no-any-return]
        case ["value", kind]:
            return map(_READING[kind], columns[0][1])
        case ["lent", kind]:
            return lend(kind, columns[0][1])
        case ["class", name, *_]:
            made: Any = _class(name)
            return map(made.__new__, repeat(made, count))
        case ["defaultdict", name]:
            return map(defaultdict, repeat(_CONTAINERS.get(name) or _class(name), count))
        case ["tuple", _, 0]:
            return repeat((), count)
        case ["tuple", _, size]:
            return zip(*[iter(_values(objects, columns[0], count * size))] * size, strict=True)
    return (_CONTAINERS[table[0]]() for _ in range(count))


def _fill(table: Sequence[Any], made: Sequence[Any], columns: Sequence[Iterable[Any]]) -> None:
    match table:
        case ["class", name, *names]:
            _fill_attributes(_class(name), names, made, columns)
        case ["list", size] if size:
            _each(list.extend, made, zip(*[iter(columns[0])] * size, strict=False))
        case ["set"]:
            items = iter(columns[1])
            _each(set.update, made, (islice(items, size) for size in columns[0]))
        case ["dict"] | ["defaultdict", _]:
            pairs = zip(columns[1], columns[2], strict=False)
            _each(dict.update, made, (islice(pairs, size) for size in columns[0]))


def _fill_attributes(kind: type, names: Sequence[str], made: Sequence[Any], columns: Sequence[Iterable[Any]]) -> None:
    if _declared(kind) and not issubclass(kind, BaseModel):
        for name, values in zip(names, columns, strict=True):
            _each(getattr(kind, name).__set__, made, values)
        return
    _each(_set, made, repeat("__dict__"), map(dict, map(zip, repeat(names), zip(*columns, strict=False))))
    if issubclass(kind, BaseModel):
        _each(_set, made, repeat("__pydantic_fields_set__"), repeat(set(names)))
        _each(_set, made, repeat("__pydantic_extra__"), repeat(None))
        _each(_set, made, repeat("__pydantic_private__"), repeat(None))


_set = object.__setattr__


def _values(objects: Sequence[Any], column: Sequence[Any], count: int) -> Iterable[Any]:
    how, what = column
    if how == _BY_NUMBER:
        return map(objects.__getitem__, what)
    return repeat(what, count) if how == _ALL_ALIKE else what


def _each(do: Callable[..., object], *arguments: Iterable[Any]) -> None:
    """Call a function once for each, for what it does."""
    deque(map(do, *arguments), maxlen=0)


@cache
def _class(name: str) -> type:
    """A class of ours by its name: one that the program has, and nothing that it would have to fetch."""
    module, _, path = name.partition(":")
    found = attrgetter(path)(sys.modules[module]) if module.startswith(OURS) else None
    if not isinstance(found, type) or found.__module__ != module:
        raise ValueError(f"{name} is no class of ours")
    return found
