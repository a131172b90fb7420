"""What all refusals of this package are."""

from __future__ import annotations


class Unproven(Exception):
    """What was given proves nothing; the message says why, and names no key's secret."""
