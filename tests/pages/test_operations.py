"""The operations room: what is broken comes first, a dead letter is repaired, tried and replayed, projections are
built anew, and pages that are open learn that something changed."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import httpx
import pytest
from playwright.sync_api import Page, expect

from ledger.application.looks import STREAM
from ledger.application.record import take
from ledger.events import RecordsLookedAt
from ledger.store.connecting import connect
from ledger.store.database import beside
from ledger.store.instants import to_microseconds
from ledger.store.notice_queue import queue_notices
from ledger.store.reading.events import events_of_stream
from ledger.store.reading.notice_queue import QueuedNotice, find_notice
from makegood.access.sight import EVERYTHING
from makegood.answers import kept_messages
from makegood.answers.history import history
from makegood.answers.lag_history import KEPT, LagHistory
from makegood.answers.status import look_around
from makegood.house.looking import record_looks
from makegood.house.opening import House
from makegood.pages.console.rebuilding import RebuildRun
from makegood.pages.live import OF_ONE_MAX, Live, mark_of
from makegood.pages.marked_json import laid_out, marked
from projections.claims import CLAIMS
from tests.ledger.messages import Upstream, read_all
from tests.pages.browser import no_violations
from tests.pages.clients import Client, Pages
from tests.pages.life import END_OF_APRIL, IN_HTML, OWN, SET_ASIDE, _ingest
from tests.pages.site import COOKIE, Site

OPERATIONS = "/console/operations"
LETTERS, ASIDE = f"{OPERATIONS}/dead-letters", f"{OPERATIONS}/aside"
PATIENCE_SECONDS = 60.0


@pytest.fixture
def pages(open_pages: Callable[..., Pages]) -> Pages:
    return open_pages()


def field(text: str, name: str) -> str:
    """What a form's field says on a page: a hidden one, or a text area."""
    found = re.search(rf'name="{name}" value="([^"]*)"|<textarea[^>]* name="{name}"[^>]*>([^<]*)</textarea>', text)
    assert found is not None, f"no field {name}"
    return html.unescape(found[1] or found[2] or "")


def letters(house: House) -> list[kept_messages.DeadLetter]:
    """The dead letters that are open."""
    return list(kept_messages.dead_letters(house, {}, closed=False))


def known_charges(house: House) -> str:
    """The account's history, as one text."""
    house.projections.catch_up()
    return repr(list(history(house, EVERYTHING, OWN)))


def until(found: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not found():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.05)


class TestStatus:
    def test_it_says_how_far_each_part_is_and_what_waits(self, pages: Pages) -> None:
        operator = pages.staff("operator")
        assert operator.get(OPERATIONS).headers["location"] == f"{OPERATIONS}/status"
        text = operator.get(f"{OPERATIONS}/status").text
        for said in ("All is well", "projector", "timers", "all projections, shard 0", "audit key new"):
            assert said in text, said
        assert f'href="{LETTERS}">dead letters</a>' in text
        assert "/console/refunds" not in text, "an operator sees no money"

    def test_what_is_late_comes_first_with_how_late_it_is(self, open_pages: Callable[..., Pages]) -> None:
        pages = open_pages(max_age=60)
        operator = pages.staff("operator")
        own = Upstream(OWN, source="/upstream/late", begins="2026-04-20T10:00:00Z")
        take(pages.house.ledger, read_all([own.charge_posted("chg-late")]))
        with pages.house.database.writing() as transaction:
            an_hour_later = to_microseconds(END_OF_APRIL) + 3_600_000_000
            transaction.run("UPDATE store SET value = ? WHERE name = 'clock'", (str(an_hour_later),))
        text = operator.get(f"{OPERATIONS}/status").text
        assert 0 < text.index("projector is behind on") < text.index("<caption>Parts</caption>")

    def test_the_last_hours_are_drawn_once_there_are_samples(self, pages: Pages) -> None:
        operator = pages.staff("operator")
        assert "not enough samples yet" in operator.get(f"{OPERATIONS}/status").text
        samples: LagHistory = pages.app.state.lag_history
        now = look_around(pages.house)
        for minutes in range(30):
            at = look_around(pages.house)
            at.system_now = now.system_now + timedelta(minutes=minutes - 29)
            samples._samples.clear() if minutes == 0 else None
            samples.add(at)
        text = operator.get(f"{OPERATIONS}/status?part=projector&hours=1").text
        assert 'aria-label="Lag of projector in the last hour, in seconds"' in text
        assert text.count('<tr><th scope="row"><time') == 15, "two samples a point, each point in the table"

    def test_samples_are_one_a_minute_and_of_a_day(self, pages: Pages) -> None:
        samples, status = LagHistory(), look_around(pages.house)
        began = status.system_now
        for second in range(0, 120, 10):
            status.system_now = began + timedelta(seconds=second)
            samples.add(status)
        assert len(samples._samples) == 2
        for minute in range(2_000):
            status.system_now = began + timedelta(minutes=3 + minute)
            samples.add(status)
        assert status.system_now - samples._samples[0].at < KEPT
        assert len(samples.points("projector", 24, status.system_now)) <= 31


class TestDeadLetters:
    def test_one_is_repaired_tried_and_replayed_and_counts(self, pages: Pages) -> None:
        provisioning = pages.staff("provisioning")
        [letter] = letters(pages.house)
        address = f"{LETTERS}/{letter['position']}"
        assert f'href="{address}"' in provisioning.get(f"{LETTERS}?account={OWN}&field=data.price").text
        assert "No row has what you asked for" in provisioning.get(f"{LETTERS}?account=acct-2").text
        page = provisioning.get(address).text
        assert "<mark>&#34;price&#34;: &#34;much&#34;</mark>" in page
        assert "chg-wrong" not in known_charges(pages.house)

        as_it_is = provisioning.submit(address, {"step": "try", "body": field(page, "body")}).text
        assert "It would be refused again" in as_it_is
        repaired = field(page, "body").replace('"much"', '"15.00"').replace("\n", "\r\n")
        tried = provisioning.submit(address, {"step": "try", "body": repaired}).text
        assert "It would be recorded" in tried
        assert "chg-wrong" not in known_charges(pages.house), "a dry run records nothing"

        again = {"step": "replay", "body": repaired, "tried": field(tried, "tried"), "reason": "the price was a word"}
        answer = provisioning.submit(address, again)
        assert (answer.status_code, answer.headers["location"]) == (303, LETTERS)
        assert f"Dead letter {letter['position']} is repaired and recorded." in provisioning.get(LETTERS).text
        assert "chg-wrong" in known_charges(pages.house)
        assert letters(pages.house) == []
        closed = kept_messages.at(pages.house, "dead-letter", letter["position"])
        assert closed is not None
        assert (closed["status"], closed["closed_by"]) == ("replayed", "sandbox/provisioning")
        assert "was already replayed" in self._said(provisioning, address, again)

    def _said(self, client: Client, address: str, fields: dict[str, str]) -> str:
        assert client.submit(address, fields).status_code == 303
        return str(client.get(LETTERS).text)

    def test_what_was_changed_since_it_was_tried_is_tried_again(self, pages: Pages) -> None:
        provisioning = pages.staff("provisioning")
        address = f"{LETTERS}/{letters(pages.house)[0]['position']}"
        body = field(provisioning.get(address).text, "body").replace('"much"', '"15.00"')
        tried = field(provisioning.submit(address, {"step": "try", "body": body}).text, "tried")
        other = body.replace('"15.00"', '"1500.00"')
        answer = provisioning.submit(address, {"step": "replay", "body": other, "tried": tried})
        assert answer.status_code == 422
        assert "was changed since it was tried" in answer.text
        assert "chg-wrong" not in known_charges(pages.house)

    def test_all_that_is_wrong_with_a_repaired_body_is_listed_and_marked(self, pages: Pages) -> None:
        provisioning = pages.staff("provisioning")
        address = f"{LETTERS}/{letters(pages.house)[0]['position']}"
        body = json.loads(field(provisioning.get(address).text, "body"))
        body["data"] |= {"currency": "euro", "colour": "blue"}
        text = provisioning.submit(address, {"step": "try", "body": json.dumps(body)}).text
        for path in ("data.price", "data.currency", "data.colour"):
            assert f'<span class="id">{path}</span>' in text, path
        assert "<mark>&#34;colour&#34;: &#34;blue&#34;</mark>" in text
        another = json.dumps(body | {"source": "/upstream/other", "data": {**body["data"], "price": "15.00"}})
        assert "source" in provisioning.submit(address, {"step": "try", "body": another}).text

    def test_one_is_discarded_with_a_reason_only(self, pages: Pages) -> None:
        operator = pages.staff("operator")
        address = f"{LETTERS}/{letters(pages.house)[0]['position']}"
        assert "say why it is discarded" in operator.submit(address, {"step": "discard"}).text
        assert operator.submit(address, {"step": "discard", "reason": "sent by mistake"}).status_code == 303
        assert letters(pages.house) == []
        assert "discarded" in operator.get(f"{LETTERS}?all=yes").text

    def test_what_it_says_is_shown_to_who_may_read_it_and_the_look_is_recorded(self, pages: Pages) -> None:
        address = f"{LETTERS}/{letters(pages.house)[0]['position']}"
        operator, auditor = pages.staff("operator"), pages.staff("auditor")
        hidden = operator.get(address).text
        assert "a headset" not in hidden
        assert 'value="replay"' not in hidden, "it is tried first"
        refused = operator.submit(address, {"step": "try", "body": "{}"})
        assert "only who may read the body may repair it" in refused.text
        assert "It would be refused again" in operator.submit(address, {"step": "try"}).text
        assert looks(pages.house) == []
        read = auditor.get(address).text
        assert "a headset" in read
        assert 'name="step"' not in read
        assert auditor.submit(address, {"step": "discard", "reason": "to see"}).status_code == 403
        assert looks(pages.house) == [("sandbox/auditor", "console", "kept_message", OWN)]
        assert pages.staff("finance").get(address).status_code == 403
        assert pages.customer(OWN).get(address).status_code == 404

    def test_whatever_it_says_is_shown_and_not_obeyed(self, pages: Pages) -> None:
        own = Upstream(OWN, source="/upstream/html", begins="2026-04-20T10:00:00Z")
        charged = {"price": IN_HTML, "currency": "EUR", "invoice_id": "inv-html", "description": "\u202egnirts"}
        _ingest(pages.house.settings.store, own.says("charge.posted", charge_id="chg-html", **charged))
        position = letters(pages.house)[-1]["position"]
        provisioning = pages.staff("provisioning")
        text = provisioning.get(f"{LETTERS}/{position}").text
        tried = provisioning.submit(f"{LETTERS}/{position}", {"step": "try", "body": f"</pre>{IN_HTML}"}).text
        for shown in (text, tried):
            assert "<script>alert" not in shown
            assert "<img src=x" not in shown
        assert "\\u202egnirts" in text

    def test_there_is_no_other(self, pages: Pages) -> None:
        provisioning = pages.staff("provisioning")
        for position in ("0", "999", "x", str(2**63)):
            assert provisioning.get(f"{LETTERS}/{position}").status_code == 404


def looks(house: House) -> list[tuple[str, str, str, str | None]]:
    """Who is recorded to have looked at kept messages, by which way."""
    record_looks(house)
    with house.database.reading() as transaction:
        events = [stored.event() for stored in events_of_stream(transaction, STREAM)]
    found = (look for event in events if isinstance(event, RecordsLookedAt) for look in event.data.looks)
    return sorted({(look.by, look.channel, look.kind, look.account_id) for look in found})


class TestSetAside:
    def test_one_is_replayed_once_the_cause_is_gone(self, pages: Pages) -> None:
        operator = pages.staff("operator")
        [message] = kept_messages.set_aside(pages.house, {}, closed=False)
        address = f"{ASIDE}/{message['position']}"
        assert SET_ASIDE in operator.get(ASIDE).text
        with closing(connect(beside(pages.house.settings.store, "vault"))) as keys, keys.writing() as transaction:
            for table in ("vault_keys", "key_serials"):
                transaction.run(f"DELETE FROM {table} WHERE subject = ?", (f"account/{SET_ASIDE}",))
        tried = operator.submit(address, {"step": "try"}).text
        assert "It would be recorded" in tried
        answer = operator.submit(address, {"step": "replay", "tried": field(tried, "tried")})
        assert answer.status_code == 303, answer.text
        assert list(kept_messages.set_aside(pages.house, {}, closed=False)) == []


class TestNotices:
    def test_a_person_has_one_sent_again_or_discards_it(self, pages: Pages) -> None:
        house = pages.house
        one, other = ("1" * 32, "2" * 32)
        with house.database.writing() as transaction:
            queue_notices(
                transaction,
                [QueuedNotice(id_, OWN, "credit", "e", 1, house.now(), "failed") for id_ in (one, other)],
            )
        operator = pages.staff("operator")
        assert one in operator.get(f"{OPERATIONS}/notices?status=failed").text
        address = f"{OPERATIONS}/notices"
        assert "sent again or discarded" in operator.submit(f"{address}/{one}").text
        assert operator.submit(f"{address}/{one}", {"decision": "resend"}).status_code == 303
        assert operator.submit(f"{address}/{other}", {"decision": "discard", "reason": "gone"}).status_code == 303
        with house.database.reading() as transaction:
            stands = [found.status for id_ in (one, other) if (found := find_notice(transaction, id_)) is not None]
        assert stands == ["queued", "discarded"]
        assert "only notices that" in operator.submit(f"{address}/{other}", {"decision": "resend"}).text
        assert pages.staff("auditor").submit(f"{address}/{one}", {"decision": "discard"}).status_code == 403


class TestRebuilding:
    def test_rows_that_differ_are_mended_and_named(self, pages: Pages) -> None:
        with pages.house.database.writing() as transaction:
            transaction.run(f"DELETE FROM {CLAIMS.stored_name(CLAIMS.tables[0])} WHERE account = ?", (OWN,))
        operator = pages.staff("operator")
        page = f"{OPERATIONS}/rebuild"
        assert "Nothing was rebuilt" in operator.get(page).text
        assert "say which projection" in operator.submit(page).text
        assert operator.submit(page, {"projection": "claims"}).status_code == 303
        run: RebuildRun = pages.app.state.rebuild
        until(lambda: not run.running and operator.get(f"{page}/progress").status_code == 200)
        text = operator.get(page).text
        assert "Rebuilt claims" in text
        assert "the rows of 1 differed from the ledger and are mended" in text
        assert f'<span class="id">{OWN}</span>' in text

    def test_one_runs_at_a_time_and_only_operators_begin_one(self, pages: Pages) -> None:
        operator, auditor = pages.staff("operator"), pages.staff("auditor")
        page = f"{OPERATIONS}/rebuild"
        operator.get(page)
        run: RebuildRun = pages.app.state.rebuild
        run.running = True
        operator.submit(page, {"projection": "all"})
        assert "A rebuild runs already" in operator.get(page).text
        assert "Look again" in operator.get(page).text
        run.running = False
        assert auditor.get(page).status_code == 200
        assert auditor.submit(page, {"projection": "all"}).status_code == 403


class TestLive:
    def test_a_stream_says_changed_once_something_has_and_ends_with_the_server(self, site: Site) -> None:
        live: Live = site.app.state.live
        token = site.sign_in("operator")
        headers = {"Accept": "text/event-stream", "Cookie": f"{COOKIE}={token}"}
        seen = mark_of(site.house)
        with httpx.stream(
            "GET", f"{site.address}/console/live?seen={seen}", headers=headers, timeout=PATIENCE_SECONDS
        ) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.iter_lines()
            assert next(lines) == "retry: 5000"
            assert live.streams == 1
            own = Upstream(OWN, source="/upstream/live", begins="2026-04-20T10:00:00Z")
            take(site.house.ledger, read_all([own.charge_posted("chg-live")]))
            assert next(line for line in lines if line) == "event: changed"
            site.app.state.draining = lambda: True
            assert [line for line in lines if line] == ["data:"]
        until(lambda: live.streams == 0)

    def test_one_person_has_few_streams_and_nobody_has_one_without_signing_in(self, pages: Pages) -> None:
        operator = pages.staff("operator")
        live: Live = pages.app.state.live
        taken = [live.stream("sandbox/operator") for _ in range(OF_ONE_MAX)]
        assert [each.__enter__() for each in taken] == [True] * OF_ONE_MAX
        answer = operator.get("/console/live", headers={"Accept": "text/event-stream"})
        assert answer.text.strip().endswith("event: ended\ndata:")
        for each in taken:
            each.__exit__(None, None, None)
        assert live.streams == 0
        assert operator.get("/console/live").status_code == 303
        stranger = pages.client().get("/console/live", headers={"Accept": "text/event-stream"})
        assert stranger.headers["location"].startswith("/sign-in")
        assert pages.customer(OWN).get("/console/live").status_code == 404


class TestBodies:
    def test_every_value_stays_as_it_was_sent(self) -> None:
        body = '{"a":[1.50,{"b":"\\u00e9,:{}"}],"c":{},"d":[ ],"a":null}'
        assert json.loads(laid_out(body), object_pairs_hook=list) == json.loads(body, object_pairs_hook=list)
        assert "1.50" in laid_out(body)
        assert laid_out("not { json") == "not { json"

    def test_fields_are_marked_by_their_path_and_of_a_missing_one_what_should_have_it(self) -> None:
        body = '{"data":{"numbers":["+491","x"],"price":{"of":1}},"id":"<b>"}'
        found = marked(body, ["data.numbers.1", "data.price", "data.price.of", "id", "nothing"])
        assert re.findall("<mark>(.*?)</mark>", found, re.DOTALL) == [
            "&#34;x&#34;",
            "&#34;price&#34;: {\n      &#34;of&#34;: 1\n    }",
            "&#34;id&#34;: &#34;&lt;b&gt;&#34;",
        ]
        assert re.findall("<mark>(.*?)</mark>", marked(body, ["data.currency"])) == ["&#34;data&#34;"]
        assert marked("<no json", ["data"]) == "&lt;no json"
        assert laid_out("[" * 50_000) == "[" * 50_000


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("width", "script"), [(1280, True), (320, False)], ids=["screen", "phone without scripts"])
def test_walk(site: Site, signed_in: Callable[..., Page], width: int, script: bool) -> None:
    """The status names a dead letter; its message is repaired where it is marked, tried, and replayed."""
    page = signed_in("provisioning", width=width, script=script)
    page.goto(OPERATIONS)
    page.get_by_role("link", name="dead letters", exact=True).click()
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.locator("mark")).to_have_text('"price": "much"')
    body = page.get_by_role("textbox", name="The message")
    body.fill(body.input_value().replace('"much"', '"15.00"'))
    page.get_by_role("button", name="Try it: what would happen?").click()
    expect(page.get_by_role("heading", name="It would be recorded")).to_be_visible()
    if script:
        no_violations(page)
    page.get_by_role("button", name="Replay it", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("repaired and recorded")
    expect(page.get_by_text("No message is open")).to_be_visible()
