"""What the tables beside the events say, held to the events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import sha256

from ledger.application.verification.entries import History
from ledger.application.verification.found import Mismatch
from ledger.application.verification.snapshot import UNREADABLE, Snapshot
from ledger.events import (
    AgreementPublished,
    KeysLost,
    LogOriginBegun,
    MessageDiscarded,
    MessageReplayed,
    StoreRestored,
)
from ledger.store.instants import to_microseconds
from ledger.store.positions import Position
from ledger.values import SYSTEM_ACCOUNT, instant_from_text


def against_events(snapshot: Snapshot, histories: Mapping[int, History]) -> Iterator[Mismatch]:
    """How the tables of a snapshot differ from the events of all shards."""
    [(shard, system)] = histories.items()
    yield from snapshot.mismatches
    yield from _readable("heads", _heads(snapshot, histories))
    yield from _readable("agreements", _agreements(snapshot, histories))
    yield from _readable("closures", _closures(snapshot, shard, system))
    yield from _readable("generations", _generations(snapshot, shard, system))
    yield from _readable("vault_lost", _losses(snapshot, system))
    yield from _readable("audit_logs", _logs(snapshot, shard, system))
    facts = sum(history.facts for history in histories.values())
    if snapshot.inbox > facts:
        yield Mismatch(
            None, None, f"the inbox has {snapshot.inbox} messages, and the events are facts of {facts} of them"
        )


def _readable(table: str, found: Iterator[Mismatch]) -> Iterator[Mismatch]:
    """What was found in a table, and where that ends at a value that nobody wrote there, also that it does."""
    try:
        yield from found
    except UNREADABLE:
        yield Mismatch(None, None, f"the table {table}, or an event that it repeats, holds what cannot be read")


def among_events(histories: Mapping[int, History]) -> Iterator[Mismatch]:
    """How events differ from each other that name an agreement's text: who publishes it, and who decides by it."""
    published = _published(histories)
    for at, hash_, text in published.values():
        if _sha256(text) != hash_:
            yield Mismatch(at, SYSTEM_ACCOUNT, "publishes a text that has not the hash beside it")
    for shard, history in histories.items():
        for (name, version, hash_), places in history.named.items():
            if (name, version) not in published or published[name, version][1] != hash_:
                what = f"decides by {name} version {version} with a hash that no published text has"
                yield from (Mismatch(Position(shard, position), of, what) for position, of in places)


def _published(histories: Mapping[int, History]) -> dict[tuple[str, int], tuple[Position, str, str]]:
    return {
        (said.data["name"], said.data["version"]): (
            Position(shard, said.position),
            said.data["sha256"],
            said.data["text"],
        )
        for shard, system in histories.items()
        for said in system.said[AgreementPublished.stored_as]
    }


def _microseconds(recorded_at: object) -> int | None:
    try:
        return to_microseconds(instant_from_text(str(recorded_at)))
    except ValueError:
        return None


def _is_since(instant: object, recorded_at: object) -> bool:
    last = _microseconds(recorded_at)
    return isinstance(instant, int) and last is not None and instant >= last


def _heads(snapshot: Snapshot, histories: Mapping[int, History]) -> Iterator[Mismatch]:
    found = set()
    for shard, history in histories.items():
        cut = history.cut()
        for account, end in history.ends.items():
            found.add(account)
            if account in cut:
                continue  # its last entry is told of, and what the head says of it nobody can judge
            at = Position(shard, end.position)
            head = snapshot.heads.get(account)
            if head is None:
                yield Mismatch(at, account, "its account has no head")
                continue
            in_shard, version, leaf, recorded_at = head
            if leaf != end.leaf_hash:
                yield Mismatch(at, account, "is its account's last event, and the head has another hash")
            if version != end.version:
                yield Mismatch(at, account, f"is its account's {end.version}. event, and the head counts {version}")
            # Time may have passed for an account after its last event, without a decision.
            if in_shard != shard or not _is_since(recorded_at, end.recorded_at):
                yield Mismatch(at, account, "its account's head has another shard, or an instant before it")
    for account in sorted(snapshot.heads.keys() - found, key=str):
        yield Mismatch(None, account, "there is a head of an account that has no events")


def _agreements(snapshot: Snapshot, histories: Mapping[int, History]) -> Iterator[Mismatch]:
    account = SYSTEM_ACCOUNT
    published = _published(histories)
    yield from among_events(histories)
    kept = {(name, version): (hash_, text) for name, version, hash_, text in snapshot.agreements}
    for named, (at, hash_, text) in published.items():
        if kept.get(named) != (hash_, text):
            yield Mismatch(at, account, f"agreement {named[0]} version {named[1]} is kept with another text or hash")
    for name, version in sorted(kept.keys() - published.keys(), key=str):
        yield Mismatch(None, account, f"agreement {name} version {version} is kept and was never published")
    counted = Counter(name for name, _ in published)
    for name, versions in snapshot.catalogue:
        if versions != counted[name]:
            yield Mismatch(
                None, account, f"the catalogue counts {versions} versions of {name}; {counted[name]} are published"
            )
    if missing := counted.keys() - {name for name, _ in snapshot.catalogue}:
        yield Mismatch(None, account, f"the catalogue lacks {', '.join(sorted(missing))}")


def _logs(snapshot: Snapshot, of_shard: int, system: History) -> Iterator[Mismatch]:
    begun = {
        (said.data["shard"], said.data["number"]): (said, said.data["origin"], said.data["follows"])
        for said in system.said[LogOriginBegun.stored_as]
    }
    kept = {(log.shard, log.number): log for logs in snapshot.logs.values() for log in logs[1:]}
    for named, (said, origin, follows) in begun.items():
        log = kept.get(named)
        if log is None or (log.origin, log.follows) != (origin, follows):
            yield Mismatch(
                Position(of_shard, said.position), said.account, f"begins the log {origin}, which is not kept so"
            )
    for shard, number in sorted(kept.keys() - begun.keys(), key=str):
        yield Mismatch(None, SYSTEM_ACCOUNT, f"log {number} of shard {shard} is kept, and no event began it")


def _sha256(text: object) -> str:
    return sha256(str(text).encode()).hexdigest()


def _closures(snapshot: Snapshot, shard: int, system: History) -> Iterator[Mismatch]:
    kept = {(kind, kept_id): (outcome, actor) for kind, kept_id, outcome, actor in snapshot.closures}
    closed = set()
    for type_, outcome in ((MessageReplayed.stored_as, "replayed"), (MessageDiscarded.stored_as, "discarded")):
        for said in system.said[type_]:
            named = (said.data["kept"], said.data["kept_id"])
            closed.add(named)
            if kept.get(named) != (outcome, said.actor):
                yield Mismatch(
                    Position(shard, said.position),
                    said.account,
                    f"closes the {named[0]} {named[1]}, which the table of closures says otherwise",
                )
    for kind, kept_id in sorted(kept.keys() - closed, key=str):
        yield Mismatch(None, None, f"the {kind} {kept_id} is closed, and no event says so")


def _generations(snapshot: Snapshot, shard: int, system: History) -> Iterator[Mismatch]:
    begun = {
        (kept["sequence"], said.data["generation"], kept["position"])
        for said in system.said[StoreRestored.stored_as]
        for kept in said.data["kept"]
    }
    if begun != set(snapshot.generations):
        last = system.said[StoreRestored.stored_as][-1:]
        at = Position(shard, last[0].position) if last else None
        yield Mismatch(at, None, "the table of generations says otherwise than the events that began them")


def _losses(snapshot: Snapshot, system: History) -> Iterator[Mismatch]:
    lost = [said.data["loss_id"] for said in system.said[KeysLost.stored_as]]
    for loss in snapshot.losses:
        if loss not in lost:
            yield Mismatch(None, None, f"entries of the vault are lost by {loss}, and no event says so")
    if lost and snapshot.vault_id != lost[-1]:
        yield Mismatch(None, None, "the store is bound to another vault than its last event about one says")
