"""Whatever is changed of what a checkpoint covers is found: a sample; `make tampers` makes 10,000 changes."""

from pathlib import Path

import pytest

from tests.parts.stores import Stores
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
