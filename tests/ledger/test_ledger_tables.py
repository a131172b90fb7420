"""The ledger's own tables are read and written in its store, and nowhere else."""

import ast
import re
from pathlib import Path

import pytest

from ledger.store.schema import KEY_TABLES, TABLES

SRC = Path(__file__).resolve().parents[2] / "src"
NAMES = re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", " ".join((*TABLES, *KEY_TABLES)))
TABLE_IN_SQL = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:{'|'.join(NAMES)})\b")


def table_in_sql(module: Path) -> list[tuple[int, str]]:
    """Where strings of a module name a table of the ledger as SQL does, by line."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    strings = [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return [(line, found[0]) for line, text in strings for found in TABLE_IN_SQL.finditer(text)]


def test_the_tables_are_known() -> None:
    assert {"events", "heads", "readers", "waiting", "dead_letters", "notices", "vault_keys"} <= set(NAMES)
    assert table_in_sql(SRC / "ledger" / "store" / "reading" / "events.py")


TAMPERING = {"makegood/program/changed_copy.py"}
"""What changes a copy of a store as whoever tampers would, to show that it is found."""


@pytest.mark.parametrize("package", ["projections", "consumers", "makegood"])
def test_nobody_else_names_them_in_sql(package: str) -> None:
    found = {str(module.relative_to(SRC)): table_in_sql(module) for module in (SRC / package).rglob("*.py")}
    assert {module: names for module, names in found.items() if names and module not in TAMPERING} == {}
