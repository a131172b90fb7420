"""`makegood instructions` as provisioning and billing meet it."""

from collections.abc import Callable

from tests.door.conftest import Door
from tests.ledger.messages import Upstream


def test_they_are_open_until_they_are_answered(sandbox: Door, lines: Callable[..., str]) -> None:
    upstream = Upstream()
    sandbox("advance", "2026-03-20T00:00:00Z")
    nothing = sandbox("instructions")
    assert "no instructions" in nothing
    assert "makegood claims" in nothing
    cancelled = upstream.cancellation_requested(requested_at="2026-03-19T12:00:00Z")
    sandbox("ingest", lines(*upstream.customer()[:3], upstream.overcharge_confirmed(), cancelled))

    reduced = next(
        each
        for each in sandbox.json("instructions", "--kind", "invoice.reduced")
        if each["data"]["claim_id"] == "billing-error/dis-1"
    )
    [scheduled] = sandbox.json("instructions", "--open", "--account", "acct-1", "--kind", "cancellation.scheduled")
    assert reduced["data"]["total"] == "10.00"
    assert scheduled["data"] == {"subscription_id": "sub-1", "effective_on": "2026-04-01"}
    assert (scheduled["status"], scheduled["age_seconds"]) == ("open", 0)
    said = sandbox("instructions")
    assert "end sub-1 on 2026-04-01" in said
    assert "reduce inv-cyc-1 by 10.00 EUR for billing-error/dis-1" in said
    assert "end sub-1 on 2026-04-01" in sandbox("account", "acct-1")
    assert "makegood instructions --open" in sandbox("status")

    sandbox("advance", "2026-03-21T00:00:00Z")
    others = [each for each in sandbox.json("instructions") if each["instruction_id"] != reduced["instruction_id"]]
    done = [upstream.instruction_carried_out(each["instruction_id"]) for each in others]
    sandbox("ingest", lines(*done, upstream.instruction_refused(scheduled["instruction_id"])))
    [still_open] = sandbox.json("instructions", "--open")
    assert (still_open["instruction_id"], still_open["age_seconds"]) == (reduced["instruction_id"], 86_400)
    answered = {each["instruction_id"]: each["status"] for each in sandbox.json("instructions")}
    assert answered[scheduled["instruction_id"]] == "refused"
    sandbox("ingest", lines(upstream.instruction_carried_out(reduced["instruction_id"])))
    assert sandbox("instructions", "--open").strip() == "no open instructions"
    assert sandbox.json("account", "acct-1")["instructions"] == []
    assert sandbox.json("waiting") == []


def test_a_kind_that_there_is_not_is_told_with_those_that_there_are(sandbox: Door) -> None:
    sandbox("instructions", "--kind", "invoice.cancelled", exits=64)
    assert "cancellation.scheduled, cancellation.withdrawn, invoice.reduced, credit.applied" in sandbox.errors
