"""What every act over HTTP goes through: who asks, under which key, and the answer; the rest is `makegood.acts`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from starlette.responses import JSONResponse, Response

from consumers.upstream import Unreadable
from consumers.upstream.cloudevents import strict_json
from ledger.application.acts import By
from makegood.access.caller import Caller
from makegood.access.permissions import Action
from makegood.acts.acting import Acting, ActRequest, Say, spelt
from makegood.acts.once import Once
from makegood.acts.recorded import Recorded
from makegood.acts.refused import KEY, WrongField
from makegood.answers.preview import Previewed
from makegood.api.guard import CHANNEL, TheHouse, allowed
from makegood.api.paths import AccountId
from makegood.api.problems import UNREADABLE, Refused, invalid
from makegood.api.versions import expected_version, tag_of
from makegood.api.wait_for import POSITION
from makegood.house.opening import House

KEY_PATTERN = r"^[A-Za-z0-9._~-]{1,64}$"


TRACEPARENT_LENGTH = 55


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to act: to carry it out, or only to say what it would change."""

    acting: Acting
    request: ActRequest
    previewed: bool

    def answer(self, say: Say) -> Response:
        """What was recorded, or would be changed. Raises ActRefused, Refused, Conflict, Unavailable."""
        if self.previewed:
            return JSONResponse(self.acting.preview(say, self.request))
        done = self.acting.carry_out(say, self.request)
        return Response(
            done.model_dump_json(),
            status_code=HTTPStatus.CREATED.value,
            headers={POSITION: done.position, "ETag": tag_of(done.account_version)},
            media_type="application/json",
        )


# --- from a request -----------------------------------------------------------------------------------------------

Key = Annotated[
    str | None,
    Header(
        alias=KEY,
        description="A unique key for this request, 1 to 64 of A-Z a-z 0-9 . _ ~ -. A repeat with the same body has "
        "the same answer and no further effect. Required except for previews.",
        json_schema_extra={"pattern": KEY_PATTERN},
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The ETag of your last read of the account: if it has changed since, the request is refused.",
    ),
]
IsPreview = Annotated[
    bool,
    Query(
        alias="preview",
        description="Return the changes without recording anything. No key is needed; with one, ids that would be "
        "created are shown, and placeholders such as mg-dispute-preview otherwise.",
    ),
]


async def _body(request: Request) -> bytes:
    return await request.body()


@cache
def acting(action: Action) -> Any:
    """Who acts by a route, and how, where they may do the action."""
    permitted: Caller = allowed(action)

    def found(
        request: Request,
        house: TheHouse,
        account_id: AccountId,
        body: Annotated[bytes, Depends(_body)],
        caller: Caller = permitted,
        key: Key = None,
        _: IfMatch = None,
        previewed: IsPreview = False,
    ) -> Asked:
        by = Acting(house, caller, account_id, CHANNEL, request.app.state.recorded)
        if key is not None or not previewed:
            check_key(key)
        asked = ActRequest(key, _said(request, body), _traceparent(request), lambda: expected_version(request))
        return Asked(by, asked, previewed)

    return Depends(found)


def check_key(key: str | None) -> None:
    """Raises Refused for a request that acts without a key, and for a key that is none."""
    if key is None:
        raise _without_key()
    if re.fullmatch(KEY_PATTERN, key, re.ASCII) is None:
        raise _key_is_wrong("a key must have 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -")


def keyed(request: Request, house: House, caller: Caller, key: str | None) -> Once:
    """Who does something that is no message, under which key. Raises Refused as `check_key` does."""
    check_key(key)
    assert key is not None
    return Once(house, By(caller.principal, CHANNEL), key, request.app.state.recorded)


def _without_key() -> Refused:
    return _key_is_wrong("required, so that a repeated request has no further effect")


def _key_is_wrong(reason: str) -> Refused:
    detail = f"send the header {KEY} with a new key for every request, such as a UUID"
    return Refused(UNREADABLE, detail, [WrongField(field=KEY, reason=reason)])


def _said(request: Request, body: bytes) -> bytes:
    """What is asked, in one spelling. Raises Refused for a body that is not JSON, or that readers may differ on."""
    try:
        return spelt(request.method, request.scope["path"], strict_json(body) if body else {})
    except Unreadable as unreadable:
        raise invalid(unreadable.finding.field or "body", unreadable.finding.reason) from None
    except RecursionError:
        raise invalid("body", "nested too deeply: a request has at most one level") from None


def _traceparent(request: Request) -> str | None:
    given = request.headers.get("traceparent")
    return given if given is not None and len(given) == TRACEPARENT_LENGTH else None


# --- answers ------------------------------------------------------------------------------------------------------


ANSWERS: dict[int | str, dict[str, Any]] = {
    HTTPStatus.OK.value: {"model": Previewed, "description": "The changes; for previews only"},
    HTTPStatus.CREATED.value: {
        "model": Recorded,
        "description": "Recorded",
        "headers": {
            POSITION: {
                "description": "The last event's position; a read that sends it in Makegood-Wait-For includes it.",
                "schema": {"type": "string"},
            },
            "ETag": {"description": "The account's new version.", "schema": {"type": "string"}},
        },
    },
}
"""What each of these routes answers, for the description of the API."""
