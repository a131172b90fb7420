"""JSON Schemas out of pydantic's models: what programs check by, without what only Python calls things."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DEFINITIONS = "definitions"
"""Where a schema keeps what it refers to: by draft 7's name, which tools for AsyncAPI know, and later drafts too."""


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """One published schema, and its file's path among the published ones."""

    path: str
    schema: Schema


def published(name: str, folder: str, schema: Schema) -> SchemaFile:
    """A schema as a file of its own. Its name is a URN, because where it lies is for whoever copies it to say."""
    urn = ":".join(("urn:makegood", *folder.split("/"), name))
    return SchemaFile(f"{folder}/{name}.json", {"$schema": DIALECT, "$id": urn, **schema})


def as_json(document: Mapping[str, Any]) -> bytes:
    """A document's bytes: the same for the same content, a line for each value, so that a change is easily read."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def schema_of(model: type[BaseModel], mode: JsonSchemaMode) -> Schema:
    """What JSON Schema can say of a model: of what it takes (`validation`) or of what it writes (`serialization`)."""
    template = f"#/{DEFINITIONS}/{{model}}"
    schema: Schema = tidied(model.model_json_schema(mode=mode, schema_generator=_AsRead, ref_template=template))
    if "$defs" in schema:
        schema[DEFINITIONS] = schema.pop("$defs")
    return schema


class _AsRead(GenerateJsonSchema):
    """A null is one more type, not a second schema; whatever is written is required of what is written."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        if not isinstance(inner.get("type"), str):
            return super().nullable_schema(schema)
        nullable = {**inner, "type": [inner["type"], "null"]}
        if "enum" in inner:
            nullable["enum"] = [*inner["enum"], None]
        return nullable

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)


def tidied(schema: Any) -> Any:
    """A schema without the titles that are names in Python and without defaults of null; docstrings as running text.

    A field may be called `title` or `default`: then an object stands there, which is the field's schema.
    """
    if isinstance(schema, list):
        return [tidied(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {
        name: tidied(value)
        for name, value in schema.items()
        if not (name == "title" and isinstance(value, str)) and not (name == "default" and value is None)
    }
    if isinstance(tidy.get("description"), str):
        tidy["description"] = running_text(tidy["description"])
    return tidy


def running_text(docstring: str) -> str:
    """A docstring's paragraphs, each on one line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in docstring.strip().split("\n\n"))
