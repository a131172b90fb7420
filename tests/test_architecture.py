"""The house stays as it was drawn: imports go one way, names say what is in them, and no float comes near money."""

import ast
import re
import subprocess
import sys
from functools import cache
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


# --- shards -------------------------------------------------------------------------------------------------------

SHARD_IN_TEXT = re.compile(r"shard[ :=/]*\d|notices/\d|(?<![\w:.])\d:\d")


@cache
def takers_of_shards() -> dict[str, int]:
    """Of whatever is called with a shard, by its name: at which place among the arguments the shard stands."""
    found = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                names = [argument.arg for argument in node.args.args if argument.arg not in ("self", "cls")]
                name = node.name
            elif isinstance(node, ast.ClassDef):
                fields = [each.target for each in node.body if isinstance(each, ast.AnnAssign)]
                names = [field.id for field in fields if isinstance(field, ast.Name)]
                name = node.name
                for each in node.body:
                    if isinstance(each, ast.FunctionDef) and each.name == "__init__":
                        names = [argument.arg for argument in each.args.args[1:]]
            else:
                continue
            if "shard" in names:
                found[name] = names.index("shard")
    # How far a part is behind in a shard, or in a partition.
    return {**found, "Lag": 2}


def literal_shards(source: str) -> list[str]:
    """Where a source text says a shard by its number, in code or in words."""
    takers = takers_of_shards()
    found = []
    for node in ast.walk(ast.parse(source)):
        said: list[ast.expr | None] = []
        match node:
            case ast.Call(func=ast.Name(name) | ast.Attribute(attr=name)):
                said += [keyword.value for keyword in node.keywords if keyword.arg == "shard"]
                if name in takers:
                    said += node.args[takers[name] : takers[name] + 1]
            case ast.FunctionDef(name="shard"):
                said += [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return)]
            case ast.FunctionDef():
                given = [*node.args.args[::-1], *node.args.kwonlyargs]
                defaults = [*node.args.defaults[::-1], *[None] * len(node.args.args)][: len(node.args.args)]
                by_name = zip(given, [*defaults, *node.args.kw_defaults], strict=True)
                said += [default for argument, default in by_name if argument.arg == "shard"]
            case (
                ast.Assign(targets=[ast.Name(name) | ast.Attribute(attr=name)])
                | ast.AnnAssign(target=ast.Name(name) | ast.Attribute(attr=name))
            ):
                if name.lower().endswith("shard") and name != "FIRST_SHARD":
                    said.append(node.value)
            case ast.Compare(left=ast.Name(name) | ast.Attribute(attr=name)) if name == "shard":
                said += node.comparators
        found += [
            f"line {node.lineno}: {ast.unparse(node)}"
            for value in said
            if isinstance(value, ast.Constant) and isinstance(value.value, int)
        ]
    lines = enumerate(source.splitlines(), 1)
    return found + [f"line {number}: {line.strip()}" for number, line in lines if SHARD_IN_TEXT.search(line)]


@pytest.mark.parametrize("path", by_name(MODULES))
def test_no_shard_is_named_by_its_number(path: Path) -> None:
    """A position, a reader, a sequence names its shard, which an account's head tells. Only where `system` lives is
    said, once (ledger/store/positions.py)."""
    assert literal_shards(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "read_shard(transaction, 0, after, limit)",
        "follower.position_reached(0)",
        "Head(account, shard=0)",
        "Lag('notices', 'notices', 0, position, behind, None)",
        "Position(0, 4536)",
        "def reached(shard: int = 0): ...",
        "def reached(of: str, *, shard: int = 0): ...",
        "class Head:\n    shard: int = 0",
        "@property\ndef shard(self) -> int:\n    return 0",
        "SHARD = 0",
        "self._shard = 1",
        "if envelope.shard == 0: ...",
        "READER = 'notices/0'",
        "'SELECT position FROM sequences WHERE name = \\'shard:0\\''",
        "'SELECT envelope FROM events WHERE shard = 0'",
        "'a position, such as 0:4536'",
    ],
)
def test_a_shard_named_by_its_number_is_found(source: str) -> None:
    assert literal_shards(source) != []


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
