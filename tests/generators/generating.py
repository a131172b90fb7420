"""Each tool takes the published documents without a warning, and what it makes compiles and carries samples.

`make generators` installs the tools, in the versions that are pinned here, into `.generators`, and runs this. It
takes a minute or two, most of it in compilers, and needs the registries of npm and PyPI the first time.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.desk import Desk
from tests.ledger.books import Books
from tests.ledger.messages import Upstream

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONTRACT = ROOT / "docs" / "contract"
OPENAPI, ASYNCAPI = CONTRACT / "openapi.json", CONTRACT / "asyncapi.json"
SCHEMAS = sorted((CONTRACT / "schemas").glob("*.json"))
STORED = sorted((CONTRACT / "schemas" / "stored").glob("*.json"))
TOOLS = ROOT / ".generators"
NODE, PYTHON = TOOLS / "node_modules" / ".bin", TOOLS / "python" / "bin"


def run(command: list[str | Path], folder: Path, **environment: str) -> str:
    """What a command says, on both streams; it has to end well."""
    path = os.pathsep.join([str(NODE), str(PYTHON), os.environ["PATH"]])
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def samples() -> dict[str, dict[str, Any]]:
    """The example of each message's schema, by the schema's name."""
    read = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS}
    return {name: schema["examples"][0] for name, schema in read.items() if name.startswith("voip.")}


def type_of(name: str) -> str:
    """The name that quicktype gives the type of a schema file: `VoipCycleStartedV1`."""
    return "".join(word.capitalize() for word in name.replace("_", ".").split("."))


def type_script(source: Path, *options: str) -> None:
    run(["tsc", "--strict", "--target", "es2022", "--module", "commonjs", *options, source.name], source.parent)


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    assert NODE.is_dir() and PYTHON.is_dir(), "the tools are not installed; run `make generators`"  # noqa: PT018


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """An API over two customers."""
    books = Books.open()
    with Desk.on(books, books.database.url) as desk:
        yield desk
    books.close()


class TestLinters:
    @pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=lambda path: path.name)
    def test_spectral_finds_nothing(self, document: Path) -> None:
        run(["spectral", "lint", "--fail-severity=hint", "--ruleset", HERE / "spectral.yaml", document], ROOT)

    @pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=lambda path: path.name)
    def test_redocly_finds_nothing(self, document: Path, tmp_path: Path) -> None:
        shutil.copy(HERE / "redocly.yaml", tmp_path)
        said = run(["redocly", "lint", "--format=json", document], tmp_path)
        found, _ = json.JSONDecoder().raw_decode(said[said.index("{\n") :])
        assert found["problems"] == []

    def test_a_fault_is_found(self, tmp_path: Path) -> None:
        broken = json.loads(OPENAPI.read_text(encoding="utf-8"))
        del broken["info"]["title"]
        (tmp_path / "openapi.json").write_text(json.dumps(broken))
        for command in (
            ["spectral", "lint", "--ruleset", HERE / "spectral.yaml", "openapi.json"],
            ["redocly", "lint", "openapi.json"],
        ):
            with pytest.raises(AssertionError, match="title"):
                run(command, tmp_path)


class TestOpenApi:
    def test_openapi_typescript_makes_types_that_real_answers_have(self, desk: Desk, tmp_path: Path) -> None:
        said = run(["openapi-typescript", OPENAPI, "-o", "api.ts"], tmp_path)
        assert "warn" not in said.lower(), said
        answers = {
            path: desk.get("otto", path.replace("{account_id}", "acct-1")).json()
            for path in ("/claims", "/refunds", "/status", "/accounts/{account_id}", "/accounts/{account_id}/history")
        }
        lines = [
            f'const answer{number}: paths["{path}"]["get"]["responses"][200]["content"]["application/json"] = '
            f"{json.dumps(answer)};"
            for number, (path, answer) in enumerate(answers.items())
        ]
        event = Upstream("acct-9").account_registered()
        body = '["requestBody"]["content"]["application/cloudevents+json"]'
        lines.append(f'const event: paths["/events"]["post"]{body} = {json.dumps(event)};')
        (tmp_path / "client.ts").write_text("\n".join(['import type { paths } from "./api";', *lines]))
        type_script(tmp_path / "client.ts", "--noEmit")

        wrong = lines[-1].replace("specversion", "specverson")
        (tmp_path / "wrong.ts").write_text(f'import type {{ paths }} from "./api";\n{wrong}')
        with pytest.raises(AssertionError, match="specverson"):
            type_script(tmp_path / "wrong.ts", "--noEmit")

    def test_openapi_python_client_makes_a_client_that_works(self, desk: Desk, tmp_path: Path) -> None:
        said = run(
            ["openapi-python-client", "generate", "--path", OPENAPI, "--output-path", "client", "--fail-on-warning"],
            tmp_path,
        )
        assert "warning" not in said.lower(), said
        event = Upstream("acct-9", source="/billing").account_registered()
        said = run(
            ["python", HERE / "use_client.py", json.dumps(event)],
            tmp_path / "client",
            ADDRESS=str(desk.http.base_url),
            PROVISIONING=desk.secrets["paula"],
            AUDITOR=desk.secrets["otto"],
        )
        assert json.loads(said.splitlines()[-1]) == {
            "structured": "accepted",
            "binary": "duplicate",
            "batch": "duplicate",
            "account": desk.get("otto", "/accounts/acct-1").json(),
            "history": desk.get("otto", "/accounts/acct-1/history").json(),
        }


class TestSchemas:
    """quicktype, from the JSON Schemas; its option `--no-date-times` keeps dates and instants as they are written."""

    def test_quicktype_makes_typescript_that_carries_every_message(self, tmp_path: Path) -> None:
        options = ["--src-lang", "schema", "--lang", "typescript", "--no-date-times", "-o", "messages.ts"]
        assert run(["quicktype", *options, *SCHEMAS], tmp_path) == ""
        source = (tmp_path / "messages.ts").read_text(encoding="utf-8")
        for name in samples():
            interface = source.split(f"export interface {type_of(name)} {{")[1].split("\n}")[0]
            assert "specversion:" in interface, name
        type_script(tmp_path / "messages.ts")
        steps = [
            f"told[{json.dumps(name)}] = JSON.parse(Convert.{type_of(name)[0].lower()}{type_of(name)[1:]}ToJson("
            f"Convert.to{type_of(name)}({json.dumps(json.dumps(sample))})));"
            for name, sample in samples().items()
        ]
        script = ['const { Convert } = require("./messages.js");', "const told = {};", *steps]
        (tmp_path / "carry.js").write_text("\n".join([*script, "console.log(JSON.stringify(told));"]))
        assert json.loads(run(["node", "carry.js"], tmp_path)) == samples()

    def test_quicktype_makes_go_that_carries_every_message(self, tmp_path: Path) -> None:
        options = ["--src-lang", "schema", "--lang", "go", "--package", "main", "-o", "messages.go"]
        assert run(["quicktype", *options, *SCHEMAS], tmp_path) == ""
        source = (tmp_path / "messages.go").read_text(encoding="utf-8")
        steps = []
        for name in samples():
            assert "specversion" in source.split(f"type {type_of(name)} struct {{")[1].split("\n}")[0], name
            steps.append(
                f'\tcarry("{name}", func(said []byte) ([]byte, error) {{ '
                f"message, err := Unmarshal{type_of(name)}(said); if err != nil {{ return nil, err }}; "
                "return message.Marshal() })"
            )
        program = (HERE / "carry.go.txt").read_text()
        (tmp_path / "carry.go").write_text(program.replace("\t// STEPS", "\n".join(steps)))
        (tmp_path / "samples.json").write_text(json.dumps(samples()))
        (tmp_path / "go.mod").write_text("module messages\n\ngo 1.21\n")
        run(["go", "vet", "."], tmp_path, GOFLAGS="-mod=mod", GOTOOLCHAIN="local")
        told = json.loads(run(["go", "run", "."], tmp_path, GOTOOLCHAIN="local"))
        assert {name: without_nulls(message) for name, message in told.items()} == samples()

    def test_quicktype_makes_a_type_of_every_stored_event(self, tmp_path: Path) -> None:
        options = ["--src-lang", "schema", "--lang", "go", "--package", "stored", "-o", "stored.go"]
        assert run(["quicktype", *options, *STORED], tmp_path) == ""
        source = (tmp_path / "stored.go").read_text(encoding="utf-8")
        for path in STORED:
            name = type_of(path.stem.replace("-", "."))
            assert re.search(rf"^type {name} struct \{{", source, re.MULTILINE | re.IGNORECASE), path.name
        (tmp_path / "go.mod").write_text("module stored\n\ngo 1.21\n")
        run(["go", "vet", "."], tmp_path, GOTOOLCHAIN="local")


def without_nulls(value: Any) -> Any:
    """Go writes a field that may be left out as null, which the contract takes as absent."""
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return value
