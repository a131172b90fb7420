"""Why an amount is what it is, in sentences for the customer it belongs to: the formula's numbers, and no terms of
ours. Everything is told from what was recorded with the decision; nothing is worked out here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, cast

from ledger.events import Clause
from ledger.events.billing_account import Reason
from makegood.answers.explanation_types import ClaimState, Explanation, FactUsed, Settled
from makegood.pages.portal.here import Here
from makegood.pages.portal.words.texts import Fact, PortalWords


@dataclass(frozen=True, slots=True)
class Told:
    """What was decided of a claim, in sentences."""

    sentence: str
    more: Sequence[str]
    """The numbers that it follows from, and the tax in it."""
    formula: str | None
    total: str
    parts: Sequence[tuple[str, str]] = ()
    """How it is made good: a sentence for each part, and how it stands."""


def told_of(
    here: Here,
    clause: Clause | Literal["excess"],
    currency: str,
    state: ClaimState | None,
    inputs: Mapping[str, str],
    formula: str | None,
) -> Told:
    """A claim in sentences, as it stands or as it would."""
    words = here.words
    if state is None:
        return Told(words.fell_away, (), None, "0")
    total = str(Decimal(state["amount"]) + Decimal(state["tax"]))
    return Told(
        sentence=_sentence(here, clause, currency, state, total),
        more=tuple(_more(here, clause, currency, state, inputs, formula or "")),
        formula=formula_in(words, formula) if state["outcome"] == "granted" or formula else None,
        total=total,
        parts=parts_told(here, state["settled"], currency),
    )


def _sentence(here: Here, clause: Clause | Literal["excess"], currency: str, state: ClaimState, total: str) -> str:
    words = here.words
    match state["outcome"]:
        case "granted":
            return words.granted[clause].format(amount=here.money(total, currency))
        case "declined":
            return words.declined[cast(Reason, state["reason"])]
        case "withdrawn":
            return words.withdrawn
    return words.pending[cast(Clause, clause)]


def _more(
    here: Here,
    clause: Clause | Literal["excess"],
    currency: str,
    state: ClaimState,
    inputs: Mapping[str, str],
    formula: str,
) -> Iterator[str]:
    words = here.words
    counted = state["outcome"] == "granted" or state["reason"] in ("nothing_due", "service_kept")
    exact = inputs.get("basis") == "exact_time"
    if counted and clause == "unused_period" and inputs:
        price = here.money(inputs["net_price"], currency)
        if exact:
            yield words.unused_time.format(price=price)
        else:
            yield words.unused_days.of(int(inputs["unused_days"]), cycle=inputs["cycle_days"], price=price)
    if counted and clause == "service_disruption" and inputs:
        price, time = here.money(inputs["net_price"], currency), inputs["credited_time"]
        if exact:
            yield words.credited_time.format(time=time, price=price)
        else:
            days = int(inputs["credited_days"])
            yield words.credited_days.of(days, time=time, cycle=inputs["cycle_days"], price=price)
    if counted and inputs.get("basis") == "thirty_days":
        yield words.thirty_days
    if "not more than is left" in formula:
        yield words.less_than_reckoned
    if counted and Decimal(inputs.get("fee", "0")):
        yield words.fee.format(fee=here.money(inputs["fee"], currency))
    if state["outcome"] == "granted" and Decimal(state["tax"]):
        yield words.tax_in_it.format(
            net=here.money(state["amount"], currency), tax=here.money(state["tax"], currency)
        )


def formula_in(words: PortalWords, formula: str | None) -> str | None:
    """A formula with its words and its decimal points in a language."""
    if formula is None:
        return None
    for english in sorted(words.formula_words, key=len, reverse=True):
        formula = formula.replace(english, words.formula_words[english])
    return re.sub(r"(?<=\d)\.(?=\d)", words.decimal_point, formula)


@dataclass(frozen=True, slots=True)
class FactTold:
    """A fact that an amount rests on, in words, with both its times."""

    text: str
    occurred_at: str
    recorded_at: str


def facts_told(words: PortalWords, facts: Sequence[FactUsed]) -> list[FactTold]:
    """The facts of an explanation that customers know of, in words, as they happened."""
    return [
        FactTold(words.facts[cast(Fact, name)], fact["occurred_at"], fact["recorded_at"])
        for fact in sorted(facts, key=lambda fact: fact["occurred_at"])
        if (name := fact["type"].rpartition(".")[0]) in words.facts
    ]


def answer_of(why: Explanation) -> str | None:
    """What was written to the customer about it: the investigator's words of a rejected billing error."""
    return next((fact["words"] for fact in reversed(why["facts"]) if fact.get("words")), None)


def parts_told(here: Here, parts: Sequence[Settled], currency: str) -> list[tuple[str, str]]:
    """How a claim is made good: a sentence for each part, and how it stands."""
    return [
        (
            here.words.into[part["into"]].format(
                amount=here.money(str(abs(Decimal(part["net"]) + Decimal(part["tax"]))), currency)
            ),
            here.words.part_statuses[part["status"]],
        )
        for part in parts
    ]
