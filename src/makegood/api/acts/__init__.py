"""What people do over HTTP, a file for each subject: subscriptions, outages, disputes, complaints, goodwill credits,
and money that goes out.

The routes are thin: what an act says, and what of the account it may name, is in the module of `makegood.acts` of
the same name.
"""

from makegood.api.acts import complaints, disputes, goodwill, outages, refunds, subscriptions

ROUTERS = (subscriptions.router, outages.router, disputes.router, complaints.router, goodwill.router, refunds.router)
