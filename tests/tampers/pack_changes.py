"""Changes that a seed makes to an evidence pack: to any byte or file, to what it says, and with its log's keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from random import Random
from typing import Any

from ledger.audit import (
    Checkpoint,
    LogProof,
    Note,
    SigningKey,
    inclusion_proof,
    leaf_digest,
    leaf_hash,
    root_of,
    signed,
)
from tests.parts.leaves import Leaves
from tests.parts.signed_log import AT
from tests.tampers.changes import other_bytes
from tests.tampers.log_changes import Files
from tests.tampers.stage import Stage

Said = dict[str, Any]


# --- bytes and files ----------------------------------------------------------------------------------------------


def bytes_changed(random: Random, files: Files, stage: Stage) -> str:
    path = random.choice(sorted(files.keys() - {"pack.json"}))
    files[path] = other_bytes(random, files[path])
    return f"bytes of {path}"


def bytes_changed_and_named(random: Random, files: Files, stage: Stage) -> str:
    """What leads to the checkpoint, and pack.json has the digest of what it was changed into."""
    kind = random.choice(("entries/", "entries/", "proofs/", "agreements/", "manifests/", "checkpoints/"))
    path = random.choice(sorted(path for path in files if path.startswith(kind)))
    covered, below = _signed_part(kind, files[path])
    files[path] = other_bytes(random, covered) + below
    _name(files)
    return f"bytes of {path}, and its digest"


def _signed_part(kind: str, content: bytes) -> tuple[bytes, bytes]:
    """What of a file is signed, and its signatures, of which a policy needs some only."""
    at = content.index("\n\n—".encode()) if kind in ("proofs/", "checkpoints/") else len(content)
    return content[:at], content[at:]


def file_gone(random: Random, files: Files, stage: Stage) -> str:
    path = random.choice(sorted(files))
    del files[path]
    return f"{path} is gone"


def proven_file_gone(random: Random, files: Files, stage: Stage) -> str:
    kinds = ("entries/", "proofs/", "agreements/", "manifests/", "checkpoints/")
    path = random.choice(sorted(path for path in files if path.startswith(kinds)))
    del files[path]
    _name(files)
    return f"{path} is gone, and pack.json does not name it"


def entries_swapped(random: Random, files: Files, stage: Stage) -> str:
    one, two = random.sample(sorted(path for path in files if path.startswith("entries/")), 2)
    files[one], files[two] = files[two], files[one]
    _name(files)
    return f"{one} and {two} have changed places"


# --- what the pack says -------------------------------------------------------------------------------------------


def said_otherwise(random: Random, files: Files, stage: Stage) -> str:
    told = json.loads(files["pack.json"])
    [account], [log] = told["accounts"], told["logs"]
    match random.randrange(5):
        case 0:
            account["events"].pop(random.randrange(len(account["events"])))
        case 1:
            account["head"]["version"] += random.choice((-1, 1))
        case 2:
            account["head"]["leaf_hash"] = "0" * 64
        case 3:
            log["size"] -= 1
        case 4:
            log["root"] = "0" * 64
    files["pack.json"] = json.dumps(told).encode()
    return "pack.json says otherwise of the account or the log"


def end_gone(random: Random, files: Files, stage: Stage) -> str:
    """The account's last events up to a closing and after it are gone, and its head is where the rest ends."""
    told = json.loads(files["pack.json"])
    [account] = told["accounts"]
    rows = map(json.loads, files[told["closing"]["manifest"]].splitlines())
    closed = next(row["version"] for row in rows if row["account_id"] == account["account_id"])
    left = random.randint(1, closed - 1)
    for place in account["events"][left:]:
        del files[_entry(place)], files[_proof(place)]
    account["events"] = account["events"][:left]
    last = account["events"][-1]
    account["head"] = {"version": left, "position": last, "leaf_hash": leaf_hash(files[_entry(last)])}
    files["pack.json"] = json.dumps(told).encode()
    _name(files)
    return "the account's last events are gone"


def chained_again(random: Random, files: Files, stage: Stage) -> str:
    """An event is edited, and the account's later ones are chained to it; at times another key signs all that."""
    edited = random.choice(_places(files))
    said = json.loads(files[_entry(edited)])
    said["actor"] += "x"
    what = _forge(files, stage, {edited: said}, _others(stage) if random.random() < 0.5 else None)
    return f"event {edited} is edited, chained again{what}"


def other_key(random: Random, files: Files, stage: Stage) -> str:
    """The same checkpoint, and in every proof, with the signatures of other keys."""
    note = signed(Checkpoint.parse(stage.kept.text), _others(stage), int(AT.timestamp()))
    before = files["checkpoints/0.checkpoint"]
    for path in files:
        if path.startswith(("checkpoints/", "proofs/")):
            files[path] = files[path].replace(before, str(note).encode())
    _name(files)
    return "the checkpoint is signed by other keys"


# --- an amount that whoever has the log's keys changed ------------------------------------------------------------


def amount_changed_with_the_keys(random: Random, files: Files, stage: Stage) -> str:
    """All that proves is made anew, witnesses included: only the arithmetic is left to find it."""
    amounts = [(place, path) for place in _places(files) for path in _amounts(json.loads(files[_entry(place)]))]
    place, path = random.choice(amounts)
    said = json.loads(files[_entry(place)])
    *parents, last = path
    holder = said["data"]
    for name in parents:
        holder = holder[name]
    whole, point, rest = holder[last].partition(".")
    holder[last] = f"{int(whole) + random.randint(1, 9)}{point}{rest}"
    _forge(files, stage, {place: said}, stage.log.keys)
    return f"{'.'.join(map(str, path))} of event {place} is another amount, signed with the log's keys"


def _amounts(said: Said) -> Iterator[tuple[str | int, ...]]:
    """Where an event has amounts that follow from others: of claims, and of how they are settled."""
    data = said["data"]
    if said["type"] == "claim-assessed.v2" and data["after"] is not None:
        yield from (("after", name) for name in ("amount", "tax"))
    if said["type"] == "settlement-changed.v1":
        for number, claim in enumerate(data["claims"]):
            for of, _ in enumerate(claim["after"]):
                yield from (("claims", number, "after", of, name) for name in ("net", "tax"))
        if data["after"] is not None:
            figures = ("charged", "paid_in_money", "paid_from_balance", "reduced", "asks_for", "excess")
            yield from (("after", name) for name in figures)


# --- making it anew -----------------------------------------------------------------------------------------------


def _forge(files: Files, stage: Stage, edited: dict[str, Said], keys: Sequence[SigningKey] | None) -> str:
    """Put edited events into a pack, and chain honestly what follows; with keys all proofs and the checkpoint are
    made anew, and the manifest, and the witness is one's own."""
    told = json.loads(files["pack.json"])
    [account], closing = told["accounts"], told["closing"]
    entries = list(stage.entries)
    for place, said in edited.items():
        entries[_index(place)] = _written(said)
    _chain(entries, account["account_id"])
    if keys is not None:
        ends = _index(closing["position"])
        rows = [json.loads(line) for line in files[closing["manifest"]].splitlines()]
        for row in rows:
            own = [entry for entry in entries[: ends + 1] if json.loads(entry)["account"] == row["account_id"]]
            row["leaf_hash"] = leaf_hash(own[-1])
        files[closing["manifest"]] = b"".join(_written(row) + b"\n" for row in rows)
        closed = json.loads(entries[_index(closing["event"])])
        closed["data"]["figures"]["manifest"]["sha256"] = sha256(files[closing["manifest"]]).hexdigest()
        entries[_index(closing["event"])] = _written(closed)
        _chain(entries, closed["account"])
    for path in [path for path in files if path.startswith("entries/")]:
        files[path] = entries[int(path.removesuffix(".json").rpartition("/")[2]) - 1]
    last = account["events"][-1]
    account["head"]["leaf_hash"] = leaf_hash(files[_entry(last)])
    if keys is not None:
        note = _signed_anew(entries, stage, keys)
        digests = [leaf_digest(entry) for entry in entries]
        tree, told["logs"][0]["root"] = Leaves(digests), root_of(digests).hex()
        files["checkpoints/0.checkpoint"] = str(note).encode()
        for path in [path for path in files if path.startswith("proofs/")]:
            index = int(path.removesuffix(".tlog-proof").rpartition("/")[2]) - 1
            proof = LogProof(index, tuple(inclusion_proof(tree, index, len(entries))), note)
            files[path] = proof.to_text().encode()
    files["pack.json"] = json.dumps(told).encode()
    _name(files)
    return "" if keys is None else ", and all of it proven anew"


def _signed_anew(entries: Sequence[bytes], stage: Stage, keys: Sequence[SigningKey]) -> Note:
    checkpoint = Checkpoint(stage.kept.text.partition("\n")[0], len(entries), root_of(map(leaf_digest, entries)))
    note = signed(checkpoint, keys, int(AT.timestamp()))
    return note.with_signatures([stage.witness.sign(note.text, int(AT.timestamp()))])


def _chain(entries: list[bytes], account: str) -> None:
    """Have each event of an account name the hash of the one before it."""
    previous = None
    for number, entry in enumerate(entries):
        said = json.loads(entry)
        if said["account"] == account:
            if said["previous"] != previous:
                entries[number] = _written({**said, "previous": previous})
            previous = leaf_hash(entries[number])


def _written(said: Said) -> bytes:
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()


def _name(files: Files) -> None:
    """Have pack.json name the digests of the files as they are."""
    told = json.loads(files["pack.json"])
    told["files"] = {path: sha256(content).hexdigest() for path, content in files.items() if path != "pack.json"}
    files["pack.json"] = json.dumps(told).encode()


def _others(stage: Stage) -> list[SigningKey]:
    return [SigningKey.new(key.name, key.type) for key in stage.log.keys]


def _places(files: Files) -> list[str]:
    [account] = json.loads(files["pack.json"])["accounts"]
    return list(account["events"])


def _index(place: str) -> int:
    return int(place.partition(":")[2]) - 1


def _entry(place: str) -> str:
    return f"entries/0/{_index(place) + 1:012}.json"


def _proof(place: str) -> str:
    return f"proofs/0/{_index(place) + 1:012}.tlog-proof"


CHANGES: Sequence[tuple[int, Callable[[Random, Files, Stage], str]]] = (
    (4, bytes_changed),
    (5, bytes_changed_and_named),
    (1, file_gone),
    (2, proven_file_gone),
    (1, entries_swapped),
    (2, said_otherwise),
    (2, end_gone),
    (3, chained_again),
    (1, other_key),
    (5, amount_changed_with_the_keys),
)
