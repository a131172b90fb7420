"""The same account lives in the eventsourcing library as it comes: its aggregates, recorder and ProjectionRunner.

It does less than the ledger for them: no inbox, no contradictions, one rule for each amount, no settlement. So what
it takes is the floor of what keeping these events takes with that library.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier


class Life(Aggregate):
    """An account with its subscription."""

    @event("Registered")
    def __init__(self, account: str, subscription: str) -> None:
        self.account = account
        self.subscription = subscription
        self.price = Decimal(0)
        self.claims: dict[str, Decimal] = {}

    @staticmethod
    def create_id(account: str, subscription: str) -> UUID:
        """The id of an account's aggregate."""
        return uuid5(NAMESPACE_URL, account)

    @event("CycleStarted")
    def start_cycle(self, cycle: str, starts_on: str, ends_on: str, price: Decimal) -> None:
        """A cycle is charged."""
        self.price = price

    @event("OverchargeConfirmed")
    def confirm_overcharge(self, dispute: str, charge: str, amount: Decimal) -> None:
        """An overcharge is confirmed."""

    @event("CancellationRequested")
    def cancel(self, requested_at: str) -> None:
        """The customer cancels."""

    @event("ClaimOpened")
    def open_claim(self, claim: str, amount: Decimal) -> None:
        """Something is owed."""
        self.claims[claim] = amount

    def take(self, message: dict[str, Any]) -> None:
        """Record a message's fact, and what is owed by it."""
        data = message["data"]
        match message["type"]:
            case "voip.cycle.started.v1":
                self.start_cycle(data["cycle_id"], data["starts_on"], data["ends_on"], Decimal(data["price"]))
            case "voip.overcharge.confirmed.v1":
                amount = Decimal(data["amount"])
                self.confirm_overcharge(data["dispute_id"], data["charge_id"], amount)
                self.open_claim(f"billing-error/{data['dispute_id']}", amount)
            case "voip.cancellation.requested.v1":
                self.cancel(data["requested_at"])
                unused = (self.price * 21 / 31).quantize(Decimal("0.01"))
                self.open_claim(f"unused/{self.account}", unused)


class Lives(Application[UUID]):
    """All accounts."""

    name = "lives"

    @property
    def end(self) -> int:
        """The last event's id in its notification log."""
        return self.recorder.max_notification_id() or 0

    def register(self, accounts: Sequence[str]) -> None:
        """Record the accounts before what is measured."""
        for account in accounts:
            self.save(Life(account, f"{account}-s"))

    def take(self, line: bytes) -> None:
        """Record one message, durably."""
        message = json.loads(line)
        life: Life = self.repository.get(Life.create_id(message["subject"], ""))
        life.take(message)
        self.save(life)

    def take_all(self, lines: Sequence[bytes]) -> None:
        """Record several messages in one transaction, as far as the library has it: each aggregate is loaded once."""
        found: dict[str, Life] = {}
        for line in lines:
            message = json.loads(line)
            account = message["subject"]
            if account not in found:
                found[account] = self.repository.get(Life.create_id(account, ""))
            found[account].take(message)
        self.save(*found.values())


class OwedView(PostgresTrackingRecorder):
    """A row for each claim, with the tracking beside it."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.table = "owed"
        self.sql_create_statements.append(
            SQL("CREATE TABLE IF NOT EXISTS {0}.{1} (account text, claim text PRIMARY KEY, amount text)").format(
                Identifier(self.datastore.schema), Identifier(self.table)
            )
        )
        self.insert = SQL("INSERT INTO {0}.{1} VALUES (%s, %s, %s)").format(
            Identifier(self.datastore.schema), Identifier(self.table)
        )

    def opened(self, account: str, claim: str, amount: Decimal, tracking: Tracking) -> None:
        """Keep a claim, and how far the view has come."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self.insert, (account, claim, str(amount)))

    def passed(self, tracking: Tracking) -> None:
        """Keep how far the view has come."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)


class Owed(Projection[OwedView]):
    """What is owed, claim by claim."""

    name = "owed"

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Every other event only moves the view on."""
        self.view.passed(tracking)

    @process_event.register
    def _opened(self, domain_event: Life.ClaimOpened, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self.view.opened(str(domain_event.originator_id), domain_event.claim, domain_event.amount, tracking)


def environment(url: str) -> dict[str, str]:
    """The library's settings for a PostgreSQL database."""
    where = conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(where["dbname"]),
        "POSTGRES_HOST": str(where["host"]),
        "POSTGRES_PORT": str(where["port"]),
        "POSTGRES_USER": str(where["user"]),
        "POSTGRES_PASSWORD": str(where.get("password", "")),
    }


@contextmanager
def kept_in(url: str) -> Iterator[Lives]:
    """The application, on a PostgreSQL database."""
    application = Lives(env=environment(url))
    try:
        yield application
    finally:
        application.close()


def project(url: str, end: int) -> None:
    """Run the library's ProjectionRunner until it has seen so many events."""
    runner = ProjectionRunner(
        application_class=Lives, projection_class=Owed, view_class=OwedView, env=environment(url)
    )
    with runner:
        runner.wait(end, timeout=600)
