"""The demo: the whole way once, in one process, ending on a summary whose columns foot."""

from decimal import Decimal
from pathlib import Path

import pytest

from makegood.cli import run
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from projections import accounts, claims, credits, overpaid, refunds

pytestmark = pytest.mark.long


def test_the_sample_goes_the_whole_way_and_every_cent_granted_is_settled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["demo", "--no-serve"]) == 0
    said = capsys.readouterr().out
    assert "101 duplicates ignored, 35 messages refused" in said
    assert "One claim, explained in full" in said
    assert "Try next" in said
    assert "Verified: all that is stored is as it was signed" in said
    assert "has another hash than the tree has for it" in said
    assert run(["audit", "verify", "--store", "sqlite:///makegood-demo.db"]) == 0
    assert run(["audit", "verify", "--store", "sqlite:///makegood-demo-changed.db"]) == 2
    capsys.readouterr()

    with open_house(Settings(store="sqlite:///makegood-demo.db")) as house:
        granted = _by_currency(
            (c["currency"], Decimal(c["amount"]) + Decimal(c["tax"]))
            for c in claims.listed(house.database, outcome="granted")
        )
        credited = credits.listed(house.database)
        excess = _by_currency((c["currency"], Decimal(c["left"])) for c in credited if c["claim_id"] is None)
        settled = _by_currency(
            [
                *((r["currency"], Decimal(r["total"])) for r in refunds.listed(house.database)),
                *((c["currency"], Decimal(c["total"])) for c in credited if c["claim_id"] is not None),
                *((r["currency"], Decimal(r["total"])) for r in accounts.listed_reductions(house.database)),
                *((o["currency"], -Decimal(o["overpaid"])) for o in overpaid.listed(house.database)),
            ]
        )
    assert granted == settled
    assert set(granted) == {"EUR", "JPY", "USD"}

    # The columns of the summary foot, as they are printed.
    rows = [
        line.split()
        for line in said.split("Money, by currency")[1].split("Granted amounts first")[0].splitlines()
        if line.strip()[:3] in granted
    ]
    printed = {row[0]: [Decimal(0 if cell == "–" else cell) for cell in row[1:]] for row in rows}
    for currency, (net, tax, *ways, too_much, paid_in_excess) in printed.items():
        assert net + tax == sum(ways) - too_much == granted[currency]
        assert paid_in_excess == excess[currency] > 0
    assert printed.keys() == granted.keys()

    # The commands to try next work as they are printed.
    for line in said.split("Try next")[1].splitlines():
        if line.strip():
            assert run(line.split()[1:]) == 0, line


def _by_currency(amounts) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for currency, amount in amounts:
        sums[currency] = sums.get(currency, Decimal(0)) + amount
    return sums
