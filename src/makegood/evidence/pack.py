"""Evidence packs: one account, or those of a sample, with all that shows them to whoever trusts nobody here.

The same store, checkpoint and question give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import (
    AgreementBound,
    AgreementPublished,
    ClaimAssessed,
    ClaimAssessedV1,
    LedgerEvent,
    PeriodClosed,
    claim_of,
)
from ledger.store.positions import reached_from_text
from ledger.store.reading.events import StoredEnvelope, events_of_types
from ledger.store.reading.store import store_id
from ledger.values import SYSTEM_ACCOUNT, Month, month_from_text, month_of
from makegood.answers.unknown import check_account
from makegood.evidence.proven import CompleteAccount, Proofs
from makegood.evidence.readme import readme
from makegood.evidence.told import AccountTold, as_json, in_words
from makegood.evidence.verifier import verifier
from makegood.evidence.zipped import Zipped, zipped
from makegood.house.opening import House
from makegood.house.stop import Stop
from projections.follower import Progress
from projections.period_figures import figures_of
from projections.shown_values import Hash, Reached

FORMAT = "makegood evidence 1"


class EvidenceWritten(TypedDict):
    """An evidence pack that was written."""

    events: Annotated[int, Field(description="The events in it, each with its proof.")]
    claims: Annotated[int, Field(description="The claims that it explains.")]
    accounts: Annotated[int, Field(description="The accounts in it, each complete.")]
    covered_to: Annotated[Reached, Field(description="The last position that its checkpoint covers.")]
    later: Annotated[
        int, Field(description="Events of these accounts that were recorded after that, and are not in it.")
    ]
    sha256: Annotated[Hash, Field(description="The SHA-256 of the file.")]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An account that goes into a pack, and the claims to explain; None for all that the period is about."""

    account: str
    claims: Sequence[str] | None = None


@dataclass(slots=True)
class Packing:
    """A pack that is being put together."""

    house: House
    proofs: Proofs
    out: Zipped
    events: int = 0
    claims: int = 0
    later: int = 0
    accounts: list[dict[str, Any]] = field(default_factory=list)

    def add_event(self, stored: StoredEnvelope) -> str:
        """Add an event with its proof, unless it is there already; where it stands."""
        place = f"{stored.shard}/{stored.position:012}"
        if f"entries/{place}.json" in self.out.digests:
            return str(stored.at)
        self.out.add(f"entries/{place}.json", stored.envelope)
        self.out.add(f"proofs/{place}.tlog-proof", self.proofs.of(stored).to_text())
        self.events += 1
        return str(stored.at)

    def add_account(self, wanted: Wanted, asked: Callable[[LedgerEvent], bool]) -> CompleteAccount:
        """Add an account: its whole chain, and what is told of it."""
        complete = self.proofs.account(wanted.account)
        told = AccountTold(self.house, wanted.account, complete.events, self.proofs.covered)
        claims = told.claims(asked) if wanted.claims is None else list(wanted.claims)
        explanations = told.explanations(claims)
        if wanted.claims is not None and len(explanations) < len(claims):
            raise Stop(
                f"account {wanted.account} has not all of the claims {', '.join(claims)}: see `makegood claims "
                f"--account {wanted.account}`"
            )
        folder = f"accounts/{len(self.accounts):04}"
        self.accounts.append(
            {
                "account_id": wanted.account,
                "folder": folder,
                "events": [self.add_event(each) for each in complete.events],
                "head": {
                    "version": complete.last.account_version,
                    "position": str(complete.last.at),
                    "leaf_hash": complete.last.leaf_hash,
                },
                "later": complete.later,
                "claims": [each["claim_id"] for each in explanations],
            }
        )
        self.out.add(f"{folder}/journal.csv", told.journal(claims, all_claims=wanted.claims is None))
        self.out.add(f"{folder}/history.csv", told.history())
        self.out.add(f"{folder}/explanations.json", as_json(explanations))
        self.out.add(f"{folder}/explanations.txt", in_words(explanations))
        self.claims += len(explanations)
        self.later += complete.later
        return complete


def write_evidence(
    house: House,
    file: Path,
    account: str,
    month: Month | None = None,
    claim: str | None = None,
    progress: Progress = lambda done, of: None,
) -> EvidenceWritten:
    """Write the pack of an account: all of it, with the claims that a month's events are about, or one, explained.

    Raises UnknownAccount, Stop where there is no checkpoint or no such claim, and NotEvident.
    """
    check_account(house.database, account)
    asked = {"account": account, "period": str(month) if month else None, "claim": claim}
    wanted = Wanted(account, None if claim is None else [claim_of(claim)])
    written = write_pack(house, file, "account", asked, [wanted], month, progress=progress)
    house.looked("evidence", account, written["events"])
    return written


def write_pack(
    house: House,
    file: Path,
    kind: str,
    asked: Mapping[str, Any],
    wanted: Sequence[Wanted],
    month: Month | None,
    more: Mapping[str, str] | None = None,
    said: Mapping[str, Any] | None = None,
    progress: Progress = lambda done, of: None,
) -> EvidenceWritten:
    """Write a pack of some accounts; `more` are further files, and what `said` says of them."""
    zone = house.settings.time_zone

    def of_month(event: LedgerEvent) -> bool:
        return month is None or month_of(event.recorded_at, zone) == month

    with house.database.reading() as transaction, zipped(file) as out:
        proofs = Proofs(transaction)
        packing = Packing(house, proofs, out)
        system = events_of_types(transaction, SYSTEM_ACCOUNT, [AgreementPublished.stored_as, PeriodClosed.stored_as])
        covered = [each for each in system if proofs.covered.covers(each.at)]
        for shard, log in proofs.logs.items():
            out.add(f"checkpoints/{shard}.checkpoint", str(log.note))
        named: set[str] = set()
        for number, each in enumerate(wanted, start=1):
            complete = packing.add_account(each, of_month)
            named |= _agreements_named(complete.events)
            progress(number, len(wanted))
        agreements = _add_agreements(packing, covered, named)
        closing = _add_closing(packing, covered, month)
        for path, content in (more or {}).items():
            out.add(path, content)
        described = {
            "format": FORMAT,
            "kind": kind,
            "asked": dict(asked),
            "store": store_id(transaction),
            "time_zone": zone,
            "logs": [
                {
                    "shard": shard,
                    "origin": log.checkpoint.origin,
                    "size": log.checkpoint.size,
                    "root": log.checkpoint.root.hex(),
                    "checkpoint": f"checkpoints/{shard}.checkpoint",
                }
                for shard, log in proofs.logs.items()
            ],
            "accounts": packing.accounts,
            "agreements": agreements,
            "closing": closing,
            **(said or {}),
        }
        out.add("verify.py", verifier())
        out.add("README.txt", readme(described))
        out.add("pack.json", json.dumps({**described, "files": out.digests}, indent=1, ensure_ascii=False) + "\n")
        covered_to = str(proofs.covered)
    return {
        "events": packing.events,
        "claims": packing.claims,
        "accounts": len(packing.accounts),
        "covered_to": covered_to,
        "later": packing.later,
        "sha256": _sha256(file),
    }


def _agreements_named(events: Iterable[StoredEnvelope]) -> set[str]:
    """The hashes of the texts that an account's decisions name."""
    named = set()
    for stored in events:
        event = stored.event()
        match event:
            case AgreementBound():
                named.add(event.data.sha256)
            case ClaimAssessed() | ClaimAssessedV1() if event.data.terms is not None:
                named.add(event.data.terms.sha256)
    return named


def _add_agreements(packing: Packing, system: Sequence[StoredEnvelope], named: set[str]) -> list[dict[str, Any]]:
    """Add the texts that are named, with the events that published them."""
    added = []
    for stored in system:
        event = stored.event()
        if not isinstance(event, AgreementPublished):
            continue
        text = event.data.text
        digest = sha256(text.encode()).hexdigest()
        if digest in named:
            path = f"agreements/{digest}.toml"
            packing.out.add(path, text)
            added.append(
                {
                    "name": event.data.name,
                    "version": event.data.version,
                    "sha256": digest,
                    "file": path,
                    "published_at": packing.add_event(stored),
                }
            )
    return added


def _add_closing(packing: Packing, system: Sequence[StoredEnvelope], month: Month | None) -> dict[str, Any] | None:
    """Add the closing of a month with its manifest, where it is closed and covered: it shows that no account and no
    tail is missing up to its position."""
    if month is None:
        return None
    before: list[PeriodClosed] = []
    for stored in system:
        event = stored.event()
        if not isinstance(event, PeriodClosed):
            continue
        if month_from_text(event.data.period) == month:
            lines: list[bytes] = []
            position = reached_from_text(event.data.position)
            zone = event.data.time_zone
            figures_of(packing.house.database, month, position, before, zone, on_row=lines.append)
            path = f"manifests/{month}.jsonl"
            packing.out.add(path, b"".join(lines))
            manifest = event.data.figures.manifest
            if packing.out.digests[path] != manifest.sha256:
                raise Stop(
                    f"the events do not give the manifest of {month} as it was closed: "
                    f"`makegood period show {month}` and `makegood audit verify` say what differs"
                )
            return {
                "period": str(month),
                "event": packing.add_event(stored),
                "position": event.data.position,
                "manifest": path,
                "sha256": manifest.sha256,
            }
        before.append(event)
    return None


def _sha256(file: Path) -> str:
    with file.open("rb") as written:
        digest = sha256()
        while part := written.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
