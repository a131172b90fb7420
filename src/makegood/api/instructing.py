"""The way of every instruction: the caller, the key, the expected version, and the answer.

The order is that of decision 0021: the key is looked up before anything of the message is made, because what an
request leaves out, such as its instant, would be another one when it is sent again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from consumers.upstream import Unreadable
from consumers.upstream.cloudevents import strict_json
from ledger.application import requests
from ledger.application.known_by import Kind, currency_of, known_by, verdict_on
from ledger.application.preview import preview
from ledger.application.record import take
from ledger.application.requests import Answered, KeyReused, VersionMoved
from ledger.application.statement import Refusal, Statement
from ledger.events import ClaimAssessed, Fact, GoodwillProposed, SubscriptionStatusChanged
from ledger.store.reading import account_version
from ledger.values import SYSTEM_ACCOUNT, instant_to_text, is_identifier
from makegood.access.caller import Caller
from makegood.access.permissions import Action
from makegood.answers import preview as previewing
from makegood.api.guard import CHANNEL, TheHouse, allowed
from makegood.api.messages import PREVIEWED, Origin, Said, statements
from makegood.api.paths import AccountId
from makegood.api.problems import (
    CONFLICT,
    INVALID,
    NO_SUCH_ACCOUNT,
    UNREADABLE,
    Refused,
    WrongField,
    invalid,
    not_found,
)
from makegood.api.versions import changed, expected_version, tag_of
from makegood.api.waiting import POSITION
from makegood.house.opening import House

KEY = "Idempotency-Key"
KEY_PATTERN = r"^[A-Za-z0-9._~-]{1,64}$"


TRACEPARENT_LENGTH = 55


class Decided(BaseModel):
    """A decision of the ledger about a claim or a subscription's status."""

    event_id: str
    type: str = Field(description="The decision's stored type, such as `claim-assessed.v1`.")
    subscription_id: str | None
    claim_id: str | None = Field(None, description="For claims only, like all following fields but the last two.")
    clause: str | None = None
    charge_id: str | None = None
    outcome: str | None = Field(None, description="Null if the claim no longer exists.")
    reason: str | None = None
    amount: str | None = None
    tax: str | None = None
    currency: str | None = None
    status: str | None = Field(None, description="For subscriptions only.")
    effective_on: str | None = None


class Recorded(BaseModel):
    """The result of a request. A repeat under the same key always has the same answer."""

    outcome: str = Field(description="`recorded`.")
    account_id: str
    message_id: str
    event_id: str = Field(description="The event id of the fact recorded.")
    position: str = Field(description="The position of the last event, as `shard:position`.")
    account_version: int = Field(description="The account's new version, as in the ETag.")
    recorded_at: str
    ids: dict[str, str] = Field(description="The ids of the objects concerned, including created ones.")
    decided: list[Decided] = Field(description="The immediate decisions, without alarms.")


class ChangedClaim(BaseModel):
    """The change of one claim, as in `makegood preview`."""

    account_id: str
    claim_id: str
    clause: str
    subscription_id: str | None
    charge_id: str | None
    currency: str
    change: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    formula: str | None
    working: list[str]


class Previewed(BaseModel):
    """The changes that a request would cause. Nothing was recorded."""

    read: int
    accepted: int
    duplicates: int
    refused: list[dict[str, Any]]
    changes: list[ChangedClaim]


@dataclass(frozen=True)
class Asking:
    """A caller who may asks for something about an account."""

    house: House
    caller: Caller
    account: str
    key: str | None
    expects: Callable[[], int | None]
    """The account's version that the caller insists on."""
    previewed: bool
    said: bytes
    """Method, path and what the body says, in one spelling."""
    traceparent: str | None
    recorded: Callable[[], None]

    @cached_property
    def origin(self) -> Origin:
        """From whom the message comes. The store's clock says when, so that a sandbox's time holds."""
        return Origin(
            principal=self.caller.principal,
            channel=CHANNEL,
            key=PREVIEWED if self.key is None else self.key,
            at=self.house.ledger.now(),
            traceparent=self.traceparent,
        )

    @property
    def by_customer(self) -> bool:
        """Whether the caller may do this for accounts of their own only."""
        return self.caller.of_accounts is not None

    # --- what is checked before anything is made -------------------------------------------------------------------

    def known(self, kind: Kind, id_: str) -> str:
        """The id that a path names, of something that the account knows. Raises Refused: there is nothing here."""
        self.fact(kind, id_)
        return id_

    def fact(self, kind: Kind, id_: str) -> Fact:
        """The fact by which the account knows what a path names. Raises Refused likewise."""
        fact = self._known_by(kind, id_)
        if fact is None:
            raise not_found(_unknown(kind))
        return fact

    def named(self, kind: Kind, id_: str, field: str) -> str:
        """The id that a field of the body names. Raises Refused: the field is wrong."""
        if self._known_by(kind, id_) is None:
            raise invalid(field, _unknown(kind))
        return id_

    def new(self, kind: Kind, id_: str | None) -> str:
        """The id of something that is to become known, made where it was given none.

        Raises Refused where the account knows one already: of two the policy lets only the first stand.
        """
        if id_ is None:
            return self.origin.made(kind)
        if self._known_by(kind, id_) is not None:
            raise Refused(
                CONFLICT, f"the account already has a {kind} with this id: leave the id out, or choose another one"
            )
        return id_

    def in_currency(self, given: str) -> str:
        """The currency of an amount. Raises Refused where the account is kept in another: none is ever converted."""
        with self.house.database.reading() as transaction:
            kept_in = currency_of(transaction, self.account)
        if kept_in is not None and kept_in != given:
            raise invalid("currency", "the account has another currency: use the account's currency")
        return given

    def is_decided(self, proposal: GoodwillProposed) -> bool:
        """Whether a verdict on a goodwill credit stands already."""
        with self.house.database.reading() as transaction:
            return verdict_on(transaction, proposal) is not None

    def _known_by(self, kind: Kind, id_: str) -> Fact | None:
        """People name what they can see; only messages from upstream may come before what they are about."""
        if not is_identifier(id_):
            return None
        with self.house.database.reading() as transaction:
            return known_by(transaction, self.account, kind, id_)

    def instant(self, given: datetime | None, field: str) -> datetime:
        """When it happened: now, or as the provider's people say. Raises Refused for a customer who says."""
        if given is None:
            return self.origin.at
        if self.by_customer:
            raise invalid(field, "leave this out: requests of customers count from their arrival")
        return given

    # --- what becomes of it ----------------------------------------------------------------------------------------

    def carry_out(self, say: Callable[[], list[Said]]) -> Response:
        """Record it, once; or say what it would change. `say` makes its messages, and checks what they name.

        Raises Refused, Conflict, Unavailable.
        """
        if self.previewed:
            return self._preview(say())
        if self.key is None:
            raise _without_key()
        request = requests.Request(self.caller.principal, self.key, requests.digest_of(self.house.ledger, self.said))
        try:
            answer = requests.answered(self.house.ledger, request)
            if answer is None:
                self._record(request, say())
                answer = requests.answered(self.house.ledger, request)
        except KeyReused:
            raise invalid(KEY, "this key was used for another request: choose a new key for every request") from None
        except VersionMoved:
            raise changed() from None
        if answer is None:
            raise RuntimeError("a request was neither recorded nor refused")
        return _recorded(answer)

    def _record(self, request: requests.Request, said: list[Said]) -> None:
        messages = self._messages(said)
        version = self.expects()
        expects = {self.account: version} if version is not None else None
        taken = take(self.house.ledger, messages, expects=expects, request=request)
        if taken.refused:
            raise _refused(taken.refused)
        self.recorded()

    def _preview(self, said: list[Said]) -> Response:
        return JSONResponse(previewing.answer(preview(self.house.ledger, self._messages(said))))

    def _messages(self, said: list[Said]) -> list[Statement]:
        items = statements(self.account, said, self.origin)
        refused = [item for item in items if isinstance(item, Refusal)]
        if refused:
            raise _refused(refused)
        return [item for item in items if isinstance(item, Statement)]


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
    bool, Query(alias="preview", description="Return the changes without recording anything; no key is needed.")
]


async def _body(request: Request) -> bytes:
    return await request.body()


@cache
def instructing(action: Action) -> Any:
    """Who asks a route for what, where they may do the action."""
    permitted: Caller = allowed(action)

    def asking(
        request: Request,
        house: TheHouse,
        account_id: AccountId,
        body: Annotated[bytes, Depends(_body)],
        caller: Caller = permitted,
        key: Key = None,
        _: IfMatch = None,
        previewed: IsPreview = False,
    ) -> Asking:
        _check_account(house, caller.check(account_id))
        if key is not None or not previewed:
            _check_key(key)
        return Asking(
            house=house,
            caller=caller,
            account=account_id,
            key=None if previewed else key,
            expects=lambda: expected_version(request),
            previewed=previewed,
            said=_said(request, body),
            traceparent=_traceparent(request),
            recorded=request.app.state.recorded,
        )

    return Depends(asking)


def _check_account(house: House, account: str) -> None:
    """Raises Refused for an account that nothing was ever recorded for, and for that of the ledger itself."""
    if is_identifier(account) and account != SYSTEM_ACCOUNT:
        with house.database.reading() as transaction:
            if account_version(transaction, account):
                return
    raise not_found(NO_SUCH_ACCOUNT)


def _check_key(key: str | None) -> None:
    if key is None:
        raise _without_key()
    if re.fullmatch(KEY_PATTERN, key, re.ASCII) is None:
        raise _key_is_wrong("a key must have 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -")


def _without_key() -> Refused:
    return _key_is_wrong("required, so that a repeated request has no further effect")


def _key_is_wrong(reason: str) -> Refused:
    detail = f"send the header {KEY} with a new key for every request, such as a UUID"
    return Refused(UNREADABLE, detail, [WrongField(field=KEY, reason=reason)])


def _said(request: Request, body: bytes) -> bytes:
    """What is asked, in one spelling. Raises Refused for a body that is not JSON, or that readers may differ on."""
    try:
        spelt = json.dumps(strict_json(body) if body else {}, sort_keys=True, separators=(",", ":"))
    except Unreadable as unreadable:
        raise invalid(unreadable.finding.field or "body", unreadable.finding.reason) from None
    except RecursionError:
        raise invalid("body", "nested too deeply: a request has at most one level") from None
    return "\n".join((request.method, request.scope["path"], spelt)).encode()


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


def _unknown(kind: Kind) -> str:
    return f"the account has no {kind} with this id; ids are case-sensitive"


def _refused(refusals: Sequence[Refusal]) -> Refused:
    """What the reader of messages found, by the names that the fields have in the body."""
    errors = [
        WrongField(field=(refusal.field or "body").removeprefix("data."), reason=refusal.reason)
        for refusal in refusals
    ]
    return Refused(INVALID, "correct the fields in `errors`, and repeat the request under the same key", errors)


def _recorded(answer: Answered) -> Response:
    """The answer to a request, out of nothing but what is stored."""
    fact = answer.facts[0]
    content = Recorded(
        outcome="recorded",
        account_id=answer.account,
        message_id=fact.data.message.id,
        event_id=fact.event_id,
        position=str(answer.position),
        account_version=answer.account_version,
        recorded_at=instant_to_text(fact.recorded_at),
        ids=_ids(fact),
        decided=[_decided(event) for event in answer.decided if isinstance(event, _SHOWN)],
    )
    return Response(
        content.model_dump_json(),
        status_code=HTTPStatus.CREATED.value,
        headers={POSITION: content.position, "ETag": tag_of(answer.account_version)},
        media_type="application/json",
    )


_SHOWN = (ClaimAssessed, SubscriptionStatusChanged)


def _ids(fact: Fact) -> dict[str, str]:
    data = {name: getattr(fact.data, name) for name in type(fact.data).model_fields if name.endswith("_id")}
    return {name: id_ for name, id_ in data.items() if id_ is not None}


def _decided(event: ClaimAssessed | SubscriptionStatusChanged) -> Decided:
    if isinstance(event, SubscriptionStatusChanged):
        effective_on = event.data.effective_on
        return Decided(
            event_id=event.event_id,
            type=event.type,
            subscription_id=event.data.subscription_id,
            status=event.data.after,
            effective_on=effective_on.isoformat() if effective_on is not None else None,
        )
    after = event.data.after
    return Decided(
        event_id=event.event_id,
        type=event.type,
        subscription_id=event.data.subscription_id,
        claim_id=event.data.claim_id,
        clause=event.data.clause,
        charge_id=event.data.charge_id,
        outcome=after.outcome if after is not None else None,
        reason=after.reason if after is not None else None,
        amount=str(after.amount) if after is not None else None,
        tax=str(after.tax) if after is not None else None,
        currency=event.data.currency,
    )
