"""A Citus cluster that somebody runs: to its clients one PostgreSQL, whose schemas are each on one of its nodes."""

from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.parts.postgres import Postgres, PostgresAtAddress

_WORKERS = "SELECT nodename, nodeport FROM pg_dist_node WHERE noderole = 'primary' AND groupid <> 0 ORDER BY nodeid"


class Citus(PostgresAtAddress):
    """One whose coordinator is at an address, and whose nodes each have the same user and password.

    Databases of its own have the extension on every node, and put each schema that is made in them on one node.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        with psycopg.connect(url) as connection:
            found = connection.execute(_WORKERS).fetchall()
            [(version,)] = connection.execute(
                "SELECT extversion FROM pg_extension WHERE extname = 'citus'"
            ).fetchall()
        self.workers = [(str(host), int(port)) for host, port in found]
        self.origin = f"Citus {version}, {len(self.workers)} workers, {self.origin}"

    def new_database(self, name: str = "") -> str:
        made = super().new_database(name)
        name = urlsplit(made).path[1:]
        for node in self._workers_urls():
            with psycopg.connect(node, autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        for node in (self.url, *self._workers_urls()):
            with psycopg.connect(_named(node, name), autocommit=True) as connection:
                connection.execute("CREATE EXTENSION citus")
        with psycopg.connect(made, autocommit=True) as connection:
            at = urlsplit(self.url)
            connection.execute("SELECT citus_set_coordinator_host(%s, %s)", (at.hostname, at.port or 5432))
            for worker in self.workers:
                connection.execute("SELECT citus_add_node(%s, %s)", worker)
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET citus.enable_schema_based_sharding = on").format(sql.Identifier(name))
            )
        return made

    def drop_database(self, url: str) -> None:
        for postgres in (self, *(_Worker(node) for node in self._workers_urls())):
            Postgres.drop_database(postgres, url)

    def _workers_urls(self) -> list[str]:
        parts = urlsplit(self.url)
        who = parts.netloc.rpartition("@")[0]
        return [
            urlunsplit(parts._replace(netloc=f"{who}@{host}:{port}" if who else f"{host}:{port}"))
            for host, port in self.workers
        ]


class _Worker(Postgres):
    def __init__(self, url: str) -> None:
        self.url = url


def _named(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path="/" + name))


def postgres_at(url: str) -> PostgresAtAddress:
    """What answers there: Citus where it is a coordinator with workers. Raises PartFailed where nobody does."""
    found = PostgresAtAddress(url)
    with psycopg.connect(url) as connection:
        is_citus = connection.execute("SELECT to_regclass('pg_dist_node')").fetchone() != (None,)
        has_workers = is_citus and connection.execute(_WORKERS).fetchone() is not None
    return Citus(url) if has_workers else found
