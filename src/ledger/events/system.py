"""What no account did: acts of the provider and of its operators, in the account `system` (design rule 13)."""

from __future__ import annotations

from datetime import date
from typing import Literal, get_args

from ledger.events.envelope import Decision, Sealed, Stored


class AgreementPublished(Decision):
    """A version of a service agreement may be bound from now on. `text` is the published TOML, whole."""

    stored_as = "agreement-published.v1"

    class Data(Stored):
        name: str
        version: int
        valid_from: date
        sha256: str
        text: str

    data: Data


KeptAs = Literal["dead-letter", "set-aside"]
"""Why a message is kept: it was refused, or it kept failing."""


ReplayOutcome = Literal["accepted", "duplicate", "refused"]


class KeptMessage(Stored):
    """Which message an operator closed: a dead letter, or one that was set aside. Their words lie in the vault."""

    kept: KeptAs
    kept_id: str
    sealed: Sealed | None


class MessageReplayed(Decision):
    """A kept message came in again, as it was or `repaired`.

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
    """A kept message will not come in: an operator said why."""

    stored_as = "message-discarded.v1"

    data: KeptMessage


Role = Literal["provisioning", "support", "finance", "approver", "auditor", "customer", "operator"]
"""What somebody is here for; what each may do is said at the door (makegood/access/permissions.py)."""
ROLES: tuple[Role, ...] = get_args(Role)


class Grant(Stored):
    """A role of a principal; a `customer` has it for one account, `account_id`, all others have it for none."""

    principal: str
    role: Role
    account_id: str | None


class RoleGranted(Decision):
    """A principal has a role from now on."""

    stored_as = "role-granted.v1"

    data: Grant


class RoleRevoked(Decision):
    """A principal has a role no longer."""

    stored_as = "role-revoked.v1"

    data: Grant


class ApiKeyIssued(Decision):
    """Whoever shows the key acts as the principal; of its 256 random bits only the SHA-256 is kept."""

    stored_as = "api-key-issued.v1"

    class Data(Stored):
        key_id: str
        principal: str
        secret_sha256: str

    data: Data


class ApiKeyRevoked(Decision):
    """A key opens nothing any more."""

    stored_as = "api-key-revoked.v1"

    class Data(Stored):
        key_id: str
        principal: str

    data: Data
