"""A store to walk through: two customers to whom everything happened, one who writes in HTML, and all of the staff.

It is March and April of 2026, in a sandbox. What comes to one customer comes to the other alike, under ids of the
same length, so that a page that knows of the other would have to say so.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from contextlib import redirect_stdout
from datetime import datetime
from io import StringIO
from typing import Any

from consumers.apart import take_apart
from ledger.application.access import grant
from ledger.application.acts import By
from ledger.application.payouts import submit_approved
from ledger.application.shards import Shards
from ledger.application.statement import Taken
from ledger.events import ROLES, Grant, Role
from makegood.cli import run
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from makegood.house.shard_map import open_whole
from tests.api.conftest import damage_key
from tests.api.lives import life_of
from tests.door.conftest import commands, with_an_agreement
from tests.ledger.messages import Message, Upstream, read_all

OWN, ANOTHERS, NOBODYS, HOSTILE = "acct-1", "acct-2", "acct-9", "acct-5"
SET_ASIDE = "acct-8"
MARKS = (ANOTHERS, "-of-2")
"""What stands in every id that is another's only."""
PRINCIPALS: dict[Role, str] = {role: f"staff/{role}" for role in ROLES if role != "customer"}
"""Who has which role."""
WITHOUT_ROLE = "staff/nobody"
IN_HTML = """<script>alert("obeyed")</script><img src=x onerror="alert('obeyed')">'"&{{ 7 * 7 }}"""
"""What the hostile customer writes wherever they may write."""

MID_MARCH, BEGIN_OF_APRIL, END_OF_APRIL = (
    datetime.fromisoformat(instant)
    for instant in ("2026-03-15T12:00:00Z", "2026-04-02T08:00:00Z", "2026-04-24T12:00:00Z")
)


def a_life(store: str, *init: str) -> None:
    """Have all of it in an empty store, which `init` may say more about."""
    with_an_agreement(store, *init)
    _let_it_be(store, MID_MARCH)
    own, anothers, hostile = (
        Upstream(of, source="/upstream", begins="2026-03-02T09:00:00Z") for of in (OWN, ANOTHERS, HOSTILE)
    )
    march = [*_march(own, "1", "en"), *_march(anothers, "2", "de"), *life_of(anothers, "of-2"), *_in_html(hostile)]
    _record(store, march)
    damage_key(store, f"account/{SET_ASIDE}")
    wrong = own.charge_posted("chg-wrong", price="much")
    _ingest(store, wrong, Upstream(SET_ASIDE, source="/upstream").account_registered())
    staff(store)
    _approve(store, OWN, ANOTHERS)
    _submit(store)
    _let_it_be(store, BEGIN_OF_APRIL)
    commands(store, ("period", "close", "2026-03", "--as", PRINCIPALS["finance"]))
    own, anothers = (Upstream(of, source="/upstream/april", begins="2026-04-01T10:00:00Z") for of in (OWN, ANOTHERS))
    _record(store, [*_april(own, "1"), *_april(anothers, "2")])
    _let_it_be(store, END_OF_APRIL)


def _march(up: Upstream, of: str, locale: str) -> list[Message]:
    """Two subscriptions, one of them as in `life_of`, with the ids of both customers alike but for the second."""
    customer = {"name": f"Zoë of {up.account}", "email": f"zoe@{up.account}.example", "locale": locale}
    second = f"sub-second-{of}"
    return [
        up.account_registered(customer=customer),
        up.subscription_registered(),
        up.cycle_started(),
        up.payment_captured(),
        up.subscription_registered(second, plan="home-voip"),
        up.cycle_started(f"cyc-second-{of}", subscription_id=second, price="19.00"),
        up.payment_captured(f"inv-cyc-second-{of}", "19.00"),
        *life_of(up),
        up.overcharge_confirmed(f"dis-paid-{of}", "chg-1", amount="1.50", settle_as="refund"),
        up.overcharge_confirmed(f"dis-waiting-{of}", "chg-1", amount="0.50", settle_as="refund"),
    ]


def _april(up: Upstream, of: str) -> list[Message]:
    """An outage that goes on, a dispute that nobody has decided yet, and a complaint with a proposed credit."""
    second, cycle, complaint = f"sub-second-{of}", f"cyc-april-{of}", f"com-april-{of}"
    dates = {"starts_on": "2026-04-01", "ends_on": "2026-05-01"}
    reported = "2026-04-01T09:00:00Z"
    return [
        up.cycle_started(cycle, subscription_id=second, price="19.00", **dates),
        up.payment_captured(f"inv-{cycle}", "19.00"),
        up.outage_reported(f"out-april-{of}", subscription_id=second, began_at="2026-04-01T06:00:00Z"),
        up.billing_error_reported(f"dis-april-{of}", cycle, claimed="4.00", reported_at=reported),
        up.complaint_opened(complaint, subscription_id=second, description=f"nobody rang {up.account} back"),
        up.goodwill_proposed(f"gw-april-{of}", complaint, amount="7.50", reason="a week without an answer"),
    ]


def _in_html(up: Upstream) -> list[Message]:
    """HTML in every text that upstream takes."""
    charged = {"price": "15.00", "currency": "EUR", "invoice_id": "inv-chg-html"}
    return [
        up.account_registered(customer={"name": IN_HTML, "email": "mallory@ruf.example", "locale": "en"}),
        up.subscription_registered("sub-html", plan=IN_HTML),
        up.cycle_started("cyc-html", subscription_id="sub-html"),
        up.payment_captured("inv-cyc-html"),
        up.says("charge.posted", charge_id="chg-html", description=IN_HTML, **charged),
        up.outage_reported("out-html", subscription_id="sub-html", channel=IN_HTML),
        up.billing_error_reported("dis-html", "chg-html"),
        up.overcharge_rejected("dis-html", "chg-html", reason=IN_HTML),
        up.complaint_opened("com-html", subscription_id="sub-html", description=IN_HTML),
        up.complaint_resolved("com-html", resolution=IN_HTML),
    ]


def staff(store: str) -> None:
    with open_house(Settings(store=store)) as house:
        by = By("/ops/tests", "cli")
        for role, principal in PRINCIPALS.items():
            grant(house.ledger, Grant(principal=principal, role=role, account_id=None), by)
        house.projections.catch_up()


def _approve(store: str, *accounts: str) -> None:
    """One refund of each customer is approved, submitted and paid; the others are left for somebody to approve."""
    for account in accounts:
        for refund in _told(store, "refunds", "--account", account):
            if refund["refund_id"].startswith("refund/billing-error/dis-paid"):
                seen = ("--seen", refund["proposal"], "--as", PRINCIPALS["approver"])
                commands(store, ("refund", "approve", refund["refund_id"], "--account", account, *seen))


def _submit(store: str) -> None:
    with open_whole(Settings(store=store)) as house:
        for each in house.every:
            submit_approved(each.ledger)
            each.projections.catch_up()
    paid = [
        Upstream(row["account_id"], source="/processor", begins="2026-03-15T11:00:00Z").refund_succeeded(
            row["refund_id"], succeeded_at="2026-03-15T11:30:00Z"
        )
        for row in _told(store, "refunds", "--status", "submitted")
    ]
    assert paid
    _record(store, paid)


def _let_it_be(store: str, instant: datetime) -> None:
    commands(store, ("advance", instant.isoformat()))


def _record(store: str, messages: Iterable[Message]) -> None:
    with open_whole(Settings(store=store)) as house:
        taken = Taken()
        take_apart(Shards([each.ledger for each in house.every]), read_all(messages), taken)
        assert not taken.refused, taken.refused
        for each in house.every:
            each.projections.catch_up()


def _ingest(store: str, *messages: Message) -> None:
    """Messages of which each is refused or set aside."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("\n".join(json.dumps(message) for message in messages))
        file.flush()
        commands(store, ("ingest", file.name), exits=3)


def _told(store: str, *command: str) -> list[dict[str, Any]]:
    with redirect_stdout(StringIO()) as said:
        assert run([*command, "--json", "--store", store]) == 0
    found: list[dict[str, Any]] = json.loads(said.getvalue())
    return found
