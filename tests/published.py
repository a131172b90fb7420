"""Answers held to what is published of them: docs/contract/openapi.json, and no field beside it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

PUBLISHED = Path(__file__).resolve().parents[1] / "docs" / "contract" / "openapi.json"


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return document


@cache
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    components = _document()["components"]
    return jsonschema_rs.Draft202012Validator({**json.loads(schema), "components": components})


def hold_to(schema: dict[str, Any], answer: Any, where: str) -> None:
    errors = [
        f"{'.'.join(map(str, error.instance_path))}: {error.message}"
        for error in _validator(json.dumps(schema)).iter_errors(answer)
    ]
    assert errors == [], where


def hold_to_type(name: str, answer: Any) -> None:
    """An answer is of a published type."""
    hold_to({"$ref": f"#/components/schemas/{name}"}, answer, name)


def hold_to_address(path: str, answer: Any) -> None:
    """What was answered to a GET is what is published of the address, given as it stands in the document."""
    told = _document()["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    hold_to(told, answer, path)
