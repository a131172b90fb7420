"""What is said on standard error, by several threads at a time."""

import io
import sys

import pytest
import structlog

from makegood.house.logs import configure_logs, say


class Stream(io.StringIO):
    """Keeps apart what was written by itself: between two writes another thread may write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


def test_every_line_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for `ready` would miss it otherwise, glued to the log line of a part."""
    stream = Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logs("info")
    try:
        structlog.get_logger("a part").info("something_done")
    finally:
        structlog.reset_defaults()
    say("ready")
    assert [text.count("\n") for text in stream.writes] == [1, 1]
    assert stream.writes[-1] == "ready\n"
