"""Work that is shared out: results come in their order, and a process that is ended ends the work."""

from __future__ import annotations

from itertools import count, islice
from signal import SIGKILL, raise_signal

import pytest

from makegood.answers.audit.processes import Processes
from makegood.house.stop import Stop


def test_work_without_end_waits_for_its_results_to_be_taken() -> None:
    with Processes(2) as others:
        assert list(islice(others.each(abs, count(-100)), 100)) == list(range(100, 0, -1))
        results = others.each(int, ["1", "2", "none", "4"])
        assert [next(results), next(results)] == [1, 2]
        with pytest.raises(ValueError, match="none"):
            next(results)
        with pytest.raises(Stop, match="not all was checked"):
            list(others.each(raise_signal, [SIGKILL] * 20))
