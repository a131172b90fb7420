"""Whatever is changed of what a checkpoint covers is found: a sample; `make tampers` makes 10,000 changes."""

from pathlib import Path

import pytest

from makegood.answers.audit.verification import verified
from tests.parts.stores import Stores
from tests.tampers.changes import COLUMNS, KEPT, Tables, of_other_types
from tests.tampers.stage import staged, with_some_accounts
from tests.tampers.trying import Trying

CHANGES = 100


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
