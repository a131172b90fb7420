"""Refunds through Stripe, which is asked over HTTP and answers by webhooks: the extra `makegood[stripe]`."""
