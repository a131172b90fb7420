"""The questions that auditors ask (contract §3c)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ledger.audit import tile_at
from ledger.audit.checkpoint import SIZE_MAX
from ledger.store.reading.audit import origin_of
from ledger.store.reading.shards import own_shard
from makegood.access.caller import Caller
from makegood.answers.audit.access import AccessAudited, access_audited
from makegood.answers.audit.difference import AccountDifference, difference
from makegood.answers.audit.logs import last_checkpoint, note_of, resource
from makegood.answers.unknown import Unknown
from makegood.api.asked import InMonth, KnownAtMoment
from makegood.api.guard import Guarded, OneShard, TheHouse, allowed
from makegood.api.paths import AccountId, PathId
from makegood.api.problems import not_found
from makegood.api.questions import answers
from makegood.house.stop import Stop

audit = APIRouter(tags=["Audit"], route_class=Guarded)

MayAudit = Annotated[Caller, allowed("audit.read")]


@audit.get(
    "/accounts/{account_id}/diff",
    summary="Get the difference between two moments of an account",
    responses=answers(AccountDifference),
)
def diff(
    house: TheHouse,
    caller: MayAudit,
    account_id: AccountId,
    from_: Annotated[
        KnownAtMoment, Query(alias="from", description="The first moment: events recorded by then are left out.")
    ],
    to: Annotated[KnownAtMoment, Query(description="The second moment: events recorded by then are listed.")],
) -> Response:
    """The events recorded after the first moment and by the second, each in a sentence, the account as it was known
    at both, and the rows that differ."""
    return JSONResponse(difference(house, caller.sight, account_id, from_, to))


@audit.get(
    "/access/audit",
    summary="Get a month's grants, revocations and self-approvals",
    responses=answers(AccessAudited),
)
def access(
    house: OneShard,
    caller: MayAudit,
    period: Annotated[InMonth, Query(description="The month, in the provider's time zone.", examples=["2026-01"])],
) -> Response:
    """Roles granted and revoked and API keys issued and revoked in a month; its approvals of refunds and goodwill
    credits by those from whose own acts they came, of which there must be none, and by people whose role was revoked
    since; and who looked at personal data, exports and evidence."""
    return JSONResponse(access_audited(house, period))


# --- the log, at the addresses of C2SP's tlog-tiles ---------------------------------------------------------------


@audit.get(
    "/log/checkpoint",
    summary="Get a signed checkpoint",
    response_class=PlainTextResponse,
    responses={200: {"description": "The signed note"}},
)
def log_checkpoint(
    house: OneShard,
    caller: MayAudit,
    size: Annotated[
        int | None, Query(ge=1, le=SIZE_MAX, description="The one over so many events; otherwise the last one.")
    ] = None,
) -> Response:
    """The last signed checkpoint of the log, or an earlier one, with the cosignatures of witnesses."""
    try:
        with house.database.reading() as transaction:
            note = (
                last_checkpoint(transaction, own_shard(transaction))
                if size is None
                else note_of(transaction, origin_of(transaction, own_shard(transaction)), size)
            )
    except Unknown:
        raise not_found("no checkpoint covers just so many events; without `size` you get the last one") from None
    except Stop:
        raise not_found("no checkpoint is signed yet: ask the operator to set up the signing key") from None
    return PlainTextResponse(str(note))


@audit.get(
    "/log/tile/{tile:path}",
    summary="Get a tile of the log, or a bundle of its entries",
    response_class=Response,
    responses={
        200: {
            "description": "Hashes of 32 bytes each, or entries with their length before them in two bytes",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
def log_tile(
    house: OneShard,
    caller: MayAudit,
    tile: Annotated[
        PathId,
        Path(
            description="Level or `entries`, number and width, as C2SP's tlog-tiles writes them.",
            examples=["0/x001/234", "entries/000.p/12"],
        ),
    ],
) -> Response:
    """A tile of the Merkle tree over the events, or a bundle of entries, which are the events' envelopes as stored:
    names, addresses and free text are not in them."""
    asked = tile_at(f"tile/{tile}")
    if asked is None:
        raise not_found("no tile has this path; they are written as in c2sp.org/tlog-tiles, such as `0/000.p/12`")
    try:
        with house.database.reading() as transaction:
            content = resource(transaction, own_shard(transaction), asked)
    except Unknown:
        raise not_found("the log has not grown so far; GET /log/checkpoint says how many entries it has") from None
    return Response(content, media_type="application/octet-stream")
