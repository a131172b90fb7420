"""CloudEvents 1.0 in JSON: from bytes, in either content mode, to context attributes and data (contract §1)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal, NoReturn
from urllib.parse import unquote_to_bytes

from pydantic import AfterValidator, Base64Bytes, BaseModel, ConfigDict, ValidationError, WithJsonSchema

from consumers.upstream.fields import IDENTIFIER_SCHEMA, Identifier, Instant, Text
from consumers.upstream.findings import Finding, Unreadable, broken, shown
from ledger.values import SYSTEM_ACCOUNT, is_identifier, value

Headers = Sequence[tuple[str, bytes | None]]

MESSAGE_BYTES_MAX = 60 * 1024
"""How large a message may be: its JSON in structured mode; in binary mode its value and its `ce_` and `content-type`
headers, names and values. The key is not counted, because it only repeats the subject.
"""
_WORTH_PARSING_BYTES_MAX = 1024 * 1024
"""A message that is too large is still looked at for its id, so that upstream can be told which; not beyond this."""

_HEADER_PREFIX = "ce_"
_CONTENT_TYPE = "content-type"


# --- Context attributes -----------------------------------------------------------------------------------------

_JSON_MEDIA_TYPE = re.compile(
    r"\s*(?:application/json|text/json|[\w.!#$&^-]+/[\w.!#$&^-]+\+json)\s*(?:;.*)?", re.IGNORECASE | re.ASCII
)
_JSON_MEDIA_TYPE_SCHEMA = {
    "description": "The media type of the data: application/json or another JSON type.",
    "type": "string",
    "pattern": r"^\s*([Aa][Pp][Pp][Ll][Ii][Cc][Aa][Tt][Ii][Oo][Nn]/|[Tt][Ee][Xx][Tt]/"
    r"|[A-Za-z0-9_.!#$&^-]+/[A-Za-z0-9_.!#$&^-]+\+)[Jj][Ss][Oo][Nn]\s*(;[^\n]*)?$",
}
_SUBJECT_SCHEMA = {
    **IDENTIFIER_SCHEMA,
    "description": f"The account id, an identifier. `{SYSTEM_ACCOUNT}` is reserved.",
    "not": {"const": SYSTEM_ACCOUNT},
}


def _json_only(media_type: str) -> str:
    if media_type != "application/json" and _JSON_MEDIA_TYPE.fullmatch(media_type) is None:
        raise broken("json_only")
    return media_type


def _not_reserved(account: str) -> str:
    if account == SYSTEM_ACCOUNT:
        raise broken("reserved_subject")
    return account


def _version_1(version: str) -> str:
    if version != "1.0":
        raise broken("specversion")
    return version


class Attributes(BaseModel):
    """The context attributes that CloudEvents itself defines; extensions stand beside them."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    specversion: Annotated[str, AfterValidator(_version_1), WithJsonSchema({"const": "1.0"})]
    id: Identifier
    source: Identifier
    type: Text
    subject: Annotated[Identifier, AfterValidator(_not_reserved), WithJsonSchema(_SUBJECT_SCHEMA)]
    time: Instant
    datacontenttype: Annotated[str, AfterValidator(_json_only), WithJsonSchema(_JSON_MEDIA_TYPE_SCHEMA)] | None = None
    dataschema: Text | None = None


_DEFINED = frozenset(Attributes.model_fields)
EXTENSION_NAME = r"[a-z0-9]+"
_EXTENSION_NAME = re.compile(EXTENSION_NAME, re.ASCII)
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


@value
class Received:
    """What both content modes come down to: attributes by name, values not yet looked at, and the data.

    `data_finding` says why there is no data where the attributes could be read and the data could not.
    """

    attributes: Mapping[str, object]
    data: object
    size: int
    data_finding: Finding | None = None

    def identifier(self, name: str) -> str | None:
        """An attribute where it is an identifier: only then may a refusal name the message by it."""
        value = self.attributes.get(name)
        return value if isinstance(value, str) and is_identifier(value) else None

    @property
    def account(self) -> str | None:
        """The subject where it can be a customer's account."""
        subject = self.identifier("subject")
        return None if subject == SYSTEM_ACCOUNT else subject

    @property
    def traceparent(self) -> str | None:
        """The extension of that name where it has the form that the W3C gave it."""
        value = self.attributes.get("traceparent")
        return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else None

    @property
    def correlation_id(self) -> str | None:
        """The extension `correlationid` where it is an identifier."""
        return self.identifier("correlationid")

    def findings(self) -> Iterator[Finding]:
        """The errors of the message as a whole, before its attributes and data are checked."""
        if self.size > MESSAGE_BYTES_MAX:
            yield _TOO_LARGE
        elif self.data_finding is not None:
            yield self.data_finding
        for name in sorted(self.attributes.keys() - _DEFINED):
            if name == "data_base64":
                yield Finding(name, "base64 data is not supported: send JSON in the field data")
            elif name == "data" or _EXTENSION_NAME.fullmatch(name) is None:
                yield Finding(shown(name), "invalid attribute name: extension attributes use only a-z and 0-9")
            elif isinstance(self.attributes[name], (dict, list)):
                yield Finding(shown(name), "an extension attribute must be a string, a number, true or false")


_TOO_LARGE = Finding(None, f"the message is too large: at most {MESSAGE_BYTES_MAX} bytes are allowed")
_NO_CLOUDEVENT = (
    "not a CloudEvent: send a JSON object with specversion, id, source, type, subject, time and data, "
    "or the attributes as ce_ headers"
)


# --- The content modes ------------------------------------------------------------------------------------------


def structured(body: bytes) -> Received:
    """A CloudEvent whose attributes and data are one JSON object. Raises Unreadable."""
    size = len(body.rstrip(b"\r\n"))
    if size > _WORTH_PARSING_BYTES_MAX:
        raise Unreadable(_TOO_LARGE)
    event = _json(body, "the message")
    if not isinstance(event, dict):
        raise Unreadable(Finding(None, _NO_CLOUDEVENT))
    data = event.pop("data", None)
    return Received(event, data, size)


def binary(headers: Headers, value: bytes | None) -> Received:
    """A CloudEvent whose attributes are `ce_` headers and whose data is the value. Raises Unreadable."""
    attributes: dict[str, object] = {}
    size = len(value or b"")
    for header, content in headers:
        name = _attribute(header)
        if name is None:
            continue
        size += len(header) + len(content or b"")
        if name in attributes:
            raise Unreadable(Finding(shown(name), "the attribute is repeated: send it once"))
        try:
            attributes[name] = None if content is None else content.decode()
        except UnicodeDecodeError:
            raise Unreadable(Finding(shown(name), "the header is not valid UTF-8")) from None
    if value is None:
        return Received(attributes, None, size, _NO_VALUE)
    if size > _WORTH_PARSING_BYTES_MAX:
        return Received(attributes, None, size, _TOO_LARGE)
    try:
        return Received(attributes, _json(value, "the data", "data"), size)
    except Unreadable as unreadable:
        return Received(attributes, None, size, unreadable.finding)


_NO_VALUE = Finding(
    None, "the message has no value: facts cannot be deleted; to retract one, send voip.fact.retracted.v1"
)


def _attribute(header: str) -> str | None:
    """The attribute that a header stands for, or None where it is none of a CloudEvent's."""
    name = header.lower()
    if name == _CONTENT_TYPE:
        return "datacontenttype"
    return name.removeprefix(_HEADER_PREFIX) if name.startswith(_HEADER_PREFIX) else None


ContentMode = Literal["structured", "binary"]


def content_mode(headers: Headers, value: bytes | None) -> ContentMode:
    """In which content mode a Kafka record is written. Raises Unreadable where it is in none that is read.

    A record with neither a CloudEvents content type nor `ce_` headers is taken as structured if it looks like a JSON
    object, because simple tools publish plain lines without headers.
    """
    media_type = _media_type(headers)
    if media_type.startswith("application/cloudevents-batch"):
        raise Unreadable(
            Finding(_CONTENT_TYPE, "batches are accepted over HTTP only: send one CloudEvent per record")
        )
    if media_type.startswith("application/cloudevents"):
        if media_type != "application/cloudevents+json":
            raise Unreadable(Finding(_CONTENT_TYPE, "CloudEvents are taken in JSON only"))
    elif any(header[:3].lower() == _HEADER_PREFIX for header, _ in headers):
        return "binary"
    if value is None:
        raise Unreadable(_NO_VALUE)
    if not media_type.startswith("application/cloudevents") and not value.lstrip(b" \t\r\n").startswith(b"{"):
        raise Unreadable(Finding(None, _NO_CLOUDEVENT))
    return "structured"


def _media_type(headers: Headers) -> str:
    for header, content in headers:
        if content is not None and header.lower() == _CONTENT_TYPE:
            return media_type_of(content)
    return ""


def media_type_of(content: bytes) -> str:
    """What a content-type header says, without its parameters."""
    return content.partition(b";")[0].strip().lower().decode(errors="replace")


# --- Over HTTP ------------------------------------------------------------------------------------------------------

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
"""The media types of one CloudEvent, and of an array of them."""

_HTTP_PREFIX = "ce-"
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def headers_over_http(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers of a CloudEvent in binary mode over HTTP, as they would stand on Kafka; empty where it is none.

    By the HTTP protocol binding attributes are in `ce-` headers, whose values are quoted or not and percent-encoded.
    No other header is passed on: others may say who sent it, and by which secret.
    """
    found = [(name.decode("latin-1").lower(), value) for name, value in headers]
    attributes = [
        (_HEADER_PREFIX + name.removeprefix(_HTTP_PREFIX), unquote_to_bytes(_unquoted(value)))
        for name, value in found
        if name.startswith(_HTTP_PREFIX)
    ]
    media_types = [(name, value) for name, value in found if name == _CONTENT_TYPE]
    return [*media_types, *attributes] if attributes else []


def _unquoted(value: bytes) -> bytes:
    quoted = _QUOTED.fullmatch(value.strip())
    return _QUOTED_PAIR.sub(rb"\1", quoted[1]) if quoted else value.strip()


def split_batch(body: bytes) -> list[bytes]:
    """The members of a JSON array, each as the bytes that it was sent in: each is judged by itself.

    Raises Unreadable where the body is no such array.
    """
    try:
        text = body.decode()
        return [text[start:end].encode() for start, end in array_members(text)]
    except ValueError:
        raise Unreadable(_NO_BATCH) from None


class NotJson(ValueError):
    """Text that is not JSON from a place on."""

    def __init__(self, at: int) -> None:
        super().__init__(f"no JSON from character {at} on")
        self.at = at


def array_members(text: str) -> list[tuple[int, int]]:
    """Where each member of a JSON array begins and ends in its text. Raises NotJson."""
    members: list[tuple[int, int]] = []
    at = after_space(text, 0)
    if text[at : at + 1] != "[":
        raise NotJson(at)
    at = after_space(text, at + 1)
    while text[at : at + 1] != "]" or members:
        end = value_end(text, at)
        members.append((at, end))
        at = after_space(text, end)
        if text[at : at + 1] != ",":
            break
        at = after_space(text, at + 1)
    if text[at : at + 1] != "]" or (at := after_space(text, at + 1)) != len(text):
        raise NotJson(at)
    return members


def value_end(text: str, at: int) -> int:
    """Where the JSON value ends that begins at a place of a text. Raises NotJson."""
    try:
        _, end = _SCANNER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise NotJson(error.pos) from None
    except (ValueError, RecursionError):
        raise NotJson(at) from None
    return end


_NO_BATCH = Finding(None, "a batch is one JSON array in UTF-8 with a CloudEvent in each place")
_SPACE = re.compile(r"[ \t\r\n]*")
_SCANNER = json.JSONDecoder(parse_int=len, parse_float=len)
"""Finds where a member ends. What its numbers are nobody asks here, however many digits they have."""


def after_space(text: str, at: int) -> int:
    """Where the white space of JSON ends that begins at a place of a text."""
    found = _SPACE.match(text, at)
    return found.end() if found is not None else at


def binary_as_one(headers: Headers, key: bytes | None, value: bytes | None) -> bytes:
    """A binary-mode record as the one body of a dead letter: nothing is lost, whatever its bytes are."""
    record = {
        "headers": [[header, _shown_bytes(content)] for header, content in headers],
        "key": _shown_bytes(key),
        "value": _shown_bytes(value),
    }
    return json.dumps(record, ensure_ascii=True).encode()


def record_in(body: bytes) -> tuple[Headers, bytes | None, bytes | None] | None:
    """The headers, key and value that `binary_as_one` wrote as one body; None where it wrote none of it.

    Anybody may send a body that looks like one, and not quite.
    """
    try:
        record = _Record.model_validate_json(body)
    except ValidationError:
        return None
    headers = [(header, _bytes_shown(content)) for header, content in record.headers]
    return headers, _bytes_shown(record.key), _bytes_shown(record.value)


_EXACTLY = ConfigDict(frozen=True, strict=True, extra="forbid")


class _NoText(BaseModel):
    """Bytes that are no UTF-8, as a record shows them."""

    model_config = _EXACTLY

    base64: Base64Bytes


class _Record(BaseModel):
    """A record in binary mode as one object."""

    model_config = _EXACTLY

    headers: list[tuple[str, str | _NoText | None]]
    key: str | _NoText | None
    value: str | _NoText | None


def _bytes_shown(content: str | _NoText | None) -> bytes | None:
    return content.base64 if isinstance(content, _NoText) else content.encode() if content is not None else None


def _shown_bytes(content: bytes | None) -> object:
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


# --- JSON -------------------------------------------------------------------------------------------------------


class _RepeatedName(Exception):
    """An object has the same name twice, so that readers may differ on what it says."""


class _Pairs(list[tuple[str, object]]):
    """An object as it is written, names repeated or not."""


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise _RepeatedName
    return named


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_no_constant)
_DECODER_OF_PAIRS = json.JSONDecoder(object_pairs_hook=_Pairs, parse_constant=_no_constant)


def _json(body: bytes, what: str, field: str | None = None) -> object:
    try:
        text = body.decode()
        try:
            return _DECODER.decode(text)
        except _RepeatedName:
            raise Unreadable(_repeated(_DECODER_OF_PAIRS.decode(text), field)) from None
    except UnicodeDecodeError as error:
        reason = f"{what} must be JSON in UTF-8: invalid UTF-8 at byte {error.start + 1}"
    except json.JSONDecodeError as error:
        reason = f"{what} must be JSON: syntax error at character {error.pos + 1}"
    except RecursionError:
        reason = f"{what} is nested too deeply: a message has at most three levels"
    except ValueError:  # NaN, Infinity, a number of thousands of digits
        reason = f"{what} must be JSON with ordinary numbers"
    raise Unreadable(Finding(field, reason))


def strict_json(body: bytes) -> object:
    """What a body in JSON says that all readers take alike. Raises Unreadable: names stand in an object once."""
    return _json(body, "the body")


def _repeated(written: object, field: str | None) -> Finding:
    reason = "the name is repeated in one object, which makes its value ambiguous: send it once"
    ahead: list[tuple[tuple[str, ...], object]] = [((field,) if field else (), written)]
    while ahead:
        path, value = ahead.pop()
        if isinstance(value, _Pairs):
            seen = set()
            for name, inner in value:
                if name in seen:
                    return Finding(".".join((*path, shown(name))), reason)
                seen.add(name)
                ahead.append(((*path, shown(name)), inner))
        elif isinstance(value, list):
            ahead.extend((path, item) for item in value)
    raise AssertionError("a name was repeated and is not found again")
