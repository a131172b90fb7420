"""The acceptance cases, each run in a fresh database: in order, shuffled, and delivered twice."""

import json
import random
from pathlib import Path

import pytest

from tests.door.conftest import ROOT, Door

CASES = ROOT / "tests" / "cases"


@pytest.mark.parametrize(("shuffle", "twice"), [(None, False), (1, True), (7, True)])
def test_the_cases_come_out_to_the_cent(door: Door, tmp_path: Path, shuffle: int | None, twice: bool) -> None:
    cases = [case for file in ("public.json", "random.json") for case in json.loads((CASES / file).read_text())]
    events = [event for case in cases for event in case["events"]] * (2 if twice else 1)
    if shuffle is not None:
        random.Random(shuffle).shuffle(events)
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))

    door("init", "--sandbox")
    door("agreement", "publish", *sorted(map(str, (CASES / "agreements").glob("*.toml"))))
    summary = door.json("ingest", str(file))
    assert (summary["read"], summary["refused"]) == (len(events), [])
    assert summary["duplicates"] == (len(events) // 2 if twice else 0)
    door("advance", "2035-01-01T00:00:00Z")

    found: dict[str, dict[str, dict[str, object]]] = {}
    for claim in door.json("claims"):
        found.setdefault(claim["account_id"], {})[claim["claim_id"]] = claim
    for case in cases:
        got = found.get(case["events"][0]["subject"], {})
        want = {claim["claim_id"]: claim for claim in case["expect"]}
        assert got.keys() == want.keys(), case["case"]
        for claim_id, claim in want.items():
            assert {key: got[claim_id][key] for key in claim} == claim, f"{case['case']}: {case['about']}"
