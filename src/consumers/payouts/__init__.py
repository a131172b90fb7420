"""Payouts: refunds that may go out are submitted, and a payment processor is asked for each attempt once."""
