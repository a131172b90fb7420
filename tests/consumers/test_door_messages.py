"""Messages of the door's own: what each says, what of it is private, and that upstream can send none of them."""

import json
from decimal import Decimal
from typing import Any

import pytest

from consumers.upstream import MESSAGES, read_structured
from consumers.upstream.door_messages import DOOR_MESSAGES, known_at_the_door
from consumers.upstream.statements import read_act, read_binary
from ledger.application.statement import Refusal, Statement
from tests.ledger.messages import Message, Upstream

DOOR = Upstream(source="/makegood/http")
EXAMPLES = {message["type"]: message for message in (*DOOR.every_instruction(), *DOOR.every_decision())}
PRIVATE = {
    "makegood.complaint.noted.v1": {"note"},
    "makegood.goodwill.proposed.v1": {"reason"},
    "makegood.goodwill.rejected.v1": {"reason"},
    "makegood.refund.rejected.v1": {"reason"},
    "makegood.overpaid.written_off.v1": {"reason"},
    "makegood.overpaid.recovery_ordered.v1": {"reason"},
}
PROPOSED = "makegood.goodwill.proposed.v1"


def instructed(message: Message, **data: Any) -> Statement | Refusal:
    """A message read at the door, with some of its data changed; a field that is None is left out."""
    said = {name: value for name, value in {**message["data"], **data}.items() if value is not None}
    body = json.dumps({**message, "data": said}).encode()
    return read_act(body, actor="support-1", channel="http", origin="http:1", known=known_at_the_door())


def accepted(message: Message, **data: Any) -> Statement:
    taken = instructed(message, **data)
    assert isinstance(taken, Statement), taken
    return taken


def test_there_is_an_example_of_each() -> None:
    assert EXAMPLES.keys() == DOOR_MESSAGES.keys()
    assert not DOOR_MESSAGES.keys() & MESSAGES.keys()


@pytest.mark.parametrize("type_", EXAMPLES)
def test_it_becomes_its_fact_and_what_is_private_goes_into_the_vault(type_: str) -> None:
    message, private = EXAMPLES[type_], PRIVATE.get(type_, set())
    taken = accepted(message)
    model = taken.fact.model_fields["data"].annotation
    assert model is not None
    model(message=taken.message, sealed=None, **taken.data)
    assert set(taken.data) == set(model.model_fields) - {"message", "sealed"}
    assert set(taken.private or {}) == private & set(message["data"])
    assert not private & set(taken.data)
    assert (taken.actor, taken.channel, taken.message.source) == ("support-1", "http", "/makegood/http")


@pytest.mark.parametrize("type_", EXAMPLES)
@pytest.mark.parametrize(("source", "wrong"), [("/provisioning/eu-1", "type"), ("/makegood/http", "source")])
def test_upstream_can_send_none_of_them(type_: str, source: str, wrong: str) -> None:
    message = EXAMPLES[type_] | {"source": source}
    headers = [(f"ce_{name}", str(value).encode()) for name, value in message.items() if name != "data"]
    in_both_modes = (
        read_structured(json.dumps(message).encode(), origin="file:x:1", channel="file"),
        read_binary(
            [*headers, ("content-type", b"application/json")],
            json.dumps(message["data"]).encode(),
            origin="kafka:1",
            channel="kafka",
        ),
    )
    for refused in in_both_modes:
        assert isinstance(refused, Refusal)
        assert refused.field == wrong


@pytest.mark.parametrize(
    ("currency", "stated", "held"), [("EUR", "10", "10.00"), ("JPY", "1000", "1000"), ("KWD", "1.5", "1.500")]
)
def test_an_amount_is_held_at_its_currencys_scale(currency: str, stated: str, held: str) -> None:
    amount = accepted(EXAMPLES[PROPOSED], currency=currency, amount=stated).data["amount"]
    assert isinstance(amount, Decimal)
    assert str(amount) == held


@pytest.mark.parametrize(
    ("type_", "field", "value"),
    [
        (PROPOSED, "amount", "0.00"),
        (PROPOSED, "amount", "-1.00"),
        (PROPOSED, "amount", "1.001"),
        (PROPOSED, "amount", 10),
        (PROPOSED, "currency", "EURO"),
        (PROPOSED, "proposed_by", "Ann Quill"),
        (PROPOSED, "proposed_by", None),
        (PROPOSED, "complaint_id", None),
        (PROPOSED, "credit_id", ""),
        (PROPOSED, "settle_as", "refund"),
        ("makegood.goodwill.approved.v1", "decided_by", None),
        ("makegood.goodwill.approved.v1", "reason", "fine"),
        ("makegood.goodwill.rejected.v1", "reason", None),
        ("makegood.complaint.linked.v1", "kind", "invoice"),
        ("makegood.complaint.linked.v1", "linked_id", None),
        ("makegood.complaint.noted.v1", "note", None),
        ("makegood.refund.approved.v1", "proposal", None),
        ("makegood.refund.approved.v1", "decided_by", None),
        ("makegood.refund.approved.v1", "tax", "-0.00"),
        ("makegood.refund.approved.v1", "tax", "-0.001"),
        ("makegood.refund.approved.v1", "tax", "--1.00"),
        ("makegood.refund.rejected.v1", "reason", None),
        ("makegood.refund.turned_into_credit.v1", "amount", "0.00"),
        ("makegood.credit.refund_requested.v1", "credit_id", "x" * 513),
        ("makegood.overpaid.written_off.v1", "reason", None),
        ("makegood.overpaid.recovery_ordered.v1", "currency", "EURO"),
    ],
)
def test_what_one_message_shows_by_itself_is_refused(type_: str, field: str, value: Any) -> None:
    refused = instructed(EXAMPLES[type_], **{field: value})
    assert isinstance(refused, Refusal)
    assert refused.field == f"data.{field}"


@pytest.mark.parametrize("verdict", ["approved", "rejected", "retried"])
def test_a_verdict_names_the_tax_as_it_is_due_below_zero_too(verdict: str) -> None:
    """What is left of a credit has a tax below zero once a use of it went out with more than the claim has now."""
    taken = accepted(EXAMPLES[f"makegood.refund.{verdict}.v1"], net="10.14", tax="-0.86", currency="EUR")
    assert (taken.data["net"], taken.data["tax"]) == (Decimal("10.14"), Decimal("-0.86"))
