"""Who acts through the command line."""

from __future__ import annotations

import getpass


def actor_of(given: str) -> str:
    """Who acts through the command line: as told, or the user whose process this is."""
    return given or f"/makegood/cli/{getpass.getuser()}"
