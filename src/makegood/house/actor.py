"""The actor of a command: the operating system's user, and for whom they acted.

Its form cannot be a principal's, whose name does not begin with `/makegood` and has no spaces. So every event shows
whether its actor was proven by a key or token, or typed by whoever had the machine.
"""

from __future__ import annotations

import os
import pwd

from ledger.application.access import AccessRefused, check_name
from ledger.values import is_identifier
from makegood.house.stop import Stop


def actor_of(for_whom: str) -> str:
    """The actor of a command: `/makegood/cli/USER`, or `/makegood/cli/USER for NAME` where a name was typed.

    Raises Stop for a name that no principal could have.
    """
    actor = f"/makegood/cli/{_user()}"
    if not for_whom:
        return actor
    try:
        check_name(for_whom, "the name given with --as")
    except AccessRefused as refused:
        raise Stop(str(refused)) from None
    return f"{actor} for {for_whom}"


def _user() -> str:
    """The user whom this process runs as. The environment is not asked: anybody can set `LOGNAME`."""
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = ""
    return name if is_identifier(name) else f"uid:{number}"
