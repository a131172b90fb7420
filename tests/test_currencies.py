"""The kept list of currencies: what ISO 4217 lists today, and what was money before."""

import importlib.util
import json
from decimal import Decimal
from pathlib import Path

import iso4217
import pytest

from consumers.upstream import read_structured
from ledger.application.statement import Refusal, Statement
from ledger.values import CURRENCY_SCALES, amount_from_text
from tests.ledger.messages import Upstream

ROOT = Path(__file__).parents[1]

_SPEC = importlib.util.spec_from_file_location("deploy_currencies", ROOT / "deploy" / "currencies.py")
assert _SPEC is not None
assert _SPEC.loader is not None
currencies = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(currencies)


def registered_in(code: str) -> Statement | Refusal:
    """An account's registration in a currency, as it is read."""
    message = Upstream(currency=code).account_registered()
    return read_structured(json.dumps(message).encode(), origin="a file", channel="file")


def test_the_list_is_that_of_iso_4217() -> None:
    """A newer list in the package fails here; `make currencies` then brings ours up to it."""
    kept = currencies.read()
    assert currencies.brought_up_to_date(kept) == kept
    today = {code for code, row in kept.items() if not row["withdrawn"]}
    assert today == {money.code for money in iso4217.Currency if money.exponent is not None}


@pytest.mark.parametrize(
    ("code", "since"), [("BGN", "2026-01"), ("HRK", "2023-01"), ("SLL", "2023-12"), ("DEM", "2002-03")]
)
def test_what_was_money_is_kept_with_its_end(code: str, since: str) -> None:
    assert currencies.read()[code]["withdrawn"] == since


def test_a_currency_that_the_list_drops_stays_with_its_decimals() -> None:
    """Were EUR withdrawn, say: what was owed in it is still read and rounded as before."""
    row = {"code": "KUK", "decimals": "3", "withdrawn": ""}
    updated = currencies.brought_up_to_date(currencies.read() | {"KUK": row})
    assert updated["KUK"] == row | {"withdrawn": f"{iso4217.__published__:%Y-%m}"}
    assert currencies.brought_up_to_date(updated) == updated


def test_no_currency_changes_its_decimals_unasked() -> None:
    kept = currencies.read()
    kept["JPY"] = kept["JPY"] | {"decimals": "2"}
    with pytest.raises(ValueError, match="JPY is kept with 2 decimals and ISO 4217 now lists 0"):
        currencies.brought_up_to_date(kept)


@pytest.mark.parametrize("code", ["HRK", "SLL", "BGN", "XAD", "EUR"])
def test_a_fact_in_a_currency_of_today_or_of_the_past_is_taken(code: str) -> None:
    assert isinstance(registered_in(code), Statement)


@pytest.mark.parametrize("code", ["XXX", "XAU", "EURO", "eur", "ABC", ""])
def test_a_currency_that_never_was_is_refused(code: str) -> None:
    refusal = registered_in(code)
    assert isinstance(refusal, Refusal)
    assert refusal.field == "data.currency"


def test_amounts_of_the_past_have_the_decimals_of_their_time() -> None:
    assert amount_from_text("10.5", "HRK") == Decimal("10.50")
    assert CURRENCY_SCALES["ITL"] == 0
    with pytest.raises(ValueError, match="ITL has 0 decimals"):
        amount_from_text("1000.50", "ITL")
