"""The AsyncAPI 3.1 document of all topics, from Makegood's point of view: what it receives and what it sends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from consumers.contract.json_schema import Schema
from consumers.contract.topics import Common, RecordForm, TopicContract
from consumers.kafka.topics import Topic

_BINDING = "0.5.0"
"""The version of AsyncAPI's bindings for Kafka."""

_SCHEMES: Schema = {
    "scramSha256": {"type": "scramSha256", "description": "SASL with SCRAM-SHA-256."},
    "scramSha512": {"type": "scramSha512", "description": "SASL with SCRAM-SHA-512."},
    "oauthBearer": {"type": "http", "scheme": "bearer", "description": "SASL with OAUTHBEARER."},
    "certificate": {"type": "X509", "description": "TLS with a client certificate."},
}
_SECURITY = [{"$ref": f"#/components/securitySchemes/{name}"} for name in _SCHEMES]

_SERVER: Schema = {
    "host": "localhost:9092",
    "protocol": "kafka",
    "description": "The brokers that `MAKEGOOD_KAFKA` names. They decide which of these, if any, is required.",
    "security": _SECURITY,
}


def asyncapi(contracts: Iterable[TopicContract], version: str) -> dict[str, Any]:
    """The document; its payloads refer to the schema files that lie beside it. `version` is the program's."""
    listed = list(contracts)
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Makegood",
            "version": version,
            "description": "The topics that Makegood, a VoIP provider's ledger for refunds and credits, reads and "
            "writes. Later versions may add to this document, but change nothing in it.",
            "tags": [{"name": "refunds and credits", "description": "The ledger of what is paid back to customers."}],
        },
        "servers": {"brokers": _SERVER},
        "defaultContentType": "application/json",
        "channels": {contract.topic.name: _channel(contract) for contract in listed},
        "operations": {contract.operation: _operation(contract) for contract in listed},
        "components": {
            "messageTraits": {
                form.common.name: _trait(form.common) for contract in listed for form in contract.records
            },
            "securitySchemes": _SCHEMES,
        },
    }


def _channel(contract: TopicContract) -> Schema:
    return {
        "address": contract.topic.name,
        "title": contract.title,
        "description": contract.description,
        "messages": {form.name: _message(form) for form in contract.records},
        "bindings": {"kafka": _topic(contract.topic)},
    }


def _message(form: RecordForm) -> Schema:
    message: Schema = {
        "name": form.name,
        "title": form.name,
        "summary": form.summary,
        "payload": {"$ref": f"./{form.payload.path}" + (f"#{form.within}" if form.within else "")},
        "traits": [{"$ref": f"#/components/messageTraits/{form.common.name}"}],
    }
    if form.type_header is not None:
        type_ = {"const": form.payload.schema["title"]}
        message["headers"] = {"type": "object", "properties": {form.type_header: type_}}
    return message


def _trait(common: Common) -> Schema:
    return {
        "contentType": common.content_type,
        "headers": common.headers,
        "bindings": {"kafka": {"key": common.key, "bindingVersion": _BINDING}},
    }


def _topic(topic: Topic) -> Schema:
    """A topic as it is made where it is missing; one that is there is taken as it is."""
    settings: Schema = {
        name: value.split(",") if name == "cleanup.policy" else int(value) if value.lstrip("-").isdigit() else value
        for name, value in topic.settings.items()
    }
    return {
        "topic": topic.name,
        "partitions": topic.partitions,
        "topicConfiguration": settings,
        "bindingVersion": _BINDING,
    }


def _operation(contract: TopicContract) -> Schema:
    return {
        "action": contract.action,
        "title": contract.title,
        "description": contract.description,
        "security": _SECURITY,
        "channel": {"$ref": f"#/channels/{_pointed(contract.topic.name)}"},
    }


def _pointed(name: str) -> str:
    """A name as a step of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")
