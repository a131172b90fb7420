"""What is tampered with: a small store that was signed and cosigned, its log in a folder, and proofs out of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.audit import LogProof, Note, Signature, SignatureType, SigningKey, TrustPolicy, inclusion_proof
from ledger.store.audit import Cosignature, keep_cosignatures
from ledger.store.connecting import connect
from ledger.store.reading.audit import StoredTree, leaves_after
from makegood.evidence import verify
from makegood.house.opening import House, open_house
from makegood.house.settings import Settings
from tests.door.conftest import SAMPLE, commands
from tests.parts.signed_log import AT, Log, export, sign

ACCOUNTS = {f"acct-{number:04}" for number in (1, 3, 6, 7, 9, 10)}


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
    with open_house(Settings(store=store), restored=True) as house:
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
        )


def _row(signature: Signature) -> Cosignature:
    return Cosignature(signature.name, signature.key_id.hex(), str(signature))
