"""What other people wrote is as they published it, and asks of a strict policy nothing that it forbids."""

from __future__ import annotations

import json
import re

from tests.pages.vendored import AXE, FROM_PACKAGES, HERE, STATIC, SUMS, locked, sums


def test_the_files_are_those_that_were_copied_out_of_the_locked_packages() -> None:
    """Against the registry itself they are compared by `make pages`, which needs the network."""
    assert sums() == SUMS.read_text(), "changed by hand; run `make vendored`"


def test_each_version_is_one_and_is_the_one_in_the_file() -> None:
    asked = json.loads((HERE / "package.json").read_text())["dependencies"]
    assert locked() == asked
    assert {within.split("/")[0] for within in FROM_PACKAGES.values()} == set(asked)
    assert f'version:"{asked["htmx.org"]}"' in (STATIC / "htmx.min.js").read_text()
    assert f"axe v{asked['axe-core']}" in AXE.read_text()[:40]


def test_each_file_has_its_licence_beside_it() -> None:
    told = (STATIC / "LICENSES.txt").read_text()
    for file in FROM_PACKAGES:
        if file.parent == STATIC:
            assert re.search(rf"^{re.escape(file.name)}\s", told, re.MULTILINE), file.name
    assert "Mozilla Public" in AXE.read_text()[:400]
