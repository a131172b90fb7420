"""The console: where the provider's people look, a module for each of their rooms."""

from makegood.pages import live
from makegood.pages.console import (
    accounts,
    approvals,
    closing,
    complaints,
    customer_acts,
    deciding,
    evidence,
    explanations,
    finance,
    messages,
    operations,
    rebuilding,
    reconciliation,
    search,
    verifying,
)
from makegood.pages.shell import NAVIGATION

ROOMS = (
    finance,
    closing,
    approvals,
    deciding,
    reconciliation,
    explanations,
    accounts,
    search,
    complaints,
    customer_acts,
    verifying,
    evidence,
    operations,
    messages,
    rebuilding,
    live,
)
ROUTERS = tuple(module.router for module in ROOMS)

NAVIGATION += [
    *finance.ENTRIES,
    *approvals.ENTRIES,
    *reconciliation.ENTRIES,
    *complaints.ENTRIES,
    *search.ENTRIES,
    *verifying.ENTRIES,
    *evidence.ENTRIES,
    *operations.ENTRIES,
]
