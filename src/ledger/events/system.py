"""Events of no account: acts of the provider and its operators, in the account `system` (design rule 13)."""

from __future__ import annotations

from datetime import date
from typing import Literal, get_args

from ledger.events.billing_account import Clause
from ledger.events.envelope import Amount, Decision, Sealed, SignedAmount, Stored


class AgreementPublished(Decision):
    """A version of a service agreement was published. `text` is the whole TOML file."""

    stored_as = "agreement-published.v1"

    class Data(Stored):
        name: str
        version: int
        valid_from: date
        sha256: str
        text: str

    data: Data


KeptAs = Literal["dead-letter", "set-aside"]
"""The kinds of kept message: refused, or set aside after repeated failures."""


ReplayOutcome = Literal["accepted", "duplicate", "refused"]


class KeptMessage(Stored):
    """The kept message that an operator closed. The operator's reason is in the vault."""

    kept: KeptAs
    kept_id: str
    sealed: Sealed | None


class MessageReplayed(Decision):
    """A kept message was replayed, unchanged or `repaired`.

    `accepted`: its fact is recorded, under `fact_event_id`; `duplicate`: it was already; `refused`: it contradicts
    the message that was taken under its source and id, and is a dead letter now.
    """

    stored_as = "message-replayed.v1"

    class Data(KeptMessage):
        outcome: ReplayOutcome
        fact_event_id: str | None
        repaired: bool

    data: Data


class MessageDiscarded(Decision):
    """A kept message was discarded by an operator, with a reason."""

    stored_as = "message-discarded.v1"

    data: KeptMessage


class LostRange(Stored):
    """Messages of a topic's partition that will not come in, by their offsets, the last one included.

    `deleted`: they were gone from Kafka before they were taken; `damaged`: they are there and nobody can read them.
    """

    cluster: str
    topic: str
    topic_id: str
    partition: int
    first: int
    last: int
    cause: Literal["deleted", "damaged"]


class MessagesLost(Decision):
    """A range of messages was passed over because it could not be had. It stands until a person closes it."""

    stored_as = "messages-lost.v1"

    data: LostRange


class LostRangeClosed(Decision):
    """A lost range of messages is closed with a reason: they were sent again, or are not needed.

    `lost_id` is the id of the event that told of it. The reason lies in the vault.
    """

    stored_as = "lost-range-closed.v1"

    class Data(Stored):
        lost_id: str
        sealed: Sealed

    data: Data


class KeysLost(Decision):
    """Keys of the vault were lost for good, and a person accepted that.

    Nobody can read any more what was encrypted with them: of so many customers, dead letters, messages set aside and
    reasons of operators, `entries` in all. With `store_key` a message that comes again under the same source and id
    cannot be compared with the first. `loss_id` is the id of the vault from then on. `accounts` are the customers';
    more than 1,000 are named by `accounts_digest`, the SHA-256 of their ids in order, one a line. The reason lies in
    the vault.
    """

    stored_as = "keys-lost.v1"

    class Data(Stored):
        loss_id: str
        customers: int
        dead_letters: int
        set_aside: int
        reasons: int
        entries: int
        store_key: bool
        accounts: list[str]
        accounts_digest: str | None
        sealed: Sealed

    data: Data


class SequenceKept(Stored):
    """The last position of a sequence that still holds."""

    sequence: str
    position: int


class FoundAhead(Stored):
    """A projection or a partition of a topic that was ahead of the ledger, with the position that it had.

    `generation` is that of a topic's record.
    """

    kind: Literal["projection", "topic"]
    name: str
    partition: int | None
    shard: int
    position: int
    generation: int | None


class StoreRestored(Decision):
    """The store was restored from a backup, and a new generation of its positions begins (design rule 15).

    `kept` says, for each sequence, up to which position the earlier generations hold. A person's reason, if they gave
    one, lies in the vault.
    """

    stored_as = "store-restored.v1"

    class Data(Stored):
        generation: int
        kept: tuple[SequenceKept, ...]
        ahead: tuple[FoundAhead, ...]
        notices_sent: tuple[str, ...]
        sealed: Sealed | None

    data: Data


class LogOriginBegun(Decision):
    """A shard's Merkle tree is signed under a new name from here on, because it does not go on from what was signed.

    `follows` is the signed note of the last checkpoint that is known of the log before. It may cover events that the
    store does not have. This log is the shard's `number`-th. The reason lies in the vault.
    """

    stored_as = "log-origin-begun.v1"

    class Data(Stored):
        shard: int
        number: int
        origin: str
        follows: str
        sealed: Sealed

    data: Data


class RequestFound(Stored):
    """An attempt of a refund that a payment processor was asked for, gross."""

    account_id: str
    refund_id: str
    attempt: int
    amount: Amount
    currency: str


class RefundRequestsFound(Decision):
    """Refunds were requested in a history that was given up when the store was restored: none is requested again."""

    stored_as = "refund-requests-found.v1"

    class Data(Stored):
        generation: int
        requests: tuple[RequestFound, ...]

    data: Data


Role = Literal["provisioning", "support", "finance", "approver", "auditor", "customer", "operator", "privacy"]
"""The roles; their permissions are in makegood/access/permissions.py."""
ROLES: tuple[Role, ...] = get_args(Role)


class Grant(Stored):
    """A role of a principal. The role `customer` is for one account, `account_id`; for all others it is null."""

    principal: str
    role: Role
    account_id: str | None


class RoleGranted(Decision):
    """A role was granted to a principal."""

    stored_as = "role-granted.v1"

    data: Grant


class RoleRevoked(Decision):
    """A role was revoked from a principal."""

    stored_as = "role-revoked.v1"

    data: Grant


class ApiKeyIssued(Decision):
    """An API key was issued, which authenticates its principal. Only the SHA-256 of its 256 random bits is kept."""

    stored_as = "api-key-issued.v1"

    class Data(Stored):
        key_id: str
        principal: str
        secret_sha256: str

    data: Data


class ApiKeyRevoked(Decision):
    """An API key was revoked."""

    stored_as = "api-key-revoked.v1"

    class Data(Stored):
        key_id: str
        principal: str

    data: Data


class PeriodTotal(Stored):
    """The sum of a month's movements of one currency, clause, kind and way of settling, and how many they are.

    `clause` is null for the excess of an invoice, which belongs to no claim; `settlement` is null for kinds that
    belong to no way of settling.
    """

    currency: str
    clause: Clause | None
    kind: str
    settlement: str | None
    count: int
    net: SignedAmount
    tax: SignedAmount


class Manifest(Stored):
    """The list of all accounts with what a month's closing covers of each, by its number of rows and its SHA-256.

    `events` is the number of events that it covers in all.
    """

    accounts: int
    events: int
    sha256: str


class PeriodFigures(Stored):
    """The figures of a month.

    `late` are those of the `totals` that occurred in an earlier month, which was closed when they became known.
    """

    totals: tuple[PeriodTotal, ...]
    late: tuple[PeriodTotal, ...]
    manifest: Manifest


class PeriodClosed(Decision):
    """A month was closed, with everything known of it at a position and in no month that was closed before.

    `position` is the last position covered in each shard, as written by `Reached`. `time_zone` is the provider's,
    by which a movement has its day. `movements` is the version of the projection whose fold made the figures.
    """

    stored_as = "period-closed.v1"

    class Data(Stored):
        period: str
        time_zone: str
        position: str
        movements: int
        figures: PeriodFigures

    data: Data
