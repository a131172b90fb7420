"""`makegood` with the part `notices`, in a hurry, that ends itself hard at a place that the environment names."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

from consumers import notices
from consumers.mail.sending import SmtpMailer, _stuffed
from consumers.notices import Notices
from makegood import cli
from makegood.program import running

PLACES = (
    "before the claim",
    "after the claim",
    "before the connection",
    "during DATA",
    "before the dot",
    "after the dot",
    "before it is recorded",
    "after it is recorded",
)
LEASE_SECONDS = 2.0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_before(what: Callable[..., Any]) -> Callable[..., Any]:
    def dies(*arguments: Any, **named: Any) -> None:
        die()

    return dies


def dying_after(what: Callable[..., Any], *, unless_none: bool = False) -> Callable[..., Any]:
    def does(*arguments: Any, **named: Any) -> Any:
        done = what(*arguments, **named)
        if done is not None or not unless_none:
            die()
        return done

    return does


def sends(smtp: Any, message: bytes, part: Callable[[bytes], bytes]) -> None:
    smtp.send(part(_stuffed(message)))
    die()


def install(place: str) -> None:
    match place:
        case "before the claim":
            notices.next_to_send = dying_after(notices.next_to_send, unless_none=True)
        case "after the claim":
            Notices._claim = dying_after(Notices._claim, unless_none=True)  # type: ignore[method-assign]
        case "before the connection":
            SmtpMailer.send = dying_before(SmtpMailer.send)  # type: ignore[method-assign]
        case "during DATA":
            SmtpMailer._hand_over = (  # type: ignore[method-assign]
                lambda self, smtp, message, until: sends(smtp, message, lambda whole: whole[: len(whole) // 2])
            )
        case "before the dot":
            SmtpMailer._hand_over = (  # type: ignore[method-assign]
                lambda self, smtp, message, until: sends(smtp, message, lambda whole: whole)
            )
        case "after the dot":
            SmtpMailer._hand_over = dying_after(SmtpMailer._hand_over)  # type: ignore[method-assign]
        case "before it is recorded":
            notices.record_sent = dying_before(notices.record_sent)
        case "after it is recorded":
            notices.record_sent = dying_after(notices.record_sent)


if __name__ == "__main__":
    running.Notices = partial(Notices, lease=LEASE_SECONDS, retry_first=0.2, idle=0.05)  # type: ignore[misc, assignment]
    install(os.environ.get("NOTICES_DIE", ""))
    cli.main()
