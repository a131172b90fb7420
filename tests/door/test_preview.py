"""A preview says to the cent what happens when the same messages are ingested, and records nothing."""

import random

import pytest

from tests.door.conftest import Door
from tests.door.test_commands import CANCELLATION, STORY, message
from tests.oracle.histories import agreement_texts, history


def standing(door: Door) -> dict[tuple[str, str], tuple[object, ...]]:
    return {
        (c["account_id"], c["claim_id"]): (c["outcome"], c["reason"], c["amount"], c["tax"])
        for c in door.json("claims")
    }


def test_it_names_the_claims_that_would_change_and_records_nothing(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY[:-1]))
    before = sandbox.json("history", "acct-1")
    found = sandbox.json("preview", lines(CANCELLATION, STORY[0]))
    assert (found["accepted"], found["duplicates"], found["refused"]) == (1, 1, [])
    (change,) = found["changes"]
    assert (change["claim_id"], change["change"], change["before"]) == ("unused/c", "opened", None)
    assert (change["after"]["amount"], change["after"]["tax"]) == ("23.96", "4.55")
    assert sandbox.json("history", "acct-1") == before
    assert sandbox.json("claims") == []
    assert "Nothing was recorded" in (sandbox("preview", lines(CANCELLATION)) + sandbox.errors)


def test_it_says_what_would_be_refused(sandbox: Door, lines) -> None:
    sandbox("ingest", lines(*STORY))
    other = CANCELLATION | {"data": CANCELLATION["data"] | {"channel": "support"}}
    wrong = message("m-8", "charge.posted", {"charge_id": "x"})
    found = sandbox.json("preview", lines(other, wrong), exits=3)
    assert [(row["line"], row["field"]) for row in found["refused"]] == [(1, "id"), (2, "data.currency")]
    assert sandbox.json("dead-letters", "list") == []


@pytest.mark.parametrize("seed", range(6))
def test_what_it_says_is_what_happens(door: Door, lines, tmp_path, seed: int) -> None:
    door("init", "--sandbox")
    files = []
    for number, text in enumerate(agreement_texts().values()):
        files.append(tmp_path / f"{number}.toml")
        files[-1].write_text(text)
    door("agreement", "publish", *map(str, files))
    door("advance", "2030-01-01T00:00:00Z")
    messages = [m for part in range(10) for m in history(seed * 10 + part, account=f"a-{part}")]
    random.Random(seed).shuffle(messages)
    door("ingest", lines(*messages[: len(messages) // 2]))

    before = standing(door)
    file = lines(*messages[len(messages) // 2 :])
    said = {
        (change["account_id"], change["claim_id"]): (
            change["after"]
            and (
                change["after"]["outcome"],
                change["after"]["reason"],
                change["after"]["amount"],
                change["after"]["tax"],
            )
        )
        for change in door.json("preview", file)["changes"]
    }
    assert standing(door) == before
    door("ingest", file)
    after = standing(door)
    happened = {key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert {key: said.get(key) for key in happened} == happened
    assert {key: value for key, value in said.items() if key not in happened} == {
        key: after.get(key) for key in said if key not in happened
    }
