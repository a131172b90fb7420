"""The contract as machines read it says what the reader does: no schema refuses what is taken, and what is refused it
refuses too, wherever JSON Schema can tell.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumers.contract.asyncapi import asyncapi
from consumers.contract.checkpoint_schema import checkpoint_schema
from consumers.contract.instruction_schemas import instruction_schemas
from consumers.contract.json_schema import DIALECT
from consumers.contract.message_schemas import message_schemas
from consumers.contract.request_schema import request_schema
from consumers.contract.stored import dead_letter_schema, stored_schemas
from consumers.contract.topics import topic_contracts
from consumers.kafka.topics import DEAD_LETTERS, EVENTS, INSTRUCTIONS, TOPICS
from consumers.relay import DeadLetterLane, EventLane, InstructionLane
from consumers.upstream import MESSAGES, read_binary, read_structured
from consumers.upstream.findings import SENTENCES
from ledger.application.statement import Refusal, Statement
from ledger.events import STORED_TYPES, LedgerEvent, from_stored
from ledger.values import CURRENCY_SCALES
from tests.ledger.books import WITHOUT_SHRINKING, Books
from tests.ledger.messages import Upstream
from tests.projections.test_movements import TAX_BELOW_ZERO, lived
from tests.search import sample

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "deploy" / "sample" / "events.jsonl"
STORED_EVENTS = ROOT / "tests" / "stored_events"

OF_MESSAGES, OF_STORED = message_schemas(), stored_schemas()
FILES = [
    *OF_MESSAGES.values(),
    *OF_STORED.values(),
    *instruction_schemas().values(),
    request_schema(),
    dead_letter_schema(),
    checkpoint_schema(),
]
MESSAGE = {type_: file.schema for type_, file in OF_MESSAGES.items()}
STORED = {type_: file.schema for type_, file in OF_STORED.items()}


def checker(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


CHECKS = {type_: checker(schema) for type_, schema in MESSAGE.items()}


def of_data(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an event's data alone: what is decided has no envelope before it is stored."""
    return {**schema, "properties": {"data": schema["properties"]["data"]}, "required": ["data"]}


OF_DATA = {type_: checker(of_data(schema)) for type_, schema in STORED.items()}


def read(message: object) -> Statement | Refusal:
    return read_structured(json.dumps(message).encode(), origin="file:x:1", channel="file")


def example_of(type_: str) -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(MESSAGE[type_]["examples"][0])
    return made


def why_not(type_: str, message: object) -> list[str]:
    return [error.message for error in CHECKS[type_].iter_errors(message)]


# --- The schemas themselves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.path)
def test_a_schema_is_one_of_the_dialect_that_it_names(file) -> None:
    assert file.schema["$schema"] == DIALECT
    jsonschema_rs.meta.validate(file.schema)
    assert file.schema["title"]
    assert file.schema["description"]


def test_every_schema_has_a_name_of_its_own_that_leads_to_no_host() -> None:
    names = [file.schema["$id"] for file in FILES]
    assert len(set(names)) == len(names) == len({file.path for file in FILES})
    assert all(name.startswith("urn:makegood:") for name in names)


def test_there_is_a_schema_for_every_message_and_every_stored_event() -> None:
    assert set(MESSAGE) == set(MESSAGES)
    assert set(STORED) == set(STORED_TYPES)


@pytest.mark.parametrize("type_", MESSAGES)
def test_private_fields_are_marked_and_no_others(type_: str) -> None:
    properties = MESSAGE[type_]["properties"]["data"]["properties"]
    assert {name for name, schema in properties.items() if schema.get("x-private")} == set(MESSAGES[type_].private)


@pytest.mark.parametrize("type_", MESSAGES)
def test_an_example_has_every_field_and_is_taken(type_: str) -> None:
    made = example_of(type_)
    assert set(made["data"]) == set(MESSAGES[type_].model_fields)
    assert isinstance(read(made), Statement)
    assert why_not(type_, made) == []


def test_everything_of_the_sample_that_is_taken_keeps_its_schema() -> None:
    taken = 0
    for line in SAMPLE.read_bytes().splitlines():
        if isinstance(read_structured(line, origin="file:x:1", channel="file"), Statement):
            message = json.loads(line)
            assert why_not(message["type"], message) == []
            taken += 1
    assert taken > 5_000


# --- Reader and schema agree --------------------------------------------------------------------------------------

BEYOND_SCHEMAS = {SENTENCES[rule] for rule in ("ends_on", "time_zone", "retracts_anothers", "retracts_itself")}
"""What one message shows to be wrong and no schema tells (a zone is told only where it can be no zone's name)."""

VALUES: list[Any] = [
    *(None, True, False, 0, 12, -1, 1.5, [], ["x"], {}, {"x": "y"}),
    *("", " ", "x", "system", "sys tem", "x ", " x", "x\n", "a\tb", "\u0000", "a\u0000b", "e\u0301", "石川"),
    *("a\u00a0b", "a\u200bb", "\ue000"),
    *("x" * 128, "x" * 129, "x" * 512, "x" * 513, "x" * 1024, "x" * 1025, "x" * 4096, "x" * 4097, "😀" * 128),
    *("0", "0.0", "00", "01", "1", "1.5", "1.50", "1.505", "1.5055", "1.50555", "-1", "+1", "1e3", "1,5", ".5", "5."),
    *("mg-1", "mg-", "mg", "MG-1", "xmg-1"),
    *("9" * 15, "9" * 16, "١", "1.5\n"),
    *("EUR", "eur", "JPY", "KWD", "CLF", "XAU", "EURO", "Europe/Berlin", "America/Port-au-Prince", "Mars/Base"),
    *("+1:00", "2026-03-01", "2026-02-30", "2026-3-1", "1899-12-31", "1900-01-01", "9000-12-31", "9001-01-01"),
    *("2026-03-01T09:30:00Z", "2026-03-01t09:30:00z", "2026-03-01T09:30:00.123456789+05:45", "2026-03-01T09:30:00"),
    *("2026-03-01T24:00:00Z", "2026-03-01T23:59:60Z", "2026-02-29T09:30:00Z", "2028-02-29T09:30:00-00:00"),
    *("2026-03-01 09:30:00Z", "2026-03-01T09:30Z", "2026-03-01T09:30:00+24:00", "1899-12-31T23:59:59Z"),
    *("https://x/y", "HTTPS://x", "https://", "https:// x", "http://x", "file:/x", "file:", "httpſ://x", "file:a b"),
    *("application/json", "Application/JSON; charset=utf-8", "application/xml", "a/b+json", "application/jſon"),
    *("1.0", "1.1", "voip.outage.reopened.v1", "voip.outage.reopened.v9", "card", "refund", "portal", "misuse"),
]
NAMES = ["note", "region", "Region", "trace_id", "a b", "data_base64", "1", "", "é", "price", "tax", "reason"]


def places(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field of a message, objects inside it included."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from places(inner, (*path, name))


@st.composite
def changed_messages(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A message that is taken, then changed in a place or two: a field less, a field more, another value."""
    type_ = draw(st.sampled_from(sorted(MESSAGES)))
    message = example_of(type_)
    values = st.sampled_from(VALUES).map(copy.deepcopy)  # the second change may be made inside the first one's value
    for _ in range(draw(st.integers(1, 2))):
        *within, name = draw(st.sampled_from(sorted(places(message))))
        place = message
        for step in within:
            place = place[step]
        match draw(st.sampled_from(["drop", "add", "replace", "replace", "write"])):
            case "drop":
                del place[name]
            case "add":
                place.setdefault(draw(st.sampled_from(NAMES)), draw(values))
            case "replace":
                place[name] = draw(values)
            case "write":
                place[name] = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
    return type_, message


@settings(max_examples=sample(400))
@given(changed_messages())
def test_a_schema_refuses_what_the_reader_refuses_and_nothing_else(changed: tuple[str, dict[str, Any]]) -> None:
    type_, message = changed
    taken, errors = read(message), why_not(type_, message)
    if isinstance(taken, Statement) and message["type"] == type_:
        assert errors == []
    elif errors == []:
        assert isinstance(taken, Refusal)
        assert taken.reason in BEYOND_SCHEMAS or rare_and_unprintable(taken, message)


def rare_and_unprintable(refusal: Refusal, message: dict[str, Any]) -> bool:
    """An identifier with a character that does not print, of those that the schema only describes."""
    if refusal.reason not in (SENTENCES["identifier"], SENTENCES["refund_identifier"]) or refusal.field is None:
        return False
    value: Any = message
    for step in refusal.field.split("."):
        value = value[step]
    return any(ord(character) > 0xFF and not character.isprintable() for character in value)


@pytest.mark.parametrize("type_", MESSAGES)
def test_each_value_in_each_place_is_judged_alike(type_: str) -> None:
    for *within, name in sorted(places(example_of(type_))):
        for value in VALUES:
            message = example_of(type_)
            place = message
            for step in within:
                place = place[step]
            place[name] = value
            if name == "type" and value != type_:
                assert why_not(type_, message)
                continue
            taken = read(message)
            beyond = isinstance(taken, Refusal) and taken.reason in BEYOND_SCHEMAS
            assert beyond or (why_not(type_, message) == []) == isinstance(taken, Statement), (within, name, value)


@pytest.mark.parametrize("currency", sorted(CURRENCY_SCALES))
def test_an_amount_may_have_the_decimals_of_its_currency_and_no_more(currency: str) -> None:
    for decimals in range(6):
        message = example_of("voip.overcharge.confirmed.v1")
        message["data"] |= {"currency": currency, "amount": "7." + "3" * decimals if decimals else "7"}
        assert isinstance(read(message), Statement) == (decimals <= CURRENCY_SCALES[currency])
        assert (why_not(message["type"], message) == []) == (decimals <= CURRENCY_SCALES[currency])


def test_generators_can_make_a_type_of_every_schema() -> None:
    """A schema for further properties makes a mere map of a message, and AsyncAPI's tools know `definitions` only."""
    for file in FILES:
        assert not isinstance(file.schema.get("additionalProperties"), dict), file.path
        assert "$defs" not in file.schema, file.path
        for name, field in file.schema.get("properties", {}).items():
            assert "$ref" not in field or set(field) == {"$ref"}, (file.path, name)


@pytest.mark.parametrize("name", ["d", "da", "dat", "dota", "dataa", "xdata", "x1"])
def test_an_extension_attribute_is_a_single_value(name: str) -> None:
    message = example_of("voip.outage.reopened.v1")
    assert why_not(message["type"], message | {name: "said"}) == []
    assert isinstance(read(message | {name: "said"}), Statement)
    assert why_not(message["type"], message | {name: {"a": 1}})
    assert isinstance(read(message | {name: {"a": 1}}), Refusal)


def test_every_character_that_an_identifier_may_hold_keeps_the_schema() -> None:
    check = checker(MESSAGE["voip.outage.reopened.v1"]["properties"]["id"])
    printable = [chr(code) for code in range(0x110000) if chr(code).isprintable() and code != 0x20]
    assert [character for character in printable if not check.is_valid(character)] == []


# --- What goes out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(STORED_EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_everything_ever_stored_keeps_its_schema_and_nothing_else_does(path: Path) -> None:
    check = checker(STORED[path.stem])
    envelope = json.loads(path.read_bytes())
    check.validate(envelope)
    for place in places(envelope):
        for change in ("drop", "add", "number"):
            damaged = copy.deepcopy(envelope)
            inner = damaged
            for step in place[:-1]:
                inner = inner[step]
            if change == "drop":
                del inner[place[-1]]
            elif change == "add":
                inner["surplus"] = None
            else:
                inner[place[-1]] = 1.5
            if "inputs" not in place:  # a claim's inputs have the names that its formula asks for
                assert not check.is_valid(damaged), (place, change)


@settings(max_examples=sample(25), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(min_value=0, max_value=100_000))
@example(seed=TAX_BELOW_ZERO)
@example(seed=12_037)  # a refund whose net amount is below zero, and its tax above
def test_what_any_history_records_keeps_its_schema(seed: int) -> None:
    for event in (event for step in lived(seed) for event in step):
        stored = {"data": event.data.model_dump(mode="json")}
        assert [error.message for error in OF_DATA[event.stored_as].iter_errors(stored)] == []


@pytest.mark.parametrize("name", sorted(LedgerEvent.model_fields))
def test_every_field_of_the_envelope_says_what_it_is(name: str) -> None:
    schema = STORED["cycle-started.v1"]["properties"][name]
    assert "description" in schema or "$ref" in schema


def test_what_the_relay_sends_is_what_the_document_says() -> None:
    books = Books.open(sandbox=True, now=datetime(2026, 3, 2, tzinfo=UTC))
    upstream = Upstream()
    refused = [upstream.says("outage.reopened"), {"type": "no message at all"}]
    books.take([*upstream.every_type(), *refused])
    document = asyncapi(topic_contracts(), "1.0")
    lanes = [EventLane(EVENTS.name, 0), InstructionLane(INSTRUCTIONS.name, 0), DeadLetterLane(DEAD_LETTERS.name, 0)]
    with books.database.reading() as transaction:
        events, instructions, letters = (lane.after(transaction, 0, 1_000).records for lane in lanes)
    assert len(letters) == len(refused)
    sent: set[str] = set()
    for record in [*events, *instructions, *letters]:
        headers = {name: value.decode() for name, value in record.headers if value is not None}
        form = json.loads(record.value)["type"] if record.topic == INSTRUCTIONS.name else "dead-letter"
        message = document["channels"][record.topic]["messages"][headers.get("type", form)]
        (trait,) = (resolved(document, trait) for trait in message["traits"])
        key = None if record.key is None else record.key.decode()
        if record.topic != DEAD_LETTERS.name or key is not None:
            checker(trait["bindings"]["kafka"]["key"]).validate(key)
        for said in (trait["headers"], message.get("headers", True)):
            checker(said).validate(headers)
        checker(payload(message)).validate(json.loads(record.value))
        sent.add(message["name"])
    said = {"dead-letter", "claim-assessed.v2", "settlement-changed.v1", "credit-applied.v2"}
    assert said | {"makegood.cancellation.scheduled.v1", "makegood.credit.applied.v1"} <= sent


# --- The AsyncAPI document ----------------------------------------------------------------------------------------


def resolved(document: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any]:
    """What a reference inside the document leads to."""
    start, *steps = reference["$ref"].split("/")
    assert start == "#"
    place: Any = document
    for step in steps:
        place = place[step.replace("~1", "/").replace("~0", "~")]
    found: dict[str, Any] = place
    return found


def payload(message: dict[str, Any]) -> dict[str, Any]:
    """The schema of a message's value: a schema file, or what a pointer into it leads to, with its definitions."""
    path, _, pointer = message["payload"]["$ref"].partition("#")
    (schema,) = (file.schema for file in FILES if f"./{file.path}" == path)
    if not pointer:
        return schema
    return {**resolved(schema, {"$ref": f"#{pointer}"}), "definitions": schema.get("definitions", {})}


def test_every_topic_has_a_channel_with_the_settings_that_it_is_made_with() -> None:
    document = asyncapi(topic_contracts(), "1.0")
    assert list(document["channels"]) == [topic.name for topic in TOPICS], "say in contract/topics.py what it carries"
    for topic in TOPICS:
        channel = document["channels"][topic.name]
        binding = channel["bindings"]["kafka"]
        assert channel["address"] == binding["topic"] == topic.name
        assert binding["partitions"] == topic.partitions
        settings = {
            name: ",".join(value) if isinstance(value, list) else str(value)
            for name, value in binding["topicConfiguration"].items()
        }
        assert settings == topic.settings


def test_every_channel_has_one_operation_and_upstream_is_what_comes_in() -> None:
    document = asyncapi(topic_contracts(), "1.0")
    operations = {
        resolved(document, operation["channel"])["address"]: operation["action"]
        for operation in document["operations"].values()
    }
    assert len(operations) == len(document["operations"])
    assert operations.keys() == document["channels"].keys()
    assert [topic for topic, action in operations.items() if action == "receive"] == ["provisioning.events"]


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = asyncapi(topic_contracts(), "1.0")
    for channel in document["channels"].values():
        assert channel["messages"]
        for message in channel["messages"].values():
            jsonschema_rs.meta.validate(payload(message))
            for trait in message["traits"]:
                jsonschema_rs.meta.validate(resolved(document, trait)["headers"])


@pytest.mark.parametrize("type_", MESSAGES)
def test_a_message_in_binary_mode_keeps_what_the_document_says_of_headers_and_value(type_: str) -> None:
    document = asyncapi(topic_contracts(), "1.0")
    message = document["channels"]["provisioning.events"]["messages"][f"{type_}.binary"]
    (trait,) = (resolved(document, trait) for trait in message["traits"])
    event = example_of(type_)
    data = event.pop("data")
    headers = {"content-type": event.pop("datacontenttype"), **{f"ce_{name}": value for name, value in event.items()}}
    as_sent = [(name, value.encode()) for name, value in headers.items()]
    assert isinstance(read_binary(as_sent, json.dumps(data).encode(), origin="o", channel="kafka"), Statement)
    for said in (trait["headers"], message["headers"]):
        checker(said).validate(headers)
    checker(payload(message)).validate(data)
    assert not checker(message["headers"]).is_valid(headers | {"ce_type": "another"})
    assert not checker(trait["headers"]).is_valid(headers | {"ce_time": "yesterday"})
    assert not checker(payload(message)).is_valid({**data, "surplus": "x"})


def test_a_stored_sample_is_read_by_the_class_that_its_schema_is_of() -> None:
    assert {type(from_stored(path.stem, path.read_bytes())) for path in STORED_EVENTS.glob("*.json")} == set(
        STORED_TYPES.values()
    )
