"""Lots: months of some of the sample's accounts, under names that no other lot has, as upstream publishes them.

Every fourth account of a lot is sold under an agreement that is published only when the lot has been taken: so that
timers have work too, and find it due. It approves refunds, nobody has reported any for these accounts, and each was
charged too much once: so that payouts have work.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.integration.world import SAMPLE, Sent, sample_lines

PARTITIONS = 4
STRAYS_EACH = 2
"""Messages of no account in each lot, all of them refused."""

APPROVES = """
[approval]
hold = "PT0S"
[approval.automatic_up_to]
EUR = "500.00"
USD = "500.00"
GBP = "500.00"
JPY = "50000"
"""
REPORTED = b"voip.refund."
REGISTERED = "voip.subscription.registered.v1"


@dataclass
class Lot:
    """Messages that are published together, and what became of publishing them."""

    name: str
    messages: list[Sent]
    accounts: list[str]
    late_agreement: str
    """The text of the agreement that is published when all messages have been taken. It approves small refunds."""
    since_dead_letter: int = 0
    """The position of the last dead letter before this lot's."""
    left_approved: set[tuple[str, str]] | None = None
    """The refunds that an undisturbed run leaves approved and not submitted, once that is known."""
    published: int = 0
    """How often all of it was published."""
    ends: dict[int, int] = field(default_factory=dict)
    """The offset behind the last message in each partition."""


@cache
def sample_by_account() -> tuple[dict[str, list[bytes]], list[bytes]]:
    """The sample's messages by account, and those that name none."""
    by_account: dict[str, list[bytes]] = defaultdict(list)
    strays = []
    for line in sample_lines():
        subject = subject_of(line)
        if subject is None:
            strays.append(line)
        elif subject != "system":
            by_account[subject].append(line)
    return dict(by_account), strays


def subject_of(line: bytes) -> str | None:
    """The account that a message names."""
    try:
        subject = json.loads(line)["subject"]
    except (ValueError, KeyError, TypeError):
        return None
    return subject if isinstance(subject, str) else None


def lots(accounts: int, prefix: str = "lot") -> Iterator[Lot]:
    """One lot after the other, each of the sample's next accounts."""
    by_account, strays = sample_by_account()
    known = sorted(by_account)
    number = 0
    while True:
        chosen = [known[(number * accounts + i) % len(known)] for i in range(accounts)]
        yield _lot(f"{prefix}{number}", {account: by_account[account] for account in chosen}, strays[:STRAYS_EACH])
        number += 1


def _lot(name: str, messages: dict[str, list[bytes]], strays: list[bytes]) -> Lot:
    late = f"late-{name}"
    standard = (SAMPLE / "agreements" / "standard.toml").read_text(encoding="utf-8")
    named = [stray.replace(b"evt-", b"%b-" % name.encode(), 1) for stray in strays]
    sent = [Sent(stray, None, partition=zlib.crc32(stray) % PARTITIONS) for stray in named]
    messages = {
        account: [*lines, *_charged_too_much(lines)] if number % 4 == 3 else lines
        for number, (account, lines) in enumerate(messages.items())
    }
    longest = max(len(lines) for lines in messages.values())
    # By turns, as the accounts of a provider do: each account's own in their order.
    for turn in range(longest):
        for number, (account, lines) in enumerate(messages.items()):
            is_late = number % 4 == 3
            if turn < len(lines) and not (is_late and REPORTED in lines[turn]):
                sent.append(_renamed(lines[turn], account, name, late if is_late else "standard"))
    return Lot(
        name,
        sent,
        [f"{account}-{name}" for account in messages],
        standard.replace('"standard"', f'"{late}"') + APPROVES,
    )


def _charged_too_much(lines: list[bytes]) -> list[bytes]:
    """What upstream says of an account that paid a charge by card, and was charged too much."""
    events = [_event(line) for line in lines]
    registered = next(event for event in events if event.get("type") == "voip.account.registered.v1")
    subscription = next(event for event in events if event.get("type") == REGISTERED)
    currency = registered["data"]["currency"]
    invoice = {"invoice_id": "inv-too-much", "currency": currency}
    said = {
        "charge.posted": {
            "charge_id": "chg-too-much",
            "subscription_id": subscription["data"]["subscription_id"],
            "price": "200",
            "description": "a headset",
            **invoice,
        },
        "payment.captured": {"payment_id": "pay-too-much", "amount": "200", "method": "card", **invoice},
        "overcharge.confirmed": {
            "dispute_id": "dsp-too-much",
            "charge_id": "chg-too-much",
            "amount": "50",
            "currency": currency,
        },
    }
    return [
        json.dumps(
            {**registered, "id": f"{kind}-too-much-{registered['subject']}", "type": f"voip.{kind}.v1", "data": data}
        ).encode()
        for kind, data in said.items()
    ]


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _renamed(line: bytes, account: str, lot: str, agreement: str) -> Sent:
    event = json.loads(line)
    event["subject"] = f"{account}-{lot}"
    if isinstance(event.get("id"), str):
        event["id"] = f"{event['id']}-{lot}"
    if event.get("type") == REGISTERED and isinstance(event.get("data"), dict) and "agreement" in event["data"]:
        event["data"]["agreement"] = agreement
    key = event["subject"].encode()
    return Sent(json.dumps(event, ensure_ascii=False).encode(), key, partition=zlib.crc32(key) % PARTITIONS)
