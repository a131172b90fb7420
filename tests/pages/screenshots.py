"""Pictures of each main page, on a screen and a phone, light and dark, over the sample provider's data.

`python -m tests.pages.screenshots FOLDER` takes all of them as they are, to look at. `--docs` takes those that
docs/pages/README.md shows, small, of under 60 KB each. `--only WORD` takes those whose name has a word in it.
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Page

from ledger.events import ROLES
from makegood.access.permissions import PERMISSIONS
from makegood.pages.shell import NAVIGATION
from tests.door.conftest import SAMPLE, commands, with_an_agreement
from tests.pages.browser import Watched, browser, context_of
from tests.pages.life import PRINCIPALS, staff
from tests.pages.site import COOKIE, Site, Who, served

DOCS = Path(__file__).resolve().parents[2] / "docs" / "pages"
FIRST_QUARTER = 2_500
"""So many of the sample's messages are recorded on 1 April 2026, the others on 1 July."""
ACCOUNT, CLAIM = "acct-0006", "unused/cyc-0006-2026-04-02"
"""A customer of the sample who cancelled, and what they are owed for it."""
CANCELLING, SUBSCRIPTION = "acct-0024", "sub-0024"
"""A customer who has paid for a year, and can cancel."""
BYTES_MAX = 60_000
WIDTHS = (1280, 320)


class Pictured(NamedTuple):
    """A page of which pictures are taken: by what name, and who looks at it."""

    name: str
    who: Who | None
    path: str
    account: str = ACCOUNT
    """Whose customer looks at it."""


def pictured() -> Iterator[Pictured]:
    """The pages that the navigation leads to, each as somebody who may see it, and those that it does not name."""
    yield Pictured("sign-in", None, "/sign-in")
    for entry in NAVIGATION:
        who = next(role for role in ROLES if role in PERMISSIONS[entry.action] and role != "customer")
        yield Pictured(entry.path.strip("/").replace("/", "-"), who, entry.path)
    yield Pictured("console-account", "support", f"/console/accounts/{ACCOUNT}")
    yield Pictured("console-timeline", "support", f"/console/accounts/{ACCOUNT}/timeline")
    yield Pictured("console-outage", "support", f"/console/accounts/{ACCOUNT}/outage")
    yield Pictured("console-explanation", "auditor", f"/console/explanations?id={CLAIM}")
    yield Pictured("console-dead-letter", "provisioning", "/console/operations/dead-letters/1")
    yield Pictured("portal", "customer", f"/portal/{ACCOUNT}")
    yield Pictured("portal-why", "customer", f"/portal/{ACCOUNT}/why?id={CLAIM}")
    cancelling = f"/portal/{CANCELLING}/cancel?subscription={SUBSCRIPTION}"
    yield Pictured("portal-cancel", "customer", cancelling, CANCELLING)


@contextmanager
def sample() -> Iterator[Site]:
    """A site over all that the sample says, at the end of its months."""
    lines = (SAMPLE / "events.jsonl").read_text().splitlines(keepends=True)
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/sample.db"
        with_an_agreement(store)
        for until, part in (
            ("2026-04-01T00:00:00Z", lines[:FIRST_QUARTER]),
            ("2026-07-01T00:00:00Z", lines[FIRST_QUARTER:]),
        ):
            file = Path(folder) / "part.jsonl"
            file.write_text("".join(part))
            commands(store, ("advance", until))
            commands(store, ("ingest", str(file)), exits=3)
        staff(store)
        commands(store, ("period", "close", "2026-05", "--as", PRINCIPALS["finance"]))
        with served(store) as site:
            yield site


def take(found: Browser, site: Site, page: Pictured, folder: Path) -> list[str]:
    """Take one page's pictures, as large as it is; what went wrong on it."""
    watched = Watched(site.address)
    for width, dark in product(WIDTHS, (False, True)):
        with opened(found, site, watched, page, width=width, dark=dark) as seen:
            seen.screenshot(path=folder / f"{page.name}-{width}-{'dark' if dark else 'light'}.png", full_page=True)
    return told(watched)


def take_small(found: Browser, site: Site, page: Pictured) -> list[str]:
    """Take a page's picture for the documents: the portal's on a phone, all others on a screen."""
    watched = Watched(site.address)
    width = 320 if page.path.startswith("/portal") else 1280
    with opened(found, site, watched, page, width=width) as seen:
        size = seen.viewport_size
        assert size is not None
        asking = {"format": "webp", "clip": {"x": 0, "y": 0, "scale": 1 if width == 320 else 0.75, **size}}
        session = seen.context.new_cdp_session(seen)
        for quality in (80, 60, 40, 20):
            content = base64.b64decode(session.send("Page.captureScreenshot", asking | {"quality": quality})["data"])
            if len(content) < BYTES_MAX:
                break
        (DOCS / f"{page.name}.webp").write_bytes(content)
    return told(watched) + ([f"{page.name} has {len(content)} bytes"] if len(content) >= BYTES_MAX else [])


@contextmanager
def opened(
    found: Browser, site: Site, watched: Watched, page: Pictured, *, width: int, dark: bool = False
) -> Iterator[Page]:
    with context_of(found, watched, width=width, dark=dark, calm=True) as context:
        if page.who is not None:
            token = site.sign_in(page.who, page.account)
            context.add_cookies([{"name": COOKIE, "value": token, "url": site.address}])
        seen = context.new_page()
        answer = seen.goto(page.path)
        if answer is None or answer.status != 200:
            watched.complaints.append(f"{page.path} was answered with {answer.status if answer else 'nothing'}")
        if (wide := seen.evaluate("document.documentElement.scrollWidth")) > width:
            watched.complaints.append(f"{page.path} is {wide} wide on a screen of {width}")
        yield seen


def told(watched: Watched) -> list[str]:
    try:
        watched.check()
    except AssertionError as error:
        return str(error).splitlines()
    return []


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.pages.screenshots", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="where all pictures go")
    parser.add_argument("--docs", action="store_true", help="take the small ones of docs/pages/")
    parser.add_argument("--only", default="", metavar="WORD", help="only pages whose name has it")
    asked = parser.parse_args()
    if asked.folder is None and not asked.docs:
        parser.error("name a folder, or give --docs")
    troubles: list[str] = []
    shown = (DOCS / "README.md").read_text()
    with sample() as site, browser() as found:
        for page in pictured():
            if asked.only not in page.name:
                continue
            if asked.folder is not None:
                asked.folder.mkdir(parents=True, exist_ok=True)
                troubles += take(found, site, page, asked.folder)
            if asked.docs and f"({page.name}.webp)" in shown:
                troubles += take_small(found, site, page)
            print(page.name, flush=True)
    for trouble in dict.fromkeys(troubles):
        print(trouble, file=sys.stderr)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
