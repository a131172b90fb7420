"""A real browser that is watched: whatever it complains of on any page fails the test.

It is Debian's Chromium, or Google's Chrome, driven by Playwright, which brings no browser of its own here.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    sync_playwright,
)

from tests.pages.vendored import AXE

NAMES = ("chromium", "chromium-browser", "google-chrome")
"""What the browser may be called."""
SHIFT_MAX = 0.01
"""How far a page may move under whoever reads it: less than a hundredth of what is seen, all shifts together."""
BYTES_MAX = 100_000
"""How large a page may be, with its styles and scripts."""

_WATCH = """
new PerformanceObserver(list => {
  for (const shift of list.getEntries())
    if (!shift.hadRecentInput) console.debug(`watched:shift:${shift.value}`);
}).observe({type: "layout-shift", buffered: true});
document.addEventListener("securitypolicyviolation", event =>
  console.debug(`watched:violation:${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
"""
"""Runs before anything of a page does, and tells through the console, which outlives the page."""
_AXE = """async () => (await axe.run({resultTypes: ["violations"]})).violations.map(violation => ({
  id: violation.id, help: violation.help,
  nodes: violation.nodes.map(node => `${node.html}\\n      ${node.failureSummary.replace(/\\n/g, "\\n      ")}`)}))"""


class NoBrowser(Exception):
    """No browser is installed; the message says what to do."""


def browser_path() -> str:
    """Where the browser is. Raises NoBrowser."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise NoBrowser(f"none of {', '.join(NAMES)} is installed; run `make deps` as root (Debian: chromium)")
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser without a window, until the block ends. While it is open, no event loop can run in this thread."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=browser_path())
        yield found
        found.close()


@dataclass
class Watched:
    """What a browser was seen to do on the pages of one site."""

    address: str
    complaints: list[str] = field(default_factory=list)
    shifts: dict[str, float] = field(default_factory=dict)
    bytes_of: dict[str, int] = field(default_factory=dict)
    visited: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    """Patterns of complaints that a test brings about itself."""

    def follow(self, context: BrowserContext) -> None:
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(f"error in a script: {error.error}"))
        context.on("request", self._asked)
        context.on("response", self._answered)
        context.on("dialog", self._opened)

    def check(self) -> None:
        """Raises AssertionError with all that was seen and should not have been."""
        found = [each for each in self.complaints if not any(re.search(known, each) for known in self.allowed)]
        found += [f"{page} shifts by {by:.3f}" for page, by in self.shifts.items() if by >= SHIFT_MAX]
        found += [f"{page} has {size:,} bytes" for page, size in self.bytes_of.items() if size >= BYTES_MAX]
        assert not found, "\n".join(found)

    def _said(self, message: ConsoleMessage) -> None:
        page = message.page.url if message.page is not None else ""
        kind, _, rest = message.text.removeprefix("watched:").partition(":")
        if not message.text.startswith("watched:"):
            if message.type in ("error", "warning", "assert") and not _tells_of_a_status(message.text):
                self.complaints.append(f"{page}: {message.text}")
        elif kind == "shift":
            self.shifts[page] = self.shifts.get(page, 0.0) + float(rest)
        else:
            self.complaints.append(f"{page} breaks its policy: {rest}")

    def _opened(self, dialog: Dialog) -> None:
        self.complaints.append(f"a dialog opened: {dialog.message}")
        dialog.dismiss()

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.address}/", "data:", "about:")):
            self.complaints.append(f"asked another host: {request.url}")

    def _answered(self, response: Response) -> None:
        request = response.request
        if request.resource_type == "document" and "content-disposition" not in response.headers:
            self.visited.append(response.url)
            self.bytes_of[response.url] = 0
        is_part = request.resource_type in ("document", "stylesheet", "script")
        if is_part and self.visited and "content-disposition" not in response.headers:
            self.bytes_of[self.visited[-1]] += int(response.headers.get("content-length", 0))
        if response.status >= 500:
            self.complaints.append(f"{response.url} was answered with {response.status}")
        if request.resource_type != "document" and response.status >= 400:
            self.complaints.append(f"{response.url} was answered with {response.status}")


def _tells_of_a_status(text: str) -> bool:
    """Whether Chromium tells that a page was answered with 404 or the like, which a test looks at itself."""
    return text.startswith("Failed to load resource: the server responded with a status of")


def no_violations(page: Page) -> None:
    """Hold a page to all of axe-core's rules: those of WCAG, and what is good practice."""
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(_AXE)
    told = [f"{each['id']}: {each['help']}\n    " + "\n    ".join(each["nodes"]) for each in found]
    assert not told, f"{page.url}\n  " + "\n  ".join(told)


def context_of(
    found: Browser,
    watched: Watched,
    *,
    width: int = 1280,
    dark: bool = False,
    calm: bool = False,
    script: bool = True,
    language: str = "en",
    media: Literal["screen", "print"] = "screen",
) -> BrowserContext:
    """A browser of somebody's own, as wide as a screen or a phone, watched.

    `calm` is for those whom motion makes ill; without `script` there is no JavaScript.
    """
    context = found.new_context(
        base_url=watched.address,
        viewport={"width": width, "height": 800 if width > 600 else 640},
        has_touch=width <= 600,
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce" if calm else "no-preference",
        java_script_enabled=script,
        locale=language,
        timezone_id="Asia/Tokyo",
    )
    context.set_default_timeout(10_000)
    context.add_init_script(_WATCH)
    watched.follow(context)
    if media == "print":
        context.on("page", lambda page: page.emulate_media(media="print"))
    return context


def focused(page: Page) -> str:
    """What has the focus, as its label or text says it; for who has only a keyboard."""
    found: str = page.evaluate(
        "() => { const it = document.activeElement;"
        " return (it.labels?.[0] ?? it).textContent.trim() || it.getAttribute('aria-label') || it.name || ''; }"
    )
    return found


def tab_to(page: Page, name: str, *, most: int = 100) -> None:
    """Press Tab until what is called so has the focus. Raises AssertionError where that never comes."""
    seen = []
    for _ in range(most):
        page.keyboard.press("Tab")
        seen.append(focused(page))
        if seen[-1] == name:
            return
    raise AssertionError(f"Tab never comes to {name!r}, only to {seen}")
