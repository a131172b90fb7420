"""What every stored event has in common: the envelope, its stored form, and the register of types.

The envelope's bytes are hashed, published and proven as they are, so its fields and their order are fixed
(design rule 5). A stored type is a stable name with a version; Python's paths are never stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, ClassVar, ParamSpec, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer, WithJsonSchema

from ledger.values import is_code

_AMOUNT_SCHEMA = {
    "description": "An exact amount in major units, with as many decimals as its currency has.",
    "type": "string",
    "pattern": r"^(0|[1-9][0-9]*)(\.[0-9]{1,4})?$",
}
Amount = Annotated[
    Decimal, PlainSerializer(str, return_type=str), WithJsonSchema(_AMOUNT_SCHEMA, mode="serialization")
]
"""An exact amount at its currency's scale; a string wherever it is stored."""

SignedAmount = Annotated[
    Amount,
    WithJsonSchema(
        {
            "description": "An exact amount in major units, with its currency's decimals; it may be below 0.",
            "type": "string",
            "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]{1,4})?$",
        },
        mode="serialization",
    ),
]
"""An exact amount that may be below 0, as the tax of what is left may be after a part went out with more of it."""


BY_PEOPLE = frozenset({"http", "console", "portal", "cli", "command line"})
"""The channels by which people act: their programs, the pages of the provider and of customers, and commands, which
older versions named otherwise. Whoever acted by one of them is not the second person for what came of it."""


class Stored(BaseModel):
    """The shape rules of everything inside an envelope: strict, closed and immutable."""

    # A command reads few of all types: each is built when it is first read, by one thread while others wait
    # (pydantic 2.14.3 and later).
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)


_M = TypeVar("_M", bound=BaseModel)
_P = ParamSpec("_P")
_set = object.__setattr__


def made_of(model: type[_M], fields: dict[str, Any]) -> _M:
    """A model with these fields: all of them, in their order, of the declared types. Nothing is looked at again."""
    made = model.__new__(model)
    _set(made, "__dict__", fields)
    _set(made, "__pydantic_fields_set__", _names(model))
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made


@cache
def _names(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


def unchecked(model: Callable[_P, _M]) -> Callable[_P, _M]:
    """How a model is made of values that come from our own code, whose types mypy has checked: as by its constructor,
    with all fields named in their order, but that pydantic does not check them once more."""
    assert isinstance(model, type)

    def make(*_: _P.args, **fields: _P.kwargs) -> _M:
        return made_of(model, fields)

    return make


class Message(Stored):
    """The upstream message of a fact, which breaks ties between facts (policy §1)."""

    source: str
    id: str
    time: AwareDatetime


class Sealed(Stored):
    """A reference to personal data in the vault, and a commitment to its content.

    `commitment` is HMAC-SHA-256 under a key derived from the customer's, over `nonce` and the plaintext: with the
    customer's key anyone can show that the vault's text is the one recorded; without it nothing can be guessed.
    """

    ref: str
    nonce: str
    commitment: str


class FactData(Stored):
    """The data of a fact: the content of upstream's message without the private fields, which are in the vault."""

    message: Message
    sealed: Sealed | None = None


class LedgerEvent(BaseModel):
    """One stored event. Subclasses name their stored type and give the shape of `data`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)

    stored_as: ClassVar[str]
    """The stored type: a past-tense name and its version, such as `cycle-started.v1`."""

    type: str
    account: str
    stream: str
    stream_version: int
    event_id: str
    correlation_id: str
    causation_id: str | None
    actor: str
    channel: str
    traceparent: str | None
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    previous: str | None
    data: Any

    # The names under which the eventsourcing library knows the same things. They are properties, because deriving
    # from the library's class would make its annotations stored fields.
    @property
    def originator_id(self) -> str:
        """The stream, as the library calls it."""
        return self.stream

    @property
    def originator_version(self) -> int:
        """The event's version in its stream, as the library calls it."""
        return self.stream_version

    @property
    def timestamp(self) -> datetime:
        """When the event was recorded, as the library calls it."""
        return self.recorded_at

    def mutate(self, aggregate: Any) -> Any:
        """Check that the event is the aggregate's next, and apply it, as the library's own events do."""
        if aggregate.id != self.stream or aggregate.version + 1 != self.stream_version:
            from eventsourcing.domain import CanMutateAggregate  # only here: who folds events needs no aggregates

            CanMutateAggregate.mutate(self, aggregate)  # type: ignore[arg-type]  # raises, and says which it was
        self.apply(aggregate)
        aggregate.version = self.stream_version
        aggregate.modified_on = self.recorded_at
        return aggregate

    def apply(self, aggregate: Any) -> None:
        """Hand the event to the one method of an aggregate that says what it means there."""
        aggregate.when(self)

    def following(self, leaf_hash: str | None) -> Self:
        """The same event, chained to the leaf hash of its account's previous event (null for the first)."""
        return made_of(type(self), {**self.__dict__, "previous": leaf_hash})

    def stored(self) -> bytes:
        """The envelope's bytes: compact UTF-8 JSON, fields in their fixed order."""
        return self.__pydantic_serializer__.to_json(self)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        stored_as = cls.__dict__.get("stored_as")
        if stored_as is None:
            return
        if stored_as in STORED_TYPES:
            raise TypeError(f"{cls.__name__} and {STORED_TYPES[stored_as].__name__} are both stored as {stored_as}")
        STORED_TYPES[stored_as] = cls


class Fact(LedgerEvent):
    """Something upstream said. Facts are what assessments are made from."""

    data: FactData

    @property
    def order(self) -> tuple[datetime, str, str]:
        """By what facts are taken when their order decides: time, then id, then source (policy §1)."""
        message = self.data.message
        return (message.time, message.id, message.source)

    @property
    def content(self) -> dict[str, object]:
        """What a fact says, by which two under one business id are compared. Free text does not count."""
        return self.data.model_dump(exclude={"message", "sealed"})


def codes_only(content: dict[str, object], *names: str) -> dict[str, object]:
    """A content without the free text that older facts have in fields for codes."""
    words = (name for name in names if isinstance(text := content[name], str) and not is_code(text))
    return content | dict.fromkeys(words)


def fact_data(fact: type[Fact], message: Message, sealed: Sealed | None, stated: Mapping[str, object]) -> FactData:
    """The data of a fact, of what its message states: the door has checked it by the same rules."""
    data, names = _data_of(fact)
    return made_of(data, {"message": message, "sealed": sealed, **{name: stated[name] for name in names}})


@cache
def _data_of(fact: type[Fact]) -> tuple[type[FactData], tuple[str, ...]]:
    """The data of a type of fact, and what it has besides what all have."""
    data: type[FactData] = fact.model_fields["data"].annotation  # type: ignore[assignment]
    return data, tuple(name for name in data.model_fields if name not in FactData.model_fields)


class Decision(LedgerEvent):
    """Something the ledger concluded from the facts it knew."""


STORED_TYPES: dict[str, type[LedgerEvent]] = {}
"""Every stored type and its class; a type once stored stays here for ever (design rule 12)."""


class UnknownStoredType(Exception):
    """A stored event has a type that this program does not know: it was written by a newer version."""


def from_stored(type_: str, envelope: bytes) -> LedgerEvent:
    """Read a stored event back. Raises UnknownStoredType, or pydantic.ValidationError for damaged bytes."""
    try:
        cls = STORED_TYPES[type_]
    except KeyError:
        raise UnknownStoredType(
            f"this version of makegood does not know the stored type {type_!r}; it was written by a newer one"
        ) from None
    return cls.model_validate_json(envelope)
