"""A caller who acts on an account, by whichever door: once for each key, decided by what the account knows then.

The key is looked up before anything of the message is made, because what a request leaves out, such as its instant,
would be another one when it is sent again (decision 0021). All of it is decided in the state of the store that it is
recorded in (decision 0026).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from consumers.upstream import MessageData
from consumers.upstream.fields import CancelledBy
from consumers.upstream.findings import Finding, findings
from ledger.application import requests
from ledger.application.acts import Act
from ledger.application.known_by import Kind, currency_of, known_by, taken_by, verdict_on
from ledger.application.payouts import NoSuchRefund, RefundRefused
from ledger.application.preview import preview
from ledger.application.requests import KeyReused, NotTaken, VersionMoved
from ledger.application.statement import Refusal, Statement
from ledger.events import Fact, GoodwillApproved, GoodwillProposed
from ledger.store.database import Transaction
from ledger.store.reading.heads import account_version
from ledger.values import MADE_ID_PREFIX, SYSTEM_ACCOUNT, instant_to_text, is_identifier, is_made_id
from makegood.access.caller import Caller
from makegood.acts.deciding import Deciding
from makegood.acts.origin import Origin, statements
from makegood.acts.recorded import Recorded, recorded
from makegood.acts.refused import NO_SUCH_ACCOUNT, ActRefused, WrongField, invalid, key_reused, not_found
from makegood.answers import preview as previewing
from makegood.answers.preview import Previewed
from makegood.house.opening import House

Channel = Literal["http", "console", "portal"]
"""By which door a person comes: a program of theirs, the provider's pages, or the customers'. Each is among
`ledger.events.BY_PEOPLE`."""

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
        return Deciding(self.act, self.account, self.person)

    @property
    def person(self) -> str:
        """The caller, as the principal that they proved to be."""
        return self.origin.principal

    @property
    def _transaction(self) -> Transaction:
        return self.act.transaction

    def fact(self, kind: Kind, id_: str) -> Fact:
        """The fact by which the account knows what a path names. Raises ActRefused: there is nothing here."""
        fact = self._known_by(kind, id_)
        if fact is None:
            raise not_found(_unknown(kind))
        return fact

    def in_path(self, kind: Kind, id_: str) -> str:
        """The id that a path names, of something that the account knows. Raises ActRefused likewise."""
        self.fact(kind, id_)
        return id_

    def in_body(self, kind: Kind, id_: str, field: str) -> str:
        """The id that a field of the body names, likewise. Raises ActRefused: the field is wrong."""
        if self._known_by(kind, id_) is None:
            raise invalid(field, _unknown(kind))
        return id_

    def new(self, kind: Kind, id_: str | None, field: str) -> str:
        """The id of something that is to become known, made where it was given none.

        Raises ActRefused for a customer who chooses one, for one of the form of those that are made here, and where
        the account knows it already: of two the policy lets only the first stand.
        """
        if id_ is None:
            return self.origin.made(kind)
        if self.by_customer:
            raise invalid(field, "leave this out: ids in requests of customers are made by Makegood")
        if is_made_id(id_):
            raise invalid(field, f"ids that begin with {MADE_ID_PREFIX} are made by Makegood: leave this out")
        before = taken_by(self._transaction, self.account, kind, id_)
        if before is not None:
            raise ActRefused(
                "conflict",
                f"this {NOUNS[kind]} id is in use: {before.data.message.source} sent a message about it, recorded at "
                f"{instant_to_text(before.recorded_at)}; leave the id out, or choose an unused one",
            )
        return id_

    def undecided(self, credit_id: str) -> str:
        """The goodwill credit that a path names, which the caller may decide about. Raises ActRefused: it is not
        known, it is their own proposal, or a verdict stands."""
        proposal = self.fact("goodwill", credit_id)
        assert isinstance(proposal, GoodwillProposed)
        if proposal.data.proposed_by == self.origin.principal:
            raise ActRefused("conflict", "you proposed this credit: another person must decide")
        verdict = verdict_on(self._transaction, proposal)
        if verdict is not None:
            said = "approved" if isinstance(verdict, GoodwillApproved) else "rejected"
            raise ActRefused(
                "conflict",
                f"the credit was {said} at {instant_to_text(verdict.recorded_at)}, and the first verdict holds",
            )
        return credit_id

    def currency(self, given: str) -> str:
        """The currency of an amount. Raises ActRefused where the account is kept in another: none is converted."""
        kept_in = currency_of(self._transaction, self.account)
        if kept_in is not None and kept_in != given:
            raise invalid("currency", "the account has another currency: use the account's currency")
        return given

    def instant(self, given: datetime | None, field: str) -> datetime:
        """When it happened: now, or as the provider's people say. Raises ActRefused for a customer who says."""
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
"""Makes the messages of an act, the first of which is its own, and checks what they name. Raises ActRefused."""


def _as_it_is() -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class ActRequest:
    """What is sent for an act. Only a preview may have no key."""

    key: str | None
    said: bytes
    """What is asked, as `spelt`: the same key with anything else is refused."""
    traceparent: str | None = None
    expects: Callable[[], int | None] = _as_it_is
    """The account's version that the caller insists on; asked once everything else is well."""


def spelt(method: str, path: str, body: object) -> bytes:
    """What a request asks, in one spelling of its JSON. Raises RecursionError for what is nested too deeply."""
    return "\n".join((method, path, json.dumps(body, sort_keys=True, separators=(",", ":")))).encode()


@dataclass(frozen=True, slots=True)
class Acting:
    """A caller who may do what they ask for, and the account on which they do it.

    Made only for an account that is there and that the caller may see; raises UnknownAccount for another's, and
    ActRefused for one that nothing was ever recorded for and for that of the ledger itself.
    """

    house: House
    caller: Caller
    account: str
    channel: Channel
    recorded: Callable[[], None] = field(repr=False)
    """Called once something was recorded, to wake who follows."""

    def __post_init__(self) -> None:
        account = self.caller.sight.check(self.account)
        if is_identifier(account) and account != SYSTEM_ACCOUNT:
            with self.house.database.reading() as transaction:
                if account_version(transaction, account):
                    return
        raise not_found(NO_SUCH_ACCOUNT)

    def carry_out(self, say: Say, request: ActRequest) -> Recorded:
        """Record it, once; what was recorded then. Raises ActRefused, Conflict, Unavailable."""
        assert request.key is not None, "whoever asks for more than a preview gives a key"

        def messages(act: Act) -> Sequence[Statement]:
            found = self._messages(act, say, request)
            requests.check_version(act, self.account, request.expects())
            return found

        ledger = self.house.ledger
        sent = requests.Request(self.caller.principal, request.key, requests.digest_of(ledger, request.said))
        try:
            answer, new = requests.carry_out(ledger, sent, self.account, messages)
        except KeyReused:
            raise key_reused() from None
        except VersionMoved:
            raise ActRefused("changed", "the account has changed since it was read: read it again") from None
        except NotTaken as not_taken:
            raise _wrong(_finding(not_taken.refusal)) from None
        if new:
            self.recorded()
        return recorded(answer)

    def preview(self, say: Say, request: ActRequest) -> Previewed:
        """What it would change; nothing is recorded. Raises ActRefused."""
        ledger = self.house.ledger
        with ledger.database.reading() as transaction:
            messages = self._messages(Act(ledger, transaction), say, request, previewed=True)
        return previewing.answer(preview(ledger, messages))

    def _messages(self, act: Act, say: Say, request: ActRequest, *, previewed: bool = False) -> list[Statement]:
        """The messages of the act, made in one state of the store. Raises ActRefused."""
        now = act.now()
        origin = Origin(self.caller.principal, self.channel, request.key, previewed, request.traceparent)
        by_customer = self.caller.scope.accounts is not None
        try:
            said = say(Known(self.account, now, origin, by_customer, act))
        except ValidationError as error:
            raise _wrong(*findings(error)) from None
        except RefundRefused as not_allowed:
            raise ActRefused("conflict", str(not_allowed)) from None
        except NoSuchRefund:
            raise not_found(_NOTHING_TO_DECIDE) from None
        items = statements(self.account, said, origin, now)
        refused = [_finding(item) for item in items if isinstance(item, Refusal)]
        if refused:
            raise _wrong(*refused)
        return [item for item in items if isinstance(item, Statement)]


def _unknown(kind: Kind) -> str:
    return f"the account has no such {NOUNS[kind]}; ids are compared letter by letter, capitals included"


_NOTHING_TO_DECIDE = (
    "the account has no such refund, credit or overpaid claim: GET /refunds, /credits and /overpaid list them; ids "
    "are compared letter by letter"
)


def _finding(refusal: Refusal) -> Finding:
    return Finding(refusal.field, refusal.reason)


def _wrong(*found: Finding) -> ActRefused:
    """What is wrong with a message, by the names that the fields have in what was asked."""
    errors = [
        WrongField(field=(finding.field or "body").removeprefix("data."), reason=finding.reason) for finding in found
    ]
    return ActRefused("invalid", "correct the fields in `errors`, and repeat the request under the same key", errors)
