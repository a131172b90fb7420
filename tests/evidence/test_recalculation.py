"""Amounts worked out again from a pack: an honest history is sound, and a changed amount is found with its event."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.audit import (
    Checkpoint,
    LogProof,
    SignatureType,
    SigningKey,
    inclusion_proof,
    leaf_digest,
    leaf_hash,
    root_of,
    signed,
)
from ledger.events import (
    ClaimAssessed,
    ClaimAssessedV1,
    CreditApplied,
    LedgerEvent,
    OverpaidRecovered,
    RefundSubmitted,
    SettlementChanged,
)
from ledger.policy.facts.refunds import Refunds
from ledger.values import CURRENCY_SCALES
from makegood.evidence import verify
from makegood.evidence.recalculation import DECIMALS, OLDER_RULES, TAKEN_AS_RECORDED, Recalculation, terms_from
from makegood.evidence.resettlement import REPORTED_FIRST, Resettlement
from makegood.evidence.verifier import verifier
from tests.oracle import histories
from tests.parts.leaves import Leaves
from tests.projections.test_movements import Life
from tests.search import sample

SEEDS = range(sample(8))
TEXTS = list(histories.agreement_texts(money=True).values())
TERMS = {sha256(text.encode()).hexdigest(): terms_from(text) for text in TEXTS}
KEY = SigningKey.new("example.org/log", SignatureType.ED25519)
POLICY = verify.Policy(logs=[verify.Key.from_text(str(KEY.vkey))])

Said = dict[str, Any]


def lived(seed: int) -> list[LedgerEvent]:
    """The events of a random history with its provider's people."""
    return [event for step in Life(seed).steps for event in step]


class ToldOfReturns(Life):
    """A life whose processor also reports on single returns, and names amounts, the submitted one or another."""

    def _about_refunds(self) -> Iterator[Callable[[], None]]:
        yield from super()._about_refunds()
        for refund_id in sorted(self.reported.submitted()):
            for attempt in self.reported.attempts(refund_id):
                for each in attempt.returns:
                    amount = {"amount": str(max(each.amount, 1)), "currency": attempt.submitted.data.currency}
                    yield partial(self._report, self._says.refund_failed, each.returned.return_id)
                    for id_ in (each.returned.return_id, refund_id):
                        yield partial(self._report, self._says.refund_succeeded, id_)
                        yield partial(self._report, partial(self._says.refund_succeeded, **amount), id_)

    @property
    def reported(self) -> Refunds:
        return self.account.facts.refunds


def as_said(events: Iterable[LedgerEvent]) -> list[Said]:
    return [json.loads(event.stored()) for event in events]


def recalculated(said: Sequence[Said], terms: Mapping[str, Any] = TERMS) -> Recalculation:
    recalculation, _ = worked_out(said, terms)
    return recalculation


def worked_out(said: Sequence[Said], terms: Mapping[str, Any] = TERMS) -> tuple[Recalculation, list[int]]:
    """What is found, and where the events stand that were worked out."""
    recalculation = Recalculation(terms)
    resettlement = Resettlement(recalculation)
    judged = []
    for number, each in enumerate(said):
        before = recalculation.decisions
        recalculation.take(f"0:{number + 1}", each)
        resettlement.take(f"0:{number + 1}", each)
        if recalculation.decisions > before:
            judged.append(number)
    return recalculation, judged


def pack_of(said: Sequence[Said], folder: Path) -> Path:
    """An evidence pack of an account, whose events stand in a log after the publications of all agreements; chained
    and signed as an honest log is, whatever the events say."""
    published = [
        {"type": "agreement-published.v1", "account": "system", "previous": None, "data": {"text": text}}
        for text in TEXTS
    ]
    entries: list[bytes] = [json.dumps(each).encode() for each in published]
    previous = None
    for each in said:
        entries.append(json.dumps({**each, "previous": previous}).encode())
        previous = leaf_hash(entries[-1])
    digests = [leaf_digest(entry) for entry in entries]
    tree, size = Leaves(digests), len(entries)
    note = signed(Checkpoint("example.org/log", size, root_of(digests)), [KEY], 1_800_000_000)
    files = {"checkpoints/0.checkpoint": str(note).encode()}
    for index, entry in enumerate(entries):
        proof = LogProof(index, tuple(inclusion_proof(tree, index, size)), note)
        files[f"entries/0/{index + 1:012}.json"] = entry
        files[f"proofs/0/{index + 1:012}.tlog-proof"] = proof.to_text().encode()
    agreements = [(f"agreements/{digest}.toml", text) for digest, text in zip(TERMS, TEXTS, strict=True)]
    files |= {file: text.encode() for file, text in agreements}
    places = [f"0:{position}" for position in range(len(TEXTS) + 1, size + 1)]
    told = {
        "format": "makegood evidence 1",
        "kind": "account",
        "logs": [
            {
                "shard": 0,
                "origin": "example.org/log",
                "size": size,
                "root": root_of(digests).hex(),
                "checkpoint": "checkpoints/0.checkpoint",
            }
        ],
        "accounts": [
            {
                "account_id": "acct-1",
                "events": places,
                "head": {"version": len(said), "position": places[-1], "leaf_hash": previous},
            }
        ],
        "agreements": [
            {"file": file, "published_at": f"0:{position}"} for position, (file, _) in enumerate(agreements, 1)
        ],
        "closing": None,
        "files": {name: sha256(content).hexdigest() for name, content in files.items()},
    }
    packed = folder / "pack.zip"
    with zipfile.ZipFile(packed, "w") as out:
        for name, content in {**files, "pack.json": json.dumps(told).encode()}.items():
            out.writestr(name, content)
    return packed


def decided(said: Sequence[Said]) -> list[int]:
    """Where decisions about claims stand that say what each comes to."""
    return [n for n, each in enumerate(said) if each["type"] == ClaimAssessed.stored_as and each["data"]["after"]]


def raised(amount: str) -> str:
    """An amount with one more of its first digits."""
    whole, point, rest = amount.partition(".")
    return f"{int(whole) + 1}{point}{rest}"


# --- honest histories ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_decided_comes_out_again(seed: int) -> None:
    said = as_said(lived(seed))
    found = recalculated(said)
    assert found.differing == []
    about_money = (ClaimAssessed, SettlementChanged, RefundSubmitted, CreditApplied, OverpaidRecovered)
    types = {each.stored_as for each in about_money}
    assert found.decisions + sum(found.not_judged.values()) == sum(each["type"] in types for each in said)
    assert found.not_judged.keys() <= {TAKEN_AS_RECORDED, REPORTED_FIRST}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_reported_of_single_returns_comes_out_again(seed: int) -> None:
    said = as_said(event for step in ToldOfReturns(seed).steps for event in step)
    assert recalculated(said).differing == []


def test_an_honest_pack_is_sound_for_the_file_that_auditors_get(tmp_path: Path) -> None:
    said = as_said(lived(1))
    pack = pack_of(said, tmp_path)
    program = tmp_path / "verify.py"
    program.write_text(verifier())
    asked = [sys.executable, "-I", str(program), "pack", str(pack), "--key", str(KEY.vkey)]
    done = subprocess.run([*asked, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["recalculated"] == recalculated(said).decisions
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert "decisions worked out again" in done.stdout


# --- what was changed, chained again honestly and signed -----------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_a_changed_amount_is_found_and_its_event_named(seed: int) -> None:
    said = as_said(lived(seed))
    chance = random.Random(seed)
    for number in chance.sample(decided(said), min(4, len(decided(said)))):
        field = chance.choice(["amount", "tax"])
        after = said[number]["data"]["after"]
        forged = {**said[number]["data"], "after": {**after, field: raised(after[field])}}
        found = recalculated([*said[:number], {**said[number], "data": forged}, *said[number + 1 :]])
        named = [each for each in found.differing if each.at == f"0:{number + 1}"]
        assert [said[number]["data"]["claim_id"] in each.what for each in named] == [True]


@pytest.mark.parametrize(
    ("field", "other"),
    [("outcome", "withdrawn"), ("reason", "terms"), ("settle_as", "elsewhere"), ("amount", "0.01")],
)
def test_a_pack_is_found_in_which_a_claim_says_something_else(field: str, other: str, tmp_path: Path) -> None:
    said = as_said(lived(1))
    number = decided(said)[0]
    said[number]["data"]["after"][field] = other
    found = verify.verify_pack(pack_of(said, tmp_path), POLICY)
    assert not found.ok
    position = len(TEXTS) + number + 1
    assert (position, "acct-1") in {(each.position, each.account) for each in found.bad}
    assert all(said[number]["data"]["claim_id"] in each.what for each in found.bad)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_changed_part_of_a_settlement_is_found_and_its_event_named(seed: int) -> None:
    """Its net or tax, or a figure of its invoice: where the settlement is worked out at all."""
    said = as_said(lived(seed))
    chance = random.Random(seed)
    submitted = {each["data"]["refund_id"] for each in said if each["type"] == RefundSubmitted.stored_as}
    changes = [
        (number, holder, name)
        for number in worked_out(said)[1]
        if said[number]["type"] == SettlementChanged.stored_as
        for holder, name in settled_amounts(said[number]["data"], submitted)
    ]
    for number, holder, name in chance.sample(changes, min(4, len(changes))):
        honest = holder[name]
        holder[name] = raised(honest)
        assert f"0:{number + 1}" in {each.at for each in recalculated(said).differing}
        holder[name] = honest


def settled_amounts(data: Said, submitted: Set[str]) -> Iterable[tuple[Said, str]]:
    """What is worked out of a settlement: parts that are open or were submitted, and the figures of the invoice."""
    for claim in data["claims"]:
        for part in claim["after"]:
            if part["status"] != "gone_out" or part["id"] in submitted:
                yield from ((part, "net"), (part, "tax"))
    if data["after"] is not None:
        figures = ("charged", "paid_in_money", "paid_from_balance", "reduced", "asks_for", "excess")
        yield from ((data["after"], name) for name in figures)


def test_a_refund_is_found_that_was_submitted_with_another_amount() -> None:
    submissions = 0
    for seed in range(6):
        said = as_said(lived(seed))
        for number, each in enumerate(said):
            if each["type"] == RefundSubmitted.stored_as and each["data"]["credit_id"] is None:
                forged = {**each, "data": {**each["data"], "net": raised(each["data"]["net"])}}
                found = recalculated([*said[:number], forged])
                assert [differs.at for differs in found.differing] == [f"0:{number + 1}"]
                submissions += 1
    assert submissions


def test_a_changed_fact_is_found_by_what_was_decided_from_it() -> None:
    lives = [as_said(lived(seed)) for seed in range(4)]
    for said in lives:
        for each in said:
            if each["type"] == "cycle-started.v1":
                each["data"]["price"] = raised(each["data"]["price"])
    assert any(recalculated(said).differing for said in lives)


def test_other_terms_are_found_by_what_was_decided_by_them() -> None:
    other = terms_from('[proration]\nbasis = "exact_time"\n[disruption]\nsignificant_after = "PT1S"\n')
    lives = [as_said(lived(seed)) for seed in range(4)]
    assert any(recalculated(said, dict.fromkeys(TERMS, other)).differing for said in lives)


# --- what is not worked out ----------------------------------------------------------------------------------------


def test_decisions_by_older_rules_are_counted_and_rules_only_rise() -> None:
    """Before any decision says its rules an older release may have decided; after one none has."""
    said = as_said(lived(1))
    first, *_, last = decided(said)
    older = ClaimAssessedV1.stored_as
    found = recalculated([*said[:first], {**said[first], "type": older}])
    assert (found.decisions, found.not_judged[OLDER_RULES], found.differing) == (0, 1, [])
    found = recalculated([*said[:last], {**said[last], "type": older}])
    assert [each.at for each in found.differing] == [f"0:{last + 1}"]


@pytest.mark.parametrize("rules", [1, 3])
def test_other_rules_hide_nothing(rules: int) -> None:
    said = as_said(lived(1))
    number = decided(said)[0]
    said[number]["data"]["rules"] = rules
    assert [each.at for each in recalculated(said).differing] == [f"0:{number + 1}"]


def test_both_readings_know_the_same_decimals() -> None:
    assert {code: scale for code, scale in CURRENCY_SCALES.items() if scale != 2} == DECIMALS
