"""The revision of the policy's code, which every decision about money records."""

RULES = 2
"""Counted up whenever a rule changes, so that a decision can be performed again by the rules that it was made by.

1 stands for all that was decided before decisions said it.
"""

SAID_FROM = 2
"""The first revision that decisions say. Those before it show theirs by their older stored types."""
