"""What a store that was restored from a backup lacks, and what became of it: `makegood restored` (contract §3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from consumers.upstream.door_messages import SOURCE
from ledger.store.positions import Position
from ledger.values import instant_to_text
from projections.shown_values import Instant

if TYPE_CHECKING:
    from consumers.restored import GivenUp, Lost


class AheadFound(TypedDict):
    """A projection, or a partition of a topic, that has what the ledger does not."""

    kind: Literal["projection", "topic"]
    name: Annotated[str, Field(examples=["ledger.events"])]
    partition: int | None
    position: str
    generation: int | None
    ledger_ends_at: str


class LostFound(TypedDict):
    """Something that the given-up history had, and the ledger has not.

    `id` and `source` are null where nothing tells them any more. `returns`: intake reads it again by itself.
    `attempt`, `amount` and `currency` are those of a refund that was requested, null for all else.
    """

    kind: Literal["message", "act", "dead letter", "e-mail", "instruction", "refund request"]
    source: str | None
    id: str | None
    type: str | None
    account_id: str | None
    time: Instant | None
    recorded_at: Instant | None
    channel: str | None
    actor: str | None
    returns: bool
    attempt: int | None
    amount: Annotated[str | None, Field(description="What was requested, tax included.")]
    currency: str | None
    next: str


class RestoredFound(TypedDict):
    """What is ahead of the ledger and what it lacks; `generation` is null where nothing is ahead.

    `kept` has, for each sequence of positions, the last one that the generations before keep. `erased_again` are the
    accounts whose erasure the backup did not have.
    """

    generation: int | None
    dry_run: bool
    ahead: list[AheadFound]
    kept: Mapping[str, int]
    lost: list[LostFound]
    rebuilt: list[str]
    erased_again: list[str]


def nothing_ahead(*, dry_run: bool) -> RestoredFound:
    """The answer where nothing is ahead."""
    return {
        "generation": None,
        "dry_run": dry_run,
        "ahead": [],
        "kept": {},
        "lost": [],
        "rebuilt": [],
        "erased_again": [],
    }


def answer(found: GivenUp, kept: Mapping[str, int], rebuilt: list[str], *, dry_run: bool) -> RestoredFound:
    """The answer where something is."""
    return {
        "generation": found.generation,
        "dry_run": dry_run,
        "ahead": _ahead(found),
        "kept": dict(kept),
        "lost": [_shown(lost) for lost in found.lost],
        "rebuilt": rebuilt,
        "erased_again": [],
    }


def _ahead(found: GivenUp) -> list[AheadFound]:
    projections: list[AheadFound] = [
        {
            "kind": "projection",
            "name": each.projection.name,
            "partition": None,
            "position": str(Position(each.shard, each.position)),
            "generation": None,
            "ledger_ends_at": str(Position(each.shard, each.end)),
        }
        for each in found.projections
    ]
    topics: list[AheadFound] = [
        {
            "kind": "topic",
            "name": each.topic,
            "partition": each.partition,
            "position": str(each.place.at),
            "generation": each.place.generation,
            "ledger_ends_at": str(Position(each.place.shard, each.end)),
        }
        for each in found.topics
    ]
    return projections + topics


def _shown(lost: Lost) -> LostFound:
    return {
        "kind": lost.kind,
        "source": lost.source,
        "id": lost.id,
        "type": lost.type,
        "account_id": lost.account,
        "time": instant_to_text(lost.time) if lost.time is not None else None,
        "recorded_at": instant_to_text(lost.recorded_at) if lost.recorded_at is not None else None,
        "channel": lost.channel,
        "actor": lost.actor,
        "returns": lost.returns,
        "attempt": lost.request.attempt if lost.request is not None else None,
        "amount": str(lost.request.amount) if lost.request is not None else None,
        "currency": lost.request.currency if lost.request is not None else None,
        "next": _next(lost),
    }


def _next(lost: Lost) -> str:
    """What comes next, in words."""
    if lost.returns:
        return "intake reads it again"
    match lost.kind:
        case "message" if lost.source == SOURCE:
            return "do it again"
        case "message" | "dead letter":
            return "send it again"
        case "act":
            return "do it again"
        case "e-mail":
            return "was sent; it is not sent again" if lost.id is not None else "was sent; it may be sent again"
        case "refund request" if lost.request is not None:
            return "was requested; this attempt is not requested again: wait for the processor's answer"
        case "refund request":
            return "was submitted; ask the payment processor whether it has it before it is approved again"
    return "was published; the same id comes again where it is decided again"
