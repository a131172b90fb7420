"""Tables as people read them: whole ids and amounts at any width, sums to check by hand, chosen columns."""

import os
import pty
import re
import sys
from pathlib import Path

import pytest

from makegood.commands.terminal import tables
from makegood.commands.terminal.layout import Columns, Layout
from tests.door.conftest import Door

TABLES = {name: table for name, table in vars(tables).items() if isinstance(table, Columns)}
CLAIM = {
    "account_id": "acct-0001",
    "claim_id": "unused/cyc-0001-2026-04-02",
    "outcome": "granted",
    "amount": "101.73",
    "tax": "19.33",
    "currency": "EUR",
    "reason": None,
    "settlement": "invoice_reduction",
}
HINT = "not shown at a width of 80"


def laid(rows: list[dict], columns: Columns, width: int | None) -> str:
    layout = Layout(rows, columns, width)
    return "\n".join((*layout.heading(), *layout.lines()))


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_a_field_of_the_rows_or_made_for_the_table(name: str) -> None:
    table = TABLES[name]
    asked = {*table.headings, *table.right, *table.totals, *table.prose, *table.give_way}
    assert asked <= set(table.known())
    assert set(table.totals) <= table.to_the_right(), "only amounts can be added up"


class TestWidth:
    def test_a_pipe_gets_all_columns_however_long_the_lines(self) -> None:
        assert laid([CLAIM], tables.CLAIMS, None).splitlines() == [
            "account    claim                       outcome     net    tax       reason  settlement",
            "─────────  ──────────────────────────  ───────  ──────  ─────  ───  ──────  ─────────────────",
            "acct-0001  unused/cyc-0001-2026-04-02  granted  101.73  19.33  EUR  –       invoice_reduction",
        ]

    def test_on_a_terminal_the_columns_that_matter_least_give_way(self) -> None:
        layout = Layout([CLAIM], tables.CLAIMS, 80)
        assert list(layout.lines())[-1] == "acct-0001  unused/cyc-0001-2026-04-02  granted  101.73  19.33  EUR  –"
        assert layout.left_out == ["settlement"]

    def test_sentences_are_folded_between_words_and_ids_in_them_stay_whole(self) -> None:
        columns = Columns.made_of({"id": "id", "what": "action"}, prose=("what",))
        row = {
            "id": "a",
            "what": "pay cyc-0054 with 1.42 USD from credit/disruption/cyc-0053-2026-01-10/1",
        }
        assert laid([row], columns, 40).splitlines()[2:] == [
            "a   pay cyc-0054 with 1.42 USD from",
            "    credit/disruption/cyc-0053-2026-01-10/1",
        ]

    def test_where_nothing_more_can_give_way_a_row_stands_under_its_headings(self) -> None:
        rows = [CLAIM, CLAIM | {"claim_id": "disruption/cyc-0002", "amount": "2.00", "tax": "0.00"}]
        assert laid(rows, tables.CLAIMS, 40).splitlines() == [
            "claim     unused/cyc-0001-2026-04-02",
            "outcome   granted",
            "net       101.73",
            "tax       19.33",
            "currency  EUR",
            "",
            "claim     disruption/cyc-0002",
            "outcome   granted",
            "net       2.00",
            "tax       0.00",
            "currency  EUR",
            "",
            "total",
            "net       103.73",
            "tax       19.33",
            "currency  EUR",
        ]

    def test_letters_that_take_two_columns_keep_the_table_straight(self) -> None:
        columns = Columns.made_of({"name": "name", "n": "n"}, right=("n",))
        assert laid([{"name": "電話", "n": 1}, {"name": "ab", "n": 10}], columns, 80).splitlines() == [
            "name   n",
            "────  ──",
            "電話   1",
            "ab    10",
        ]


class TestTotals:
    def test_amounts_add_up_for_each_currency_at_its_own_scale(self) -> None:
        rows = [
            CLAIM,
            CLAIM | {"amount": "0.10", "tax": "0.02"},
            CLAIM | {"amount": "122275", "tax": "0", "currency": "JPY"},
        ]
        assert [line.split() for line in laid(rows, tables.CLAIMS, None).splitlines()[-2:]] == [
            ["total", "101.83", "19.35", "EUR"],
            ["total", "122275", "0", "JPY"],
        ]

    def test_a_total_that_would_repeat_the_only_row_is_left_out(self) -> None:
        assert "total" not in laid([CLAIM, CLAIM | {"currency": "USD"}], tables.CLAIMS, None)

    def test_there_is_none_without_the_currency(self) -> None:
        assert "total" not in laid([CLAIM, CLAIM], tables.CLAIMS.chosen(["claim_id", "amount"]), None)

    def test_what_has_no_amount_adds_nothing(self) -> None:
        columns = Columns.made_of({"id": "id", "amount": "amount", "currency": ""}, totals=("amount",))
        rows = [{"id": n, "amount": amount, "currency": "EUR"} for n, amount in enumerate(("1.00", None, "2.50"))]
        assert laid(rows, columns, None).splitlines()[-1].split() == ["total", "3.50", "EUR"]


class TestChosenColumns:
    def test_they_come_in_the_order_in_which_they_are_named(self, twenty_accounts: Door) -> None:
        said = twenty_accounts("claims", "--columns", "claim_id, overpaid,clause")
        assert said.splitlines()[1].split() == ["claim", "overpaid", "clause"]

    def test_json_has_the_same(self, twenty_accounts: Door) -> None:
        assert list(twenty_accounts.json("claims", "--columns", "clause,claim_id")[0]) == ["clause", "claim_id"]

    def test_one_that_is_not_there_is_wrong_usage_and_those_that_are_there_are_named(self, sandbox: Door) -> None:
        sandbox("waiting", "--columns", "id,colour", exits=64)
        assert "there is no column 'colour'; there are account_id, " in sandbox.errors
        assert "age" in sandbox.errors

    def test_what_is_made_for_people_is_no_field_for_programs(self, sandbox: Door) -> None:
        assert sandbox("waiting", "--columns", "age")
        sandbox("waiting", "--columns", "age", "--json", exits=64)


class TestOnATerminal:
    @pytest.mark.parametrize(
        "command",
        [
            "claims",
            "refunds",
            "credits",
            "complaints",
            "outages",
            "waiting",
            "dead-letters list",
            "history acct-0006",
        ],
    )
    def test_nothing_is_wider_than_the_terminal_and_no_id_is_cut(
        self, twenty_accounts_in_july: Door, command: str
    ) -> None:
        door = twenty_accounts_in_july
        shown = on_a_terminal(door.store, 80, *command.split())
        table = [line for line in shown.splitlines() if HINT not in line]
        assert max(map(len, table)) <= 80
        whole = set(re.split(r"\s+", door(*command.split())))
        for line in table:
            for word in re.findall(r"\S*(?:acct|cyc|dsp|chg|cmp|evt)-\S*", line):
                assert word in whole, f"{word} was cut"

    def test_it_says_what_it_leaves_out_and_how_to_see_it(self, twenty_accounts_in_july: Door) -> None:
        shown = on_a_terminal(twenty_accounts_in_july.store, 80, "claims")
        assert f"{HINT}: settlement, reason; choose with --columns, or see all with --json" in shown

    def test_a_wide_one_shows_everything(self, twenty_accounts_in_july: Door) -> None:
        assert "not shown" not in on_a_terminal(twenty_accounts_in_july.store, 200, "claims")


def on_a_terminal(store: str, width: int, *command: str) -> str:
    """What a command prints where somebody watches, on a terminal so many columns wide."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(Path(__file__).parents[2])
        environment = os.environ | {"MAKEGOOD_STORE": store, "COLUMNS": str(width), "NO_COLOR": "1"}
        os.execve(sys.executable, [sys.executable, "-m", "makegood.cli", *command], environment)
    said = b""
    while True:
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # Linux says so when the other side is closed
            break
        if not part:
            break
        said += part
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said.decode()
    return said.decode().replace("\r\n", "\n")
