"""The report of `make bench`: what it keeps, how it is read, and how two are compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench import compare
from bench.report import Report, compared
from bench.timing import Took, in_turn


def a_report(*rates: float, plain: tuple[float, ...] = (10.0, 10.0)) -> Report:
    report = Report({"commit": "abc"})
    section = report.section("Reading", "A thousand rows.")
    section.add("plain SQL", plain, "rows/s")
    section.add("ours", rates, "rows/s", cpu=[0.5] * len(rates), beside="plain SQL")
    return report


def test_a_figure_stands_beside_its_comparison_with_its_spread() -> None:
    told = a_report(20.0, 30.0, 25.0).to_markdown()
    assert "| ours | 25 | 20 to 30 |  | 3 | rows/s | 0.500 | 2.50 | plain SQL |  |" in told


def test_the_values_of_every_round_are_kept(tmp_path: Path) -> None:
    a_report(20.0, 30.0).write(tmp_path)
    said = json.loads((tmp_path / "bench.json").read_text())
    assert [figure["values"] for figure in said["sections"][0]["figures"]] == [[10.0, 10.0], [20.0, 30.0]]


def test_another_report_has_another_name(tmp_path: Path) -> None:
    a_report(20.0).write(tmp_path, "peers")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["peers.json", "peers.md"]


def test_a_difference_counts_where_the_rounds_lie_apart() -> None:
    before, after = a_report(20.0, 22.0).to_json(), a_report(21.0, 25.0, plain=(12.0, 13.0)).to_json()
    told = compared(before, after)
    assert "| plain SQL | rows/s | 10 | 12.50 | 1.25 |  | beyond the spread |" in told
    assert "| ours | rows/s | 21 | 23 | 1.10 | 1.00 | within the spread |" in told


def test_what_only_one_report_has_is_not_compared() -> None:
    before, after = a_report(1.0).to_json(), a_report(1.0).to_json()
    before["sections"][0]["figures"].pop()
    assert "ours" not in compared(before, after)


def test_works_take_turns() -> None:
    done: list[str] = []

    def work(name: str) -> Took:
        done.append(name)
        return Took(seconds=2.0, cpu=1.0)

    section = Report({}).section("Turns")
    in_turn(section, 2, 10, "things/s", {"b": lambda: work("b"), "a": lambda: work("a")}, beside="a")
    assert done == ["b", "a", "b", "a"]
    assert [(each.name, each.median, each.cpu, each.beside) for each in section.figures] == [
        ("a", 5.0, [100.0, 100.0], None),
        ("b", 5.0, [100.0, 100.0], "a"),
    ]


def test_whoever_names_no_report_is_told_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["compare", str(tmp_path), str(tmp_path)])
    assert compare.main() == 1
    assert "`make bench` writes .bench/bench.json" in capsys.readouterr().err
