"""Checking a file of messages before it is sent: everything that would be refused, and why (contract §1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from consumers.upstream.cloudevents import structured
from consumers.upstream.findings import Unreadable
from consumers.upstream.statements import content, examine
from ledger.values import value


@value
class Problem:
    """One reason for which one line would be refused; a line may have several. `id` where it is an identifier."""

    line: int
    id: str | None
    field: str | None
    reason: str


def check_file(lines: Iterable[bytes]) -> Iterator[Problem]:
    """All problems of all lines, in order, a repeated (`source`, `id`) with other content among them.

    Lines of nothing but white space hold no message and are passed over.
    """
    seen: dict[tuple[str, str], tuple[int, bytes]] = {}
    for line, body in enumerate(lines, start=1):
        if not body.strip():
            continue
        try:
            received = structured(body)
        except Unreadable as unreadable:
            yield Problem(line, None, unreadable.finding.field, unreadable.finding.reason)
            continue
        examined = examine(received)
        if isinstance(examined, list):
            message_id = received.identifier("id")
            for finding in examined:
                yield Problem(line, message_id, finding.field, finding.reason)
            continue
        attributes, data = examined
        digest = blake2b(content(attributes, data), digest_size=16).digest()
        first, first_digest = seen.setdefault((attributes.source, attributes.id), (line, digest))
        if digest != first_digest:
            yield Problem(
                line,
                attributes.id,
                "id",
                f"line {first} has the same source and id but different content: "
                "repeat the message unchanged, or send a new one with a new id",
            )
