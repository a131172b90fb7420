"""`GET /exports/…`: the same file as the command writes, for those who may export, with the list's filters."""

from __future__ import annotations

import base64
import hashlib
import sys
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest

from ledger.events import ROLES
from makegood.api.app import document
from makegood.exports.downloading import AT_ONCE_MAX, MEDIA_TYPES, taking_turns
from makegood.exports.lists import EXPORTED, LIST_FORMATS
from tests.api.conftest import Api
from tests.door.conftest import Door
from tests.door.read_back import columns_of, rows_of

AS_THEY_STAND = {"disputes", "complaints", "movements"}
"""Their lists are of now only over HTTP; their exports are of any moment."""
MAY = {"finance", "approver", "auditor"}


@pytest.mark.parametrize("format_", MEDIA_TYPES)
def test_the_file_is_the_one_that_the_command_writes(
    busy: Api, twenty_accounts_in_july: Door, format_: str, tmp_path: Path
) -> None:
    key = busy.key("finance")
    for what in (what for what, exported in EXPORTED.items() if format_ in exported.formats):
        file = tmp_path / f"{what}.{format_}"
        answer = busy.ask(key, f"/exports/{what}?format={format_}")  # a command records at once that it exported
        done = twenty_accounts_in_july.json("export", what, "--format", format_, "--to", str(file))
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == MEDIA_TYPES[format_]
        assert answer.headers["content-disposition"] == f'attachment; filename="{what}.{format_}"'
        assert int(answer.headers["makegood-rows"]) == done["rows"] > 0
        assert int(answer.headers["content-length"]) == len(answer.content)
        digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
        assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
        assert answer.content == file.read_bytes()


def test_filters_are_those_of_the_list(busy: Api, tmp_path: Path) -> None:
    key = busy.key("auditor")
    asked = ("claims?outcome=declined", "refunds?status=failed", "credits?account=acct-0005", "complaints?open=true")
    for question in asked:
        what, _, filters = question.partition("?")
        (file := tmp_path / f"{what}.jsonl").write_bytes(
            busy.ask(key, f"/exports/{what}?format=jsonl&{filters}").content
        )
        assert rows_of(file, columns_of(what)) == busy.every_page(key, f"/{question}", 100)


def test_an_export_is_described_with_the_parameters_of_its_list() -> None:
    paths = document()["paths"]
    for what in (what for what, exported in EXPORTED.items() if exported.formats == LIST_FORMATS):
        of_the_list, of_the_export = (
            {
                each["name"]: each["schema"].get("enum", each["schema"].get("type"))
                for each in paths[path]["get"]["parameters"]
            }
            for path in (f"/{what}", f"/exports/{what}")
        )
        assert of_the_export.pop("format") == list(EXPORTED[what].formats)
        for name in ("limit", "after", "by", "totals"):  # pages and sums are the list's
            of_the_list.pop(name, None)
        if what in AS_THEY_STAND:
            for name in ("as_of", "known_at"):
                assert name in of_the_export
                del of_the_export[name]
        assert of_the_export == of_the_list


def test_only_finance_approvers_and_auditors_may_export(api: Api) -> None:
    for role in ROLES:
        key = api.key(role, *(("acct-1",) if role == "customer" else ()))
        for what in EXPORTED:
            format_ = EXPORTED[what].formats[0]
            assert api.ask(key, f"/exports/{what}?format={format_}").status_code == (200 if role in MAY else 403), (
                role
            )


def test_what_cannot_be_exported_is_a_problem_that_says_so(api: Api) -> None:
    key = api.key("finance")
    for path in ("/exports/claims", "/exports/claims?format=pdf", "/exports/claims?format=csv&limit=10"):
        answer = api.ask(key, path)
        assert answer.status_code == 422, path
        assert answer.json()["type"] == "urn:makegood:problem:invalid"
    assert api.ask(key, "/exports/plans?format=csv").status_code == 404
    with patch.dict(sys.modules, {"duckdb": None}):
        answer = api.ask(key, "/exports/claims?format=parquet")
    assert answer.status_code == 422
    assert "this server cannot write Parquet" in answer.json()["errors"][0]["reason"]


def test_one_export_too_many_at_a_time_is_to_come_back_in_a_moment(api: Api) -> None:
    key = api.key("finance")
    with ExitStack() as others:
        for _ in range(AT_ONCE_MAX):
            others.enter_context(taking_turns())
        answer = api.ask(key, "/exports/claims?format=csv")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert "other exports are being made" in answer.json()["detail"]
    assert api.ask(key, "/exports/claims?format=csv").status_code == 200
