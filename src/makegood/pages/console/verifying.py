"""The verify page: whether what is stored is what was recorded, up to which position a checkpoint covers it, and
whose signatures and witnesses say so. One verification runs at a time, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from consumers.part import reason_of
from ledger.values import instant_to_text
from makegood.answers.audit.signing import Signing, signing_of
from makegood.answers.audit.verification import Verification, verified
from makegood.house.audit_keys import trusted_by
from makegood.house.clock import system_clock
from makegood.house.opening import House
from makegood.house.stop import Stop
from makegood.pages.route import PageRoute
from makegood.pages.shell import Entry, fragment, page
from makegood.pages.visitor import Visitor, go_to, house_of, submits, visits
from projections.follower import Progress

router = APIRouter(include_in_schema=False, route_class=PageRoute)

VERIFY = "/console/verify"
ENTRIES = (Entry("audit", "Verify", VERIFY, "audit.read"),)
BAD_SHOWN = 200
"""So many of what is not right are listed; the others are counted."""


@dataclass(frozen=True, slots=True)
class Done:
    """A verification that ended: its result, or why it could not be done."""

    at: str
    by: str
    result: Verification | None
    failed: str | None = None


class VerificationRun:
    """The verification that runs in this process, and the last one that ended."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self.running = False
        self.step = ""
        self.done = 0
        self.of: int | None = None
        self.last: Done | None = None

    def begin(self, house: House, by: str) -> bool:
        """Begin one, unless one runs already."""
        with self._turn:
            if self.running:
                return False
            self.running, self.step, self.done, self.of = True, "reading", 0, None
        threading.Thread(target=self._verify, args=(house, by), name="verification", daemon=True).start()
        return True

    def _verify(self, house: House, by: str) -> None:
        result, failed = None, None
        try:
            result = verified(house, policy=trusted_by(house.settings), bar=self._bar)
        except Stop as stop:
            failed = str(stop)
        except Exception as error:
            failed = f"it could not be done ({reason_of(error)}): try `makegood audit verify` on the server"
        self.last = Done(instant_to_text(system_clock()), by, result, failed)
        self.running = False

    @contextmanager
    def _bar(self, what: str, unit: str) -> Iterator[Progress]:
        self.step, self.done, self.of = f"{what} {unit}", 0, None

        def moved(done: int, of: int) -> None:
            self.done, self.of = done, of

        yield moved


def run_of(request: Request) -> VerificationRun:
    """The verification of this server."""
    state = request.app.state
    if not hasattr(state, "verification"):
        state.verification = VerificationRun()
    run: VerificationRun = state.verification
    return run


@router.get(VERIFY)
def verify(request: Request, visitor: Annotated[Visitor, visits("audit.read", "audit")]) -> Response:
    """What the last verification found, and what is signed."""
    house = house_of(request)
    signing, problems = _signing(house)
    return page(
        visitor.frame,
        "console/verify.html",
        title="Verify",
        run=run_of(request),
        signing=signing,
        problems=problems,
        bad_shown=BAD_SHOWN,
    )


@router.get(VERIFY + "/progress")
def progress(request: Request, visitor: Annotated[Visitor, visits("audit.read", "audit")]) -> Response:
    """The same as a part of the page that is open already."""
    return fragment(visitor.frame, "console/verification.html", run=run_of(request), bad_shown=BAD_SHOWN)


@router.post(VERIFY)
def verify_now(request: Request, visitor: Annotated[Visitor, submits("audit.read", "audit")]) -> Response:
    """Begins a verification of the whole store."""
    began = run_of(request).begin(house_of(request), visitor.caller.principal)
    return go_to(visitor, VERIFY, "" if began else "A verification runs already.")


def _signing(house: House) -> tuple[list[Signing], list[str]]:
    with house.database.reading() as transaction:
        return signing_of(transaction, house.settings)
