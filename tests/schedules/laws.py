"""What holds once everything has come to rest, whatever happened before."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from consumers.kafka.records import Record, TopicIdentity
from consumers.kafka.topics import DEAD_LETTERS, EVENTS, INSTRUCTIONS
from consumers.places import place_of
from consumers.upstream import read_kafka
from ledger.application.record import take
from ledger.application.statement import Statement
from ledger.application.verification.trees import tiles_of_leaves, tree_of
from ledger.audit import (
    EMPTY_ROOT,
    Checkpoint,
    consistency_proof,
    leaf_digest,
    leaf_hash,
    root_of,
    verify_consistency,
)
from ledger.store.positions import shard_for
from ledger.vault import Vault, VaultEntry
from projections import credits
from projections.catalog import CATALOG
from projections.instructions import INSTRUCTIONS as INSTRUCTIONS_FOLDED
from projections.instructions import ISSUED
from projections.projection import fold_account
from tests.ledger.books import Books, KeysByName, alarms_in, claims_in, no_randomness, oracle_agreements
from tests.schedules.world import END, LATE_AGREEMENT, World


def check(world: World) -> None:
    """Hold a world at rest to all of it."""
    shards = [shard.books for shard in world.shards]
    for books in shards:
        books.check_positions()
        _chains_are_whole(books)
        _rows_are_those_of_a_replay(books)
        _credits_pay_for_what_comes_after_them(books)
    _tree_is_that_of_the_events(world)
    incoming = _Incoming(world)
    _every_message_is_recorded_once(shards, incoming)
    _every_refused_one_is_a_dead_letter_once(shards, incoming)
    for books in shards:
        _claims_are_those_of_an_undisturbed_run(books, incoming)
    _every_agreement_is_in_every_shard(shards)
    _topics_have_everything(world)


VAULT = Vault(KeysByName(), no_randomness)


class _Incoming:
    """Everything that upstream published, read again."""

    def __init__(self, world: World) -> None:
        self.statements: dict[tuple[str, str], dict[str, Statement]] = defaultdict(dict)
        """By source and id: each content's digest, with the message."""
        self.refused: set[tuple[str, bytes]] = set()
        """Origin and body of what was surely read and is malformed."""
        self.perhaps_refused: set[tuple[str, bytes]] = set()
        """The same of what may have been read: of a topic that was deleted before it was known to be."""
        self.read: list[tuple[Statement, str, bool]] = []
        name = world.upstream_topic.name
        for kept in [*world.broker.deleted, world.broker.topics[name]]:
            if kept.identity.topic != name:
                continue
            until = world.read_of_deleted.get(str(kept.identity))
            for number, each in enumerate(kept.logs):
                surely = until is None or until.get(number, 0)
                for record in each.records:
                    self._take(kept.identity, record, surely is True or record.offset < surely)

    def _take(self, identity: TopicIdentity, record: Record, surely: bool) -> None:
        topic = f"{identity.topic}@{identity.topic_id}"
        origin = f"kafka:{identity.cluster}/{topic}/{record.partition.number}/{record.offset}"
        item = read_kafka(record.headers, record.key, record.value, origin=origin)
        if isinstance(item, Statement):
            digest = VAULT.digest(item.content)
            self.statements[item.message.source, item.message.id].setdefault(digest, item)
            self.read.append((item, digest, surely))
        else:
            (self.refused if surely else self.perhaps_refused).add((origin, item.body))

    def conflicts(self, inbox: dict[tuple[str, str], str]) -> None:
        """Count those among the refused that say something else than the message that was taken."""
        for item, digest, surely in self.read:
            if inbox[item.message.source, item.message.id] != digest:
                (self.refused if surely else self.perhaps_refused).add((item.origin, item.body()))


def _chains_are_whole(books: Books) -> None:
    last: dict[str, str] = {}
    for stored in books.envelopes():
        envelope = json.loads(stored.envelope)
        assert envelope["previous"] == last.get(stored.account), f"the chain of {stored.account} is broken"
        last[stored.account] = leaf_hash(stored.envelope)
    heads = dict(books.rows("SELECT account, leaf_hash FROM heads"))
    assert heads == last, "heads are not where their accounts' chains end"


def _tree_is_that_of_the_events(world: World) -> None:
    """However often it was gone on with; and each checkpoint that left is continued by all that came after it."""
    books = world.shards[0].books
    digests = [leaf_digest(stored.envelope) for stored in books.envelopes()]
    rows = books.rows("SELECT level, number, hashes FROM audit_tiles")
    tiles = {(level, number): bytes(hashes) for level, number, hashes in rows}
    assert tiles == tiles_of_leaves(b"".join(digests)), "the Merkle tree is not that of the events"
    tree = tree_of(tiles, len(digests))
    last = Checkpoint("before", 0, EMPTY_ROOT)
    left: set[int] = set()
    for checkpoint in (Checkpoint.parse(note.text) for note in world.published.notes):
        assert checkpoint.root == root_of(digests[: checkpoint.size]), "what was signed is not what was recorded"
        if checkpoint.size in left:  # again, by one who was frozen before it left and went on when others had left
            continue
        left.add(checkpoint.size)
        assert checkpoint.size >= last.size, "a checkpoint left that covers less than one before"
        proof = consistency_proof(tree, last.size, checkpoint.size)
        verify_consistency(last.size, checkpoint.size, last.root, checkpoint.root, proof)
        last = checkpoint


def _every_message_is_recorded_once(shards: Sequence[Books], incoming: _Incoming) -> None:
    """And in the shard of its account."""
    inboxes = [books.rows("SELECT source, id, digest FROM inbox") for books in shards]
    inbox = {(source, id_): digest for rows in inboxes for source, id_, digest in rows}
    assert len(inbox) == sum(map(len, inboxes)), "a message is in two shards"
    for number, books in enumerate(shards):
        accounts = {account for (account,) in books.rows("SELECT account FROM heads WHERE account <> 'system'")}
        assert {shard_for(account, len(shards)) for account in accounts} <= {number}, "an account is in another shard"
    missing = sorted(incoming.statements.keys() - inbox.keys())
    assert not missing, f"{len(missing)} messages are lost, the first {missing[0]}"
    assert inbox.keys() == incoming.statements.keys()
    for key, digest in inbox.items():
        assert digest in incoming.statements[key], f"{key} was taken with a content that nobody sent"
    said = [e["data"]["message"] for books in shards for e in books.stored() if "message" in e["data"]]
    facts = Counter((message["source"], message["id"]) for message in said)
    assert facts == Counter(inbox.keys()), "not every message that was taken is one fact"
    incoming.conflicts(inbox)


def _every_refused_one_is_a_dead_letter_once(shards: Sequence[Books], incoming: _Incoming) -> None:
    rows = [
        row
        for books in shards
        for row in books.rows(
            "SELECT origin, ref, subject, nonce, ciphertext FROM dead_letters LEFT JOIN vault "
            "ON ref = 'dead-letter/' || dead_letter_id"
        )
    ]
    found = Counter((origin, VAULT.decrypt(VaultEntry(*entry))) for origin, *entry in rows)
    twice = [origin for (origin, _), count in found.items() if count > 1]
    assert not twice, f"{twice[0]} is a dead letter twice"
    missing = sorted(incoming.refused - found.keys())
    assert not missing, f"{missing[0][0]} should be a dead letter"
    wrong = sorted(found.keys() - incoming.refused - incoming.perhaps_refused)
    assert not wrong, f"{wrong[0][0]} is a dead letter and should not be"
    for books in shards:
        positions = [row[0] for row in books.rows("SELECT position FROM dead_letters ORDER BY position")]
        assert positions == list(range(1, len(positions) + 1)), "positions of dead letters have holes"


def _claims_are_those_of_an_undisturbed_run(books: Books, incoming: _Incoming) -> None:
    """What follows from facts and `now` alone; and how claims are settled, where nothing has gone out (policy §7)."""
    taken: dict[str, dict[tuple[str, str, str], Statement]] = defaultdict(dict)
    for source, id_, digest in books.rows("SELECT source, id, digest FROM inbox ORDER BY source, id"):
        statement = incoming.statements[source, id_][digest]
        taken[statement.account][source, id_, digest] = statement
    for account, statements in taken.items():
        found, undisturbed = _state(books, account), _undisturbed(account, statements)
        # Which credit paid for what, and with how much a refund was due, depends on the arrival.
        apart = ("went out", "settlements") if found["went out"] or undisturbed["went out"] else ()
        for what, expected in undisturbed.items():
            assert what in apart or found[what] == expected, (
                f"the {what} of {account} are not those of an undisturbed run:\n{_difference(found[what], expected)}"
            )


_UNDISTURBED: dict[tuple[object, ...], dict[str, list[Any]]] = {}


def _undisturbed(account: str, statements: dict[tuple[str, str, str], Statement]) -> dict[str, list[Any]]:
    """How an account stands after one process took all of its messages at once, and nothing else happened."""
    key = (account, *statements)
    if key not in _UNDISTURBED:
        books = Books.open(agreements=[*oracle_agreements(), LATE_AGREEMENT], keys=KeysByName(), now=END)
        books.ledger.vault = VAULT
        take(books.ledger, list(statements.values()))
        _UNDISTURBED[key] = _state(books, account)
        books.close()
    return _UNDISTURBED[key]


def _state(books: Books, account: str) -> dict[str, list[Any]]:
    stored = books.stored_of(account)
    return {
        "facts": sorted(
            [e["event_id"], e["type"], e["stream"], e["occurred_at"], e["actor"], e["data"]]
            for e in stored
            if "message" in e["data"]
        ),
        "claims": claims_in(stored),
        "alarms": alarms_in(stored),
        "waiting facts": sorted(
            books.rows("SELECT event_id, type, waits_for FROM waiting WHERE account = ?", account)
        ),
        "settlements": _settlements(stored),
        "went out": [e["type"] for e in stored if e["type"].startswith(("refund-", "credit-applied"))],
        "statuses": sorted(
            {e["stream"]: e["data"]["after"] for e in stored if e["type"].startswith("subscription-status")}.items()
        ),
    }


def _settlements(stored: list[dict[str, Any]]) -> list[Any]:
    """Where invoices stand and how claims are settled; whether an excess has rested depends on the arrival."""
    stands: dict[tuple[str, str], Any] = {}
    for data in (e["data"] for e in stored if e["type"] == "settlement-changed.v1"):
        after = data["after"]
        stands[data["invoice_id"] or "", data["currency"]] = after and {**after, "excess_credit": None}
        for claim in data["claims"]:
            stands[claim["claim_id"], data["currency"]] = claim["after"]
    return sorted([of, how] for of, how in stands.items() if how)


def _difference(found: list[Any], expected: list[Any]) -> str:
    only_found = [f"  found    {row}" for row in found if row not in expected]
    return "\n".join(only_found + [f"  expected {row}" for row in expected if row not in found])


def _rows_are_those_of_a_replay(books: Books) -> None:
    by_account = defaultdict(list)
    for stored in books.envelopes():
        by_account[stored.account].append(stored)
    replayed: dict[str, list[Any]] = {t.name: [] for p in CATALOG for t in p.tables}
    for envelopes in by_account.values():
        *_, last = fold_account(envelopes, CATALOG)
        state = last.state()
        for projection in CATALOG:
            for table in projection.tables:
                replayed[table.name] += [table.values_of(row) for row in state[table.name]]
    for projection in CATALOG:
        for table in projection.tables:
            rows = books.rows(f"SELECT {', '.join(table.columns)} FROM {projection.stored_name(table)}")
            assert sorted(rows, key=repr) == sorted(replayed[table.name], key=repr), (
                f"rows of {table.name} are not those of a replay"
            )


MAKES_A_CHARGE_KNOWN = {
    "account-registered.v1",
    "charge-posted.v1",
    "cycle-started.v1",
    "fact-retracted.v1",
    "subscription-registered.v1",
}
"""A retraction does where it takes back what a charge contradicted."""


def _credits_pay_for_what_comes_after_them(books: Books) -> None:
    for credit in credits.listed(books.database.real):
        assert Decimal(credit["left"]) >= 0, f"more of {credit['credit_id']} was used than there is"
    stored = books.stored()
    types = {envelope["event_id"]: envelope["type"] for envelope in stored}
    for envelope in stored:
        if envelope["type"] == "credit-applied.v2":
            cause = types.get(envelope["causation_id"])
            assert cause in MAKES_A_CHARGE_KNOWN, f"a credit was applied because of {cause}"


def _every_agreement_is_in_every_shard(shards: Sequence[Books]) -> None:
    published = [books.rows("SELECT name, version FROM agreements ORDER BY name, version") for books in shards]
    assert all(each == published[0] for each in published), "an agreement is not in every shard"


def _topics_have_everything(world: World) -> None:
    """Each shard's events are in the partition of its number."""
    for shard in world.shards:
        store = shard.books.rows("SELECT value FROM store WHERE name = 'id'")[0][0].encode()
        sent: dict[int, set[bytes | None]] = defaultdict(set)
        for record in world.broker.topics[EVENTS.name].logs[shard.number].records:
            place = place_of(record, store)
            if place is not None:
                assert place.shard == shard.number
                sent[place.position].add(record.value)
        stored = {envelope.position: {envelope.envelope} for envelope in shard.books.envelopes()}
        missing = sorted(stored.keys() - sent.keys())
        assert not missing, f"position {missing[0]} of shard {shard.number} was never published"
        assert dict(sent) == stored, "what was published is not what is stored"
    letters = {
        json.loads(record.value or b"")["dead_letter_id"]
        for log in world.broker.topics[DEAD_LETTERS.name].logs
        for record in log.records
    }
    kept = {row[0] for shard in world.shards for row in shard.books.rows("SELECT dead_letter_id FROM dead_letters")}
    assert letters == kept, f"{len(kept - letters)} dead letters were never published"
    _instructions_are_those_of_the_rows(world)


def _instructions_are_those_of_the_rows(world: World) -> None:
    """However often one was sent, it says the same; and each is in the rows, of which a replay gives the same."""
    sent: dict[str, tuple[str, str, Any]] = {}
    for record in (record for log in world.broker.topics[INSTRUCTIONS.name].logs for record in log.records):
        told = json.loads(record.value or b"")
        kind = told["type"].removeprefix("makegood.").removesuffix(".v1")
        says = (told["subject"], kind, told["data"])
        assert sent.setdefault(told["id"], says) == says, f"instruction {told['id']} says two things"
    table = INSTRUCTIONS_FOLDED.stored_name(ISSUED)
    asked = f"SELECT instruction_id, account, kind, data FROM {table}"
    rows = [row for shard in world.shards for row in shard.books.rows(asked)]
    kept = {id_: (account, kind, json.loads(data)) for id_, account, kind, data in rows}
    assert sent == kept, f"{len(kept.keys() - sent.keys())} instructions were never published"
