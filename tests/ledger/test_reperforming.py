"""Decisions performed again: an honest history comes out as it was recorded, and a changed one is found."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from ledger.agreement import read_agreement
from ledger.application.reperforming import Basis, Publication, Reperformed, reperform, says_rules
from ledger.events import (
    ClaimAssessed,
    ClaimAssessedV1,
    ClaimStateV1,
    Decision,
    Fact,
    LedgerEvent,
    SettledAnew,
    SettlementChanged,
    from_stored,
)
from ledger.policy.rules import RULES
from ledger.store.positions import Position
from ledger.store.reading.events import StoredEnvelope
from tests.ledger.books import LONG_AFTER
from tests.oracle import histories
from tests.projections.test_movements import Life
from tests.search import sample

SEEDS = range(sample(12))
PUBLISHED = [
    Publication(Position(0, number), read_agreement(text))
    for number, text in enumerate(histories.agreement_texts(money=True).values(), 1)
]


def stored(events: Iterable[LedgerEvent]) -> list[StoredEnvelope]:
    """An account's events as a store has them after the publications, each chained to the last one."""
    found: list[StoredEnvelope] = []
    for version, event in enumerate(events, 1):
        envelope = event.following(found[-1].leaf_hash if found else None).stored()
        place = (0, len(PUBLISHED) + version, event.account, version, event.stream, event.stream_version)
        found.append(StoredEnvelope(*place, event.type, envelope))
    return found


def lived(seed: int) -> list[LedgerEvent]:
    return [event for step in Life(seed).steps for event in step]


def performed(
    events: Sequence[LedgerEvent], until: datetime | None = None, said_from: int | None = None
) -> Reperformed:
    said = [each.position for each in stored(events) if each.type in says_rules()]
    first = said_from or min(said, default=0)
    basis = Basis(PUBLISHED, {0: first} if first else {}, until or events[-1].recorded_at)
    return reperform("acct-1", stored(events), basis)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_decided_is_decided_again(seed):
    events = lived(seed)
    found = performed(events)
    assert found.differing == []
    assert found.not_reperformable == 0
    assert found.decisions == sum(isinstance(event, Decision) for event in events)


# --- what was changed, and honestly chained again -----------------------------------------------------------------


def amounts_in(said: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where amounts stand in an event's data."""
    if isinstance(said, dict | list):
        for name, value in said.items() if isinstance(said, dict) else enumerate(said):
            if isinstance(value, str) and name in AMOUNTS:
                yield (*path, name)
            yield from amounts_in(value, (*path, name))


AMOUNTS = {"amount", "net", "tax", "charged", "paid_in_money", "paid_from_balance", "reduced", "asks_for", "excess"}


def changed(event: LedgerEvent, chance: random.Random) -> LedgerEvent | None:
    """An event with one of its amounts changed; None where it has none."""
    envelope = json.loads(event.stored())
    paths = [*amounts_in(envelope["data"])]
    if not paths:
        return None
    *way, last = chance.choice(paths)
    holder = envelope["data"]
    for name in way:
        holder = holder[name]
    whole, point, cents = holder[last].partition(".")
    holder[last] = f"{int(whole) + chance.choice([1, 5, 100])}{point}{cents}"
    return from_stored(event.type, json.dumps(envelope).encode())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_changed_amount_is_found_and_its_event_named(seed):
    chance = random.Random(seed)
    events = lived(seed)
    amounts = [n for n, each in enumerate(events) if isinstance(each, Decision) and [*amounts_in(said_by(each))]]
    for number in chance.sample(amounts, min(3, len(amounts))):
        forged = changed(events[number], chance)
        found = performed([*events[:number], forged, *events[number + 1 :]])
        assert [each.position for each in found.differing] == [Position(0, len(PUBLISHED) + number + 1)]
        (differing,) = found.differing
        assert differing.type == events[number].type
        assert len(differing.recorded) == len(differing.recomputed) == 1


def said_by(event: LedgerEvent) -> Any:
    return json.loads(event.stored())["data"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_decision_taken_out_or_put_in_twice_is_found(seed):
    """The events after it are numbered anew, as somebody would who hides it.

    That nothing is missing at the end, after the last fact, checkpoints of the log show.
    """
    chance = random.Random(seed)
    events = lived(seed)
    last_fact = max(n for n, each in enumerate(events) if isinstance(each, Fact))
    number = chance.choice([n for n, each in enumerate(events[:last_fact]) if isinstance(each, Decision)])
    for others in (events[:number] + events[number + 1 :], events[: number + 1] + events[number:]):
        found = performed(numbered_anew(others))
        near = {Position(0, len(PUBLISHED) + at) for at in range(number + 3)}
        assert found.differing
        assert found.differing[0].position in near


# --- what a forger says of the rules --------------------------------------------------------------------------------


def ruled(event: LedgerEvent, rules: int) -> LedgerEvent:
    return event.model_copy(update={"data": event.data.model_copy(update={"rules": rules})})


@pytest.mark.parametrize("rules", [0, 1, RULES + 1, 7])
def test_rules_that_no_release_had_are_told_apart_and_do_not_hide_an_amount(rules):
    """Whoever writes another revision beside a changed amount finds both named."""
    events = lived(1)
    number = next(n for n, each in enumerate(events) if isinstance(each, ClaimAssessed) and each.data.after)
    found = performed([*events[:number], ruled(events[number], rules), *events[number + 1 :]])
    assert [each.recorded for each in found.differing] == [{"rules": rules}]
    assert [each.recomputed for each in found.differing] == [{"rules": RULES}]
    forged = ruled(changed(events[number], random.Random(1)), rules)
    found = performed([*events[:number], forged, *events[number + 1 :]])
    assert found.not_reperformable == 0
    assert [{*each.recorded} > {"rules"} for each in found.differing] == [True]


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_settling_anew_where_nothing_called_for_it_is_found(seed):
    """Rules only rise: once a decision says its rules, none is left that an older release can have made."""
    events = lived(seed)
    fact = max(n for n, each in enumerate(events) if isinstance(each, Fact))
    for at in (1, fact + 1):
        template = next(each for each in events if isinstance(each, SettlementChanged))
        forged = SettledAnew(
            **template.model_dump(exclude={"type", "data", "causation_id"}),
            type=SettledAnew.stored_as,
            causation_id=events[at - 1].event_id,
            data=SettledAnew.Data(rules=RULES, now=events[at - 1].recorded_at),
        )
        found = performed(numbered_anew([*events[:at], forged, *events[at:]]))
        assert found.not_reperformable == 0
        assert SettledAnew.stored_as in {each.type for each in found.differing}


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_an_older_form_after_decisions_that_say_their_rules_is_found(seed):
    """The older form does not say its rules; but no release that wrote it ran after one that says them."""
    events = lived(seed)
    assessed = [n for n, each in enumerate(events) if isinstance(each, ClaimAssessed) and each.data.after]
    for number in assessed[:1]:
        data = events[number].data
        older = ClaimAssessedV1(
            **events[number].model_dump(exclude={"type", "data"}),
            type=ClaimAssessedV1.stored_as,
            data=ClaimAssessedV1.Data(
                **{name: value for name, value in data if name not in ("before", "after", "rules")},
                before=None,
                after=ClaimStateV1(
                    outcome="granted", reason=None, amount=Decimal("99.99"), tax=Decimal("0.00"), settled=()
                ),
            ),
        )
        found = performed([*events[:number], older, *events[number + 1 :]], said_from=1)
        assert found.not_reperformable == 0
        assert ClaimAssessedV1.stored_as in {each.type for each in found.differing}


# --- what is missing at the end ------------------------------------------------------------------------------------


class WithTimers(Life):
    """A life at whose end the timer does what falls due, at its instants."""

    def let_time_pass(self) -> None:
        self.account.catch_up(LONG_AFTER, LONG_AFTER)


@pytest.mark.parametrize("seed", SEEDS)
def test_decisions_of_the_timer_that_are_missing_at_the_end_are_found(seed):
    """Time has come to some instant for the whole log, and all that fell due by then stands in it."""
    life = WithTimers(seed)
    events, by_timer = [event for step in life.steps[:-1] for event in step], life.steps[-1]
    assert performed([*events, *by_timer], LONG_AFTER).differing == []
    found = performed(events, LONG_AFTER)
    assert [(each.type, each.recorded) for each in found.differing] == [(each.type, None) for each in by_timer]
    assert performed(events, life.now).differing == []


def numbered_anew(events: Sequence[LedgerEvent]) -> list[LedgerEvent]:
    streams: dict[str, int] = {}
    found = []
    for event in events:
        streams[event.stream] = streams.get(event.stream, 0) + 1
        found.append(event.model_copy(update={"stream_version": streams[event.stream]}))
    return found
