"""The columns of an export: the fields of its list's rows, in their order, each of a kind.

They are a contract with a version (docs/contract/exports.json). A column may be added at any time, so readers go by
names; a column that goes, or becomes of another kind, makes the next version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from typing_extensions import get_type_hints

from projections.shown_values import Amount, Currency, Instant, LocalDate

Row = Mapping[str, Any]
"""A row of a list, as it answers with `--json`."""
Kind = Literal["text", "currency", "amount", "integer", "boolean", "date", "instant", "list"]

_SHOWN: Mapping[Any, Kind] = {Amount: "amount", Currency: "currency", Instant: "instant", LocalDate: "date"}
_KINDS: Mapping[Any, Kind] = {bool: "boolean", int: "integer", str: "text"}
DESCRIBED: Mapping[Kind, str] = {
    "text": "Text.",
    "currency": "ISO 4217.",
    "amount": "A number in major units, at the scale of the row's currency.",
    "integer": "A whole number.",
    "boolean": "True or false.",
    "date": "A local date, ISO 8601.",
    "instant": "An instant in UTC, RFC 3339.",
    "list": "JSON: the array that the list has in this field, `[]` where it is empty.",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an export."""

    name: str
    kind: Kind
    nullable: bool
    description: str | None
    """What the list's type says of the field, besides what its kind says."""


@cache
def columns_of(rows: type) -> tuple[Column, ...]:
    """The columns of a list whose rows are of this type. Raises TypeError for a field that no kind fits."""
    return tuple(_column(name, hint) for name, hint in get_type_hints(rows, include_extras=True).items())


def _column(name: str, hint: Any) -> Column:
    kinds, nullable, description = _look_at(hint)
    if len(kinds) != 1:
        raise TypeError(f"no kind of column fits the field {name}, which is {hint}")
    return Column(name, kinds.pop(), nullable, description)


def _look_at(hint: Any) -> tuple[set[Kind], bool, str | None]:
    if hint is NoneType:
        return set(), True, None
    if hint in _KINDS:
        return {_KINDS[hint]}, False, None
    if get_origin(hint) is Literal:
        return {"text" if isinstance(get_args(hint)[0], str) else "integer"}, False, None
    if get_origin(hint) in (list, tuple):
        return {"list"}, False, None
    if hasattr(hint, "__metadata__"):
        named = next((kind for value, kind in _SHOWN.items() if _is(hint, value)), None)
        kinds, nullable, description = ({named}, False, None) if named is not None else _look_at(hint.__origin__)
        shown = {id(each) for value in _SHOWN for each in value.__metadata__}
        said = (each for each in hint.__metadata__ if isinstance(each, FieldInfo) and id(each) not in shown)
        return kinds, nullable, next((each.description for each in said if each.description), description)
    found = [_look_at(part) for part in get_args(hint)]
    kinds = {kind for part, _, _ in found for kind in part}
    descriptions = (description for _, _, description in found if description is not None)
    return kinds, any(nullable for _, nullable, _ in found), next(descriptions, None)


def _is(hint: Any, value: Any) -> bool:
    """Whether a hint is that of a shown value, perhaps with more said of it: Python makes one of nested ones."""
    return bool(hint.__metadata__[: len(value.__metadata__)] == value.__metadata__)
