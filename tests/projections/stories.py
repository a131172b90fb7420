"""Events written by hand, as the ledger would store them: enough for a fold, a follower or a question to work on."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ledger.events import ClaimAssessed, ClaimState, Fact, LedgerEvent, Message, SettledPart, Terms
from ledger.store.database import Database
from ledger.store.reading import StoredEnvelope
from ledger.store.schema import TABLES
from projections.projection import Projection, State, fold_account

START = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Story:
    """What happened in one shard, told event by event. Each is recorded a minute after the one before."""

    def __init__(self, shard: int = 0) -> None:
        self.shard = shard
        self.envelopes: list[StoredEnvelope] = []
        self._versions: dict[str, int] = defaultdict(int)

    def tell(
        self,
        event: type[LedgerEvent],
        account: str = "acct-1",
        *,
        occurred_at: datetime | None = None,
        time: datetime | None = None,
        source: str = "/billing",
        **data: Any,
    ) -> StoredEnvelope:
        """Add an event; of a fact, `time` and `source` are those of its message."""
        position = len(self.envelopes) + 1
        recorded_at = START + timedelta(minutes=position)
        if issubclass(event, Fact):
            data["message"] = Message(source=source, id=f"m-{position}", time=time or recorded_at)
        self._versions[account] += 1
        told = event(
            type=event.stored_as,
            account=account,
            stream=f"account/{account}",
            stream_version=self._versions[account],
            event_id=f"event-{self.shard}-{position}",
            correlation_id="c",
            causation_id=None,
            actor=source,
            channel="file",
            traceparent=None,
            occurred_at=occurred_at or recorded_at,
            recorded_at=recorded_at,
            previous=None,
            data=event.model_fields["data"].annotation(**data),
        )
        envelope = StoredEnvelope(
            shard=self.shard,
            position=position,
            account=account,
            account_version=self._versions[account],
            stream=told.stream,
            stream_version=told.stream_version,
            type=told.type,
            envelope=told.stored(),
        )
        self.envelopes.append(envelope)
        return envelope

    def assess(
        self,
        before: ClaimState | None,
        after: ClaimState | None,
        account: str = "acct-1",
        claim_id: str = "unused/cycle-1",
        **more: Any,
    ) -> StoredEnvelope:
        """Add a change of a claim row."""
        data = {
            "claim_id": claim_id,
            "clause": "unused_period",
            "subscription_id": "sub-1",
            "charge_id": "cycle-1",
            "currency": "EUR",
            "before": before,
            "after": after,
            "investigate_by": None,
            "terms": Terms(agreement="standard", version=2, sha256="0" * 64) if after is not None else None,
            "formula": None,
            "inputs": {},
            "working": (),
            "facts": (),
            "facts_count": 0,
            "facts_digest": None,
            "now": START,
        }
        return self.tell(ClaimAssessed, account, **{**data, **more})

    def recorded_at(self, position: int) -> str:
        """When the event at a position was recorded, as it is shown."""
        return (START + timedelta(minutes=position)).isoformat().replace("+00:00", "Z")

    def folded(self, projection: Projection) -> State:
        """The rows that a projection makes of all this; the story is of one account."""
        *_, last = fold_account(self.envelopes, [projection])
        return last.state()

    def write(self, database: Database, upto: int | None = None) -> None:
        """Store the events up to a position, those that are not there yet, as if the ledger had."""
        with database.writing() as transaction:
            rows = transaction.rows("SELECT position FROM sequences WHERE name = ?", (f"shard:{self.shard}",))
            stored = rows[0][0] if rows else 0
            new = self.envelopes[stored:upto]
            transaction.insert(
                "events",
                (
                    "shard",
                    "position",
                    "account",
                    "account_version",
                    "stream",
                    "stream_version",
                    "type",
                    "event_id",
                    "envelope",
                ),
                [
                    (
                        e.shard,
                        e.position,
                        e.account,
                        e.account_version,
                        f"{e.stream}/{e.shard}",
                        e.stream_version,
                        e.type,
                        f"event-{e.shard}-{e.position}",
                        e.envelope,
                    )
                    for e in new
                ],
            )
            transaction.run(
                "INSERT INTO sequences (name, position) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET position = excluded.position",
                (f"shard:{self.shard}", stored + len(new)),
            )


def created(database: Database) -> Database:
    """The database with the ledger's tables in it."""
    database.create(TABLES)
    return database


def granted(amount: str, *parts: SettledPart, tax: str = "0.00") -> ClaimState:
    """A granted claim row."""
    return ClaimState(outcome="granted", reason=None, amount=Decimal(amount), tax=Decimal(tax), settled=parts)


def part(into: str, part_id: str, net: str, tax: str = "0.00") -> SettledPart:
    """One way in which part of a claim is made good."""
    return SettledPart(into=into, id=part_id, net=Decimal(net), tax=Decimal(tax))  # type: ignore[arg-type]
