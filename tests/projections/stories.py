"""Events written by hand, as the ledger would store them: enough for a fold, a follower or a question to work on."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ledger.events import (
    AccountRegistered,
    AgreementBound,
    ClaimAssessed,
    ClaimAssessedV1,
    ClaimSettlement,
    ClaimState,
    ClaimStateV1,
    CreditApplied,
    CreditAppliedV1,
    CycleStarted,
    Fact,
    InvoiceStanding,
    LedgerEvent,
    Message,
    PaymentCaptured,
    RefundFailed,
    RefundSucceeded,
    RefundSucceededV1,
    SettledPart,
    SettledPartV1,
    SettlementChanged,
    SubscriptionRegistered,
    SubscriptionStatusChanged,
    Terms,
)
from ledger.store.database import Database
from ledger.store.reading.events import StoredEnvelope
from ledger.store.schema import TABLES
from projections.catalog import CATALOG
from projections.follower import Follower
from projections.projection import Projection, State, fold_account

START = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Story:
    """What happened in one shard, told event by event. Each is recorded a minute after the one before."""

    def __init__(self, shard: int = 0) -> None:
        self.shard = shard
        self.envelopes: list[StoredEnvelope] = []
        self._versions: dict[str, int] = defaultdict(int)
        self._settled: dict[tuple[str, str, str], tuple[SettledPart, ...]] = {}
        self._stands: dict[tuple[str, str | None, str], InvoiceStanding | None] = {}

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
        data = {**_assessed(claim_id, after is not None), "before": before, "after": after, "rules": 1}
        return self.tell(ClaimAssessed, account, **{**data, **more})

    def settle(
        self,
        *parts: SettledPart,
        account: str = "acct-1",
        claim_id: str = "unused/cycle-1",
        charge_id: str | None = "cycle-1",
        currency: str = "EUR",
        invoice_id: str | None = "inv-1",
        stands: InvoiceStanding | None = None,
    ) -> StoredEnvelope:
        """Add that a claim is settled by these parts from now on, and where its invoice stands then.

        Without `stands` the invoice stands where it stood.
        """
        before = self._settled.get((account, claim_id, currency), ())
        self._settled[account, claim_id, currency] = parts
        claim = ClaimSettlement(claim_id=claim_id, charge_id=charge_id, before=before, after=parts)
        if stands is None:
            stands = self._stands.get((account, invoice_id, currency))
        return self._change(account, invoice_id, currency, stands, claim)

    def stand(
        self,
        stands: InvoiceStanding | None,
        account: str = "acct-1",
        *,
        invoice_id: str = "inv-1",
        currency: str = "EUR",
    ) -> StoredEnvelope:
        """Add where an invoice stands from now on, with no claim of it settled otherwise."""
        return self._change(account, invoice_id, currency, stands)

    def _change(
        self,
        account: str,
        invoice_id: str | None,
        currency: str,
        stands: InvoiceStanding | None,
        *claims: ClaimSettlement,
    ) -> StoredEnvelope:
        before = self._stands.get((account, invoice_id, currency))
        self._stands[account, invoice_id, currency] = stands
        return self.tell(
            SettlementChanged,
            account,
            invoice_id=invoice_id,
            currency=currency,
            reasons=("claimed",),
            before=before,
            after=stands,
            claims=claims,
            rules=1,
            now=START,
        )

    def assess_v1(
        self,
        before: ClaimStateV1 | None,
        after: ClaimStateV1 | None,
        account: str = "acct-1",
        claim_id: str = "unused/cycle-1",
        **more: Any,
    ) -> StoredEnvelope:
        """Add a change of a claim row and of how it is settled, as one event said it in older versions."""
        if after is not None:
            self._settled[account, claim_id, "EUR"] = tuple(
                part(p.into, p.id, str(p.net), str(p.tax)) for p in after.settled
            )
        data = _assessed(claim_id, after is not None)
        return self.tell(ClaimAssessedV1, account, **{**data, "before": before, "after": after, **more})

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


def _assessed(claim_id: str, stands: bool) -> dict[str, Any]:
    """What every version of a claim's assessment says besides its states."""
    return {
        "claim_id": claim_id,
        "clause": "unused_period",
        "subscription_id": "sub-1",
        "charge_id": "cycle-1",
        "currency": "EUR",
        "investigate_by": None,
        "terms": Terms(agreement="standard", version=2, sha256="0" * 64) if stands else None,
        "formula": None,
        "inputs": {},
        "working": (),
        "facts": (),
        "facts_count": 0,
        "facts_digest": None,
        "now": START,
    }


def granted(amount: str, tax: str = "0.00") -> ClaimState:
    """A granted claim row."""
    return ClaimState(outcome="granted", reason=None, amount=Decimal(amount), tax=Decimal(tax), settle_as="refund")


def part(into: str, part_id: str, net: str, tax: str = "0.00", status: str = "open") -> SettledPart:
    """A settled part of a claim."""
    return SettledPart(into=into, id=part_id, net=Decimal(net), tax=Decimal(tax), status=status)  # type: ignore[arg-type]


def gone_out(into: str, part_id: str, net: str, tax: str = "0.00") -> SettledPart:
    """A part that has left: a refund that arrived, what was used of a credit."""
    return part(into, part_id, net, tax, "gone_out")


def standing(charged: str, *, excess_credit: str | None = None, **amounts: str) -> InvoiceStanding:
    """Where an invoice stands; the amounts that are not named are nothing."""
    named = {"reduced", "asks_for", "paid_in_money", "paid_from_balance", "excess", "excess_used"}
    nothing = dict.fromkeys(named, Decimal("0.00"))
    return InvoiceStanding(
        **nothing
        | {name: Decimal(amount) for name, amount in {"charged": charged, **amounts}.items()}
        | {"excess_credit": Decimal(excess_credit) if excess_credit is not None else None}
    )


def granted_v1(amount: str, *parts: SettledPartV1, tax: str = "0.00") -> ClaimStateV1:
    """A granted claim row as older versions recorded it, with how it was settled."""
    return ClaimStateV1(outcome="granted", reason=None, amount=Decimal(amount), tax=Decimal(tax), settled=parts)


def part_v1(into: str, part_id: str, net: str, tax: str = "0.00") -> SettledPartV1:
    """One way in which part of a claim was made good, as older versions recorded it."""
    return SettledPartV1(into=into, id=part_id, net=Decimal(net), tax=Decimal(tax))  # type: ignore[arg-type]


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
        story.stand(standing("11.90", paid_in_money="11.90"), name)
    for name in names[5::6]:
        _settled_by_an_older_version(story, name)
    for name in names:
        story.assess(None, granted("2.00"), name)
        story.settle(part("refund", "refund/1", "2.00"), account=name)
        status = {"before": None, "after": "active", "effective_on": None, "now": START}
        story.tell(SubscriptionStatusChanged, name, subscription_id="sub-1", **status)
    for name in names[::2]:
        story.assess(granted("2.00"), granted("3.00"), name)
        story.settle(part("refund", "refund/1", "2.50"), part("credit", "credit/1", "0.50"), account=name)
        result = {"refund_id": "refund/1", "processor_reference": "psp", "succeeded_at": START}
        story.tell(RefundSucceeded, name, **result, amount=None, currency=None)
        story.settle(gone_out("refund", "refund/1", "2.50"), part("credit", "credit/1", "0.50"), account=name)
        used = {"application_id": f"{name} pays", "credit_id": "credit/1", "claim_id": "unused/cycle-1"}
        used |= {"charge_id": "cycle-2", "invoice_id": "inv-2", "currency": "EUR", "now": START}
        taken = {"amount": Decimal("0.20"), "net": Decimal("0.20"), "tax": Decimal("0.00")}
        story.tell(CreditApplied, name, **used, **taken, rules=1)
        used_up = (gone_out("credit", "credit/1", "0.20"), part("credit", "credit/1", "0.30"))
        story.settle(gone_out("refund", "refund/1", "2.50"), *used_up, account=name)
        story.stand(standing("11.90", paid_in_money="12.90", excess="1.00"), name)
        story.stand(standing("11.90", paid_in_money="12.90", excess="1.00", excess_credit="1.00"), name)
    for name in names[::4]:
        story.tell(RefundFailed, name, refund_id="refund/1")
        story.settle(part("refund", "refund/1", "2.50", status="failed"), *used_up, account=name)
        story.assess(granted("3.00"), None, name)
        story.settle(used_up[0], part("overpaid", "overpaid/1", "-0.20"), account=name)
        story.stand(standing("11.90", paid_in_money="11.90"), name)
    return story


def _settled_by_an_older_version(story: Story, account: str) -> None:
    """A dispute that was made good by an invoice's reduction, a refund and a credit, some of it used."""
    claim_id = "billing-error/d-1"
    reduced = granted_v1("3.00", part_v1("invoice_reduction", "inv-1", "3.00"))
    paid = granted_v1("3.00", part_v1("refund", "refund/2", "2.00"), part_v1("credit", "credit/2", "1.00"))
    story.assess_v1(None, reduced, account, claim_id)
    story.assess_v1(reduced, paid, account, claim_id)
    result = {"refund_id": "refund/2", "processor_reference": "psp", "succeeded_at": START}
    story.tell(RefundSucceededV1, account, **result)
    used = {"application_id": f"{account} paid", "credit_id": "credit/2", "claim_id": claim_id}
    used |= {"charge_id": "cycle-1", "invoice_id": "inv-1", "currency": "EUR", "now": START}
    story.tell(CreditAppliedV1, account, amount=Decimal("0.40"), **used)


STORED_AS = {table.name: projection.stored_name(table) for projection in CATALOG for table in projection.tables}
"""What the tables of the projections are called in a database."""


def rows(database: Database, projections: Sequence[Projection] = CATALOG) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that projections keep, in an order of its own."""
    with database.reading() as transaction:
        return {
            table.name: sorted(
                transaction.rows(f"SELECT {', '.join(table.columns)} FROM {projection.stored_name(table)}"), key=repr
            )
            for projection in projections
            for table in projection.tables
        }


def followed(database: Database, story: Story, upto: int | None = None) -> Database:
    """A database with a story in it, or its beginning, that all projections have followed."""
    story.write(database, upto)
    follower = Follower(database)
    follower.create()
    follower.catch_up()
    return database
