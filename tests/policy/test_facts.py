"""The kinds of facts are told alike: having read one, you have read all."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import ledger.policy.facts as facts

FOLDER = Path(facts.__file__).parent
SHAPE = ["__init__", "learn", "judge", "waits_for"]
KINDS = {
    path.stem: node
    for path in sorted(FOLDER.glob("*.py"))
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.ClassDef) and path.stem not in ("kind", "account_facts", "retractions")
    if any(isinstance(inner, ast.FunctionDef) and inner.name == "learn" for inner in node.body)
}


def test_the_package_names_every_kind() -> None:
    said = (facts.__doc__ or "").partition("A file for each kind of fact:")[2].partition(". ")[0]
    assert {name.strip("`,. \n") for name in said.split()} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_same_functions_in_the_same_order(kind: str) -> None:
    methods = [node.name for node in KINDS[kind].body if isinstance(node, ast.FunctionDef)]
    told = [name for name in methods if name in SHAPE]
    assert told == SHAPE[-len(told) :]
    assert len(told) >= 3
