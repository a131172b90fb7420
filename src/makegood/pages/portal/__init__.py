"""The portal: where a customer looks after their own account, a module for each matter."""

from makegood.pages.portal import cancelling, overview

ROUTERS = (overview.router, cancelling.router)
