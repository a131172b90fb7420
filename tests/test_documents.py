"""The documents say what is so: their commands run, their names exist, their numbers are the code's.

A README whose commands fail costs a reader's trust on the first page; a map that names what is gone is worse than
none.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from consumers.upstream import MESSAGES
from ledger.agreement import DEFAULTS, read_agreement
from makegood.cli import run as makegood
from makegood.house.settings import Settings
from tests.parts.kafka import find_kafka
from tests.parts.process import free_ports

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "deploy" / "sample" / "README.md"])
PACKAGES = ("ledger", "projections", "consumers", "makegood")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def by_name(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


def section(document: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level."""
    level = re.escape(heading.split(" ", 1)[0])
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^{level} |\Z)", document, re.DOTALL | re.MULTILINE)
    assert found is not None, f"there is no heading {heading!r}"
    return found[1]


# --- the README's commands ------------------------------------------------------------------------------------------


@dataclass
class Command:
    line: str
    shown: list[str] = field(default_factory=list)

    @property
    def exits(self) -> int:
        said = re.search(r"# exits (\d+)", self.line)
        return int(said[1]) if said else 0


@dataclass
class Block:
    """A ```console block, with the comment above it that says how it is tested."""

    how: str
    commands: list[Command]


def console_blocks(document: str) -> list[Block]:
    blocks = []
    for how, body in re.findall(r"(?:<!-- ([^\n]*) -->\n)?```console\n(.*?)```", document, re.DOTALL):
        commands: list[Command] = []
        for line in body.splitlines():
            if line.startswith("$ "):
                commands.append(Command(line.removeprefix("$ ")))
            elif line.strip():
                commands[-1].shown.append(line)
        blocks.append(Block(how, commands))
    return blocks


BLOCKS = console_blocks(text("README.md"))
IN_A_SANDBOX = [block for block in BLOCKS if not block.how]
WITH_A_BROKER = [block for block in BLOCKS if block.how == "run with a broker"]
NOT_RUN = [block for block in BLOCKS if block.how.startswith("not run here: ")]


def environment(**more: str) -> dict[str, str]:
    """What a reader's shell has, with the command on its path and no setting but those given."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKEGOOD_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
    return {**own, "PATH": path, "NO_COLOR": "1", "COLUMNS": "200", **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like a checkout to the README's commands."""
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    return tmp_path


def run(command: str, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False
    )


@dataclass
class Reader:
    """Who types the README's commands in a folder, and reads what they say.

    Most begin with `makegood` and end with its last argument. They are run in this process, because starting a Python
    for each takes longer than most of them. What is more, a shell runs, with the program as it is installed.
    """

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def runs(self, line: str) -> subprocess.CompletedProcess[str]:
        program, *arguments = shlex.split(line, comments=True)
        if program != "makegood" or re.search(r"[|<>&;$`*]", line.partition("#")[0]):
            return run(line, self.folder, environment())
        with pytest.MonkeyPatch.context() as patched:
            patched.chdir(self.folder)
            for name in [name for name in os.environ if name.startswith("MAKEGOOD_")]:
                patched.delenv(name)
            patched.setenv("NO_COLOR", "1")
            patched.setenv("COLUMNS", "200")
            self.capsys.readouterr()
            code = makegood(arguments)
        return subprocess.CompletedProcess(line, code, *self.capsys.readouterr())


@pytest.fixture
def reader(folder: Path, capsys: pytest.CaptureFixture[str]) -> Reader:
    return Reader(folder, capsys)


def spaced(line: str) -> str:
    return " ".join(line.split())


def check(command: Command, done: subprocess.CompletedProcess[str]) -> None:
    """A command of the README does what the README says: it ends as told, and says what is shown."""
    said = done.stdout + done.stderr
    assert done.returncode == command.exits, f"$ {command.line}\nended with {done.returncode}:\n{said[-4000:]}"
    lines = [spaced(line) for line in said.splitlines()]
    for shown in command.shown:
        assert spaced(shown) in lines, f"$ {command.line}\ndoes not say {shown.strip()!r}, but:\n{said[-4000:]}"


def test_every_console_block_is_run_or_says_why_not() -> None:
    assert len(IN_A_SANDBOX) + len(WITH_A_BROKER) + len(NOT_RUN) == len(BLOCKS)
    assert IN_A_SANDBOX
    assert WITH_A_BROKER


def test_the_commands_of_the_readme_do_what_it_says(reader: Reader) -> None:
    for command in [command for block in IN_A_SANDBOX for command in block.commands]:
        check(command, reader.runs(command.line))
    hold_recorded(reader)


def hold_recorded(reader: Reader) -> None:
    """The session's clock was set before its messages came: no fact was recorded on the day of the test."""
    quarters = ["2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z"]

    def told(command: str) -> Any:
        return json.loads(reader.runs(f"{command} --json").stdout)

    facts = [entry for entry in told("makegood history acct-0006") if entry["kind"] == "fact"]
    assert sorted({fact["recorded_at"] for fact in facts}) == quarters
    known = [told(f"makegood account acct-0006 --known-at {instant}")["claims"] for instant in quarters]
    assert known[1] == told("makegood account acct-0006")["claims"]
    assert 0 < len(known[0]) < len(known[1])


@pytest.mark.parametrize("block", WITH_A_BROKER)
def test_the_readme_shows_how_to_run_it_for_real(block: Block, folder: Path, pg_url: str) -> None:
    with find_kafka(controllable=True) as kafka:  # one of its own: the README's topics have their real names
        http = f"127.0.0.1:{free_ports(1)[0]}"
        env = environment(MAKEGOOD_KAFKA=kafka.bootstrap, MAKEGOOD_STORE=pg_url, MAKEGOOD_HTTP=http)
        with running(folder, env) as start:
            for command in block.commands:
                if command.line.startswith("export "):  # the addresses of the reader's own parts
                    assert command.line.split("=")[0].removeprefix("export ") in env
                elif command.line.endswith(" &"):
                    start(command.line.removesuffix(" &"))
                else:
                    check(command, run(command.line, folder, env))
            until = time.monotonic() + 60
            while not json.loads(run("makegood claims --json", folder, env).stdout):
                assert time.monotonic() < until, "no claim came out within a minute"
                time.sleep(0.5)


@contextmanager
def running(folder: Path, env: dict[str, str]) -> Iterator[object]:
    """Starts what runs in the background, waits for its line `ready`, and in the end asks it to stop."""
    started: list[tuple[subprocess.Popen[bytes], Path]] = []

    def start(line: str) -> None:
        said = folder / f"background-{len(started)}.txt"
        with said.open("wb") as output:
            process = subprocess.Popen(line.split(), cwd=folder, env=env, stdout=output, stderr=output)
        started.append((process, said))
        until = time.monotonic() + 60
        while "ready" not in said.read_text().splitlines():
            assert process.poll() is None, f"$ {line}\nended with {process.returncode}:\n{said.read_text()[-4000:]}"
            assert time.monotonic() < until, f"$ {line}\nwas not ready within a minute:\n{said.read_text()[-4000:]}"
            time.sleep(0.1)

    try:
        yield start
        for process, said in started:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, said.read_text()[-4000:]
    finally:
        for process, _ in started:
            if process.poll() is None:
                process.kill()
                process.wait()


def test_the_readme_names_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `MAKEGOOD_(\w+)` \| ([^|]*) \|", text("README.md"), re.MULTILINE)
    assert [name.lower() for name, _ in rows] == list(Settings.model_fields)
    for name, default in rows:
        fixed = Settings.model_fields[name.lower()].default
        if fixed:
            assert default == f"`{fixed}`"


# --- make -----------------------------------------------------------------------------------------------------------


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    for path in DOCUMENTS:
        named = set(re.findall(r"(?:^|[`$] ?)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= targets, f"{path.relative_to(ROOT)} names {sorted(named - targets)}"


# --- the map --------------------------------------------------------------------------------------------------------


def mapped(package: str) -> set[str]:
    """The modules and folders that the architecture's map names for a package."""
    document = section(text("ARCHITECTURE.md"), "## Map")
    found = re.search(rf"^`src/{package}/` .*?\n\n(.*?)(?=^`src/|^Imports go)", document, re.DOTALL | re.MULTILINE)
    assert found is not None, f"the map has no part for src/{package}/"
    first_cells = re.findall(r"^\| ([^|]+) \|", found[1], re.MULTILINE)
    return {name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_map_names_every_module_and_none_that_is_gone(package: str) -> None:
    there = {path.name for path in (SRC / package).glob("*.py") if path.name != "__init__.py"}
    there |= {f"{path.parent.name}/" for path in (SRC / package).glob("*/__init__.py")}
    assert mapped(package) == there


@pytest.mark.parametrize("path", by_name(DOCUMENTS))
def test_every_path_that_a_document_names_exists(path: Path) -> None:
    named = re.findall(
        r"`((?:src|tests|docs|deploy|requirements|ledger|projections|consumers|makegood|application|audit|store"
        r"|aggregates|policy|events|agreement)/[\w./-]*)`",
        path.read_text(encoding="utf-8"),
    )
    missing = [
        name
        for name in named
        if not any((place / name).exists() for place in (ROOT, SRC, SRC / "ledger", path.parent))
        and not re.fullmatch(r"\w+/[a-z/]+", name)  # an API's path, a media type
    ]
    assert missing == []


@pytest.mark.parametrize("path", by_name(DOCUMENTS))
def test_every_link_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


def test_the_table_of_tests_names_every_folder_of_tests() -> None:
    named = set(re.findall(r"`tests/(\w+)/`", section(text("CONTRIBUTING.md"), "## Tests")))
    assert named == {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0] not in "._"}


# --- words ----------------------------------------------------------------------------------------------------------


def test_every_name_of_code_in_the_glossary_is_in_the_code() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in SRC.rglob("*.py"))
    names = {name for name in re.findall(r"`([^`]+)`", text("GLOSSARY.md")) if re.fullmatch(r"[A-Za-z_]+", name)}
    assert {name for name in names if not re.search(rf"\b{name}\b", code)} == set()


def test_the_glossary_says_each_word_once() -> None:
    words = re.findall(r"^\| ([^|]+) \| ", text("GLOSSARY.md"), re.MULTILINE)
    words = [word for word in words if word not in ("word", "---")]
    assert len(words) == len(set(words))


def test_every_section_that_the_code_refers_to_is_there() -> None:
    headings = {
        document: set(re.findall(r"^## (\d+a?)\. ", text(f"docs/{document}.md"), re.MULTILINE))
        for document in ("policy", "contract")
    }
    rules = set(re.findall(r"^(\d+)\. \*\*", section(text("docs/design.md"), "## What must hold"), re.MULTILINE))
    for path in [*SRC.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        code = path.read_text(encoding="utf-8")
        for document, number in re.findall(r"\b(policy|contract) §(\d+a?)", code):
            assert number in headings[document], f"{path.relative_to(ROOT)} refers to {document} §{number}"
        for number in re.findall(r"\bdesign rules? (\d+)", code):
            assert number in rules, f"{path.relative_to(ROOT)} refers to design rule {number}"


@pytest.mark.parametrize("path", by_name(DOCUMENTS))
def test_no_document_leans_on_anything_outside_the_project(path: Path) -> None:
    said = path.read_text(encoding="utf-8")
    assert re.findall(r"(?:\.\./shared|/(?:work/|root/|home/\w+))\S*", said) == []
    outside = [
        link for link in re.findall(r"\]\((\.\.[^)#]*)", said) if ROOT not in (path.parent / link).resolve().parents
    ]
    assert outside == []


def test_every_decision_is_in_the_index_under_its_title() -> None:
    folder = ROOT / "docs" / "decisions"
    index = dict(
        re.findall(r"^\| \[\d{4}\]\(([^)]+)\) \| (.*) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    )
    titles = {}
    for path in sorted(folder.glob("0*.md")):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith(f"# {path.name[:4]} ")
        titles[path.name] = first[7:]
    assert index == titles
    assert [int(name[:4]) for name in titles] == list(range(1, len(titles) + 1))


# --- the contract ---------------------------------------------------------------------------------------------------


def test_the_contract_lists_every_message_with_its_fields() -> None:
    rows = dict(re.findall(r"^\| `(voip\.[^`]+)` \| (.*) \|$", text("docs/contract.md"), re.MULTILINE))
    assert set(rows) == set(MESSAGES)
    for message_type, model in MESSAGES.items():
        # What is said of a field stands in brackets or braces behind it.
        bare = re.sub(r"\([^()]*\)|\{[^{}]*\}", "", re.sub(r"\([^()]*\([^()]*\)[^()]*\)", "", rows[message_type]))
        named = set(re.findall(r"(?:`|\b)([a-z_]+)\??", "".join(re.findall(r"`[^`]*`", bare))))
        assert named == set(model.model_fields), message_type


def test_the_agreement_that_the_contract_shows_is_the_default() -> None:
    shown = re.search(r"```toml\n(.*?)```", text("docs/contract.md"), re.DOTALL)
    assert shown is not None
    assert read_agreement(shown[1]).terms == DEFAULTS.model_copy(update={"name": "standard"})
    for part, terms in tomllib.loads(shown[1]).items():
        if isinstance(terms, dict):
            assert set(terms) == set(type(getattr(DEFAULTS, part)).model_fields), part


def test_every_command_is_in_the_contract_or_the_readme() -> None:
    helped = run("makegood --help", ROOT, environment())
    assert helped.returncode == 0, helped.stderr
    commands = re.findall(r"^  ([a-z-]+) ", helped.stdout.split("Commands:")[1], re.MULTILINE)
    documents = text("docs/contract.md") + text("README.md")
    assert commands
    assert [name for name in commands if f"makegood {name}" not in documents] == []


# --- the locks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lock", "extras"), [("run", ()), ("dev", ("dev",))])
def test_the_locks_hold_every_dependency_by_hash_and_name_no_host(lock: str, extras: tuple[str, ...]) -> None:
    locked = text(f"requirements/{lock}.lock")
    assert re.findall(r"^.*(?://|--index|--find-links|--trusted).*$", locked, re.MULTILINE) == []
    entries = re.findall(r"^([a-z0-9-]+)==\S+(?: ;[^\\]*)? \\\n    --hash=sha256:", locked, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[a-z0-9]", locked, re.MULTILINE))
    project = tomllib.loads(text("pyproject.toml"))["project"]
    wanted = [*project["dependencies"], *(d for extra in extras for d in project["optional-dependencies"][extra])]
    names = {re.split(r"[\[<>=!~ ;]", requirement)[0].lower() for requirement in wanted}
    assert names <= set(entries)
