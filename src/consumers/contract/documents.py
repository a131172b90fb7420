"""All documents that machines read the contract by, by their paths, as they are published."""

from __future__ import annotations

from consumers.contract.asyncapi import asyncapi
from consumers.contract.json_schema import as_json
from consumers.contract.topics import topic_contracts


def documents(version: str) -> dict[str, bytes]:
    """The AsyncAPI document of all topics and every schema that it refers to; `version` is the program's."""
    contracts = topic_contracts()
    files = {form.payload.path: form.payload for contract in contracts for form in contract.records}
    found = {path: as_json(file.schema) for path, file in files.items()}
    found["asyncapi.json"] = as_json(asyncapi(contracts, version))
    return dict(sorted(found.items()))
