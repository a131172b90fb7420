"""Words of other people reach a terminal as what they are: no character of theirs steers it, or hides another."""

from __future__ import annotations

import ast
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog

from makegood.cli import run
from makegood.house.control_characters import visible, visible_json
from makegood.house.logs import configure_logs, say
from tests.door.conftest import ROOT, Door
from tests.ledger.messages import Upstream

STEERING = {
    "escape": "\x1b",
    "bell": "\x07",
    "backspace": "\x08",
    "carriage return": "\r",
    "delete": "\x7f",
    "control sequence introducer": "\x9b",
    "right-to-left override": "\u202e",
    "left-to-right embedding": "\u202a",
    "right-to-left isolate": "\u2067",
    "pop directional isolate": "\u2069",
    "right-to-left mark": "\u200f",
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "word joiner": "\u2060",
    "soft hyphen": "\u00ad",
    "byte order mark": "\ufeff",
    "line separator": "\u2028",
    "Hangul filler": "\u3164",
    "private use": "\ue000",
    "tag": "\U000e0041",
}
CLEAR = "\x1b[2J\x9b2J\u202eknab\u2066 \u200bpaid\x7f"
"""Clears the screen in two ways, and shows `bank` backwards."""
CLEAR_SHOWN = r"\u001b[2J\u009b2J\u202eknab\u2066 \u200bpaid\u007f"


@pytest.mark.parametrize("character", STEERING.values(), ids=STEERING)
def test_it_is_shown_as_json_escapes_it(character: str) -> None:
    shown = visible(f"a{character}b")
    assert character not in shown
    assert shown.isprintable()
    assert json.loads(f'"{shown}"') == f"a{character}b"


@pytest.mark.parametrize("text", ["Zoë Quux", "石川 — “so”", "مرحبا", "שלום", "a\u00a0b", "👍", "x\ny\tz", r"\u001b"])
def test_what_steers_nothing_is_shown_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_what_one_person_wrote_cannot_pass_for_another_line() -> None:
    assert visible("a\n  steps  paid\tb", lines=False) == r"a\n  steps  paid\tb"


def test_a_json_document_keeps_its_content() -> None:
    document = {CLEAR: [CLEAR, "Zoë"], "n": 1}
    written = visible_json(json.dumps(document, indent=2, ensure_ascii=False))
    assert json.loads(written) == document
    assert "Zoë" in written
    assert not [c for c in written.replace("\n", "") if not c.isprintable()]


def unseen(said: str) -> list[str]:
    """The characters of an answer that a terminal would obey or not draw."""
    return [character for character in said if visible(character) != character]


@pytest.fixture
def steered(sandbox: Door, lines: Any) -> Door:
    """A customer and an upstream whose every text steers terminals."""
    upstream = Upstream()
    sandbox("advance", "2026-03-20T00:00:00Z")
    wrong = upstream.charge_posted(price="-1")
    wrong["data"]["description"] = CLEAR
    sandbox(
        "ingest",
        lines(
            upstream.account_registered(customer={"name": CLEAR, "email": f"{CLEAR}@example.com"}),
            upstream.subscription_registered(plan=f"{CLEAR}\nacct-9"),
            upstream.cycle_started(),
            upstream.payment_captured(),
            upstream.complaint_opened(category=CLEAR, channel=CLEAR, description=f"{CLEAR}\n  steps      paid"),
            upstream.complaint_resolved(resolution=CLEAR),
            upstream.outage_reported(channel=CLEAR),
            upstream.billing_error_reported(description=CLEAR),
            upstream.overcharge_confirmed(),
            json.dumps(wrong, ensure_ascii=False),
            f'{{"{CLEAR}": 1}}',
        ),
        exits=3,
    )
    return sandbox


COMMANDS: dict[str, tuple[str, ...]] = {
    "complaints": ("complaints",),
    "a complaint": ("complaint", "com-1"),
    "an account": ("account", "acct-1"),
    "a replay": ("replay", "acct-1"),
    "a history": ("history", "acct-1"),
    "an explanation": ("explain", "billing-error/dis-1"),
    "dead letters": ("dead-letters", "list"),
    "a dead letter": ("dead-letters", "show", "1"),
    "another dead letter": ("dead-letters", "show", "2"),
    "disputes": ("disputes",),
    "alarms": ("alarms",),
    "waiting": ("waiting",),
}


def test_no_command_hands_a_control_character_on(steered: Door) -> None:
    for command in COMMANDS.values():
        for options in ((), ("--json",)):
            said = steered(*command, *options)
            assert unseen(said + steered.errors) == [], (command, options)
    [opened, _] = steered.json("complaint", "com-1")["steps"]
    assert opened["words"] == f"{CLEAR}\n  steps      paid", "exact for programs"
    shown = steered("complaint", "com-1")
    assert CLEAR_SHOWN in shown
    assert len([line for line in shown.splitlines() if line.startswith("  steps")]) == 1
    assert CLEAR_SHOWN in steered("dead-letters", "show", "1")
    assert CLEAR_SHOWN in steered("account", "acct-1").replace("\n", "")


def test_an_error_and_a_sentence_hand_none_on(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    run(["account", f"a{CLEAR}", "--store", door.store])
    run(["ingest", f"{CLEAR}.jsonl", "--store", door.store])
    say(f"beside {CLEAR}")
    said = capsys.readouterr()
    assert unseen(said.out + said.err) == []
    assert CLEAR_SHOWN in said.err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "pipe"])
def test_a_log_line_hands_none_on(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("NO_COLOR", "1")
    configure_logs("info")
    try:
        structlog.get_logger("a part").info("part_failed", reason=f"topic {CLEAR}\n{CLEAR}")
    finally:
        structlog.reset_defaults()
    assert [c for c in unseen(stream.getvalue()) if c != "\x1b"] == []
    assert "\x1b[2J" not in stream.getvalue()


def test_all_that_is_drawn_on_a_terminal_is_made_of_our_texts() -> None:
    """Rich's own let escape sequences pass."""
    makers = set()
    for path in (ROOT / "src" / "makegood").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.ImportFrom) and node.module == "rich.text" for node in ast.walk(tree)):
            makers.add(Path(path).name)
    assert makers == {"visible_text.py"}
