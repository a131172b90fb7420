"""Changes that a seed makes to an exported log, and to proofs: to any byte or file, and to a whole log made anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from ledger.audit import (
    TILE_WIDTH,
    Checkpoint,
    SigningKey,
    bundles_of,
    entries_in,
    entry_bundle,
    leaf_digest,
    leaf_hash,
    root_of,
    signed,
    tiles_after,
    tiles_of,
)
from tests.parts.signed_log import AT
from tests.tampers.changes import other_bytes
from tests.tampers.stage import Stage

Files = dict[str, bytes]
"""The files of a log, by their paths."""


def files_of(folder: Path) -> Files:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tiles(files: Files) -> list[str]:
    return sorted(path for path in files if path.startswith("tile/"))


def one_byte(random: Random, files: Files, stage: Stage) -> str:
    path = random.choice(tiles(files))
    files[path] = other_bytes(random, files[path])
    return f"bytes of {path}"


def signed_text(random: Random, files: Files, stage: Stage) -> str:
    text, _, below = files["checkpoint"].rpartition(b"\n\n")
    at = random.randrange(len(text))
    changed = text[:at] + bytes((text[at] ^ (1 << random.randrange(7)),)) + text[at + 1 :]
    files["checkpoint"] = changed + b"\n\n" + below
    return "the signed text of the checkpoint"


def file_gone(random: Random, files: Files, stage: Stage) -> str:
    path = random.choice([*tiles(files), "checkpoint"])
    del files[path]
    return f"{path} is gone"


def files_swapped(random: Random, files: Files, stage: Stage) -> str:
    one, two = random.sample(tiles(files), 2)
    files[one], files[two] = files[two], files[one]
    return f"{one} and {two} have changed places"


def truncated(random: Random, files: Files, stage: Stage) -> str:
    path = random.choice(tiles(files))
    files[path] = files[path][: random.randrange(len(files[path]))]
    return f"{path} is cut off"


def entries_swapped(random: Random, files: Files, stage: Stage) -> str:
    entries = _entries(files)
    one, two = random.sample(range(len(entries)), 2)
    entries[one], entries[two] = entries[two], entries[one]
    _bundle(files, entries)
    return "two entries have changed places"


def entry_gone(random: Random, files: Files, stage: Stage) -> str:
    entries = _entries(files)
    entries.pop(random.randrange(len(entries)))
    _bundle(files, entries)
    return "an entry is gone"


def chained_again(random: Random, files: Files, stage: Stage) -> str:
    """An entry is edited, chained honestly, put into tiles made anew, and at times signed by another key."""
    entries = _entries(files)
    at = random.randrange(len(entries))
    account, previous = json.loads(entries[at])["account"], None
    for number, entry in enumerate(entries):
        said = json.loads(entry)
        if said["account"] == account:
            if number == at:
                said["actor"] += "x"
            said["previous"] = previous
            entries[number] = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
            previous = leaf_hash(entries[number])
    _bundle(files, entries)
    if random.random() < 0.7:
        _tile(files, entries)
    if random.random() < 0.5:
        checkpoint = Checkpoint(stage.kept.text.partition("\n")[0], len(entries), root_of(map(leaf_digest, entries)))
        files["checkpoint"] = str(
            signed(checkpoint, [SigningKey.new(checkpoint.origin, key.type) for key in stage.log.keys], 1)
        ).encode()
    return "an entry is edited, chained again, and the tree made anew"


def other_key(random: Random, files: Files, stage: Stage) -> str:
    checkpoint = Checkpoint.parse(stage.kept.text)
    keys = [SigningKey.new(key.name, key.type) for key in stage.log.keys]
    files["checkpoint"] = str(signed(checkpoint, keys, int(AT.timestamp()))).encode()
    return "the checkpoint is signed by other keys"


def without_witness(random: Random, files: Files, stage: Stage) -> str:
    files["checkpoint"] = str(stage.log.note).encode()
    return "the checkpoint has no cosignature"


CHANGES: Sequence[tuple[int, Callable[[Random, Files, Stage], str]]] = (
    (6, one_byte),
    (2, signed_text),
    (1, file_gone),
    (1, files_swapped),
    (2, truncated),
    (2, entries_swapped),
    (2, entry_gone),
    (3, chained_again),
    (1, other_key),
    (1, without_witness),
)


def _entries(files: Files) -> list[bytes]:
    paths = [path for path in tiles(files) if path.startswith("tile/entries/")]
    return [entry for path in paths for entry in entries_in(files[path])]


def _bundle(files: Files, entries: list[bytes]) -> None:
    for path in [path for path in files if path.startswith("tile/entries/")]:
        del files[path]
    for each in bundles_of(len(entries)):
        first = each.number * TILE_WIDTH
        files[each.path] = entry_bundle(entries[first : first + each.width])


def _tile(files: Files, entries: list[bytes]) -> None:
    made = {
        (level, number): hashes
        for level, number, hashes in tiles_after(0, [leaf_digest(entry) for entry in entries], lambda *_: b"")
    }
    for each in tiles_of(len(entries)):
        assert isinstance(each.level, int)
        files[each.path] = made[each.level, each.number]


def changed_proof(random: Random, proof: str, entry: bytes) -> tuple[str, str, bytes]:
    """What was changed of a proof or its entry, and both."""
    if random.random() < 0.4:
        return "the entry of a proof", proof, other_bytes(random, entry)
    signed_part = proof.encode()[: proof.encode().index("—".encode())]
    at = random.randrange(len(signed_part))
    changed = signed_part[:at] + bytes((signed_part[at] ^ (1 << random.randrange(7)),)) + signed_part[at + 1 :]
    return "a proof", (changed + proof.encode()[len(signed_part) :]).decode(), entry
