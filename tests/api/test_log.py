"""The log over HTTP, at the addresses of C2SP's tlog-tiles: the same bytes as `makegood audit export-log` writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from httpx import Response

from ledger.audit import Checkpoint
from ledger.store.positions import FIRST_SHARD
from makegood.exports.tiled_log import export_log
from tests.api.desk import NOW, Desk
from tests.audit.logs import signed_now
from tests.ledger.messages import Upstream


def asked(desk: Desk, path: str, who: str = "otto") -> Response:
    return desk.http.get(path, headers={"Authorization": f"Bearer {desk.secrets[who]}"})


def test_an_auditor_fetches_what_is_exported(desk: Desk, tmp_path: Path) -> None:
    assert "no checkpoint is signed yet" in asked(desk, "/log/checkpoint").json()["detail"]
    older = signed_now(desk.books.database, NOW)
    for number in range(3, 30):
        desk.books.take(Upstream(f"acct-{number}").customer())
    note = signed_now(desk.books.database, NOW)
    size = Checkpoint.parse(note.text).size
    assert size > 256
    log = tmp_path / "log"
    export_log(desk.house, FIRST_SHARD, log, lambda done, of: None)
    files = [file for file in log.rglob("*") if file.is_file()]
    assert len(files) == 6  # the checkpoint, two tiles of leaves, one above them, two bundles
    for file in files:
        answer = asked(desk, f"/log/{file.relative_to(log)}")
        assert (answer.status_code, answer.content) == (200, file.read_bytes())
        of_text = file.name == "checkpoint"
        assert answer.headers["content-type"] == (
            "text/plain; charset=utf-8" if of_text else "application/octet-stream"
        )
        assert answer.headers["cache-control"] == "no-store"
    before = Checkpoint.parse(older.text).size
    assert asked(desk, f"/log/checkpoint?size={before}").text == str(older)
    assert asked(desk, "/log/tile/entries%2F000").content == (log / "tile/entries/000").read_bytes()
    assert asked(desk, f"/log/tile/0/000.p/{before}").content == (log / "tile/0/000").read_bytes()[: before * 32]

    assert "covers just so many events" in asked(desk, "/log/checkpoint?size=1").json()["detail"]
    for path in (f"0/001.p/{size - 255}", "0/002", f"entries/001.p/{size - 255}", "entries/009", "9/000"):
        answer = asked(desk, f"/log/tile/{path}")
        assert (answer.status_code, "has not grown so far" in answer.text) == (404, True), path
    for path in ("0/0", "0/000.p/300", "x", "..%2F..%2Fcheckpoint"):
        answer = asked(desk, f"/log/tile/{path}")
        assert (answer.status_code, "no tile has this path" in answer.text) == (404, True), path


@pytest.mark.parametrize("path", ["/log/checkpoint", "/log/tile/0/000", "/log/tile/entries/000"])
def test_nobody_but_auditors_may(quick_desk: Desk, path: str) -> None:
    for who in ("paula", "anna", "felix", "ada", "olga", "zoe"):
        assert asked(quick_desk, path, who).status_code == 403
    assert quick_desk.http.get(path).status_code == 401
