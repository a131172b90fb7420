"""The run's Kafka and PostgreSQL: one of each, started on first use, however many workers share the tests.

Who begins the run keeps them until its end, since one worker ends before another. A worker asks for them on a socket
that nobody else can reach, and is told where they are.
"""

import json
import socket
import socketserver
import tempfile
import threading
from pathlib import Path
from typing import Protocol

from tests.parts import Part, PartFailed, PartMissing
from tests.parts.citus import postgres_at
from tests.parts.kafka import Kafka, find_kafka
from tests.parts.postgres import Postgres, find_postgres

ERRORS = {error.__name__: error for error in (PartMissing, PartFailed)}


class Shared(Protocol):
    """Where a test gets the run's Kafka and PostgreSQL from."""

    def kafka(self) -> Kafka:
        """The run's Kafka. Raises PartMissing or PartFailed."""

    def postgres(self) -> Postgres:
        """The run's PostgreSQL. Raises PartMissing or PartFailed."""

    def close(self) -> None:
        """The run is over."""


class Kept:
    """The parts of the run, in the process that begins and ends it."""

    def __init__(self) -> None:
        self._kafka: Kafka | None = None
        self._postgres: Postgres | None = None
        self._starting = {"Kafka": threading.Lock(), "PostgreSQL": threading.Lock()}
        self._server: socketserver.ThreadingUnixStreamServer | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def kafka(self) -> Kafka:
        with self._starting["Kafka"]:
            self._kafka = self._kafka or find_kafka()
            return self._kafka

    def postgres(self) -> Postgres:
        with self._starting["PostgreSQL"]:
            # Nobody crashes the one that all share, so it need not wait for a disk.
            self._postgres = self._postgres or find_postgres(fsync=False)
            return self._postgres

    @property
    def used(self) -> dict[str, str]:
        """Which part came from where, once it was used."""
        found: dict[str, Part | None] = {"Kafka": self._kafka, "PostgreSQL": self._postgres}
        return {name: part.origin for name, part in found.items() if part is not None}

    def told_at(self) -> str:
        """The socket at which workers are told where the parts are."""
        if self._server is None:
            self._folder = tempfile.TemporaryDirectory(prefix="makegood-run-")
            self._server = socketserver.ThreadingUnixStreamServer(f"{self._folder.name}/parts", self._asked())
            self._server.daemon_threads = True
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return str(self._server.server_address)

    def _asked(self) -> type[socketserver.StreamRequestHandler]:
        kept = self

        class Asked(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(json.dumps(kept._answer(self.rfile.readline().decode().strip())).encode())

        return Asked

    def _answer(self, part: str) -> dict[str, str]:
        try:
            if part == "Kafka":
                kafka = self.kafka()
                return {"address": kafka.bootstrap, "origin": kafka.origin}
            postgres = self.postgres()
        except tuple(ERRORS.values()) as error:
            return {"error": type(error).__name__, "says": str(error)}
        return {"address": postgres.url, "origin": postgres.origin}

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        if self._folder is not None:
            self._folder.cleanup()
        for part in (self._kafka, self._postgres):
            if part is not None:
                part.close()


class Asked:
    """The parts of the run, as a worker is told of them."""

    def __init__(self, at: str) -> None:
        self._at = Path(at)

    def kafka(self) -> Kafka:
        kafka = Kafka()
        kafka.bootstrap, kafka.origin = self._ask("Kafka")
        return kafka

    def postgres(self) -> Postgres:
        url, origin = self._ask("PostgreSQL")
        postgres = postgres_at(url)
        postgres.origin = origin
        return postgres

    def _ask(self, part: str) -> tuple[str, str]:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self._at))
            asking.sendall(f"{part}\n".encode())
            with asking.makefile() as answer:
                told = json.load(answer)
        if "error" in told:
            raise ERRORS[told["error"]](told["says"])
        return told["address"], told["origin"]

    def close(self) -> None:
        pass
