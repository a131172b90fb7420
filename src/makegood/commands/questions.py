"""The commands for finance, support and auditors: lists over all accounts, and views of one account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import (
    AccountOption,
    AskedMoment,
    AsOf,
    ColumnsOption,
    Json,
    KindOption,
    KnownAt,
    OutcomeOption,
    RefundStatusOption,
    Store,
    app,
    opened,
    show_list,
)
from makegood.commands.filter_options import (
    AgeOption,
    AgreementOption,
    ClauseOrNoneOption,
    CreditStatusOption,
    CurrencyOption,
    EventKindOption,
    FromOption,
    MinOption,
    PlanOption,
    ToOption,
    filters_of,
)
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from ledger.store.reading.page import Listed
    from makegood.house.opening import House
    from projections.outages import Outage


@app.command()
def find(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT",
            help="An id of an account, a subscription, a claim, a refund or a credit, or an e-mail address, a name "
            "or a telephone number.",
        ),
    ],
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Find a customer: by an id, an e-mail address, a name or a telephone number.

    A name is found by its words in any order, without accents and capitals; a number in any spelling, with its
    country code or without.
    """
    from makegood.access.sight import EVERYTHING
    from makegood.answers.search import search
    from makegood.commands.terminal.tables import FOUND

    if not text.strip():
        raise Stop("nothing to look for was given: say an id, an e-mail address, a name or a telephone number")
    show_list(
        store,
        json,
        lambda house: search(house, EVERYTHING, text),
        FOUND,
        chosen=columns,
        title="Customers",
        empty="no customer is found by this; give the whole id, e-mail address or number, or whole words of a name",
    )


@app.command()
def claims(
    account: AccountOption = None,
    currency: CurrencyOption = None,
    clause: ClauseOrNoneOption = None,
    agreement: AgreementOption = None,
    plan: PlanOption = None,
    min_amount: MinOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    outcome: OutcomeOption = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Claims: granted with an amount, declined with a reason, pending or withdrawn.

    --known-at shows them as recorded by then. --as-of assesses every account anew from the facts that were true by
    then, which takes a while: --account limits it to one. Both together assess from the facts that were recorded by
    the one and true by the other.
    """
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.tables import CLAIMS

    filters = filters_of(account, currency, clause, agreement, plan, min_amount, from_, to)
    show_list(
        store,
        json,
        lambda house: owed.claims(house, EVERYTHING, outcome=outcome, **filters),
        CLAIMS,
        account=account,
        at=AskedMoment(as_of, known_at),
        chosen=columns,
        title="Claims",
        empty="no claims match these filters"
        if filters
        else "no claims; record messages with `makegood ingest FILE` or `makegood run`",
    )


@app.command()
def refunds(
    account: AccountOption = None,
    currency: CurrencyOption = None,
    clause: ClauseOrNoneOption = None,
    agreement: AgreementOption = None,
    plan: PlanOption = None,
    min_amount: MinOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    status: RefundStatusOption = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Refunds: due, approved, submitted, paid out, failed and rejected.

    --known-at shows them as recorded by then. --as-of assesses every account anew from the facts that were true by
    then, which takes a while: --account limits it to one. Both together assess from the facts that were recorded by
    the one and true by the other.
    """
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.tables import REFUNDS

    filters = filters_of(account, currency, clause, agreement, plan, min_amount, from_, to)
    show_list(
        store,
        json,
        lambda house: owed.refunds(house, EVERYTHING, status=status, **filters),
        REFUNDS,
        account=account,
        at=AskedMoment(as_of, known_at),
        chosen=columns,
        title="Refunds",
        empty="no refunds match these filters"
        if filters
        else "no refunds; see the decisions with `makegood claims`"
        if status is None
        else f"no refunds with the status {status}",
    )


@app.command()
def credits(
    account: AccountOption = None,
    dormant: Annotated[
        bool, typer.Option("--dormant", help="Only credits left after the last subscription, the longest first.")
    ] = False,
    currency: CurrencyOption = None,
    clause: ClauseOrNoneOption = None,
    agreement: AgreementOption = None,
    plan: PlanOption = None,
    min_amount: MinOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    status: CreditStatusOption = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Credits: granted, used, refunded and left.

    --known-at shows them as recorded by then. --as-of assesses every account anew from the facts that were true by
    then, which takes a while: --account limits it to one. Both together assess from the facts that were recorded by
    the one and true by the other.
    """
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.tables import CREDITS

    filters = filters_of(account, currency, clause, agreement, plan, min_amount, from_, to)
    if dormant and (status is not None or filters.keys() - {"account"}):
        raise typer.BadParameter("dormant credits can only be narrowed by --account", param_hint="--dormant")
    show_list(
        store,
        json,
        lambda house: owed.credits(house, EVERYTHING, status=status, dormant=dormant, **filters),
        CREDITS,
        account=account,
        at=AskedMoment(as_of, known_at),
        chosen=columns,
        title="Credits",
        empty="no dormant credits"
        if dormant
        else "no credits match these filters"
        if filters or status is not None
        else "no credits; see the decisions with `makegood claims`",
    )


@app.command()
def disputes(
    account: AccountOption = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only overdue investigations.")] = False,
    age: AgeOption = None,
    by_age: Annotated[bool, typer.Option("--by-age", help="The numbers of open disputes by age.")] = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Disputed charges: under investigation with a deadline, confirmed or rejected."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.finance import show_ages
    from makegood.commands.terminal.tables import DISPUTES

    if by_age and (as_of is not None or known_at is not None):
        raise typer.BadParameter("the numbers by age are those of now", param_hint="--by-age")
    if by_age:
        show_ages(store, json, "disputes", account)
        return
    show_list(
        store,
        json,
        lambda house: owed.disputes(house, EVERYTHING, account=account, overdue=overdue, age=age),
        DISPUTES,
        account=account,
        at=AskedMoment(as_of, known_at),
        chosen=columns,
        title="Disputes",
        empty="no overdue investigations" if overdue else "no disputes",
    )


@app.command()
def complaints(
    account: AccountOption = None,
    still_open: Annotated[bool, typer.Option("--open", help="Only open complaints.")] = False,
    age: AgeOption = None,
    by_age: Annotated[bool, typer.Option("--by-age", help="The numbers of open complaints by age.")] = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Customers' complaints, the longest open first."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.complaint import complaint_in_words
    from makegood.commands.terminal.finance import show_ages
    from makegood.commands.terminal.tables import COMPLAINTS

    if by_age and (as_of is not None or known_at is not None):
        raise typer.BadParameter("the numbers by age are those of now", param_hint="--by-age")
    if by_age:
        show_ages(store, json, "complaints", account)
        return
    show_list(
        store,
        json,
        lambda house: owed.complaints(house, EVERYTHING, account=account, still_open=still_open, age=age),
        COMPLAINTS,
        in_words=complaint_in_words,
        account=account,
        at=AskedMoment(as_of, known_at),
        chosen=columns,
        title="Complaints",
        empty="no open complaints" if still_open else "no complaints",
    )


@app.command()
def outages(
    account: AccountOption = None,
    subscription: Annotated[str | None, typer.Option("--subscription", help="Only this subscription.")] = None,
    still_open: Annotated[bool, typer.Option("--open", help="Only unresolved outages.")] = False,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Reported outages: open, resolved or reopened, with the claims decided with them."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.answers.unknown import check_subscription
    from makegood.commands.terminal.outage import outage_in_words
    from makegood.commands.terminal.tables import OUTAGES

    def asked(house: House) -> Listed[Outage]:
        found = owed.outages(house, EVERYTHING, account=account, subscription=subscription, still_open=still_open)
        if not found and subscription is not None:
            check_subscription((each.database for each in house.every), subscription)
        return found

    show_list(
        store,
        json,
        asked,
        OUTAGES,
        in_words=outage_in_words,
        chosen=columns,
        account=account,
        title="Outages",
        empty="no unresolved outages; see the resolved ones with `makegood outages`"
        if still_open
        else f"no outages of subscription {subscription}; see all with `makegood outages`"
        if subscription is not None
        else "no outages; record messages with `makegood ingest FILE` or `makegood run`",
    )


@app.command()
def instructions(
    account: AccountOption = None,
    kind: KindOption = None,
    still_open: Annotated[bool, typer.Option("--open", help="Only instructions without an answer.")] = False,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Instructions to billing and provisioning, the longest open first."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers.instructions import instructions as told
    from makegood.commands.terminal.account import instruction_in_words
    from makegood.commands.terminal.tables import INSTRUCTIONS

    show_list(
        store,
        json,
        lambda house: told(house, EVERYTHING, account=account, kind=kind, still_open=still_open),
        INSTRUCTIONS,
        in_words=instruction_in_words,
        account=account,
        chosen=columns,
        title="Instructions",
        empty="no open instructions"
        if still_open
        else "no instructions; cancellations and claims on unpaid invoices lead to them: see `makegood claims`",
    )


@app.command()
def complaint(
    complaint_id: Annotated[str, typer.Argument(metavar="ID", help="The complaint's id.")],
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """One complaint with its history, notes and links."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers.complaint_in_full import UnknownComplaint
    from makegood.answers.complaint_in_full import complaint as told
    from makegood.commands.terminal.complaint import show_complaint
    from makegood.commands.terminal.printing import print_json
    from projections.asking import AmbiguousId

    with opened(store, account, whole=True) as house:
        try:
            found = told(house, EVERYTHING, complaint_id, account)
        except (UnknownComplaint, AmbiguousId) as error:
            raise Stop(str(error)) from None
    if json:
        print_json(found)
    else:
        show_complaint(found)


@app.command()
def goodwill(
    account: AccountOption = None,
    still_open: Annotated[bool, typer.Option("--open", help="Only undecided proposals.")] = False,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Goodwill credits: proposed, approved and rejected, with the people who did it."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.tables import GOODWILL

    show_list(
        store,
        json,
        lambda house: owed.goodwill(house, EVERYTHING, account=account, still_open=still_open),
        GOODWILL,
        account=account,
        chosen=columns,
        title="Goodwill credits",
        empty="no goodwill credits waiting for approval"
        if still_open
        else "no goodwill credits; see the complaints with `makegood complaints`",
    )


@app.command()
def alarms(
    account: AccountOption = None,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Active alarms, for a person to check."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.tables import ALARMS

    show_list(
        store,
        json,
        lambda house: owed.alarms(house, EVERYTHING, account=account),
        ALARMS,
        account=account,
        chosen=columns,
        title="Alarms",
        empty="no alarms",
    )


@app.command()
def waiting(
    account: AccountOption = None,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Facts that wait for another fact, with its name and their age."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers.ages import age
    from makegood.answers.waiting import waiting as told
    from makegood.commands.terminal.tables import WAITING

    show_list(
        store,
        json,
        lambda house: told(house, EVERYTHING, account=account),
        WAITING,
        in_words=lambda row: {**row, "age": age(row["age_seconds"])},
        account=account,
        chosen=columns,
        title="Waiting facts",
        empty="no waiting facts",
    )


@app.command()
def account(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    as_of: AsOf = None,
    known_at: KnownAt = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """One account: balances, subscriptions, charges, payments, claims, refunds and credits.

    --as-of assesses the account anew from the facts that were true by an instant or by the end of a date. --known-at
    shows the account as recorded by an instant, a position or a signed checkpoint. Both together assess it anew from
    the facts that were recorded by the one and true by the other.
    """
    from makegood.access.sight import EVERYTHING
    from makegood.answers import account as answering
    from makegood.commands.terminal import account as reading
    from makegood.commands.terminal.printing import print_json, say

    with opened(store, of=account_id) as house:
        at = AskedMoment(as_of, known_at).of(house)
        found = answering.account(house, EVERYTHING, account_id, at.as_of, at.known_at).answer
    if json:
        print_json(found)
    else:
        reading.show_account(found)
        aside = found["set_aside"]
        if aside:
            say(
                f"incomplete: {aside} messages of this account are set aside, and its payouts are on hold; see "
                f"makegood aside list --account {account_id}"
            )


@app.command()
def history(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    from_: FromOption = None,
    to: ToOption = None,
    by_occurrence: Annotated[
        bool, typer.Option("--by-occurrence", help="By the day on which events became true, not that of recording.")
    ] = False,
    kind: EventKindOption = None,
    type_: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="Only this type, such as claim-assessed.v2 or claim-assessed."),
    ] = None,
    claim: Annotated[str | None, typer.Option("--claim", metavar="ID", help="Only events about this claim.")] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="ACTOR", help="Only events of this actor.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """An account's history: all facts and decisions in words, with cause, actor, both times and amounts owed."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers.filters import FilterRefused
    from makegood.answers.history import HistoryEntry
    from makegood.answers.history import history as told
    from makegood.commands.terminal.account import entry_in_words
    from makegood.commands.terminal.tables import HISTORY

    def query(house: House) -> Listed[HistoryEntry]:
        try:
            return told(
                house,
                EVERYTHING,
                account_id,
                claim=claim,
                kind=kind,
                type_=type_,
                actor=by,
                from_=from_,
                to=to,
                by_occurrence=by_occurrence,
            )
        except FilterRefused as error:
            raise typer.BadParameter(str(error), param_hint=f"--{error.word}") from None

    if as_csv:
        if json or columns:
            raise Stop("--csv excludes --json and --columns; leave them out")
        from makegood.commands.terminal.printing import print_text
        from makegood.exports.history import history_csv

        with opened(store, of=account_id) as house:
            print_text(history_csv(query(house)))
        return
    show_list(
        store,
        json,
        query,
        HISTORY,
        in_words=entry_in_words,
        chosen=columns,
        of=account_id,
        title=f"History of {account_id}",
        empty=f"no such events of {account_id}; leave out a filter",
    )


@app.command()
def replay(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    to: Annotated[int | None, typer.Option("--to", metavar="K", help="Only the first K events.")] = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """An account's state after each of its events."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers.account import replayed
    from makegood.commands.terminal import account as reading
    from makegood.commands.terminal.printing import print_json

    with opened(store, of=account_id) as house:
        steps = replayed(house, EVERYTHING, account_id, to)
    if json:
        print_json(steps)
    else:
        reading.show_replay(account_id, steps)


@app.command()
def explain(
    claim_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a claim, refund or credit.")],
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Explain a claim: clause, agreement, formula with its numbers, facts, and all recorded steps."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers.explanation import Unexplained
    from makegood.answers.explanation import explain as explained
    from makegood.commands.terminal.explanation import show_explanation
    from makegood.commands.terminal.printing import print_json

    with opened(store, account, whole=True) as house:
        try:
            found = explained(house, EVERYTHING, claim_id, account)
        except Unexplained as error:
            raise Stop(str(error)) from None
    if json:
        print_json(found)
    else:
        show_explanation(found)
