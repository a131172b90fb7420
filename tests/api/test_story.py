"""A customer's year in one afternoon, through HTTP only: from registration to a resolved complaint and its credit.

`makegood run` is a process of its own, the mail server is a real one over TLS, and each person asks with a key of
their own. What the story ends in is what an auditor finds.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.test_serving import running
from tests.consumers.conftest import authority, pem, postbox
from tests.consumers.postbox import Postbox, Received
from tests.door.conftest import Door

__all__ = ["authority", "pem", "postbox"]

ACCOUNT = "/accounts/acct-zoe"
SECRET = "seven-Kites-over-42-harbours"


@dataclass
class Person:
    """Somebody at the door, with a key of their own."""

    http: httpx.Client
    key: str
    numbers: Iterator[int]
    position: str = ""

    def looks(self, path: str) -> httpx.Response:
        """What they are answered; it shows whatever they wrote before."""
        after = {"Makegood-Wait-For": self.position} if self.position else {}
        return self.http.get(path, headers=self._headers(after))

    def asks(self, path: str) -> Any:
        answer = self.looks(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def does(self, path: str, body: dict[str, Any] | None = None, *, expect: int = 201, **headers: str) -> Any:
        """What they instruct, under a key of its own."""
        key = {"Idempotency-Key": f"story-{next(self.numbers)}"}
        answer = self.http.post(path, json=body or {}, headers=self._headers(key | headers))
        assert answer.status_code == expect, answer.text
        self.position = answer.headers.get("Makegood-Position", self.position)
        return answer.json()

    def publishes(self, *messages: dict[str, Any]) -> None:
        """Messages of upstream's, in one batch."""
        media_type = {"Content-Type": "application/cloudevents-batch+json"}
        answer = self.http.post("/events", content=json.dumps(messages), headers=self._headers(media_type))
        assert answer.status_code == 200, answer.text
        assert {each["outcome"] for each in answer.json()["outcomes"]} == {"accepted"}, answer.text
        self.position = answer.headers["Makegood-Position"]

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", **more}


def upstream(number: int, kind: str, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"evt-{number}",
        "source": "/provisioning/eu-1",
        "type": f"voip.{kind}.v1",
        "subject": "acct-zoe",
        "time": f"2026-03-01T09:00:{number:02}Z",
        "data": data,
    }


def mail(box: Postbox, number: int) -> Received:
    """The mail of that number; it is waited for."""
    until = time.monotonic() + 30
    while len(box.received) < number:
        assert time.monotonic() < until, f"mail {number} did not come"
        time.sleep(0.05)
    return box.received[number - 1]


@pytest.fixture
def people(sandbox: Door) -> Callable[[str], dict[str, Person]]:
    """Everybody of the story, at an address."""
    roles = {"press": "provisioning", "anna": "support", "ada": "approver", "otto": "auditor"}
    for who, role in roles.items():
        sandbox("access", "grant", who, role)
    sandbox("access", "grant", "zoe", "customer", "--account", "acct-zoe")
    sandbox("access", "grant", "mallory", "customer", "--account", "acct-mallory")
    keys = {who: sandbox("access", "key", "issue", who).strip() for who in (*roles, "zoe", "mallory")}

    def at(address: str) -> dict[str, Person]:
        numbers = count(1)
        http = httpx.Client(base_url=address, timeout=30, verify=False)
        return {who: Person(http, key, numbers) for who, key in keys.items()}

    return at


def test_from_registration_to_a_resolved_complaint_with_a_goodwill_credit(
    sandbox: Door, people: Callable[[str], dict[str, Person]], postbox: Postbox, pem: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    settings = {
        "MAKEGOOD_HTTP": "127.0.0.1:0",
        "MAKEGOOD_SMTP": postbox.url(),
        "MAKEGOOD_SMTP_CA": str(pem),
        "MAKEGOOD_MAIL_FROM": "Ruf <service@ruf.example>",
        "MAKEGOOD_PUBLIC_URL": "https://my.ruf.example",
    }
    with running(sandbox.store, **settings) as makegood:
        makegood.wait_for("ready")
        at = people(makegood.address)
        press, anna, ada, zoe = at["press"], at["anna"], at["ada"], at["zoe"]

        # Zoe pays before her registration is through; provisioning publishes what happened, in whichever order.
        invoice = {"invoice_id": "inv-1", "currency": "EUR"}
        press.publishes(
            upstream(3, "payment.captured", payment_id="pay-1", amount="35.64", method="card", **invoice),
            upstream(
                4,
                "cycle.started",
                subscription_id="sub-zoe",
                cycle_id="cyc-1",
                starts_on="2026-03-01",
                ends_on="2026-04-01",
                price="29.95",
                tax="5.69",
                prepaid=True,
                **invoice,
            ),
        )
        assert postbox.received == []
        credentials = {"username": "zoe.quux", "server": "sip.ruf.example", "secret_ref": f"file:{tmp_path}/secret"}
        customer = {"name": "Zoë Quux", "email": "zoe@example.com", "locale": "de-AT"}
        press.publishes(
            upstream(1, "account.registered", time_zone="Europe/Vienna", currency="EUR", customer=customer),
            upstream(
                2,
                "subscription.registered",
                subscription_id="sub-zoe",
                agreement="standard",
                plan="home",
                credentials=credentials,
            ),
        )

        # The activation comes, in her language; the link shows a button, and behind it the secret, once.
        activation = mail(postbox, 1)
        assert activation.to == ["zoe@example.com"]
        assert "zoe.quux" in activation.text
        assert SECRET.encode() not in activation.content
        (link,) = set(re.findall(r"https://my\.ruf\.example(/activate/[0-9a-f.]+)", activation.text))
        assert SECRET not in zoe.http.get(link).text
        assert SECRET in zoe.http.post(link).text
        assert zoe.http.post(link).status_code == 410

        # The line drops. She complains; nobody else sees that there is such an account.
        complaint = zoe.does(
            f"{ACCOUNT}/complaints",
            {"subscription_id": "sub-zoe", "category": "call quality", "description": "it drops every evening"},
        )["ids"]["complaint_id"]
        assert at["mallory"].looks(ACCOUNT).status_code == 404
        assert "Beschwerde" in mail(postbox, 2).text

        # Support works on it: a note, an outage that turns out to be minor, and a credit for her patience.
        (listed,) = anna.asks("/complaints?open=true")
        assert listed["complaint_id"] == complaint
        anna.does(f"{ACCOUNT}/complaints/{complaint}/notes", {"note": "rang her; the line drops at 19:30"})
        outage = anna.does(
            f"{ACCOUNT}/outages",
            {
                "subscription_id": "sub-zoe",
                "began_at": "2026-03-10T18:30:00Z",
                "reported_at": "2026-03-10T20:00:00Z",
                "severity": "minor",
                "cause": "provider",
                "complaint_id": complaint,
            },
        )["ids"]["outage_id"]
        version = anna.looks(ACCOUNT).headers["ETag"]
        proposal = {"amount": "10.00", "currency": "EUR", "subscription_id": "sub-zoe", "reason": "she was patient"}
        proposed = anna.does(f"{ACCOUNT}/complaints/{complaint}/goodwill", proposal, **{"If-Match": version})
        credit = proposed["ids"]["credit_id"]
        assert len(postbox.received) == 2  # a proposal promises her nothing

        # Who proposed it cannot approve it; another person looks at it as a preview, and approves.
        approve = f"{ACCOUNT}/goodwill/{credit}/approve"
        anna.does(approve, expect=403)
        (change,) = ada.does(f"{approve}?preview=true", expect=200)["changes"]
        assert (change["claim_id"], change["after"]["outcome"], change["after"]["amount"]) == (
            f"goodwill/{credit}",
            "granted",
            "10.00",
        )
        (decided,) = ada.does(approve)["decided"]
        assert (decided["outcome"], decided["amount"], decided["tax"]) == ("granted", "10.00", "0.00")
        assert "10,00 EUR" in mail(postbox, 3).text

        anna.does(f"{ACCOUNT}/complaints/{complaint}/resolve", {"resolution": "goodwill_granted"})
        assert complaint in mail(postbox, 4).text

        # Her next month comes, and the credit pays for a part of it; billing is told.
        press.publishes(
            upstream(
                5,
                "cycle.started",
                subscription_id="sub-zoe",
                cycle_id="cyc-2",
                starts_on="2026-04-01",
                ends_on="2026-05-01",
                price="29.95",
                tax="5.69",
                prepaid=True,
                currency="EUR",
                invoice_id="inv-2",
            )
        )
        anna.position = press.position
        (told,) = anna.asks("/instructions?kind=credit.applied")
        assert (told["data"]["amount"], told["data"]["invoice_id"], told["status"]) == ("10.00", "inv-2", "open")
        press.publishes(
            upstream(
                6,
                "payment.captured",
                payment_id=told["instruction_id"],
                amount="10.00",
                method="balance",
                currency="EUR",
                invoice_id="inv-2",
            )
        )

        # What she sees, and what the auditor finds.
        zoe.position = press.position
        account = zoe.asks(ACCOUNT)
        (balance,) = account["balances"]
        assert (balance["charged"], balance["captured"], balance["owed"]) == ("71.28", "35.64", "25.64")
        assert [(c["used"], c["left"]) for c in account["credits"]] == [("10.00", "0.00")]
        assert not {"goodwill", "alarms", "instructions"} & account.keys()

        otto = at["otto"]
        otto.position = press.position
        whole = otto.asks(f"{ACCOUNT}/complaints/{complaint}")
        assert (whole["status"], whole["resolution_code"]) == ("resolved", "goodwill_granted")
        assert [step["step"] for step in whole["steps"]] == ["opened", "noted", "linked", "resolved"]
        assert {(each["kind"], each["linked_id"]) for each in whole["links"]} == {
            ("outage", outage),
            ("goodwill", credit),
        }
        (granted,) = whole["goodwill"]
        assert (granted["proposed_by"], granted["decided_by"], granted["status"]) == ("anna", "ada", "approved")
        why = otto.asks(f"/explanations?id=goodwill/{credit}&account=acct-zoe")
        assert why["complaint_ids"] == [complaint]
        history = otto.asks(f"{ACCOUNT}/history?limit=1000")
        actors = {(entry["name"], entry["actor"], entry["channel"]) for entry in history}
        assert {
            ("AccountRegistered", "press", "http"),
            ("ComplaintOpened", "zoe", "http"),
            ("GoodwillProposed", "anna", "http"),
            ("GoodwillApproved", "ada", "http"),
            ("CredentialsCollected", "/makegood/activation", "link"),
        } <= actors
        assert [entry["version"] for entry in history] == list(range(1, len(history) + 1))
        (outstanding,) = (row for row in anna.asks("/instructions") if row["kind"] == "credit.applied")
        assert outstanding["status"] == "carried_out"

        assert makegood.end() == 0
        log = "\n".join(makegood.said)
        assert [word for word in (SECRET, "zoe@example.com", "Quux", "drops", anna.key, link) if word in log] == []
    assert len(postbox.received) == 4
