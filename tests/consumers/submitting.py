"""Refunds that were submitted, recorded by hand: without a claim, and without anybody who approved them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256

from ledger.aggregates import LedgerAggregate
from ledger.application.acts import Act, By, perform
from ledger.events import LedgerEvent, RefundSubmitted, Return
from ledger.store.reading.events import stream_version
from ledger.values import stream_name
from tests.integration.world import Books

BY = By("/makegood/payouts", "payouts")


class OnlyRecords(LedgerAggregate):
    """A stream that nothing is decided by."""

    def __init__(self, stream: str, account: str, version: int) -> None:
        super().__init__(stream, account)
        self.version = version

    def when(self, event: LedgerEvent) -> None:
        pass


def submit(books: Books, *numbers: int, attempt: int = 1, returns: Mapping[str, str] | None = None) -> None:
    """Record that refunds were submitted, each of an account and a claim of its own by its number."""
    for number in numbers:
        _submit(books, number, attempt, returns or {f"pay-{number}": "11.90"})


def _submit(books: Books, number: int, attempt: int, returns: Mapping[str, str]) -> None:
    account, refund_id = f"acct-{number}", f"refund/claim-{number}/1"
    amounts = {payment: Decimal(amount) for payment, amount in returns.items()}
    data = RefundSubmitted.Data(
        refund_id=refund_id,
        attempt=attempt,
        claim_id=f"claim-{number}",
        credit_id=None,
        charge_id=f"cyc-{number}",
        invoice_id=f"inv-{number}",
        currency="EUR",
        net=sum(amounts.values(), Decimal("0.00")),
        tax=Decimal("0.00"),
        set_by=f"settled-{number}",
        approved_by="agreement standard v1",
        returns=tuple(
            Return(
                return_id=_return_id(account, refund_id, attempt, payment),
                payment_id=payment,
                method="card",
                net=amount,
                tax=Decimal("0.00"),
            )
            for payment, amount in amounts.items()
        ),
        rules=1,
        now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC),
    )
    stream = stream_name("refund", account, refund_id)

    def decide(act: Act) -> None:
        aggregate = OnlyRecords.empty(stream, account, stream_version(act.transaction, stream))
        act.record(aggregate, RefundSubmitted, data, BY)

    perform(books.ledger(), {account}, decide)


def _return_id(account: str, refund_id: str, attempt: int, payment: str) -> str:
    return "ret-" + sha256("\n".join((account, refund_id, str(attempt), payment)).encode()).hexdigest()[:32]
