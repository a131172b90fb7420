"""Evidence packs and samples to download: what an auditor takes away, and verifies without Makegood."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.values import Month, month_from_text
from makegood.evidence.pack import EvidenceWritten, write_evidence
from makegood.evidence.proven import NotEvident
from makegood.evidence.sampling import write_sample
from makegood.exports.downloading import Download, ExportsBusy, taking_turns
from makegood.house.opening import House
from makegood.house.stop import Stop
from makegood.pages.forms import Form
from makegood.pages.route import PageRoute
from makegood.pages.shell import Entry, file_answer, page
from makegood.pages.visitor import Visitor, house_of, one_shard, visits
from projections.asking import UnknownAccount

router = APIRouter(include_in_schema=False, route_class=PageRoute)

EVIDENCE = "/console/evidence"
ENTRIES = (Entry("audit", "Evidence", EVIDENCE, "audit.read"),)
SIZE_MAX = 1_000
"""So many rows, or minor units, are drawn by the page at most; the command line draws more."""

Write = Callable[[House, Path], EvidenceWritten]


@router.get(EVIDENCE)
def evidence(request: Request, visitor: Annotated[Visitor, visits("audit.read", "audit")]) -> Response:
    """Asks for an account's pack, or for a sample of a month."""
    asked = Form({name: request.query_params.get(name, "") for name in ("account", "claim", "period")})
    return _asking(request, visitor, asked, Form({"size": "25", "by": "row"}))


@router.get(EVIDENCE + "/pack")
def pack(request: Request, visitor: Annotated[Visitor, visits("audit.read", "audit")]) -> Response:
    """The pack of an account as a file."""
    form = _form(request, "account", "claim", "period")
    account, claim = form.get("account"), form.get("claim")
    if account is None:
        form.wrong["account"] = "name the account"
    month = _month(form, "period", required=False)
    if form.wrong or account is None:
        return _asking(request, visitor, form, Form())
    name = f"evidence-{account}.zip"
    return _sent(
        request,
        visitor,
        form,
        Form(),
        name,
        lambda house, file: write_evidence(house.of(account), file, account, month, claim),
    )


@router.get(EVIDENCE + "/sample")
def sample(request: Request, visitor: Annotated[Visitor, visits("audit.read", "audit")]) -> Response:
    """The pack of a sample as a file."""
    form = _form(request, "month", "size", "seed", "by")
    month = _month(form, "month", required=True)
    size, seed = form.values.get("size", ""), form.get("seed")
    if not size.isdecimal() or not 1 <= int(size) <= SIZE_MAX:
        form.wrong["size"] = f"write a whole number from 1 to {SIZE_MAX}"
    if seed is None:
        form.wrong["seed"] = "write a seed, such as the date and your name: the same seed draws the same sample"
    if form.wrong or month is None or seed is None:
        return _asking(request, visitor, Form(), form)
    by_money = form.get("by") == "money"

    def write(_: House, file: Path) -> EvidenceWritten:
        return write_sample(one_shard(request).house, file, month, int(size), seed, "money" if by_money else "row")

    return _sent(request, visitor, Form(), form, f"sample-{month}.zip", write)


def _asking(request: Request, visitor: Visitor, pack: Form, sample: Form) -> Response:
    return page(
        visitor.frame,
        "console/evidence.html",
        title="Evidence",
        status=422 if pack.wrong or sample.wrong else 200,
        pack=pack,
        sample=sample,
        shard=one_shard(request),
    )


def _form(request: Request, *names: str) -> Form:
    return Form({name: request.query_params.get(name, "").strip() for name in names})


def _month(form: Form, name: str, *, required: bool) -> Month | None:
    said = form.get(name)
    if said is None:
        if required:
            form.wrong[name] = "name the month, such as 2026-04"
        return None
    try:
        return month_from_text(said)
    except ValueError as error:
        form.wrong[name] = str(error)
        return None


def _sent(request: Request, visitor: Visitor, pack: Form, sample: Form, name: str, write: Write) -> Response:
    """A pack that is written whole before its first byte is sent, or the page with why there is none."""
    form = pack if pack.values else sample
    try:
        with taking_turns(), tempfile.TemporaryDirectory(prefix="makegood-") as folder:
            file = Path(folder, "pack.zip")
            write(house_of(request), file)
            size, content = file.stat().st_size, file.open("rb")  # the open file outlives its name
    except UnknownAccount:
        form.wrong["account"] = "there is no such account; account ids are case-sensitive"
    except ExportsBusy:
        form.wrong[""] = "other files are being made at the moment: try again in a minute"
    except (Stop, NotEvident) as error:
        form.wrong[""] = str(error)
    else:
        headers = {
            "Content-Length": str(size),
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        return file_answer(Download("application/zip", headers, content))
    return _asking(request, visitor, pack, sample)
