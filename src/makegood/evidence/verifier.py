"""`verify.py` as auditors get it: one file, joined from the program and the arithmetic that it imports."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable
from importlib.resources import files

_PACKAGE = "makegood.evidence"
_PARTS = ("recalculation", "resettlement")
_BEFORE = "# --- evidence packs ---"
"""The heading of the program before which its parts stand."""


def verifier() -> str:
    """The program as one file that needs nothing of ours."""
    sources = [_source(name) for name in ("verify", *_PARTS)]
    program, *parts = map(_without_imports, sources)
    head, heading, tail = program.partition(_BEFORE)
    body = "".join([head, *(f"{_as_comment(part)}\n\n\n" for part in parts), heading, tail])
    docstring, _, rest = body.partition('"""\n\n')
    return f'{docstring}"""\n\n{_imports(sources)}\n\n{rest.lstrip()}'


def _source(name: str) -> str:
    return files(_PACKAGE).joinpath(f"{name}.py").read_text(encoding="utf-8")


def _imported(source: str) -> list[ast.Import | ast.ImportFrom]:
    return [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]


def _without_imports(source: str) -> str:
    lines, nodes = source.splitlines(), _imported(source)
    return "\n".join([*lines[: nodes[0].lineno - 1], *lines[nodes[-1].end_lineno :]]) + "\n"


def _as_comment(part: str) -> str:
    """A part whose docstring has become a comment."""
    _, docstring, body = part.split('"""', 2)
    return "\n".join([*(f"# {line}".rstrip() for line in docstring.strip().splitlines()), "", body.strip()])


def _imports(sources: Iterable[str]) -> str:
    """All that is imported from elsewhere: the standard library before what is to be installed."""
    modules: set[str] = set()
    names: dict[str, set[str]] = defaultdict(set)
    for node in (node for source in sources for node in _imported(source)):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif node.module is not None and not node.module.startswith(_PACKAGE):
            names[node.module].update(alias.name for alias in node.names)
    of_future = f"from __future__ import {', '.join(names.pop('__future__'))}\n"
    whole = [f"import {module}" for module in sorted(modules)]
    of_python = [module for module in sorted(names) if module.partition(".")[0] in sys.stdlib_module_names]
    of_others = sorted(names.keys() - set(of_python))
    own, others = ([f"from {m} import {', '.join(sorted(names[m]))}" for m in of] for of in (of_python, of_others))
    return "\n".join([of_future, *whole, *own, "", *others])
