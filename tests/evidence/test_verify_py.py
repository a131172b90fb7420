"""verify.py, which auditors run without Makegood: it accepts what is honest, and refuses what the library refuses."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.audit import (
    Checkpoint,
    LogProof,
    Note,
    SignatureType,
    SigningKey,
    TrustPolicy,
    Unproven,
    VerifierKey,
    inclusion_proof,
    leaf_digest,
    root_of,
    signed,
)
from makegood.answers.audit.verification import verified_log
from makegood.evidence import verify
from makegood.evidence.verifier import verifier
from tests.door.conftest import with_twenty_accounts
from tests.parts.leaves import Leaves
from tests.parts.signed_log import export, sign
from tests.parts.stores import Stores


def own_policy(*keys: str) -> verify.Policy:
    return verify.Policy(logs=[verify.Key.from_text(key) for key in keys])


def test_it_needs_nothing_of_ours() -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(verifier()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


def test_its_parts_make_one_file_without_a_name_twice() -> None:
    """Two parts that name one thing would each have the other's."""
    names = [
        name
        for node in ast.parse(verifier()).body
        for name in (
            [node.name]
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            else [target.id for target in node.targets if isinstance(target, ast.Name)]
            if isinstance(node, ast.Assign)
            else [alias.asname or alias.name for alias in node.names]
            if isinstance(node, ast.Import | ast.ImportFrom)
            else []
        )
    ]
    assert sorted(names) == sorted(set(names))


def test_an_exported_log(stores: Stores, tmp_path: Path) -> None:
    store = stores.new("sqlite", tmp_path, with_twenty_accounts)
    log = sign(store)
    folder = export(store, log.note, tmp_path / "log")
    keys = [part for vkey in log.vkeys for part in ("--key", vkey)]
    (tmp_path / "verify.py").write_text(verifier())
    program = [sys.executable, "-I", str(tmp_path / "verify.py")]
    done = subprocess.run([*program, "log", str(folder), *keys], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("sound: ")
    bundle = folder / "tile/entries/000"
    entries = list(verify.entries_of(bundle.read_bytes()))
    at = next(i for i, entry in enumerate(entries) if b'"type":"claim-assessed.v2"' in entry)
    bundle.write_bytes(
        bundle.read_bytes().replace(entries[at], entries[at].replace(b'"amount":"', b'"amount":"9', 1))
    )
    damaged = subprocess.run([*program, "log", str(folder), *keys, "--json"], capture_output=True, check=False)
    assert damaged.returncode == 2
    bundle.write_bytes(
        verify_bundle([*entries[:at], entries[at].replace(b'"channel":"', b'"channel":"x', 1), *entries[at + 1 :]])
    )
    damaged = subprocess.run([*program, "log", str(folder), *keys, "--json"], capture_output=True, check=False)
    found = json.loads(damaged.stdout)
    assert (found["ok"], found["first_bad"], damaged.returncode) == (False, at + 1, 2)
    ours = verified_log(folder, policy=TrustPolicy.of_log(*map(VerifierKey.from_text, log.vkeys)))
    assert ours["first_bad"] == f"0:{at + 1}"
    assert {each["account"] for each in found["bad"] if each["position"] == at + 1} == {
        each["account_id"] for each in ours["bad"] if each["position"] == f"0:{at + 1}"
    }


def verify_bundle(entries: list[bytes]) -> bytes:
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["log", "nowhere", "--key", "?"], 1), (["log", "nowhere"], 1), (["nothing"], 64), ([], 64), (["--help"], 0)],
)
def test_what_could_not_be_checked(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(arguments) == code
    assert capsys.readouterr() != ("", "")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 300])
def test_a_proof_holds_for_its_entry_and_no_other(size: int, tmp_path: Path) -> None:
    entries = [b"entry %d" % number for number in range(size)]
    digests = [leaf_digest(entry) for entry in entries]
    keys = [
        SigningKey.new("example.org/log", type_)
        for type_ in (SignatureType.ED25519, SignatureType.MLDSA44_COSIGNATURE)
    ]
    note = signed(Checkpoint("example.org/log", size, root_of(digests)), keys, 1_800_000_000)
    policy = own_policy(*(str(key.vkey) for key in keys))
    for index in {0, size // 2, size - 1}:
        proof = LogProof(index, tuple(inclusion_proof(Leaves(digests), index, size)), note).to_text()
        assert verify.verify_proof(proof, entries[index], policy).ok
        assert not verify.verify_proof(proof, entries[index] + b"!", policy).ok
        for other in (index + 1, max(index - 1, 0)):
            if other != index:
                wrong = proof.replace(f"\nindex {index}\n", f"\nindex {other}\n")
                assert not verify.verify_proof(wrong, entries[index], policy).ok
        assert not verify.verify_proof(
            proof, entries[index], own_policy(str(SigningKey.new("example.org/log", keys[0].type).vkey))
        ).ok
    (tmp_path / "proof").write_text(proof)
    (tmp_path / "entry").write_bytes(entries[index])
    options = ["--key", str(keys[0].vkey)]
    assert verify.main(["proof", str(tmp_path / "proof"), str(tmp_path / "entry"), *options]) == 0
    (tmp_path / "entry").write_bytes(b"another")
    assert verify.main(["proof", str(tmp_path / "proof"), str(tmp_path / "entry"), *options]) == 2


LOG = SigningKey.new("example.org/log", SignatureType.ED25519)
LATER = SigningKey.new("example.org/log", SignatureType.MLDSA44_COSIGNATURE)
W1, W2 = (SigningKey.new(f"w{n}.example.org", SignatureType.ED25519_COSIGNATURE) for n in (1, 2))
W3 = SigningKey.new("w3.example.org", SignatureType.MLDSA44_COSIGNATURE)
WITNESSES = f"witness a {W1.vkey}\nwitness b {W2.vkey} https://b\nwitness c {W3.vkey}\n"
POLICIES = [
    f"log {LOG.vkey}\nquorum none\n",
    f"# ours\nlog {LATER.vkey} https://x\n\nquorum none",
    f"log {LOG.vkey}\n{WITNESSES}quorum a\n",
    f"log {LOG.vkey}\n{WITNESSES}group g 2 a b c\nquorum g\n",
    f"log {LOG.vkey}\n{WITNESSES}group g any a b\ngroup h all g c\nquorum h\n",
    f"log {LOG.vkey}\n{WITNESSES}group g all a b c\nquorum g\n",
    f"log {LOG.vkey}\n",
    f"quorum none\nlog {LOG.vkey}\nquorum none\n",
    f"log {LOG.vkey}\nlog {LOG.vkey}\nquorum none\n",
    f"log {W1.vkey}\nquorum none\n",
    f"witness a {LOG.vkey}\nquorum none\n",
    f"{WITNESSES}group g 4 a b c\nquorum none\n",
    f"{WITNESSES}group g 2 a a\nquorum none\n",
    f"{WITNESSES}group g any a\ngroup h any a\nquorum none\n",
    f"{WITNESSES}group none any a\nquorum none\n",
    f"{WITNESSES}quorum d\n",
    f"log {str(LOG.vkey)[:-4]}AAA=\nquorum none\n",
    "loG x\nquorum none\n",
    f"log {LOG.vkey} a b\nquorum none\n",
    "quorum none\n",
]
SIGNERS: list[list[SigningKey]] = [[LOG], [LATER], [LOG, LATER], [LOG, W1], [LOG, W1, W3], [LOG, W1, W2, W3], [W1]]


def outcome(check: Callable[[], object], refusals: type[Exception]) -> bool:
    try:
        check()
    except refusals:
        return False
    return True


@pytest.mark.parametrize("number", range(len(POLICIES)))
def test_both_readings_of_a_policy_agree(number: int) -> None:
    text = POLICIES[number]
    read = outcome(lambda: TrustPolicy.from_text(text), Unproven)
    assert outcome(lambda: verify.Policy.from_text(text), verify.Wrong) == read
    if not read:
        return
    for keys in SIGNERS:
        note = signed(Checkpoint("example.org/log", 3, bytes(32)), keys, 1_800_000_000)
        for written in (note, Note(note.text, tuple(reversed(note.signatures)))):
            theirs = outcome(lambda: TrustPolicy.from_text(text).check(written), Unproven)  # noqa: B023
            checkpoint = verify.checkpoint_from(str(written))
            assert outcome(lambda: verify.Policy.from_text(text).check(checkpoint, []), verify.Wrong) == theirs  # noqa: B023


def test_without_ml_dsa_it_says_what_was_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mldsa", None)
    note = str(signed(Checkpoint("example.org/log", 3, bytes(32)), [LOG, LATER], 1_800_000_000))
    notes: list[str] = []
    assert own_policy(str(LOG.vkey), str(LATER.vkey)).check(verify.checkpoint_from(note), notes)
    assert "ML-DSA-44 signature of example.org/log was not checked" in notes[0]
    with pytest.raises(verify.NotChecked, match="cannot be checked here"):
        own_policy(str(LATER.vkey)).check(verify.checkpoint_from(note), [])
