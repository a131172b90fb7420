"""Messages to measure with: the sample's, as often as needed, and those of accounts made for one question."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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


def long_account(account: str, subscriptions: int) -> list[bytes]:
    """Ten years of an account with so many subscriptions, told when it happened: each month a cycle of each on one
    invoice, which is paid; now and then an outage, a one-off charge, an overcharge, a complaint and a refund."""
    since = start = datetime(2016, 4, 1, tzinfo=UTC)
    told = [(since, registered(account, since))]
    names = [f"{account}-s{number or ''}" for number in range(subscriptions)]
    for name in names:
        of = f'{{"subscription_id":"{name}","agreement":"standard","plan":"p"}}'
        told.append((since, event(account, "subscription.registered", name, since, of)))

    def tell(kind: str, number: str, at: datetime, data: str) -> None:
        told.append((at, event(account, kind, number, at, f"{{{data}}}")))

    for month in range(120):
        end = (start + timedelta(days=32)).replace(day=1)
        invoice = f'"invoice_id":"{account}-i-{start:%Y-%m}"'
        charged = Decimal(0)
        for place, name in enumerate(names):
            charge = f"{name}-{start:%Y-%m}"
            tell(
                "cycle.started",
                f"c-{charge}",
                start,
                f'"subscription_id":"{name}","cycle_id":"{charge}","starts_on":"{start:%Y-%m-%d}",'
                f'"ends_on":"{end:%Y-%m-%d}","price":"25.00","tax":"4.75","currency":"EUR",{invoice},"prepaid":true',
            )
            charged += Decimal("29.75")
            if (month + 5 * place) % 6 == 1:
                began = start + timedelta(days=3 + place % 20, hours=place % 7)
                of = f'"outage_id":"{charge}-o","subscription_id":"{name}"'
                tell(
                    "outage.reported",
                    f"o-{charge}",
                    began,
                    f'{of},"began_at":"{began.isoformat()}","reported_at":"{began.isoformat()}",'
                    '"severity":"significant","cause":"provider"',
                )
                resolved = began + timedelta(hours=30)
                tell("outage.resolved", f"or-{charge}", resolved, f'{of},"resolved_at":"{resolved.isoformat()}"')
            if (month + 7 * place) % 24 == 13:
                tell(
                    "overcharge.confirmed",
                    f"oc-{charge}",
                    start + timedelta(days=20),
                    f'"dispute_id":"{charge}-d","charge_id":"{charge}","amount":"5.00","currency":"EUR"',
                )
        if month % 6 == 4:
            tell(
                "charge.posted",
                f"x-{start:%Y-%m}",
                start + timedelta(hours=1),
                f'"charge_id":"{account}-x-{start:%Y-%m}","price":"10.00","tax":"1.90","currency":"EUR",{invoice},'
                '"description":"Setup fee"',
            )
            charged += Decimal("11.90")
        if month % 12 == 6:
            tell(
                "complaint.opened",
                f"q-{start:%Y-%m}",
                start + timedelta(days=9),
                f'"complaint_id":"{account}-q-{start:%Y-%m}","channel":"phone","category":"other",'
                '"description":"It rings at night."',
            )
        tell(
            "payment.captured",
            f"p-{start:%Y-%m}",
            start + timedelta(days=2),
            f'"payment_id":"{account}-p-{start:%Y-%m}",{invoice},"amount":"{charged}","currency":"EUR","method":"card"',
        )
        start = end
    return [line for _, line in sorted(told)]


# --- account lives --------------------------------------------------------------------------------------------------


def known(lives: int, first: int = 0, since: datetime = SINCE) -> list[bytes]:
    """What is recorded before so many lives: their accounts and subscriptions."""
    accounts = [f"life-{number}" for number in range(first, first + lives)]
    return [line for account in accounts for line in (registered(account, since), subscribed(account, since))]


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
