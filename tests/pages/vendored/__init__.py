"""The files of other people that pages and their tests bring with them, and where each is from.

The lock has each package's version and the integrity that the registry publishes for it; `npm ci` takes no other.
`make vendored` copies the files out of the packages, and `SHA256SUMS` says what they came to, for a machine that is
offline. `python -m tests.pages.vendored --check` only compares.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
STATIC = ROOT / "src" / "makegood" / "pages" / "static"
AXE = HERE / "axe.min.js"
SUMS = HERE / "SHA256SUMS"
FROM_PACKAGES: dict[Path, str] = {
    STATIC / "htmx.min.js": "htmx.org/dist/htmx.min.js",
    STATIC / "sse.js": "htmx-ext-sse/dist/sse.min.js",
    AXE: "axe-core/axe.min.js",
}
"""Each file, and which one of which package it is."""


def sums() -> str:
    """What the files come to, as `sha256sum` writes it."""
    return "".join(f"{sha256(file.read_bytes()).hexdigest()}  {file.relative_to(ROOT)}\n" for file in FROM_PACKAGES)


def locked() -> dict[str, str]:
    """The version of each package in the lock."""
    packages = json.loads((HERE / "package-lock.json").read_text())["packages"]
    return {name.removeprefix("node_modules/"): each["version"] for name, each in packages.items() if name}
