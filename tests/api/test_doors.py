"""What people do by pages counts as what they do over HTTP: the same rules, keys and second persons at every door."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from ledger.application.access import grant, issue_key
from ledger.application.acts import By
from ledger.events import BY_PEOPLE, Grant
from makegood.access.caller import Caller
from makegood.access.permissions import Action, may
from makegood.acts.acting import Acting, ActRequest, Channel, spelt
from makegood.acts.disputes import ConfirmDispute, confirm_dispute
from makegood.acts.outages import ReportOutage, report_outage
from makegood.acts.refunds import ApproveRefund, approve_refund
from makegood.acts.refused import KEY, ActRefused
from projections.access import roles_of
from projections.asking import UnknownAccount
from tests.api.desk import Desk
from tests.ledger.messages import Upstream

PAGES: tuple[Channel, ...] = ("console", "portal")
CONFIRMED = {"charge_id": "cyc-1", "amount": "3.00", "currency": "EUR", "settle_as": "refund"}
REFUND = "refund/billing-error/dis-1/1"


def acting(desk: Desk, who: str, action: Action, channel: Channel = "console", account: str = "acct-1") -> Acting:
    """Somebody who may do the action, at a page."""
    roles = tuple(roles_of(desk.house.database, who))
    scope = may(action, roles)
    assert scope is not None
    return Acting(desk.house, Caller(who, roles, scope), account, channel, lambda: desk.woken.append(None))


def form(key: str | None, path: str = "/console/form", **fields: Any) -> ActRequest:
    return ActRequest(key, spelt("POST", path, fields))


def disputed(desk: Desk) -> None:
    """A dispute, and `gina`, who is of finance and approves too."""
    by = By("the first one here", "cli")
    grant(desk.books.ledger, Grant(principal="gina", role="finance", account_id=None), by)
    grant(desk.books.ledger, Grant(principal="gina", role="approver", account_id=None), by)
    desk.secrets["gina"] = issue_key(desk.books.ledger, "gina", by).text
    desk.books.take([Upstream(source="/more").billing_error_reported("dis-1", "cyc-1")])
    desk.house.projections.catch_up()


def proposal(desk: Desk) -> str:
    desk.house.projections.catch_up()
    [refund] = [each for each in desk.get("felix", "/refunds").json() if each["refund_id"] == REFUND]
    return str(refund["proposal"])


def test_every_door_is_one_by_which_people_act() -> None:
    """Of these are who may not be the second person, and the acts that a restored ledger tells as lost."""
    assert {*get_args(Channel)} < BY_PEOPLE


@pytest.mark.parametrize("channel", PAGES)
def test_nobody_approves_by_any_door_what_came_from_their_own_act_at_a_page(desk: Desk, channel: Channel) -> None:
    disputed(desk)
    say = confirm_dispute("dis-1", ConfirmDispute.model_validate(CONFIRMED))
    done = acting(desk, "gina", "dispute.confirm", channel).carry_out(say, form("k-1"))
    assert done.ids == {"dispute_id": "dis-1", "charge_id": "cyc-1"}
    seen = proposal(desk)

    over_http = desk.post(
        "gina", f"/accounts/acct-1/refunds/{REFUND.replace('/', '%2F')}/approve", {"seen": seen}, key="k-2"
    )
    assert over_http.status_code == 409
    assert "another person must approve it" in over_http.json()["detail"]
    approving = approve_refund(REFUND, ApproveRefund(seen=seen))
    with pytest.raises(ActRefused, match="another person must approve it") as refused:
        acting(desk, "gina", "refund.decide").carry_out(approving, form("k-3"))
    assert refused.value.why == "conflict"
    second = acting(desk, "ada", "refund.decide").carry_out(approving, form("k-3"))
    assert [each.status for each in second.decided] == ["approved"]


def test_what_is_recorded_says_who_did_it_and_by_which_door(desk: Desk) -> None:
    """The message has the same source as one over HTTP, so that a key is one request at whatever door."""
    asked = {"subscription_id": "sub-1", "began_at": "2026-03-14T08:00:00Z", "severity": "significant"}
    say = report_outage(ReportOutage.model_validate(asked))
    by, request = acting(desk, "anna", "outage.report"), form("k-1", **asked)

    previewed = by.preview(say, request)
    assert previewed["accepted"] == 1
    assert desk.woken == []
    done = by.carry_out(say, request)
    assert desk.woken == [None]
    [fact] = [each for each in desk.books.stored("acct-1") if each["event_id"] == done.event_id]
    assert (fact["channel"], fact["actor"]) == ("console", "anna")
    assert fact["data"]["message"] | {"time": ""} == {"source": "/makegood/http", "id": "k-1/anna", "time": ""}

    assert by.carry_out(say, request) == done, "sent again, it is answered alike"
    assert desk.woken == [None]
    over_http = desk.post("anna", "/accounts/acct-1/outages", asked, key="k-1")
    assert [error["field"] for error in over_http.json()["errors"]] == [KEY], "the key was used for a form"
    with pytest.raises(ActRefused) as refused:
        by.carry_out(say, form("k-1", **asked | {"severity": "minor"}))
    assert (refused.value.why, [error.field for error in refused.value.errors]) == ("invalid", [KEY])


def test_a_wrong_field_is_named_as_it_is_named_in_what_was_asked(quick_desk: Desk) -> None:
    unknown = {"subscription_id": "sub-9", "began_at": "2026-03-14T08:00:00Z", "severity": "significant"}
    say = report_outage(ReportOutage.model_validate(unknown))
    with pytest.raises(ActRefused) as refused:
        acting(quick_desk, "anna", "outage.report").preview(say, form(None))
    assert (refused.value.why, [error.field for error in refused.value.errors]) == ("invalid", ["subscription_id"])


def test_an_account_that_has_moved_on_since_it_was_seen_is_not_acted_on(quick_desk: Desk) -> None:
    disputed(quick_desk)
    say = confirm_dispute("dis-1", ConfirmDispute.model_validate(CONFIRMED))
    stale = ActRequest("k-1", spelt("POST", "/console/form", CONFIRMED), expects=lambda: 1)
    with pytest.raises(ActRefused) as refused:
        acting(quick_desk, "gina", "dispute.confirm").carry_out(say, stale)
    assert refused.value.why == "changed"


def test_nobody_acts_on_an_account_that_is_not_theirs_or_not_there(quick_desk: Desk) -> None:
    acting(quick_desk, "zoe", "outage.report", "portal")
    with pytest.raises(UnknownAccount):
        acting(quick_desk, "mallory", "outage.report", "portal")
    for account in ("acct-9", "system"):
        with pytest.raises((ActRefused, UnknownAccount)):
            acting(quick_desk, "anna", "outage.report", account=account)
