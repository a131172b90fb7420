"""What auditors take away, and what the verify page says: sound and covered, sound and not covered, and changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from makegood.access.sight import EVERYTHING
from makegood.answers import owed
from makegood.answers.audit.checkpoints import new_key, sign_now
from makegood.evidence import verify
from makegood.pages.console.verifying import VerificationRun
from tests.door.test_reperform import forge_amount
from tests.pages.clients import Client, Pages
from tests.pages.life import NOBODYS, OWN

PATIENCE_SECONDS = 60


@pytest.fixture
def pages(open_pages: Callable[..., Pages], tmp_path: Path) -> Pages:
    return open_pages(audit_key=str(tmp_path / "audit.key"))


@pytest.fixture
def vkeys(pages: Pages) -> list[str]:
    """The keys that verify a checkpoint over everything."""
    new_key(pages.house, 0)
    return sign_now(pages.house, 0, [], None, lambda size: None)["vkeys"]


def verified(pages: Pages, auditor: Client) -> str:
    """What the page says after a verification."""
    assert auditor.submit("/console/verify").status_code == 303
    run: VerificationRun = pages.app.state.verification
    until = time.monotonic() + PATIENCE_SECONDS
    while run.running:
        assert time.monotonic() < until, "the verification does not end"
        assert auditor.get("/console/verify/progress").status_code == 200
        time.sleep(0.05)
    return auditor.get("/console/verify").text


def test_an_honest_store_is_green_up_to_the_checkpoint(pages: Pages, vkeys: list[str]) -> None:
    auditor = pages.staff("auditor")
    assert "Nothing was verified since this server started" in auditor.get("/console/verify").text
    page = verified(pages, auditor)
    # Signing in was recorded after the checkpoint: what it covers is said, and that something came since.
    assert "All is as it was recorded" in page
    assert "a signed checkpoint covers them up to position 0:" in page
    assert "none: until a checkpoint has left this house" in page


def test_without_a_key_everything_is_sound_and_nothing_covered(pages: Pages) -> None:
    assert "Sound, but not covered" in verified(pages, pages.staff("auditor"))


@pytest.mark.usefixtures("vkeys")
def test_a_changed_amount_is_found_and_its_event_named(pages: Pages) -> None:
    claim = next(row for row in owed.claims(pages.house, EVERYTHING, account=OWN) if row["outcome"] == "granted")
    position = forge_amount(pages.house.settings.store, dict(claim))
    page = verified(pages, pages.staff("auditor"))
    assert "Something is not as it was recorded" in page
    assert f"the first at position {position}" in page
    assert f'href="/console/accounts/{OWN}"' in page


def test_a_pack_from_the_page_verifies_without_makegood(
    pages: Pages, vkeys: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = pages.staff("auditor").get(f"/console/evidence/pack?account={OWN}")
    assert answer.headers["content-disposition"] == f'attachment; filename="evidence-{OWN}.zip"'
    (file := tmp_path / "pack.zip").write_bytes(answer.content)
    assert verify.main(["pack", str(file), *(word for key in vkeys for word in ("--key", key))]) == 0
    assert "sound" in capsys.readouterr().out


@pytest.mark.usefixtures("vkeys")
def test_a_sample_is_drawn_again_by_the_same_seed(pages: Pages) -> None:
    auditor = pages.staff("auditor")
    asked = "/console/evidence/sample?month=2026-03&size=3&by=money&seed="
    first = auditor.get(f"{asked}november")
    assert first.headers["content-type"] == "application/zip"
    assert auditor.get(f"{asked}november").content == first.content
    assert auditor.get(f"{asked}december").content != first.content


def test_what_cannot_be_meant_is_marked_where_it_was_asked(pages: Pages) -> None:
    auditor = pages.staff("auditor")
    for address, says in (
        ("pack", "name the account"),
        (f"pack?account={NOBODYS}", "there is no such account"),
        (f"pack?account={OWN}&period=may", "must have the form YYYY-MM"),
        (f"pack?account={OWN}", "makegood audit key new"),
        ("sample?size=0", "write a whole number from 1 to 1000"),
        ("sample?month=2026-03&size=2", "write a seed"),
    ):
        answer = auditor.get(f"/console/evidence/{address}")
        assert answer.status_code == 422, address
        assert says in answer.text, address


def test_only_auditors_verify_and_take_evidence(pages: Pages) -> None:
    for client in (pages.staff("finance"), pages.customer(OWN)):
        assert client.get("/console/verify").status_code in {403, 404}
        assert client.submit("/console/verify").status_code in {403, 404}
        assert client.get(f"/console/evidence/pack?account={OWN}").status_code in {403, 404}


def test_what_is_printed_says_which_checkpoint_covers_it(pages: Pages) -> None:
    auditor = pages.staff("auditor")
    page = auditor.get("/console/refunds?status=due").text
    assert '<p class="print">/console/refunds?status=due, for sandbox/auditor' in page
    assert "No signed checkpoint covers what is stored." in page
    new_key(pages.house, 0)
    sign_now(pages.house, 0, [], None, lambda size: None)
    assert "A signed checkpoint covers what is stored up to position 0:" in auditor.get("/console/refunds").text
