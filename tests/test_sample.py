"""The bundled sample is what its generator makes, and what its README says.

A demonstration whose data was edited by hand could not be trusted or extended; one whose README is
out of date misleads whoever compares its counts with the console.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

SAMPLE = Path(__file__).resolve().parent.parent / "deploy" / "sample"
EVENTS = SAMPLE / "events.jsonl"
Event = dict[str, Any]
TYPES = {
    "voip.account.registered.v1",
    "voip.subscription.registered.v1",
    "voip.cycle.started.v1",
    "voip.charge.posted.v1",
    "voip.payment.captured.v1",
    "voip.payment.failed.v1",
    "voip.outage.reported.v1",
    "voip.outage.resolved.v1",
    "voip.outage.reopened.v1",
    "voip.billing_error.reported.v1",
    "voip.overcharge.confirmed.v1",
    "voip.overcharge.rejected.v1",
    "voip.cancellation.requested.v1",
    "voip.cancellation.withdrawn.v1",
    "voip.subscription.suspended.v1",
    "voip.subscription.reinstated.v1",
    "voip.subscription.terminated.v1",
    "voip.complaint.opened.v1",
    "voip.complaint.resolved.v1",
    "voip.complaint.reopened.v1",
    "voip.refund.succeeded.v1",
    "voip.refund.failed.v1",
}


def generated(*arguments: str) -> bytes:
    """What the generator prints, run the way its README says."""
    command = [sys.executable, str(SAMPLE / "generate.py"), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def readme() -> str:
    return (SAMPLE / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def refused_lines(readme: str) -> set[int]:
    return {int(line) for line in re.findall(r"^\| (\d+) \|", readme, re.MULTILINE)}


@pytest.fixture(scope="module")
def messages(refused_lines: set[int]) -> list[Event]:
    """The messages to accept, read from the file without the generator's help, each once."""
    lines = EVENTS.read_bytes().splitlines()
    told = [json.loads(line) for number, line in enumerate(lines, start=1) if number not in refused_lines]
    return list({(event["source"], event["id"]): event for event in told}.values())


def test_generating_again_yields_the_committed_bytes() -> None:
    assert generated() == EVENTS.read_bytes()


def test_the_readme_holds_what_the_generator_describes(readme: str) -> None:
    marked = re.search(r"generate\.py: begin -->\n(.*)<!-- described by generate\.py: end", readme, re.DOTALL)
    assert marked is not None
    assert marked[1].strip() == generated("--describe").decode().strip()


def test_every_message_type_occurs_as_often_as_the_readme_says(readme: str, messages: list[Event]) -> None:
    counted = Counter(event["type"] for event in messages)
    written = re.findall(r"^\| `(voip\.[^`]+)` \| ([\d,]+) \|$", readme, re.MULTILINE)
    assert counted == {name: int(count.replace(",", "")) for name, count in written}
    assert set(counted) == TYPES


def test_the_totals_of_the_readme_add_up(readme: str, messages: list[Event], refused_lines: set[int]) -> None:
    totals = {
        name: int(count.replace(",", ""))
        for name, count in re.findall(r"^\| (\w[\w ]*) \| ([\d,]+)", readme, re.MULTILINE)
    }
    lines = len(EVENTS.read_bytes().splitlines())
    assert totals["lines"] == lines
    assert totals["messages to accept"] == len(messages)
    assert totals["lines to refuse"] == len(refused_lines)
    assert totals["duplicates"] == lines - len(messages) - len(refused_lines)


def test_every_agreement_that_a_subscription_names_is_bundled(messages: list[Event]) -> None:
    named = {e["data"]["agreement"] for e in messages if e["type"] == "voip.subscription.registered.v1"}
    assert named == {path.stem for path in (SAMPLE / "agreements").glob("*.toml")}
