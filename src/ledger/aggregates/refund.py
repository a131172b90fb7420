"""A refund: how it stands, as recorded, and each time that it was submitted (policy §7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ledger.aggregates.recording import Cause, LedgerAggregate
from ledger.events import LedgerEvent, RefundStatusChanged, RefundSubmitted, Return
from ledger.policy.payout import Owed
from ledger.policy.rules import RULES
from ledger.values import stream_name


class Refund(LedgerAggregate):
    """Records what people decide about one refund, its submissions, and each change of how it stands.

    A refund that is merely due has no stream: settlement says that it is owed.
    """

    def __init__(self, account: str, refund_id: str) -> None:
        super().__init__(stream_name("refund", account, refund_id), account)
        self.refund_id = refund_id
        self.stands: RefundStatusChanged.Data | None = None
        """How it was recorded last."""
        self.amount_since: datetime | None = None
        """Since when it is due with this net and tax."""

    @property
    def is_approved(self) -> bool:
        """Whether it may be submitted, as far as it is recorded."""
        return self.stands is not None and self.stands.after == "approved"

    def submit(
        self, owed: Owed, invoice_id: str, attempt: int, returns: tuple[Return, ...], cause: Cause
    ) -> RefundSubmitted:
        """Hand it over to be paid; its amount is fixed from here on. Only an approved one is."""
        approved_by = self.stands.approved_by if self.stands is not None else None
        assert approved_by is not None, "only what is approved is submitted"
        data = RefundSubmitted.Data(
            refund_id=self.refund_id,
            attempt=attempt,
            claim_id=owed.claim_id,
            credit_id=owed.credit_id,
            charge_id=owed.charge_id,
            invoice_id=invoice_id,
            currency=owed.currency,
            net=owed.net,
            tax=owed.tax,
            set_by=owed.set_by,
            approved_by=approved_by,
            returns=returns,
            rules=RULES,
            now=cause.now,
        )
        return self.record(RefundSubmitted, data, cause)

    def stand(
        self, standing: Callable[[RefundStatusChanged.Data | None], RefundStatusChanged.Data], cause: Cause
    ) -> None:
        """Note how it stands, where that changed. `standing` is told how it was recorded last."""
        data = standing(self.stands)
        if self.stands is None or _without_before(data) != _without_before(self.stands):
            self.record(RefundStatusChanged, data, cause)

    def fall_away(self, cause: Cause) -> None:
        """Note that it is owed no more."""
        if self.stands is not None and self.stands.after is not None:
            gone = {"before": self.stands.after, "after": None, "approved_by": None, "approved_at": None}
            self.record(RefundStatusChanged, self.stands.model_copy(update={**gone, "now": cause.now}), cause)

    def when(self, event: LedgerEvent) -> None:
        if isinstance(event, RefundStatusChanged):
            before, data = self.stands, event.data
            if before is None or before.after is None or (before.net, before.tax) != (data.net, data.tax):
                self.amount_since = data.now
            self.stands = data


def _without_before(data: RefundStatusChanged.Data) -> dict[str, object]:
    return data.model_dump(exclude={"before", "now"})
