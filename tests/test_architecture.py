"""The house stays as it was drawn: imports go one way, names say what is in them, and no float comes near money."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
MODULES = sorted(SRC.rglob("*.py"))
WITH_AMOUNTS = [path for path in MODULES if path.relative_to(SRC).parts[0] in ("ledger", "projections")]


def by_name(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(SRC))) for path in paths]


def test_imports_go_the_way_that_the_contracts_say() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [str(lint), "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_module_is_named_for_holding_anything() -> None:
    vague = {"common", "utils", "util", "helpers", "helper", "base", "manager", "managers", "misc"}
    assert [
        path for path in MODULES if {part.removesuffix(".py") for part in path.relative_to(SRC).parts} & vague
    ] == []


@pytest.mark.parametrize("path", by_name(WITH_AMOUNTS))
def test_no_float_comes_near_an_amount(path: Path) -> None:
    """Waiting for another writer is measured in floats of seconds; nothing else in the ledger is."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    waits = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep"
        for inner in ast.walk(node)
    }
    found = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if node not in waits
        and (
            (isinstance(node, ast.Constant) and isinstance(node.value, float))
            or (isinstance(node, ast.Call) and ast.unparse(node.func) in ("float", "math.ceil", "math.floor"))
        )
    ]
    assert found == []


@pytest.mark.parametrize("path", by_name([path for path in MODULES if path.relative_to(SRC).parts[0] != "makegood"]))
def test_only_the_door_reads_the_clock(path: Path) -> None:
    """What is recorded gets its time as an argument. Monotonic clocks and sleeping tell nobody what time it is."""
    calls = {ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)}
    clocks = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
    assert calls & clocks == set()


def test_every_make_target_has_a_comment() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    bare = [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if re.match(r"[a-z-]+:(?!=)", line) and not above.startswith("# ")
    ]
    assert bare == []


def test_ci_runs_what_developers_run() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.startswith("#!/usr/bin/env bash\n")
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert commands[0] == "set -euo pipefail"
    assert commands[-1] == "make test"
