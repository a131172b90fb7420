"""What is asked for and is not there."""

from __future__ import annotations


class Unknown(LookupError):
    """There is nothing of the name that was asked for; the message says where to look."""
