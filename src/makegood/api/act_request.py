"""What every act over HTTP goes through: who asks, under which key, what the account knows, and the answer.

The key is looked up before anything of the message is made, because what a request leaves out, such as its instant,
would be another one when it is sent again (decision 0021). All of it is decided in the state of the store that it is
recorded in (decision 0026).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import JSONResponse, Response

from consumers.upstream import MessageData, Unreadable
from consumers.upstream.cloudevents import strict_json
from consumers.upstream.fields import CancelledBy
from consumers.upstream.findings import Finding, findings
from ledger.application import requests
from ledger.application.acts import Act
from ledger.application.known_by import Kind, currency_of, known_by, taken_by, verdict_on
from ledger.application.payouts import NoSuchRefund, RefundRefused
from ledger.application.preview import preview
from ledger.application.requests import Answered, KeyReused, NotTaken, VersionMoved
from ledger.application.statement import Refusal, Statement
from ledger.events import (
    ClaimAssessed,
    Fact,
    GoodwillApproved,
    GoodwillProposed,
    RefundStatusChanged,
    SubscriptionStatusChanged,
)
from ledger.store.database import Transaction
from ledger.store.reading.heads import account_version
from ledger.values import MADE_ID_PREFIX, SYSTEM_ACCOUNT, instant_to_text, is_identifier, is_made_id
from makegood.access.caller import Caller
from makegood.access.permissions import Action
from makegood.answers import preview as previewing
from makegood.answers.preview import Previewed
from makegood.api.guard import CHANNEL, TheHouse, allowed
from makegood.api.origin import Origin, statements
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
from makegood.api.wait_for import POSITION
from makegood.decisions.refunds import Deciding
from makegood.house.opening import House

KEY = "Idempotency-Key"
KEY_PATTERN = r"^[A-Za-z0-9._~-]{1,64}$"


TRACEPARENT_LENGTH = 55


class Decided(BaseModel):
    """A decision of the ledger about a claim, a refund or a subscription's status."""

    event_id: str
    type: str = Field(description="The decision's stored type, such as `claim-assessed.v1`.")
    subscription_id: str | None
    claim_id: str | None = Field(
        None, description="For claims and refunds only, like all following fields but status and effective_on."
    )
    clause: str | None = None
    charge_id: str | None = None
    outcome: str | None = Field(None, description="Null if the claim no longer exists.")
    reason: str | None = None
    amount: str | None = None
    tax: str | None = None
    currency: str | None = None
    status: str | None = Field(None, description="For subscriptions and refunds only.")
    effective_on: str | None = None
    refund_id: str | None = Field(None, description="For refunds only, whose `amount` and `tax` are what is due.")


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


NOUNS: dict[Kind, str] = {
    "subscription": "subscription",
    "complaint": "complaint",
    "charge": "charge",
    "outage": "outage",
    "dispute": "dispute",
    "goodwill": "goodwill credit",
}


@dataclass(frozen=True, slots=True)
class Known:
    """What an account knows in the state of the store in which an act is decided, and what time it is then.

    People name what they can see; only messages from upstream may come before what they are about.
    """

    account: str
    now: datetime
    origin: Origin
    by_customer: bool
    """Whether the caller may do this for accounts of their own only."""
    act: Act

    @property
    def deciding(self) -> Deciding:
        """The caller, who decides about money of the account."""
        return Deciding(self.act, self.account, self.origin.principal)

    @property
    def _transaction(self) -> Transaction:
        return self.act.transaction

    def fact(self, kind: Kind, id_: str) -> Fact:
        """The fact by which the account knows what a path names. Raises Refused: there is nothing here."""
        fact = self._known_by(kind, id_)
        if fact is None:
            raise not_found(_unknown(kind))
        return fact

    def in_path(self, kind: Kind, id_: str) -> str:
        """The id that a path names, of something that the account knows. Raises Refused likewise."""
        self.fact(kind, id_)
        return id_

    def in_body(self, kind: Kind, id_: str, field: str) -> str:
        """The id that a field of the body names, likewise. Raises Refused: the field is wrong."""
        if self._known_by(kind, id_) is None:
            raise invalid(field, _unknown(kind))
        return id_

    def new(self, kind: Kind, id_: str | None, field: str) -> str:
        """The id of something that is to become known, made where it was given none.

        Raises Refused for a customer who chooses one, for one of the form of those that are made here, and where the
        account knows it already: of two the policy lets only the first stand.
        """
        if id_ is None:
            return self.origin.made(kind)
        if self.by_customer:
            raise invalid(field, "leave this out: ids in requests of customers are made by Makegood")
        if is_made_id(id_):
            raise invalid(field, f"ids that begin with {MADE_ID_PREFIX} are made by Makegood: leave this out")
        before = taken_by(self._transaction, self.account, kind, id_)
        if before is not None:
            raise Refused(
                CONFLICT,
                f"this {NOUNS[kind]} id is in use: {before.data.message.source} sent a message about it, recorded at "
                f"{instant_to_text(before.recorded_at)}; leave the id out, or choose an unused one",
            )
        return id_

    def undecided(self, credit_id: str) -> str:
        """The goodwill credit that a path names, which the caller may decide about. Raises Refused: it is not known,
        it is their own proposal, or a verdict stands."""
        proposal = self.fact("goodwill", credit_id)
        assert isinstance(proposal, GoodwillProposed)
        if proposal.data.proposed_by == self.origin.principal:
            raise Refused(CONFLICT, "you proposed this credit: another person must decide")
        verdict = verdict_on(self._transaction, proposal)
        if verdict is not None:
            said = "approved" if isinstance(verdict, GoodwillApproved) else "rejected"
            raise Refused(
                CONFLICT,
                f"the credit was {said} at {instant_to_text(verdict.recorded_at)}, and the first verdict holds",
            )
        return credit_id

    def currency(self, given: str) -> str:
        """The currency of an amount. Raises Refused where the account is kept in another: none is ever converted."""
        kept_in = currency_of(self._transaction, self.account)
        if kept_in is not None and kept_in != given:
            raise invalid("currency", "the account has another currency: use the account's currency")
        return given

    def instant(self, given: datetime | None, field: str) -> datetime:
        """When it happened: now, or as the provider's people say. Raises Refused for a customer who says."""
        if given is None:
            return self.now
        if self.by_customer:
            raise invalid(field, "leave this out: requests of customers count from their arrival")
        return given

    @property
    def came_by(self) -> CancelledBy:
        """By which way a person came, as upstream's messages name it."""
        return "portal" if self.by_customer else "support"

    def _known_by(self, kind: Kind, id_: str) -> Fact | None:
        return known_by(self._transaction, self.account, kind, id_) if is_identifier(id_) else None


Say = Callable[[Known], Sequence[MessageData]]
"""Makes the messages of an act, the first of which is its own, and checks what they name. Raises Refused."""


@dataclass(frozen=True)
class Acting:
    """A caller who may act on an account, and one request of theirs to do so."""

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

    def carry_out(self, say: Say) -> Response:
        """Record it, once; or say what it would change. Raises Refused, Conflict, Unavailable."""
        if self.previewed:
            return self._preview(say)
        if self.key is None:
            raise _without_key()

        def messages(act: Act) -> Sequence[Statement]:
            found = self._messages(act, say)
            requests.check_version(act, self.account, self.expects())
            return found

        ledger = self.house.ledger
        request = requests.Request(self.caller.principal, self.key, requests.digest_of(ledger, self.said))
        try:
            answer, new = requests.carry_out(ledger, request, self.account, messages)
        except KeyReused:
            raise invalid(KEY, "this key was used for another request: choose a new key for every request") from None
        except VersionMoved:
            raise changed() from None
        except NotTaken as not_taken:
            raise _wrong(_finding(not_taken.refusal)) from None
        if new:
            self.recorded()
        return _recorded(answer)

    def _preview(self, say: Say) -> Response:
        ledger = self.house.ledger
        with ledger.database.reading() as transaction:
            messages = self._messages(Act(ledger, transaction), say)
        return JSONResponse(previewing.answer(preview(ledger, messages)))

    def _messages(self, act: Act, say: Say) -> list[Statement]:
        """The messages of the act, made in one state of the store. Raises Refused."""
        now = act.now()
        origin = Origin(self.caller.principal, CHANNEL, self.key, self.previewed, self.traceparent)
        by_customer = self.caller.scope.accounts is not None
        try:
            said = say(Known(self.account, now, origin, by_customer, act))
        except ValidationError as error:
            raise _wrong(*findings(error)) from None
        except RefundRefused as not_allowed:
            raise Refused(CONFLICT, str(not_allowed)) from None
        except NoSuchRefund:
            raise not_found(_NOTHING_TO_DECIDE) from None
        items = statements(self.account, said, origin, now)
        refused = [_finding(item) for item in items if isinstance(item, Refusal)]
        if refused:
            raise _wrong(*refused)
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
    ) -> Acting:
        _check_account(house, caller.sight.check(account_id))
        if key is not None or not previewed:
            check_key(key)
        return Acting(
            house=house,
            caller=caller,
            account=account_id,
            key=key,
            expects=lambda: expected_version(request),
            previewed=previewed,
            said=_said(request, body),
            traceparent=_traceparent(request),
            recorded=request.app.state.recorded,
        )

    return Depends(found)


def _check_account(house: House, account: str) -> None:
    """Raises Refused for an account that nothing was ever recorded for, and for that of the ledger itself."""
    if is_identifier(account) and account != SYSTEM_ACCOUNT:
        with house.database.reading() as transaction:
            if account_version(transaction, account):
                return
    raise not_found(NO_SUCH_ACCOUNT)


def check_key(key: str | None) -> None:
    """Raises Refused for a request that acts without a key, and for a key that is none."""
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
    return f"the account has no such {NOUNS[kind]}; ids are compared letter by letter, capitals included"


_NOTHING_TO_DECIDE = (
    "the account has no such refund, credit or overpaid claim: GET /refunds, /credits and /overpaid list them; ids "
    "are compared letter by letter"
)


def _finding(refusal: Refusal) -> Finding:
    return Finding(refusal.field, refusal.reason)


def _wrong(*found: Finding) -> Refused:
    """What is wrong with a message, by the names that the fields have in the body."""
    errors = [
        WrongField(field=(finding.field or "body").removeprefix("data."), reason=finding.reason) for finding in found
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


_SHOWN = (ClaimAssessed, SubscriptionStatusChanged, RefundStatusChanged)


def _ids(fact: Fact) -> dict[str, str]:
    data = {name: getattr(fact.data, name) for name in type(fact.data).model_fields if name.endswith("_id")}
    return {name: id_ for name, id_ in data.items() if id_ is not None}


def _decided(event: ClaimAssessed | SubscriptionStatusChanged | RefundStatusChanged) -> Decided:
    if isinstance(event, RefundStatusChanged):
        return Decided(
            event_id=event.event_id,
            type=event.type,
            subscription_id=None,
            claim_id=event.data.claim_id,
            charge_id=event.data.charge_id,
            amount=str(event.data.net),
            tax=str(event.data.tax),
            currency=event.data.currency,
            status=event.data.after,
            refund_id=event.data.refund_id,
        )
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
