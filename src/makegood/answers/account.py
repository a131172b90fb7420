"""One account in full: as its rows stand, or as it was at another time (contract §3, `makegood account`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import AgreementPublished
from ledger.store.positions import KnownAt
from ledger.store.reading.events import events_of_types, recorded_by
from ledger.store.reading.kept_messages import kept_left
from ledger.store.reading.page import Listed, Page, in_memory
from ledger.values import SYSTEM_ACCOUNT, instant_to_text
from makegood.access.sight import Sight
from makegood.answers.another_time import instant_known, set_aside_then
from makegood.answers.moments import Moment, known_at_to_text
from makegood.house.opening import House
from projections import account_state, replay
from projections.account_state import AccountState, Balance, ClaimOfAccount
from projections.accounts import Charge, Invoice, Payment, Registered, Subscription, find_registered
from projections.alarms import Alarm
from projections.complaints import ComplaintOfAccount
from projections.credits import Credit
from projections.goodwill import Goodwill
from projections.instructions import Instruction
from projections.refunds import Refund
from projections.shown_values import Instant, Reached

if TYPE_CHECKING:
    from ledger.application.as_of import AssessedAnew


class MomentTold(TypedDict):
    """The moments that an account is told for, and why there may be nothing of it."""

    as_of: Annotated[Instant | None, Field(description="The instant of the assessment; null for the current state.")]
    known_at: Annotated[
        Instant | Reached | None, Field(description="The limit of the recorded events used; null for all events.")
    ]
    nothing_yet: Annotated[str | None, Field(description="An explanation, if nothing was true or recorded by then.")]


class Account(MomentTold, Registered):
    """One account in full."""

    account_id: Annotated[str, Field(examples=["acct-0006"])]
    balances: list[Balance]
    subscriptions: list[Subscription]
    charges: list[Charge]
    payments: list[Payment]
    invoices: list[Invoice]
    claims: list[ClaimOfAccount]
    refunds: list[Refund]
    credits: list[Credit]
    complaints: list[ComplaintOfAccount]
    goodwill: NotRequired[
        Annotated[list[Goodwill], Field(description="Not shown to customers, like alarms and instructions.")]
    ]
    alarms: NotRequired[list[Alarm]]
    instructions: NotRequired[Annotated[list[Instruction], Field(description="Instructions without an answer.")]]
    set_aside: Annotated[
        int,
        Field(description="The number of messages set aside; above zero, the account may be incomplete."),
    ]


@dataclass(frozen=True, slots=True)
class AccountFound:
    """An account, and of which version it is: none is told of one as it was at another time."""

    answer: Account
    version: int | None


def account(
    house: House, sight: Sight, account_id: str, as_of: date | None = None, known_at: KnownAt | None = None
) -> AccountFound:
    """An account as its rows stand, or as it was at another time (contract §3). Raises UnknownAccount.

    `as_of` has it assessed anew from the facts that had become true by then; `known_at` alone reads what had been
    recorded by then, and with `as_of` limits the facts to these. `nothing_yet` says in words why there is nothing.
    """
    sight.check(account_id)
    if as_of is None and known_at is None:
        as_it_stands: MomentTold = {"as_of": None, "known_at": None, "nothing_yet": None}
        with house.database.reading() as transaction:
            stands = account_state.account_in(transaction, account_id)
            aside = kept_left(transaction, "set-aside", account_id).count
        return AccountFound(_told(sight, stands.state, as_it_stands, aside), stands.version)
    at = Moment(as_of, known_at)
    aside = set_aside_then(house, at, [account_id], instant_known(house, at)).get(account_id, 0)
    state, moment = _account_then(house, account_id, as_of, known_at, aside)
    return AccountFound(_told(sight, state, moment, aside), None)


def time_zone(house: House, sight: Sight, account_id: str) -> str | None:
    """The zone in which an account has its days, without reading more of it; None where it is not registered."""
    return find_registered(house.database, sight.check(account_id))["time_zone"]


def _told(sight: Sight, state: AccountState, moment: MomentTold, aside: int) -> Account:
    told: Account = {"account_id": state["account_id"], **moment, **state, "set_aside": aside}
    told["claims"] = sight.claims(told["claims"])
    told["complaints"] = [sight.complaint(complaint) for complaint in told["complaints"]]
    return sight.row(Account, told)


def _account_then(
    house: House, account_id: str, as_of: date | None, known_at: KnownAt | None, aside: int
) -> tuple[AccountState, MomentTold]:
    recorded = account_state.recorded(house.database, account_id)
    known = recorded_by(recorded, known_at)
    moment: MomentTold = {"as_of": None, "known_at": None, "nothing_yet": None}
    if known_at is not None:
        moment["known_at"] = known_at_to_text(known_at)
        if not known:
            first = recorded[0]
            moment["nothing_yet"] = (
                f"no events of account {account_id} were recorded by {moment['known_at']}; the first was recorded "
                f"at {instant_to_text(first.event().recorded_at)}, at position {first.at}"
            )
    if as_of is None:
        return account_state.account_recorded(known, account_id, aside > 0), moment
    with house.database.reading() as transaction:
        published = events_of_types(transaction, SYSTEM_ACCOUNT, [AgreementPublished.stored_as])
    from ledger.application.as_of import assess_as_of  # only here: whoever asks for rows needs no policy

    anew = assess_as_of(account_id, known, recorded_by(published, known_at), as_of)
    moment["as_of"] = instant_to_text(anew.as_of)
    state = account_state.account_assessed(anew.events, account_id)
    if known:
        moment["nothing_yet"] = _nothing_assessed(state, anew)
    return state, moment


def _nothing_assessed(state: AccountState, anew: AssessedAnew) -> str | None:
    """Why there is nothing to show of an account as of an instant; None where there is something."""
    account_id, as_of = state["account_id"], instant_to_text(anew.as_of)
    if anew.first_at is None:
        return f"account {account_id} has no facts to assess"
    if anew.first_at > anew.as_of:
        first = instant_to_text(anew.first_at)
        return f"no facts of account {account_id} were true by {as_of}; the first became true at {first}"
    if state["registered_at"] is None and not any(isinstance(part, list) and part for part in state.values()):
        return f"account {account_id} was not registered by {as_of}; only facts that wait for others were true"
    return None


def replayed(
    house: House, sight: Sight, account_id: str, to: int | None = None, *, page: Page | None = None
) -> Listed[replay.ReplayStep]:
    """An account event by event, in order. Raises UnknownAccount."""
    steps = replay.replay(house.database, sight.check(account_id), to)
    return in_memory(steps, lambda step: (step["version"],), page)
