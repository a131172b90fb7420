"""The terminal view of an explanation."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from ledger.events import PartStatus
from ledger.events.settlement import SettlementReason
from makegood.answers.explanation_types import (
    ClaimState,
    Explanation,
    ExplanationStep,
    RefundCourse,
    RefundStepKind,
    RetractedFact,
    Settled,
    SettlementStep,
    StandingFact,
)
from makegood.commands.terminal.printing import people, shown
from makegood.commands.terminal.visible_text import Text


def show_explanation(found: Explanation) -> None:
    """Print an explanation."""
    console = people()

    def line(label: str, text: str) -> None:
        console.print(Text.of((f"  {label:<11}", "bold"), text), soft_wrap=True)

    if found["claim_id"] is not None:
        console.print(
            Text(f"{found['claim_id']} of account {found['account_id']}: {outcome_in_words(found)}", "bold")
        )
        line("clause", f"{found['clause']}; {found['policy']}")
    else:
        console.print(Text(f"{found['id']} of account {found['account_id']}", "bold"))
        line("policy", found["policy"])
    if found["agreement"] is not None:
        terms = found["agreement"]
        line("agreement", f"{terms['agreement']} version {terms['version']} (SHA-256 {terms['sha256'][:16]}…)")
    if found["charge_id"] is not None:
        line("charge", _charge_in_words(found))
    if found["complaint_ids"]:
        line("complaints", ", ".join(found["complaint_ids"]))
    if found["formula"]:
        line("formula", found["formula"])
    for number, text in enumerate(found["working"]):
        line("" if number else "working", text)
    for number, part in enumerate(found["claim"]["settled"] if found["claim"] is not None else ()):
        line("" if number else "settled", _part_in_words(part))
    refunds = (said for refund in found["refunds"] for said in _refund_in_words(refund, found["currency"]))
    for number, said in enumerate(refunds):
        line("" if number else "refunds", said)
    for number, use in enumerate(found["applied"]):
        words = f"{use['amount']} {found['currency']} of {use['credit_id']} for {use['charge_id']}"
        line(
            "" if number else "applied",
            f"{words} on {use['invoice_id']} ({shown(use['recorded_at'])}, {use['position']})",
        )
    for number, back in enumerate(found["recovered"]):
        words = f"{back['amount']} {found['currency']} of {back['credit_id']} for overpaid {back['claim_id']}"
        line("" if number else "recovered", f"{words} ({shown(back['recorded_at'])}, {back['position']})")
    for number, fact in enumerate(found["facts"]):
        said = f"{fact['id']} from {fact['source']}, " if "id" in fact else ""
        words = f" “{shown(fact['words'])}”" if fact.get("words") else ""
        line(
            "" if number else "facts",
            f"{fact['type']} at {shown(fact['occurred_at'])} ({said}{fact['position']}){words}",
        )
    for number, gone in enumerate(found["retracted"]):
        line("" if number else "retracted", _retraction_in_words(gone))
    for left_out in found["left_out"]:
        why = _BECAUSE.get(left_out["because"], left_out["because"])
        line("left out", f"{_fact_in_words(left_out)} since {shown(left_out['since'])}: {why}")
        line("stands", _fact_in_words(left_out["stands"]))
    for number, step in enumerate(found["steps"]):
        line("" if number else "steps", _step_in_words(step, found["currency"]))
    for number, change in enumerate(found["settlements"]):
        line("" if number else "settling", _settlement_in_words(change))
    for number, decision in enumerate(found.get("decisions", ())):
        words = f" “{shown(decision['words'])}”" if decision["words"] else ""
        said = f"{shown(decision['recorded_at'])} {decision['summary']} ({decision['position']}){words}"
        line("" if number else "decisions", said)


def _retraction_in_words(fact: RetractedFact) -> str:
    by = fact["retracted_by"]
    words = f" “{shown(fact['words'])}”" if fact.get("words") else ""
    return (
        f"{fact['type']} ({fact['id']} from {fact['source']}, {fact['position']}) was retracted by "
        f"{by['id']} at {shown(by['recorded_at'])} ({by['position']}){words}"
    )


def _fact_in_words(fact: StandingFact) -> str:
    return f"{fact['summary']} ({fact['id']} from {fact['source']}, {fact['position']})"


_BECAUSE = {
    "contradiction": "another fact contradicts it",
    "decided_by_proposer": "it is a verdict on a proposal of the same person",
}


def _refund_in_words(refund: RefundCourse, currency: str) -> Iterator[str]:
    for step in refund["steps"]:
        amount = f"{step['amount']} {currency} " if step["amount"] is not None else ""
        reference = f", reference {step['processor_reference']}" if step["processor_reference"] is not None else ""
        by = f" by {step['approved_by']}" if "approved_by" in step else ""
        what = f"{_STEPS[step['what']]} {shown(step['at'])}{by}{reference}"
        yield f"{refund['refund_id']}: {amount}{what} ({step['position']})"


_STEPS: dict[RefundStepKind, str] = {
    "due": "due since",
    "changed": "from",
    "approved": "approved at",
    "rejected": "rejected at",
    "submitted": "submitted at",
    "succeeded": "paid out at",
    "failed": "failed at",
    "set off": "set off at",
    "no longer due": "no longer due since",
}


def _charge_in_words(found: Explanation) -> str:
    charge = found["charge"]
    if charge is None:
        return str(found["charge_id"])
    dates = f", {charge['starts_on']} until {charge['ends_on']}" if "starts_on" in charge else ""
    return f"{found['charge_id']}: {charge['price']} and {charge['tax']} tax{dates}, on {charge['invoice_id']}"


def _part_in_words(part: Settled) -> str:
    into = part["into"]
    net, tax = part["net"].removeprefix("-"), part["tax"].removeprefix("-")
    if into == "overpaid":
        return f"overpaid: {net} and {tax} tax were paid out and are no longer owed"
    if into == "recovered":
        return f"recovered: {net} and {tax} tax that were overpaid, from later credits"
    if into == "written_off":
        return f"written off: {net} and {tax} tax that were overpaid"
    if into == "offset" and Decimal(part["net"]) + Decimal(part["tax"]) < 0:
        return f"set off: {net} and {tax} tax paid out in excess, against the rest of the invoice"
    if into == "offset":
        return f"set off: {net} and {tax} tax, against an excess payout for another claim of the invoice"
    if into == "correction":
        return f"correction: {part['net']} net and {part['tax']} tax, which cancel out"
    said = _PART_STATUSES[part["status"]]
    return f"{into.replace('_', ' ')} {part['id']}: {part['net']} and {part['tax']} tax{said}"


_PART_STATUSES: dict[PartStatus, str] = {
    "open": "",
    "gone_out": ", paid out or used",
    "failed": ", failed and owed again",
    "rejected": ", rejected",
}
_REASONS_IN_WORDS: dict[SettlementReason, str] = {
    "charged": "the charges of the invoice changed",
    "paid": "the payments of the invoice changed",
    "claimed": "a claim changed",
    "gone_out": "a refund or credit was paid out, used or returned",
    "rested": "the hold of the excess ended",
    "decided": "a person decided about a refund or an overpaid amount",
    "rules": "settled again by newer rules",
}


def _settlement_in_words(change: SettlementStep) -> str:
    why = ", ".join(_REASONS_IN_WORDS[reason] for reason in change["reasons"]) or "settled again"
    parts = "; ".join(_part_in_words(part) for part in change["after"]) or "no settled parts"
    return f"{shown(change['recorded_at'])} {why}: {parts} (after {change['cause']}, {change['position']})"


def outcome_in_words(found: Explanation) -> str:
    """A claim's outcome with its amounts, in a line."""
    return state_in_words(found["claim"], found["currency"])


def state_in_words(claim: ClaimState | None, currency: str | None) -> str:
    """A claim row in a line."""
    if claim is None:
        return "no claim"
    if claim["outcome"] == "granted":
        return f"granted {claim['amount']} {currency} net and {claim['tax']} tax"
    return f"{claim['outcome']}{', ' + claim['reason'] if claim['reason'] else ''}"


def _step_in_words(step: ExplanationStep, currency: str) -> str:
    stands = state_in_words(step["after"], currency)
    formula = f" ({step['formula']})" if step["formula"] else ""
    return (
        f"{shown(step['recorded_at'])} {step['change']}: {stands}{formula}, after {step['cause']} "
        f"(assessed at {shown(step['now'])}, {step['position']}, by {step['actor']})"
    )
