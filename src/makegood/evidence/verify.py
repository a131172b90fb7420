#!/usr/bin/env python3
"""Verifies what Makegood's ledger was signed for: an exported log, a proof that an entry is in one, a pack of them.

    python verify.py log FOLDER --policy POLICY        every entry, tile and hash of an exported log
    python verify.py proof PROOF ENTRY --key VKEY      that one entry, a file with its bytes, is in the log
    python verify.py pack FILE.zip --policy POLICY     an evidence pack: proofs, accounts, terms, amounts, sample

It needs Python 3.11 and the package `cryptography`, and neither a database nor a server nor any part of Makegood, so
that nobody who checks the ledger has to believe the program that wrote it. `--policy` is a C2SP tlog-policy, which
names the keys of logs and witnesses; `--key` is a verifier key of the log, and may come several times. Get them from
whoever audits, not from where the log came from. `--checkpoint FILE` holds a folder to a checkpoint that you kept.

Exit code 0: all of it holds. 2: something does not, and is named. 1: it could not be checked. 64: wrong usage.

The formats are C2SP's (c2sp.org): signed-note, tlog-checkpoint, tlog-cosignature, tlog-tiles, tlog-proof and
tlog-policy; the tree is that of RFC 6962. ML-DSA-44 signatures need a `cryptography` that has them, as version 50
does; with an older one they are not checked, do not count, and are told of.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import csv
import io
import json
import re
import sys
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfoNotFoundError

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from makegood.evidence.recalculation import Recalculation, terms_from
from makegood.evidence.resettlement import Resettlement

SOUND, COULD_NOT_CHECK, MISMATCH, USAGE = 0, 1, 2, 64
WIDTH = 256
DIGEST = 32
ED25519, COSIGNATURE, ML_DSA_44 = 1, 4, 6
KEY_BYTES = {ED25519: 32, COSIGNATURE: 32, ML_DSA_44: 1312}
SIGNATURE_BYTES = {ED25519: 64, COSIGNATURE: 64, ML_DSA_44: 2420}
LARGEST = 2**63 - 1


class Wrong(Exception):
    """Something does not hold."""


class NotChecked(Exception):
    """Something could not be checked; the message says what is missing."""


# --- the tree of RFC 6962 ------------------------------------------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees together."""
    return sha256(b"\x01" + left + right).digest()


def root_from(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to. Raises Wrong where it has too many or too few hashes."""
    if not 0 <= index < size:
        raise Wrong(f"entry {index} is not among the {size} of the checkpoint")
    if size == 1:
        if proof:
            raise Wrong("the proof has more hashes than the tree has levels")
        return leaf
    if not proof:
        raise Wrong("the proof has fewer hashes than the tree has levels")
    left_size = 1
    while left_size * 2 < size:
        left_size *= 2
    if index < left_size:
        return node_hash(root_from(leaf, index, left_size, proof[:-1]), proof[-1])
    return node_hash(proof[-1], root_from(leaf, index - left_size, size - left_size, proof[:-1]))


class Growing:
    """The root of a tree to which leaves are appended."""

    def __init__(self) -> None:
        self._subtrees: list[tuple[int, bytes]] = []

    def append(self, digest: bytes, leaves: int = 1) -> None:
        """Append a complete subtree of so many leaves."""
        while self._subtrees and self._subtrees[-1][0] == leaves:
            digest = node_hash(self._subtrees.pop()[1], digest)
            leaves *= 2
        self._subtrees.append((leaves, digest))

    def root(self) -> bytes:
        """The root of all leaves so far."""
        if not self._subtrees:
            return sha256(b"").digest()
        digest = self._subtrees[-1][1]
        for _, left in reversed(self._subtrees[:-1]):
            digest = node_hash(left, digest)
        return digest


# --- signed notes, checkpoints and keys ----------------------------------------------------------------------------


def exact_base64(text: str) -> bytes | None:
    """What base64 stands for; None where it is not written as it would be."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if base64.b64encode(value).decode() == text else None


def exact_number(text: str) -> int:
    """A number in decimal. Raises Wrong."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text, re.ASCII) or int(text) > LARGEST:
        raise Wrong(f"{text[:30]!r} is not a number as checkpoints have it")
    return int(text)


class Signature(NamedTuple):
    """A signature line of a note."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True)
class Checkpoint:
    """A signed note, and what it says of a log."""

    text: str
    signatures: list[Signature]
    origin: str
    size: int
    root: bytes


def checkpoint_from(written: str) -> Checkpoint:
    """A checkpoint from its file. Raises Wrong; verifies no signature."""
    text, gap, below = written.rpartition("\n\n")
    if not gap or not below.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", written) or len(written) > 1_000_000:
        raise Wrong("this is not a signed note: a text, an empty line, and signature lines")
    signatures: list[Signature] = []
    for line in below[:-1].split("\n"):
        parts = line.split(" ")
        value = exact_base64(parts[2]) if len(parts) == 3 and parts[0] == "—" and key_name(parts[1]) else None
        if value is None or len(value) < 5 or len(signatures) == 100:
            raise Wrong("a signature line of the note cannot be read, or there are more than 100")
        signatures.append(Signature(parts[1], value[:4], value[4:]))
    text += "\n"
    lines = text.split("\n")
    root = exact_base64(lines[2]) if len(lines) > 3 else None
    if root is None or len(root) != DIGEST or not all(lines[:-1]):
        raise Wrong("this note is not a checkpoint: an origin, a size and a root, a line each")
    return Checkpoint(text, signatures, lines[0], exact_number(lines[1]), root)


def key_name(name: str) -> bool:
    """Whether a key may have this name."""
    return bool(name) and not re.search(r"[\s+\x00-\x1f]", name)


@dataclass(frozen=True)
class Key:
    """A verifier key."""

    name: str
    key_id: bytes
    kind: int
    public: bytes

    @classmethod
    def from_text(cls, vkey: str) -> Key:
        """A key from its vkey. Raises Wrong."""
        parts = vkey.split("+", 2)
        value = exact_base64(parts[2]) if len(parts) == 3 else None
        if value is None or not key_name(parts[0]) or KEY_BYTES.get(value[0] if value else 0) != len(value) - 1:
            raise Wrong("this is not a verifier key: NAME+ID+KEY, of a type that is known here")
        key_id = sha256(parts[0].encode() + b"\n" + value).digest()[:4]
        if key_id.hex() != parts[1]:
            raise Wrong(f"the id of the key {parts[0]} does not follow from its name and its bytes")
        return cls(parts[0], key_id, value[0], value[1:])

    def verify(self, checkpoint: Checkpoint, value: bytes) -> int | None:
        """Verify a signature; a cosignature's instant in seconds since 1970. Raises Wrong and NotChecked."""
        at = None
        signature, message = value, checkpoint.text.encode()
        if self.kind != ED25519:
            at, signature = int.from_bytes(value[:8], "big"), value[8:]
            message = b"cosignature/v1\ntime %d\n" % at + message
        if self.kind == ML_DSA_44:
            name, origin = self.name.encode(), checkpoint.origin.encode()
            if max(len(name), len(origin)) > 255:
                raise Wrong(f"{self.name} cannot have signed a name of more than 255 bytes")
            message = (
                b"subtree/v1\n\x00"
                + bytes([len(name)])
                + name
                + value[:8]
                + bytes([len(origin)])
                + origin
                + bytes(8)
                + checkpoint.size.to_bytes(8, "big")
                + checkpoint.root
            )
        if len(signature) != SIGNATURE_BYTES[self.kind] or (at or 0) > LARGEST:
            raise Wrong(f"the signature of {self.name} has not the length of its type")
        try:
            self._public_key().verify(signature, message)
        except InvalidSignature:
            raise Wrong(f"the signature of {self.name} was not made by its key over this checkpoint") from None
        return at

    def _public_key(self) -> Any:
        if self.kind != ML_DSA_44:
            return Ed25519PublicKey.from_public_bytes(self.public)
        try:
            from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

            return MLDSA44PublicKey.from_public_bytes(self.public)
        except (ImportError, UnsupportedAlgorithm):
            raise NotChecked(
                f"the ML-DSA-44 signature of {self.name} was not checked: this `cryptography` does not have ML-DSA-44"
            ) from None


# --- whose signatures count ----------------------------------------------------------------------------------------


@dataclass
class Policy:
    """The keys of logs, and which witnesses must have cosigned."""

    logs: list[Key] = field(default_factory=list)
    witnesses: dict[str, Key] = field(default_factory=dict)
    groups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    quorum: str = "none"

    @classmethod
    def from_text(cls, text: str) -> Policy:
        """A policy from a tlog-policy. Raises Wrong."""
        policy = cls()
        quorums: list[str] = []
        grouped: set[str] = set()
        for number, line in enumerate(text.split("\n"), 1):
            words = [word for word in re.split(r"[ \t]+", line) if word]
            if not words or words[0].startswith("#"):
                continue
            known = {*policy.witnesses, *policy.groups}
            if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", line):
                raise Wrong(f"line {number} of the policy has a control character")
            match words:
                case ["log", vkey] | ["log", vkey, _]:
                    key = Key.from_text(vkey)
                    taken = [each.public for each in policy.logs]
                    policy.logs.append(key)
                    fits = key.kind != COSIGNATURE and key.public not in taken
                case ["witness", name, vkey] | ["witness", name, vkey, _]:
                    key = Key.from_text(vkey)
                    taken = [each.public for each in policy.witnesses.values()]
                    fits = key.kind != ED25519 and key.public not in taken and name not in {*known, "none"}
                    policy.witnesses[name] = key
                case ["group", name, needed, *members] if members:
                    count = {"any": 1, "all": len(members)}.get(needed)
                    if count is None:
                        count = int(needed) if re.fullmatch(r"[1-9][0-9]{0,5}", needed, re.ASCII) else 0
                    fits = name not in {*known, "none"} and 1 <= count <= len(members) and {*members} <= known
                    fits = fits and not grouped & {*members} and len({*members}) == len(members)
                    grouped |= {*members}
                    policy.groups[name] = (count, members)
                case ["quorum", name]:
                    quorums.append(name)
                    fits = len(quorums) == 1 and name in {*known, "none"}
                case _:
                    fits = False
            if not fits:
                raise Wrong(f"line {number} of the policy is not one of C2SP's tlog-policy")
        if not quorums:
            raise Wrong("the policy has no line `quorum`")
        policy.quorum = quorums[0]
        return policy

    def check(self, checkpoint: Checkpoint, notes: list[str]) -> list[str]:
        """Verify every signature by a known key; who signed. Raises Wrong, NotChecked where what is left is too few.

        What could not be checked is added to `notes`.
        """
        unchecked: set[Key] = set()
        at: dict[Key, int | None] = {}
        own = [key for key in self.logs if key.name == checkpoint.origin]
        for key in (*own, *self.witnesses.values()):
            for signature in checkpoint.signatures:
                if (signature.name, signature.key_id) == (key.name, key.key_id):
                    try:
                        at[key] = key.verify(checkpoint, signature.value)
                    except NotChecked as why:
                        unchecked.add(key)
                        notes.append(str(why))
        signed = {name for name, key in self.witnesses.items() if key in at}
        possible = signed | {name for name, key in self.witnesses.items() if key in unchecked}
        if not any(key in at for key in own):
            if any(key in unchecked for key in own):
                raise NotChecked(f"of {checkpoint.origin} there are only signatures that cannot be checked here")
            raise Wrong(f"the checkpoint is not signed by a known key of the log {checkpoint.origin}")
        if not self._met(self.quorum, signed):
            if self._met(self.quorum, possible):
                raise NotChecked("too few cosignatures can be checked here for the policy's quorum")
            raise Wrong(
                f"the policy's quorum {self.quorum} has not cosigned: {', '.join(sorted(signed)) or 'nobody'} did"
            )
        return [checkpoint.origin, *sorted(signed)]

    def _met(self, name: str, signed: set[str]) -> bool:
        if name not in self.groups:
            return name == "none" or name in signed
        needed, members = self.groups[name]
        return sum(self._met(member, signed) for member in members) >= needed


# --- an exported log -----------------------------------------------------------------------------------------------


def path_of(level: int | str, number: int, width: int = WIDTH) -> str:
    """Where a tile or a bundle of entries lies in a folder."""
    path = f"{number % 1000:03}"
    while number >= 1000:
        number //= 1000
        path = f"x{number % 1000:03}/{path}"
    return f"tile/{level}/{path}" + ("" if width == WIDTH else f".p/{width}")


def entries_of(bundle: bytes) -> Iterator[bytes]:
    """The entries of a bundle. Raises Wrong."""
    at = 0
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
        if end > len(bundle):
            raise Wrong("it ends within an entry")
        yield bundle[at + 2 : end]
        at = end


class Bad(NamedTuple):
    """Something that does not hold. A position is counted from 1."""

    position: int | None
    account: str | None
    what: str


MISSING_MAX = 1_000
"""So many bundles may be missing and are told one by one. More are told at once, so that no checkpoint keeps the
verifier busy for ever."""


class Log:
    """An exported log, whose entries are hashed anew."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size
        self.bad: list[Bad] = []
        self._accounts: dict[str, tuple[int, str]] = {}
        """Of each account the position and hash of its last entry."""
        self._breaks: list[tuple[str, int, int]] = []
        self._changed: set[int] = set()
        self._texts: dict[tuple[str, int], str] = {}
        self._decided: dict[tuple[str, int, str], list[tuple[int, str]]] = {}
        self._who: dict[int, str] = {}

    def root(self) -> bytes:
        """Read and check everything; the root that the entries make."""
        growing = Growing()
        row: list[bytes] = []
        for number in range(-(-self._size // WIDTH)):
            width = min(WIDTH, self._size - number * WIDTH)
            leaves = self._bundle(number, width)
            self._tile(0, number, leaves)
            self._who.clear()
            for leaf in leaves:
                growing.append(leaf)
            if width == WIDTH:
                row.append(subtree(leaves))
        level = 1
        while row:
            tiles = [row[at : at + WIDTH] for at in range(0, len(row), WIDTH)]
            for number, hashes in enumerate(tiles):
                self._tile(level, number, hashes)
            row = [subtree(hashes) for hashes in tiles if len(hashes) == WIDTH]
            level += 1
        self._blame()
        self._agreements()
        return growing.root()

    def _read(self, path: str) -> bytes | None:
        try:
            return (self._folder / path).read_bytes()
        except FileNotFoundError:
            self.bad.append(Bad(None, None, f"{path} is not there"))
        except OSError as error:
            raise NotChecked(f"{path} cannot be read: {error.strerror}") from None
        return None

    def _bundle(self, number: int, width: int) -> list[bytes]:
        path, first = path_of("entries", number, width), number * WIDTH + 1
        entries: list[bytes] = []
        if (bundle := self._read(path)) is not None:
            try:
                entries = list(entries_of(bundle))
            except Wrong as error:
                self.bad.append(Bad(first, None, f"{path}: {error}"))
            else:
                if len(entries) != width:
                    what = f"{path} has {len(entries)} entries, and should have {width}"
                    self.bad.append(Bad(first, None, what))
        leaves = []
        for position, entry in enumerate(entries[:width], first):
            leaves.append(leaf_hash(entry))
            self._entry(position, entry, leaves[-1].hex())
        return leaves + [bytes(DIGEST)] * (width - len(leaves))

    def _tile(self, level: int, number: int, hashes: list[bytes]) -> None:
        path = path_of(level, number, len(hashes))
        tile = self._read(path)
        if tile is None or tile == b"".join(hashes):
            return
        if len(tile) != len(hashes) * DIGEST:
            self.bad.append(Bad(None, None, f"{path} has {len(tile)} bytes, and should have {len(hashes) * DIGEST}"))
        elif level > 0:
            self.bad.append(Bad(None, None, f"{path} has other hashes than the entries make"))
        else:
            for at, digest in enumerate(hashes):
                if tile[at * DIGEST : (at + 1) * DIGEST] != digest:
                    position = number * WIDTH + at + 1
                    self._changed.add(position)
                    self.bad.append(Bad(position, self._who.get(position), "has another hash than its tile has"))

    def _entry(self, position: int, entry: bytes, digest: str) -> None:
        try:
            said = json.loads(entry)
            account, previous, data = said["account"], said["previous"], said["data"]
            self._who[position] = account
            before = self._accounts.get(account)
            if before is None and previous is not None:
                self.bad.append(Bad(position, account, "is its account's first entry and names one before it"))
            if before is not None and previous != before[1]:
                self._breaks.append((account, before[0], position))
            self._accounts[account] = (position, digest)
            if said["type"].startswith("agreement-published."):
                text = data["text"]
                self._texts[data["name"], data["version"]] = data["sha256"]
                if sha256(text.encode()).hexdigest() != data["sha256"]:
                    self.bad.append(Bad(position, account, "publishes a text that has not the hash beside it"))
            terms = data if said["type"].startswith("agreement-bound.") else data.get("terms")
            if isinstance(terms, dict) and "sha256" in terms:
                named = (terms["agreement"], terms["version"], terms["sha256"])
                self._decided.setdefault(named, []).append((position, account))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.bad.append(Bad(position, None, "is not an event that can be read"))

    def _blame(self) -> None:
        """Of two entries that do not fit each other the one that is known to be changed, or else the earlier one."""
        for account, earlier, later in self._breaks:
            if later in self._changed and earlier not in self._changed:
                self.bad.append(Bad(later, account, f"does not name its account's entry before it, at {earlier}"))
            else:
                what = f"has another hash than its account's next entry names, at {later}"
                self.bad.append(Bad(earlier, account, what))

    def _agreements(self) -> None:
        for (name, version, digest), places in self._decided.items():
            if self._texts.get((name, version)) != digest:
                what = f"decides by {name} version {version} with a hash that no published text has"
                self.bad += [Bad(position, account, what) for position, account in places]


def subtree(hashes: Sequence[bytes]) -> bytes:
    """The root of a full tile."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


# --- proofs --------------------------------------------------------------------------------------------------------


def proof_from(written: str) -> tuple[int, list[bytes], Checkpoint]:
    """Index, hashes and checkpoint of a tlog-proof. Raises Wrong."""
    head, gap, rest = written.partition("\n\n")
    lines = head.split("\n")
    if not gap or lines[0] != "c2sp.org/tlog-proof@v1":
        raise Wrong("this is not a proof: its first line is c2sp.org/tlog-proof@v1")
    del lines[0]
    if lines and lines[0].startswith("extra "):
        if exact_base64(lines[0].removeprefix("extra ")) is None:
            raise Wrong("the line `extra` of the proof is not base64")
        del lines[0]
    if not lines or not lines[0].startswith("index "):
        raise Wrong("the proof has no line `index`")
    hashes = [exact_base64(line) for line in lines[1:]]
    if len(hashes) > 63 or any(each is None or len(each) != DIGEST for each in hashes):
        raise Wrong("the hashes of the proof are not SHA-256 in base64")
    known = [each for each in hashes if each is not None]
    return exact_number(lines[0].removeprefix("index ")), known, checkpoint_from(rest)


# --- evidence packs -----------------------------------------------------------------------------------------------


class Pack:
    """An evidence pack, by its files."""

    def __init__(self, files: dict[str, bytes], policy: Policy) -> None:
        self._files = files
        self._policy = policy
        self._told: dict[str, Any] = {}
        self._entries: dict[str, bytes] = {}
        self._said: dict[str, dict[str, Any]] = {}
        self._checkpoints: dict[str, Checkpoint] = {}
        self.result = Result()

    def wrong(self, what: str, at: str | None = None, account: str | None = None) -> None:
        """Note something that does not hold."""
        position = int(at.partition(":")[2]) if at is not None else None
        self.result.bad.append(Bad(position, account, what))

    def verify(self) -> None:
        """Verify everything that the pack shows."""
        self._told = json.loads(self._files["pack.json"])
        if self._told["format"] != "makegood evidence 1":
            self.wrong("this is not an evidence pack that this program knows")
            return
        digests = {name: sha256(content).hexdigest() for name, content in self._files.items() if name != "pack.json"}
        for name in sorted(digests.keys() | self._told["files"].keys()):
            if digests.get(name) != self._told["files"].get(name):
                self.wrong(f"{name} is not the file that pack.json names")
        self._logs()
        self._proofs()
        for account in self._told["accounts"]:
            self._account(account)
        self._agreements()
        for account in self._told["accounts"]:
            self._recalculate(account)
        if self._told["closing"] is not None:
            self._closing(self._told["closing"])
        if self._told["kind"] == "sample":
            self._sample()

    def _logs(self) -> None:
        for log in self._told["logs"]:
            try:
                checkpoint = checkpoint_from(self._files[log["checkpoint"]].decode())
                self.result.signed_by += self._policy.check(checkpoint, self.result.notes)
            except Wrong as error:
                self.wrong(f"the checkpoint: {error}")
                continue
            said = (log["origin"], log["size"], log["root"])
            if said != (checkpoint.origin, checkpoint.size, checkpoint.root.hex()):
                self.wrong("the checkpoint is not the one that pack.json names")
            self._checkpoints[str(log["shard"])] = checkpoint
            self.result.covered_to = checkpoint.size

    def _proofs(self) -> None:
        """Each entry has a proof that it is in the log at its position."""
        for name, entry in self._files.items():
            if not name.startswith("entries/"):
                continue
            shard, number = name.removeprefix("entries/").removesuffix(".json").split("/")
            at = f"{shard}:{int(number)}"
            self.result.events += 1
            self._entries[at], self._said[at] = entry, json.loads(entry)
            try:
                self._proven(shard, int(number), entry, self._files.get(f"proofs/{shard}/{number}.tlog-proof"))
            except Wrong as error:
                self.wrong(str(error), at)

    def _proven(self, shard: str, position: int, entry: bytes, proof: bytes | None) -> None:
        """An entry is in its shard's log. Raises Wrong."""
        if proof is None:
            raise Wrong("it has no proof")
        index, hashes, of = proof_from(proof.decode())
        checkpoint = self._checkpoints.get(shard)
        if checkpoint is None or of.text != checkpoint.text:
            raise Wrong("its proof is for another checkpoint than the pack's")
        if index != position - 1 or root_from(leaf_hash(entry), index, of.size, hashes) != of.root:
            raise Wrong("its proof does not lead from it, at its position, to the checkpoint's root")

    def _account(self, account: dict[str, Any]) -> None:
        """The chain leads from an account's first event to its head, without a gap."""
        name, previous, last, places = account["account_id"], None, 0, account["events"]
        for at in places:
            said = self._said.get(at)
            if said is None:
                self.wrong("the event is not in the pack", at, name)
                return
            if said["account"] != name or said["previous"] != previous or int(at.partition(":")[2]) <= last:
                self.wrong("the event does not follow the account's event before it", at, name)
            previous, last = leaf_hash(self._entries[at]).hex(), int(at.partition(":")[2])
        head = {"version": len(places), "position": places[-1], "leaf_hash": previous}
        if account["head"] != head:
            self.wrong("the chain does not end with the account's head", places[-1], name)
        others = [at for at, said in self._said.items() if said["account"] == name and at not in set(places)]
        for at in others:
            self.wrong("the event is not in the account's chain", at, name)

    def _agreements(self) -> None:
        """Every text that decisions name is there, as it was published."""
        known = set()
        for agreement in self._told["agreements"]:
            text, said = self._files[agreement["file"]], self._said[agreement["published_at"]]
            if said["type"] != "agreement-published.v1" or said["data"]["text"].encode() != text:
                self.wrong("the agreement's text is not the one that was published", agreement["published_at"])
            known.add(sha256(text).hexdigest())
        for at, said in self._said.items():
            terms = said["data"] if said["type"] == "agreement-bound.v1" else said["data"].get("terms")
            if terms is not None and terms["sha256"] not in known:
                self.wrong("the text of the agreement that the event names is not in the pack", at, said["account"])

    def _recalculate(self, account: dict[str, Any]) -> None:
        """What was decided follows from the facts before it and the terms. Raises NotChecked."""
        files = [self._files[agreement["file"]] for agreement in self._told["agreements"]]
        recalculation = Recalculation({sha256(text).hexdigest(): terms_from(text.decode()) for text in files})
        resettlement = Resettlement(recalculation)
        try:
            for at in account["events"]:
                recalculation.take(at, self._said[at])
                resettlement.take(at, self._said[at])
        except ZoneInfoNotFoundError as error:
            raise NotChecked(f"{error.args[0]}: install the package `tzdata`, so that dates can be told") from None
        self.result.recalculated += recalculation.decisions
        for why, number in recalculation.not_judged.items():
            self.result.not_recalculated[why] = self.result.not_recalculated.get(why, 0) + number
        for differs in recalculation.differing:
            self.wrong(differs.what, differs.at, account["account_id"])

    def _closing(self, closing: dict[str, Any]) -> None:
        """The manifest is that of the closing, and ends each account where its chain in here was then."""
        closed = self._said[closing["event"]]
        figures, lines = closed["data"]["figures"], self._files[closing["manifest"]].splitlines()
        manifest = figures["manifest"]
        rows = {row["account_id"]: row for row in map(json.loads, lines)}
        counted = {"accounts": len(rows), "events": sum(row["events"] for row in rows.values())}
        digest = sha256(self._files[closing["manifest"]]).hexdigest()
        if closed["type"] != "period-closed.v1" or {**counted, "sha256": digest} != manifest:
            self.wrong(f"the manifest is not that of the closing of {closing['period']}", closing["event"])
        ends = dict(each.split(":") for each in closed["data"]["position"].split(","))
        for account in self._told["accounts"]:
            name, places = account["account_id"], account["events"]
            then = [at for at in places if int(at.partition(":")[2]) <= int(ends.get(at.partition(":")[0], 0))]
            row = rows.get(name)
            if row is None and not then:
                continue
            leaf = leaf_hash(self._entries[then[-1]]).hex() if then else None
            if row is None or (row["version"], row["leaf_hash"]) != (len(then), leaf):
                self.wrong(f"the account did not end so when {closing['period']} was closed", None, name)

    def _sample(self) -> None:
        """The sample is drawn again, and the population counted."""
        asked, population = self._told["asked"], self._rows("population.csv")
        size, seed = asked["size"], asked["seed"]
        if asked["by"] == "row":
            rank = sorted(range(len(population)), key=lambda n: sha256(_of(seed, population[n])).digest())
            drawn = sorted(rank[:size])
        else:
            ends, total = [], 0
            for row in population:
                total += int(row["minor_units"])
                ends.append(total)
            units: set[int] = set()
            number = 0
            while len(units) < min(size, total):
                number += 1
                units.add(int.from_bytes(sha256(f"{seed}:{number}".encode()).digest(), "big") % total)
            drawn = sorted({bisect_right(ends, unit) for unit in units})
        if [population[number] for number in drawn] != self._rows("sample.csv"):
            self.wrong("the sample is not the one that the seed draws from the population")
        missing = {population[number]["account_id"] for number in drawn} ^ {
            account["account_id"] for account in self._told["accounts"]
        }
        if missing:
            self.wrong("the pack has not the accounts of the sample")
        if self._told["closing"] is not None:
            totals = self._said[self._told["closing"]["event"]]["data"]["figures"]["totals"]
            if _sums(population) != {_group(total): (total["count"], *_money(total)) for total in totals}:
                self.wrong("the population is not what the month's closing counts")

    def _rows(self, name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self._files[name].decode(), newline="")))


def _of(seed: str, row: dict[str, str]) -> bytes:
    return f"{seed}:{row['event_id']}:{row['number']}".encode()


def _group(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(row[name] or "" for name in ("currency", "clause", "kind", "settlement"))


def _money(row: dict[str, Any]) -> tuple[Decimal, Decimal]:
    return Decimal(row["net"]), Decimal(row["tax"])


def _sums(rows: Sequence[dict[str, str]]) -> dict[tuple[str, ...], tuple[int, Decimal, Decimal]]:
    sums: dict[tuple[str, ...], tuple[int, Decimal, Decimal]] = {}
    for row in rows:
        count, net, tax = sums.get(_group(row), (0, Decimal(0), Decimal(0)))
        sums[_group(row)] = (count + 1, net + Decimal(row["net"]), tax + Decimal(row["tax"]))
    return sums


# --- the program ---------------------------------------------------------------------------------------------------


@dataclass
class Result:
    """What was found."""

    events: int = 0
    recalculated: int = 0
    not_recalculated: dict[str, int] = field(default_factory=dict)
    covered_to: int | None = None
    signed_by: list[str] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all of it holds."""
        return not self.bad

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "ok": self.ok,
            "events": self.events,
            "recalculated": self.recalculated,
            "not_recalculated": self.not_recalculated,
            "covered_to": self.covered_to,
            "first_bad": min((each.position for each in self.bad if each.position is not None), default=None),
            "bad": [each._asdict() for each in self.bad],
            "signed_by": self.signed_by,
            "notes": self.notes,
        }


def verify_log(folder: Path, policy: Policy, kept: str | None = None) -> Result:
    """Verify an exported log, up to the checkpoint that lies there or the one that was `kept` elsewhere.

    Raises NotChecked.
    """
    result = Result()
    try:
        checkpoint = checkpoint_from(kept if kept is not None else text_of(folder / "checkpoint"))
    except Wrong as error:
        result.bad.append(Bad(None, None, f"the checkpoint: {error}"))
        return result
    try:
        result.signed_by = policy.check(checkpoint, result.notes)
    except Wrong as error:
        result.bad.append(Bad(None, None, str(error)))
    there = sum(1 for file in (folder / "tile" / "entries").rglob("*") if file.is_file())
    if checkpoint.size > (there + MISSING_MAX) * WIDTH:
        covers = f"the checkpoint covers {checkpoint.size} entries"
        what = f"{covers}, and {there} bundles of {WIDTH} are there: the log is of another size"
        result.bad.append(Bad(None, None, what))
        return result
    log = Log(folder, checkpoint.size)
    root = log.root()
    result.events = checkpoint.size
    result.bad += sorted(set(log.bad), key=lambda bad: (bad.position is None, bad.position or 0, bad.what))
    if root != checkpoint.root:
        result.bad.append(Bad(None, None, "the entries do not make the root that the checkpoint has"))
    elif result.signed_by:
        result.covered_to = checkpoint.size
    return result


def verify_proof(written: str, entry: bytes, policy: Policy) -> Result:
    """Verify that an entry is in the log. Raises NotChecked."""
    result = Result(events=1)
    try:
        index, hashes, checkpoint = proof_from(written)
        result.signed_by = policy.check(checkpoint, result.notes)
        root = root_from(leaf_hash(entry), index, checkpoint.size, hashes)
    except Wrong as error:
        result.bad.append(Bad(None, None, str(error)))
        return result
    if root == checkpoint.root:
        result.covered_to = index + 1
    else:
        what = f"the proof does not lead from this entry to the root of {checkpoint.size} entries"
        result.bad.append(Bad(index + 1, None, what))
    return result


def verify_pack(file: Path, policy: Policy) -> Result:
    """Verify an evidence pack. Raises NotChecked."""
    try:
        with zipfile.ZipFile(file) as packed:
            names = packed.namelist()
            contents = {name: packed.read(name) for name in names}
    except OSError as error:
        raise NotChecked(f"{file} cannot be read: {error.strerror}") from None
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
        raise Wrong(f"{file} is not an evidence pack: {error}") from None
    pack = Pack(contents, policy)
    if len(names) != len(contents):
        pack.wrong("a file is in the pack twice")
    try:
        pack.verify()
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        pack.wrong(f"a file is not as packs have it ({type(error).__name__})")
    return pack.result


def text_of(file: Path) -> str:
    """The text of a file, as it is. Raises NotChecked where it cannot be read, Wrong where it is no text."""
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise NotChecked(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Wrong(f"{file} is not a text in UTF-8") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; its exit code."""
    parser = argparse.ArgumentParser(
        prog="verify.py", description="Verify an exported log, a proof, or an evidence pack."
    )
    parser.exit_on_error = False
    what = parser.add_subparsers(dest="what", required=True, metavar="log|proof|pack")
    log = what.add_parser("log", help="verify all of an exported log")
    log.add_argument("folder", type=Path, metavar="FOLDER")
    log.add_argument("--checkpoint", type=Path, metavar="FILE", help="a checkpoint of this log that you kept")
    proof = what.add_parser("proof", help="verify that an entry is in a log")
    proof.add_argument("proof", type=Path, metavar="PROOF")
    proof.add_argument("entry", type=Path, metavar="ENTRY")
    pack = what.add_parser("pack", help="verify an evidence pack")
    pack.add_argument("file", type=Path, metavar="FILE.zip")
    for each in (log, proof, pack):
        each.add_argument("--policy", type=Path, metavar="FILE", help="a C2SP tlog-policy")
        each.add_argument("--key", action="append", default=[], metavar="VKEY", help="a verifier key of the log")
        each.add_argument("--json", action="store_true", help="print the result as JSON")
    try:
        asked = parser.parse_args(arguments)
    except argparse.ArgumentError as error:
        print(f"{parser.format_usage()}verify.py: {error}", file=sys.stderr)
        return USAGE
    except SystemExit as asked_for_help:
        return USAGE if asked_for_help.code else SOUND
    try:
        policy = policy_of(asked)
        if asked.what == "log":
            kept = text_of(asked.checkpoint) if asked.checkpoint is not None else None
            result = verify_log(asked.folder, policy, kept)
        elif asked.what == "pack":
            result = verify_pack(asked.file, policy)
        else:
            result = verify_proof(text_of(asked.proof), bytes_of(asked.entry), policy)
    except NotChecked as error:
        print(f"verify.py: could not check: {error}", file=sys.stderr)
        return COULD_NOT_CHECK
    except Wrong as error:
        print(f"verify.py: {error}", file=sys.stderr)
        return MISMATCH
    show(result, as_json=asked.json)
    return SOUND if result.ok else MISMATCH


def policy_of(asked: argparse.Namespace) -> Policy:
    """Whose signatures count. Raises NotChecked."""
    try:
        if asked.policy is not None:
            return Policy.from_text(text_of(asked.policy))
        keys = [Key.from_text(vkey) for vkey in asked.key]
    except Wrong as error:
        raise NotChecked(f"the keys are not usable: {error}") from None
    if not keys:
        raise NotChecked("whose signatures count is not known: give --policy or --key")
    return Policy(logs=keys)


def bytes_of(file: Path) -> bytes:
    """The bytes of a file. Raises NotChecked."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotChecked(f"{file} cannot be read: {error.strerror}") from None


def show(result: Result, *, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        print(json.dumps(result.document(), indent=2, ensure_ascii=False))
        return
    for bad in result.bad:
        place = f"entry {bad.position}" if bad.position is not None else "the log"
        print(f"BAD  {place}{f' of {bad.account}' if bad.account else ''}: {bad.what}")
    for note in result.notes:
        print(f"NOTE {note}")
    for why, number in result.not_recalculated.items():
        print(f"NOTE {number} decisions were not worked out again: {why}")
    if result.ok:
        decided = f", {result.recalculated} decisions worked out again" if result.recalculated else ""
        print(f"sound: {result.events} hashed anew{decided}, signed by {', '.join(result.signed_by)}")


if __name__ == "__main__":
    sys.exit(main())
