"""Checkpoints, whose are trusted, and proofs against them, as C2SP writes them."""

from __future__ import annotations

from base64 import b64encode
from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit import (
    EMPTY_ROOT,
    Checkpoint,
    CheckpointInvalid,
    ConsistencyProof,
    LogProof,
    Note,
    NotSigned,
    NotTrusted,
    PolicyInvalid,
    ProofInvalid,
    SignatureInvalid,
    SigningKey,
    TrustPolicy,
    Unproven,
    consistency_proof,
    inclusion_proof,
    leaf_digest,
    verified_log_signatures,
)
from tests.audit.logs import COSIGNATURE, ED25519, KEYS, MLDSA44, NOW, ORIGIN, Log, entries, key

ROOT = b64encode(EMPTY_ROOT).decode()
LOG = Log(entries(300))
OURS = TrustPolicy.of_log(*(each.vkey for each in KEYS))


# --- checkpoints ---------------------------------------------------------------------------------------------------


def test_the_specification_s_checkpoint() -> None:
    """c2sp.org/tlog-checkpoint."""
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    checkpoint = Checkpoint.parse(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert checkpoint.root.hex() == "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"
    assert str(checkpoint) == text
    # c2sp.org/tlog-cosignature: what a cosigner signs of it.
    assert checkpoint.ed25519_cosigned(1_679_315_147) == f"cosignature/v1\ntime 1679315147\n{text}".encode()
    assert checkpoint.mldsa44_cosigned("w.example", 1_679_315_147) == bytes.fromhex(
        "737562747265652f76310a00"  # subtree/v1, newline, zero
        "09772e6578616d706c65"  # w.example
        "00000000641850cb"  # 1679315147
        "1b6578616d706c652e636f6d2f626568696e642d7468652d736f6661"  # example.com/behind-the-sofa
        "0000000000000000"  # from the first leaf
        "00000000013e2dc3"  # to the 20852163rd
        "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log\n1\n",
        f"log\n1\n{ROOT}",
        f"\n1\n{ROOT}\n",
        f"log\n\n{ROOT}\n",
        f"log\n01\n{ROOT}\n",
        f"log\n+1\n{ROOT}\n",
        f"log\n-1\n{ROOT}\n",
        f"log\n1 \n{ROOT}\n",
        f"log\n١\n{ROOT}\n",
        f"log\n{1 << 63}\n{ROOT}\n",
        f"log\n1\n{ROOT[:-4]}\n",
        f"log\n1\n{ROOT[:-1]}\n",
        f"log\n1\n {ROOT}\n",
        f"log\n1\n{ROOT[:-2]}V=\n",
        f"log\n1\n{ROOT}\n\n",
        f"log\n1\n{ROOT}\nmore\n\nmore\n",
    ],
)
def test_what_is_no_checkpoint(text: str) -> None:
    with pytest.raises(CheckpointInvalid):
        Checkpoint.parse(text)


def test_further_lines_are_kept() -> None:
    text = f"log\n{(1 << 63) - 1}\n{ROOT}\nmore\nlines\n"
    assert Checkpoint.parse(text).extension == "more\nlines\n"
    assert str(Checkpoint.parse(text)) == text


def test_a_log_is_known_by_its_keys_name() -> None:
    note = LOG.checkpoint()
    checkpoint, verified = verified_log_signatures(note, OURS_VKEYS)
    assert checkpoint.size == 300
    assert [each.at for each in verified] == [None, NOW]
    with pytest.raises(NotSigned):
        verified_log_signatures(note, [key(ED25519, seed=2).vkey])
    elsewhere = key(ED25519, "another.example/0")
    signed_elsewhere = LOG.checkpoint(keys=[elsewhere])
    with pytest.raises(NotSigned):
        verified_log_signatures(signed_elsewhere, [elsewhere.vkey])
    damaged = Note(note.text.replace("\n300\n", "\n301\n"), note.signatures)
    with pytest.raises(SignatureInvalid):
        verified_log_signatures(damaged, OURS_VKEYS)


OURS_VKEYS = [each.vkey for each in KEYS]


# --- whose are trusted ---------------------------------------------------------------------------------------------

WITNESSES = {
    name: key(type_, f"{name.lower()}.example", seed)
    for seed, (name, type_) in enumerate(
        zip(("X1", "X2", "X3", "Y1", "Y2", "Y3"), (COSIGNATURE, MLDSA44) * 3, strict=True), start=10
    )
}
POLICY = f"""
# The example of c2sp.org/tlog-policy.
log {KEYS[0].vkey}
\tlog  {KEYS[1].vkey}\thttps://log.example/0

witness X1 {WITNESSES["X1"].vkey} https://x1.example/
witness X2 {WITNESSES["X2"].vkey}
witness X3 {WITNESSES["X3"].vkey}
group X-witnesses 2 X1 X2 X3

witness Y1 {WITNESSES["Y1"].vkey}
witness Y2 {WITNESSES["Y2"].vkey}
witness Y3 {WITNESSES["Y3"].vkey}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def cosigned(*names: str) -> Note:
    note = LOG.checkpoint()
    return note.with_signatures(WITNESSES[name].sign(note.text, NOW + 1) for name in names)


def test_every_set_of_witnesses_suffices_or_not_as_the_policy_says() -> None:
    policy = TrustPolicy.from_text(POLICY)
    signatures = {name: cosigned(name).signatures[-1] for name in WITNESSES}
    for names in chain.from_iterable(combinations(WITNESSES, count) for count in range(len(WITNESSES) + 1)):
        note = LOG.checkpoint().with_signatures(signatures[name] for name in names)
        of_x, of_y = (sum(name.startswith(letter) for name in names) for letter in "XY")
        if of_x >= 2 and of_y >= 1:
            trusted = policy.check(note)
            assert trusted.checkpoint.size == 300
            assert {name: found.at for name, found in trusted.cosigned.items()} == dict.fromkeys(names, NOW + 1)
        else:
            with pytest.raises(NotTrusted, match="X-and-Y has not cosigned"):
                policy.check(note)


def test_a_policy_says_who_signed_and_where_they_are() -> None:
    policy = TrustPolicy.from_text(POLICY)
    assert [(str(log.key), log.url) for log in policy.logs] == [
        (str(KEYS[0].vkey), None),
        (str(KEYS[1].vkey), "https://log.example/0"),
    ]
    assert (policy.witnesses["X1"].url, policy.witnesses["X2"].url) == ("https://x1.example/", None)
    with pytest.raises(NotTrusted) as refused:
        policy.check(cosigned("X1", "Y2"))
    assert str(refused.value) == "the policy's quorum X-and-Y has not cosigned: X1, Y2 did"
    with pytest.raises(NotTrusted, match=f"{ORIGIN} is not signed by a log that the policy names"):
        policy.check(LOG.checkpoint(keys=[key(ED25519, seed=2)]))


def test_one_witness_can_be_the_quorum_and_none_can() -> None:
    lines = POLICY.replace("quorum X-and-Y", "")
    assert list(TrustPolicy.from_text(f"{lines}quorum Y2").check(cosigned("X1", "Y2")).cosigned) == ["X1", "Y2"]
    with pytest.raises(NotTrusted):
        TrustPolicy.from_text(f"{lines}quorum Y2").check(cosigned("X1", "Y1"))
    assert TrustPolicy.from_text(f"{lines}quorum none").check(cosigned()).cosigned == {}


def test_a_known_witness_whose_signature_is_wrong_spoils_the_checkpoint() -> None:
    """Even where the others would suffice: the note is damaged, or somebody tried something."""
    note = cosigned("X1", "X2", "Y1", "Y2")
    other = WITNESSES["Y2"].sign(LOG.checkpoint(299).text, NOW)
    with pytest.raises(SignatureInvalid):
        TrustPolicy.from_text(POLICY).check(note.with_signatures([other]))


def test_a_witness_s_name_and_the_log_s_are_no_part_of_the_policy_s_names() -> None:
    """A witness that signs under another key does not count, whatever it is called."""
    impostor = key(COSIGNATURE, "x1.example", 99)
    note = cosigned("X2", "Y1")
    with pytest.raises(NotTrusted):
        TrustPolicy.from_text(POLICY).check(note.with_signatures([impostor.sign(note.text, NOW)]))


W, V = WITNESSES["X1"].vkey, WITNESSES["X2"].vkey


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no line `quorum`"),
        (f"log {KEYS[0].vkey}\n", "has no line `quorum`"),
        ("quorum none\nquorum none\n", "line 2 of the trust policy: there is a line `quorum` already"),
        ("quorum X\n", "no line above defines X"),
        ("log\nquorum none\n", "`log` does not have the words"),
        ("log nonsense\nquorum none\n", "line 1 of the trust policy: a key is a name"),
        (f"log {W}\nquorum none\n", "a log signs with keys of type 0x01 or 0x06"),
        (f"log {KEYS[0].vkey}\nlog {KEYS[0].vkey}\nquorum none\n", "a log of this key is named already"),
        (f"witness X {KEYS[0].vkey}\nquorum none\n", "a witness cosigns with keys of type 0x04 or 0x06"),
        (f"witness X {W}\nwitness Y {W}\nquorum none\n", "a witness of this key is named already"),
        (f"witness X {W}\nwitness X {V}\nquorum none\n", "the name X is taken"),
        (f"witness none {W}\nquorum none\n", "the name none is taken"),
        (f"witness X {W}\ngroup X any X\nquorum none\n", "the name X is taken"),
        ("group G any none\nquorum none\n", "no line above defines none"),
        (f"group G any X\nwitness X {W}\nquorum none\n", "line 1 of the trust policy: no line above defines X"),
        (f"witness X {W}\ngroup G any X\ngroup H any X\nquorum none\n", "X is a member already"),
        (f"witness X {W}\ngroup G any X X\nquorum none\n", "X is a member already"),
        (f"witness X {W}\ngroup G 2 X\nquorum none\n", "a number from 1 to 1"),
        (f"witness X {W}\ngroup G 0 X\nquorum none\n", "a number from 1 to 1"),
        (f"witness X {W}\ngroup G 01 X\nquorum none\n", "a number from 1 to 1"),
        (f"witness X {W}\ngroup G 1\nquorum none\n", "`group` does not have the words"),
        ("quorum none none\n", "`quorum` does not have the words"),
        ("quorum none\r\n", "control character"),
        ("wittness X\nquorum none\n", "`wittness` is not log, witness, group or quorum"),
        (f"witness X \udcff{W}\nquorum none\n", "line 1 of the trust policy"),
    ],
)
def test_what_is_no_policy(text: str, said: str) -> None:
    with pytest.raises(PolicyInvalid) as refused:
        TrustPolicy.from_text(text)
    assert said in str(refused.value)


def test_names_of_a_policy_need_not_be_text() -> None:
    """They are octets that mean nothing outside the file."""
    policy = TrustPolicy.from_text(f"log {KEYS[0].vkey}\nwitness \udcff {W}\nquorum \udcff\n")
    assert list(policy.check(cosigned("X1")).cosigned) == ["\udcff"]


# --- proofs --------------------------------------------------------------------------------------------------------


def proven(index: int, keys: tuple[SigningKey, ...] = KEYS, extra: bytes | None = None) -> LogProof:
    return LogProof(index, tuple(inclusion_proof(LOG.tree, index, 300)), LOG.checkpoint(keys=keys), extra)


def test_a_proof_as_the_specification_writes_it() -> None:
    """c2sp.org/tlog-proof."""
    proof = proven(297, extra=b"whatever")
    head, gap, checkpoint = proof.to_text().partition("\n\n")
    lines = head.split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra d2hhdGV2ZXI=", "index 297"]
    assert lines[3:] == [b64encode(digest).decode() for digest in inclusion_proof(LOG.tree, 297, 300)]
    assert (gap, checkpoint) == ("\n\n", str(proof.checkpoint))
    assert LogProof.from_text(proof.to_text()) == proof


@pytest.mark.parametrize("size", [1, 300])
def test_proofs_read_as_they_were_written_and_verify(size: int) -> None:
    log = Log(entries(size))
    for index in (0, size - 1):
        proof = LogProof(index, tuple(inclusion_proof(log.tree, index, size)), log.checkpoint())
        assert LogProof.from_text(proof.to_text()) == proof
        assert proof.verify(leaf_digest(log.entries[index]), OURS).checkpoint.size == size
        with pytest.raises(ProofInvalid):
            proof.verify(leaf_digest(b"another entry"), OURS)


ONE_KEY = proven(77, keys=KEYS[:1]).to_text()


@given(st.data())
def test_not_a_character_of_a_proof_can_be_changed(data: st.DataObject) -> None:
    """One signature, and no `extra`: all that nobody has signed is left out."""
    begin = data.draw(st.integers(0, len(ONE_KEY)))
    end = data.draw(st.integers(begin, min(begin + 3, len(ONE_KEY))))
    put = data.draw(st.one_of(st.just(""), st.sampled_from(["\n", " ", "\r", "=", "0", "A", "—", "+"]), st.text()))
    made = ONE_KEY[:begin] + put + ONE_KEY[end:]
    if made != ONE_KEY:
        with pytest.raises(Unproven):
            LogProof.from_text(made).verify(leaf_digest(LOG.entries[77]), TrustPolicy.of_log(KEYS[0].vkey))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"), "begins with the line"),
        (("index 77\n", ""), "line `index`"),
        (("index 77", "index 077"), "decimal"),
        (("index 77", "index -1"), "decimal"),
        (("index 77", "extra !\nindex 77"), "line `extra`"),
        (("index 77", f"index 77\n{b64encode(bytes(31)).decode()}"), "SHA-256 in base64"),
        (("index 77", f"index 77\n{ROOT} "), "SHA-256 in base64"),
        (("index 77", "index 77" + f"\n{ROOT}" * 60), "at most 63 hashes"),
        ((f"\n\n{ORIGIN}", f"\n{ORIGIN}"), "a text, an empty line"),
        ((f"\n\n{ORIGIN}\n", "\n\n"), "origin"),
        ((ONE_KEY, ""), "empty line"),
        ((ONE_KEY, "c2sp.org/tlog-proof@v1\n\n"), "a text, an empty line"),
    ],
)
def test_what_is_no_proof(change: tuple[str, str], said: str) -> None:
    with pytest.raises(Unproven, match=said):
        LogProof.from_text(ONE_KEY.replace(*change, 1))


def test_a_checkpoint_continues_an_older_one() -> None:
    older = LOG.checkpoint(129)
    proof = ConsistencyProof(129, tuple(consistency_proof(LOG.tree, 129, 300)), LOG.checkpoint())
    text = proof.to_text()
    assert text.startswith("old 129\n")
    assert ConsistencyProof.from_text(text) == proof
    before, after = proof.verify(older, OURS)
    assert (before.checkpoint.size, after.checkpoint.size) == (129, 300)


def test_what_does_not_continue_an_older_checkpoint() -> None:
    proof = ConsistencyProof(129, tuple(consistency_proof(LOG.tree, 129, 300)), LOG.checkpoint())
    fork = Log([*entries(128), b"another entry"])
    with pytest.raises(ProofInvalid, match="does not lead to the root of 129 leaves"):
        proof.verify(fork.checkpoint(), OURS)
    with pytest.raises(ProofInvalid, match="continues 129 leaves, the older checkpoint has 128"):
        proof.verify(LOG.checkpoint(128), OURS)
    with pytest.raises(NotTrusted):
        proof.verify(LOG.checkpoint(129, keys=[key(ED25519, seed=2)]), OURS)
    with pytest.raises(SignatureInvalid):
        proof.verify(Note(LOG.checkpoint(128).text, LOG.checkpoint(129).signatures), OURS)

    elsewhere = key(ED25519, "another.example/0")
    other = Checkpoint("another.example/0", 129, Checkpoint.parse(LOG.checkpoint(129).text).root).body()
    both = TrustPolicy.of_log(*OURS_VKEYS, elsewhere.vkey)
    with pytest.raises(ProofInvalid, match=f"a checkpoint of {ORIGIN} continues none of another.example/0"):
        proof.verify(Note(other, (elsewhere.sign(other, NOW),)), both)
