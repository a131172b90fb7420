"""Over HTTP the same questions have the same answers as on the command line."""

import json
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute

from ledger.application.acts import By
from ledger.application.lost_messages import pass_over
from ledger.events import LostRange
from makegood.answers import another_time
from makegood.api.guard import action_of
from makegood.program.running import notices_for
from tests.api.conftest import Api, damage_key
from tests.door.conftest import Door
from tests.door.test_commands import ACCOUNT, CANCELLATION, STORY, message
from tests.published import hold_to_address

OUTAGE = message(
    "m-outage",
    "outage.reported",
    {
        "outage_id": "o-1",
        "subscription_id": "sub-none",
        "began_at": "2026-05-01T00:00:00Z",
        "reported_at": "2026-05-01T01:00:00Z",
        "severity": "significant",
        "cause": "provider",
    },
)
COMPLAINT = message(
    "m-complaint", "complaint.opened", {"complaint_id": "k-1", "channel": "phone", "category": "billing"}
)

CLAIM = "unused/cyc-0006-2026-04-02"
REFUND = f"refund/{CLAIM}/1"
MARCH = "2026-03-01T00:00:00Z"
JUNE = "2026-06-15T00:00:00Z"
SAME: dict[str, str] = {
    "claims": "/claims",
    "claims --account acct-0006": "/claims?account=acct-0006",
    "claims --clause unused_period --outcome granted": "/claims?clause=unused_period&outcome=granted",
    "claims --outcome declined": "/claims?outcome=declined",
    "refunds": "/refunds",
    "refunds --account acct-0006": "/refunds?account=acct-0006",
    "credits": "/credits",
    "credits --account acct-0002": "/credits?account=acct-0002",
    "claims --currency EUR --plan business-voip --min 10": "/claims?currency=EUR&plan=business-voip&min=10",
    "claims --from 2020-01-01 --to 2089-12-31": "/claims?from=2020-01-01&to=2089-12-31",
    "refunds --currency EUR --agreement standard": "/refunds?currency=EUR&agreement=standard",
    "refunds --clause unused_period --min 5.00 --currency EUR": "/refunds?clause=unused_period&min=5.00&currency=EUR",
    "credits --status open --to 2089-12-31": "/credits?status=open&to=2089-12-31",
    "credits --clause service_disruption": "/credits?clause=service_disruption",
    "claims --known-at 0:1500": "/claims?known_at=0:1500",
    "claims --known-at 2089-01-01T00:00:00Z --outcome granted": (
        "/claims?known_at=2089-01-01T00:00:00Z&outcome=granted"
    ),
    "refunds --known-at 0:1500 --currency EUR": "/refunds?known_at=0:1500&currency=EUR",
    "refunds --as-of 2026-06-01 --account acct-0006": "/refunds?as_of=2026-06-01&account=acct-0006",
    "credits --known-at 0:1500": "/credits?known_at=0:1500",
    f"credits --as-of {JUNE} --known-at 0:1500 --account acct-0002": (
        f"/credits?as_of={JUNE}&known_at=0:1500&account=acct-0002"
    ),
    "find acct-0006": "/search?text=acct-0006",
    "owed": "/owed",
    "owed --by clause,age --currency EUR": "/owed?by=clause,age&currency=EUR",
    "owed --by agreement,plan --known-at 0:1500": "/owed?by=agreement,plan&known_at=0:1500",
    "owed --as-of 2026-06-01 --account acct-0006": "/owed?as_of=2026-06-01&account=acct-0006",
    "owed --items": "/owed/items",
    "owed --items --counted-as refunds_due --age 0-7": "/owed/items?counted_as=refunds_due&age=0-7",
    f"owed --items --account acct-0006 --as-of {JUNE}": f"/owed/items?account=acct-0006&as_of={JUNE}",
    "movements --account acct-0006": "/movements?account=acct-0006",
    "movements --account acct-0006 --kind granted --by-occurrence": (
        "/movements?account=acct-0006&kind=granted&by_occurrence=true"
    ),
    "movements --by clause,month --by-occurrence --from 2026-04-01 --to 2026-07-31": (
        "/movements?by=clause,month&by_occurrence=true&from=2026-04-01&to=2026-07-31"
    ),
    "rollforward --by-occurrence --from 2026-04-01 --to 2026-04-30 --currency EUR": (
        "/rollforward?by_occurrence=true&from=2026-04-01&to=2026-04-30&currency=EUR"
    ),
    "movements --by settlement,account --currency EUR": "/movements?by=settlement,account&currency=EUR",
    f"changes --since {JUNE}": f"/changes?since={JUNE}",
    "changes --since 0:10 --account acct-0006": "/changes?since=0:10&account=acct-0006",
    "disputes --by-age": "/disputes/ages",
    "disputes --age over-60": "/disputes?age=over-60",
    "complaints --by-age": "/complaints/ages",
    "complaints --age over-60 --account acct-0006": "/complaints?age=over-60&account=acct-0006",
    "disputes": "/disputes",
    "disputes --account acct-0007": "/disputes?account=acct-0007",
    "disputes --overdue": "/disputes?overdue=true",
    "complaints": "/complaints",
    "complaints --open --account acct-0006": "/complaints?open=true&account=acct-0006",
    "outages": "/outages",
    "outages --open --account acct-0006": "/outages?open=true&account=acct-0006",
    "outages --subscription sub-none": "/outages?subscription=sub-none",
    "goodwill": "/goodwill",
    "goodwill --open --account acct-0006": "/goodwill?open=true&account=acct-0006",
    "complaint k-1 --account acct-0006": "/accounts/acct-0006/complaints/k-1",
    "instructions": "/instructions",
    "instructions --open": "/instructions?open=true",
    "instructions --account acct-0006": "/instructions?account=acct-0006",
    "instructions --kind cancellation.scheduled": "/instructions?kind=cancellation.scheduled",
    "notices": "/notices",
    "notices --account acct-0006 --status queued": "/notices?account=acct-0006&status=queued",
    "alarms": "/alarms",
    "alarms --account acct-0006": "/alarms?account=acct-0006",
    "waiting": "/waiting",
    "waiting --account acct-0006": "/waiting?account=acct-0006",
    "dead-letters list": "/dead-letters",
    "dead-letters list --field type": "/dead-letters?field=type",
    "dead-letters list --account acct-0012 --all": "/dead-letters?account=acct-0012&all=true",
    "dead-letters list --source /provisioning/us-1": "/dead-letters?source=/provisioning/us-1",
    "dead-letters show 1": "/dead-letters/1",
    "aside list": "/aside",
    "aside list --all --source /test": "/aside?all=true&source=/test",
    "aside show 1": "/aside/1",
    "lost list": "/lost",
    "lost list --all": "/lost?all=true",
    "agreement list": "/agreements",
    "agreement show standard": "/agreements/standard",
    "agreement show standard --version 1": "/agreements/standard?version=1",
    "account acct-0006": "/accounts/acct-0006",
    f"account acct-0006 --as-of {MARCH}": f"/accounts/acct-0006?as_of={MARCH}",
    f"account acct-0006 --known-at {MARCH}": f"/accounts/acct-0006?known_at={MARCH}",
    "account acct-0006 --as-of 2026-03-01 --known-at 0:2000": "/accounts/acct-0006?as_of=2026-03-01&known_at=0:2000",
    "account acct-0006 --as-of 2019-03-01": "/accounts/acct-0006?as_of=2019-03-01",
    "history acct-0006": "/accounts/acct-0006/history",
    "history acct-0006 --kind decision --type claim-assessed --claim unused/cyc-0006-2026-04-02": (
        "/accounts/acct-0006/history?kind=decision&type=claim-assessed&claim=unused/cyc-0006-2026-04-02"
    ),
    "history acct-0006 --from 2026-01-01 --to 2026-04-30 --by-occurrence --by /provisioning/eu-1": (
        "/accounts/acct-0006/history?from=2026-01-01&to=2026-04-30&by_occurrence=true&by=/provisioning/eu-1"
    ),
    "history system": "/accounts/system/history",
    "audit diff --account acct-0006 --from 0:200 --to 0:2000": "/accounts/acct-0006/diff?from=0:200&to=0:2000",
    f"audit diff --account acct-0006 --from {MARCH} --to {JUNE}": (
        f"/accounts/acct-0006/diff?from={MARCH}&to={JUNE}"
    ),
    "audit access --period 2026-01": "/access/audit?period=2026-01",
    "replay acct-0006": "/accounts/acct-0006/replay",
    "replay acct-0006 --to 12": "/accounts/acct-0006/replay?to=12",
    f"explain {CLAIM}": f"/explanations?id={CLAIM}",
    f"explain {REFUND} --account acct-0006": f"/explanations?id={REFUND}&account=acct-0006",
    "status": "/status",
    "access list": "/access/grants",
    "access list --principal auditor": "/access/grants?principal=auditor",
    "access key list": "/access/keys",
    "access key list --principal auditor": "/access/keys?principal=auditor",
    "check --report-only": "/check",
    "check --report-only --account acct-0006": "/check?account=acct-0006",
    "periods": "/periods",
    "period show 2026-01": "/periods/2026-01",
    "period cut-off 2026-01": "/periods/2026-01/cut-off",
    "overpaid": "/overpaid",
    "credits --dormant": "/credits/dormant",
    "reconciliation list": "/discrepancies",
}
NOTHING = ("overpaid", "credits --dormant", "reconciliation list")
"""Of these the sample's first accounts have none; their own tests ask about some."""


def test_the_api_and_the_command_line_give_the_same_answers(busy: Api, twenty_accounts_in_july: Door, lines) -> None:
    key = busy.key("auditor")
    twenty_accounts_in_july(
        "ingest", lines({**OUTAGE, "subject": "acct-0006"}, {**COMPLAINT, "subject": "acct-0006"})
    )
    proposed = busy.ask(
        busy.key("support"),
        "/accounts/acct-0006/complaints/k-1/goodwill",
        "POST",
        json={"amount": "5.00", "currency": "EUR", "reason": "a long wait"},
        headers={"Idempotency-Key": "goodwill-1"},
    )
    assert proposed.status_code == 201, proposed.text
    while notices_for(busy.house, lambda: None).queue():
        pass
    damage_key(twenty_accounts_in_july.store, "account/acct-1")
    twenty_accounts_in_july("ingest", lines(ACCOUNT), exits=3)
    lost = LostRange(cluster="c", topic="t", topic_id="i", partition=0, first=3, last=5, cause="deleted")
    pass_over(busy.house.ledger, lost, None, By("/makegood/test", "cli"))
    busy.house.projections.catch_up()
    twenty_accounts_in_july("period", "close", "2026-01", "--as", "felix")
    asked = set()
    for command, path in SAME.items():
        told = twenty_accounts_in_july.json(*command.split(), exits=1 if command == "status" else 0)
        assert told or command in NOTHING, command
        answer = busy.ask(key, path)
        assert answer.status_code == 200, answer.text
        found = busy.every_page(key, path, 7) if isinstance(told, list) else answer.json()
        assert json.dumps(found) == json.dumps(told), path
        address = route_of(busy, path).path
        hold_to_address(address, answer.json())
        asked.add(address)
    questions = {r.path for r in busy.app.routes if isinstance(r, APIRoute) and action_of(r) and "GET" in r.methods}
    others = {path for path in questions if path == "/metrics" or path.startswith(("/exports/", "/log/"))}
    others |= {path for path in questions if path.endswith("/personal-data")}
    assert questions == asked | others, (
        "these are no answers that a command prints; they are told where they are tested"
    )


def route_of(api: Api, path: str) -> APIRoute:
    bare = path.partition("?")[0]
    (found,) = [r for r in api.app.routes if isinstance(r, APIRoute) and r.path_regex.match(bare)]
    return found


def test_movements_come_without_their_totals_where_nobody_asks_for_them(busy: Api) -> None:
    key = busy.key("auditor")
    with_totals, without = (busy.ask(key, f"/movements?limit=5{more}") for more in ("", "&totals=false"))
    assert with_totals.json()["totals"]
    assert without.json() == {"rows": with_totals.json()["rows"]}
    assert "totals=false" in without.links["next"]["url"]


def test_a_history_is_sent_as_csv_too(busy: Api, twenty_accounts_in_july: Door) -> None:
    key = busy.key("auditor")
    whole = busy.ask(key, "/accounts/acct-0006/history?format=csv&limit=1000")
    assert whole.headers["content-type"].startswith("text/csv")
    assert whole.text == twenty_accounts_in_july("history", "acct-0006", "--csv")
    first = busy.ask(key, "/accounts/acct-0006/history?format=csv&limit=3")
    assert len(first.text.splitlines()) == 4
    assert 'rel="next"' in first.headers["link"]
    refused = busy.ask(key, "/accounts/acct-0006/history?type=rumour.v1")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "type")


def test_refunds_can_be_asked_for_by_how_they_stand(busy: Api) -> None:
    key = busy.key("finance")
    rows = busy.json(key, "/refunds?limit=1000")
    for status in ("due", "failed", "succeeded"):
        expected = [row for row in rows if row["status"] == status]
        assert busy.every_page(key, f"/refunds?status={status}", 2) == expected
        assert expected or status == "due"


def test_an_account_whose_id_holds_a_slash_can_be_asked_for(api: Api, sandbox: Door, lines) -> None:
    sandbox("ingest", lines({**ACCOUNT, "subject": "eu/7"}))
    key = api.key("auditor")
    assert api.json(key, "/accounts/eu%2F7")["account_id"] == "eu/7"
    assert api.json(key, f"/accounts/{quote('eu/7', safe='')}/history")[0]["kind"] == "fact"
    assert api.ask(key, "/accounts/eu/7").status_code == 404


def test_several_accounts_may_have_an_id_and_then_it_must_be_said_which(api: Api, sandbox: Door, lines) -> None:
    said = [*STORY, CANCELLATION]
    sandbox("ingest", lines(*said, *({**m, "id": f"{m['id']}-2", "subject": "acct-2"} for m in said)))
    key = api.key("support")
    unclear = api.ask(key, "/explanations?id=unused/c")
    assert (unclear.status_code, unclear.json()["type"]) == (409, "urn:makegood:problem:conflict")
    assert api.json(key, "/explanations?id=unused/c&account=acct-2")["account_id"] == "acct-2"
    assert api.json(api.key("customer", "acct-2"), "/explanations?id=unused/c")["account_id"] == "acct-2"


def test_a_list_of_another_time_is_read_in_pages_of_few_accounts(busy: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page may even be empty; the links lead to all rows. What is assessed anew is of one account."""
    key = busy.key("auditor")
    for path in ("/claims?outcome=declined&known_at=0:999999", "/refunds?known_at=0:1500", "/credits?known_at=0:900"):
        whole = busy.json(key, f"{path}&limit=1000")
        assert whole
        monkeypatch.setattr(another_time, "ACCOUNTS_A_PAGE", 2)
        assert busy.every_page(key, path, 2) == whole
        monkeypatch.undo()
    for path in ("/claims", "/refunds", "/credits", "/exports/claims"):
        refused = busy.ask(key, f"{path}?as_of=2026-04-15{'&format=csv' if 'exports' in path else ''}")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "account"), refused.text
    stands = busy.ask(key, "/exports/claims?format=csv")
    assert busy.ask(key, "/exports/claims?format=csv&known_at=0:999999").content == stands.content
    one = busy.ask(key, "/exports/claims?format=jsonl&as_of=2026-06-01&account=acct-0006")
    assert [json.loads(row) for row in one.text.splitlines()] == busy.json(
        key, "/claims?as_of=2026-06-01&account=acct-0006"
    )
