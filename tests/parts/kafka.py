"""A real Kafka: at an address, in a container, or as a Java process with jars that Maven fetched once."""

import base64
import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.parts import Part, PartFailed, PartMissing
from tests.parts.containers import engine
from tests.parts.process import Server, answers, free_ports, new_folder

ADDRESS = "MAKEGOOD_TEST_KAFKA"
IMAGE = "apache/kafka:4.3.1"
POM = Path(__file__).parents[2] / "deploy" / "kafka" / "pom.xml"
OLDEST_JAVA = 17
PATIENCE = 60.0
"""Seconds that a start may take: far more than it does, for a machine that is busy."""

SINGLE_NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # One node cannot replicate.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Makegood and its tests create their topics; a misspelt one shall be an error.
    "auto.create.topics.enable": "false",
    # Do not wait for more members to join: tests start them one by one.
    "group.initial.rebalance.delay.ms": "0",
    # A member that was killed or frozen may be given up within seconds.
    "group.min.session.timeout.ms": "500",
}
"""What a one-node Kafka for tests is told, in a container as well as here."""

LOCAL_ONLY = {
    # The cleaner reserves 128 MB of the heap otherwise.
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "4",
    # After a crash the broker is let in again only when its former session is over: 9 s, and 11 to start, otherwise.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}

LOGGING = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %-5p %c: %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
"""


class Kafka(Part):
    """A Kafka that answers at `bootstrap`."""

    bootstrap: str
    """host:port, as clients want it."""


class KafkaAtAddress(Kafka):
    """One that somebody else runs."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.origin = f"Kafka at {bootstrap}, from {ADDRESS}"
        deadline = time.monotonic() + 15
        while not knows_its_brokers(bootstrap, 5.0):
            if time.monotonic() > deadline:
                raise PartFailed(f"no Kafka answers at {bootstrap}; set {ADDRESS} to one that does, or unset it")


class KafkaInContainer(Kafka):
    """One in a container of its own, on a port of this machine that is fixed before it starts.

    The broker must tell its clients the address they can reach it by, so that has to be known first.
    """

    def __init__(self) -> None:
        from testcontainers.core.container import DockerContainer

        (port,) = free_ports(1)
        container = DockerContainer(IMAGE)
        host = container.get_docker_client().host()
        self.bootstrap = f"{host}:{port}"
        for setting, value in {
            **SINGLE_NODE,
            "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.voters": "1@localhost:9093",
        }.items():
            container.with_env("KAFKA_" + setting.upper().replace(".", "_"), value)
        container.with_bind_ports(9092, port)
        self.origin = f"Apache Kafka in a container ({IMAGE})"
        self._container = container
        container.start()
        deadline = time.monotonic() + PATIENCE
        while not (answers(host, port) and knows_its_brokers(self.bootstrap, 1.0)):
            if time.monotonic() > deadline:
                logged = b"".join(container.get_logs()).decode(errors="replace")
                container.stop()
                raise PartFailed(f"{self.origin} did not answer within {PATIENCE:.0f} s:\n{logged[-4000:]}")
            time.sleep(0.1)

    def close(self) -> None:
        self._container.stop()


@dataclass(frozen=True)
class Java:
    """A Java that can run the broker."""

    command: str
    version: str

    @property
    def major(self) -> int:
        """17 for 17.0.15."""
        return int(self.version.split(".")[0])


@dataclass(frozen=True)
class Distribution:
    """The broker's jars, and a storage folder formatted by it, in the user's cache."""

    folder: Path
    version: str

    @property
    def class_path(self) -> str:
        """Every jar by name and in order: Java takes a class archive only for the class path it was made with."""
        return os.pathsep.join(str(jar) for jar in sorted((self.folder / "jars").glob("*.jar")))

    @property
    def formatted(self) -> Path:
        """An empty storage folder to copy: formatting one anew takes a Java of its own, and a second or more."""
        return self.folder / "formatted"

    def archive(self, java: Java) -> Path:
        """Where that Java's prepared classes are: with them the broker is up in half the time."""
        return self.folder / f"classes-{java.version}.jsa"

    def archived(self, java: Java) -> list[str]:
        """Options that make use of it; where it does not fit after all, Java loads the jars and says nothing."""
        archive = self.archive(java)
        return [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto"] if archive.exists() else []


class KafkaProcess(Kafka):
    """One as a Java process here: KRaft, a single node, its data in a temporary folder."""

    controllable = True

    def __init__(self, distribution: Distribution, java: Java, java_options: Sequence[str]) -> None:
        self.origin = f"Apache Kafka {distribution.version}, local process, Java {java.version}"
        self._folder = new_folder("makegood-kafka-")
        try:
            self._prepare(distribution)
            self._start_somewhere(distribution, java, java_options)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def _prepare(self, distribution: Distribution) -> None:
        """Storage of a cluster that nobody has seen before: clients may tell clusters apart by their id."""
        shutil.copytree(distribution.formatted, self._folder / "data")
        meta = self._folder / "data" / "meta.properties"
        ids = re.compile(r"^(cluster|directory)\.id=.*$", re.MULTILINE)
        meta.write_text(ids.sub(lambda found: f"{found[1]}.id={new_id()}", meta.read_text()))
        (self._folder / "log4j2.properties").write_text(LOGGING)

    def _start_somewhere(self, distribution: Distribution, java: Java, java_options: Sequence[str]) -> None:
        """Somebody else can take a port between our look and the broker's start: then take others."""
        for attempt in (1, 2, 3):
            port, controller = free_ports(2)
            self.bootstrap = f"127.0.0.1:{port}"
            settings = {
                **SINGLE_NODE,
                **LOCAL_ONLY,
                "log.dirs": str(self._folder / "data"),
                "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
                "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            }
            write_settings(self._folder / "server.properties", settings)
            command = broker_command(distribution, java, self._folder, java_options)
            self._server = Server("kafka", command, self._folder)
            try:
                self.start()
            except PartFailed as failure:
                if attempt == 3 or "already in use" not in str(failure):
                    raise
            else:
                return

    @property
    def folder(self) -> Path:
        """Where its data is."""
        return self._folder

    @property
    def log(self) -> Path:
        """What the broker logged, over all its starts."""
        return self._server.log

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._server.pid

    def start(self) -> None:
        host, _, port = self.bootstrap.partition(":")

        def ready() -> bool:
            # The bare connection first: it is refused at once, where the client would log and back off.
            return answers(host, int(port)) and knows_its_brokers(self.bootstrap, 1.0)

        self._server.start(ready, PATIENCE)

    def stop(self) -> None:
        self._server.stop()

    def kill(self) -> None:
        self._server.kill()

    def pause(self) -> None:
        self._server.pause()

    def resume(self) -> None:
        self._server.resume()

    def close(self) -> None:
        self._server.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


QUICK_START: tuple[str, ...] = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""For a broker that lives for seconds: without the optimising compiler, which competes with the tests for the CPU."""


def find_kafka(*, controllable: bool = False, java_options: Sequence[str] = QUICK_START) -> Kafka:
    """A Kafka that answers: at MAKEGOOD_TEST_KAFKA, in a container, or as a local process.

    With `controllable=True` always a local process of its own. For measurements give `java_options=()`: the broker
    then starts a second later and runs as in production.
    """
    if not controllable:
        if address := os.environ.get(ADDRESS):
            return KafkaAtAddress(address)
        if engine() is not None:
            return KafkaInContainer()
    java = find_java()
    return KafkaProcess(find_distribution(java), java, java_options)


def expect_kafka() -> str:
    """What `find_kafka` will come up with, as far as can be told without starting anything."""
    if address := os.environ.get(ADDRESS):
        return f"will be taken from {ADDRESS}: {address}"
    if (version := engine()) is not None:
        return f"will be started on first use: container {IMAGE} (Docker engine {version})"
    fetched = (cache_folder() / "jars").is_dir()
    absent = [
        *([] if java_command() else [f"java ({OLDEST_JAVA} or later)"]),
        *([] if fetched or shutil.which("mvn") else ["mvn"]),
    ]
    if absent:
        return f"missing: {' and '.join(absent)}, or a Docker engine, or an address in {ADDRESS}"
    jars = "jars in the cache" if fetched else "jars to be fetched by mvn"
    return f"will be started on first use: Apache Kafka {wanted_version()}, local process, {jars}"


def knows_its_brokers(bootstrap: str, patience: float) -> bool:
    """Whether a metadata request comes back and names a broker; a KRaft node does so once it serves clients."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        return bool(client.list_topics(timeout=patience).brokers)
    except KafkaException:
        return False


def java_command() -> str | None:
    """The `java` that would run the broker."""
    if home := os.environ.get("JAVA_HOME"):
        return shutil.which(str(Path(home) / "bin" / "java")) or shutil.which("java")
    return shutil.which("java")


@functools.cache
def find_java() -> Java:
    """A Java that is new enough; says what to install where there is none."""
    remedy = (
        f"To run Kafka here install a Java runtime, version {OLDEST_JAVA} or later (Debian: openjdk-17-jre-headless "
        f"or default-jre-headless; `make deps` as root), or start a Docker engine, or set {ADDRESS}=host:port."
    )
    command = java_command()
    if command is None:
        raise PartMissing(f"No `java` on the PATH or under JAVA_HOME. {remedy}")
    said = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r'version "(\d+)([^"]*)"', said.stderr + said.stdout)
    if found is None:
        raise PartMissing(f"{command} does not tell its version: {(said.stderr + said.stdout).strip()!r}. {remedy}")
    java = Java(command, found[1] + found[2])
    if java.major < OLDEST_JAVA:
        raise PartMissing(f"{command} is Java {java.version}, too old for Kafka 4. {remedy}")
    return java


def wanted_version() -> str:
    """Kafka's version, as the pom says."""
    found = ElementTree.parse(POM).findtext(".//{*}properties/{*}kafka.version")
    if found is None:
        raise PartFailed(f"{POM} names no kafka.version")
    return found


def cache_folder() -> Path:
    """Where the jars are kept. The pom's digest is in the name, so that a changed pom is a folder of its own."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "makegood" / f"kafka-{wanted_version()}-{hashlib.sha256(POM.read_bytes()).hexdigest()[:8]}"


def find_distribution(java: Java) -> Distribution:
    """The broker ready to run: fetched, formatted and its classes archived, each of them once for this user.

    Another test run may want the same at the same time, hence the lock; and one may be killed halfway, hence every
    step works beside its place and is moved there at its end.
    """
    distribution = Distribution(cache_folder(), wanted_version())
    if distribution.folder.is_dir() and distribution.archive(java).exists():
        return distribution
    distribution.folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{distribution.folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not distribution.folder.is_dir():
            fetch(distribution, java)
        if not distribution.archive(java).exists():
            archive_classes(distribution, java)
    return distribution


def fetch(distribution: Distribution, java: Java) -> None:
    """Let Maven copy the jars, and format a storage folder with them."""
    maven = shutil.which("mvn")
    if maven is None:
        raise PartMissing(
            f"Kafka's jars are not in {distribution.folder}, and there is no `mvn` to fetch them. Install Maven "
            f"(Debian: maven; `make deps` as root), or start a Docker engine, or set {ADDRESS}=host:port."
        )
    print(f"fetching Apache Kafka {distribution.version} (once, about 45 MB)", file=sys.stderr)
    beside = Path(tempfile.mkdtemp(prefix=f"{distribution.folder.name}.partial-", dir=distribution.folder.parent))
    try:
        fetching = [maven, "--batch-mode", "--quiet", "--no-transfer-progress", f"--file={POM}"]
        fetching += ["dependency:copy-dependencies", f"-DoutputDirectory={beside / 'jars'}"]
        run(fetching, "mvn could not fetch Kafka's jars", 900)
        settings = {
            **SINGLE_NODE,
            "log.dirs": str(beside / "formatted"),
            "listeners": "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2",
            "controller.quorum.voters": "1@127.0.0.1:2",
        }
        write_settings(beside / "format.properties", settings)
        format_storage(str(beside / "jars" / "*"), java, beside, beside / "format.properties")
        beside.rename(distribution.folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def format_storage(class_path: str, java: Java, folder: Path, settings: Path, users: Sequence[str] = ()) -> None:
    """Have Kafka format the storage that its settings name; `users` are there from the first start on."""
    (folder / "log4j2.properties").write_text(LOGGING)
    formatting = [java.command, f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}"]
    formatting += ["-cp", class_path, "kafka.tools.StorageTool", "format"]
    formatting += ["--cluster-id", new_id(), "--config", str(settings)]
    for user in users:
        formatting += ["--add-scram", user]
    run(formatting, "Kafka's storage could not be formatted", 120)


def broker_command(distribution: Distribution, java: Java, folder: Path, java_options: Sequence[str]) -> list[str]:
    """What runs a broker on the settings in a folder."""
    return [
        java.command,
        "-Xmx512m",
        *java_options,
        *distribution.archived(java),
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
        f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
        "-cp",
        distribution.class_path,
        "kafka.Kafka",
        str(folder / "server.properties"),
    ]


def archive_classes(distribution: Distribution, java: Java) -> None:
    """Run the broker once, let it write down which classes it loaded, and keep that for its later starts.

    It only saves time, so a Java that cannot do it is no reason to fail: a real fault shows again at the next start.
    """
    beside = distribution.folder / f"classes-{os.getpid()}.partial"
    with contextlib.suppress(Exception):
        broker = KafkaProcess(distribution, java, [*QUICK_START, f"-XX:ArchiveClassesAtExit={beside}"])
        try:
            use(broker.bootstrap)
            broker.stop()
        finally:
            broker.close()
    if beside.exists():
        beside.rename(distribution.archive(java))


def use(bootstrap: str) -> None:
    """Do what tests will do: a topic, a record, a group. What is loaded for that goes into the archive."""
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    silent: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap, "log_level": 0}
    client = AdminClient(silent)  # to be kept until its answer is in, or it is ended before
    client.create_topics([NewTopic("first-use", 1, 1)])["first-use"].result(10)
    producer = Producer(silent)
    producer.produce("first-use", b"value", key=b"key")
    producer.flush(10)
    consumer = Consumer({**silent, "group.id": "first-use", "auto.offset.reset": "earliest"})
    consumer.subscribe(["first-use"])
    consumer.poll(10)
    consumer.close()


def run(command: Sequence[str], complaint: str, patience: float) -> None:
    """Run a command that should say nothing; where it fails show what it said."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise PartFailed(f"{complaint} within {patience:.0f} s: {' '.join(command)}") from late
    if done.returncode != 0:
        raise PartFailed(f"{complaint} (exit {done.returncode}): {' '.join(command)}\n{done.stdout[-4000:]}")


def write_settings(path: Path, settings: dict[str, str]) -> None:
    """A Java properties file."""
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


def new_id() -> str:
    """An id as Kafka makes them: 16 random bytes in URL-safe base 64, not beginning with a dash."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not made.startswith("-"):
            return made
