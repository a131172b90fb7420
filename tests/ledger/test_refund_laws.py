"""Whatever people, the payment processor and upstream do, in whatever order: the books keep their laws, and a closed
month stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ledger.application.acts import By
from ledger.application.checking import check_books
from ledger.application.payouts import NoSuchRefund, RefundRefused
from ledger.application.periods import AlreadyClosed, close
from ledger.events import PeriodClosed, PeriodFigures
from ledger.store.positions import Reached, reached_from_text
from ledger.store.reading.events import read_accounts
from ledger.store.reading.periods import closed_periods
from ledger.values import Month, month_from_text
from projections.movements import MOVEMENTS
from projections.period_figures import figures_of
from tests.ledger.books import Books
from tests.ledger.test_refunds import AUTOMATIC, IN_APRIL, Desk
from tests.parts.postgres import Postgres
from tests.parts.stores import Stores, tables
from tests.search import sample

CENTS = st.integers(1, 4_000) | st.sampled_from([1, 100, 1_000])
CHARGES = ("chg-1", "chg-2")
DISPUTES = ("dis-1", "dis-2", "dis-3")


def euros(cents: int) -> str:
    return str(Decimal(cents).scaleb(-2).quantize(Decimal("0.01")))


class Lives(RuleBasedStateMachine):
    """One account: two charges on two invoices, three disputes on them, and everybody who has a say."""

    def __init__(self, new_store: Callable[[], str], give_back: Callable[[str], None]) -> None:
        super().__init__()
        self.url = new_store()
        self.give_back = give_back
        self.books = Books.open(self.url, now=IN_APRIL, agreements=[AUTOMATIC])
        self.desk = Desk(self.books)
        self.payments = 0
        self.answers = 0
        self.requests: set[tuple[str, int]] = set()
        says = self.desk.customer
        self.desk.tell(
            says.account_registered(),
            says.subscription_registered(),
            *(
                says.charge_posted(id_, price="30.00", tax="5.70", invoice_id=f"inv-{id_}", subscription_id="sub-1")
                for id_ in CHARGES
            ),
        )

    def teardown(self) -> None:
        self.books.close()
        self.give_back(self.url)

    # --- upstream ------------------------------------------------------------------------------------------------

    @rule(on=st.sampled_from(CHARGES), cents=CENTS, method=st.sampled_from(["card", "bank", "balance"]))
    def pay(self, on: str, cents: int, method: str) -> None:
        self.payments += 1
        says = self.desk.customer
        self.desk.tell(
            says.payment_captured(f"inv-{on}", euros(cents), method=method, payment_id=f"pay-{self.payments}")
        )

    @rule(number=st.integers(1, 6), on=st.sampled_from(CHARGES))
    def bounce(self, number: int, on: str) -> None:
        self.desk.tell(self.desk.customer.payment_failed(f"inv-{on}", payment_id=f"pay-{number}"))

    @rule(
        dispute=st.sampled_from(DISPUTES),
        on=st.sampled_from(CHARGES),
        cents=CENTS,
        way=st.sampled_from(["refund", "refund", "credit", None]),
        day=st.integers(1, 28),
    )
    def confirm(self, dispute: str, on: str, cents: int, way: str | None, day: int) -> None:
        time = f"2026-02-{day:02}T00:00:00Z"
        says = self.desk.customer
        self.desk.tell(says.overcharge_confirmed(dispute, on, amount=euros(cents), settle_as=way, time=time))

    @rule(cents=CENTS)
    def charge(self, cents: int) -> None:
        self.payments += 1
        self.desk.tell(
            self.desk.customer.charge_posted(f"more-{self.payments}", price=euros(cents), invoice_id="inv-chg-1")
        )

    @rule()
    def end(self) -> None:
        self.desk.tell(self.desk.customer.subscription_terminated())

    # --- the payment processor -----------------------------------------------------------------------------------

    @precondition(lambda self: self.desk.submitted())
    @rule(data=st.data(), well=st.booleans(), whole=st.booleans(), other=st.booleans(), day=st.integers(1, 28))
    def answer(self, data: Any, well: bool, whole: bool, other: bool, day: int) -> None:
        """For the whole or for one return, at any time, again and again, sometimes with another amount."""
        sent = data.draw(st.sampled_from(self.desk.submitted()))
        returned = data.draw(st.sampled_from(sent["returns"]))
        id_ = sent["refund_id"] if whole else returned["return_id"]
        time = f"2026-05-{day:02}T00:00:00Z"
        if not well:
            self.desk.failed(id_, time=time)
            return
        amount = euros(data.draw(CENTS)) if other else None
        self.answers += 1
        self.desk.succeeded(
            id_, time=time, amount=amount, currency=amount and "EUR", processor_reference=f"psp-{self.answers}"
        )

    @rule(dispute=st.sampled_from(DISPUTES), number=st.integers(1, 2), well=st.booleans())
    def answer_unasked(self, dispute: str, number: int, well: bool) -> None:
        id_ = f"refund/billing-error/{dispute}/{number}"
        (self.desk.succeeded if well else self.desk.failed)(id_)

    # --- people --------------------------------------------------------------------------------------------------

    @rule(
        dispute=st.sampled_from(DISPUTES),
        number=st.integers(1, 3),
        act=st.sampled_from(["approve", "approve", "reject", "retry", "to_credit"]),
    )
    def decide(self, dispute: str, number: int, act: str) -> None:
        with suppress(NoSuchRefund, RefundRefused):
            getattr(self.desk, act)(f"refund/billing-error/{dispute}/{number}")

    @rule(of=st.sampled_from([*(f"credit/billing-error/{each}/1" for each in DISPUTES), "excess/inv-chg-1"]))
    def refund_credit(self, of: str) -> None:
        with suppress(NoSuchRefund, RefundRefused):
            self.desk.approve(self.desk.refund_credit(of))

    @rule(dispute=st.sampled_from(DISPUTES), kind=st.sampled_from(["written_off", "recovery_ordered"]))
    def overpaid(self, dispute: str, kind: str) -> None:
        with suppress(NoSuchRefund, RefundRefused):
            self.desk.decide_overpaid(f"overpaid.{kind}", f"billing-error/{dispute}")

    @rule()
    def submit(self) -> None:
        self.desk.submit()

    @rule(hours=st.sampled_from([1, 24, 100]))
    def time_passes(self, hours: int) -> None:
        self.desk.pass_time(hours)

    @rule()
    def another_process_takes_over(self) -> None:
        self.desk.books = self.books.another_process()

    @rule(month=st.sampled_from([Month(2026, 2), Month(2026, 3)]))
    def close(self, month: Month) -> None:
        database = self.books.database.real

        def compute(position: Reached, closed: Sequence[PeriodClosed]) -> PeriodFigures:
            return figures_of(database, month, position, closed, "UTC").recorded

        with suppress(AlreadyClosed):
            close(self.books.ledger, month, "UTC", MOVEMENTS.version, compute, By("felix", "cli"))

    # --- laws ----------------------------------------------------------------------------------------------------

    @invariant()
    def every_law_holds(self) -> None:
        with self.books.database.real.reading() as transaction:
            events = [stored.event() for stored in read_accounts(transaction, ["acct-1"])["acct-1"]]
            catalogue = self.books.ledger.catalogue(transaction)
        assert check_books("acct-1", events, catalogue).broken == []

    @invariant()
    def a_closed_month_stays_as_it_was_closed(self) -> None:
        database = self.books.database.real
        with database.reading() as transaction:
            closed = closed_periods(transaction)
        for number, each in enumerate(closed):
            month, position = month_from_text(each.data.period), reached_from_text(each.data.position)
            again = figures_of(database, month, position, closed[:number], "UTC")
            assert again.recorded == each.data.figures

    @invariant()
    def nothing_is_asked_for_twice(self) -> None:
        asked = [(each["refund_id"], each["attempt"]) for each in self.desk.submitted()]
        returns = [each["return_id"] for sent in self.desk.submitted() for each in sent["returns"]]
        assert len(asked) == len(set(asked))
        assert len(returns) == len(set(returns))

    @invariant()
    def what_goes_out_was_approved_as_it_is(self) -> None:
        for sent in self.desk.submitted():
            assert sent["approved_by"] in ("boss", "agreement standard v1")
            assert Decimal(sent["net"]) + Decimal(sent["tax"]) > 0


def live(new_store: Callable[[], str], give_back: Callable[[str], None], examples: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Lives(new_store, give_back),
        settings=settings(
            max_examples=sample(examples),
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_books_keep_their_laws() -> None:
    live(lambda: "sqlite:///:memory:", lambda url: None, examples=40, steps=30)


def test_the_books_keep_their_laws_on_postgresql(stores: Stores, tmp_path: Path, postgres: Postgres) -> None:
    live(lambda: stores.new("postgresql", tmp_path, tables), stores.give_back, examples=3, steps=15)
