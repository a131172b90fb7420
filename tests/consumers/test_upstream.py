"""Reading upstream's messages (contract §1): what is taken, what becomes of it, and what is refused and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from consumers.upstream import (
    MESSAGE_BYTES_MAX,
    MESSAGES,
    Unreadable,
    check_file,
    known_at_the_door,
    read_act,
    read_binary,
    read_kafka,
    read_kept,
    read_structured,
)
from consumers.upstream.cloudevents import headers_over_http, split_batch, strict_json
from consumers.upstream.findings import SENTENCES
from ledger.application.statement import Refusal, Statement
from ledger.events import Message
from ledger.values import is_identifier

TIME = "2026-03-01T09:30:00Z"
SECRET = "https://secrets.example/once/7f3a"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

# One full example of every message: its data, the fields that belong in the vault, and the field that says when the
# fact became true.
EXAMPLES: dict[str, tuple[dict[str, Any], set[str], str | None]] = {
    "voip.account.registered.v1": (
        {
            "time_zone": "Europe/Berlin",
            "currency": "EUR",
            "customer": {"name": "Zoë Quux", "email": "zoe@example.com", "locale": "de-DE"},
        },
        {"customer"},
        None,
    ),
    "voip.customer.changed.v1": (
        {"customer": {"name": "Zoë Quuux", "email": "quuux@example.com", "locale": "en"}},
        {"customer"},
        None,
    ),
    "voip.fact.retracted.v1": (
        {"retracts": {"source": "/provisioning/eu", "id": "m-0"}, "reason": "Zoë never rang"},
        {"reason"},
        None,
    ),
    "voip.subscription.registered.v1": (
        {
            "subscription_id": "sub-1",
            "agreement": "standard",
            "plan": "business voip",
            "numbers": ["+493023125000", "+493023125001"],
            "credentials": {"username": "zoe.quux", "server": "sip.example.net", "secret_ref": SECRET},
        },
        {"numbers", "credentials"},
        None,
    ),
    "voip.cycle.started.v1": (
        {
            "subscription_id": "sub-1",
            "cycle_id": "cyc-1",
            "starts_on": "2026-03-01",
            "ends_on": "2026-04-01",
            "price": "29.95",
            "tax": "5.69",
            "monthly_price": "29.95",
            "currency": "EUR",
            "invoice_id": "inv-1",
            "prepaid": True,
        },
        set(),
        None,
    ),
    "voip.charge.posted.v1": (
        {
            "charge_id": "chg-1",
            "subscription_id": "sub-1",
            "price": "15.00",
            "tax": "2.85",
            "currency": "EUR",
            "invoice_id": "inv-1",
            "description": "porting of Zoë's number",
        },
        {"description"},
        None,
    ),
    "voip.payment.captured.v1": (
        {"payment_id": "pay-1", "invoice_id": "inv-1", "amount": "35.64", "currency": "EUR", "method": "card"},
        set(),
        None,
    ),
    "voip.payment.failed.v1": (
        {"payment_id": "pay-1", "invoice_id": "inv-1", "reason": "Zoë's card has expired"},
        {"reason"},
        None,
    ),
    "voip.outage.reported.v1": (
        {
            "outage_id": "out-1",
            "subscription_id": "sub-1",
            "began_at": "2026-02-27T10:30:00+01:00",
            "reported_at": "2026-02-27T12:00:00Z",
            "severity": "significant",
            "cause": "provider",
            "channel": "phone",
        },
        set(),
        "began_at",
    ),
    "voip.outage.resolved.v1": (
        {"outage_id": "out-1", "subscription_id": "sub-1", "resolved_at": "2026-02-28T09:30:00Z"},
        set(),
        "resolved_at",
    ),
    "voip.outage.reopened.v1": ({"outage_id": "out-1", "subscription_id": "sub-1"}, set(), None),
    "voip.billing_error.reported.v1": (
        {
            "dispute_id": "dis-1",
            "charge_id": "cyc-1",
            "claimed": "10.00",
            "currency": "EUR",
            "reported_at": "2026-02-20T09:30:00Z",
            "description": "Zoë was charged twice",
        },
        {"description"},
        "reported_at",
    ),
    "voip.overcharge.confirmed.v1": (
        {"dispute_id": "dis-1", "charge_id": "cyc-1", "amount": "10.00", "currency": "EUR", "settle_as": "credit"},
        set(),
        None,
    ),
    "voip.overcharge.rejected.v1": (
        {"dispute_id": "dis-1", "charge_id": "cyc-1", "reason": "Zoë had been told the price"},
        {"reason"},
        None,
    ),
    "voip.cancellation.requested.v1": (
        {
            "subscription_id": "sub-1",
            "requested_at": "2026-02-19T09:30:00Z",
            "channel": "portal",
            "reason": "Zoë moves abroad",
            "keep_service": True,
        },
        {"reason"},
        "requested_at",
    ),
    "voip.cancellation.withdrawn.v1": (
        {"subscription_id": "sub-1", "withdrawn_at": "2026-02-20T09:30:00Z"},
        set(),
        "withdrawn_at",
    ),
    "voip.subscription.suspended.v1": (
        {"subscription_id": "sub-1", "suspended_at": "2026-02-18T09:30:00Z", "reason": "misuse"},
        set(),
        "suspended_at",
    ),
    "voip.subscription.reinstated.v1": (
        {"subscription_id": "sub-1", "reinstated_at": "2026-02-18T19:30:00Z"},
        set(),
        "reinstated_at",
    ),
    "voip.subscription.terminated.v1": (
        {"subscription_id": "sub-1", "terminated_at": "2026-02-22T09:30:00Z", "reason": "non_payment"},
        set(),
        "terminated_at",
    ),
    "voip.complaint.opened.v1": (
        {
            "complaint_id": "com-1",
            "subscription_id": "sub-1",
            "channel": "phone",
            "category": "call_quality",
            "description": "Zoë hears an echo",
        },
        {"description"},
        None,
    ),
    "voip.complaint.resolved.v1": ({"complaint_id": "com-1", "resolution": "called Zoë back"}, {"resolution"}, None),
    "voip.complaint.reopened.v1": ({"complaint_id": "com-1", "reason": "Zoë hears it again"}, {"reason"}, None),
    "voip.refund.succeeded.v1": (
        {
            "refund_id": "ref-1",
            "processor_reference": "psp-77",
            "succeeded_at": "2026-02-25T09:30:00Z",
            "amount": "10.00",
            "currency": "EUR",
        },
        set(),
        "succeeded_at",
    ),
    "voip.refund.failed.v1": ({"refund_id": "ref-1", "reason": "Zoë's account is closed"}, {"reason"}, None),
    "voip.instruction.carried_out.v1": (
        {"instruction_id": "5f" * 16, "carried_out_at": "2026-02-25T09:30:00Z"},
        set(),
        "carried_out_at",
    ),
    "voip.instruction.refused.v1": (
        {"instruction_id": "5f" * 16, "reason": "Zoë's invoice was sent already"},
        {"reason"},
        None,
    ),
}
CYCLE = "voip.cycle.started.v1"
OPTIONAL = {
    (type_, field)
    for type_, fields in {
        "voip.account.registered.v1": "customer.locale",
        "voip.subscription.registered.v1": "numbers credentials credentials.secret_ref",
        CYCLE: "tax monthly_price",
        "voip.charge.posted.v1": "subscription_id tax",
        "voip.outage.reported.v1": "channel",
        "voip.billing_error.reported.v1": "description",
        "voip.overcharge.confirmed.v1": "settle_as",
        "voip.cancellation.requested.v1": "reason keep_service",
        "voip.complaint.opened.v1": "subscription_id description",
        "voip.complaint.reopened.v1": "reason",
        "voip.refund.succeeded.v1": "amount currency",
        "voip.fact.retracted.v1": "reason",
    }.items()
    for field in fields.split()
}
"""The fields that the contract marks with a question mark; all others are required."""
CHANGED = {("voip.customer.changed.v1", f"customer.{name}") for name in ("name", "email", "locale")}
"""Fields of which one must be there: each may be absent, and says something where it is not."""

ABSENT: Any = object()


def event(type_: str = CYCLE, **changes: Any) -> dict[str, Any]:
    """A valid message, changed: `price="1"` at the top, `data__price="1"` inside, ABSENT to leave out."""
    made: dict[str, Any] = {
        "specversion": "1.0",
        "id": "m-1",
        "source": "/provisioning/eu",
        "type": type_,
        "subject": "acct-1",
        "time": TIME,
        "datacontenttype": "application/json",
        "data": json.loads(json.dumps(EXAMPLES[type_][0])),
    }
    for path, value in changes.items():
        *within, name = path.split("__")
        place = made
        for step in within:
            place = place[step]
        if value is ABSENT:
            place.pop(name, None)
        else:
            place[name] = value
    return made


def as_bytes(message: object) -> bytes:
    return json.dumps(message).encode()


def read(message: object, key: bytes | None = None) -> Statement | Refusal:
    body = message if isinstance(message, bytes) else as_bytes(message)
    return read_structured(body, origin="file:x:7", channel="file", key=key, line=7)


def accepted(message: object) -> Statement:
    taken = read(message)
    assert isinstance(taken, Statement), taken
    return taken


def refused(message: object, key: bytes | None = None) -> Refusal:
    taken = read(message, key)
    assert isinstance(taken, Refusal), taken
    return taken


def as_headers(message: dict[str, Any]) -> list[tuple[str, bytes | None]]:
    headers: list[tuple[str, bytes | None]] = [
        (f"ce_{name}", str(value).encode())
        for name, value in message.items()
        if name not in {"data", "datacontenttype"}
    ]
    return [*headers, ("content-type", b"application/json")]


def strings(value: object) -> Iterator[str]:
    """Every string that a JSON value holds, names of fields apart."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


# --- What is taken ----------------------------------------------------------------------------------------------


def test_there_is_a_model_and_an_example_for_each_of_the_26_messages() -> None:
    assert MESSAGES.keys() == EXAMPLES.keys()
    assert len(MESSAGES) == 26
    assert len({model.becomes for model in MESSAGES.values()}) == 26


@pytest.mark.parametrize("type_", EXAMPLES)
def test_a_message_becomes_its_fact(type_: str) -> None:
    data, private, about = EXAMPLES[type_]
    taken = accepted(event(type_))

    data_model = taken.fact.model_fields["data"].annotation
    assert data_model is not None
    fact_data = data_model(message=taken.message, sealed=None, **taken.data)
    assert set(taken.data) == set(data_model.model_fields) - {"message", "sealed"}
    assert set(taken.data) - {"resolution_code"} == set(data) - private
    assert json.loads(fact_data.model_dump_json())["message"] == {
        "source": "/provisioning/eu",
        "id": "m-1",
        "time": TIME,
    }
    assert (taken.account, taken.actor, taken.channel, taken.line) == ("acct-1", "/provisioning/eu", "file", 7)
    assert taken.occurred_at == datetime.fromisoformat(data[about] if about else TIME)
    assert taken.occurred_at.utcoffset() == datetime.now(UTC).utcoffset()


@pytest.mark.parametrize("type_", EXAMPLES)
def test_personal_data_and_free_text_go_into_the_vault_and_nowhere_else(type_: str) -> None:
    data, private, _ = EXAMPLES[type_]
    taken = accepted(event(type_))

    assert taken.private == ({name: data[name] for name in private} or None)
    json.dumps(taken.private)
    said = {str(value) for value in taken.data.values()}
    for secret in strings({name: data[name] for name in private}):
        assert not any(secret in value for value in said)


def test_values_are_what_the_ledger_calculates_with() -> None:
    taken = accepted(event(CYCLE, data__price="29.9", data__tax=ABSENT, data__monthly_price=None))

    assert taken.message == Message(source="/provisioning/eu", id="m-1", time=datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
    assert taken.data["starts_on"] == date(2026, 3, 1)
    assert str(taken.data["price"]) == "29.90"
    assert str(taken.data["tax"]) == "0.00"
    assert taken.data["monthly_price"] is None
    assert taken.data["prepaid"] is True


@pytest.mark.parametrize(
    ("currency", "stated", "held"),
    [("JPY", "3000", "3000"), ("KWD", "1.5", "1.500"), ("EUR", "0", "0.00"), ("CLF", "0.0001", "0.0001")],
)
def test_amounts_are_held_at_their_currencys_scale(currency: str, stated: str, held: str) -> None:
    absent = {"data__tax": ABSENT, "data__monthly_price": ABSENT}
    taken = accepted(event(CYCLE, data__currency=currency, data__price=stated, **absent))
    assert isinstance(taken.data["price"], Decimal)
    assert str(taken.data["price"]) == held


@pytest.mark.parametrize(("type_", "field"), sorted(OPTIONAL))
def test_an_optional_field_may_be_absent_or_null(type_: str, field: str) -> None:
    path = "data__" + field.replace(".", "__")
    absent, null = accepted(event(type_, **{path: ABSENT})), accepted(event(type_, **{path: None}))
    assert absent == null
    if "." not in field and field not in EXAMPLES[type_][1]:
        assert absent.data[field] in (None, False, 0)


REQUIRED = [
    (type_, field)
    for type_, (data, _, _) in EXAMPLES.items()
    for field in [
        *data,
        *(f"{outer}.{name}" for outer, value in data.items() if isinstance(value, dict) for name in value),
    ]
    if (type_, field) not in OPTIONAL | CHANGED
]


@pytest.mark.parametrize("value", [ABSENT, None], ids=["absent", "null"])
@pytest.mark.parametrize(("type_", "field"), REQUIRED)
def test_a_required_field_may_not_be_absent_or_null(type_: str, field: str, value: object) -> None:
    refusal = refused(event(type_, **{"data__" + field.replace(".", "__"): value}))
    assert (refusal.field, refusal.reason) == (f"data.{field}", SENTENCES["missing"])


@pytest.mark.parametrize(("type_", "field"), sorted({*REQUIRED, *OPTIONAL, *CHANGED}))
def test_a_number_is_no_value_of_any_field(type_: str, field: str) -> None:
    refusal = refused(event(type_, **{"data__" + field.replace(".", "__"): 12}))
    assert refusal.field == f"data.{field}"


@pytest.mark.parametrize(("type_", "field"), sorted(CHANGED))
def test_a_change_may_leave_out_what_stays_as_it_was(type_: str, field: str) -> None:
    name = field.removeprefix("customer.")
    said = accepted(event(type_, **{f"data__customer__{name}": ABSENT})).private
    assert said is not None
    assert set(said["customer"]) == {"name", "email", "locale"} - {name}


@pytest.mark.parametrize("type_", EXAMPLES)
def test_an_unknown_field_is_refused(type_: str) -> None:
    refusal = refused(event(type_, data__note="x"))
    assert (refusal.field, refusal.reason) == ("data.note", SENTENCES["extra_forbidden"])


def test_extensions_are_accepted_and_do_not_count() -> None:
    extended = accepted(event(traceparent=TRACEPARENT, correlationid="c-1", region="eu", attempt=2, urgent=True))
    assert extended.content == accepted(event()).content
    assert (extended.traceparent, extended.correlation_id) == (TRACEPARENT, "c-1")


@pytest.mark.parametrize(
    "traceparent",
    ["", "x", 1, None, TRACEPARENT.upper(), "ff" + TRACEPARENT[2:], f"00-{'0' * 32}-00f067aa0ba902b7-01"],
)
def test_a_trace_or_correlation_id_of_another_form_is_not_passed_on(traceparent: object) -> None:
    taken = accepted(event(traceparent=traceparent, correlationid="with space"))
    assert (taken.traceparent, taken.correlation_id) == (None, None)


# --- By what messages are compared ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"data__price": "30"},
        {"data__price": "30.0"},
        {"data__tax": "0"},
        {"data__tax": "0.00"},
        {"data__tax": None},
        {"data__monthly_price": None},
        {"time": "2026-03-01T10:30:00+01:00"},
        {"time": "2026-03-01T09:30:00.000Z"},
        {"datacontenttype": ABSENT},
        {"datacontenttype": "application/json; charset=utf-8"},
        {"id": "another"},
        {"dataschema": "https://example.com/schema"},
    ],
)
def test_equal_spellings_are_equal_in_content(changes: dict[str, Any]) -> None:
    plain = {"data__price": "30.00", "data__tax": ABSENT, "data__monthly_price": ABSENT}
    assert accepted(event(CYCLE, **{**plain, **changes})).content == accepted(event(CYCLE, **plain)).content


@pytest.mark.parametrize(
    "changes",
    [
        {"data__price": "29.96"},
        {"data__prepaid": False},
        {"data__monthly_price": ABSENT},
        {"data__tax": ABSENT},
        {"time": "2026-03-01T09:30:00.000001Z"},
        {"subject": "acct-2"},
    ],
)
def test_other_content_is_other_content(changes: dict[str, Any]) -> None:
    assert accepted(event(CYCLE, **changes)).content != accepted(event()).content


def test_what_is_private_counts_when_content_is_compared() -> None:
    type_ = "voip.account.registered.v1"
    assert accepted(event(type_, data__customer__name="Other")).content != accepted(event(type_)).content


def test_the_content_is_canonical_json_of_type_subject_time_and_data() -> None:
    """The digests of these bytes are kept for ever: this test may gain lines, and none may change."""
    assert (
        accepted(event("voip.account.registered.v1", data__customer__locale=ABSENT)).content
        == (
            '{"data":{"currency":"EUR","customer":{"email":"zoe@example.com","name":"Zoë Quux"},'
            '"time_zone":"Europe/Berlin"},"subject":"acct-1","time":"2026-03-01T09:30:00Z",'
            '"type":"voip.account.registered.v1"}'
        ).encode()
    )
    assert accepted(event(CYCLE, data__tax=ABSENT, time="2026-03-01T09:30:00.12Z")).content == (
        b'{"data":{"currency":"EUR","cycle_id":"cyc-1","ends_on":"2026-04-01","invoice_id":"inv-1",'
        b'"monthly_price":"29.95","prepaid":true,"price":"29.95","starts_on":"2026-03-01","subscription_id":"sub-1"},'
        b'"subject":"acct-1","time":"2026-03-01T09:30:00.120000Z","type":"voip.cycle.started.v1"}'
    )


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_there_is_one_json_for_a_string_whoever_writes_it(text: str) -> None:
    assert to_json(text) == json.dumps(text, ensure_ascii=False).encode()


@pytest.mark.parametrize("type_", EXAMPLES)
def test_both_content_modes_say_the_same(type_: str) -> None:
    message = event(type_, traceparent=TRACEPARENT)
    value = as_bytes(message["data"])
    in_binary = read_kafka(as_headers(message), b"acct-1", value, "kafka:c/t/0/1")
    in_structured = read_kafka(
        [("Content-Type", b"application/cloudevents+json; charset=UTF-8")],
        b"acct-1",
        as_bytes(message),
        "kafka:c/t/0/1",
    )
    assert isinstance(in_binary, Statement)
    assert in_binary == in_structured
    assert in_binary.channel == "kafka"
    shouted = [(name.upper(), content) for name, content in as_headers(message)]
    assert read_binary(shouted, value, origin="kafka:c/t/0/1", channel="kafka") == in_binary


# --- What is refused --------------------------------------------------------------------------------------------

# Each row: what is changed, the field that the refusal names, and part of what it says.
REFUSED: list[tuple[dict[str, Any], str | None, str]] = [
    ({"specversion": "0.3"}, "specversion", "only CloudEvents 1.0"),
    ({"specversion": ABSENT}, "specversion", "required"),
    ({"specversion": 1.0}, "specversion", "string"),
    ({"id": ABSENT}, "id", "required"),
    ({"id": 7}, "id", "string"),
    ({"id": ""}, "id", "1 to 128"),
    ({"id": "m" * 129}, "id", "1 to 128"),
    ({"id": "m 1"}, "id", "without spaces"),
    ({"id": "m\t1"}, "id", "printable"),
    ({"id": "m\u00a01"}, "id", "printable"),
    ({"id": "m\ud800"}, "id", "printable"),
    ({"source": ABSENT}, "source", "required"),
    ({"source": "/with space"}, "source", "without spaces"),
    ({"source": "/makegood/http"}, "source", "reserved"),
    ({"source": "/makegood/http/beside"}, "source", "reserved"),
    ({"source": "/makegood"}, "source", "reserved"),
    ({"source": "/makegood/cli/root"}, "source", "reserved"),
    ({"source": "/MakeGood/timer"}, "source", "reserved"),
    ({"type": ABSENT}, "type", "required"),
    ({"type": 3}, "type", "string"),
    ({"type": "voip.cycle.started.v9"}, "type", "unknown message type"),
    ({"type": "CycleStarted"}, "type", "unknown message type"),
    ({"type": "voip.cycle.started.v9", "data": {}}, "type", "unknown message type"),
    ({"subject": ABSENT}, "subject", "required"),
    ({"subject": "a" * 129}, "subject", "1 to 128"),
    ({"subject": "system"}, "subject", "reserved"),
    ({"time": ABSENT}, "time", "required"),
    ({"time": 1767225600}, "time", "string"),
    ({"time": "2026-03-01T09:30:00"}, "time", "offset"),
    ({"time": "2026-03-01"}, "time", "RFC 3339"),
    ({"time": "2026-02-30T09:30:00Z"}, "time", "exist"),
    ({"time": "1789-07-14T09:30:00Z"}, "time", "RFC 3339"),
    ({"datacontenttype": "application/xml"}, "datacontenttype", "JSON"),
    ({"datacontenttype": 1}, "datacontenttype", "string"),
    ({"data_base64": "e30="}, "data_base64", "base64 data is not supported"),
    ({"data": ABSENT}, "data", "required"),
    ({"data": None}, "data", "required"),
    ({"data": []}, "data", "JSON object"),
    ({"data": "{}"}, "data", "JSON object"),
    ({"Region": "eu"}, "Region", "a-z and 0-9"),
    ({"zoe@example.com": "eu"}, "?", "a-z and 0-9"),
    ({"region": {"a": 1}}, "region", "extension attribute"),
    ({"data__subscription_id": 12}, "data.subscription_id", "string"),
    ({"data__subscription_id": "s" * 129}, "data.subscription_id", "1 to 128"),
    ({"data__cycle_id": "a b"}, "data.cycle_id", "without spaces"),
    ({"data__cycle_id": "mg-cycle-1"}, "data.cycle_id", "begin with mg-"),
    ({"data__price": 29.95}, "data.price", "quotes"),
    ({"data__price": 30}, "data.price", "quotes"),
    ({"data__price": ""}, "data.price", "digits"),
    ({"data__price": "-1.00"}, "data.price", "without sign"),
    ({"data__price": "+1.00"}, "data.price", "without sign"),
    ({"data__price": "1e2"}, "data.price", "exponent"),
    ({"data__price": "1,000.00"}, "data.price", "grouping"),
    ({"data__price": " 1.00"}, "data.price", "digits"),
    ({"data__price": "1."}, "data.price", "digits"),
    ({"data__price": "٣"}, "data.price", "digits"),
    ({"data__price": "NaN"}, "data.price", "digits"),
    ({"data__price": "1" * 16}, "data.price", "digits"),
    ({"data__price": "1.001"}, "data.price", "more decimals"),
    ({"data__price": "1.000"}, "data.price", "more decimals"),
    ({"data__currency": "JPY"}, "data.price", "more decimals"),
    ({"data__tax": "-0.01"}, "data.tax", "without sign"),
    ({"data__tax": 0}, "data.tax", "quotes"),
    ({"data__tax": "0.001"}, "data.tax", "more decimals"),
    ({"data__monthly_price": 29}, "data.monthly_price", "quotes"),
    ({"data__currency": "ZZZ"}, "data.currency", "ISO 4217"),
    ({"data__currency": "eur"}, "data.currency", "ISO 4217"),
    ({"data__currency": "XAU"}, "data.currency", "ISO 4217"),
    ({"data__starts_on": "01.03.2026"}, "data.starts_on", "YYYY-MM-DD"),
    ({"data__starts_on": "20260301"}, "data.starts_on", "YYYY-MM-DD"),
    ({"data__starts_on": "2026-02-30"}, "data.starts_on", "YYYY-MM-DD"),
    ({"data__starts_on": "2026-03-01T00:00:00Z"}, "data.starts_on", "YYYY-MM-DD"),
    ({"data__ends_on": "2026-03-01"}, "data.ends_on", "end after it starts"),
    ({"data__ends_on": "2026-02-28"}, "data.ends_on", "end after it starts"),
    ({"data__prepaid": "true"}, "data.prepaid", "without quotes"),
    ({"data__prepaid": 1}, "data.prepaid", "without quotes"),
    ({"data__Zoë Quux": "x"}, "data.?", "unknown field"),
    ({"data__" + "n" * 65: "x"}, "data.?", "unknown field"),
    ({"data__note": None}, "data.note", "unknown field"),
]
REFUSED_ELSEWHERE: list[tuple[str, dict[str, Any], str, str]] = [
    ("account.registered", {"data__time_zone": "Mars/Olympus"}, "data.time_zone", "IANA"),
    ("account.registered", {"data__time_zone": "europe/berlin"}, "data.time_zone", "IANA"),
    ("account.registered", {"data__time_zone": "../../etc/passwd"}, "data.time_zone", "IANA"),
    ("account.registered", {"data__customer": "Zoë"}, "data.customer", "JSON object"),
    ("account.registered", {"data__customer__email": ""}, "data.customer.email", "not be empty"),
    ("account.registered", {"data__customer__name": "n" * 1025}, "data.customer.name", "1024"),
    ("account.registered", {"data__customer__name": "a\u0000b"}, "data.customer.name", "U+0000"),
    ("account.registered", {"data__customer__name": "a\udc00b"}, "data.customer.name", "surrogate"),
    ("account.registered", {"data__customer__phone": "1"}, "data.customer.phone", "unknown field"),
    *(
        ("customer.changed", {f"data__customer__{name}": value}, f"data.customer.{name}", "new value is missing")
        for name in ("name", "email", "locale")
        for value in (None, "", " \t\u00a0")
    ),
    ("customer.changed", {"data__customer": {}}, "data.customer", "no change is given"),
    ("customer.changed", {"data__customer": "Zoë"}, "data.customer", "JSON object"),
    ("customer.changed", {"data__customer__email": "e" * 1025}, "data.customer.email", "1024"),
    ("customer.changed", {"data__customer__name": "a\u0000b"}, "data.customer.name", "U+0000"),
    ("customer.changed", {"data__customer__phone": "1"}, "data.customer.phone", "unknown field"),
    (
        "fact.retracted",
        {"data__retracts__source": "/billing"},
        "data.retracts.source",
        "only the source of a message",
    ),
    (
        "fact.retracted",
        {"data__retracts__source": "/makegood/http"},
        "data.retracts.source",
        "only the source of a message",
    ),
    ("fact.retracted", {"source": "/billing"}, "data.retracts.source", "only the source of a message"),
    ("fact.retracted", {"data__retracts__id": "m-1"}, "data.retracts.id", "cannot retract itself"),
    ("fact.retracted", {"data__retracts__id": "m 0"}, "data.retracts.id", "without spaces"),
    ("fact.retracted", {"data__retracts": "m-0"}, "data.retracts", "JSON object"),
    ("fact.retracted", {"data__reason": "r" * 4097}, "data.reason", "4096"),
    ("subscription.registered", {"data__agreement": "two words"}, "data.agreement", "without spaces"),
    ("subscription.registered", {"data__plan": "p" * 1025}, "data.plan", "1024"),
    *(
        ("subscription.registered", {"data__numbers": ["+493023125000", said]}, "data.numbers.1", "E.164")
        for said in (
            "03023125000",
            "+49 30 23125000",
            "+49-30-23125000",
            "+49(0)3023125000",
            "004930231250",
            "+0493023125000",
            "+123456",
            "+1234567890123456",
            "+49302312500\u0660",
            "+493023125000\n",
            "",
        )
    ),
    ("subscription.registered", {"data__numbers": [493023125000]}, "data.numbers.0", "string"),
    ("subscription.registered", {"data__numbers": [None]}, "data.numbers.0", "missing"),
    ("subscription.registered", {"data__numbers": "+493023125000"}, "data.numbers", "list of strings"),
    ("subscription.registered", {"data__numbers": ["+493023125000"] * 2}, "data.numbers", "twice"),
    (
        "subscription.registered",
        {"data__numbers": [f"+4930{n:07}" for n in range(1001)]},
        "data.numbers",
        "at most 1,000",
    ),
    ("subscription.registered", {"data__credentials__password": "hunter2"}, "data.credentials.password", "unknown"),
    ("subscription.registered", {"data__credentials__secret": "hunter2"}, "data.credentials.secret", "unknown"),
    (
        "subscription.registered",
        {"data__credentials__secret_ref": "hunter2"},
        "data.credentials.secret_ref",
        "itself",
    ),
    (
        "subscription.registered",
        {"data__credentials__secret_ref": "http://a/b"},
        "data.credentials.secret_ref",
        "https",
    ),
    ("subscription.registered", {"data__credentials__secret_ref": "https:"}, "data.credentials.secret_ref", "URL"),
    ("subscription.registered", {"data__credentials__secret_ref": "file:"}, "data.credentials.secret_ref", "URL"),
    *(
        ("subscription.registered", {"data__credentials__secret_ref": said}, "data.credentials.secret_ref", "visible")
        for said in (
            "https://a/b\x7fc",
            "https://a/b\x01c",
            "https://a/b c",
            "https://a/zo\u00eb",
            "https://user:word@a/b",
            "https://a:65536/b",
            "https://a:b/",
            "file:///run/\x1b[2J",
        )
    ),
    *(
        (type_, {f"data__{field}": "mg-1"}, f"data.{field}", "begin with mg-")
        for type_, field in (
            ("subscription.registered", "subscription_id"),
            ("charge.posted", "charge_id"),
            ("payment.captured", "payment_id"),
            ("payment.failed", "payment_id"),
            ("outage.reported", "outage_id"),
            ("billing_error.reported", "dispute_id"),
            ("complaint.opened", "complaint_id"),
        )
    ),
    ("charge.posted", {"data__description": "d" * 4097}, "data.description", "4096"),
    ("payment.captured", {"data__method": "cheque"}, "data.method", "'card', 'bank', 'balance' or 'other'"),
    ("payment.captured", {"data__amount": "-0.00"}, "data.amount", "without sign"),
    ("outage.reported", {"data__severity": "severe"}, "data.severity", "'significant' or 'minor'"),
    ("outage.reported", {"data__cause": "Provider"}, "data.cause", "'provider'"),
    ("outage.reported", {"data__began_at": "2026-03-01 09:30:00Z"}, "data.began_at", "RFC 3339"),
    ("outage.reported", {"data__reported_at": "2026-03-01T09:30:00"}, "data.reported_at", "offset"),
    ("overcharge.confirmed", {"data__amount": "0"}, "data.amount", "greater than zero"),
    ("overcharge.confirmed", {"data__amount": "0.00"}, "data.amount", "greater than zero"),
    ("overcharge.confirmed", {"data__settle_as": "voucher"}, "data.settle_as", "'refund' or 'credit'"),
    ("cancellation.requested", {"data__channel": "phone"}, "data.channel", "'portal' or 'support'"),
    ("cancellation.requested", {"data__keep_service": "yes"}, "data.keep_service", "true or false"),
    ("subscription.suspended", {"data__reason": "other"}, "data.reason", "'misuse' or 'non_payment'"),
    ("refund.succeeded", {"data__processor_reference": ""}, "data.processor_reference", "1 to 128"),
    ("refund.succeeded", {"data__refund_id": "r" * 513}, "data.refund_id", "1 to 512"),
    ("refund.succeeded", {"data__amount": "-1.00"}, "data.amount", "without sign"),
    ("refund.succeeded", {"data__amount": "1.001"}, "data.amount", "decimals"),
    ("refund.succeeded", {"data__currency": "EURO"}, "data.currency", "ISO 4217"),
    ("refund.failed", {"data__refund_id": "r 1"}, "data.refund_id", "1 to 512"),
]
ALL_REFUSED = [(CYCLE, *row) for row in REFUSED] + [
    (f"voip.{type_}.v1", changes, field, reason) for type_, changes, field, reason in REFUSED_ELSEWHERE
]


@pytest.mark.parametrize(("type_", "changes", "field", "reason"), ALL_REFUSED)
def test_what_one_message_shows_by_itself_is_refused(
    type_: str, changes: dict[str, Any], field: str | None, reason: str
) -> None:
    message = event(type_, **changes)
    refusal = refused(message)
    assert refusal.field == field
    assert reason in refusal.reason
    assert refusal.body == as_bytes(message)
    assert (refusal.origin, refusal.channel, refusal.line) == ("file:x:7", "file", 7)
    assert refusal.message_id == (None if "id" in changes else "m-1")
    source = changes.get("source", "/provisioning/eu")
    assert refusal.source == (source if isinstance(source, str) and is_identifier(source) else None)
    assert refusal.account == (None if "subject" in changes else "acct-1")
    assert "pydantic" not in refusal.reason


VALID = as_bytes(event())
UNREADABLE: list[tuple[bytes, str | None, str]] = [
    (b"", None, "must be JSON"),
    (b"hello", None, "must be JSON"),
    (VALID[:-1], None, f"syntax error at character {len(VALID)}"),
    (VALID + b"{}", None, "must be JSON"),
    (b"\xef\xbb\xbf" + VALID, None, "must be JSON"),
    (json.dumps(event()).encode("utf-16"), None, "UTF-8"),
    (VALID.replace(b"acct-1", b"acct-\xff"), None, "UTF-8 at byte"),
    (b"[]", None, "not a CloudEvent"),
    (b"null", None, "not a CloudEvent"),
    (b'"text"', None, "not a CloudEvent"),
    (b"{}", "specversion", "required"),
    (VALID.replace(b"true", b"NaN"), None, "ordinary numbers"),
    (VALID.replace(b"true", b"-Infinity"), None, "ordinary numbers"),
    (VALID.replace(b"true", b"1" * 5_000), None, "ordinary numbers"),
    (VALID.replace(b"acct-1", b"acct\n1"), None, "must be JSON"),
    (VALID.replace(b'"data": {', b'"data": {"price": "1.00", '), "data.price", "repeated"),
    (VALID.replace(b'"id"', b'"id": "m-0", "id"'), "id", "repeated"),
    (VALID.replace(b'"id"', b'"x": [{"Zo\xc3\xab": 1, "Zo\xc3\xab": 2}], "id"'), "x.?", "repeated"),
    (VALID.replace(b"true", b"[" * 30_000), None, "nested too deeply"),
    (VALID.replace(b"true", b"[" * 30_000 + b"]" * 30_000), None, "nested too deeply"),
    (b'{"a": 1, "a": {"b": 1, "b": ' + b'{"a":' * 10_000, None, "nested too deeply"),
]


@pytest.mark.parametrize(("body", "field", "reason"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_bytes_that_are_no_message_are_refused(body: bytes, field: str | None, reason: str) -> None:
    refusal = refused(body)
    assert refusal.field == field
    assert reason in refusal.reason
    assert refusal.body == body


def padded(size: int) -> bytes:
    message = as_bytes(event(pad=""))
    return message.replace(b'"pad": "', b'"pad": "' + b"p" * (size - len(message)))


def test_a_message_may_have_60_kib_and_not_a_byte_more() -> None:
    assert MESSAGE_BYTES_MAX == 61_440
    assert isinstance(read(padded(MESSAGE_BYTES_MAX) + b"\r\n"), Statement)
    refusal = refused(padded(MESSAGE_BYTES_MAX + 1))
    assert (refusal.field, refusal.message_id) == (None, "m-1")
    assert "too large" in refusal.reason
    assert refused(padded(2_000_000)).reason == refusal.reason


def test_in_binary_mode_headers_count_too() -> None:
    headers, value = as_headers(event()), as_bytes(event()["data"])
    rest = MESSAGE_BYTES_MAX - len(value) - sum(len(name) + len(content or b"") for name, content in headers)

    def with_pad(length: int) -> Statement | Refusal:
        return read_kafka([*headers, ("ce_pad", b"p" * length)], b"acct-1", value, "o")

    assert isinstance(with_pad(rest - len("ce_pad")), Statement)
    refusal = with_pad(rest - len("ce_pad") + 1)
    assert isinstance(refusal, Refusal)
    assert "too large" in refusal.reason


def test_telephone_numbers_go_into_the_vault_and_their_order_says_nothing() -> None:
    type_, two = "voip.subscription.registered.v1", ["+493023125001", "+493023125000"]
    taken = accepted(event(type_, data__numbers=two))
    assert "numbers" not in taken.data
    assert (taken.private or {})["numbers"] == sorted(two)
    assert taken.content == accepted(event(type_, data__numbers=sorted(two))).content


def test_a_message_that_lists_no_numbers_says_what_one_without_the_list_says() -> None:
    """Messages that were recorded before there were numbers come again, and are duplicates."""
    type_ = "voip.subscription.registered.v1"
    without = accepted(event(type_, data__numbers=ABSENT))
    for none in ([], None):
        assert accepted(event(type_, data__numbers=none)).content == without.content
    assert "numbers" not in json.loads(without.content)["data"]
    assert "numbers" not in (without.private or {})


def test_limits_are_met_exactly() -> None:
    accepted(event("voip.charge.posted.v1", data__description="d" * 4096))
    accepted(event("voip.subscription.registered.v1", data__plan="p" * 1024, data__agreement="a" * 128))
    accepted(event("voip.subscription.registered.v1", data__numbers=[f"+4930{n:07}" for n in range(1000)]))
    accepted(event("voip.subscription.registered.v1", data__numbers=["+1234567", "+123456789012345"]))
    accepted(event("voip.account.registered.v1", data__customer__name="", data__customer__email="x"))
    accepted(event("voip.subscription.registered.v1", data__credentials__secret_ref="file:///run/secrets/one"))
    accepted(event(CYCLE, data__ends_on="2026-03-02", data__price="9" * 15 + ".99"))
    accepted(event("voip.billing_error.reported.v1", data__claimed="0"))
    accepted(event(id="ü" * 128))


# --- Kafka ------------------------------------------------------------------------------------------------------


def test_a_key_that_is_there_must_be_the_subject() -> None:
    assert isinstance(read(event(), key=b"acct-1"), Statement)
    for key in (b"acct-2", b"", b"\xff"):
        refusal = refused(event(), key=key)
        assert (refusal.field, refusal.account) == ("key", "acct-1")
        assert "differs from the message's subject" in refusal.reason


STRUCTURED: list[tuple[str, bytes | None]] = [("content-type", b"application/cloudevents+json")]
HEADERS = as_headers(event())
VALUE = as_bytes(event()["data"])
BY_KAFKA: list[tuple[list[tuple[str, bytes | None]] | None, bytes | None, str | None, str]] = [
    (STRUCTURED, None, None, "no value"),
    (None, None, None, "no value"),
    (HEADERS, None, None, "no value"),
    (None, b"plain text", None, "not a CloudEvent"),
    ([("content-type", b"application/json")], b"[]", None, "not a CloudEvent"),
    ([("content-type", b"application/cloudevents-batch+json")], b"[]", "content-type", "HTTP only"),
    ([("content-type", b"application/cloudevents+avro")], b"x", "content-type", "JSON only"),
    ([*HEADERS[:-1], ("content-type", b"application/avro")], VALUE, "datacontenttype", "JSON"),
    ([*HEADERS, ("CE_ID", b"m-2")], VALUE, "id", "repeated"),
    ([*HEADERS, ("ce_note", b"\xff")], VALUE, "note", "UTF-8"),
    ([*HEADERS, ("ce_my-note", b"x")], VALUE, "?", "a-z and 0-9"),
    ([*HEADERS, ("ce_data", b"{}")], VALUE, "data", "a-z and 0-9"),
    ([(name, None if name == "ce_time" else content) for name, content in HEADERS], VALUE, "time", "required"),
    ([header for header in HEADERS if header[0] != "ce_source"], VALUE, "source", "required"),
    (HEADERS, b"", "data", "must be JSON"),
    (HEADERS, b"null", "data", "required"),
    (HEADERS, b"[1]", "data", "JSON object"),
    (HEADERS, VALUE[:-1], "data", "must be JSON"),
    (HEADERS, VALUE.replace(b"{", b'{"price": "1", ', 1), "data.price", "repeated"),
    (HEADERS, b"\xff", "data", "UTF-8"),
]


@pytest.mark.parametrize(("headers", "value", "field", "reason"), BY_KAFKA, ids=range(len(BY_KAFKA)))
def test_a_record_that_is_no_message_is_refused(
    headers: list[tuple[str, bytes | None]] | None, value: bytes | None, field: str | None, reason: str
) -> None:
    refusal = read_kafka(headers, b"acct-1", value, "kafka:c/t/0/1")
    assert isinstance(refusal, Refusal)
    assert refusal.field == field
    assert reason in refusal.reason
    assert (refusal.origin, refusal.channel) == ("kafka:c/t/0/1", "kafka")


def test_a_plain_line_without_headers_is_read_as_structured() -> None:
    for headers in (None, [], [("content-type", b"application/json")], [("traceparent", b"x")]):
        assert isinstance(read_kafka(headers, None, as_bytes(event()), "o"), Statement)


def test_a_refused_record_in_binary_mode_is_kept_whole() -> None:
    refusal = read_kafka([*HEADERS, ("other", None)], b"\xfe", b"\xff", "o")
    assert isinstance(refusal, Refusal)
    kept = json.loads(refusal.body)
    assert kept["key"] == {"base64": "/g=="}
    assert kept["value"] == {"base64": "/w=="}
    assert ["ce_id", "m-1"] in kept["headers"]
    assert ["other", None] in kept["headers"]
    assert refusal.message_id == "m-1"


def test_only_the_door_speaks_under_its_own_source() -> None:
    """Whoever could take an instruction's identity before it is given could keep it from being recorded."""
    body = as_bytes(event(source="/makegood/http"))
    instructed = read_act(body, actor="anna", channel="http", origin="o", known=known_at_the_door())
    assert isinstance(instructed, Statement)
    assert (instructed.actor, instructed.message.source) == ("anna", "/makegood/http")
    assert isinstance(read_kafka(as_headers(event(source="/makegood/http")), None, as_bytes({}), "o"), Refusal)
    assert isinstance(read(event(source="/makegoodness")), Statement)


# --- Files ------------------------------------------------------------------------------------------------------


def test_checking_a_file_names_every_problem_of_every_line() -> None:
    lines = [
        as_bytes(event()),
        as_bytes(event(time="noon", data__price=1, data__tax="1e1", data__note="x")),
        b"\n",
        b"{",
        as_bytes(event(type="voip.cycle.ended.v1", data=ABSENT, id="m 2")),
        as_bytes(event(data__tax="5.690")),
    ]
    assert [(problem.line, problem.id, problem.field) for problem in check_file(lines)] == [
        (2, "m-1", "time"),
        (2, "m-1", "data.price"),
        (2, "m-1", "data.tax"),
        (2, "m-1", "data.note"),
        (4, None, None),
        (5, None, "id"),
        (5, None, "type"),
        (5, None, "data"),
        (6, "m-1", "data.tax"),
    ]


def test_checking_a_file_finds_one_id_with_two_contents() -> None:
    lines = [
        as_bytes(event(id="m-1")),
        as_bytes(event(id="m-1", source="/elsewhere", data__price="1.00")),
        as_bytes(event(id="m-1", time="2026-03-01T10:30:00+01:00")),
        as_bytes(event(id="m-1", data__price="1.00")),
    ]
    (problem,) = check_file(lines)
    assert (problem.line, problem.id, problem.field) == (4, "m-1", "id")
    assert "line 1 has the same source and id" in problem.reason


# --- Whatever comes ---------------------------------------------------------------------------------------------

# Values bear a mark that stands in no sentence of ours, so that a quotation would show.
MARK = "¶"
marked = st.text(st.characters(codec=None), max_size=8).map(lambda text: MARK + text)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | marked,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(marked | st.sampled_from(["a", "b"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def check_taken(taken: Statement | Refusal) -> None:
    if isinstance(taken, Statement):
        data_model = taken.fact.model_fields["data"].annotation
        assert data_model is not None
        data_model(message=taken.message, **taken.data)
        json.dumps(taken.private)
    else:
        assert taken.reason
        assert MARK not in taken.reason
        assert MARK not in (taken.field or "")


@given(st.binary())
def test_arbitrary_bytes_never_raise(body: bytes) -> None:
    check_taken(read(body))
    check_taken(read_kafka(None, body, body, "o"))
    check_taken(read_kafka([("ce_id", body), ("content-type", body)], None, body, "o"))
    list(check_file(body.splitlines()))


@given(json_values)
def test_arbitrary_json_never_raises(value: object) -> None:
    check_taken(read(value))
    check_taken(read_kafka(HEADERS, None, as_bytes(value), "o"))


@given(st.data())
def test_any_part_of_a_message_under_any_type_never_raises(draw: st.DataObject) -> None:
    message = event(draw.draw(st.sampled_from(sorted(EXAMPLES))))
    message["type"] = draw.draw(st.sampled_from(["voip.cycle.started.v9", *sorted(MESSAGES)]))
    message["data"] = {
        name: message["data"][name] for name in draw.draw(st.sets(st.sampled_from(sorted(message["data"]))))
    }
    kept = draw.draw(st.sets(st.sampled_from(sorted(message))))
    check_taken(read({name: message[name] for name in kept | {"type", "data"}}))
    check_taken(read(message))


@given(st.data())
def test_a_message_with_anything_anywhere_never_raises_and_is_never_quoted(draw: st.DataObject) -> None:
    type_ = draw.draw(st.sampled_from(sorted(EXAMPLES)))
    message = event(type_)
    places: list[Callable[[object], None]] = []

    def collect(place: dict[str, Any]) -> None:
        for name, value in list(place.items()):
            if isinstance(value, dict):
                collect(value)
            places.append(lambda new, place=place, name=name: place.__setitem__(name, new))  # type: ignore[misc]
        places.append(lambda new, place=place: place.__setitem__(draw.draw(marked), new))  # type: ignore[misc]

    collect(message)
    for put in draw.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        put(draw.draw(json_values))
    check_taken(read(message))
    for problem in check_file([as_bytes(message)]):
        assert MARK not in problem.reason
        assert MARK not in (problem.field or "")


@pytest.mark.parametrize("type_", EXAMPLES)
def test_no_refusal_quotes_a_value_of_its_message(type_: str) -> None:
    """Every field in turn gets a value that says who sent it; whatever is refused, the value is not repeated."""
    for name in EXAMPLES[type_][0]:
        for telling in ("Zoë-Quux-was-here", ["Zoë-Quux-was-here"], {"Zoë-Quux-was-here": "Zoë-Quux-was-here"}):
            taken = read(event(type_, **{f"data__{name}": telling}))
            if isinstance(taken, Refusal):
                assert "Quux" not in taken.reason
                assert "Quux" not in (taken.field or "")


def test_every_rule_has_its_sentence() -> None:
    """`broken` is given the name of a rule; one without a sentence would be refused in words that say nothing."""
    said = {refused(event(type_, **changes)).reason for type_, changes, _, _ in ALL_REFUSED}
    for rule, sentence in SENTENCES.items():
        assert any(reason.startswith(sentence.partition("{")[0]) for reason in said), rule


# --- Over HTTP --------------------------------------------------------------------------------------------------


def over_http(*headers: tuple[str, bytes]) -> dict[str, bytes | None]:
    return dict(headers_over_http([(name.encode(), value) for name, value in headers]))


@pytest.mark.parametrize("type_", EXAMPLES)
def test_binary_mode_over_http_says_the_same(type_: str) -> None:
    message = event(type_)
    raw = [(name.replace("ce_", "Ce-", 1).encode(), content or b"") for name, content in as_headers(message)]
    raw += [(b"authorization", b"Bearer mg_secret"), (b"traceparent", b"x"), (b"ce_id", b"an underscore is no dash")]
    headers = headers_over_http(raw)
    assert all(b"secret" not in (content or b"") for _, content in headers)
    taken = read_binary(headers, as_bytes(message["data"]), origin="file:x:7", channel="file")
    assert isinstance(taken, Statement)
    assert taken == replace(accepted(message), line=None)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b"plain", "plain"),
        (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        (b"100%25", "100%"),
        (b"%zz", "%zz"),
        (b'"quoted"', "quoted"),
        (b'"a \\"quoted\\" word, and %22"', 'a "quoted" word, and "'),
        (b'  "spaces around"  ', "spaces around"),
        (b'"only one', '"only one'),
        (b'""', ""),
        (b"", ""),
    ],
)
def test_a_header_means_what_the_http_binding_says(sent: bytes, meant: str) -> None:
    assert over_http(("ce-note", sent)) == {"ce_note": meant.encode()}


def test_a_request_without_ce_headers_is_in_no_binary_mode() -> None:
    assert headers_over_http([(b"content-type", b"application/json"), (b"ce", b"x"), (b"x-ce-id", b"x")]) == []


def test_what_is_no_utf_8_once_decoded_or_stands_twice_is_refused() -> None:
    for raw, field in (([(b"ce-id", b"%ff")], "id"), ([(b"ce-id", b"a"), (b"CE-ID", b"b")], "id")):
        taken = read_binary(headers_over_http(raw), b"{}", origin="o", channel="http")
        assert isinstance(taken, Refusal)
        assert taken.field == field
        assert isinstance(read_kept(taken.body, origin="o", channel="replay"), Refusal)


def test_a_message_that_was_refused_over_http_can_be_read_again() -> None:
    message = event()
    raw = [(name.replace("ce_", "ce-", 1).encode(), content or b"") for name, content in as_headers(message)]
    wrong = read_binary(headers_over_http([*raw, (b"ce-data", b"x")]), b"{}", origin="o", channel="http")
    assert isinstance(wrong, Refusal)
    again = read_kept(wrong.body, origin="o", channel="replay")
    assert isinstance(again, Refusal)
    assert (again.reason, again.field, again.body) == (wrong.reason, wrong.field, wrong.body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"headers":1,"key":null,"value":null}',
        b'{"headers":null,"key":null,"value":null}',
        b'{"headers":[["ce_id"]],"key":null,"value":null}',
        b'{"headers":[[1,"a"]],"key":null,"value":null}',
        b'{"headers":[["ce_id",5]],"key":null,"value":null}',
        b'{"headers":[],"key":5,"value":null}',
        b'{"headers":[],"key":null,"value":{"x":1}}',
        b'{"headers":[],"key":null,"value":{"base64":5}}',
        b'{"headers":[],"key":null,"value":"\\ud800"}',
    ],
)
def test_what_only_looks_like_a_record_that_was_kept_is_read_as_what_it_is(body: bytes) -> None:
    taken = read_structured(body, origin="o", channel="http")
    assert isinstance(taken, Refusal)
    again = read_kept(taken.body, origin="o", channel="replay")
    assert isinstance(again, Refusal)
    assert (again.reason, again.field, again.body) == (taken.reason, taken.field, taken.body)


@pytest.mark.parametrize(
    ("body", "members"),
    [
        (b"[]", []),
        (b" [ ] ", []),
        (b'[{"a": 1}]', [b'{"a": 1}']),
        (b'\r\n[ {"a":"]"} ,\t[1, 2],3,"x",null ] \n', [b'{"a":"]"}', b"[1, 2]", b"3", b'"x"', b"null"]),
        (b'[{"a": 1, "a": 2}]', [b'{"a": 1, "a": 2}']),
        (b"[NaN, " + b"1" * 5_000 + b", 1.5e999]", [b"NaN", b"1" * 5_000, b"1.5e999"]),
        ('["Zoë \\ud800"]'.encode(), ['"Zoë \\ud800"'.encode()]),
    ],
)
def test_a_batch_is_split_into_its_members_as_they_were_sent(body: bytes, members: list[bytes]) -> None:
    assert split_batch(body) == members


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[",
        b"[1",
        b"[1,",
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b"[1]x",
        b"[1],",
        b"]",
        b"null",
        b"\xef\xbb\xbf[]",
        b"[\xff]",
        b"[" * 30_000,
    ],
)
def test_what_is_no_array_is_no_batch(body: bytes) -> None:
    with pytest.raises(Unreadable, match="JSON array"):
        split_batch(body)


@given(st.lists(json_values))
def test_any_array_is_split_as_json_reads_it(values: list[object]) -> None:
    assert [json.loads(member) for member in split_batch(json.dumps(values).encode())] == json.loads(
        json.dumps(values)
    ) or any("NaN" in json.dumps(value) for value in values)


@given(st.binary())
def test_bytes_are_split_or_unreadable_and_nothing_else(body: bytes) -> None:
    for read_one in (split_batch, strict_json):
        try:
            read_one(body)
        except Unreadable as unreadable:
            assert unreadable.finding.reason  # noqa: PT017


# --- codes, and words in their place ------------------------------------------------------------------------------

NO_CODES = ["a" * 65, "Call", "call quality", "2_calls", "_call", "call\n", "é", "", "\x1b[2J", "zoe@example.com"]


@pytest.mark.parametrize(
    ("type_", "field"),
    [
        ("voip.complaint.opened.v1", "category"),
        ("voip.complaint.opened.v1", "channel"),
        ("voip.outage.reported.v1", "channel"),
    ],
)
def test_a_code_stands_in_the_fact_and_words_go_into_the_vault(type_: str, field: str) -> None:
    for code in ("phone", "call_quality", "a", "a" * 64, "x2"):
        taken = accepted(event(type_, **{f"data__{field}": code}))
        assert taken.data[field] == code
        assert field not in (taken.private or {})
    for words in NO_CODES:
        taken = accepted(event(type_, **{f"data__{field}": words}))
        assert taken.data[field] is None
        assert (taken.private or {})[field] == words
        assert json.loads(taken.content)["data"][field] == words, "a repetition is told from a conflict by all of it"


def test_every_field_of_free_choice_is_an_id_a_code_or_private() -> None:
    """The plan is the name of a product, and stands as it is."""
    plain = {
        (type_, name)
        for type_, model in MESSAGES.items()
        for name, field in model.model_fields.items()
        if name not in (*model.private, *model.coded)
        for kind in [model.model_json_schema()["properties"][name]]
        if {"type": "string", "maxLength": 1024}.items()
        <= next((k for k in kind.get("anyOf", [kind]) if k.get("type") == "string"), {}).items()
    }
    assert plain == {("voip.subscription.registered.v1", "plan")}


# --- resolution codes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resolution", "code"),
    [
        ("exchanged", "exchanged"),
        ("device_replaced_2", "device_replaced_2"),
        ("a" * 64, "a" * 64),
        ("a" * 65, None),
        ("Exchanged", None),
        ("2_devices", None),
        ("_exchanged", None),
        ("called Zoë back", None),
        ("exchanged\n", None),
        ("exchangé", None),
        ("", None),
    ],
)
def test_a_resolution_that_is_a_code_is_public_and_the_words_are_kept_in_any_case(
    resolution: str, code: str | None
) -> None:
    taken = accepted(event("voip.complaint.resolved.v1", data__resolution=resolution))
    assert taken.data["resolution_code"] == code
    assert taken.private == {"resolution": resolution}
