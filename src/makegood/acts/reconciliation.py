"""Comparing a processor's file with what went out, and settling what does not match."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from pydantic import BaseModel, ConfigDict, Field

from consumers.payouts.processor_file import NotReadable
from consumers.upstream.fields import LocalDate
from ledger.application.acts import By
from ledger.application.reconciliation import DiscrepancyClosed, NoSuchDiscrepancy, settle
from ledger.application.requests import KeyReused
from makegood.acts.bodies import Words, like
from makegood.acts.once import Once
from makegood.acts.refused import ActRefused, invalid, key_reused, not_found
from makegood.answers import reconciliation as answering
from makegood.answers.reconciliation import DiscrepancyDone, Reconciled
from makegood.house.opening import House


class ReconcileFile(BaseModel):
    """Compare a processor's file with what went out. The same file again changes nothing."""

    model_config = ConfigDict(
        **like(
            csv="return_id,reference,amount,currency,date,status\n"
            "ret-0f9d1c6a1b0e4b4f8f3d6f1a2b3c4d5e,re-77,11.90,EUR,2026-01-31,succeeded\n"
        ),
        validate_by_name=True,
    )

    csv: str = Field(
        description="The file: CSV with the columns return_id, refund_id or reference (and account_id where several "
        "accounts have a refund of that id), amount, currency, date and status, or an itemized balance report of "
        "Stripe. Nothing else of it is kept. For files over 1 MiB use `makegood reconcile`."
    )
    first_day: LocalDate | None = Field(
        None, alias="from", description="The first day to compare; by default the file's first."
    )
    last_day: LocalDate | None = Field(
        None, alias="to", description="The last day, included; by default the file's last."
    )


class SettleDiscrepancy(BaseModel):
    """Settle a discrepancy for good."""

    model_config = like(reason="the customer was paid by hand; recorded as refund/unused/cyc-1/1")

    reason: Words


def reconcile(house: House, by: By, recorded: Callable[[], None], asked: ReconcileFile) -> Reconciled:
    """What differs between the file and what went out; recorded where it is new, so that the same file again changes
    nothing. The projections must have caught up. Raises ActRefused."""
    content = asked.csv.encode("utf-8", "surrogatepass")
    try:
        found = answering.reconcile(house, lambda: BytesIO(content), by, asked.first_day, asked.last_day)
    except NotReadable as error:
        raise invalid("csv", str(error)) from None
    recorded()
    return found


def settle_discrepancy(once: Once, discrepancy_id: str, asked: SettleDiscrepancy) -> DiscrepancyDone:
    """Settle it for good; the reason is kept in the vault. Raises ActRefused, Conflict, Unavailable."""
    house = answering.house_with(once.house, discrepancy_id)
    sent = once.request("POST", "settle", discrepancy_id, asked.reason, house=house)
    try:
        settle(house.ledger, discrepancy_id, asked.reason, once.by, sent)
    except KeyReused:
        raise key_reused() from None
    except NoSuchDiscrepancy:
        raise not_found("there is no such discrepancy; GET /discrepancies lists them") from None
    except DiscrepancyClosed as closed:
        raise ActRefused("conflict", str(closed)) from None
    once.recorded()
    return {"discrepancy_id": discrepancy_id, "outcome": "settled"}
