"""Messages from files and pipes: JSON Lines, taken by the same code as those from Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from consumers.part import reason_of
from consumers.upstream import read_structured
from ledger.application import record
from ledger.application.kept import set_aside
from ledger.application.ledger import Ledger
from ledger.application.statement import Refusal, Statement, Taken
from ledger.store.database import Conflict, Unavailable

MESSAGES_PER_BATCH = 500
SET_ASIDE_MAX = 10
"""So many messages of a file are set aside; if yet another fails, it is we who are wrong."""


def ingest(
    ledger: Ledger, lines: Iterable[bytes], name: str, progress: Callable[[int], None] = lambda bytes_done: None
) -> Taken:
    """Record every message of a file; blank lines are passed over. Returns what became of them.

    `name` is where dead letters say they came from; `progress` is told the bytes done after each batch.
    """
    taken, done = Taken(), 0
    for batch in _batches(lines, name):
        _take(ledger, [item for item, _ in batch], taken)
        done += sum(size for _, size in batch)
        progress(done)
    return taken


def _take(ledger: Ledger, items: Sequence[Statement | Refusal], taken: Taken) -> None:
    """Take a batch; where it fails, and not for a passing cause, by halves, until what fails alone is set aside."""
    try:
        of_batch = record.take(ledger, items)
    except (Conflict, Unavailable):
        raise
    except Exception as error:
        if len(items) > 1:
            _take(ledger, items[: len(items) // 2], taken)
            _take(ledger, items[len(items) // 2 :], taken)
            return
        [item] = items
        if isinstance(item, Refusal) or taken.set_aside >= SET_ASIDE_MAX:
            raise
        set_aside(ledger, item, reason_of(error), None)
        taken.read += 1
        taken.set_aside += 1
    else:
        taken.read += of_batch.read
        taken.accepted += of_batch.accepted
        taken.duplicates += of_batch.duplicates
        taken.refused += of_batch.refused


def messages_in(lines: Iterable[bytes], name: str) -> Iterator[tuple[Statement | Refusal, int]]:
    """The messages of a file, each with the bytes that its line takes; blank lines are passed over."""
    for line, body in enumerate(lines, 1):
        if body.strip():
            yield (
                read_structured(body.strip(), origin=f"file:{name}:{line}", channel="file", line=line),
                len(body),
            )


def _batches(lines: Iterable[bytes], name: str) -> Iterator[list[tuple[Statement | Refusal, int]]]:
    messages = messages_in(lines, name)
    while batch := list(islice(messages, MESSAGES_PER_BATCH)):
        yield batch
