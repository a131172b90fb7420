"""The frame of every page: headers, files beside it, navigation, and how values are escaped."""

from __future__ import annotations

import re

import pytest
from starlette.exceptions import HTTPException

from makegood.pages.shell import HEADERS, Entry, Frame, page, static_file, static_url


def test_files_beside_pages_are_kept_for_ever_under_an_address_that_changes_with_them() -> None:
    _, _, digest, name = static_url("style.css").split("/")
    found = static_file(digest, name)
    assert found.headers["content-type"].startswith("text/css")
    assert "immutable" in found.headers["cache-control"]
    for digest_, name_ in ((digest, "../shell.py"), (digest, "nothing.css"), ("0" * 16, name)):
        with pytest.raises(HTTPException):
            static_file(digest_, name_)


def test_a_page_names_its_title_and_lets_nothing_of_others_in() -> None:
    answer = page(Frame(sandbox=True), "base.html", title="<b>Owed</b>")
    text = bytes(answer.body).decode()
    assert "<h1>&lt;b&gt;Owed&lt;/b&gt;</h1>" in text
    assert "<title>&lt;b&gt;Owed&lt;/b&gt; – Makegood</title>" in text
    assert "Sandbox" in text
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert re.findall(r" (?:style|on\w+)=", text) == []
    assert all(address.startswith(("/", "#")) for address in re.findall('(?:href|src)="(.)', text))


def test_a_language_that_is_written_from_the_right_says_so() -> None:
    assert 'dir="rtl"' in bytes(page(Frame(language="he"), "base.html", title="x").body).decode()
    assert 'dir="ltr"' in bytes(page(Frame(language="de"), "base.html", title="x").body).decode()


def test_the_navigation_leads_to_the_first_page_of_each_room_that_they_may_see(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = [
        Entry("finance", "Owed", "/console/owed", "owed.read"),
        Entry("audit", "Verify", "/console/verify", "audit.read"),
        Entry("audit", "Evidence", "/console/evidence", "audit.read"),
    ]
    monkeypatch.setattr("makegood.pages.shell.NAVIGATION", entries)
    for role, paths in (("auditor", ["/console/owed", "/console/verify"]), ("finance", ["/console/owed"])):
        frame = Frame(roles=((role, None),))
        text = bytes(page(frame, "base.html", title="x").body).decode()
        assert re.findall('<li><a href="(.*?)"', text) == paths
