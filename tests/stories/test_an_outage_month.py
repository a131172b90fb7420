"""A month with an outage: the agreement lets small refunds go by themselves, once they have rested for a day."""

from __future__ import annotations

from pathlib import Path

from tests.stories.conftest import Finance

AGREEMENT = """
name = "outages-refunded"
version = 1
valid_from = 2000-01-01

[disruption]
settle_as = "refund"

[approval.automatic_up_to]
EUR = "5.00"
"""


def test_two_days_of_march(finance: Finance, tmp_path: Path) -> None:
    says, door = finance.customer, finance.door
    file = tmp_path / "outages.toml"
    file.write_text(AGREEMENT)
    door("agreement", "publish", str(file))
    finance.hears(
        says.account_registered(),
        says.subscription_registered(agreement="outages-refunded"),
        says.cycle_started(starts_on="2026-03-01", ends_on="2026-04-01", price="31.00"),
        says.payment_captured(payment_id="visa"),
        says.outage_reported(began_at="2026-03-10T00:00:00Z"),
        says.outage_resolved(resolved_at="2026-03-12T00:00:00Z"),
    )
    refund_id = "refund/disruption/cyc-1/1"
    assert finance.statuses() == {refund_id: ("due", "2.07")}
    assert finance.pays_out() == []

    finance.waits_until("2026-04-02T08:59:59Z")
    assert finance.statuses()[refund_id][0] == "due"
    finance.waits_until("2026-04-02T09:00:00Z")
    assert finance.statuses()[refund_id][0] == "approved"
    assert finance.refund(refund_id)["approved_by"] == "agreement outages-refunded v1"
    [request] = finance.pays_out()
    finance.hears(says.refund_succeeded(request["returns"][0]["return_id"], processor_reference="v-1"))
    refund = finance.refund(refund_id)
    assert (refund["status"], refund["processor_reference"]) == ("succeeded", "v-1")
    explained = door("explain", refund_id, "--account", "acct-1")
    assert "31.00 × 2" in explained
    finance.is_in_order()
