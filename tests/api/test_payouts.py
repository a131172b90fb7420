"""Refunds, credits and overpaid claims over HTTP: who decides what, by what they saw, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

from ledger.application.access import grant, issue_key
from ledger.application.acts import By
from ledger.application.due_work import do_due_work
from ledger.application.payouts import submit_approved
from ledger.events import Grant
from tests.api.desk import Desk
from tests.ledger.books import LONG_AFTER
from tests.ledger.messages import Upstream

CLAIM = "billing-error/dis-1"
REFUND = f"refund/{CLAIM}/1"
CREDIT = f"credit/{CLAIM}/1"


def path(kind: str, id_: str, act: str, account: str = "acct-1") -> str:
    return f"/accounts/{account}/{kind}/{quote(id_, safe='')}/{act}"


def says(desk: Desk, *messages: dict[str, Any]) -> None:
    taken = desk.books.take(messages)
    assert taken.refused == []
    desk.house.projections.catch_up()


def overcharged(desk: Desk, amount: str = "10.00", **more: Any) -> Upstream:
    """A one-off charge of 100.00 that was paid by card, of which so much is refunded."""
    up = Upstream(source="/more")
    charged = up.charge_posted("chg-1", price="100.00"), up.payment_captured("inv-chg-1", "100.00")
    says(desk, *charged, up.overcharge_confirmed("dis-1", "chg-1", amount=amount, **{"settle_as": "refund"} | more))
    return up


def row(desk: Desk, who: str = "felix", of: str = "refunds", id_: str = REFUND) -> dict[str, Any]:
    desk.house.projections.catch_up()
    name = {"refunds": "refund_id", "credits": "credit_id", "overpaid": "claim_id"}[of]
    [found] = [each for each in desk.get(who, f"/{of}").json() if each[name] == id_]
    return found


def approve(desk: Desk, key: str, who: str = "ada", **body: Any) -> Any:
    asked = {"seen": row(desk)["proposal"]} | body
    return desk.post(who, path("refunds", REFUND, "approve"), asked, key=key)


class TestApproval:
    def test_what_was_seen_is_approved_once_and_goes_out(self, desk: Desk) -> None:
        overcharged(desk)
        due = row(desk)
        assert (due["status"], due["waits_for"]) == ("due", "approval")
        first = approve(desk, "k-1", seen=due["proposal"])
        assert first.status_code == 201, first.text
        assert first.json()["ids"] == {"refund_id": REFUND}
        [stands] = first.json()["decided"]
        assert (stands["refund_id"], stands["status"], stands["amount"]) == (REFUND, "approved", "10.00")
        assert approve(desk, "k-1", seen=due["proposal"]).content == first.content
        assert len(desk.facts()) == 1

        again = approve(desk, "k-2", seen=due["proposal"])
        assert again.status_code == 409
        assert "is approved already" in again.json()["detail"]
        assert row(desk)["approved_by"] == "ada"
        assert submit_approved(desk.books.ledger) == 1
        out = row(desk)
        assert (out["status"], [each["payment_id"] for each in out["returns"]]) == ("submitted", ["pay-inv-chg-1"])

    def test_what_changed_since_it_was_seen_is_told_and_not_approved(self, desk: Desk) -> None:
        up = overcharged(desk)
        seen = row(desk)["proposal"]
        says(desk, up.overcharge_confirmed("dis-1", "chg-1", amount="4.00", time="2026-02-01T00:00:00Z"))
        refused = approve(desk, "k-1", seen=seen)
        assert refused.status_code == 409
        detail = refused.json()["detail"]
        assert "it is 4.00 EUR" in detail
        assert "Seen was 10.00 EUR" in detail
        assert row(desk)["proposal"] in detail
        assert desk.facts() == []
        assert approve(desk, "k-1").status_code == 201, "a key that was refused is not used up"

    def test_a_hash_of_nothing_is_told_apart(self, quick_desk: Desk) -> None:
        overcharged(quick_desk)
        refused = approve(quick_desk, "k-1", seen="0" * 64)
        assert "of no event of account acct-1" in refused.json()["detail"]
        malformed = approve(quick_desk, "k-2", seen="X")
        assert [error["field"] for error in malformed.json()["errors"]] == ["seen"]

    def test_nobody_approves_what_came_from_their_own_act(self, desk: Desk) -> None:
        """Four eyes: `gina` has both roles, and confirmed the overcharge herself."""
        by = By("the first one here", "cli")
        grant(desk.books.ledger, Grant(principal="gina", role="finance", account_id=None), by)
        grant(desk.books.ledger, Grant(principal="gina", role="approver", account_id=None), by)
        desk.secrets["gina"] = issue_key(desk.books.ledger, "gina", by).text
        says(desk, Upstream(source="/more").billing_error_reported("dis-1", "cyc-1"))
        body = {"charge_id": "cyc-1", "amount": "3.00", "currency": "EUR", "settle_as": "refund"}
        confirmed = desk.post("gina", "/accounts/acct-1/disputes/dis-1/confirm", body, key="k-1")
        assert confirmed.status_code == 201
        refused = approve(desk, "k-2", "gina")
        assert refused.status_code == 409
        assert "another person must approve it" in refused.json()["detail"]
        assert approve(desk, "k-3", "ada").status_code == 201

    def test_the_account_may_be_insisted_on_as_it_was_read(self, quick_desk: Desk) -> None:
        overcharged(quick_desk)
        seen = {"seen": row(quick_desk)["proposal"]}
        etag = quick_desk.get("ada", "/accounts/acct-1").headers["ETag"]
        says(quick_desk, Upstream(source="/others").complaint_opened("com-9"))
        stale = quick_desk.post(
            "ada", path("refunds", REFUND, "approve"), seen, key="k-1", headers={"If-Match": etag}
        )
        assert stale.status_code == 412

    def test_a_preview_says_what_would_become_of_it_and_records_nothing(self, quick_desk: Desk) -> None:
        overcharged(quick_desk)
        content = quick_desk.books.content()
        seen = {"seen": row(quick_desk)["proposal"]}
        previewed = quick_desk.post("ada", path("refunds", REFUND, "approve?preview=true"), seen)
        assert previewed.status_code == 200
        [said] = previewed.json()["unchanged_because"]
        assert "changed to approved" in said
        assert quick_desk.books.content() == content


class TestRejection:
    def test_it_stays_listed_and_is_no_debt_until_its_amount_changes(self, desk: Desk) -> None:
        up = overcharged(desk)
        rejected = desk.post("ada", path("refunds", REFUND, "reject"), {"reason": "paid by hand"}, key="k-1")
        assert rejected.status_code == 201, rejected.text
        assert row(desk)["status"] == "rejected"
        assert desk.said_in(desk.facts()[0]) == {"reason": "paid by hand"}
        assert desk.get("ada", "/accounts/acct-1").json()["balances"][0]["refund_due"] == "0.00"
        explained = desk.get("otto", f"/explanations?id={REFUND}").json()
        assert [(each["decided_by"], each["words"]) for each in explained["decisions"]] == [("ada", "paid by hand")]
        assert "decisions" not in desk.get("zoe", f"/explanations?id={REFUND}").json()
        says(desk, up.overcharge_confirmed("dis-1", "chg-1", amount="12.00", time="2026-02-01T00:00:00Z"))
        assert (row(desk)["status"], row(desk)["total"]) == ("due", "12.00")

    def test_only_what_was_seen_where_somebody_says_so(self, quick_desk: Desk) -> None:
        overcharged(quick_desk)
        body = {"reason": "no", "seen": "0" * 64}
        refused = quick_desk.post("ada", path("refunds", REFUND, "reject"), body, key="k-1")
        assert refused.status_code == 409
        assert row(quick_desk)["status"] == "due"


def failed(desk: Desk) -> Upstream:
    """A refund that was approved and submitted, and failed."""
    up = overcharged(desk)
    assert approve(desk, "approve").status_code == 201
    submit_approved(desk.books.ledger)
    says(desk, up.refund_failed(REFUND))
    assert (row(desk)["status"], row(desk)["waits_for"]) == ("failed", "a retry")
    return up


class TestFailures:
    def test_it_is_submitted_again(self, desk: Desk) -> None:
        up = failed(desk)
        assert desk.post("felix", path("refunds", REFUND, "retry"), key="k-1").status_code == 201
        assert submit_approved(desk.books.ledger) == 1
        says(desk, up.refund_succeeded(REFUND))
        arrived = row(desk)
        assert (arrived["status"], arrived["processor_reference"]) == ("succeeded", "psp-77")
        course = desk.get("otto", f"/explanations?id={REFUND}").json()["refunds"][0]
        assert (course["status"], [step["what"] for step in course["steps"]]) == (
            "succeeded",
            ["due", "approved", "submitted", "failed", "approved", "submitted", "succeeded"],
        )
        assert {step.get("approved_by") for step in course["steps"]} == {None, "ada"}
        told = desk.get("zoe", f"/explanations?id={REFUND}").text
        assert "ada" not in told

    def test_it_becomes_a_credit(self, desk: Desk) -> None:
        failed(desk)
        turned = desk.post("felix", path("refunds", REFUND, "to-credit"), key="k-1")
        assert turned.status_code == 201, turned.text
        desk.house.projections.catch_up()
        assert desk.get("felix", "/refunds").json() == []
        assert row(desk, of="credits", id_=CREDIT)["left"] == "10.00"

    def test_what_did_not_fail_is_neither(self, quick_desk: Desk) -> None:
        overcharged(quick_desk)
        for act, what in (("retry", "retried"), ("to-credit", "turned into credit")):
            refused = quick_desk.post("felix", path("refunds", REFUND, act), key=f"k-{act}")
            assert refused.status_code == 409
            assert f"cannot be {what}: it is due" in refused.json()["detail"]


class TestCredits:
    def test_what_is_left_after_the_last_subscription_is_refunded(self, desk: Desk) -> None:
        up = overcharged(desk, settle_as="credit")
        early = desk.post("felix", path("credits", CREDIT, "refund"), key="k-1")
        assert early.status_code == 409
        assert "once the last subscription has ended" in early.json()["detail"]

        says(desk, up.subscription_terminated(terminated_at="2026-03-10T00:00:00Z"))
        [dormant] = desk.get("felix", "/credits/dormant").json()
        assert (dormant["credit_id"], dormant["left"]) == (CREDIT, "10.00")
        asked = desk.post("felix", path("credits", CREDIT, "refund"), key="k-2")
        assert asked.status_code == 201, asked.text
        refund_id = asked.json()["ids"]["refund_id"]
        assert refund_id == f"refund/{CREDIT}/1"
        due = row(desk, id_=refund_id)
        assert (due["status"], due["credit_id"], due["total"]) == ("due", CREDIT, "10.00")
        body = {"seen": due["proposal"]}
        assert desk.post("ada", path("refunds", refund_id, "approve"), body, key="k-3").status_code == 201
        assert submit_approved(desk.books.ledger) == 1
        says(desk, up.refund_succeeded(refund_id))
        credit = row(desk, of="credits", id_=CREDIT)
        assert (credit["refunded"], credit["left"], credit["dormant_since"]) == ("10.00", "0.00", None)
        told = desk.get("otto", f"/explanations?id={quote(refund_id)}").json()
        assert [course["refund_id"] for course in told["refunds"]] == [refund_id]
        assert told["claim_id"] == CLAIM

    def test_the_excess_of_an_invoice_likewise(self, quick_desk: Desk) -> None:
        desk, up = quick_desk, Upstream(source="/more")
        says(desk, up.charge_posted("chg-1", price="10.00"), up.payment_captured("inv-chg-1", "14.00"))
        says(desk, up.subscription_terminated(terminated_at="2026-03-10T00:00:00Z"))
        desk.books.clock.at = LONG_AFTER + timedelta(days=2)  # the account was opened long after
        do_due_work(desk.books.ledger, desk.books.clock.at)
        desk.house.projections.catch_up()
        asked = desk.post("felix", path("credits", "excess/inv-chg-1", "refund"), key="k-1")
        assert asked.status_code == 201, asked.text
        refund_id = "refund/excess/inv-chg-1/1"
        assert row(desk, id_=refund_id)["claim_id"] is None
        told = desk.get("otto", f"/explanations?id={refund_id}").json()
        assert (told["id"], told["claim_id"]) == (refund_id, None)
        assert [(each["refund_id"], each["status"]) for each in told["refunds"]] == [(refund_id, "due")]
        assert [each["decided_by"] for each in told["decisions"]] == ["felix"]


def overpaid(desk: Desk) -> Upstream:
    """6.00 too much went out."""
    up = overcharged(desk)
    assert approve(desk, "approve").status_code == 201
    submit_approved(desk.books.ledger)
    says(desk, up.overcharge_confirmed("dis-1", "chg-1", amount="4.00", time="2026-02-01T00:00:00Z"))
    return up


class TestOverpaid:
    def test_it_is_listed_with_what_went_out_and_written_off(self, desk: Desk) -> None:
        overpaid(desk)
        listed = row(desk, of="overpaid", id_=CLAIM)
        assert (listed["overpaid"], listed["recovery_ordered_at"]) == ("6.00", None)
        assert listed["went_out"] == [{"into": "refund", "id": REFUND, "amount": "10.00"}]
        assert desk.get("anna", "/overpaid").status_code == 403
        written = desk.post("felix", path("overpaid", CLAIM, "write-off"), {"reason": "too small"}, key="k-1")
        assert written.status_code == 201, written.text
        desk.house.projections.catch_up()
        assert desk.get("felix", "/overpaid").json() == []
        again = desk.post("felix", path("overpaid", CLAIM, "write-off"), {"reason": "too small"}, key="k-2")
        assert again.status_code == 404
        assert "GET /refunds, /credits and /overpaid list them" in again.json()["detail"]

    def test_it_is_recovered_from_the_next_credits(self, desk: Desk) -> None:
        up = overpaid(desk)
        ordered = desk.post("felix", path("overpaid", CLAIM, "recover"), {"reason": "as agreed"}, key="k-1")
        assert ordered.status_code == 201, ordered.text
        assert row(desk, of="overpaid", id_=CLAIM)["recovery_ordered_by"] == "felix"
        says(
            desk,
            up.payment_captured("inv-chg-2", "50.00"),
            up.charge_posted("chg-2", price="50.00"),
            up.overcharge_confirmed("dis-2", "chg-2", amount="4.00", settle_as="credit"),
        )
        left = row(desk, of="overpaid", id_=CLAIM)
        assert (left["overpaid"], left["recovered"]) == ("2.00", "4.00")
        credit = row(desk, of="credits", id_="credit/billing-error/dis-2/1")
        assert [(each["claim_id"], each["amount"]) for each in credit["recovered"]] == [(CLAIM, "4.00")]
        told = desk.get("otto", f"/explanations?id={CLAIM}").json()
        assert [(each["credit_id"], each["amount"]) for each in told["recovered"]] == [
            ("credit/billing-error/dis-2/1", "4.00")
        ]
        own = desk.get("zoe", "/credits").json()
        assert credit in own


class TestCustomers:
    def test_they_see_how_their_refunds_stand_and_not_who_decided(self, quick_desk: Desk) -> None:
        overpaid(quick_desk)
        quick_desk.house.projections.catch_up()
        [own] = quick_desk.get("zoe", "/refunds").json()
        assert own["status"] == "submitted"
        assert [each["status"] for each in own["returns"]] == ["submitted"]
        assert {"approved_by", "proposal", "waits_for"} & own.keys() == set()
        for kind, id_, act in (("refunds", REFUND, "retry"), ("credits", CREDIT, "refund")):
            assert quick_desk.post("zoe", path(kind, id_, act), key="k-1").status_code == 403
        assert quick_desk.get("zoe", "/overpaid").status_code == 403


class TestWhoMay:
    def test_finance_approves_nothing_and_an_approver_retries_nothing(self, quick_desk: Desk) -> None:
        failed(quick_desk)
        assert approve(quick_desk, "k-1", "felix").status_code == 403
        assert quick_desk.post("ada", path("refunds", REFUND, "retry"), key="k-1").status_code == 403

    def test_what_is_not_there_is_not_found(self, quick_desk: Desk) -> None:
        for account, id_ in (("acct-1", "refund/nothing/1"), ("acct-2", REFUND), ("acct-9", REFUND)):
            overcharged(quick_desk) if account == "acct-2" else None
            missing = quick_desk.post("felix", path("refunds", id_, "retry", account), key="k-1")
            assert missing.status_code == 404
