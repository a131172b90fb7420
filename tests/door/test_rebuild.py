"""`makegood rebuild` as an operator and an auditor meet it."""

from contextlib import closing

import pytest

from ledger.store.connecting import connect
from projections.accounts import ACCOUNTS
from projections.catalog import CATALOG
from projections.rebuild import Rebuild
from projections.refunds import REFUNDS, ROWS
from tests.door.conftest import Door

NAMES = [projection.name for projection in CATALOG]


@pytest.fixture
def books(twenty_accounts: Door) -> Door:
    return twenty_accounts


def damage(door: Door, *statements: str) -> None:
    with closing(connect(door.store)) as database, database.writing() as transaction:
        for statement in statements:
            assert transaction.run(statement) == 1


def test_a_damaged_row_is_found_then_mended_then_sound(books: Door) -> None:
    sound = books.json("refunds"), books.json("account", "acct-0006")
    assert books("rebuild", "--compare-only") == "20 accounts match\n"
    damage(
        books,
        f"UPDATE {REFUNDS.stored_name(ROWS)} SET total = '0.01' "
        "WHERE refund_id = 'refund/unused/cyc-0006-2026-04-02/1'",
        f"DELETE FROM {ACCOUNTS.stored_name(ACCOUNTS.tables[0])} WHERE account = 'acct-0009'",
    )

    found = books.json("rebuild", "--compare-only", exits=2)
    assert found["alike"] == 18
    assert [(each["account_id"], each["projection"], each["rows"]) for each in found["differing"]] == [
        ("acct-0006", "refunds", {"refunds": 1}),
        ("acct-0009", "accounts", {"accounts": 1}),
    ]
    assert [each["projection"] for each in found["projections"]] == NAMES
    assert {each["behind"] for each in found["projections"]} == {0}
    said = books("rebuild", "--compare-only", exits=2)
    assert (
        "18 accounts match\n2 accounts with rows that differ from the ledger; `makegood rebuild` repairs them" in said
    )
    assert said.splitlines()[-3].split() == ["acct-0006", "refunds", "refunds", "1"]

    mended = books.json("rebuild")
    assert mended["differing"] == found["differing"]
    assert mended["alike"] == 18
    assert (books.json("refunds"), books.json("account", "acct-0006")) == sound
    assert books("rebuild", "--compare-only") == "20 accounts match\n"


def test_one_projection_is_asked_for_by_name(books: Door) -> None:
    assert books("rebuild", "claims") == "20 accounts match\n"
    assert "rebuilt up to 0:" in books.errors
    assert books.errors.endswith(": claims\n")
    assert [each["projection"] for each in books.json("rebuild", "--compare-only", "alarms")["projections"]] == [
        "alarms"
    ]


def test_a_rebuild_that_was_cut_short_goes_on_or_starts_over(books: Door) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(done: int, of: int) -> None:
        raise Interrupted

    def cut_short() -> None:
        with closing(connect(books.store)) as database:
            begun = Rebuild(database, CATALOG, batch=500)
            begun.begin()
            with pytest.raises(Interrupted):
                begun.build(interrupt)

    cut_short()
    assert books.json("rebuild")["alike"] == 20
    assert "resuming an interrupted rebuild after 500 events; --anew starts over" in books.errors
    cut_short()
    assert books.json("rebuild", "--anew")["alike"] == 20
    assert "resuming" not in books.errors


def test_an_empty_store_has_nothing_to_rebuild(door: Door) -> None:
    door("init")
    assert door("rebuild") == "0 accounts match\n"
    assert "no events yet" in door.errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("rebuild", "nonsense"), "unknown projection 'nonsense'; the projections are access, accounts, alarms, "),
        (("rebuild", "--compare-only", "--anew"), "--compare-only and --anew exclude each other"),
    ],
)
def test_what_cannot_be_rebuilt_is_told(door: Door, arguments: tuple[str, ...], says: str) -> None:
    door("init")
    door(*arguments, exits=1)
    assert says in door.errors
