"""The console: where the provider's people look, a module for each of their rooms."""

from makegood.pages.console import accounts, approvals, closing, explanations, finance, reconciliation
from makegood.pages.shell import NAVIGATION

ROUTERS = tuple(module.router for module in (finance, closing, approvals, reconciliation, explanations, accounts))

NAVIGATION += [*finance.ENTRIES, *approvals.ENTRIES, *reconciliation.ENTRIES]
