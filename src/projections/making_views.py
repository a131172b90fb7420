"""Makes views over the tables of projections, in PostgreSQL and in SQLite, and makes them anew when they changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby

from ledger.store.database import Conflict, Database, NotPermitted, StoreError, Transaction, Unavailable
from ledger.store.reading.shards import ENDS
from ledger.values import CURRENCY_SCALES
from projections.catalog import CATALOG
from projections.projection import Projection
from projections.views import Column, View, Views


@dataclass(frozen=True, slots=True)
class _Statements:
    """What makes views in a database, what drops them first, and a digest that the view `about` has in it."""

    where: str
    digest: str
    making: Sequence[str]
    dropping: Sequence[str]


def _statements(database: Database, views: Views, catalog: Sequence[Projection]) -> _Statements:
    dialect = _DIALECTS[database.dialect]
    tables = {table.name: projection.stored_name(table) for projection in catalog for table in projection.tables}
    with database.reading() as transaction:
        where = dialect.where(transaction, views.name)
    made = [dialect.define(where, view, tables) for view in views.views]
    digest = sha256("\n".join(made).encode()).hexdigest()
    everything = all_views(views, catalog, digest)
    about = dialect.define(where, everything[-1], tables)
    opening = dialect.opening(where, everything)
    return _Statements(where, digest, [*opening, *made, about], dialect.dropping(where, everything))


def all_views(views: Views, catalog: Sequence[Projection] = CATALOG, digest: str = "") -> tuple[View, ...]:
    """The views, and the one that tells about them all, which is made last."""
    return (*views.views, _about(views, catalog, digest))


def _about(views: Views, catalog: Sequence[Projection], digest: str) -> View:
    read = {name for view in views.views for name in view.tables()}
    behind = [projection for projection in catalog if any(table.name in read for table in projection.tables)]
    which = " OR ".join(f"(projection = '{each.name}' AND version = {each.version})" for each in behind)
    return View(
        "about",
        "The version of the views, and up to which event their rows say everything; one row for each shard.",
        (
            Column("version", "integer", "The version of all views together.", str(views.version)),
            Column("definition", "text", "SHA-256 of the definitions of the other views.", f"'{digest}'"),
            Column("shard", "integer", "The shard that the positions are of; null while nothing is recorded."),
            Column("position", "integer", "The last event that all rows have in them.", "reached"),
            Column("ledger_position", "integer", "The last event that was recorded.", "recorded"),
        ),
        f"(SELECT shard, recorded, (SELECT CASE WHEN COUNT(*) = {len(behind)} THEN MIN(position) ELSE 0 END "
        f"FROM projection_positions AS come WHERE come.shard = ended.shard AND ({which})) AS reached FROM "
        f"({ENDS} UNION ALL SELECT NULL, 0 WHERE NOT EXISTS ({ENDS})) AS ended) AS told",
    )


def name_of(database: Database, views: Views, view: str) -> str:
    """What a view is called in a database."""
    dialect = _DIALECTS[database.dialect]
    with database.reading() as transaction:
        return dialect.named(dialect.where(transaction, views.name), view)


def renew(database: Database, views: Views, catalog: Sequence[Projection] = CATALOG) -> bool:
    """Have the views be there as this program defines them; whether anything had to be done.

    On PostgreSQL a view is replaced, so that its grants and the views of others on it stay. Where columns changed
    otherwise than by new ones at the end, all are dropped and made anew. Raises NotPermitted where that is not for
    whoever asks, and StoreError where something depends on what must go.
    """
    statements = _statements(database, views, catalog)
    with database.reading() as transaction:
        if _stands(transaction, database, statements):
            return False
    try:
        _make(database, statements, statements.making)
    except (Conflict, NotPermitted, Unavailable):
        raise
    except StoreError:
        _make(database, statements, [*statements.dropping, *statements.making])
    return True


def _make(database: Database, statements: _Statements, sql: Sequence[str]) -> None:
    dialect = _DIALECTS[database.dialect]
    with database.writing() as transaction:
        dialect.take_turn(transaction)
        if not _stands(transaction, database, statements):
            for statement in sql:
                transaction.run(statement)


def _stands(transaction: Transaction, database: Database, statements: _Statements) -> bool:
    """Whether the views are there as they should be, which whoever may read anything at all can see."""
    definition = _DIALECTS[database.dialect].definition_of_about(transaction, statements.where)
    return definition is not None and statements.digest in definition


_BY_SCALE = {
    scale: [currency for currency, _ in those]
    for scale, those in groupby(
        sorted(CURRENCY_SCALES.items(), key=lambda each: (each[1], each[0])), lambda each: each[1]
    )
}
"""The currencies of each scale."""


def _by_scale(currency: str, expressions: Mapping[int, str]) -> str:
    """The expression for the scale of a row's currency; most have two decimals."""
    cases = (
        f"WHEN {currency} IN ({', '.join(map(_quoted, currencies))}) THEN {expressions[scale]}"
        for scale, currencies in _BY_SCALE.items()
        if scale != 2
    )
    return f"CASE {' '.join(cases)} ELSE {expressions[2]} END"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class _PostgreSQL:
    """How PostgreSQL has views."""

    def where(self, transaction: Transaction, name: str) -> str:
        """The schema for views of the store in the current schema: several stores may share a database."""
        schema = str(transaction.rows("SELECT current_schema()")[0][0])
        return name if schema == "public" else f"{schema}_{name}"

    def named(self, where: str, view: str) -> str:
        """A view's name."""
        return _identifier(where, view)

    def opening(self, where: str, _: Sequence[View]) -> list[str]:
        """Whoever may not create schemas may have been given this one."""
        there, create = _quoted(_identifier(where)), _quoted(f"CREATE SCHEMA {_identifier(where)}")
        return [f"DO $$ BEGIN IF to_regnamespace({there}) IS NULL THEN EXECUTE {create}; END IF; END $$"]

    def dropping(self, where: str, views: Sequence[View]) -> list[str]:
        """Drop views, and nothing that depends on them."""
        return [f"DROP VIEW IF EXISTS {', '.join(self.named(where, view.name) for view in views)}"]

    def define(self, where: str, view: View, tables: Mapping[str, str]) -> str:
        """The statements that make a view with its comments."""
        name = self.named(where, view.name)
        columns = ", ".join(f"{self._shown(view, column)} AS {column.name}" for column in view.columns)
        source = _ELEMENTS.sub(r"json_array_elements(CAST(\1 AS json))", view.source.format_map(tables))
        source = _MINOR.sub(r"CAST(REPLACE(\1, '.', '') AS numeric)", source)
        comments = (
            f"COMMENT ON COLUMN {name}.{column.name} IS {_quoted(column.description)}" for column in view.columns
        )
        said = [f"COMMENT ON VIEW {name} IS {_quoted(view.description)}", *comments]
        return "; ".join([f"CREATE OR REPLACE VIEW {name} AS SELECT {columns} FROM {source}", *said])

    def _shown(self, view: View, column: Column) -> str:
        said = column.source or column.name
        match column.kind:
            case "text":
                return said
            case "integer":
                return f"CAST({said} AS bigint)"
            case "boolean":
                return f"({said}) <> 0"
            case "date":
                return f"CAST({said} AS date)"
            case "instant":
                # In days and the rest of a day: each is exact, where an interval of so many microseconds is not.
                day, rest = f"CAST(({said}) / 86400000000 AS integer)", f"(({said}) % 86400000000)"
                return f"((DATE '1970-01-01' + {day}) + {rest} * INTERVAL '1 microsecond') AT TIME ZONE 'UTC'"
        if column.kept == "as shown":
            return f"CAST({said} AS numeric)"
        units = {scale: str(1) if scale == 0 else f"0.{'0' * (scale - 1)}1" for scale in _BY_SCALE}
        return f"({said}) * {_by_scale(view.currency, units)}"

    def take_turn(self, transaction: Transaction) -> None:
        """One program at a time makes views; none waits long for whoever reads them, because it waits itself then."""
        transaction.run("SET LOCAL lock_timeout = '5s'")
        transaction.run("SELECT pg_advisory_xact_lock(hashtext('makegood views'))")

    def definition_of_about(self, transaction: Transaction, where: str) -> str | None:
        """What the catalogue says, because a role that runs makegood need not have rights to the views."""
        found = transaction.rows(
            "SELECT definition FROM pg_catalog.pg_views WHERE schemaname = ? AND viewname = 'about'", (where,)
        )
        return str(found[0][0]) if found else None


class _SQLite:
    """How SQLite has views."""

    def where(self, _: Transaction, name: str) -> str:
        """The prefix of the views' names."""
        return f"{name}_"

    def named(self, where: str, view: str) -> str:
        """A view's name."""
        return f"{where}{view}"

    def opening(self, where: str, views: Sequence[View]) -> list[str]:
        """A view of SQLite's is not replaced but dropped, which whatever depends on it survives."""
        return self.dropping(where, views)

    def dropping(self, where: str, views: Sequence[View]) -> list[str]:
        """Drop views."""
        return [f"DROP VIEW IF EXISTS {self.named(where, view.name)}" for view in views]

    def define(self, where: str, view: View, tables: Mapping[str, str]) -> str:
        """The statement that makes a view, with what it and its columns mean as comments in it."""
        columns = [
            (f"  {shown} AS {name}", column.description)
            for column in view.columns
            for name, shown in self._shown(view, column)
        ]
        lines = [f"{shown}, -- {description}" for shown, description in columns[:-1]]
        lines.append("{} -- {}".format(*columns[-1]))
        source = _in_sqlite(view.source.format_map(tables))
        head = [f"CREATE VIEW {self.named(where, view.name)} AS", f"-- {view.description}", "SELECT"]
        return "\n".join([*head, *lines, f"FROM {source}"])

    def _shown(self, view: View, column: Column) -> Iterator[tuple[str, str]]:
        """The columns that a column becomes: an amount becomes two."""
        said = _in_sqlite(column.source or column.name)
        if column.kind == "instant":
            rest = f"((({said}) % 1000000 + 1000000) % 1000000)"
            second = f"strftime('%Y-%m-%dT%H:%M:%S', (({said}) - {rest}) / 1000000, 'unixepoch')"
            yield column.name, f"{second} || printf('.%06dZ', {rest})"
        elif column.kind != "amount":
            yield column.name, said
        elif column.kept == "as shown":
            yield column.name, said
            digits = f"REPLACE({said}, '.', '')"
            whole = f"CASE WHEN LENGTH(LTRIM({digits}, '-')) <= 18 THEN CAST({digits} AS INTEGER) END"
            yield f"{column.name}_minor", whole
        else:
            sign = f"CASE WHEN ({said}) < 0 THEN '-' ELSE '' END"
            shown = {
                scale: f"({sign}) || (ABS({said}) / {10**scale}) || printf('.%0{scale}d', ABS({said}) % {10**scale})"
                if scale
                else f"CAST(({said}) AS TEXT)"
                for scale in _BY_SCALE
            }
            yield column.name, _by_scale(view.currency, shown)
            yield f"{column.name}_minor", said

    def take_turn(self, transaction: Transaction) -> None:
        """A transaction that writes is the only one."""

    def definition_of_about(self, transaction: Transaction, where: str) -> str | None:
        """What SQLite keeps of the view."""
        found = transaction.rows(
            "SELECT sql FROM sqlite_master WHERE type = 'view' AND name = ?", (self.named(where, "about"),)
        )
        return str(found[0][0]) if found else None


_ELEMENTS = re.compile(r"ELEMENTS\(([\w.]+)\)")
_MINOR = re.compile(r"MINOR\(([\w.]+)\)")
_FIELD = re.compile(r"([\w.]+) ->> '(\w+)'")


def _in_sqlite(sql: str) -> str:
    sql = _ELEMENTS.sub(r"json_each(\1)", sql)
    sql = _MINOR.sub(r"CAST(REPLACE(\1, '.', '') AS INTEGER)", sql)
    return _FIELD.sub(lambda found: f"json_extract({found[1]}, '$.{found[2]}')", sql)


def _identifier(*names: str) -> str:
    return ".".join(f'"{name}"' for name in names)


_DIALECTS: Mapping[str, _PostgreSQL | _SQLite] = {"postgresql": _PostgreSQL(), "sqlite": _SQLite()}
