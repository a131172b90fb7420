"""Acts of people at one moment, in several processes: one takes effect, and the others are told what stands."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from consumers.replaying import replay
from ledger.agreement import AgreementRefused
from ledger.application import notice_delivery, periods
from ledger.application.access import grant, issue_key, revoke, revoke_key
from ledger.application.acts import By
from ledger.application.agreements import publish
from ledger.application.kept_messages import AlreadyClosed, Closing, Kept, discard
from ledger.application.notice_delivery import NotForPeople
from ledger.events import Grant, PeriodClosed, PeriodFigures
from ledger.store.database import CommitUnknown
from ledger.store.notice_queue import QueuedNotice, queue_notices
from ledger.store.positions import Reached
from ledger.values import Month
from projections.period_figures import figures_of
from tests.ledger import kept
from tests.ledger.books import Books
from tests.ledger.messages import Upstream

PROCESSES = 4
ROUNDS = 3
BOB = By("/makegood/cli/bob", "cli")
FINANCE = Grant(principal="auth0|7f", role="finance", account_id=None)
NOW = datetime(2026, 3, 15, tzinfo=UTC)

Prepare = Callable[[Books, int], str]
"""Makes what an act is about, anew in each round; its id."""
Act = Callable[[Books, str, int], bool]
"""What one of several processes does about it; whether it took effect. The others are told otherwise."""


@dataclass
class Race:
    """What several do at one moment, and the events of which one is recorded."""

    prepare: Prepare
    act: Act
    recorded: tuple[str, ...]


def nothing(books: Books, number: int) -> str:
    return f"somebody-{number}"


def granted(books: Books, number: int) -> str:
    grant(books.ledger, FINANCE.model_copy(update={"principal": f"somebody-{number}"}), BOB)
    return f"somebody-{number}"


def key(books: Books, number: int) -> str:
    return issue_key(books.ledger, "billing-1", BOB).key_id


def letter(books: Books, number: int) -> str:
    """A message that was refused for its price."""
    cycle = Upstream("acct-mended").cycle_started(message_id=f"m-{number}", price="31.005")
    assert len(books.take([cycle]).refused) == 1
    return str(kept.dead_letters(books.database, closed=False)[-1].kept_id)


def notice(books: Books, number: int) -> str:
    """An e-mail that a mail server refused for good."""
    upstream = Upstream(f"acct-{number}", source=f"/upstream/{number}")
    books.take(upstream.customer())
    [event] = [e for e in books.stored_of(upstream.account) if e["type"] == "activation-due.v1"]
    failed = QueuedNotice(
        notice_id=f"{number:032}",
        account=upstream.account,
        kind="activation",
        event_id=event["event_id"],
        position=1,
        queued_at=NOW,
        status="failed",
        attempts=1,
        last_error="smtp_550",
    )
    with books.database.real.writing() as transaction:
        queue_notices(transaction, [failed])
    return failed.notice_id


def closing(letter_id: str, reason: str | None = None) -> Closing:
    return Closing(Kept("dead-letter", letter_id, "file:story:1"), BOB.actor, BOB.channel, reason, repaired=True)


def takes_effect(do: Callable[[], object], refusal: type[Exception], says: str) -> bool:
    """Whether it took effect. Who is refused must be told what stands."""
    try:
        do()
    except refusal as told:
        if says in str(told):
            return False
        raise
    return True


def discards(books: Books, letter_id: str, number: int) -> bool:
    asked = closing(letter_id, "sent by mistake")
    return takes_effect(lambda: discard(books.ledger, asked), AlreadyClosed, "by /makegood/cli/bob")


def replays(books: Books, letter_id: str, number: int) -> bool:
    cycle = Upstream("acct-mended").cycle_started(cycle_id=letter_id, message_id=letter_id)
    mended = json.dumps(cycle).encode()
    return takes_effect(
        lambda: replay(books.ledger, closing(letter_id), repaired=mended),
        AlreadyClosed,
        "by /makegood/cli/bob",
    )


def resends(books: Books, notice_id: str, number: int) -> bool:
    return takes_effect(
        lambda: notice_delivery.resend(books.ledger, notice_id, BOB, NOW),
        NotForPeople,
        "is queued: only notices that failed",
    )


def gives_up(books: Books, notice_id: str, number: int) -> bool:
    return takes_effect(
        lambda: notice_delivery.discard(books.ledger, notice_id, BOB),
        NotForPeople,
        "is discarded: only notices that are",
    )


def publishes(books: Books, name: str, number: int) -> bool:
    text = f'name = "{name}"\nversion = 1\nvalid_from = 2000-01-01\n[cancellation]\nnotice_days = {number}\n'
    return takes_effect(
        lambda: publish(books.ledger, text, actor=BOB.actor, channel=BOB.channel),
        AgreementRefused,
        "is published with other content",
    )


def closes(books: Books, name: str, number: int) -> bool:
    month = Month(2026, int(name.removeprefix("somebody-")) + 1)

    def compute(position: Reached, closed: Sequence[PeriodClosed]) -> PeriodFigures:
        return figures_of(books.database, month, position, closed, "UTC").recorded

    return takes_effect(
        lambda: periods.close(books.ledger, month, "UTC", 1, compute, BOB),
        periods.AlreadyClosed,
        "by /makegood/cli/bob",
    )


RACES = {
    "a role is granted": Race(
        nothing,
        lambda books, who, _: grant(books.ledger, FINANCE.model_copy(update={"principal": who}), BOB),
        ("role-granted.v1",),
    ),
    "a role is revoked": Race(
        granted,
        lambda books, who, _: revoke(books.ledger, FINANCE.model_copy(update={"principal": who}), BOB),
        ("role-revoked.v1",),
    ),
    "a key is revoked": Race(
        key, lambda books, key_id, _: revoke_key(books.ledger, key_id, BOB), ("api-key-revoked.v1",)
    ),
    "a dead letter is discarded": Race(letter, discards, ("message-discarded.v1",)),
    "a dead letter is replayed": Race(letter, replays, ("message-replayed.v1",)),
    "a dead letter is replayed and discarded": Race(
        letter,
        lambda books, letter_id, number: (replays, discards)[number % 2](books, letter_id, number),
        ("message-replayed.v1", "message-discarded.v1"),
    ),
    "an e-mail is sent again": Race(notice, resends, ("notice-resent.v1",)),
    "an e-mail is given up": Race(notice, gives_up, ("notice-discarded.v1",)),
    "a version of an agreement is published with several contents": Race(
        nothing, publishes, ("agreement-published.v1",)
    ),
    "a month is closed": Race(nothing, closes, ("period-closed.v1",)),
}

every_race = pytest.mark.parametrize("race", RACES.values(), ids=RACES)


def types(books: Books) -> list[str]:
    return [envelope.type for envelope in books.envelopes()]


def count(books: Books, race: Race) -> int:
    return sum(types(books).count(type_) for type_ in race.recorded)


@every_race
def test_of_several_at_one_moment_one_takes_effect_and_the_others_are_told(books: Books, race: Race) -> None:
    processes = [books.another_process() for _ in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        for number in range(ROUNDS):
            about, before, moment = race.prepare(books, number), count(books, race), threading.Barrier(PROCESSES)

            def one(place: int, about: str = about, moment: threading.Barrier = moment) -> bool:
                moment.wait(20)
                return race.act(processes[place], about, place)

            took_effect = list(pool.map(one, range(PROCESSES)))
            assert took_effect.count(True) == 1
            assert count(books, race) == before + 1
    books.check_positions()


@every_race
def test_who_was_overtaken_between_reading_and_writing_is_told(books: Books, race: Race) -> None:
    about, other = race.prepare(books, 1), books.another_process()
    before = count(books, race)
    faster: list[bool] = []
    books.database.before_writing.append(lambda: faster.append(race.act(other, about, 1)))
    assert not race.act(books, about, 0)
    assert faster == [True]
    assert count(books, race) == before + 1


@every_race
@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_whoever_lost_the_answer_to_their_commit_is_told_that_it_took_effect(
    books: Books, race: Race, moment: str
) -> None:
    """Whether it had is found out from what is stored, and it is not taken for somebody else's act."""
    about, before = race.prepare(books, 1), count(books, race)
    getattr(books.database, moment).append(lost)
    assert race.act(books, about, 0)
    assert count(books, race) == before + 1
    assert not race.act(books, about, 1)


@every_race
def test_it_takes_effect_however_many_do_other_things_meanwhile(books: Books, race: Race) -> None:
    """Every act of the account `system` moves its head, and nobody is told to try again for that."""
    about, other = race.prepare(books, 1), books.another_process()
    for _ in range(15):
        books.database.before_writing.append(lambda: issue_key(other.ledger, "billing-1", BOB))
    assert race.act(books, about, 0)
    books.check_positions()


def lost() -> None:
    raise CommitUnknown("the answer to a commit was lost")
