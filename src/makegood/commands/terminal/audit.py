"""What auditors ask, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ledger.application.reperforming import WhyNotJudged
from makegood.answers.audit.access import AccessAudited, AccessChanged, ApprovedByRevoked, Looked, SelfApproved
from makegood.answers.audit.difference import AccountDifference, RowDiffers
from makegood.answers.audit.proofs import Continued, EventProven
from makegood.answers.audit.reperformance import DecisionDiffers, Reperformance
from makegood.answers.audit.verification import Bad, Verification
from makegood.commands.terminal.layout import NOTHING, Columns
from makegood.commands.terminal.printing import print_rows, print_sentences
from makegood.commands.terminal.tables import HISTORY
from makegood.evidence.pack import EvidenceWritten
from makegood.exports.tiled_log import LogExported

DIFFERING = Columns(
    DecisionDiffers,
    {
        "position": "position",
        "account_id": "account",
        "type": "event",
        "claim_id": "claim",
        "recorded": "recorded",
        "recomputed": "follows from the facts",
    },
    prose=("recorded", "recomputed"),
    give_way=("claim_id",),
)
FIELDS_SHOWN_MAX = 4
CHANGES_OF_STATE = Columns.made_of(
    {"part": "of", "id": "id", "field": "field", "before": "before", "after": "after"}, prose=("before", "after")
)
NOT_JUDGED: Mapping[WhyNotJudged, str] = {
    "older rules": "are not judged: they were made by an earlier revision of the rules, before the store was brought "
    "up to date; compare the last instant with the day on which that was done",
    "rests on rows": "are not judged: they say that projections differed from the events, or no longer do",
}
BAD = Columns(
    Bad, {"position": "position", "account_id": "account", "what": "what is not as recorded"}, prose=("what",)
)

CHANGES_OF_ACCESS = Columns(
    AccessChanged,
    {
        "at": "at",
        "principal": "principal",
        "role": "role",
        "account_id": "account",
        "key_id": "API key",
        "by": "by",
        "position": "position",
    },
    give_way=("position", "account_id"),
)
SELF_APPROVALS = Columns(
    SelfApproved,
    {
        "position": "position",
        "account_id": "account",
        "id": "approved",
        "approved_by": "by",
        "approved_at": "at",
        "act": "act",
        "act_type": "event of the act",
        "counts": "counts",
    },
    give_way=("act_type", "approved_at"),
)
APPROVED_BY_REVOKED = Columns(
    ApprovedByRevoked,
    {
        "position": "position",
        "account_id": "account",
        "id": "approved",
        "approved_by": "by",
        "approved_at": "at",
        "role": "role",
        "revoked_at": "revoked at",
        "revoked_by": "revoked by",
        "granted_again": "granted again",
    },
    give_way=("revoked_by", "position", "granted_again"),
)

LOOKS = Columns(
    Looked,
    {
        "end": "until",
        "by": "by",
        "kind": "what",
        "account_id": "account",
        "times": "times",
        "records": "records",
        "channel": "channel",
        "position": "position",
    },
    right=("times", "records"),
    give_way=("position", "channel"),
)


def show_access(answer: AccessAudited) -> None:
    """Print who was given access in a month and who lost it, and the approvals that an auditor looks at."""
    month = answer["period"]
    print_rows(
        answer["grants"],
        CHANGES_OF_ACCESS,
        title=f"Roles granted and API keys issued in {month}",
        empty=f"no role was granted and no API key issued in {month}",
    )
    print_rows(
        answer["revocations"],
        CHANGES_OF_ACCESS,
        title=f"Roles and API keys revoked in {month}",
        empty=f"no role and no API key was revoked in {month}",
    )
    said = f"{answer['approvals']} approvals of refunds and goodwill credits"
    print_rows(
        answer["self_approvals"],
        SELF_APPROVALS,
        title=f"Self-approvals ({said})",
        empty=f"{said}: none is a self-approval",
    )
    print_rows(
        answer["approved_by_revoked"],
        APPROVED_BY_REVOKED,
        title="Approvals by people whose role was revoked since",
        empty="none was given by a person whose role was revoked since",
    )
    print_rows(
        [{**row, "kind": row["kind"].replace("_", " ")} for row in answer["looks"]],
        LOOKS,
        title="Who looked at personal data, exports and evidence",
        empty="nobody looked at personal data, exports or evidence",
    )


def show_reperformance(answer: Reperformance) -> None:
    """Print what differs, and how much was performed again."""
    performed = answer["decisions"] - answer["not_reperformable"]
    said = f"{performed} decisions of {answer['accounts']} accounts performed again"
    rows = [
        {**row, "recorded": _in_words(row["recorded"]), "recomputed": _in_words(row["recomputed"])}
        for row in answer["differing"]
    ]
    print_rows(rows, DIFFERING, title=f"Decisions that differ ({said})", empty=f"{said}: none differs")
    for each in answer["not_judged"]:
        print_sentences(
            f"{each['decisions']} more of {each['accounts']} accounts, recorded from {each['first_recorded_at']} to "
            f"{each['last_recorded_at']}, {NOT_JUDGED[each['why']]}"
        )


def _in_words(content: Mapping[str, Any] | None) -> str:
    if content is None:
        return "no such decision"
    fields = [f"{name} {_value(value)}" for name, value in list(content.items())[:FIELDS_SHOWN_MAX]]
    return ", ".join(fields) + (", …" if len(content) > FIELDS_SHOWN_MAX else "")


def show_difference(answer: AccountDifference) -> None:
    """Print the events between two moments of an account, and what they changed of its state."""
    account, from_, to = answer["account_id"], answer["before"]["known_at"], answer["after"]["known_at"]
    print_rows(
        answer["events"],
        HISTORY.without("because", "owed"),
        title=f"Events of {account} after {from_}, up to {to}",
        empty=f"no event of {account} was recorded after {from_} and by {to}",
    )
    if answer["events"]:
        print_rows(
            [change for row in answer["differing"] for change in _changes(row)],
            CHANGES_OF_STATE,
            title="What they changed",
            empty="they changed nothing of its state",
        )


def _changes(row: RowDiffers) -> Iterator[dict[str, str]]:
    """What became of a row: in one line where it is new or gone, and otherwise a line for each field."""
    before, after = row["before"], row["after"]
    of = {"part": row["part"], "id": row["id"]}
    if before is None or after is None:
        fields = {name: value for name, value in (before or after or {}).items() if not name.endswith("_id")}
        said = _in_words(fields)
        gone, new = {"before": said, "after": NOTHING}, {"before": NOTHING, "after": said}
        yield {**of, "field": "new", **new} if before is None else {**of, "field": "gone", **gone}
        return
    for name, was in before.items():
        if was != after[name]:
            yield {**of, "field": name, "before": _value(was), "after": _value(after[name])}


def _value(value: Any) -> str:
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def show_verification(answer: Verification) -> None:
    """Print what is not as it was recorded, and up to where a checkpoint shows that the rest is."""
    said = f"{answer['events']} events hashed anew"
    print_rows(
        answer["bad"], BAD, title=f"Not as recorded ({said})", empty=f"{said}: all that is stored is as recorded"
    )
    checkpoint = answer["checkpoint"]
    if checkpoint is None:
        print_sentences("no checkpoint covers them: only a signed one shows that nobody made all of them anew")
        return
    by = ", ".join(f"{each['name']} at {each['at']}" for each in answer["witnesses"])
    print_sentences(f"covered up to {answer['covered_to']} by the checkpoint of {checkpoint['origin']}")
    if not checkpoint["signed_by"]:
        print_sentences("its signatures were not verified, because no key was given: use --key or --policy")
    if by:
        print_sentences(f"cosigned by {by}")


def show_evidence(answer: EvidenceWritten, file: Path) -> None:
    """Print what is in a pack."""
    print_sentences(
        f"{file}: {answer['events']} events with their proofs, of {answer['accounts']} complete accounts, and "
        f"{answer['claims']} claims explained; the checkpoint covers events up to {answer['covered_to']}",
        f"SHA-256 {answer['sha256']}",
    )
    if answer["later"]:
        print_sentences(
            f"{answer['later']} events of these accounts were recorded after the checkpoint and are not in it; sign "
            "one with `makegood audit checkpoint`"
        )


def show_event_proven(answer: EventProven) -> None:
    """Print what was proven of an event, and against what."""
    print_sentences(
        f"{answer['file']} proves that {answer['type']} of {answer['account_id']}, at {answer['position']}, is in "
        f"the log {answer['origin']}, by its checkpoint over {answer['size']} events"
    )


def show_continued(answer: Continued) -> None:
    """Print what was proven of two checkpoints."""
    print_sentences(
        f"{answer['file']} proves that the checkpoint of {answer['origin']} over {answer['size']} events continues "
        f"the one over {answer['old_size']}"
    )


def show_log_exported(answer: LogExported) -> None:
    """Print what a folder has of the log."""
    print_sentences(
        f"{answer['folder']} has the log {answer['origin']} with its checkpoint over {answer['size']} events: "
        f"{answer['tiles']} tiles and {answer['bundles']} bundles of entries, {answer['written']} of them new"
    )
