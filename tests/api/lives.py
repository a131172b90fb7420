"""A door at which much has happened: two customers, each with every kind of claim, and somebody of every role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ledger.application.access import issue_key
from tests.api.conftest import BY
from tests.api.desk import NOW, OF_THE_PROVIDER, Desk, Served
from tests.audit.logs import signed_now
from tests.ledger.books import Books
from tests.ledger.messages import Message, Upstream

OWN, ANOTHERS, NOBODYS = "acct-1", "acct-2", "acct-9"
CUSTOMER = "zoe"
WHO = {role: who for who, role in OF_THE_PROVIDER.items()} | {"customer": CUSTOMER}
WITHOUT_ROLE = "nina"


@contextmanager
def settled(served: Served, url: str = "sqlite:///:memory:") -> Iterator[Desk]:
    """A door at which two customers have everything that can happen; the one before is opened again afterwards."""
    books, before = Books.open(url), (served.app.state.house, served.app.state.recorded)
    with Desk.on(books, url, served) as desk:
        settle(desk)
        yield desk
    served.app.state.house, served.app.state.recorded = before
    books.close()


def settle(desk: Desk) -> None:
    own, anothers = (Upstream(of, source="/upstream", begins="2026-03-02T09:00:00Z") for of in (OWN, ANOTHERS))
    lives = (*life_of(own), *life_of(anothers), *life_of(anothers, "of-2"))
    taken = desk.books.take([*lives, b"no message at all"])
    assert len(taken.refused) == 1
    desk.secrets[WITHOUT_ROLE] = issue_key(desk.books.ledger, WITHOUT_ROLE, BY).text
    desk.house.projections.catch_up()
    signed_now(desk.books.database, NOW)


def life_of(up: Upstream, of: str = "1") -> list[Message]:
    """What happens to a customer: every kind of claim, a refund, a credit, a complaint, and credits proposed for it.

    The ids of what happens end in `of`: 1 of what both accounts have ids of, alike.
    """
    sub, cycle, charge = f"sub-{of}", f"cyc-{of}", f"chg-{of}"
    began = [
        up.subscription_registered(sub),
        up.cycle_started(cycle, subscription_id=sub),
        up.payment_captured(f"inv-{cycle}"),
    ]
    return [
        *(began if of != "1" else ()),
        up.charge_posted(charge, subscription_id=sub),
        up.payment_captured(f"inv-{charge}", "15.00"),
        up.complaint_opened(f"com-{of}", subscription_id=sub, description="what zoe wrote"),
        up.outage_reported(f"out-{of}", subscription_id=sub),
        up.outage_resolved(f"out-{of}", subscription_id=sub, resolved_at="2026-03-14T00:00:00Z"),
        up.billing_error_reported(f"dis-{of}", charge),
        up.billing_error_reported(f"dis-{of}-confirmed", charge),
        up.overcharge_confirmed(f"dis-{of}-confirmed", charge, amount="2.00", settle_as="refund"),
        *money_that_went_out(up, of),
        up.complaint_linked(f"com-{of}", "outage", f"out-{of}"),
        up.complaint_noted(f"com-{of}", note=f"a note about {up.account}"),
        up.goodwill_proposed(f"gw-{of}", f"com-{of}", reason="in the words of support"),
        up.goodwill_proposed(f"gw-{of}-given", f"com-{of}"),
        up.goodwill_approved(f"gw-{of}-given"),
        up.cancellation_requested(subscription_id=sub, requested_at="2026-03-03T12:00:00Z"),
    ]


def money_that_went_out(up: Upstream, of: str) -> list[Message]:
    """A refund that failed, and another of which too much arrived."""
    sub, charge, failed, over = f"sub-{of}", f"chg-{of}-over", f"dis-{of}-failed", f"dis-{of}-over"
    return [
        up.overcharge_confirmed(failed, f"chg-{of}", amount="1.00", settle_as="refund"),
        up.refund_failed(f"refund/billing-error/{failed}/1"),
        up.payment_captured(f"inv-{charge}", "15.00"),  # before its charge, so that no credit pays for it too
        up.charge_posted(charge, subscription_id=sub),
        up.overcharge_confirmed(over, charge, amount="3.00", settle_as="refund"),
        up.refund_succeeded(f"refund/billing-error/{over}/1"),
        up.overcharge_confirmed(over, charge, amount="1.00", settle_as="refund", time="2026-02-01T00:00:00Z"),
    ]
