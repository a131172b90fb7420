"""Logs: few and wide, in JSON except on a terminal. They go to standard error and never hold personal data."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

from makegood.house.control_characters import visible


def configure_logs(level: str) -> None:
    """Set up the logs of a long-running process."""
    import structlog  # only here: a command that ends at once writes no log

    watched = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *((_visible, structlog.dev.ConsoleRenderer()) if watched else (structlog.processors.JSONRenderer(),)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping().get(level.upper(), 20)),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        # A cached logger would keep to the stream that was there when it was first used.
        cache_logger_on_first_use=False,
    )


def _visible(logger: object, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The texts of a line for a terminal; JSON escapes them itself."""
    return {name: visible(value, lines=False) if isinstance(value, str) else value for name, value in event.items()}


def say(text: str) -> None:
    """One line on standard error that a program may wait for: written whole, because parts log meanwhile."""
    sys.stderr.write(visible(text) + "\n")
    sys.stderr.flush()
