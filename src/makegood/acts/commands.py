"""What a person decides by a command: recorded as a message of the commands' own source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import uuid4

from pydantic import ValidationError

from consumers.upstream import MessageData
from consumers.upstream.door_messages import SOURCE_OF_COMMANDS
from consumers.upstream.findings import findings
from ledger.application.acts import Act, perform
from ledger.application.ledger import Ledger
from ledger.application.payouts import NoSuchRefund, RefundRefused
from ledger.application.statement import Refusal
from makegood.acts.deciding import Deciding
from makegood.acts.messages import Sent, statement
from makegood.house.stop import Stop

M = TypeVar("M", bound=MessageData)


@dataclass(frozen=True, slots=True)
class Typed:
    """The person that a command was given, and the actor that is recorded: the operating system's user for them."""

    person: str
    actor: str


def decide(ledger: Ledger, account: str, by: Typed, say: Callable[[Deciding], M]) -> M:
    """Record what a person decides about an account, in the state of the store in which it is checked; the message.

    Raises Stop where it is refused, Conflict and Unavailable.
    """
    sent = Sent(SOURCE_OF_COMMANDS, uuid4().hex, by.actor, "cli", "cli")

    def record(act: Act) -> M:
        said = say(Deciding(act, account, by.person))
        item = statement(account, said, sent, act.now())
        for became in [item] if isinstance(item, Refusal) else act.take([item]):
            if isinstance(became, Refusal):
                raise Stop(f"{became.field}: {became.reason}" if became.field else became.reason)
        return said

    try:
        return perform(ledger, {account}, record)
    except (RefundRefused, NoSuchRefund) as refused:
        raise Stop(str(refused)) from None
    except ValidationError as error:
        wrong = next(findings(error))
        raise Stop(f"{wrong.field}: {wrong.reason}") from None
