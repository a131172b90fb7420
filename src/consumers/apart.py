"""Messages from a file or a request, of which one may keep failing: it is set aside, and the others go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from consumers.part import reason_of
from ledger.application.kept_messages import set_aside
from ledger.application.ledger import Ledger
from ledger.application.record import take
from ledger.application.shards import Shards
from ledger.application.statement import Became, Refusal, Statement, Taken

SET_ASIDE_MAX = 10
"""So many messages of a file or a request are set aside; if yet another fails, it is we who are wrong."""


def take_apart(shards: Shards, items: Sequence[Statement | Refusal], taken: Taken) -> None:
    """Take a batch, each message in its shard, and add to `taken` what became of it; a message that fails alone, and
    not for a passing cause, is set aside."""
    before = len(taken.each)
    became: dict[int, Iterator[Became]] = {}
    for number, some in shards.divided(items).items():
        so_far = len(taken.each)
        _take_in(shards[number], some, taken)
        became[number] = iter(taken.each[so_far:])
    taken.each[before:] = [next(became[shards.number_for(item)]) for item in items]


def _take_in(ledger: Ledger, items: Sequence[Statement | Refusal], taken: Taken) -> None:
    left = SET_ASIDE_MAX - taken.set_aside

    def give_up(item: Statement | Refusal, error: Exception) -> None:
        nonlocal left
        if isinstance(item, Refusal) or left <= 0:
            raise error
        set_aside(ledger, item, reason_of(error), None)
        left -= 1

    taken.add(take(ledger, items, give_up=give_up))
