"""Libraries that other people wrote accept what is signed and proven here, and refuse what was tampered with.

In Go: golang.org/x/mod's note and tlog, github.com/transparency-dev/merkle, and torchwood and mldsa of filippo.io.
In Python: pymerkle.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymerkle
import pytest

from ledger.audit import (
    LogProof,
    consistency_proof,
    inclusion_proof,
    leaf_digest,
    root_at,
)
from tests.audit.judges import Judges, Refused, judges
from tests.audit.logs import COSIGNATURE, ED25519, KEYS, MLDSA44, NOW, Log, entries, key

SIZE = 700
LOG = Log(entries(SIZE))
ROOT = root_at(LOG.tree, SIZE)
PLAIN, POST_QUANTUM = KEYS[:1], KEYS[1:]
WITNESS = key(COSIGNATURE, "witness.example/w1", 9)
POLICY = f"log {PLAIN[0].vkey}\nwitness w1 {WITNESS.vkey}\nquorum w1\n"
NOTE = LOG.checkpoint().with_signatures([WITNESS.sign(LOG.checkpoint().text, NOW)])


@pytest.fixture(scope="module")
def go() -> Iterator[Judges]:
    with judges() as found:
        yield found


def refused(go: Judges, library: str, **what: Any) -> None:
    with pytest.raises(Refused):
        go.judge(library, **what)


# --- signatures ----------------------------------------------------------------------------------------------------


def test_a_checkpoint_s_signatures(go: Judges) -> None:
    written = str(NOTE)
    known = [str(PLAIN[0].vkey), str(WITNESS.vkey)]
    go.judge("sumdb/note", note=written, vkeys=known)
    go.judge("mldsa", note=written, vkeys=[str(POST_QUANTUM[0].vkey)])

    tampered = written.replace("\n700\n", "\n701\n")
    for vkey in known:
        refused(go, "sumdb/note", note=tampered, vkeys=[vkey])
    refused(go, "mldsa", note=tampered, vkeys=[str(POST_QUANTUM[0].vkey)])
    refused(go, "sumdb/note", note=written, vkeys=[str(key(ED25519, seed=2).vkey)])
    refused(go, "mldsa", note=written, vkeys=[str(key(MLDSA44, seed=2).vkey)])


# --- proofs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["sumdb/tlog", "merkle"])
def test_inclusion_proofs(go: Judges, library: str) -> None:
    for index in (0, 1, 255, 256, 511, 512, 698, 699):
        hashes = inclusion_proof(LOG.tree, index, SIZE)
        what = {"index": index, "size": SIZE, "root": ROOT, "entry": LOG.entries[index], "hashes": hashes}
        go.judge(f"{library} inclusion", **what)
        refused(go, f"{library} inclusion", **what | {"entry": b"another entry"})
        refused(go, f"{library} inclusion", **what | {"hashes": [*hashes[:-1], leaf_digest(b"other")]})
        refused(go, f"{library} inclusion", **what | {"hashes": hashes[:-1]})


@pytest.mark.parametrize("library", ["sumdb/tlog", "merkle"])
def test_consistency_proofs(go: Judges, library: str) -> None:
    for old in (1, 2, 255, 256, 300, 512, 699):
        hashes = consistency_proof(LOG.tree, old, SIZE)
        roots = {"old_root": root_at(LOG.tree, old), "root": ROOT}
        what = {"old_size": old, "size": SIZE, "hashes": hashes, **roots}
        go.judge(f"{library} consistency", **what)
        refused(go, f"{library} consistency", **what | {"old_root": leaf_digest(b"other")})
        refused(go, f"{library} consistency", **what | {"hashes": [leaf_digest(b"other"), *hashes[1:]]})


def test_proof_files(go: Judges) -> None:
    proof = LogProof(77, tuple(inclusion_proof(LOG.tree, 77, SIZE)), NOTE, b"not signed by anybody").to_text()
    what = {"policy": POLICY, "proof": proof, "entry": LOG.entries[77]}
    go.judge("torchwood proof", **what)
    refused(go, "torchwood proof", **what | {"entry": LOG.entries[78]})
    refused(go, "torchwood proof", **what | {"proof": proof.replace("index 77", "index 78")})
    refused(go, "torchwood proof", **what | {"policy": POLICY.replace(str(WITNESS.vkey), OTHER_WITNESS)})
    refused(go, "torchwood proof", **what | {"proof": str(LOG.checkpoint())})


OTHER_WITNESS = str(key(COSIGNATURE, "witness.example/w1", 10).vkey)


# --- tiles and entries ---------------------------------------------------------------------------------------------


def test_a_log_in_a_folder(go: Judges, tmp_path: Path) -> None:
    folder = LOG.write(tmp_path)
    (folder / "checkpoint").write_text(str(NOTE), encoding="utf-8")
    go.judge("sumdb/tlog tiles", folder=folder, size=SIZE, root=ROOT)
    go.judge("torchwood log", folder=folder, policy=POLICY)


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"])
def test_a_tile_that_was_tampered_with(go: Judges, tmp_path: Path, path: str) -> None:
    folder = LOG.write(tmp_path)
    tile = bytearray((folder / path).read_bytes())
    tile[33] ^= 1
    (folder / path).write_bytes(bytes(tile))
    refused(go, "sumdb/tlog tiles", folder=folder, size=SIZE, root=ROOT)


@pytest.mark.parametrize("path", ["tile/entries/000", "tile/entries/002.p/188"])
def test_an_entry_that_was_tampered_with(go: Judges, tmp_path: Path, path: str) -> None:
    folder = LOG.write(tmp_path)
    (folder / "checkpoint").write_text(str(NOTE), encoding="utf-8")
    bundle = bytearray((folder / path).read_bytes())
    bundle[5] ^= 1
    (folder / path).write_bytes(bytes(bundle))
    refused(go, "torchwood log", folder=folder, policy=POLICY)


# --- roots ---------------------------------------------------------------------------------------------------------


def test_roots_worked_out_by_pymerkle() -> None:
    theirs = pymerkle.InmemoryTree.init_from_entries(LOG.entries, algorithm="sha256")
    for size in (0, 1, 2, 3, 255, 256, 257, 511, 512, 513, SIZE):
        assert root_at(LOG.tree, size) == theirs.get_root(size)
    assert leaf_digest(LOG.entries[5]) == theirs.get_leaf(6)
