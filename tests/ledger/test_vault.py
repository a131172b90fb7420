"""Personal data and secrets: sealed so that their customer's key alone reads them, and nowhere else at all."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events import Sealed
from ledger.store.connecting import connect
from ledger.store.database import Database
from ledger.store.instants import to_microseconds
from ledger.store.vault_keys import KeyDatabase
from ledger.vault import KEY_BYTES, Bound, Damaged, Erased, Vault, VaultEntry
from tests.ledger.books import LONG_AFTER, Books, KeysByName, StandingClock
from tests.ledger.messages import Upstream
from tests.parts.postgres import Postgres
from tests.search import sample

SAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "sample"
WORDS = {"customer": {"name": "Zoë Quux", "email": "zoe@example.com"}}


@pytest.fixture
def key_store() -> Iterator[Database]:
    database = connect("sqlite:///:memory:")
    KeyDatabase(database, StandingClock()).begin("fedcba9876543210")
    yield database
    database.close()


@pytest.fixture
def keys(key_store: Database) -> KeyDatabase:
    keys = KeyDatabase(key_store, StandingClock())
    keys.belongs_to(keys.begin(""))
    return keys


def erase(key_store: Database, subject: str) -> None:
    """What an erasure leaves behind: a tombstone."""
    with key_store.writing() as transaction:
        erased = transaction.run(
            "UPDATE vault_keys SET key = NULL, erased_at = ? WHERE subject = ?",
            (to_microseconds(LONG_AFTER), subject),
        )
    assert erased == 1


def sealed_in(vault: Vault, subject: str = "acct-1", content: dict[str, Any] = WORDS) -> tuple[Sealed, VaultEntry]:
    prepare(vault, subject)
    sealed, [entry] = vault.seal("ref-1", subject, content)
    return sealed, entry


def prepare(vault: Vault, *subjects: str) -> None:
    vault.prepare(subjects, OfVault(vault))


class OfVault:
    """A store that has nothing in a vault yet."""

    def __init__(self, vault: Vault) -> None:
        self._keys = vault._keys

    def bound(self) -> Bound:
        keys = self._keys
        return keys._bound if isinstance(keys, KeyDatabase) and keys._bound is not None else keys.begin("")

    def with_ciphertext(self, subjects: Collection[str]) -> Collection[str]:
        return ()

    def erased(self, subjects: Collection[str]) -> Collection[str]:
        return ()


class TestVault:
    @settings(max_examples=sample(25))
    @given(st.dictionaries(st.text(), st.none() | st.booleans() | st.text() | st.lists(st.text())))
    def test_what_was_sealed_can_be_opened(self, content: dict[str, Any]) -> None:
        sealed, entry = sealed_in(Vault(KeysByName()), content=content)
        assert Vault(KeysByName()).open(sealed, entry) == content

    def test_neither_envelope_nor_entry_shows_what_was_sealed(self, keys: KeyDatabase) -> None:
        sealed, entry = sealed_in(Vault(keys))
        for word in (b"Quux", b"zoe@", b"customer", b"example"):
            assert word not in sealed.model_dump_json().encode() + entry.ciphertext + entry.nonce

    def test_the_same_words_never_look_the_same_twice(self, keys: KeyDatabase) -> None:
        vault = Vault(keys)
        (one, its_entry), (two, its_other_entry) = sealed_in(vault), sealed_in(vault)
        assert one.commitment != two.commitment
        assert its_entry.ciphertext != its_other_entry.ciphertext

    def test_without_its_key_a_commitment_cannot_be_guessed(self, keys: KeyDatabase) -> None:
        """It differs from one customer to another for the same words under the same nonce."""
        vault = Vault(keys, lambda count: bytes(count))
        one, _ = sealed_in(vault, "acct-1")
        two, _ = sealed_in(vault, "acct-2")
        assert one.nonce == two.nonce
        assert one.commitment != two.commitment

    def test_an_erased_customer_cannot_be_read_by_anyone(self, keys: KeyDatabase, key_store: Database) -> None:
        sealed, entry = sealed_in(Vault(keys))
        other_sealed, other_entry = sealed_in(Vault(keys), "acct-2")
        erase(key_store, "acct-1")
        with pytest.raises(Erased):
            Vault(keys).open(sealed, entry)
        assert Vault(keys).open(other_sealed, other_entry) == WORDS

    def test_an_erased_customer_gets_no_new_key_and_what_is_said_is_left_out(
        self, keys: KeyDatabase, key_store: Database
    ) -> None:
        sealed_in(Vault(keys))
        erase(key_store, "acct-1")
        assert dict(keys.of(["acct-1"], OfVault(Vault(keys)))) == {}
        vault = Vault(keys)
        prepare(vault, "acct-1")
        assert vault.seal("ref-1", "acct-1", WORDS) == (Sealed(ref="ref-1", nonce="", commitment="erased"), [])
        with pytest.raises(Erased):
            vault.encrypt("ref-1", "acct-1", b"{}")

    def test_a_key_that_a_process_knows_seals_nothing_once_the_erasure_is_recorded(self, keys: KeyDatabase) -> None:
        vault = Vault(keys)
        sealed_in(vault)

        class Recorded(OfVault):
            def erased(self, subjects: Collection[str]) -> Collection[str]:
                return ["acct-1"]

        vault.prepare(["acct-1"], Recorded(vault))
        assert vault.seal("ref-2", "acct-1", WORDS)[1] == []

    @pytest.mark.parametrize("part", ["ciphertext", "nonce", "ref", "subject", "swapped"])
    def test_a_tampered_entry_is_damaged(self, keys: KeyDatabase, part: str) -> None:
        vault = Vault(keys)
        sealed, entry = sealed_in(vault)
        prepare(vault, "acct-2")
        another = vault.encrypt("ref-2", "acct-1", b"{}")
        tampered = {
            "ciphertext": VaultEntry(
                entry.ref, entry.subject, entry.nonce, bytes([entry.ciphertext[0] ^ 1]) + entry.ciphertext[1:]
            ),
            "nonce": VaultEntry(entry.ref, entry.subject, bytes(12), entry.ciphertext),
            "ref": VaultEntry("ref-9", entry.subject, entry.nonce, entry.ciphertext),
            "subject": VaultEntry(entry.ref, "acct-2", entry.nonce, entry.ciphertext),
            "swapped": VaultEntry(entry.ref, another.subject, another.nonce, another.ciphertext),
        }[part]
        with pytest.raises(Damaged):
            vault.open(sealed, tampered)

    def test_an_entry_that_says_something_else_than_was_committed_to_is_damaged(self, keys: KeyDatabase) -> None:
        """Somebody with the customer's key may write another text; the ledger still knows what was said."""
        vault = Vault(keys)
        sealed, _ = sealed_in(vault)
        forged = vault.encrypt("ref-1", "acct-1", json.dumps({"customer": {"name": "Somebody Else"}}).encode())
        with pytest.raises(Damaged, match="commitment"):
            vault.open(sealed, forged)

    def test_a_store_with_the_wrong_key_database_says_so(self) -> None:
        sealed, entry = sealed_in(Vault(KeysByName()))
        other = connect("sqlite:///:memory:")
        stranger = KeyDatabase(other, StandingClock())
        stranger.begin("another store")
        with pytest.raises(Damaged, match="key database"):
            Vault(stranger).open(sealed, entry)
        other.close()

    def test_the_inbox_digest_is_keyed_and_the_same_after_a_restart(self, keys: KeyDatabase) -> None:
        assert Vault(keys).digest(b"content") == Vault(keys).digest(b"content")
        assert Vault(keys).digest(b"content") != Vault(keys).digest(b"other content")
        assert Vault(keys).digest(b"content") != Vault(KeysByName()).digest(b"content")

    def test_a_vault_that_has_seen_very_many_customers_still_seals_for_all_of_them(self) -> None:
        """It keeps only so many keys at hand; those of the batch under way are always among them."""
        vault = Vault(KeysByName())
        prepare(vault, *(f"acct-{number}" for number in range(50_001)))
        prepare(vault, "acct-7", "acct-new")
        for subject in ("acct-7", "acct-new"):
            sealed, [entry] = vault.seal("ref-1", subject, WORDS)
            assert vault.open(sealed, entry) == WORDS


class TestKeys:
    @pytest.fixture(params=["SQLite", "PostgreSQL"])
    def two_at_once(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> Iterator[tuple[KeyDatabase, KeyDatabase]]:
        """The key database as two processes have it."""
        sqlite = request.param == "SQLite"
        url = f"sqlite:///{tmp_path / 'vault.db'}" if sqlite else request.getfixturevalue("pg_store")
        databases = [connect(url), connect(url)]
        one, two = (KeyDatabase(database, StandingClock()) for database in databases)
        bound = one.begin("fedcba9876543210")
        two.belongs_to(bound)
        yield one, two
        for database in databases:
            database.close()

    def test_a_key_is_made_once_and_stays(self, two_at_once: tuple[KeyDatabase, KeyDatabase]) -> None:
        one, two = two_at_once
        store = OfVault(Vault(one))
        made = one.of(["acct-1", "acct-2"], store)
        assert {len(key.secret) for key in made.values()} == {KEY_BYTES}
        assert made["acct-1"].secret != made["acct-2"].secret
        assert [made[subject].serial.number for subject in ("acct-1", "acct-2")] == [2, 3], "the store's is the first"
        assert two.of(["acct-2", "acct-3", "acct-1"], store) | made == two.of(["acct-1", "acct-2", "acct-3"], store)
        assert two.existing("acct-1") == made["acct-1"]
        assert two.existing("acct-9") is None

    def test_two_processes_that_make_one_key_at_once_get_the_same(
        self, two_at_once: tuple[KeyDatabase, KeyDatabase]
    ) -> None:
        one, two = two_at_once
        store = OfVault(Vault(one))
        others: list[Any] = []

        class AnotherIsFaster(OfVault):
            def with_ciphertext(self, subjects: Collection[str]) -> Collection[str]:
                others.append(dict(two.of(subjects, store)))
                return ()

        assert dict(one.of(["acct-1"], AnotherIsFaster(Vault(one)))) == others[0]


def test_every_customer_has_a_key_of_their_own_whatever_their_name() -> None:
    """Upstream names accounts as it likes: also like something that the store itself has a key for."""
    key_store = connect("sqlite:///:memory:")
    keys = KeyDatabase(key_store, StandingClock())
    books = Books.open(keys=keys)
    books.take([Upstream("store").account_registered(), b"not JSON"])
    [(letter_id,)] = books.rows("SELECT dead_letter_id FROM dead_letters")
    books.take([Upstream(f"dead-letter/{letter_id}").account_registered()])
    assert len(books.rows("SELECT DISTINCT subject FROM vault")) == 3
    with key_store.reading() as transaction:
        assert transaction.rows("SELECT COUNT(*) FROM vault_keys") == [(4,)], "and the store has its own"


# --- leaks ------------------------------------------------------------------------------------------------------

PRIVATE = ("name", "email", "locale", "username", "server", "secret_ref", "password", "description", "resolution")


def private_words(lines: Iterable[bytes]) -> set[str]:
    """All that the sample says of a customer or in anyone's words, refused lines and half lines included."""
    words = set()
    for line in lines:
        text = line.decode("utf-8", errors="replace")
        for field in PRIVATE:
            words.update(json.loads(found) for found in re.findall(rf'"{field}":\s*("(?:[^"\\]|\\.)*")', text))
        if '"type":"voip.subscription.' not in text:  # there a reason is one of two words of the contract
            words.update(json.loads(found) for found in re.findall(r'"reason":\s*("(?:[^"\\]|\\.)*")', text))
        for numbers in re.findall(r'"numbers":(\["[^\]]*"\])', text):
            words.update(json.loads(numbers))
        # A resolution that is a code is public (policy §8); in words it is not.
        words.difference_update(re.findall(r'"resolution":"([a-z][a-z0-9_]{0,63})"', text))
    return words - {""}


def found_in(haystack: bytes, words: Iterable[str]) -> list[str]:
    """The words that stand in some bytes, as UTF-8 or as JSON escapes them.

    No word holds a quote or a long hexadecimal number, so each stretch between such is looked at once: there are
    far fewer of them than bytes.
    """
    stretches = b"\n".join(set(re.split(rb'"|[0-9a-f]{32,}', haystack)))
    spellings = {spelt.strip('"').encode(): word for word in words for spelt in (word, json.dumps(word))}
    assert not any(re.search(rb'"|[0-9a-f]{32}', spelt) for spelt in spellings)
    return sorted({word for spelt, word in spellings.items() if spelt in stretches})


@pytest.fixture(scope="module")
def sample() -> list[bytes]:
    return (SAMPLE / "events.jsonl").read_bytes().splitlines()


@pytest.fixture(scope="module")
def words(sample: list[bytes]) -> set[str]:
    found = private_words(sample)
    assert len(found) > 1_300, "names, addresses, user names, references and what people wrote"
    assert {"sip.jp-1.example.net", "naoko.ishikawa@example.net", "石川 直子"} <= found
    return found


def take_the_sample(books: Books, sample: list[bytes]) -> None:
    books.publish((SAMPLE / "agreements" / "standard.toml").read_text(encoding="utf-8"))
    taken = books.take(sample, batch=1_000, file="events.jsonl")
    assert (taken.read, taken.accepted, taken.duplicates, len(taken.refused)) == (5_060, 4_924, 101, 35)


def test_the_search_finds_what_is_there(sample: list[bytes], words: set[str]) -> None:
    assert set(found_in(b"\n".join(sample), words)) == words


def test_no_byte_of_a_store_on_sqlite_shows_personal_data(
    tmp_path: Path, sample: list[bytes], words: set[str]
) -> None:
    keys = KeyDatabase(connect(f"sqlite:///{tmp_path / 'books-vault.db'}"), StandingClock())
    books = Books.open(f"sqlite:///{tmp_path / 'books.db'}", keys=keys, agreements=())
    take_the_sample(books, sample)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    books.close()
    assert {"books.db", "books.db-wal", "books-vault.db"} <= set(files)
    for name, content in files.items():
        assert found_in(content, words) == [], name


def test_no_value_of_a_store_on_postgresql_shows_personal_data(
    postgres: Postgres, sample: list[bytes], words: set[str]
) -> None:
    url, key_url = postgres.new_database(), postgres.new_database()
    key_store = connect(key_url)
    keys = KeyDatabase(key_store, StandingClock())
    books = Books.open(url, keys=keys, agreements=())
    take_the_sample(books, sample)
    try:
        for database in (books.database.real, key_store):
            for table, content in everything_in(database).items():
                assert found_in(content, words) == [], table
    finally:
        books.close()
        key_store.close()
        postgres.drop_database(url)
        postgres.drop_database(key_url)


def everything_in(database: Database) -> dict[str, bytes]:
    """All that a PostgreSQL database keeps in columns of text or bytes, by table."""
    with database.reading() as transaction:
        columns = transaction.rows(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type IN ('text', 'bytea', 'character varying', 'json', 'jsonb')"
        )
        found: dict[str, bytes] = {}
        for table, column in columns:
            values = transaction.rows(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
            found[table] = found.get(table, b"") + b"\n".join(
                value.encode() if isinstance(value, str) else bytes(value) for (value,) in values
            )
    return found


def test_what_people_write_at_the_door_lies_in_the_vault_and_nowhere_else() -> None:
    books = Books.open()
    books.take([*Upstream().customer(), Upstream("acct-1", source="/support").complaint_opened()])
    instructions = Upstream().every_instruction()
    books.take(instructions)
    books.take([Upstream("acct-1", source="/support/2").complaint_resolved(resolution="Zoë says it is fine")])
    words = {m["data"][name] for m in instructions for name in ("note", "reason") if name in m["data"]}
    assert len(words) == 3
    values = [value for rows in books.content().values() for row in rows for value in row]
    everything = b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)
    assert b"support-1" in everything, "the search looks where it would be"
    assert found_in(everything, {*words, "Zoë says it is fine"}) == []
    assert len(books.rows("SELECT ref FROM vault")) == 5, "the customer, a note, two reasons and a resolution"
