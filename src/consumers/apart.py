"""Messages from a file or a request, of which one may keep failing: it is set aside, and the others go on."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from consumers.part import reason_of
from ledger.application.kept_messages import set_aside
from ledger.application.ledger import Ledger
from ledger.application.record import take
from ledger.application.shards import Shards
from ledger.application.statement import Became, Refusal, Statement, Taken

SET_ASIDE_MAX = 10
"""So many messages of a file or a request are set aside; if yet another fails, it is we who are wrong."""


def take_apart(shards: Shards, items: Sequence[Statement | Refusal], taken: Taken) -> Collection[int]:
    """Take a batch, each message in its shard, and add to `taken` what became of it; a message that fails alone, and
    not for a passing cause, is set aside. The numbers of the shards that it was for."""
    places: dict[int, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(shards.number_for(item), []).append(place)
    became: dict[int, Became] = {}
    before = len(taken.each)
    for number, of_shard in places.items():
        so_far = len(taken.each)
        _take_in(shards[number], [items[place] for place in of_shard], taken)
        became |= zip(of_shard, taken.each[so_far:], strict=True)
    taken.each[before:] = [became[place] for place in range(len(items))]
    return places.keys()


def _take_in(ledger: Ledger, items: Sequence[Statement | Refusal], taken: Taken) -> None:
    left = SET_ASIDE_MAX - taken.set_aside

    def give_up(item: Statement | Refusal, error: Exception) -> None:
        nonlocal left
        if isinstance(item, Refusal) or left <= 0:
            raise error
        set_aside(ledger, item, reason_of(error), None)
        left -= 1

    taken.add(take(ledger, items, give_up=give_up))
