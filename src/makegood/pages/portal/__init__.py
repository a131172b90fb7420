"""The portal: where a customer looks after their own account, a module for each matter."""

from makegood.pages.portal import cancelling, overview, own_data, reporting

ROUTERS = tuple(module.router for module in (overview, cancelling, reporting, own_data))
