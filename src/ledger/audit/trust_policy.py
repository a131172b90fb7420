"""Whose checkpoints are trusted, C2SP's tlog-policy: logs, witnesses, and how many of these must cosign."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ledger.audit.checkpoint import Checkpoint
from ledger.audit.note import KeyInvalid, Note, SignatureType, VerifierKey
from ledger.audit.signing import NotSigned, Verified, verified_log_signatures, verified_signatures
from ledger.audit.unproven import Unproven

NO_QUORUM = "none"
"""The quorum that asks for no witness."""

_LOG_TYPES = (SignatureType.ED25519, SignatureType.MLDSA44_COSIGNATURE)
_WITNESS_TYPES = (SignatureType.ED25519_COSIGNATURE, SignatureType.MLDSA44_COSIGNATURE)


class PolicyInvalid(Unproven):
    """A text is not a trust policy; the message names the line."""


class NotTrusted(Unproven):
    """A checkpoint has not the signatures that the policy asks for."""


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A log whose checkpoints are trusted. Its key's name is its origin."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness, under the name that the policy gives it."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """Witnesses and groups of which `threshold` must have cosigned."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trusted:
    """A checkpoint that the policy trusts, who signed it for its log, and by the policy's names who cosigned it."""

    checkpoint: Checkpoint
    signed: tuple[Verified, ...]
    cosigned: Mapping[str, Verified]


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Which logs are trusted, which witnesses are known, and the group or witness that must have cosigned."""

    logs: tuple[PolicyLog, ...] = ()
    witnesses: Mapping[str, PolicyWitness] = field(default_factory=dict)
    groups: Mapping[str, PolicyGroup] = field(default_factory=dict)
    quorum: str = NO_QUORUM

    @classmethod
    def of_log(cls, *keys: VerifierKey) -> TrustPolicy:
        """The policy that trusts one log by these keys of it, and asks for no witness."""
        return cls(tuple(PolicyLog(key) for key in keys))

    @classmethod
    def from_text(cls, text: str) -> TrustPolicy:
        """A policy from its file. Raises PolicyInvalid."""
        return _Reading().read(text)

    def check(self, note: Note) -> Trusted:
        """Verify every signature by a key that the policy knows, and that they suffice.

        Raises CheckpointInvalid, SignatureInvalid where a known key's signature is wrong, and NotTrusted.
        """
        try:
            checkpoint, log_signatures = verified_log_signatures(note, (log.key for log in self.logs))
        except NotSigned:
            origin = Checkpoint.parse(note.text).origin
            raise NotTrusted(f"the checkpoint of {origin} is not signed by a log that the policy names") from None
        names = {str(witness.key): name for name, witness in self.witnesses.items()}
        keys = [witness.key for witness in self.witnesses.values()]
        cosigned = {names[str(found.key)]: found for found in verified_signatures(note, keys)}
        if not self._witnessed(self.quorum, cosigned):
            by = ", ".join(sorted(cosigned)) or "no witness"
            raise NotTrusted(f"the policy's quorum {self.quorum} has not cosigned: {by} did")
        return Trusted(checkpoint, tuple(log_signatures), cosigned)

    def _witnessed(self, name: str, cosigned: Iterable[str]) -> bool:
        if name == NO_QUORUM:
            return True
        if name in self.witnesses:
            return name in cosigned
        group = self.groups[name]
        return sum(self._witnessed(member, cosigned) for member in group.members) >= group.threshold


class _Reading:
    """A policy file being read, line by line."""

    def __init__(self) -> None:
        self.logs: list[PolicyLog] = []
        self.witnesses: dict[str, PolicyWitness] = {}
        self.groups: dict[str, PolicyGroup] = {}
        self.grouped: set[str] = set()
        self.quorum: str | None = None

    def read(self, text: str) -> TrustPolicy:
        for number, line in enumerate(text.split("\n"), start=1):
            words = [word for word in re.split(r"[ \t]+", line) if word]
            if not words or words[0].startswith("#"):
                continue
            try:
                self._line(line, words[0], words[1:])
            except (PolicyInvalid, KeyInvalid) as invalid:
                raise PolicyInvalid(f"line {number} of the trust policy: {invalid}") from None
        if self.quorum is None:
            raise PolicyInvalid("the trust policy has no line `quorum`; `quorum none` asks for no witness")
        return TrustPolicy(tuple(self.logs), self.witnesses, self.groups, self.quorum)

    def _line(self, line: str, keyword: str, words: list[str]) -> None:
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", line):
            raise PolicyInvalid("it has a control character")
        match keyword, words:
            case "log", [vkey] | [vkey, _]:
                self._log(vkey, words[1] if len(words) == 2 else None)
            case "witness", [name, vkey] | [name, vkey, _]:
                self._witness(name, vkey, words[2] if len(words) == 3 else None)
            case "group", [name, threshold, *members] if members:
                self._group(name, threshold, members)
            case "quorum", [name]:
                self._quorum(name)
            case (("log" | "witness" | "group" | "quorum"), _):
                raise PolicyInvalid(f"`{keyword}` does not have the words that it needs")
            case _:
                raise PolicyInvalid(f"`{keyword}` is not log, witness, group or quorum")

    def _log(self, vkey: str, url: str | None) -> None:
        key = VerifierKey.from_text(vkey)
        if key.type not in _LOG_TYPES:
            raise PolicyInvalid("a log signs with keys of type 0x01 or 0x06")
        if any(log.key.public == key.public for log in self.logs):
            raise PolicyInvalid("a log of this key is named already")
        self.logs.append(PolicyLog(key, url))

    def _witness(self, name: str, vkey: str, url: str | None) -> None:
        key = VerifierKey.from_text(vkey)
        if key.type not in _WITNESS_TYPES:
            raise PolicyInvalid("a witness cosigns with keys of type 0x04 or 0x06")
        if any(witness.key.public == key.public for witness in self.witnesses.values()):
            raise PolicyInvalid("a witness of this key is named already")
        self._free(name)
        self.witnesses[name] = PolicyWitness(name, key, url)

    def _group(self, name: str, threshold: str, members: list[str]) -> None:
        self._free(name)
        for member in members:
            self._known(member)
            if member in self.grouped:
                raise PolicyInvalid(f"{member} is a member already, and would count twice")
            self.grouped.add(member)
        needed = {"any": 1, "all": len(members)}.get(threshold)
        if needed is None:
            needed = int(threshold) if re.fullmatch(r"[1-9][0-9]{0,5}", threshold, re.ASCII) else 0
        if not 1 <= needed <= len(members):
            raise PolicyInvalid(f"a group of {len(members)} needs any, all, or a number from 1 to {len(members)}")
        self.groups[name] = PolicyGroup(name, needed, tuple(members))

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise PolicyInvalid("there is a line `quorum` already")
        if name != NO_QUORUM:
            self._known(name)
        self.quorum = name

    def _free(self, name: str) -> None:
        if name == NO_QUORUM or name in self.witnesses or name in self.groups:
            raise PolicyInvalid(f"the name {name} is taken")

    def _known(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise PolicyInvalid(f"no line above defines {name}")
