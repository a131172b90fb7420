"""The contract as machines read it: a JSON Schema of every message and an AsyncAPI document of every topic."""

from consumers.contract.documents import documents
from consumers.contract.json_schema import as_json

__all__ = ["as_json", "documents"]
