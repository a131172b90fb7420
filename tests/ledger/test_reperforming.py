"""Decisions performed again: an honest history comes out as it was recorded, and a changed one is found."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from ledger.agreement import read_agreement
from ledger.application.reperforming import Publication, Reperformed, reperform
from ledger.events import Decision, Fact, LedgerEvent, from_stored
from ledger.store.positions import Position
from ledger.store.reading.events import StoredEnvelope
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


def performed(events: Iterable[LedgerEvent]) -> Reperformed:
    return reperform("acct-1", stored(events), PUBLISHED)


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


def numbered_anew(events: Sequence[LedgerEvent]) -> list[LedgerEvent]:
    streams: dict[str, int] = {}
    found = []
    for event in events:
        streams[event.stream] = streams.get(event.stream, 0) + 1
        found.append(event.model_copy(update={"stream_version": streams[event.stream]}))
    return found
