"""Old history always reads (design rule 12): one stored envelope of every type, kept for ever.

`tests/stored_events/<type>.json` holds the exact bytes of an envelope as it was once stored. A new type has none yet:
`python -m tests.ledger.test_stored_events` writes what is missing and never touches what is there. A file that no
longer reads is no reason to write it anew, but to give the changed shape a new version.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from consumers.replaying import replay
from ledger.application.access import grant, issue_key, revoke, revoke_key
from ledger.application.account import Account
from ledger.application.activation import VALID_FOR, collect, link_token
from ledger.application.acts import By
from ledger.application.catalogue import Catalogue
from ledger.application.due_work import advance
from ledger.application.erasure import erase
from ledger.application.kept_messages import Closing, Kept, discard
from ledger.application.log_origins import begin_log_origin
from ledger.application.looks import record_looks
from ledger.application.lost_keys import accept_loss
from ledger.application.lost_messages import close, pass_over
from ledger.application.notice_delivery import Delivery, record_failed, record_sent, resend
from ledger.application.notice_delivery import discard as discard_notice
from ledger.application.periods import Compute
from ledger.application.periods import close as close_month
from ledger.application.reconciliation import record_found, record_reconciled, settle
from ledger.application.restoring import Restored, begin_generation
from ledger.audit import Checkpoint, Note, SignatureType, SigningKey, signed
from ledger.events import (
    STORED_TYPES,
    FileReconciled,
    FoundAhead,
    Grant,
    Look,
    LostRange,
    RequestFound,
    SettledAnew,
    UnknownStoredType,
    from_stored,
)
from ledger.reconciliation import ListedPayout, Payout, compare
from ledger.store.notice_queue import queue_notices
from ledger.store.positions import FIRST_SHARD
from ledger.store.reading.audit import origin_of
from ledger.store.reading.events import StoredEnvelope
from ledger.store.reading.lost import lost_ranges
from ledger.store.reading.notice_queue import QueuedNotice
from ledger.store.writing import Head
from ledger.values import Month
from ledger.vault import Bound
from projections.movements import MOVEMENTS
from projections.period_figures import figures_of
from tests.ledger.books import Books, KeysByName, no_randomness
from tests.ledger.messages import Upstream
from tests.ledger.test_refunds import BY_HAND, IN_APRIL, Desk

SUPERSEDED = {
    "claim-assessed.v1",
    "complaint-opened.v1",
    "complaint-resolved.v1",
    "credit-applied.v1",
    "refund-succeeded.v1",
}
"""Types that are read for ever and stored no more."""

STORED_EVENTS = Path(__file__).resolve().parents[1] / "stored_events"


def path_of(type_: str) -> Path:
    return STORED_EVENTS / f"{type_}.json"


@pytest.mark.parametrize("type_", sorted(STORED_TYPES))
def test_every_stored_type_has_a_sample(type_: str) -> None:
    assert path_of(type_).is_file(), (
        f"no sample of {type_} is kept: run `python -m tests.ledger.test_stored_events` and commit what it writes"
    )


@pytest.mark.parametrize("path", sorted(STORED_EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_sample_ever_stored_reads_and_gives_the_same_bytes(path: Path) -> None:
    envelope = path.read_bytes()
    event = from_stored(path.stem, envelope)
    assert event.type == path.stem == type(event).stored_as
    assert event.stored() == envelope


@pytest.mark.parametrize("type_", sorted(STORED_TYPES))
def test_a_stored_type_is_a_name_and_a_version_and_no_path_of_python(type_: str) -> None:
    name, _, version = type_.rpartition(".v")
    assert name.replace("-", "").isalpha()
    assert name == name.lower()
    assert version.isdigit()


def test_a_type_of_a_newer_program_is_said_to_be_one() -> None:
    with pytest.raises(UnknownStoredType, match="newer"):
        from_stored("cycle-started.v99", path_of("cycle-started.v1").read_bytes())


@pytest.mark.parametrize("damage", ["a field more", "a field less", "a number for an amount", "no JSON"])
def test_a_damaged_envelope_does_not_read(damage: str) -> None:
    envelope = json.loads(path_of("cycle-started.v1").read_bytes())
    if damage == "a field more":
        envelope["data"]["region"] = "eu"
    elif damage == "a field less":
        del envelope["data"]["prepaid"]
    elif damage == "a number for an amount":
        envelope["data"]["prepaid"] = 1
    text = "{" if damage == "no JSON" else json.dumps(envelope)
    with pytest.raises(ValueError):
        from_stored("cycle-started.v1", text.encode())


# --- making what is missing ---------------------------------------------------------------------------------------


def stored_today() -> Iterator[tuple[str, bytes]]:
    """The fullest envelope of every type, out of one life in which everything happens."""
    books = Books.open(
        sandbox=True, now=datetime(2026, 3, 2, 8, 30, 0, 250_000, UTC), keys=KeysByName(), randomness=no_randomness
    )
    books.take(Upstream().every_type())
    books.take(Upstream(begins="2026-03-01T10:00:00Z").every_instruction())
    books.take([Upstream("acct-2").outage_reported(), *Upstream("acct-2", begins="2026-03-01T10:00:00Z").customer()])
    advance(books.ledger, datetime(2026, 6, 1, tzinfo=UTC))
    act = {"actor": "/makegood/test", "channel": "command line", "reason": "sent by mistake"}
    for kept_id, message in (("kept-1", Upstream("acct-3").cycle_started()), ("kept-2", None)):
        closing = Closing(Kept("dead-letter", kept_id, "file:story:1"), **act, repaired=message is not None)
        if message is None:
            discard(books.ledger, closing)
        else:
            replay(books.ledger, closing, repaired=json.dumps(message).encode())
    by = By("/makegood/test", "command line")
    customer = Grant(principal="portal-7", role="customer", account_id="acct-1")
    grant(books.ledger, customer, by)
    revoke(books.ledger, customer, by)
    revoke_key(books.ledger, issue_key(books.ledger, "provisioning-1", by, no_randomness).key_id, by)
    pass_over(books.ledger, lost_range(), None, by)
    with books.database.reading() as transaction:
        [lost] = lost_ranges(transaction)
    close(books.ledger, lost.lost_id, "sent again", by)
    told(books, by)
    close_months(books, by)
    reconciled(books, by)
    begin_generation(books.ledger, restored(), "the disk broke", by)
    accept_loss(books.ledger, KeysBurnt(), "Disk and backup burnt", by)  # type: ignore[arg-type]
    begin_log_origin(books.ledger, FIRST_SHARD, last_checkpoint(books), "the disk broke", by)
    erase(books.ledger, "acct-2", "their letter of 3 May", by)
    look = Look(by="pia", channel="http", kind="personal_data", account_id="acct-1", times=2, records=31)
    record_looks(books.ledger, [look], timedelta(seconds=4))
    fullest: dict[str, bytes] = {}
    for stored in (*books.envelopes(), *refunded(), *overpaid()):
        if _filled(stored.envelope) > _filled(fullest.get(stored.type, b"{}")):
            fullest[stored.type] = stored.envelope
    fullest["settled-anew.v1"] = settled_anew().stored()
    yield from sorted(fullest.items())


def last_checkpoint(books: Books) -> Note:
    """What was signed of more events than the store has, before it was restored."""
    with books.database.reading() as transaction:
        origin = origin_of(transaction, FIRST_SHARD)
    return signed(Checkpoint(origin, 999, bytes(32)), [SigningKey(origin, SignatureType.ED25519, bytes(32))], at=0)


def refunded() -> list[StoredEnvelope]:
    """Everything that may become of refunds, and of a credit after the last subscription."""
    desk = payouts_desk()
    desk.billed(("card", "pay-1", "80.00"), ("bank", "pay-2", "39.00"), tax="19.00")
    for dispute_id, amount in (("dis-1", "10.00"), ("dis-2", "7.00"), ("dis-3", "5.00")):
        desk.overcharged(amount, dispute_id)
    first, rejected, turned = (f"refund/billing-error/dis-{number}/1" for number in (1, 2, 3))
    desk.reject(rejected)
    for refund_id in (first, turned):
        desk.approve(refund_id)
    desk.submit()
    for refund_id in (first, turned):
        desk.failed(refund_id)
    desk.retry(first)
    desk.submit()
    for each in desk.submitted()[-1]["returns"]:
        desk.succeeded(each["return_id"])
    desk.to_credit(turned)
    desk.refund_credit("credit/billing-error/dis-3/1")
    return desk.books.envelopes()


def overpaid() -> list[StoredEnvelope]:
    """Everything that may become of what went out too much."""
    desk = payouts_desk()
    desk.billed(("card", "pay-1", "119.00"), tax="19.00")
    desk.overcharged("10.00")
    desk.approve()
    desk.submit()
    desk.overcharged("6.00", time="2026-02-02T00:00:00Z")
    desk.decide_overpaid("overpaid.written_off")
    desk.overcharged("2.00", time="2026-02-01T00:00:00Z")
    desk.decide_overpaid("overpaid.recovery_ordered")
    says = desk.customer
    desk.tell(
        says.charge_posted("chg-2", price="50.00", invoice_id="inv-2"),
        says.payment_captured("inv-2", "50.00", payment_id="pay-2"),
        says.overcharge_confirmed("dis-2", "chg-2", amount="3.00", settle_as="credit"),
    )
    return desk.books.envelopes()


def payouts_desk() -> Desk:
    return Desk(Books.open(now=IN_APRIL, agreements=[BY_HAND], keys=KeysByName(), randomness=no_randomness))


class KeysBurnt(KeysByName):
    """A key database that has none of the keys any more."""

    def belongs_to(self, bound: Bound) -> None:
        """It does not."""

    def ring(self) -> None:
        """It says nothing of itself."""

    def kept(self, subjects: Collection[str]) -> dict[str, bytes | None]:
        return {}

    def bind(self, store_id: str, *, new_store_key: bool) -> Bound:
        assert new_store_key
        return self.begin(store_id)


def close_months(books: Books, by: By) -> None:
    """March of everything above, in which a fact of February is booked late."""

    def compute(month: Month) -> Compute:
        return lambda position, closed: figures_of(books.database, month, position, closed, "Europe/Berlin").recorded

    for month in (Month(2026, 2), Month(2026, 3)):
        close_month(books.ledger, month, "Europe/Berlin", MOVEMENTS.version, compute(month), by)
        late = {"amount": "1.00", "time": "2026-02-27T10:00:00Z"}
        books.take([Upstream(source="/billing").overcharge_confirmed("dis-7", **late)])


def reconciled(books: Books, by: By) -> None:
    """A processor's file that says something else, with a discrepancy that a person settles."""
    row = ListedPayout(
        line=2,
        account_id="acct-1",
        refund_id="refund/billing-error/dis-1/1",
        return_id="ret-0f9d1c6a1b0e4b4f8f3d6f1a2b3c4d5e",
        reference="psp-78",
        amount=Decimal("11.00"),
        currency="EUR",
        day=date(2026, 3, 30),
        status="succeeded",
    )
    here = Payout(
        account_id="acct-1",
        refund_id="refund/billing-error/dis-1/1",
        return_id="ret-0f9d1c6a1b0e4b4f8f3d6f1a2b3c4d5e",
        amount=Decimal("10.00"),
        currency="EUR",
        status="succeeded",
        reference="psp-77",
        since=datetime(2026, 3, 30, tzinfo=UTC),
    )
    compared = compare(row, "a" * 64, [here], [])
    [found] = record_found(books.ledger, compared.found, compared.possible, by).open
    settle(books.ledger, found.data.discrepancy_id, "the processor's mistake", by)
    counts = dict.fromkeys(("matched", "settled", "ignored", "unreadable", "missing_there", "unknown_here"), 0)
    record_reconciled(
        books.ledger,
        FileReconciled.Data(
            sha256="a" * 64,
            format="makegood",
            first_day=row.day,
            last_day=row.day,
            rows=1,
            differing=1,
            duplicates=0,
            position="0:7",
            **counts,
        ),
        by,
    )


def lost_range() -> LostRange:
    """Messages that Kafka deleted before they were taken."""
    place = {"cluster": "a-cluster", "topic": "provisioning.events", "topic_id": "a-topic", "partition": 2}
    return LostRange(**place, first=5, last=7, cause="deleted")


def restored() -> Restored:
    """A store that was restored from a backup, with a topic and a projection ahead of it."""
    topic = FoundAhead(kind="topic", name="ledger.events", partition=0, shard=0, position=120, generation=1)
    rows = FoundAhead(kind="projection", name="refunds", partition=None, shard=0, position=118, generation=None)
    now = datetime(2026, 6, 1, tzinfo=UTC)
    sent = QueuedNotice("a-notice", "acct-1", "refund", "an-event", 0, now)
    requested = RequestFound(
        account_id="acct-1",
        refund_id="refund/billing-error/dis-1/1",
        attempt=1,
        amount=Decimal("10.00"),
        currency="EUR",
    )
    return Restored(2, [rows, topic], {"shard:0": 3}, notices_sent=[sent], requested=[requested])


def settled_anew() -> SettledAnew:
    """What is recorded for an account whose history an older version began."""
    claim = from_stored("claim-assessed.v1", path_of("claim-assessed.v1").read_bytes())
    account = Account(Head("acct-1", version=1), Catalogue())
    account.replay([claim.model_copy(update={"stream_version": 1})], {})
    account.assess_anew(datetime(2026, 6, 1, tzinfo=UTC))
    return next(event for event in account.collect() if isinstance(event, SettledAnew))


def told(books: Books, by: By) -> None:
    """Everything that may become of notices about what happened before."""
    at = books.clock.at
    activation, receipt = (
        QueuedNotice(
            notice_id=f"{number:032x}",
            account="acct-1",
            kind=kind,
            event_id=next(e["event_id"] for e in books.stored("acct-1") if e["type"] == type_),
            position=number,
            queued_at=at,
            next_attempt_at=at,
        )
        for number, (kind, type_) in enumerate(
            [("activation", "activation-due.v1"), ("complaint_opened", "complaint-opened.v2")], 1
        )
    )
    with books.database.real.writing() as transaction:
        queue_notices(transaction, [activation, receipt])
    record_sent(books.ledger, activation, Delivery(f"<{activation.notice_id}@ruf.example>", "de"))
    record_failed(books.ledger, receipt, "smtp_550")
    resend(books.ledger, receipt.notice_id, by, at)
    discard_notice(books.ledger, receipt.notice_id, by, "Zoë knows already")
    token = link_token(books.ledger.vault, "acct-1", activation.notice_id, at + VALID_FOR)
    collect(books.ledger, token, lambda _: "s3cret", at)


def _filled(envelope: bytes) -> int:
    """How many values an envelope has that are not null."""

    def count(value: Any) -> int:
        if isinstance(value, dict):
            return sum(map(count, value.values()))
        return sum(map(count, value)) if isinstance(value, list) else value is not None

    return count(json.loads(envelope))


def write_missing() -> list[Path]:
    """Write a sample of every type that has none; returns what was written."""
    STORED_EVENTS.mkdir(exist_ok=True)
    written = []
    for type_, envelope in stored_today():
        path = path_of(type_)
        if not path.exists():
            path.write_bytes(envelope)
            written.append(path)
    return written


def test_everything_that_is_stored_today_can_be_sampled() -> None:
    """The story that samples are made from comes by every type; only those of older versions are left out."""
    assert {type_ for type_, _ in stored_today()} == set(STORED_TYPES) - SUPERSEDED


if __name__ == "__main__":
    for written in write_missing():
        print(f"written: {written.relative_to(STORED_EVENTS.parents[1])}")
