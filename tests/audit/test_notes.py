"""Signed notes and keys are C2SP's and those of Go's note package, whose published examples stand here."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit import (
    CheckpointInvalid,
    KeyInvalid,
    Note,
    NoteInvalid,
    Signature,
    SignatureInvalid,
    SignatureType,
    SigningKey,
    VerifierKey,
    is_key_name,
)
from tests.audit.logs import COSIGNATURE, ED25519, KEYS, MLDSA44, NOW, ORIGIN, Log, entries, key

# c2sp.org/signed-note, and the example of golang.org/x/mod/sumdb/note.
SPECIFICATION = (
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    (
        "This is an example message.\n\n— example.com/foo "
        "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    ),
)
GO = (
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    (
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— "
        "PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    ),
)
GO_SIGNS = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
"""Published with the example; it keeps nothing secret."""
SIGNED = f"— {ORIGIN} {b64encode(bytes(68)).decode()}\n"
CHECKPOINT = Log(entries(3)).checkpoint().text
EVERY_TYPE = list(SignatureType)


@pytest.mark.parametrize(("vkey", "written"), [SPECIFICATION, GO], ids=["C2SP", "Go"])
def test_published_notes_verify(vkey: str, written: str) -> None:
    note, verifier = Note.parse(written), VerifierKey.from_text(vkey)
    (signature,) = note.signatures
    assert verifier.made(signature)
    assert verifier.verify(note.text, signature.value) is None
    assert (str(note), str(verifier)) == (written, vkey)
    with pytest.raises(SignatureInvalid, match="was not made by its key over this text"):
        verifier.verify(note.text + "\n", signature.value)


def test_a_published_key_signs_as_go_does() -> None:
    signing = SigningKey.from_text(f"{GO_SIGNS}\n")
    assert str(signing.vkey) == GO[0]
    assert signing.secret_text() == GO_SIGNS
    text = Note.parse(GO[1]).text
    assert str(Note(text, (signing.sign(text, NOW),))) == GO[1]


# --- notes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "a text, an empty line, and signature lines"),
        ("text\n", "a text, an empty line"),
        (f"text\n{SIGNED}", "a text, an empty line"),
        ("text\n\n", "a text, an empty line"),
        (f"text\n\n{SIGNED}"[:-1], "each with its newline"),
        (f"text\n\n{SIGNED}more\n", "a signature line has"),
        (f"text\n\n{SIGNED}".replace("— ", "- "), "a signature line has"),
        (f"text\n\n{SIGNED}".replace("— ", "—  "), "a signature line has"),
        (f"text\n\n{SIGNED}".replace(ORIGIN, "with+plus"), "a signature line has"),
        (f"text\n\n— {ORIGIN} {b64encode(bytes(4)).decode()}\n", "a signature line has"),
        (f"text\n\n— {ORIGIN} AAAAAAB=\n", "a signature line has"),
        (f"te\txt\n\n{SIGNED}", "no control characters"),
        (f"text\r\n\n{SIGNED}", "no control characters"),
        (f"te\ud800xt\n\n{SIGNED}", "no control characters"),
        (f"{'x' * 1_000_000}\n\n{SIGNED}", "at most 1000000 bytes"),
        (f"text\n\n{SIGNED * 101}", "at most 100 signatures"),
    ],
)
def test_what_is_no_signed_note(written: str, said: str) -> None:
    with pytest.raises(NoteInvalid, match=said):
        Note.parse(written)


def test_the_text_ends_with_the_last_empty_line() -> None:
    note = Note.parse(f"first\n\nsecond\n\n{SIGNED}{SIGNED}")
    assert note.text == "first\n\nsecond\n"
    assert len(note.signatures) == 2


@given(
    st.text(st.characters(exclude_categories=("Cs",), min_codepoint=0x20)),
    st.lists(st.tuples(st.sampled_from(["a", "é.example/1"]), st.binary(min_size=5, max_size=90)), min_size=1),
)
def test_a_note_reads_as_it_was_written(line: str, signatures: list[tuple[str, bytes]]) -> None:
    note = Note(f"{line}\n", tuple(Signature(name, value[:4], value[4:]) for name, value in signatures))
    assert Note.parse(str(note)) == note


def test_a_key_s_newer_signature_takes_the_older_one_s_place() -> None:
    one, two = Signature("one", b"1111", b"a"), Signature("two", b"1111", b"b")
    again, other = Signature("one", b"1111", b"c"), Signature("one", b"2222", b"d")
    assert Note("text\n", (one, two)).with_signatures((again, other)).signatures == (again, two, other)


# --- keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", EVERY_TYPE)
def test_keys_are_written_and_read(type_: SignatureType) -> None:
    signing = SigningKey.new("log.example/1", type_)
    assert SigningKey.from_text(signing.secret_text()) == signing
    assert VerifierKey.from_text(str(signing.vkey)) == signing.vkey
    assert SigningKey.new("log.example/1", type_).seed != signing.seed


@pytest.mark.parametrize("type_", EVERY_TYPE)
def test_a_key_is_known_by_its_name_its_type_and_itself(type_: SignatureType) -> None:
    ids = {key(type_).vkey.key_id, key(type_, seed=2).vkey.key_id, key(type_, name="other").vkey.key_id}
    ids |= {key(other).vkey.key_id for other in EVERY_TYPE}
    assert len(ids) == 5


@pytest.mark.parametrize("name", ["", "a b", "a\u00a0b", "a\u2003b", "a\u2028b", "a+b", "a\x1fb", "a\nb", "a\ud800b"])
def test_no_key_is_called_so(name: str) -> None:
    assert not is_key_name(name)
    with pytest.raises(KeyInvalid):
        SigningKey.new(name, ED25519)
    with pytest.raises(KeyInvalid):
        VerifierKey(name, ED25519, bytes(32))


VKEY = str(key(ED25519).vkey)
OTHER_ID = VKEY.replace(key(ED25519).vkey.key_id.hex(), "00000000")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        VKEY.rsplit("+", 1)[0],
        OTHER_ID,
        VKEY.upper(),
        f"{VKEY}AAAA",
        VKEY[:-1],
        f"{VKEY}\n",
        f"name+00000000+{b64encode(bytes((2,)) + bytes(32)).decode()}",
        f"name+00000000+{b64encode(bytes((6,)) + bytes(32)).decode()}",
        f"name+00000000+{b64encode(b'').decode()}",
        f"na\udcffme+00000000+{b64encode(bytes((1,)) + bytes(32)).decode()}",
    ],
)
def test_what_is_no_verifier_key(text: str) -> None:
    with pytest.raises(KeyInvalid):
        VerifierKey.from_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        VKEY,
        GO_SIGNS.replace("PRIVATE", "PUBLIC"),
        GO_SIGNS.replace("c74f20a3", "c74f20a4"),
        GO_SIGNS.replace("PeterNeumann", "Peter"),
        GO_SIGNS[:-4],
        GO_SIGNS.replace("AYEK", "ByEK"),
    ],
)
def test_what_is_no_signing_key_and_no_error_quotes_it(text: str) -> None:
    with pytest.raises(KeyInvalid) as refused:
        SigningKey.from_text(text)
    assert "FALVFGyN" not in str(refused.value)


def test_a_key_shown_by_accident_shows_no_secret() -> None:
    signing = SigningKey.from_text(GO_SIGNS)
    assert "seed" not in repr(signing)
    assert "FALVFGyN" not in repr(signing)
    assert repr(signing.seed) not in repr(signing)


# --- signatures of each type ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", EVERY_TYPE)
def test_a_checkpoint_s_signature_verifies_and_none_of_anything_else(type_: SignatureType) -> None:
    signing = key(type_)
    signature = signing.sign(CHECKPOINT, NOW)
    assert signing.vkey.made(signature)
    assert signing.vkey.verify(CHECKPOINT, signature.value) == (None if type_ is ED25519 else NOW)

    other_text = CHECKPOINT.replace("\n3\n", "\n4\n")
    elsewhere = CHECKPOINT.replace(ORIGIN, "another.example/0")
    for text in (other_text, elsewhere, "no checkpoint\n"):
        with pytest.raises(SignatureInvalid):
            signing.vkey.verify(text, signature.value)
    for at in (0, 7, 8, len(signature.value) - 1):
        damaged = bytearray(signature.value)
        damaged[at] ^= 1
        with pytest.raises(SignatureInvalid):
            signing.vkey.verify(CHECKPOINT, bytes(damaged))
    for value in (b"", signature.value[:7], signature.value[:-1], signature.value + b"\0"):
        with pytest.raises(SignatureInvalid, match="does not have the length of its type"):
            signing.vkey.verify(CHECKPOINT, value)
    with pytest.raises(SignatureInvalid):
        key(type_, seed=2).vkey.verify(CHECKPOINT, signature.value)


def test_types_of_one_key_do_not_pass_for_each_other() -> None:
    """An Ed25519 key may sign as 0x01 and as 0x04; what one signed says nothing for the other."""
    plain, cosigning = key(ED25519), key(COSIGNATURE)
    assert plain.vkey.public == cosigning.vkey.public
    cosigned = cosigning.sign(CHECKPOINT, NOW)
    assert not plain.vkey.made(cosigned)
    with pytest.raises(SignatureInvalid):
        plain.vkey.verify(CHECKPOINT, cosigned.value[8:])


def test_a_cosignature_with_mldsa_names_its_cosigner() -> None:
    """Of two names with one key neither can pass off the other's cosignature as its own."""
    one, other = key(MLDSA44, "one.example"), key(MLDSA44, "other.example")
    assert one.vkey.public == other.vkey.public
    with pytest.raises(SignatureInvalid):
        other.vkey.verify(CHECKPOINT, one.sign(CHECKPOINT, NOW).value)


def test_an_instant_beyond_the_specification_s_is_refused() -> None:
    at = (1 << 63) - 1
    cosigning = key(COSIGNATURE)
    assert cosigning.vkey.verify(CHECKPOINT, cosigning.sign(CHECKPOINT, at).value) == at
    with pytest.raises(SignatureInvalid):
        cosigning.vkey.verify(CHECKPOINT, cosigning.sign(CHECKPOINT, at + 1).value)


@pytest.mark.parametrize("type_", [COSIGNATURE, MLDSA44])
def test_only_checkpoints_are_cosigned(type_: SignatureType) -> None:
    with pytest.raises(CheckpointInvalid):
        key(type_).sign("no checkpoint\n", NOW)
    with pytest.raises(CheckpointInvalid, match="names of 1 to 255 bytes"):
        key(MLDSA44, "n" * 256).sign(CHECKPOINT, NOW)


def test_a_log_signs_with_all_its_keys() -> None:
    note = Log(entries(3)).checkpoint()
    assert [signature.key_id for signature in note.signatures] == [each.vkey.key_id for each in KEYS]
    assert Note.parse(str(note)) == note
