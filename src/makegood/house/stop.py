"""The one error of the door's own."""

from __future__ import annotations


class Stop(Exception):
    """A command cannot go on; the message says what to do next."""
