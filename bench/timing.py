"""Seconds and CPU seconds of a piece of work, and works that take turns."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psycopg

from bench.report import Section

ROUNDS = 3
"""So often each piece of work is done, unless a section says otherwise."""


@dataclass(frozen=True, slots=True)
class Took:
    """What a piece of work took; `cpu` of this process and of those that it started and that have ended."""

    seconds: float
    cpu: float


class Stopwatch:
    """Begins when it is made."""

    def __init__(self) -> None:
        self._cpu, self._began = _cpu(), time.perf_counter()

    def took(self) -> Took:
        """What was taken until now."""
        return Took(time.perf_counter() - self._began, _cpu() - self._cpu)


def took(work: Callable[[], object]) -> Took:
    """Do a piece of work."""
    stopwatch = Stopwatch()
    work()
    return stopwatch.took()


def timed(work: Callable[[], object]) -> float:
    """The seconds that a piece of work takes."""
    return took(work).seconds


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


class Spent(NamedTuple):
    """CPU seconds of our processes, and of PostgreSQL's."""

    ours: float
    server: float


class Spending:
    """Tells the CPU time of work with a PostgreSQL on this machine."""

    def __init__(self, url: str) -> None:
        self._servers = _server_processes(url)

    def of(self, work: Callable[[], object]) -> Spent:
        """Do a piece of work."""
        before = self._servers()
        ours = took(work)
        return Spent(ours.cpu, self._servers() - before)


def _server_processes(url: str) -> Callable[[], float]:
    """What asks for the CPU seconds of a PostgreSQL on this machine, of processes that have ended too."""
    with psycopg.connect(url) as connection:
        [(folder,)] = connection.execute("SHOW data_directory").fetchall()
    postmaster = int((Path(folder) / "postmaster.pid").read_text().partition("\n")[0])

    def used() -> float:
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(stat.parent.name) == postmaster:
                ticks += sum(map(int, fields[11:15]))
            elif int(fields[1]) == postmaster:
                ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    return used


@dataclass(slots=True)
class Rates:
    """How many of something a second, round by round."""

    count: int
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, took: Took) -> None:
        """Keep a round."""
        self.rates.append(self.count / took.seconds)
        self.cpu.append(1e3 * took.cpu / self.count)


def in_turn(
    section: Section,
    rounds: int,
    count: int,
    unit: str,
    works: Mapping[str, Callable[[], Took]],
    beside: str | None = None,
) -> None:
    """Do several works in turn, round after round, and keep each one's rate; `beside` is what they compare with."""
    rates = {name: Rates(count) for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            rates[name].add(work())
    for name, found in sorted(rates.items(), key=lambda each: each[0] != beside):
        section.add(name, found.rates, unit, cpu=found.cpu, beside=beside if name != beside else None)
