"""What is made without pydantic looking at it once more is what pydantic makes, the slow and plain way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.contract.message_schemas import message_schemas
from consumers.upstream import known_at_the_door
from consumers.upstream.statements import read_act
from ledger.application.statement import Statement
from ledger.events import InvoiceStanding, Sealed, fact_data, from_stored, unchecked
from ledger.values import zero
from tests.consumers.test_door_messages import EXAMPLES
from tests.ledger.books import WITHOUT_SHRINKING
from tests.projections.test_movements import lived
from tests.search import sample

MESSAGES = {**{type_: file.schema["examples"][0] for type_, file in message_schemas().items()}, **EXAMPLES}
SEALED = Sealed(ref="r", nonce="00", commitment="c")


def taken_of(message: dict[str, Any]) -> Iterator[Statement]:
    """What is taken of a message, and of the same without each field that it can do without."""
    for left_out in (None, *message["data"]):
        data = {name: value for name, value in message["data"].items() if name != left_out}
        body = json.dumps({**message, "data": data}).encode()
        item = read_act(body, actor="a", channel="http", origin="http:1", known=known_at_the_door())
        if isinstance(item, Statement):
            yield item


def test_there_is_a_message_of_every_type() -> None:
    assert MESSAGES.keys() == known_at_the_door().keys()


@pytest.mark.parametrize("type_", MESSAGES)
def test_the_data_of_a_fact_is_what_pydantic_makes_of_what_the_door_has_checked(type_: str) -> None:
    taken = list(taken_of(MESSAGES[type_]))
    assert taken
    for statement in taken:
        model = statement.fact.model_fields["data"].annotation
        assert model is not None
        for sealed in (None, SEALED):
            slow = model(message=statement.message, sealed=sealed, **statement.data)
            fast = fact_data(statement.fact, statement.message, sealed, statement.data)
            assert fast == slow
            assert fast.model_dump_json() == slow.model_dump_json()


@settings(max_examples=sample(25), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(min_value=0, max_value=100_000))
def test_whatever_is_recorded_is_what_pydantic_reads_of_its_bytes(seed: int) -> None:
    for event in (event for step in lived(seed) for event in step):
        read = from_stored(event.type, event.stored())
        assert read == event
        assert read.stored() == event.stored()


def test_it_can_be_copied_and_compared_like_any_other() -> None:
    nothing = zero("EUR")
    amounts = dict.fromkeys([name for name in InvoiceStanding.model_fields if name != "excess_credit"], nothing)
    fast = unchecked(InvoiceStanding)(**amounts, excess_credit=None)
    slow = InvoiceStanding(**amounts, excess_credit=None)
    assert fast == slow
    assert hash(fast) == hash(slow)
    assert fast.model_fields_set == slow.model_fields_set
    assert fast.model_copy(update={"excess_credit": nothing}) == slow.model_copy(update={"excess_credit": nothing})
