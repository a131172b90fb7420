"""What is tampered with: a small store that was signed and cosigned, its log in a folder, and proofs and an evidence
pack out of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from consumers.upstream.messages import ComplaintOpenedV1
from ledger.application.acts import Act
from ledger.application.requests import Request, carry_out, digest_of
from ledger.application.statement import Statement
from ledger.audit import LogProof, Note, Signature, SignatureType, SigningKey, TrustPolicy, inclusion_proof
from ledger.store.audit import Cosignature, keep_cosignatures
from ledger.store.connecting import connect
from ledger.store.reading.audit import StoredTree, leaves_after
from ledger.values import month_from_text
from makegood.acts.origin import Origin, statements
from makegood.evidence import verify
from makegood.evidence.pack import write_evidence
from makegood.house.opening import House, open_house
from makegood.house.settings import Settings
from tests.door.conftest import SAMPLE, commands
from tests.parts.signed_log import AT, Log, export, sign

MONTH = "2026-06"
"""The month that was closed."""
ACCOUNTS = {f"acct-{number:04}" for number in (1, 3, 6, 7, 9, 10)}
PACKED = "acct-0003"
"""The account of the pack."""


def with_some_accounts(store: str) -> None:
    """A sandbox with what the sample says of some accounts, at the end of its months; its log has full tiles."""
    lines = [line for line in (SAMPLE / "events.jsonl").read_text().splitlines() if subject(line) in ACCOUNTS]
    commands(store, ("init", "--sandbox"))
    for name in ("standard", "custom"):
        if (file := SAMPLE / "agreements" / f"{name}.toml").exists():
            commands(store, ("agreement", "publish", str(file)))
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("\n".join(lines))
        file.flush()
        commands(store, ("ingest", file.name), ("advance", "2026-07-01T00:00:00Z"))
    with open_house(Settings(store=store), restored=True) as house:
        for number, account in enumerate(sorted(ACCOUNTS)):
            _request(house, f"key-{number}", account)
    commands(store, ("period", "close", MONTH, "--as", "felix"))


def _request(house: House, key: str, account: str) -> None:
    """Have somebody open a complaint, by a request that is known by its key."""
    request = Request("berta", key, digest_of(house.ledger, account.encode()))
    opened = ComplaintOpenedV1(
        complaint_id=f"com-{key}", channel="phone", category="billing", description="it is too much"
    )

    def say(act: Act) -> list[Statement]:
        said = statements(account, [opened], Origin("berta", "http", key), act.now())
        return [each for each in said if isinstance(each, Statement)]

    carry_out(house.ledger, request, account, say)
    house.projections.catch_up()


def subject(line: str) -> str | None:
    try:
        return str(json.loads(line)["subject"])
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class Stage:
    """A signed store, and what its auditor keeps: the last checkpoint, and whose signatures count."""

    store: str
    house: House
    log: Log
    kept: Note
    witness: SigningKey
    policy: TrustPolicy
    own_policy: verify.Policy
    folder: Path
    """Its exported log."""
    proofs: list[tuple[str, bytes]]
    """Proofs of some entries, with these."""
    entries: list[bytes]
    """All that its log has."""
    pack: Path
    """The evidence pack of an account, with the closing of a month."""


@contextmanager
def staged(store: str, folder: Path) -> Iterator[Stage]:
    """Sign a store and export its log into a folder that is empty."""
    first = sign(store, leave=40)
    log = sign(store, first.keys)
    witness = SigningKey.new("example.org/witness", SignatureType.ED25519_COSIGNATURE)
    cosignature = witness.sign(log.note.text, int(AT.timestamp()))
    kept = log.note.with_signatures([cosignature])
    with closing(connect(store)) as database, database.writing() as transaction:
        origin, size = log.note.text.split("\n")[0], int(log.note.text.split("\n")[1])
        keep_cosignatures(transaction, origin, size, [_row(cosignature)])
        tree = StoredTree(transaction, 0)
        entries = [leaf.envelope for leaf in leaves_after(transaction, 0, 0, size)]
        proofs = [
            (LogProof(index, tuple(inclusion_proof(tree, index, size)), kept).to_text(), entries[index])
            for index in (0, 17, 256, size - 1)
        ]
    lines = [*(f"log {vkey}" for vkey in log.vkeys), f"witness w {witness.vkey}", "quorum w"]
    text = "\n".join(lines)
    pack = folder.with_suffix(".zip")
    with open_house(Settings(store=store), restored=True) as house:
        write_evidence(house, pack, PACKED, month_from_text(MONTH))
        yield Stage(
            store,
            house,
            log,
            kept,
            witness,
            TrustPolicy.from_text(text),
            verify.Policy.from_text(text),
            export(store, kept, folder),
            proofs,
            entries,
            pack,
        )


def _row(signature: Signature) -> Cosignature:
    return Cosignature(signature.name, signature.key_id.hex(), str(signature))
