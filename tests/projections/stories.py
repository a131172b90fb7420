"""Events written by hand, as the ledger would store them: enough for a fold, a follower or a question to work on."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ledger.events import (
    AccountRegistered,
    AgreementBound,
    ClaimAssessed,
    ClaimState,
    CreditApplied,
    CycleStarted,
    Fact,
    LedgerEvent,
    Message,
    PaymentCaptured,
    RefundSucceeded,
    SettledPart,
    SubscriptionRegistered,
    SubscriptionStatusChanged,
    Terms,
)
from ledger.store.database import Database
from ledger.store.reading import StoredEnvelope
from ledger.store.schema import TABLES
from projections.catalog import CATALOG
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
        message_id: str | None = None,
        **data: Any,
    ) -> StoredEnvelope:
        """Add an event; of a fact, `time`, `source` and `message_id` are those of its message."""
        position = len(self.envelopes) + 1
        recorded_at = START + timedelta(minutes=position)
        if issubclass(event, Fact):
            data["message"] = Message(source=source, id=message_id or f"m-{position}", time=time or recorded_at)
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


def everyday(accounts: int = 6, shard: int = 0) -> Story:
    """A story in which every kind of table has rows that come, change and go, accounts mixed."""
    story = Story(shard)
    names = [f"acct-{shard}-{n}" for n in range(accounts)]
    for name in names:
        story.tell(AccountRegistered, name, time_zone="UTC", currency="EUR")
        story.tell(SubscriptionRegistered, name, subscription_id="sub-1", agreement="standard", plan="home")
    for name in names:
        bound = {"agreement": "standard", "version": 1, "sha256": "0" * 64, "registration": "e", "time_zone": "UTC"}
        story.tell(AgreementBound, name, subscription_id="sub-1", **bound)
    for name in names:
        story.tell(
            CycleStarted,
            name,
            subscription_id="sub-1",
            cycle_id="cycle-1",
            starts_on=date(2026, 3, 1),
            ends_on=date(2026, 4, 1),
            price=Decimal("10.00"),
            tax=Decimal("1.90"),
            monthly_price=None,
            currency="EUR",
            invoice_id="inv-1",
            prepaid=True,
        )
        data = {"payment_id": "pay-1", "invoice_id": "inv-1", "currency": "EUR", "method": "card"}
        story.tell(PaymentCaptured, name, amount=Decimal("11.90"), **data)
    small = granted("2.00", part("refund", "refund/1", "2.00"))
    large = granted("3.00", part("refund", "refund/1", "2.50"), part("credit", "credit/1", "0.50"))
    for name in names:
        story.assess(None, small, name)
        status = {"before": None, "after": "active", "effective_on": None, "now": START}
        story.tell(SubscriptionStatusChanged, name, subscription_id="sub-1", **status)
    for name in names[::2]:
        story.assess(small, large, name)
        result = {"refund_id": "refund/1", "processor_reference": "psp", "succeeded_at": START}
        story.tell(RefundSucceeded, name, **result)
        used = {"application_id": f"{name} pays", "credit_id": "credit/1", "claim_id": "unused/cycle-1"}
        used |= {"charge_id": "cycle-1", "invoice_id": "inv-1", "currency": "EUR", "now": START}
        story.tell(CreditApplied, name, amount=Decimal("0.20"), **used)
    for name in names[::3]:
        story.assess(large, None, name)
    return story


def rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that the projections keep, in an order of its own."""
    with database.reading() as transaction:
        return {
            table.name: sorted(
                transaction.rows(f"SELECT {', '.join(table.columns)} FROM {projection.stored_name(table)}"), key=repr
            )
            for projection in CATALOG
            for table in projection.tables
        }
