"""The write side: what happened, what is owed for it, and the record of both."""
