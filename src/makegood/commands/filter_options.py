"""The options by which commands narrow lists and sums; addresses have the same words (makegood/api/filters.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import typer

from makegood.commands.app import one_of

if TYPE_CHECKING:
    from makegood.answers.filters import Asked

W = TypeVar("W", bound=str)


def _clause_or_none(text: str) -> str:
    from ledger.events.billing_account import Clause

    return one_of(text, "clauses", get_args(Clause)) if text else text


def _age(text: str) -> str:
    from projections.age_classes import AGE_CLASSES

    return one_of(text, "classes of age", AGE_CLASSES)


def _kind_of_movement(text: str) -> str:
    from projections.movement_kinds import KINDS

    return one_of(text, "kinds of movements", KINDS)


def _kind_of_event(text: str) -> str:
    from projections.audit_trail import Kind

    return one_of(text, "kinds of events", get_args(Kind))


def _settlement(text: str) -> str:
    from projections.movement_kinds import Settlement

    return one_of(text, "ways of settling", get_args(Settlement))


def _counted_as(text: str) -> str:
    from projections.movement_kinds import OWED

    return one_of(text, "amounts owed", OWED)


def _credit_status(text: str) -> str:
    from projections.credits import CreditStatus

    return one_of(text, "statuses of credits", get_args(CreditStatus))


def _date(text: str) -> Any:
    from ledger.values import date_from_text

    try:
        return date_from_text(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


CurrencyOption = Annotated[
    str | None, typer.Option("--currency", metavar="CURRENCY", help="Only this currency, such as EUR.")
]
ClauseOrNoneOption = Annotated[
    str | None,
    typer.Option(
        "--clause", parser=_clause_or_none, metavar="CLAUSE", help="Only this clause of the policy; '' for none."
    ),
]
AgreementOption = Annotated[
    str | None, typer.Option("--agreement", metavar="NAME", help="Only this agreement; '' for none.")
]
PlanOption = Annotated[str | None, typer.Option("--plan", metavar="NAME", help="Only this plan; '' for none.")]
MinOption = Annotated[
    str | None,
    typer.Option("--min", metavar="AMOUNT", help="Only this gross amount or more; requires --currency."),
]
FromOption = Annotated[
    Any,
    typer.Option(
        "--from",
        parser=_date,
        metavar="DATE",
        help="The first day, in the time zone MAKEGOOD_TIME_ZONE.",
    ),
]
_LAST_DAY = "The last day, which is included."
ToOption = Annotated[Any, typer.Option("--to", "--until", parser=_date, metavar="DATE", help=_LAST_DAY)]
UntilOption = Annotated[Any, typer.Option("--until", parser=_date, metavar="DATE", help=_LAST_DAY)]
"""For exports, of which `--to` is the file."""
AgeOption = Annotated[
    Any,
    typer.Option("--age", parser=_age, metavar="DAYS", help="Only this class of age: 0-7, 8-30, 31-60 or over-60."),
]
MovementKindOption = Annotated[
    Any,
    typer.Option("--kind", parser=_kind_of_movement, metavar="KIND", help="Only this kind, such as refunded."),
]
EventKindOption = Annotated[
    Any,
    typer.Option("--kind", parser=_kind_of_event, metavar="KIND", help="Only this kind: fact or decision."),
]
SettlementOption = Annotated[
    Any,
    typer.Option(
        "--settlement",
        parser=_settlement,
        metavar="WAY",
        help="Only this way of settling: invoice_reduction, refund or credit.",
    ),
]
CreditStatusOption = Annotated[
    Any,
    typer.Option(
        "--status",
        parser=_credit_status,
        metavar="STATUS",
        help="Only this status: open while something is left, then used.",
    ),
]
CountedAsOption = Annotated[
    Any,
    typer.Option(
        "--counted-as",
        parser=_counted_as,
        metavar="NAME",
        help="Only refunds_due, credits_left, excess or overpaid.",
    ),
]


def filters_of(
    account: str | None = None,
    currency: str | None = None,
    clause: str | None = None,
    agreement: str | None = None,
    plan: str | None = None,
    min_amount: str | None = None,
    from_: Any = None,
    to: Any = None,
) -> Asked:
    """The filters that a command was given. Raises BadParameter."""
    from makegood.answers.filters import FilterRefused, Filters

    try:
        return Filters(account, currency, clause, agreement, plan, min_amount, from_, to).asked()
    except FilterRefused as error:
        raise typer.BadParameter(str(error), param_hint=f"--{error.word}") from None


def groups_of(by: str | None, known: Sequence[W], always: Sequence[str]) -> list[W]:
    """The groups that `--by` names, with commas between them. Raises BadParameter."""
    named = [word.strip() for word in by.split(",")] if by is not None else []
    for word in named:
        one_of(word, "groups", (*always, *known))
    return [word for word in known if word in named]


def as_options(words: dict[str, str]) -> str:
    """A sum's filter as it is written on the command line."""
    options = []
    for word, value in words.items():
        option = f"--{word.replace('_', '-')}"
        options.append(option if value == "true" else f"{option} {value or repr(value)}")
    return " ".join(options)
