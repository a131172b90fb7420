"""Makes the change of a seed, has it verified, and puts all back."""

from __future__ import annotations

import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

from psycopg.errors import InvalidTextRepresentation

from ledger.application.verification import LogUnreadable
from ledger.audit import LogProof, Unproven, leaf_digest
from ledger.store.database import Conflict, StoreError
from makegood.answers.audit.verification import verified, verified_log
from makegood.evidence import verify
from tests.tampers import changes, log_changes, pack_changes
from tests.tampers.stage import Stage

Kind = Literal["store", "log", "pack", "proof"]
OF_TEN: tuple[Kind, ...] = ("store",) * 4 + ("log",) * 3 + ("pack",) * 2 + ("proof",)
"""What the seeds change, in turn."""


@dataclass
class Outcome:
    """What became of some seeds."""

    found: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    slowest: float = 0.0


class Trying:
    """A stage, on which one change after the other is made and taken back."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._tables = changes.Tables(stage.house.database)
        self._files = log_changes.files_of(stage.folder)
        with zipfile.ZipFile(stage.pack) as packed:
            self._packed = {name: packed.read(name) for name in packed.namelist()}

    def honest(self) -> bool:
        """Whether what nobody changed is found to be sound, by all that verify."""
        stage = self._stage
        store = verified(stage.house, policy=stage.policy, checkpoint=stage.kept)
        log = verified_log(stage.folder, policy=stage.policy)
        return (
            store["ok"]
            and store["covered_to"] == f"0:{store['events']}"
            and log["ok"]
            and verify.verify_log(stage.folder, stage.own_policy).ok
            and self._pack_holds(self._packed)
            and all(self._proof_holds(*proof) == (True, True) for proof in stage.proofs)
        )

    def run(self, seeds: Iterable[int], told: Callable[[Outcome], object] = lambda outcome: None) -> Outcome:
        """Try seeds; what was found and missed."""
        outcome = Outcome()
        for seed in seeds:
            kind = OF_TEN[seed % len(OF_TEN)]
            random = Random(f"{kind}:{seed}")
            began = time.monotonic()
            try:
                what, seen = getattr(self, f"_{kind}")(random)
            except Exception:
                what, seen = f"{kind}: {traceback.format_exc(limit=-3)}", False
            outcome.slowest = max(outcome.slowest, time.monotonic() - began)
            if seen:
                outcome.found[kind] += 1
            else:
                outcome.missed.append(f"seed {seed}: {what}")
            told(outcome)
        return outcome

    def _store(self, random: Random) -> tuple[str, bool]:
        stage = self._stage
        weights, makers = zip(*changes.CHANGES, strict=True)
        while True:
            [make] = random.choices(makers, weights)
            what, tables = make(random, self._tables)
            try:
                self._tables.put(tables)
                break
            except StoreError as error:
                # The database itself refuses a key that comes twice, and what is no number where an index adds it up.
                if not isinstance(error, Conflict) and not isinstance(error.__cause__, InvalidTextRepresentation):
                    raise
        touched = list(tables)
        try:
            if make.__name__ in changes.BY_EDITING_EVENTS and random.random() < 0.5:
                touched += changes.TREE
                what += ", and the tree is made anew"
                changes.make_tree_anew(stage, stage.log.keys)
            return what, not verified(stage.house, policy=stage.policy, checkpoint=stage.kept)["ok"]
        finally:
            self._tables.put_back(list(dict.fromkeys(touched)))

    @contextmanager
    def changed_log(self, random: Random) -> Iterator[str]:
        """A change is made to the exported log, and put back in the end; what it is."""
        stage, files = self._stage, dict(self._files)
        weights, makers = zip(*log_changes.CHANGES, strict=True)
        while files == self._files:
            [make] = random.choices(makers, weights)
            what = make(random, files, stage)
        try:
            _write(stage.folder, self._files, files)
            yield what
        finally:
            _write(stage.folder, files, self._files)

    def _log(self, random: Random) -> tuple[str, bool]:
        stage = self._stage
        with self.changed_log(random) as what:
            return what, _refuses(lambda: verified_log(stage.folder, policy=stage.policy)["ok"]) and _refuses(
                lambda: verify.verify_log(stage.folder, stage.own_policy).ok
            )

    def _pack(self, random: Random) -> tuple[str, bool]:
        files = dict(self._packed)
        weights, makers = zip(*pack_changes.CHANGES, strict=True)
        while files == self._packed:
            [make] = random.choices(makers, weights)
            what = make(random, files, self._stage)
        return what, not self._pack_holds(files)

    def _pack_holds(self, files: log_changes.Files) -> bool:
        file = self._stage.pack.with_suffix(".changed.zip")
        with zipfile.ZipFile(file, "w") as out:
            for name, content in files.items():
                out.writestr(name, content)
        try:
            return verify.verify_pack(file, self._stage.own_policy).ok
        except (verify.Wrong, verify.NotChecked):
            return False

    def _proof(self, random: Random) -> tuple[str, bool]:
        what, proof, entry = log_changes.changed_proof(random, *random.choice(self._stage.proofs))
        return what, self._proof_holds(proof, entry) == (False, False)

    def _proof_holds(self, proof: str, entry: bytes) -> tuple[bool, bool]:
        try:
            LogProof.from_text(proof).verify(leaf_digest(entry), self._stage.policy)
            ours = True
        except Unproven:
            ours = False
        return ours, verify.verify_proof(proof, entry, self._stage.own_policy).ok


def _refuses(sound: Callable[[], bool]) -> bool:
    try:
        return not sound()
    except (LogUnreadable, verify.NotChecked):
        return True


def _write(folder: Path, before: log_changes.Files, after: log_changes.Files) -> None:
    for path in before.keys() - after.keys():
        (folder / path).unlink()
    for path, content in after.items():
        if before.get(path) != content:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
