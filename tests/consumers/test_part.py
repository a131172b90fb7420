"""Running parts together: ready when all are, stopped together, and whose fault it was."""

import gc
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from consumers import part as parts
from consumers.part import Collector, Explained, PartFailed, run_parts


class Doing:
    """A part that does what the test says."""

    def __init__(self, name: str, work: Callable[[threading.Event], None], *, gets_ready: bool = True) -> None:
        self.name = name
        self._work = work
        self._gets_ready = gets_ready
        self.ended = False

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        if self._gets_ready:
            ready()
            ready()  # once is enough, twice is no harm
        try:
            self._work(stop)
        finally:
            self.ended = True


def waits(stop: threading.Event) -> None:
    stop.wait()


def test_ready_is_said_once_when_all_are_and_all_drain() -> None:
    stop, said = threading.Event(), []
    working = [Doing("one", waits), Doing("two", waits)]

    def on_ready() -> None:
        said.append("ready")
        stop.set()

    run_parts(working, stop, on_ready)
    assert said == ["ready"]
    assert [part.ended for part in working] == [True, True]


def test_ready_is_not_said_while_one_is_not() -> None:
    stop, said = threading.Event(), []
    threading.Timer(0.2, stop.set).start()
    run_parts([Doing("one", waits), Doing("two", waits, gets_ready=False)], stop, lambda: said.append("ready"))
    assert said == []


def test_a_part_that_fails_stops_all_and_its_error_is_raised_with_its_name() -> None:
    def fails(_: threading.Event) -> None:
        raise Explained("the disk is full; make room")

    other = Doing("other", waits)
    with pytest.raises(PartFailed, match=r"^faulty: the disk is full; make room$") as raised:
        run_parts([other, Doing("faulty", fails)], threading.Event(), lambda: None)
    assert other.ended
    assert raised.value.part == "faulty"
    assert isinstance(raised.value.__cause__, Explained)


def test_what_a_foreign_error_says_is_kept_out_of_sight(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(_: threading.Event) -> None:
        raise ValueError("Grace Hidden")

    with pytest.raises(PartFailed, match=r"^faulty: ValueError in test_part.py:\d+ fails$"):
        run_parts([Doing("faulty", fails)], threading.Event(), lambda: None)
    said = capsys.readouterr()
    assert "Grace" not in said.out + said.err
    assert "test_part.py" in said.out + said.err  # but where it was is said


def test_a_failure_is_told_though_the_log_cannot_be_written(tmp_path: Path) -> None:
    def fails(_: threading.Event) -> None:
        raise ValueError

    with (tmp_path / "log").open("w") as closed:
        pass
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(closed))
    try:
        with pytest.raises(PartFailed, match=r"^faulty: ValueError"):
            run_parts([Doing("faulty", fails)], threading.Event(), lambda: None)
    finally:
        structlog.reset_defaults()


def test_a_part_that_ends_by_itself_is_a_failure() -> None:
    with pytest.raises(PartFailed, match="short"):
        run_parts([Doing("short", lambda _: None), Doing("other", waits)], threading.Event(), lambda: None)


def test_a_part_that_does_not_end_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "DRAIN_SECONDS", 0.2)
    stop = threading.Event()
    stop.set()
    released = threading.Event()
    with pytest.raises(PartFailed, match="deaf: did not stop within"):
        run_parts([Doing("deaf", lambda _: released.wait(5) and None)], stop, lambda: None)
    released.set()


def test_stopping_is_quick() -> None:
    stop = threading.Event()
    began = time.monotonic()
    run_parts([Doing("one", waits)], stop, stop.set)
    assert time.monotonic() - began < 1


class Circle:
    """Something that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_refers_to_itself_is_freed_soon_or_within_the_hour() -> None:
    """What was in use while the collector looked is passed over from then on, until everything is looked at."""
    stop = threading.Event()
    every, all_every = 0.02, 0.4
    collecting = threading.Thread(target=Collector(every, all_every).run, args=(stop, lambda: None))
    in_use = Circle()
    gone_in_use = weakref.ref(in_use)
    collecting.start()
    try:
        young = weakref.ref(Circle())
        within(5.0, lambda: young() is None)
        del in_use
        within(5.0, lambda: gone_in_use() is None)
    finally:
        stop.set()
        collecting.join()
    assert gc.get_freeze_count() == 0


def within(seconds: float, comes_true: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while not comes_true():
        assert time.monotonic() < until
        time.sleep(0.01)
