"""Messages to measure with: the sample's, as often as needed, and those of accounts made for one question."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

SAMPLE = Path(__file__).resolve().parents[1] / "deploy" / "sample"
SINCE = datetime(2026, 3, 1, tzinfo=UTC)


def messages(count: int) -> list[bytes]:
    """The sample's well-formed messages, as often as needed, each time for other accounts and under other ids."""
    return list(itertools.islice(message_stream(), count))


def message_stream() -> Iterator[bytes]:
    """The same without end, one after the other."""
    sample = (SAMPLE / "events.jsonl").read_text(encoding="utf-8").splitlines()
    for copy in itertools.count(1):
        for line in sample:
            yield line.replace('"acct-', f'"acct-{copy}-').replace('"id":"', f'"id":"{copy}-').encode()


def event(account: str, kind: str, number: str, at: datetime, data: str) -> bytes:
    """A message about an account."""
    return (
        f'{{"specversion":"1.0","id":"{account}-{number}","source":"/bench","type":"voip.{kind}.v1",'
        f'"subject":"{account}","time":"{at.isoformat()}","data":{data}}}'
    ).encode()


def registered(account: str, since: datetime = SINCE) -> bytes:
    """An account is registered."""
    customer = '"customer":{"name":"N","email":"n@example.com"}'
    return event(account, "account.registered", "a", since, f'{{"time_zone":"UTC","currency":"EUR",{customer}}}')


def subscribed(account: str, since: datetime = SINCE) -> bytes:
    """Its subscription is registered."""
    subscription = f'{{"subscription_id":"{account}-s","agreement":"standard","plan":"p"}}'
    return event(account, "subscription.registered", "s", since, subscription)


def cycle(account: str, start: datetime) -> bytes:
    """A month of its subscription begins, paid in advance."""
    end = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    return event(
        account,
        "cycle.started",
        f"c-{start:%Y-%m}",
        start,
        f'{{"subscription_id":"{account}-s","cycle_id":"{account}-{start:%Y-%m}","starts_on":"{start:%Y-%m-%d}",'
        f'"ends_on":"{end:%Y-%m-%d}","price":"30.00","currency":"EUR","invoice_id":"i-{start:%Y-%m}","prepaid":true}}',
    )


def complaint(account: str, number: str) -> bytes:
    """The customer complains."""
    return event(
        account,
        "complaint.opened",
        number,
        datetime(2026, 3, 2, tzinfo=UTC),
        f'{{"complaint_id":"{number}","channel":"phone","category":"other","description":"It rings at night."}}',
    )


def outage(account: str, number: str, began: datetime, severity: str) -> bytes:
    """An outage is reported as soon as it begins."""
    return event(
        account,
        "outage.reported",
        f"o-{number}",
        began,
        f'{{"outage_id":"{account}-{number}","subscription_id":"{account}-s","began_at":"{began.isoformat()}",'
        f'"reported_at":"{began.isoformat()}","severity":"{severity}","cause":"provider"}}',
    )


def resolution(account: str, number: str, resolved: datetime) -> bytes:
    """An outage ends."""
    return event(
        account,
        "outage.resolved",
        f"r-{number}",
        resolved,
        f'{{"outage_id":"{account}-{number}","subscription_id":"{account}-s","resolved_at":"{resolved.isoformat()}"}}',
    )


def new_account(account: str, since: datetime = SINCE) -> list[bytes]:
    """An account in its first month."""
    return [registered(account, since), subscribed(account, since), cycle(account, since)]


def old_account(account: str) -> list[bytes]:
    """Ten years as they went by: a cycle a month, an outage of 30 hours every 18 days, told when it happened."""
    since = start = datetime(2016, 4, 1, tzinfo=UTC)
    told = [(since, line) for line in (registered(account, since), subscribed(account, since))]
    for _ in range(120):
        told.append((start, cycle(account, start)))
        start = (start + timedelta(days=32)).replace(day=1)
    for number in range(200):
        began = since + timedelta(days=18 * number)
        resolved = began + timedelta(hours=30)
        told.append((began, outage(account, f"h{number}", began, "significant")))
        told.append((resolved, resolution(account, f"h{number}", resolved)))
    return [line for _, line in sorted(told)]


# --- account lives --------------------------------------------------------------------------------------------------


def known(lives: int, first: int = 0) -> list[bytes]:
    """What is recorded before so many lives: their accounts and subscriptions."""
    accounts = [f"life-{number}" for number in range(first, first + lives)]
    return [line for account in accounts for line in (registered(account), subscribed(account))]


def lives(count: int, first: int = 0) -> list[bytes]:
    """So many lives of three messages each: a cycle, an overcharge of it that is confirmed, a cancellation."""
    return [line for number in range(first, first + count) for line in life(f"life-{number}")]


def life(account: str) -> list[bytes]:
    """One of them."""
    return [cycle(account, SINCE), overcharge(account, SINCE), cancellation(account, SINCE + timedelta(days=10))]


def overcharge(account: str, start: datetime) -> bytes:
    """It is confirmed that a month was charged too high."""
    month = f"{start:%Y-%m}"
    return event(
        account,
        "overcharge.confirmed",
        f"oc-{month}",
        start + timedelta(days=5),
        f'{{"dispute_id":"{account}-d-{month}","charge_id":"{account}-{month}","amount":"5.00","currency":"EUR"}}',
    )


def cancellation(account: str, at: datetime) -> bytes:
    """The customer leaves."""
    return event(
        account,
        "cancellation.requested",
        "ca",
        at,
        f'{{"subscription_id":"{account}-s","requested_at":"{at.isoformat()}","channel":"support"}}',
    )


def payment(account: str, start: datetime) -> bytes:
    """A month's invoice is paid."""
    month = f"{start:%Y-%m}"
    return event(
        account,
        "payment.captured",
        f"p-{month}",
        start,
        f'{{"payment_id":"{account}-p-{month}","invoice_id":"i-{month}","amount":"30.00","currency":"EUR",'
        '"method":"card"}',
    )


def paid_back() -> Iterator[bytes]:
    """Lives of accounts that had paid, so that both claims of each become refunds: six messages each, without end."""
    for number in itertools.count():
        account = f"paid-{number}"
        started, confirmed, cancelled = life(account)
        paid = payment(account, SINCE)
        yield from (registered(account), subscribed(account), started, paid, confirmed, cancelled)
