"""The shard map: where each shard of a store lives.

A store's first shard is where `MAKEGOOD_STORE` says. The others are beside it, unless the file that
`MAKEGOOD_SHARD_MAP` names says otherwise:

    [1]
    store = "postgresql://makegood@db2/makegood"
    vault = "postgresql://makegood@db2/makegood_vault"

While it has `away = true`, nobody opens the shard: so it is moved to another server.

Beside `makegood.db` that is a file `makegood-shardN.db`, and in a PostgreSQL database a schema `makegood_shard_N`;
where the store is in a schema of its own, that one's name has the ending. A shard that is moved to another server
gets its line here, and is otherwise the same.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from ledger.store.connecting import connect, create_if_missing, schema_of
from ledger.store.database import Unavailable, beside, redacted
from ledger.store.positions import FIRST_SHARD, SHARDS_MAX, shard_of
from ledger.store.reading.shards import place_in_store, shard_ends
from ledger.store.reading.store import store_exists
from makegood.house.opening import House, open_house
from makegood.house.settings import Settings
from makegood.house.stop import Stop

OF_A_SHARD = (4, 2)
"""So many connections a process takes at most for a shard of several, to its store and to its keys: the parts of many
shards would not leave one to anybody else."""

LOOKED_AT_ONCE = 8
"""So many shards are looked at together by whoever looks at all: most of the time they wait for a server."""

S = TypeVar("S")
T = TypeVar("T")


def settings_of(settings: Settings, shard: int) -> Settings:
    """The settings by which a shard is opened. Raises Stop where the map cannot be used."""
    if shard == FIRST_SHARD:
        return settings
    said = _map(settings).get(shard, {})
    store = said.get("store", _beside(settings.store, shard))
    vault = said.get("vault", beside(store, "vault") if "store" in said else _beside(settings.vault, shard))
    return settings.model_copy(update={"store": store, "vault": vault})


def _map(settings: Settings) -> Mapping[int, Mapping[str, Any]]:
    if not settings.shard_map:
        return {}
    file = Path(settings.shard_map)
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Stop(f"the shard map {file} cannot be read ({error.strerror}): correct MAKEGOOD_SHARD_MAP") from None
    except ValueError as error:
        raise Stop(f"the shard map {file} is not valid TOML: {error}") from None
    return {_number(name, file): _place(name, place, file) for name, place in said.items()}


def _number(name: str, file: Path) -> int:
    if not (name.isascii() and name.isdecimal() and FIRST_SHARD < int(name) < SHARDS_MAX):
        raise Stop(
            f"the shard map {file} has [{name}], and shards that it places are 1 to {SHARDS_MAX - 1}: the first "
            "one is where MAKEGOOD_STORE says"
        )
    return int(name)


_SAID: Mapping[str, type] = {"store": str, "vault": str, "away": bool}
"""What may be said of a shard."""


def _place(name: str, place: Any, file: Path) -> dict[str, Any]:
    wrong = not isinstance(place, dict) or "store" not in place or place.keys() - _SAID.keys()
    if wrong or not all(isinstance(value, _SAID[key]) for key, value in place.items()):
        raise Stop(
            f'the shard map {file} must say `store = "…"` of [{name}], and may say `vault = "…"` and `away = true`, '
            "no more"
        )
    return dict(place)


def _beside(url: str, shard: int) -> str:
    if url.startswith("sqlite:///"):
        return beside(url, f"shard{shard}")
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    options, found = query.get("options", ""), schema_of(url)
    if found is not None:
        options = re.sub(rf"(-c *search_path=){found}\b", rf"\g<1>{found}_shard_{shard}", options)
    else:
        options = f"{options} -csearch_path=makegood_shard_{shard}".strip()
    query["options"] = options
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))


def create_shards(settings: Settings, shards: int, *, sandbox: bool) -> None:
    """Make a store of so many shards, the first one last: once that is there, all of it is.

    What is there already of one that was cut short is left as it is. Raises StoreError.
    """
    for shard in range(FIRST_SHARD + 1, shards):
        where = settings_of(settings, shard)
        create_if_missing(where.store, beside=settings.store)
        if not _is_begun(where, shards, shard):
            with open_house(where, create=True, sandbox=sandbox, shards=shards, shard=shard):
                pass
    with open_house(settings, create=True, sandbox=sandbox, shards=shards):
        pass


def _is_begun(settings: Settings, shards: int, shard: int) -> bool:
    """Whether this shard was made, and no event was recorded in it yet."""
    with closing(connect(settings.store)) as database:
        if not store_exists(database):
            return False
        with database.reading() as transaction:
            return place_in_store(transaction) == (shard, shards) and not shard_ends(transaction)


@contextmanager
def open_shards(settings: Settings, **how: Any) -> Iterator[Sequence[House]]:
    """Open all shards of a store, in their order; `how` as `open_house` takes it. Raises what that raises.

    With `create_missing` a store is made that is not there, and no shard of one that is.
    """
    with ExitStack() as opened:
        first = opened.enter_context(open_house(settings, **how))
        how.pop("create_missing", None)
        check_that_it_is_first(first)
        yield [first, *(opened.enter_context(open_shard(first, number, **how)) for number in others_of(first))]


@contextmanager
def open_whole(settings: Settings, **how: Any) -> Iterator[House]:
    """The house by which all shards of a store are asked; `how` as `open_house` takes it. Raises what that raises."""
    with open_shards(settings, **how) as (first, *others):
        yield first.with_others(others)


def shard_asked(first: House, account: str | None = None) -> int:
    """The shard that is asked in a store whose first one is open: the account's, else the one that MAKEGOOD_SHARD
    names. Raises Stop where there are several and none is named, or one that is not there."""
    check_that_it_is_first(first)
    named, last = first.settings.shard, first.shards - 1
    if account is not None and last:
        return shard_of(account, first.shards)
    if not named:
        if last:
            raise Stop(
                f"the store has {first.shards} shards, and one of them is asked here: name an account if you can, or "
                f"set MAKEGOOD_SHARD to one from 0 to {last}"
            )
        return FIRST_SHARD
    if int(named) > last:
        raise Stop(f"the store has no shard {named}: set MAKEGOOD_SHARD to one from 0 to {last}, or leave it out")
    return int(named)


def check_that_it_is_first(house: House) -> None:
    """Raises Stop where another shard of a store is taken for the store."""
    if house.shard != FIRST_SHARD:
        raise Stop(
            f"{redacted(house.settings.store)} is shard {house.shard} of a store: say in MAKEGOOD_STORE where its "
            f"shard {FIRST_SHARD} is, and MAKEGOOD_SHARD={house.shard}"
        )


def look_at_each(look: Callable[[S], T], shards: Iterable[S]) -> list[T]:
    """What is found in each of some shards, in their order. Raises what the look raises."""
    with ThreadPoolExecutor(LOOKED_AT_ONCE) as at_once:
        return list(at_once.map(look, shards))


@dataclass(frozen=True, slots=True)
class TooFewConnections:
    """A server allows fewer connections than a process may take that works for all shards that live there."""

    found: str
    next: str

    def __str__(self) -> str:
        return f"{self.found}: {self.next}"


def too_few_connections(first: House) -> TooFewConnections | None:
    """Whether the server of the store whose first shard is open allows too few. Raises StoreError."""
    if first.shards == 1 or (allowed := first.database.connections_allowed()) is None:
        return None
    takes: Counter[tuple[str | None, int | None]] = Counter()
    for number in range(first.shards):
        where = settings_of(first.settings, number)
        for url, connections in zip((where.store, where.vault), OF_A_SHARD, strict=True):
            takes[_server(url)] += connections
    needed = takes[_server(first.settings.store)]
    if allowed >= needed:
        return None
    return TooFewConnections(
        f"the store's server allows {allowed} connections, and a process that works for all {first.shards} shards "
        f"takes up to {needed} of them",
        f"set max_connections there to {needed} or more for each such process, or have shards live on several "
        "servers (MAKEGOOD_SHARD_MAP)",
    )


def _server(url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(url)
    return parts.hostname, parts.port


def others_of(first: House) -> range:
    """The numbers of a store's shards but the first one, which is open."""
    return range(FIRST_SHARD + 1, first.shards)


@contextmanager
def open_shard(first: House, number: int, **how: Any) -> Iterator[House]:
    """Open a shard of the store whose first one is open. Raises Stop where another store's shard is in its place, and
    Unavailable where the shard map says that it is away."""
    if _map(first.settings).get(number, {}).get("away", False):
        raise Unavailable(
            f"the shard map {first.settings.shard_map} says that shard {number} is away: take that line out once the "
            "shard is where the map says"
        )
    where = settings_of(first.settings, number)
    with open_house(where, **how, connections=OF_A_SHARD) as house:
        if (house.shard, house.shards) != (number, first.shards):
            raise Stop(
                f"{redacted(where.store)} has shard {house.shard} of {house.shards}, and not shard {number} of "
                f"{first.shards}: correct the shard map (MAKEGOOD_SHARD_MAP)"
            )
        yield house
