"""What auditors ask: whether the ledger holds what it says, shown from its events alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from makegood.commands.app import (
    MISMATCH,
    OK,
    AccountOption,
    Json,
    Store,
    audit_app,
    known_at_in,
    known_at_option,
    looks_recorded,
    month_option,
    one_of,
    opened_as_it_is,
    settings_from,
)
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from ledger.audit import Note, TrustPolicy
    from makegood.evidence.pack import EvidenceWritten
    from makegood.house.opening import House
    from makegood.house.settings import Settings
    from projections.follower import Progress


@contextmanager
def audited(store: str, account: str | None = None) -> Iterator[House]:
    """The house on a store as an auditor opens it: also where projections say what the ledger does not."""
    with opened_as_it_is(settings_from(store), account, restored=True) as house, looks_recorded(house):
        yield house


@audit_app.command("reperform")
def audit_reperform(
    period: Annotated[
        Any,
        typer.Option(
            "--period",
            parser=month_option,
            metavar="MONTH",
            help="Only decisions recorded in this month, such as 2026-01.",
        ),
    ] = None,
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> int:
    """Perform each recorded decision again, from the facts known at its position; exit 2 where one differs."""
    from makegood.answers.audit.reperformance import reperformed
    from makegood.commands.terminal.audit import show_reperformance
    from makegood.commands.terminal.printing import print_json, progress_bar

    with audited(store, account) as house, progress_bar("performing again", None, "accounts") as show:
        answer = reperformed(house, month=period, account=account, progress=show)
    (print_json if json else show_reperformance)(answer)
    return MISMATCH if answer["differing"] else OK


ProofFile = Annotated[Path, typer.Option("--to", metavar="FILE", help="The file to write, such as event.tlog-proof.")]
ProofCheckpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint", metavar="FILE", help="The signed checkpoint to prove it against, instead of the last one."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")]


@audit_app.command("prove")
def audit_prove(
    event: Annotated[
        str, typer.Argument(metavar="POSITION|EVENT_ID", help="The event: its position or id, as history has them.")
    ],
    to: ProofFile,
    checkpoint: ProofCheckpoint = None,
    force: Force = False,
    store: Store = "",
    json: Json = False,
) -> int:
    """Prove that an event is in the log, against a signed checkpoint; exit 2 where the stored event is not."""
    from makegood.answers.audit.logs import CHANGED
    from makegood.answers.audit.proofs import prove
    from makegood.commands.terminal.audit import show_event_proven
    from makegood.commands.terminal.printing import print_json
    from makegood.house.whole_file import whole_file

    given = _signed(checkpoint) if checkpoint is not None else None
    try:
        with audited(store) as house, whole_file(to, force=force) as file:
            answer, proof = prove(house, event, given, str(to))
            file.write_text(proof.to_text(), encoding="utf-8")
    except CHANGED as error:
        return mismatch(error)
    (print_json if json else show_event_proven)(answer)
    return OK


@audit_app.command("consistency")
def audit_consistency(
    older: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="The file of the older checkpoint.")],
    to: ProofFile,
    checkpoint: ProofCheckpoint = None,
    force: Force = False,
    store: Store = "",
    json: Json = False,
) -> int:
    """Prove that the last checkpoint continues an older one: nothing before it was changed; exit 2 where it was."""
    from makegood.answers.audit.logs import CHANGED
    from makegood.answers.audit.proofs import prove_continued
    from makegood.commands.terminal.audit import show_continued
    from makegood.commands.terminal.printing import print_json
    from makegood.house.whole_file import whole_file

    before = _signed(older)
    given = _signed(checkpoint) if checkpoint is not None else None
    try:
        with audited(store) as house, whole_file(to, force=force) as file:
            answer, proof = prove_continued(house, before, given, str(to))
            file.write_text(proof.to_text(), encoding="utf-8")
    except CHANGED as error:
        return mismatch(error)
    (print_json if json else show_continued)(answer)
    return OK


@audit_app.command("export-log")
def audit_export_log(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder: an empty one, or that of an earlier export.")
    ],
    store: Store = "",
    json: Json = False,
) -> int:
    """Export the log up to its last checkpoint, for anybody to verify: checkpoint, tiles and entries."""
    from makegood.answers.audit.logs import CHANGED
    from makegood.commands.terminal.audit import show_log_exported
    from makegood.commands.terminal.printing import print_json, progress_bar
    from makegood.exports.tiled_log import export_log

    try:
        with audited(store) as house, progress_bar("exporting", None, "tiles") as show:
            answer = export_log(house, house.shard, folder, show)
    except CHANGED as error:
        return mismatch(error)
    (print_json if json else show_log_exported)(answer)
    return OK


def mismatch(error: Exception) -> int:
    """Say what contradicts what; the exit code."""
    from makegood.house.control_characters import visible

    typer.echo(f"makegood: {visible(str(error))}", err=True)
    return MISMATCH


@audit_app.command("diff")
def audit_diff(
    account: Annotated[str, typer.Option("--account", metavar="ACCOUNT", help="The account.")],
    from_: Annotated[
        Any,
        typer.Option(
            "--from",
            parser=known_at_option,
            metavar="INSTANT|POSITION|CHECKPOINT",
            help="The first moment: events recorded by then are left out.",
        ),
    ],
    to: Annotated[
        Any,
        typer.Option(
            "--to",
            parser=known_at_option,
            metavar="INSTANT|POSITION|CHECKPOINT",
            help="The second moment: events recorded by then are listed.",
        ),
    ],
    store: Store = "",
    json: Json = False,
) -> None:
    """The difference between two moments of an account: its events in between, in words, and what they changed."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers.audit.difference import difference
    from makegood.answers.filters import FilterRefused
    from makegood.commands.terminal.audit import show_difference
    from makegood.commands.terminal.printing import print_json

    with audited(store, account) as house:
        try:
            begin, end = known_at_in(house, from_), known_at_in(house, to)
            answer = difference(house, EVERYTHING, account, begin, end)
        except FilterRefused as error:
            raise typer.BadParameter(str(error), param_hint=f"--{error.word}") from None
    (print_json if json else show_difference)(answer)


@audit_app.command("access")
def audit_access(
    period: Annotated[
        Any, typer.Option("--period", parser=month_option, metavar="MONTH", help="The month, such as 2026-01.")
    ],
    store: Store = "",
    json: Json = False,
) -> None:
    """Roles granted and revoked in a month, self-approvals, approvals by people who lost the role, and who looked."""
    from makegood.answers.audit.access import access_audited
    from makegood.commands.terminal.audit import show_access
    from makegood.commands.terminal.printing import print_json

    with audited(store) as house:
        answer = access_audited(house, period)
    (print_json if json else show_access)(answer)


@audit_app.command("verify")
def audit_verify(
    log: Annotated[
        Path | None,
        typer.Option(
            "--log", metavar="DIR", help="Verify the log that was exported into this folder, not the store."
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", metavar="FILE", help="Hold it to this signed checkpoint.")
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help="A C2SP tlog-policy: whose signatures count, and how many."),
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="VKEY", help="A verifier key of the log; repeat for several.")
    ] = None,
    store: Store = "",
    json: Json = False,
) -> int:
    """Hash all that is stored anew and hold it to what was signed; exit 2 and each bad entry where it differs."""
    from makegood.answers.audit.verification import verified, verified_log
    from makegood.commands.terminal.audit import show_verification
    from makegood.commands.terminal.printing import print_json, progress_bar

    def bar(what: str, unit: str) -> AbstractContextManager[Any]:
        return progress_bar(what, None, unit)

    given = _signed(checkpoint) if checkpoint is not None else None
    trusted = _trusted(settings_from(store), policy, key or [])
    if log is not None:
        from ledger.application.verification import LogUnreadable

        try:
            answer = verified_log(log, policy=trusted, checkpoint=given, bar=bar)
        except LogUnreadable as error:
            raise Stop(str(error)) from None
    else:
        with audited(store) as house:
            answer = verified(house, policy=trusted, checkpoint=given, bar=bar)
    (print_json if json else show_verification)(answer)
    return OK if answer["ok"] else MISMATCH


def _trusted(settings: Settings, policy: Path | None, keys: list[str]) -> TrustPolicy | None:
    """Whose signatures count: as the options say, as the settings do, or by the keys in the key file, where whoever
    verifies may read it; None where no key is known.
    """
    from ledger.audit import TrustPolicy, Unproven, VerifierKey
    from makegood.house.audit_keys import trusted_by

    if policy is not None and keys:
        raise typer.BadParameter("give --policy or --key: a policy names the log's keys itself")
    try:
        if policy is not None:
            return TrustPolicy.from_text(_text_of(policy))
        if keys:
            return TrustPolicy.of_log(*map(VerifierKey.from_text, keys))
    except Unproven as error:
        raise Stop(f"{policy if policy is not None else '--key'}: {error}") from None
    return trusted_by(settings)


def _signed(checkpoint: Path) -> Note:
    from makegood.answers.audit.logs import note_in

    try:
        return note_in(checkpoint)
    except OSError as error:
        raise Stop(f"{checkpoint} cannot be read ({error.strerror}): correct the path") from None
    except ValueError as error:
        raise Stop(f"{error}: give the file of one") from None


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Stop(f"{file} cannot be read ({error}): correct the path") from None


PackFile = Annotated[Path, typer.Option("--to", metavar="FILE.zip", help="The file to write.")]


@audit_app.command("evidence")
def audit_evidence(
    to: PackFile,
    account: Annotated[str, typer.Option("--account", metavar="ACCOUNT", help="The account.")],
    period: Annotated[
        Any,
        typer.Option(
            "--period",
            parser=month_option,
            metavar="MONTH",
            help="Explain the claims of this month's events, and add its manifest, if it is closed.",
        ),
    ] = None,
    claim: Annotated[str | None, typer.Option("--claim", metavar="ID", help="Explain this claim only.")] = None,
    force: Force = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Evidence for an account: all its events with proofs, the terms, its journal, and its claims explained."""
    from makegood.evidence.pack import write_evidence

    def write(house: House, file: Path, on: Progress) -> EvidenceWritten:
        return write_evidence(house, file, account, period, claim, on)

    _pack(store, to, write, account=account, force=force, json=json)


@audit_app.command("sample")
def audit_sample(
    to: PackFile,
    period: Annotated[Any, typer.Option("--period", parser=month_option, metavar="MONTH", help="The month.")],
    size: Annotated[
        int, typer.Option("--size", min=1, help="The number of movements, or of minor units of money, to draw.")
    ],
    seed: Annotated[str, typer.Option("--seed", help="Any text; the same one draws the same sample.")],
    by: Annotated[
        Any,
        typer.Option(
            "--by",
            parser=lambda text: one_of(text, "ways", ("row", "money")),
            metavar="row|money",
            help="Each movement has the same chance, or each minor unit, such as a cent.",
        ),
    ] = "row",
    force: Force = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """A sample of a month's movements, with evidence for their accounts and the whole population beside it."""
    from makegood.evidence.sampling import write_sample

    def write(house: House, file: Path, on: Progress) -> EvidenceWritten:
        return write_sample(house, file, period, size, seed, by, on)

    _pack(store, to, write, force=force, json=json)


def _pack(
    store: str,
    to: Path,
    write: Callable[[House, Path, Progress], EvidenceWritten],
    *,
    account: str | None = None,
    force: bool,
    json: bool,
) -> None:
    """Write a pack, and tell what is in it."""
    from makegood.commands.terminal.audit import show_evidence
    from makegood.commands.terminal.printing import print_json, progress_bar
    from makegood.house.whole_file import whole_file

    with (
        audited(store, account) as house,
        whole_file(to, force=force) as file,
        progress_bar("packing", None, "accounts") as on,
    ):
        answer = write(house, file, on)
    print_json(answer) if json else show_evidence(answer, to)
