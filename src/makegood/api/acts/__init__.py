"""What people do over HTTP, a file for each subject: subscriptions, outages, disputes, complaints, goodwill credits.

A route says which message its act becomes and what of the account it names; the rest is in `makegood.api.acting`.
"""

from makegood.api.acts import complaints, disputes, goodwill, outages, subscriptions

ROUTERS = (subscriptions.router, outages.router, disputes.router, complaints.router, goodwill.router)
