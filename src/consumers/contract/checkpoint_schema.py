"""The JSON Schema of a published checkpoint, which is a text (contract §1a)."""

from __future__ import annotations

from consumers.contract.json_schema import SchemaFile, published


def checkpoint_schema() -> SchemaFile:
    """The schema of a signed checkpoint."""
    return published(
        "checkpoint",
        "schemas",
        {
            "title": "checkpoint",
            "description": (
                "A signed checkpoint of a shard's Merkle tree: a signed note as C2SP's tlog-checkpoint has it. Its "
                "lines are the log's origin, the number of events that it covers, the root in base64, an empty line, "
                "and a signature each."
            ),
            "type": "string",
            "pattern": r"^[^\s+]+\n(0|[1-9][0-9]*)\n[A-Za-z0-9+/]{43}=\n\n(— [^\s+]+ [A-Za-z0-9+/]+=*\n)+$",
        },
    )
