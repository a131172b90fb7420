"""A program that was loaded before is started, and ends, as any process does."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.parts.loaded import Program

OWN = {name: value for name, value in os.environ.items() if not name.startswith("MAKEGOOD_")}


def test_it_says_what_it_says_and_ends_with_its_code(tmp_path: Path) -> None:
    log = tmp_path / "said.txt"
    with log.open("wb") as said:
        ended = Program("makegood.cli", ["init", "--store", f"sqlite:///{tmp_path}/books.db"], OWN, said=said)
        again = Program("makegood.cli", ["claims", "--store", f"sqlite:///{tmp_path}/none.db"], OWN, said=said)
    assert (ended.wait(60), again.wait(60)) == (0, 1)
    assert (tmp_path / "books.db").exists()
    assert "create one with `makegood init`" in log.read_text()


def test_its_environment_is_the_one_it_is_given() -> None:
    refused = Program("makegood.cli", ["config"], {**OWN, "MAKEGOOD_TIME_ZONE": "Nowhere"})
    assert refused.stderr is not None
    with refused.stderr:
        assert "Nowhere" in refused.stderr.read()
    assert refused.wait(60) == 1


def test_it_is_a_process_of_its_own_that_can_be_frozen_and_killed(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/books.db"
    assert Program("makegood.cli", ["init", "--store", store], OWN).wait(60) == 0
    running = Program("makegood.cli", ["run", "projector", "--store", store], OWN)
    assert running.stderr is not None
    with running.stderr:
        while running.stderr.readline() not in ("ready\n", ""):
            pass
        assert running.pid != os.getpid()
        running.send_signal(signal.SIGSTOP)
        running.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.2)
        assert running.poll() is None
        running.kill()
        assert running.wait(60) == -signal.SIGKILL
        running.kill()  # one that is gone already
