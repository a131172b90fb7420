"""Kept messages come in again: dead letters and messages set aside, as they are or repaired, by intake's code."""

from __future__ import annotations

from dataclasses import dataclass

from consumers.upstream import read_kept, read_structured
from ledger.application.kept_messages import Closing, Kept, take_again
from ledger.application.ledger import Ledger
from ledger.application.preview import preview
from ledger.application.statement import Became, Refusal, Statement
from ledger.events import ReplayOutcome


class NothingKept(Exception):
    """The vault has no body for a kept message."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a kept message, or would: `reason` and `field` say why one is refused again."""

    outcome: ReplayOutcome
    reason: str | None = None
    field: str | None = None


def replay(ledger: Ledger, closing: Closing, *, repaired: bytes | None = None, dry_run: bool = False) -> Replayed:
    """Take a kept message as if it came now, and close it in the same transaction (`take_again` says when not).

    `repaired` is the message in structured mode that takes its place. To repeat a replay is safe: the message's
    identity is known then. Raises NothingKept, AlreadyClosed, and what reading the vault and `take_again` raise.
    """
    item = _read(ledger, closing.of, repaired)
    if isinstance(item, Refusal):
        return Replayed("refused", item.reason, item.field)
    if dry_run:
        with ledger.database.reading() as transaction:
            closing.check_open(transaction)
        found = preview(ledger, [item])
        became: Became = found.refused[0] if found.refused else "accepted" if found.accepted else "duplicate"
    else:
        became = take_again(ledger, closing, item)
    if isinstance(became, Refusal):
        return Replayed("refused", became.reason, became.field)
    return Replayed("accepted" if became == "accepted" else "duplicate")


def _read(ledger: Ledger, kept: Kept, repaired: bytes | None) -> Statement | Refusal:
    if repaired is not None:
        return read_structured(repaired, origin=kept.origin, channel="replay")
    body = kept.body(ledger)
    if body is None:
        raise NothingKept(f"the body of {kept.kept} {kept.kept_id} is not in the vault: give one with --body FILE")
    return read_kept(body, origin=kept.origin, channel="replay")
