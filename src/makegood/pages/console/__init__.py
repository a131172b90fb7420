"""The console: where the provider's people look, a module for each of their rooms."""

from makegood.pages.console import (
    accounts,
    approvals,
    closing,
    deciding,
    evidence,
    explanations,
    finance,
    reconciliation,
    verifying,
)
from makegood.pages.shell import NAVIGATION

ROOMS = (finance, closing, approvals, deciding, reconciliation, explanations, accounts, verifying, evidence)
ROUTERS = tuple(module.router for module in ROOMS)

NAVIGATION += [*finance.ENTRIES, *approvals.ENTRIES, *reconciliation.ENTRIES, *verifying.ENTRIES, *evidence.ENTRIES]
