"""Whatever is changed of what a checkpoint covers is found: a sample; `make tampers` makes 10,000 changes."""

from pathlib import Path
from random import Random

import pytest

from ledger.application.verification import LogFolder, LogUnreadable, Mismatch, in_folder
from makegood.answers.audit.processes import Processes
from makegood.answers.audit.verification import verified, verified_log
from tests.parts.stores import Stores
from tests.tampers.changes import COLUMNS, KEPT, Tables, of_other_types
from tests.tampers.stage import Stage, staged, with_some_accounts
from tests.tampers.trying import Trying

pytestmark = pytest.mark.long

CHANGES = 100
LOGS = 24


@pytest.mark.parametrize(("kind", "turn"), [("sqlite", 0), ("postgresql", 1)])
def test_every_change_is_found(kind: str, turn: int, stores: Stores, tmp_path: Path) -> None:
    store = stores.new(kind, tmp_path, with_some_accounts)  # type: ignore[arg-type]
    with staged(store, tmp_path / "log") as stage:
        trying = Trying(stage)
        assert trying.honest()
        outcome = trying.run(range(turn, CHANGES, 2))
        assert outcome.missed == []
        assert outcome.found.total() == CHANGES // 2
        assert trying.honest()
    stores.give_back(store)


def test_a_value_of_another_type_is_found_in_any_column(stores: Stores, tmp_path: Path) -> None:
    """Only SQLite keeps one, in every column that verifying looks at, and nothing stumbles over it."""
    store = stores.new("sqlite", tmp_path, with_some_accounts)
    with staged(store, tmp_path / "log") as stage:
        tables = Tables(stage.house.database)
        projected = tables.projected[0]
        missed = []
        for table, columns in {**COLUMNS, projected: KEPT[projected]}.items():
            for number, name in enumerate(dict.fromkeys(columns)):
                rows = tables.rows(table)
                values = of_other_types(rows[-1][name])
                rows[-1][name] = values[number % len(values)]
                tables.put({table: rows})
                if verified(stage.house, policy=stage.policy, checkpoint=stage.kept)["ok"]:
                    missed.append(f"{table}.{name} = {rows[-1][name]!r}")
            tables.put_back([table])
        assert missed == []
        assert verified(stage.house, policy=stage.policy, checkpoint=stage.kept)["ok"]
    stores.give_back(store)


def test_two_processes_find_in_a_log_what_one_finds(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, in the same order, and in whichever runs the entries are checked."""
    store = stores.new("sqlite", tmp_path, with_some_accounts)
    with staged(store, tmp_path / "log") as stage, Processes(2) as others:
        trying, damaged = Trying(stage), 0
        for seed in range(LOGS):
            with trying.changed_log(Random(seed)) as what:
                told = []
                for at_once, each in ((1, map), (1, others.each), (8, map)):
                    monkeypatch.setattr(in_folder, "BUNDLES_AT_ONCE", at_once)
                    told.append(_told(stage, each))
                alone, shared, in_other_runs = told
                assert shared == alone, f"seed {seed}: {what}"
                assert set(in_other_runs[0]) == set(alone[0]), f"seed {seed}: {what}"
                damaged += len(alone[0]) > 1
        assert damaged > LOGS // 4
        assert verified_log(stage.folder, policy=stage.policy, processes=2) == verified_log(
            stage.folder, policy=stage.policy
        )
        bundle = stage.folder / "tile/entries/000"
        bundle.unlink()
        bundle.mkdir()
        for each in (map, others.each):
            with pytest.raises(LogUnreadable, match="give yourself the right to"):
                list(LogFolder(stage.folder).verify(stage.kept, None, each))
    stores.give_back(store)


def _told(stage: Stage, each: in_folder.Each) -> tuple[list[Mismatch], object]:
    """What is found in a log, in its order, and how far it came."""
    log = LogFolder(stage.folder)
    try:
        note = log.checkpoint()
    except LogUnreadable as error:
        return [], str(error)
    steps = list(log.verify(note, stage.policy, each)) if note is not None else []
    return log.found, (log.covered, log.history.entries, log.history.bytes_hashed, steps[-1:])
