"""The actor of a command."""

from __future__ import annotations

import getpass


def actor_of(given: str) -> str:
    """The actor of a command: the given one, or the user of this process."""
    return given or f"/makegood/cli/{getpass.getuser()}"
