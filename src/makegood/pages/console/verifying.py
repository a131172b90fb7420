"""The verify page: whether what is stored is what was recorded, up to which position a checkpoint covers it, and
whose signatures and witnesses say so. One verification runs at a time, in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from makegood.answers.audit.signing import Signing, signing_of
from makegood.answers.audit.verification import Verification, verified
from makegood.house.audit_keys import trusted_by
from makegood.house.opening import House
from makegood.house.stop import Stop
from makegood.pages.console.long_run import LongRun
from makegood.pages.route import PageRoute
from makegood.pages.shell import Entry, fragment, page
from makegood.pages.visitor import Visitor, go_to, one_shard, submits, visits
from projections.follower import Progress

router = APIRouter(include_in_schema=False, route_class=PageRoute)

VERIFY = "/console/verify"
ENTRIES = (Entry("audit", "Verify", VERIFY, "audit.read"),)
BAD_SHOWN = 200
"""So many of what is not right are listed; the others are counted."""


VerificationRun = LongRun[Verification]


def run_of(request: Request) -> VerificationRun:
    """The verification of this server."""
    state = request.app.state
    if not hasattr(state, "verification"):
        state.verification = VerificationRun(
            "verification", (Stop,), "it could not be done ({reason}): try `makegood audit verify` on the server"
        )
    run: VerificationRun = state.verification
    return run


@router.get(VERIFY)
def verify(request: Request, visitor: Annotated[Visitor, visits("audit.read", "audit")]) -> Response:
    """What the last verification found, and what is signed."""
    shard = one_shard(request)
    signing, problems = _signing(shard.house)
    return page(
        visitor.frame,
        "console/verify.html",
        title="Verify",
        run=run_of(request),
        signing=signing,
        problems=problems,
        bad_shown=BAD_SHOWN,
        shard=shard,
    )


@router.get(VERIFY + "/progress")
def progress(request: Request, visitor: Annotated[Visitor, visits("audit.read", "audit")]) -> Response:
    """The same as a part of the page that is open already."""
    return fragment(visitor.frame, "console/verification.html", run=run_of(request), bad_shown=BAD_SHOWN)


@router.post(VERIFY)
def verify_now(request: Request, visitor: Annotated[Visitor, submits("audit.read", "audit")]) -> Response:
    """Begins a verification of the store, or of one of its shards."""
    shard, run = one_shard(request), run_of(request)
    house = shard.house

    @contextmanager
    def bar(what: str, unit: str) -> Iterator[Progress]:
        run.at(f"{what} {unit}")
        yield run.moved

    began = run.begin(
        visitor.caller.principal,
        lambda: verified(house, policy=trusted_by(house.settings), bar=bar),
        step="reading",
    )
    return go_to(visitor, VERIFY + shard.query, "" if began else "A verification runs already.")


def _signing(house: House) -> tuple[list[Signing], list[str]]:
    with house.database.reading() as transaction:
        return signing_of(transaction, house.settings)
