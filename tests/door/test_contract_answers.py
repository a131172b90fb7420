"""The contract's table of commands says of each answer which fields it has, and the answers' types have them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from typing_extensions import get_type_hints, is_typeddict

from consumers.upstream.checking import Problem
from makegood.answers import done
from makegood.answers.account import Account
from makegood.answers.audit.access import AccessAudited
from makegood.answers.audit.checkpoints import CheckpointSigned, KeyMade, OriginBegun, TreeRebuilt
from makegood.answers.audit.difference import AccountDifference
from makegood.answers.audit.proofs import Continued, EventProven
from makegood.answers.audit.reperformance import Reperformance
from makegood.answers.audit.verification import Verification
from makegood.answers.check import Checked
from makegood.answers.complaint_in_full import ComplaintInFull
from makegood.answers.doctor import Examined
from makegood.answers.explanation_types import Explanation, LeftOutFact, RefundCourse
from makegood.answers.finance import MovementsFound, OwedFound, RollforwardFound
from makegood.answers.history import HistoryEntry
from makegood.answers.kept_messages import DeadLetter, SetAside
from makegood.answers.lost_ranges import LostRange
from makegood.answers.notices import Notice
from makegood.answers.periods import CutOff, PeriodInFull
from makegood.answers.preview import Previewed
from makegood.answers.reconciliation import DiscrepancyDone, Reconciled
from makegood.answers.restored import RestoredFound
from makegood.answers.search import Found
from makegood.answers.status import StatusFound
from makegood.answers.subjects import SubjectErased, SubjectExported
from makegood.answers.vault import IndexChecked, LossFound, VaultStands
from makegood.evidence.pack import EvidenceWritten
from makegood.exports.exporting import ExportDone
from makegood.exports.tiled_log import LogExported
from projections.access import ApiKey, Granted
from projections.account_state import Balance
from projections.accounts import Invoice, Subscription
from projections.alarms import Alarm
from projections.changes import Change
from projections.claims import Claim
from projections.complaints import Complaint
from projections.credits import Credit
from projections.disputes import Dispute
from projections.instructions import AgedInstruction
from projections.linked_goodwill import GoodwillLinked
from projections.outages import Outage
from projections.overpaid import Overpaid
from projections.reconciliation import Discrepancy
from projections.refunds import Refund

CONTRACT = Path(__file__).resolve().parents[2] / "docs" / "contract.md"
ANSWERS: dict[str, type] = {
    "agreement publish": done.AgreementPublished,
    "contract check": Problem,
    "contract export": done.DocumentExported,
    "ingest": done.Ingested,
    "check": Checked,
    "audit reperform": Reperformance,
    "audit verify": Verification,
    "audit access": AccessAudited,
    "find": Found,
    "vault index": IndexChecked,
    "audit diff": AccountDifference,
    "audit key new": KeyMade,
    "audit checkpoint": CheckpointSigned,
    "audit rebuild-tree": TreeRebuilt,
    "audit origin new": OriginBegun,
    "audit evidence": EvidenceWritten,
    "audit prove": EventProven,
    "audit consistency": Continued,
    "audit export-log": LogExported,
    "claims": Claim,
    "alarms": Alarm,
    "preview": Previewed,
    "disputes": Dispute,
    "complaints": Complaint,
    "complaint": ComplaintInFull,
    "outages": Outage,
    "goodwill": GoodwillLinked,
    "owed": OwedFound,
    "movements": MovementsFound,
    "rollforward": RollforwardFound,
    "changes": Change,
    "refunds": Refund,
    "reconcile": Reconciled,
    "reconciliation list": Discrepancy,
    "reconciliation settle": DiscrepancyDone,
    "credits": Credit,
    "overpaid": Overpaid,
    "overpaid write-off": done.OverpaidDecided,
    "dead-letters list": DeadLetter,
    "dead-letters replay": done.DeadLetterReplayed,
    "dead-letters discard": done.DeadLetterDiscarded,
    "aside list": SetAside,
    "lost list": LostRange,
    "lost close": done.LostRangeDone,
    "instructions": AgedInstruction,
    "account": Account,
    "history": HistoryEntry,
    "explain": Explanation,
    "rebuild": done.Rebuilt,
    "rebuild --compare-only": done.Compared,
    "restored": RestoredFound,
    "export claims": ExportDone,
    "access grant": done.RoleChanged,
    "access list": Granted,
    "access key issue": done.KeyIssued,
    "access key revoke": done.KeyRevoked,
    "access key list": ApiKey,
    "notices": Notice,
    "doctor": Examined,
    "vault": VaultStands,
    "vault accept-loss": LossFound,
    "status": StatusFound,
    "subject erase": SubjectErased,
    "subject export": SubjectExported,
    "period close": PeriodInFull,
    "period cut-off": CutOff,
}
LATER: set[str] = set()
"""Told by the contract, and still to be built."""


def rows() -> dict[str, str]:
    """What the contract says of each command's answer."""
    text = CONTRACT.read_text(encoding="utf-8")
    table = text[text.index("| command | answer with `--json` |") :].partition("\n\n")[0]
    found = re.findall(r"^\| `makegood ([^`]*)`.*? \| (.*) \|$", table, re.MULTILINE)
    return {name_of(command): said for command, said in found}


def name_of(command: str) -> str:
    """A command without its arguments and options, but for one that makes it another command."""
    words = re.sub(r"\[[^\]]*\]", "", command).replace("\\|", "|")
    named = [word.partition("|")[0] for word in words.split() if re.fullmatch(r"[a-z|-]+", word)]
    return " ".join(word for word in named if not word.startswith("--") or word == "--compare-only")


def shapes(said: str) -> Iterator[str]:
    """The shapes in an answer's description, each from its brace to the one that closes it."""
    for match in re.finditer(r"`[^`{]*(\{[^`]*\})[^`]*`", said):
        yield match[1]


def fields(shape: str) -> dict[str, str]:
    """The fields that a shape names, with the shapes within them."""
    inner, depth, name, found = "", 0, "", {}
    for sign in re.sub(r"\([^)]*\)", "", shape)[1:-1] + ",":
        depth += (sign in "{[") - (sign in "}]")
        if sign == "," and depth == 0:
            word, _, within = name.partition(":")
            found[word.strip()] = within.strip()
            name = ""
        else:
            name += sign
        inner += sign
    return {word: within for word, within in found.items() if word not in ("", "…")}


def typed_dict_in(hint: Any) -> type | None:
    if is_typeddict(hint):
        return hint
    return next((found for part in get_args(hint) if (found := typed_dict_in(part)) is not None), None)


def lacking(of: type, shape: str) -> list[str]:
    """The fields that a shape names and a type has not, those within others by their path."""
    hints = get_type_hints(of)
    missing = []
    for name, within in fields(shape).items():
        if name not in hints:
            missing.append(name)
        elif (inner := typed_dict_in(hints[name])) is not None and "{" in within:
            missing += [
                f"{name}.{each}" for each in lacking(inner, within[within.index("{") : within.rindex("}") + 1])
            ]
    return missing


def test_every_command_that_answers_with_fields_is_held_to_a_type() -> None:
    with_fields = {command for command, said in rows().items() if any(shapes(said))}
    assert with_fields - LATER <= set(ANSWERS)
    assert set(ANSWERS) - with_fields <= {"complaint", "account", "aside list"}, "these say it in other words"


@pytest.mark.parametrize("command", sorted(ANSWERS))
def test_the_type_of_an_answer_has_every_field_that_the_contract_names(command: str) -> None:
    said = rows().get(command, "")
    found = next(shapes(said), None)
    if found is not None and command not in ("complaint", "account", "explain"):
        assert lacking(ANSWERS[command], found) == []


def test_a_field_that_a_type_lacks_is_noticed() -> None:
    assert lacking(Credit, "{credit_id, nothing, applied: [{amount, no_more}]}") == ["nothing", "applied.no_more"]


def test_of_an_account_an_explanation_and_a_complaint_the_contract_names_fields_within() -> None:
    said = rows()
    told = dict(re.findall(r"`?(\w+) ?`?:? ?`?\[(\{[^\]]*\})\]", said["account"]))
    for name, of in (("balances", Balance), ("invoices", Invoice), ("subscriptions", Subscription)):
        assert lacking(of, told[name]) == [], name
    explained = dict(re.findall(r"`(\w+): \[(\{[^`]*\})\]`", said["explain"]))
    for name, of in (("refunds", RefundCourse), ("left_out", LeftOutFact)):
        assert lacking(of, explained[name]) == [], name
    steps = re.search(r"steps: \[(\{[^\]]*\})\]", said["complaint"])
    assert steps is not None
    of = typed_dict_in(get_type_hints(ComplaintInFull)["steps"])
    assert of is not None
    assert lacking(of, steps[1]) == []
