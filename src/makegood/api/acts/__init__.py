"""What people do over HTTP, a file for each subject: subscriptions, outages, disputes, complaints, goodwill credits,
and money that goes out.

A route says which message its act becomes and what of the account it names; the rest is in `makegood.api.acting`.
"""

from makegood.api.acts import complaints, disputes, goodwill, outages, refunds, subscriptions

ROUTERS = (subscriptions.router, outages.router, disputes.router, complaints.router, goodwill.router, refunds.router)
