"""Messages from files and pipes, taken by the same code as those from Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from consumers.apart import take_apart
from consumers.upstream import read_structured
from ledger.application.ledger import Ledger
from ledger.application.shards import Shards
from ledger.application.statement import Refusal, Statement, Taken

MESSAGES_PER_BATCH = 500


def ingest(
    ledger: Ledger,
    lines: Iterable[bytes],
    name: str,
    progress: Callable[[int], None] = lambda bytes_done: None,
    *,
    others: Sequence[Ledger] = (),
) -> Taken:
    """Record every message of a file, each in its shard; blank lines are passed over. Returns what became of them.

    `others` are the ledgers of the store's other shards.

    `name` is where dead letters say they came from; `progress` is told the bytes done after each batch.
    """
    shards, taken, done = Shards([ledger, *others]), Taken(), 0
    for batch in _batches(lines, name):
        take_apart(shards, [item for item, _ in batch], taken)
        done += sum(size for _, size in batch)
        progress(done)
    return taken


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
