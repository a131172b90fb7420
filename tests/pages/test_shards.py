"""The API and the pages over a store of several shards: whoever looks at them sees what they see over one."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from ledger.application import access
from ledger.application.acts import By
from ledger.events import ROLES
from ledger.store.positions import shard_for
from makegood.access.permissions import PERMISSIONS
from makegood.api.app import Endpoint, endpoints
from tests.ledger.messages import Message, Upstream
from tests.pages.life import ANOTHERS, OWN, PRINCIPALS, SET_ASIDE, a_life
from tests.pages.routes import Asked, may, pages_and_forms
from tests.pages.site import COOKIE, Site, Who, caught_up, served
from tests.parts.stores import Stores, nothing

pytestmark = pytest.mark.long
SHARDS = 4
HOME, ELSEWHERE = shard_for(OWN, SHARDS), shard_for(ANOTHERS, SHARDS)
OF_ONE_SHARD = re.compile(
    "/console/(operations/(aside|dead-letters|rebuild|status)|verify|evidence|movements)|.*/close$"
)
"""Pages about what a shard has for itself, in the order of recording, or with the number of events."""
WITHOUT = re.compile(r"<(script|style|svg)\b.*?</\1>|<[^>]*>", re.DOTALL)
PLACES = re.compile(r"\b\d+:\d+(:\d+)?\b|\b[0-9a-f]{16,64}\b|\b\d+ of \d+\b|(…,)+…")
"""What is of the store that something was recorded in: positions and times, and what follows from them."""


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def sites(
    request: pytest.FixtureRequest, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Site]]:
    """A life in a store of several shards, and the same in one of one."""
    assert len({HOME, ELSEWHERE, shard_for(SET_ASIDE, SHARDS), 0}) == SHARDS, "everybody is in a shard of their own"
    divided, one = (stores.new(request.param, tmp_path_factory.mktemp("store"), nothing) for _ in range(2))
    a_life(divided, "--shards", str(SHARDS))
    a_life(one)
    with served(divided) as of_divided, served(one) as of_one:
        yield of_divided, of_one
    stores.give_back(divided)
    stores.give_back(one)


@pytest.fixture
def divided(sites: tuple[Site, Site]) -> Site:
    return sites[0]


# --- pages --------------------------------------------------------------------------------------------------------


def browsing(site: Site, who: Who, account: str = OWN) -> httpx.Client:
    token = site.sign_in(who, account)
    return httpx.Client(
        base_url=site.address, cookies={COOKIE: token}, timeout=20, headers={"x-csrf": site.csrf(token)}
    )


def words_of(answer: httpx.Response) -> str:
    text = html.unescape(WITHOUT.sub(" ", answer.text))
    return " ".join(PLACES.sub("…", PLACES.sub("…", text)).split())


@pytest.mark.parametrize(
    ("who", "account"), [*((role, OWN) for role in ROLES), ("customer", ANOTHERS)], ids=lambda value: str(value)
)
def test_every_page_says_what_it_says_of_one_shard(sites: tuple[Site, Site], who: Who, account: str) -> None:
    pages, _ = pages_and_forms(sites[0].app)
    asked = [Asked(page, account).path for page in pages if may(who, page) and not OF_ONE_SHARD.match(page.path)]
    said: list[dict[str, tuple[int, str]]] = []
    for site in sites:
        with browsing(site, who, account) as client:
            answers = {path: client.get(path) for path in asked}
        said.append({path: (answer.status_code, words_of(answer)) for path, answer in answers.items()})
    for path in asked:
        assert said[0][path] == said[1][path], path
    assert asked


def test_a_page_of_one_shard_leads_to_the_others_and_stays_there(divided: Site) -> None:
    with browsing(divided, "operator") as client:
        first = client.get("/console/operations/dead-letters")
        assert f"Shard {HOME}: 1 open" in words_of(first)
        assert "acct-1" not in words_of(first)
        there = client.get(f"/console/operations/dead-letters?shard={HOME}")
        assert "acct-1" in words_of(there)
        [address] = re.findall(r'href="(/console/operations/dead-letters/1[^"]*)"', there.text)
        assert address == f"/console/operations/dead-letters/1?shard={HOME}"
        assert client.get("/console/operations/dead-letters/1").status_code == 404
        assert f'<input type="hidden" name="shard" value="{HOME}">' in there.text, "filters stay there"
        narrowed = client.get(f"/console/operations/dead-letters?shard={HOME}&account=acct-none")
        assert f'href="/console/operations/dead-letters?shard={HOME}"' in narrowed.text, "cleared, they stay too"
        message = client.get(address)
        assert f'action="{address}"' in message.text
        for path in ("/console/operations/rebuild",):
            assert f'action="{path}?shard=3"' in client.get(f"{path}?shard=3").text


def test_a_message_is_discarded_in_its_shard(divided: Site) -> None:
    at = f"/console/operations/aside/1?shard={shard_for(SET_ASIDE, SHARDS)}"
    with browsing(divided, "operator") as client:
        form = {"csrf": client.headers["x-csrf"], "step": "discard", "reason": "sent anew"}
        answer = client.post(at, data=form)
        assert answer.status_code == 303, words_of(answer)
        assert answer.headers["location"].startswith("/console/operations/aside?shard=")
        assert "discarded" in words_of(client.get(at))


def test_the_status_is_that_of_all_shards(divided: Site) -> None:
    with browsing(divided, "operator") as client:
        said = words_of(client.get("/console/operations/status"))
    for shard in range(SHARDS):
        assert f"all projections, shard {shard}" in said
    assert "dead letters 1" in said


# --- the API ------------------------------------------------------------------------------------------------------


def asking(site: Site, role: Who) -> httpx.Client:
    principal = PRINCIPALS[role]  # type: ignore[index]
    key = access.issue_key(site.house.ledger, principal, By("/ops/tests", "cli"))
    caught_up(site.house)
    return httpx.Client(base_url=site.address, headers={"Authorization": f"Bearer {key.text}"}, timeout=20)


OF_A_STORE = {
    "data",
    "cause",
    "cause_position",
    "position",
    "event_id",
    "proposal",
    "instruction_id",
    "notice_id",
    "age_seconds",
    "sha256",
    "version",
}
OF_A_STORE |= {"account_version", "accounts", "events", "closed_at", "granted_at", "issued_at", "key_id"}
OF_A_STORE |= {"metrics", "store", "found_at", "settled_at"}
NEEDS_A_SHARD = {"/dead-letters", "/dead-letters/{position}", "/aside", "/aside/{position}", "/lost"}
NEEDS_A_SHARD |= {"/access/audit", "/log/checkpoint", "/log/tile/{tile}"}


def said(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: said(value) for name, value in answer.items() if name not in OF_A_STORE}
    return [said(each) for each in answer] if isinstance(answer, list) else answer


def questions(role: Who) -> list[Endpoint]:
    return [each for each in endpoints() if each.method == "GET" and role in PERMISSIONS[each.action]]


@pytest.mark.parametrize("role", ["finance", "auditor", "operator", "support"])
def test_every_question_is_answered_as_over_one_shard(sites: tuple[Site, Site], role: Who) -> None:
    with asking(sites[0], role) as of_divided, asking(sites[1], role) as of_one:
        for endpoint in questions(role):
            path = Asked(endpoint, OWN).path
            query = {"text": "Zoë"} if path == "/search" else {"period": "2026-03"} if path == "/access/audit" else {}
            query |= {"id": "unused/cyc-1", "account": OWN} if path == "/explanations" else {}
            if path.endswith("/difference") or path.startswith("/exports"):
                query |= {"from": "2026-03-10T00:00:00Z", "to": "2026-04-01T00:00:00Z", "format": "jsonl"}
            found, expected = of_divided.get(path, params=query), of_one.get(path, params=query)
            if endpoint.path in NEEDS_A_SHARD:
                assert found.status_code == 422, path
                assert "the store has 4 shards" in found.text
                found = of_divided.get(path, params={**query, "shard": HOME})
                assert found.status_code in (200, 404), found.text
                continue
            assert found.status_code == expected.status_code, (path, found.text, expected.text)
            if found.headers["content-type"] == "application/json" and "instructions" not in path:
                answers = [said(answer.json()) for answer in (found, expected)]
                if path == "/movements":
                    for answer in answers:
                        answer["rows"].sort(key=lambda row: (row["recorded_at"], row["account_id"], str(row)))
                assert answers[0] == answers[1], path


def test_messages_are_taken_in_the_shards_of_their_accounts_and_can_be_waited_for(divided: Site) -> None:
    upstreams = [Upstream(account, source="/new") for account in (OWN, ANOTHERS)]
    sent: list[Message] = [
        up.cycle_started(
            f"cyc-new-{number}",
            subscription_id="sub-1",
            starts_on=f"2026-0{number}-01",
            ends_on=f"2026-0{number + 1}-01",
        )
        for number in (6, 7)
        for up in upstreams
    ]
    sent.insert(1, {**sent[0], "id": "bad", "data": {}})
    with asking(divided, "provisioning") as client, asking(divided, "support") as reader:
        answer = client.post(
            "/events",
            content=json.dumps(sent),
            headers={"content-type": "application/cloudevents-batch+json"},
        )
        assert answer.status_code == 200, answer.text
        assert [outcome["id"] for outcome in answer.json()["outcomes"]] == [message["id"] for message in sent]
        assert [outcome["outcome"] for outcome in answer.json()["outcomes"]][1] == "refused"
        reached = answer.headers["makegood-position"]
        assert [int(each.partition(":")[0]) for each in reached.split(",")] == sorted({HOME, ELSEWHERE})
        for each in divided.house.every:
            each.projections.catch_up()
        for account in (OWN, ANOTHERS):
            told = reader.get(f"/accounts/{account}", headers={"Makegood-Wait-For": reached})
            assert told.status_code == 200
            assert "cyc-new-7" in {charge["charge_id"] for charge in told.json()["charges"]}
        beyond = reader.get(f"/accounts/{OWN}", headers={"Makegood-Wait-For": f"{SHARDS}:1"})
        assert beyond.status_code == 422


def test_an_act_is_recorded_in_the_accounts_shard_once(divided: Site) -> None:
    with asking(divided, "support") as client:
        for account, shard in ((OWN, HOME), (ANOTHERS, ELSEWHERE)):
            body = {"category": "service", "description": "nobody rang back"}
            headers = {"Idempotency-Key": f"key-{account}"}
            answers = [client.post(f"/accounts/{account}/complaints", json=body, headers=headers) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
            assert answers[0].headers["makegood-position"].startswith(f"{shard}:")
            assert answers[0].json() == answers[1].json()


def test_a_month_is_closed_by_one_request(divided: Site) -> None:
    with asking(divided, "finance") as client:
        headers = {"Idempotency-Key": "close-february"}
        closed = [client.post("/periods/2026-02/close", json={}, headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in closed] == [201, 201], closed[0].text
        assert closed[0].json() == closed[1].json()
        caught_up(divided.house)
        listed = client.get("/periods").json()
        assert [month["period"] for month in listed] == ["2026-02", "2026-03"]


def test_metrics_tell_of_all_shards(divided: Site) -> None:
    with closing(httpx.Client(base_url=divided.address)) as client:
        assert client.get("/readyz").status_code == 200
    with asking(divided, "operator") as client:
        text = client.get("/metrics").text
    for shard in range(SHARDS):
        assert f'makegood_store_events{{shard="{shard}"}}' in text


def sorted_by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["discrepancy_id"]))


def file_of(*rows: str) -> dict[str, str]:
    return {"csv": "\n".join(("refund_id,account_id,amount,currency,date,status", *rows, ""))}


def test_a_processors_file_is_compared_with_what_went_out_of_all_shards(sites: tuple[Site, Site]) -> None:
    """What matches, what differs, what nobody knows, what two accounts could be meant by, and what is missing."""
    found: list[Any] = []
    for site in sites:
        with asking(site, "finance") as client:
            paid = {row["account_id"]: row for row in client.get("/refunds?status=succeeded").json()}
            own, anothers = paid[OWN], paid[ANOTHERS]
            rows = [
                f"{own['refund_id']},{OWN},{own['total']},EUR,2026-03-15,succeeded",
                f"{anothers['refund_id']},{ANOTHERS},0.01,EUR,2026-03-15,succeeded",
                "refund/unheard-of/1,acct-x,1.00,EUR,2026-03-15,succeeded",
                "refund/unreadable/1,acct-x,much,EUR,2026-03-15,succeeded",
            ]
            assert shard_for(OWN, SHARDS) != shard_for(ANOTHERS, SHARDS)
            alone = client.post("/reconciliations", json=file_of(rows[0])).json()
            assert [row["account_id"] for row in alone["missing_there"]] == [ANOTHERS]
            answers = [client.post("/reconciliations", json=file_of(*rows)) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
            assert answers[0].json() == answers[1].json(), "the same file again changes nothing"
            caught_up(site.house)
            found.append((said(answers[0].json()), said(sorted_by_id(client.get("/discrepancies?all=true").json()))))
            listed = client.get("/discrepancies").json()
            settled = [
                client.post(
                    f"/discrepancies/{row['discrepancy_id']}/settle",
                    json={"reason": "looked into"},
                    headers={"Idempotency-Key": f"settle-{row['discrepancy_id']}"},
                )
                for row in listed
            ]
            assert [answer.status_code for answer in settled] == [200] * len(listed), settled[0].text
            caught_up(site.house)
            assert client.get("/discrepancies").json() == []
    assert found[0] == found[1]
    assert (found[0][0]["matched"], len(found[0][0]["unknown_here"]), len(found[0][0]["differing"])) == (1, 1, 1)
    assert len(found[0][0]["unreadable"]) == 1
    assert {(row["kind"], row["status"]) for row in found[0][1]} == {
        ("missing_there", "settled"),
        ("differing", "open"),
        ("unknown_here", "open"),
    }
