"""What came of what a command did, as it answers with `--json` (contract §3)."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from ledger.events import Role
from ledger.events.system import ReplayOutcome
from makegood.answers.refusals import RefusedMessage
from projections.refunds import Refund
from projections.shown_values import Amount, Currency


class Ingested(TypedDict):
    """What became of a file's messages: `makegood ingest`."""

    read: int
    accepted: int
    duplicates: int
    refused: list[RefusedMessage]
    set_aside: int


class AgreementPublished(TypedDict):
    """A version that was published, now or before: `makegood agreement publish`."""

    name: str
    version: int
    sha256: str


class DocumentExported(TypedDict):
    """A document of the contract: `makegood contract export`."""

    path: str
    status: Literal["written", "unchanged"]


class Replayed(TypedDict):
    """What became of a kept message that came in again."""

    outcome: ReplayOutcome | Literal["closed"]
    field: str | None
    reason: str | None


class DeadLetterReplayed(Replayed):
    """What became of a dead letter: `makegood dead-letters replay`."""

    dead_letter_id: str


class SetAsideReplayed(Replayed):
    """What became of a message set aside: `makegood aside replay`."""

    set_aside_id: str


class DeadLetterDiscarded(TypedDict):
    """A dead letter that will not come in: `makegood dead-letters discard`."""

    dead_letter_id: str
    outcome: Literal["discarded"]


class LostRangeDone(TypedDict):
    """A lost range that somebody is done with: `makegood lost close`."""

    lost_id: str
    outcome: Literal["closed"]


class RefundTurned(Refund):
    """A failed refund as it stood, and the credit that it became: `makegood refund to-credit`."""

    turned_into: str


class OverpaidDecided(TypedDict):
    """What a person decided about an overpaid claim: `makegood overpaid write-off|recover`."""

    account_id: str
    claim_id: str
    amount: Amount
    currency: Currency
    outcome: Literal["written_off", "recovery_ordered"]


class RoleChanged(TypedDict):
    """A role that was given or taken, or stood so before: `makegood access grant|revoke`."""

    principal: str
    role: Role
    account_id: str | None
    changed: bool


class KeyIssued(TypedDict):
    """A new API key, shown this once: `makegood access key issue`."""

    key_id: str
    principal: str
    key: str


class KeyRevoked(TypedDict):
    """A key that opens nothing any more: `makegood access key revoke`."""

    key_id: str
    changed: bool


class Differing(TypedDict):
    """An account whose rows in a projection are not what the events make of them."""

    account_id: str
    projection: str
    rows: dict[str, int]
    found: str
    expected: str


class ProjectionRebuilt(TypedDict):
    """A projection that was made anew, and whether there was nothing before to compare with."""

    projection: str
    positions: list[str]
    filled: bool


class Rebuilt(TypedDict):
    """What a rebuild put in place: `makegood rebuild`."""

    projections: list[ProjectionRebuilt]
    alike: int
    differing: list[Differing]


class ProjectionCompared(TypedDict):
    """A projection that was compared with the store, and how many events it had still to fold."""

    projection: str
    positions: list[str]
    behind: int


class Compared(TypedDict):
    """What comparing found: `makegood rebuild --compare-only`."""

    projections: list[ProjectionCompared]
    alike: int
    differing: list[Differing]
