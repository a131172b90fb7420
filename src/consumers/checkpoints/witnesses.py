"""Witnesses cosign checkpoints, each by the C2SP tlog-witness protocol, and none of them holds anything up.

A witness remembers the last checkpoint of a log that it cosigned, and cosigns only what goes on from it. So it is
told which one that was; where we are wrong about it, it says so itself.
"""

from __future__ import annotations

import http.client
import queue
import ssl
import threading
import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

import structlog

from consumers.part import BackOff
from ledger.audit import Note, NoteInvalid, Signature, SignatureInvalid, VerifierKey, consistency_proof
from ledger.audit.trust_policy import PolicyWitness
from ledger.store.audit import Cosignature, keep_cosignatures
from ledger.store.database import Database
from ledger.store.reading.audit import StoredTree, cosigned_by, latest_checkpoint

PATIENCE = 10.0
"""Seconds that each step of a witness's answer may take."""
ANSWER_BYTES_MAX = 262_144

log = structlog.get_logger("makegood.checkpoints")


class Unreachable(Exception):
    """A witness gave no answer; the message says why."""


class Answer(NamedTuple):
    """What a witness answered."""

    status: int
    body: str


Ask = Callable[[str, str], Answer]
"""Posts a text to an address. Raises Unreachable."""


def post(url: str, text: str) -> Answer:
    """Post a text to an address, without following redirects. Raises Unreachable."""
    try:
        parts = urlsplit(url)
        connection = (
            http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=PATIENCE, context=ssl.create_default_context()
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        )
        try:
            connection.request(
                "POST", parts.path or "/", text.encode(), {"Content-Type": "text/plain; charset=utf-8"}
            )
            answer = connection.getresponse()
            body = answer.read(ANSWER_BYTES_MAX)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(type(error).__name__) from None
    return Answer(answer.status, body.decode("utf-8", "replace"))


def request_text(old_size: int, proof: Iterable[bytes], note: Note) -> str:
    """What a witness is sent: the size that it knows, the proof that the tree went on from it, and the checkpoint."""
    lines = "".join(f"{b64encode(digest).decode()}\n" for digest in proof)
    return f"old {old_size}\n{lines}\n{note}"


def cosignatures_in(answer: str, note: Note, keys: Sequence[VerifierKey]) -> list[Signature]:
    """The signature lines of an answer that these keys made over a checkpoint, each verified. Others are ignored."""
    found = []
    for line in answer.splitlines():
        try:
            signature = Signature.parse(line)
        except NoteInvalid:
            continue
        for key in keys:
            if key.made(signature):
                try:
                    key.verify(note.text, signature.value)
                except SignatureInvalid:
                    continue
                found.append(signature)
    return found


@dataclass(slots=True)
class _Standing:
    """How one witness stands with one log."""

    url: str
    keys: tuple[VerifierKey, ...]
    knows: int = 0
    """The size of the last checkpoint that it cosigned, as far as we know."""
    asked: tuple[Note, int] | None = None
    """What it is being asked to cosign, and its size."""
    answers: queue.SimpleQueue[Answer | Unreachable] = field(default_factory=queue.SimpleQueue)
    again_at: float = 0.0
    back_off: BackOff = field(default_factory=lambda: BackOff(first=1.0, most=300.0))


class Witnesses:
    """All witnesses of a policy that have an address, each asked in a thread of its own, one question at a time."""

    def __init__(
        self,
        witnesses: Iterable[PolicyWitness],
        *,
        ask: Ask = post,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys: dict[str, list[VerifierKey]] = defaultdict(list)
        for witness in witnesses:
            if witness.url is not None:
                self._keys[witness.url.rstrip("/")].append(witness.key)
        self._ask = ask
        self._monotonic = monotonic
        self._standings: dict[tuple[str, str], _Standing] = {}

    def step(self, database: Database, shard: int, origin: str) -> int:
        """Take in what was answered, and ask who has not cosigned the last checkpoint; how many cosigned."""
        cosigned = 0
        for url, keys in self._keys.items():
            standing = self._standings.setdefault((url, origin), _Standing(url, tuple(keys)))
            if standing.asked is not None and not standing.answers.empty():
                cosigned += self._take_in(database, origin, standing, standing.answers.get())
            if standing.asked is None and self._monotonic() >= standing.again_at:
                self._ask_one(database, shard, origin, standing)
        return cosigned

    def _ask_one(self, database: Database, shard: int, origin: str, standing: _Standing) -> None:
        with database.reading() as transaction:
            last = latest_checkpoint(transaction, origin)
            if last is None or last.size < 1:
                return
            there = cosigned_by(transaction, origin, last.size)
            if any((key.name, key.key_id.hex()) in there for key in standing.keys):
                return
            knows = min(standing.knows, last.size)
            proof = consistency_proof(StoredTree(transaction, shard), knows, last.size)
        note = Note.parse(last.note)
        standing.asked = note, last.size
        text = request_text(knows, proof, note)

        def ask() -> None:
            try:
                standing.answers.put(self._ask(f"{standing.url}/add-checkpoint", text))
            except Unreachable as unreachable:
                standing.answers.put(unreachable)

        threading.Thread(target=ask, name="witness", daemon=True).start()

    def _take_in(self, database: Database, origin: str, standing: _Standing, answer: Answer | Unreachable) -> int:
        assert standing.asked is not None
        (note, size), standing.asked = standing.asked, None
        if isinstance(answer, Answer) and answer.status == http.client.OK:
            signatures = cosignatures_in(answer.body, note, standing.keys)
            if signatures:
                with database.writing() as transaction:
                    keep_cosignatures(
                        transaction,
                        origin,
                        size,
                        [Cosignature(each.name, each.key_id.hex(), str(each)) for each in signatures],
                    )
                standing.knows = size
                standing.back_off.reset()
                log.info("checkpoint_cosigned", origin=origin, size=size, by=[each.name for each in signatures])
                return 1
        if isinstance(answer, Answer) and answer.status == http.client.CONFLICT:
            knows = _size_in(answer.body)
            if knows is not None and knows <= size and knows != standing.knows:
                standing.knows = knows
                return 0
        wait = standing.back_off.next()
        standing.again_at = self._monotonic() + wait
        log.warning(
            "witness_did_not_cosign", witness=standing.url, origin=origin, size=size,
            reason=_reason(answer, size), seconds=round(wait, 3),
        )  # fmt: skip
        return 0


def _size_in(body: str) -> int | None:
    text = body.removesuffix("\n")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _reason(answer: Answer | Unreachable, size: int) -> str:
    """Why a witness did not cosign, in words that say what to do next."""
    if isinstance(answer, Unreachable):
        return f"it does not answer ({answer}); it is asked again"
    match answer.status:
        case 200:
            return "its answer has no valid signature of its keys in the policy: correct MAKEGOOD_AUDIT_POLICY"
        case 404:
            return "it does not know this log: have its operator add the origin and its keys"
        case 403:
            return "it does not know the keys that signed: have its operator add them to the log"
        case 409:
            return (
                f"it cosigned a checkpoint that covers {_size_in(answer.body) or 'more'} events, and this one covers "
                f"{size}: the store was restored, or another one signs as this log; see `makegood audit origin new`"
            )
        case 422:
            return "it cosigned a checkpoint that this one does not go on from: see `makegood audit origin new`"
        case _:
            return f"it answered with HTTP {answer.status}; it is asked again"
