"""Kept messages come in again: dead letters and messages set aside, as they are or repaired, by intake's code."""

from __future__ import annotations

from dataclasses import dataclass, replace

from consumers.upstream import MESSAGES, KeptContent, examine_kept, read_kept
from ledger.application.kept_messages import Closing, Kept, take_again
from ledger.application.ledger import Ledger
from ledger.application.preview import Preview, preview
from ledger.application.statement import Became, Refusal, Statement
from ledger.events import ReplayOutcome
from ledger.store.reading.kept_messages import kept_by_id
from ledger.values import is_own_name
from ledger.vault import Gone


class NothingKept(Exception):
    """The vault has no body for a kept message, or none that can be read."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a kept message, or would: `reason` and `field` say why one is refused again.

    `previewed` is what a dry run found that would change.
    """

    outcome: ReplayOutcome
    reason: str | None = None
    field: str | None = None
    previewed: Preview | None = None


def replay(ledger: Ledger, closing: Closing, *, repaired: bytes | None = None, dry_run: bool = False) -> Replayed:
    """Take a kept message as if it came now, and close it in the same transaction (`take_again` says when not).

    `repaired` is what takes its place: a message in structured mode, or one in binary mode as a kept one is shown. It
    must keep the source, type and subject of the kept message where these could be read; its fact bears as actor the
    person who repaired it, and the channel `repaired`. To repeat a replay is safe: the message's identity is known
    then. Raises NothingKept, AlreadyClosed, and what reading the vault and `take_again` raise.
    """
    item = _read(ledger, closing.of) if repaired is None else _read_repaired(ledger, closing, repaired)
    if isinstance(item, Refusal):
        return Replayed("refused", item.reason, item.field)
    previewed: Preview | None = None
    if dry_run:
        with ledger.database.reading() as transaction:
            closing.check_open(transaction)
        previewed = preview(ledger, [item])
        became: Became = (
            previewed.refused[0] if previewed.refused else "accepted" if previewed.accepted else "duplicate"
        )
    else:
        became = take_again(ledger, closing, item)
    if isinstance(became, Refusal):
        return Replayed("refused", became.reason, became.field)
    return Replayed("accepted" if became == "accepted" else "duplicate", previewed=previewed)


def _read(ledger: Ledger, kept: Kept) -> Statement | Refusal:
    try:
        body = kept.body(ledger)
    except Gone as gone:
        raise NothingKept(f"{gone}; give a body with --body FILE") from None
    if body is None:
        raise NothingKept(f"the body of {kept.kept} {kept.kept_id} is not in the vault: give one with --body FILE")
    return read_kept(body, origin=kept.origin, channel="replay")


def _read_repaired(ledger: Ledger, closing: Closing, repaired: bytes) -> Statement | Refusal:
    item = read_kept(repaired, origin=closing.of.origin, channel="repaired")
    if isinstance(item, Refusal):
        return item
    field = _changed(ledger, closing.of, item, examine_kept(repaired).type)
    if field is not None:
        return Refusal(
            origin=item.origin,
            reason=f"a repaired message must keep the {field} of the one it replaces: correct it, or discard that "
            "one and have the other message sent by its own system",
            field=field,
            body=repaired,
            message_id=item.message.id,
            source=item.message.source,
            account=item.account,
            channel=item.channel,
        )
    return replace(item, actor=closing.actor)


def _changed(ledger: Ledger, kept: Kept, item: Statement, type_: str | None) -> str | None:
    """Which attribute a repaired message does not keep, though the kept one had one that could be taken."""
    with ledger.database.reading() as transaction:
        row = kept_by_id(transaction, kept.kept, kept.kept_id)
    if row is not None and row.account not in (None, item.account):
        return "subject"
    if row is not None and row.source not in (None, item.message.source) and not is_own_name(row.source or ""):
        return "source"
    try:
        body = kept.body(ledger)
    except Gone:
        body = None
    before = examine_kept(body) if body is not None else KeptContent()
    return "type" if before.type in MESSAGES and before.type != type_ else None
