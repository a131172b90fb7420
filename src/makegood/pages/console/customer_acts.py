"""What support does for a customer: outages, disputes, complaints, cancellations and goodwill.

Each is a form that says what it will mean before it is recorded.

Each form is of its own address, which needs the permission of its own action. Its times are those of the account's
zone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from makegood.access.permissions import Action
from makegood.acts import complaints, disputes, goodwill, outages, subscriptions
from makegood.acts.acting import Say
from makegood.acts.recorded import Recorded
from makegood.answers import account as answering
from makegood.answers.account import Account
from makegood.pages.acting import Described, WrongValue, answer_act
from makegood.pages.console.accounts import ACCOUNT, account_frame, address_of
from makegood.pages.forms import Form
from makegood.pages.instants import instant_from_form, instant_in_words
from makegood.pages.route import PageRoute
from makegood.pages.shell import Frame, page
from makegood.pages.visitor import TurnedAway, Visitor, house_of, not_there, submits, visits

router = APIRouter(include_in_schema=False, route_class=PageRoute)

Options = Sequence[tuple[str, str]]
_NONE = ("", "none")


@dataclass(frozen=True, slots=True)
class Asked:
    """A field of a form: `options` are found in the account; an instant is typed in the account's zone."""

    name: str
    label: str
    kind: Literal["text", "textarea", "choice", "instant"] = "text"
    required: bool = False
    hint: str = ""
    options: Callable[[Account], Options] = lambda _: ()
    preset: bool = False
    """Whether the first of the options is chosen until somebody chooses another."""


@dataclass(frozen=True, slots=True)
class CustomerAct:
    """An act that is done for a customer, by a form below the account's address."""

    name: str
    title: str
    action: Action
    body: type[BaseModel]
    say: Callable[[str, Any], Say]
    """Of the id of the complaint or subscription that it is about, empty where of neither, and of the body."""
    fields: Sequence[Asked]
    confirm: str
    done: Callable[[Recorded], str]
    lead: str = ""
    of_complaint: bool = False
    """Whether it is about a complaint that the address names."""
    of_subscription: bool = False
    """Whether it is about a subscription that a field names, and the body does not."""
    more: Callable[[Account], Mapping[str, Any]] = field(default=lambda _: {})
    """What the body has beside what is entered."""

    def path(self, account: str, id_: str) -> str:
        """The address of the form."""
        return f"{address_of(account)}/{self.name}" + (f"?id={quote(id_, safe='')}" if self.of_complaint else "")

    def back(self, account: str, id_: str) -> str:
        """Where it leads back to, and what shows what was recorded."""
        if self.of_complaint:
            return f"{address_of(account)}/complaint?id={quote(id_, safe='')}"
        return f"{address_of(account)}/timeline"


# --- what can be chosen ---------------------------------------------------------------------------------------------


def _subscriptions(account: Account, *statuses: str) -> Options:
    return [
        (row["subscription_id"], f"{row['subscription_id']}, {row['plan']}, {row['status']}")
        for row in account["subscriptions"]
        if not statuses or row["status"] in statuses
    ]


def _charges(account: Account) -> Options:
    """The charges, those first that came last."""
    return [
        (row["charge_id"], f"{row['charge_id']}, {row['price']} {row['currency']}{_of_period(row)}")
        for row in reversed(account["charges"])
    ]


def _of_period(charge: Any) -> str:
    return f", {charge['starts_on']} to {charge['ends_on']}" if charge["starts_on"] else ""


def _complaints(account: Account) -> Options:
    """The complaints, those first that are open."""
    rows = sorted(account["complaints"], key=lambda row: row["status"] != "open")
    return [_NONE, *((row["complaint_id"], f"{row['complaint_id']}, {row['status']}") for row in rows)]


def _currency(account: Account) -> Mapping[str, Any]:
    return {"currency": account["currency"]}


def _words(*values: str) -> Callable[[Account], Options]:
    return lambda _: [(value, value.replace("_", " ")) for value in values]


CHOSEN = ("subscription_id", "charge_id", "complaint_id")
"""The fields that an address may fill in: whoever comes from one of these need not choose it again."""

_SUBSCRIPTION = Asked("subscription_id", "Subscription", "choice", required=True, options=_subscriptions)
_BEHIND = Asked("complaint_id", "Complaint behind it", "choice", options=_complaints)
_WHEN_HINT = "Date and time, such as 2026-04-24 14:05, as a clock shows it in"

# --- the acts -------------------------------------------------------------------------------------------------------

ACTS = (
    CustomerAct(
        "outage",
        "Register an outage",
        "outage.report",
        outages.ReportOutage,
        lambda _, asked: outages.report_outage(asked),
        (
            _SUBSCRIPTION,
            Asked("began_at", "Began", "instant", required=True, hint=_WHEN_HINT),
            Asked("severity", "Severity", "choice", required=True, options=_words("significant", "minor")),
            Asked(
                "cause",
                "Cause",
                "choice",
                required=True,
                options=_words("unknown", "provider", "customer_equipment", "force_majeure"),
                preset=True,
            ),
            _BEHIND,
        ),
        "Register the outage",
        lambda recorded: f"Outage {recorded.ids['outage_id']} is registered.",
        "The service does not work, or not well. It counts from now on as reported.",
    ),
    CustomerAct(
        "dispute",
        "Open a dispute",
        "dispute.open",
        disputes.OpenDispute,
        lambda _, asked: disputes.open_dispute(asked),
        (
            Asked("charge_id", "Charge", "choice", required=True, options=_charges),
            Asked("claimed", "Overcharged by", required=True, hint="An amount, such as 4.50, in"),
            Asked("description", "What the customer says", "textarea"),
            _BEHIND,
        ),
        "Open the dispute",
        lambda recorded: f"Dispute {recorded.ids['dispute_id']} is open.",
        "The charge is investigated; no money moves until an overcharge is confirmed.",
        more=_currency,
    ),
    CustomerAct(
        "complaint/new",
        "Open a complaint",
        "complaint.open",
        complaints.OpenComplaint,
        lambda _, asked: complaints.open_complaint(asked),
        (
            Asked("subscription_id", "Subscription", "choice", options=lambda of: [_NONE, *_subscriptions(of)]),
            Asked("category", "About", required=True, hint="A code, such as call_quality, or in words"),
            Asked("description", "What the customer says", "textarea"),
            Asked(
                "channel", "Came by", "choice", options=_words("support", "telephone", "email", "letter", "in_person")
            ),
        ),
        "Open the complaint",
        lambda recorded: f"Complaint {recorded.ids['complaint_id']} is open.",
        "It stays open until it is resolved, and moves no money by itself.",
    ),
    CustomerAct(
        "cancellation",
        "Cancel a subscription",
        "subscription.cancel",
        subscriptions.Cancel,
        subscriptions.cancel,
        (
            Asked(
                "subscription_id",
                "Subscription",
                "choice",
                required=True,
                options=lambda of: _subscriptions(of, "active", "suspended"),
            ),
            Asked("requested_at", "Asked for", "instant", hint=f"Empty for now. {_WHEN_HINT}"),
            Asked(
                "keep_service",
                "Service until the end of the cycle",
                "choice",
                required=True,
                options=lambda _: [("no", "is not needed any longer"), ("yes", "is kept and used")],
            ),
            Asked("reason", "Why", "textarea"),
        ),
        "Cancel the subscription",
        lambda recorded: f"The cancellation of {recorded.ids['subscription_id']} is recorded.",
        "It takes effect at the end of the billing cycle, and can be withdrawn until then.",
        of_subscription=True,
    ),
    CustomerAct(
        "withdrawal",
        "Withdraw a cancellation",
        "subscription.withdraw_cancellation",
        subscriptions.WithdrawCancellation,
        subscriptions.withdraw_cancellation,
        (
            Asked(
                "subscription_id",
                "Subscription",
                "choice",
                required=True,
                options=lambda of: _subscriptions(of, "cancelling"),
            ),
            Asked("withdrawn_at", "Asked for", "instant", hint=f"Empty for now. {_WHEN_HINT}"),
        ),
        "Withdraw the cancellation",
        lambda recorded: f"The cancellation of {recorded.ids['subscription_id']} is withdrawn.",
        "All requests that have not taken effect yet are withdrawn.",
        of_subscription=True,
    ),
    CustomerAct(
        "complaint/note",
        "Note something",
        "complaint.note",
        complaints.NoteComplaint,
        complaints.note_complaint,
        (Asked("note", "Note", "textarea", required=True, hint="For the provider's people; kept in the vault"),),
        "Add the note",
        lambda _: "The note is added.",
        of_complaint=True,
    ),
    CustomerAct(
        "complaint/link",
        "Link something",
        "complaint.link",
        complaints.LinkComplaint,
        complaints.link_complaint,
        (
            Asked("kind", "Kind", "choice", required=True, options=_words("outage", "dispute", "goodwill")),
            Asked("linked_id", "Its id", required=True),
        ),
        "Link it",
        lambda recorded: f"{recorded.ids['linked_id']} is linked.",
        of_complaint=True,
    ),
    CustomerAct(
        "complaint/resolve",
        "Resolve the complaint",
        "complaint.resolve",
        complaints.ResolveComplaint,
        complaints.resolve_complaint,
        (
            Asked("resolution", "Resolution", required=True, hint="A code, such as explained or repaired"),
            Asked("answer", "Answer to the customer", "textarea", hint="They read it in the portal."),
            Asked("note", "Note", "textarea"),
        ),
        "Resolve it",
        lambda recorded: f"Complaint {recorded.ids['complaint_id']} is resolved.",
        of_complaint=True,
    ),
    CustomerAct(
        "complaint/reopen",
        "Reopen the complaint",
        "complaint.reopen",
        complaints.ReopenComplaint,
        complaints.reopen_complaint,
        (Asked("reason", "Why", "textarea"),),
        "Reopen it",
        lambda recorded: f"Complaint {recorded.ids['complaint_id']} is open again.",
        of_complaint=True,
    ),
    CustomerAct(
        "complaint/goodwill",
        "Propose a goodwill credit",
        "goodwill.propose",
        goodwill.ProposeGoodwill,
        goodwill.propose_goodwill,
        (
            Asked("amount", "Amount", required=True, hint="Such as 5.00, in"),
            Asked("subscription_id", "Subscription", "choice", options=lambda of: [_NONE, *_subscriptions(of)]),
            Asked("reason", "Why", "textarea"),
        ),
        "Propose the credit",
        lambda recorded: f"Goodwill credit {recorded.ids['credit_id']} is proposed: another person approves it.",
        "Another person approves it; nothing is owed before.",
        of_complaint=True,
        more=_currency,
    ),
)


def _form_of(act: CustomerAct) -> Callable[..., Response]:
    permitted: Visitor = visits(act.action, "support")

    def form(request: Request, account: str, visitor: Visitor = permitted) -> Response:
        chosen = {name: value for name in CHOSEN if (value := request.query_params.get(name))}
        return _described(act, request, visitor, account).show(Form(chosen))

    return form


def _take(act: CustomerAct) -> Callable[..., Response]:
    permitted: Visitor = submits(act.action, "support")

    def take(request: Request, account: str, visitor: Visitor = permitted) -> Response:
        return answer_act(request, visitor, account, "console", _described(act, request, visitor, account))

    return take


for _act in ACTS:
    router.get(f"{ACCOUNT}/{_act.name}")(_form_of(_act))
    router.post(f"{ACCOUNT}/{_act.name}")(_take(_act))


def _described(act: CustomerAct, request: Request, visitor: Visitor, account: str) -> Described[Any]:
    found = answering.account(house_of(request), visitor.caller.sight, account).answer
    # What was said of an earlier form would be read as said of this one.
    frame = replace(account_frame(visitor, found["time_zone"]), room="support", said=None)
    id_ = request.query_params.get("id", "")
    if act.of_complaint and id_ not in [row["complaint_id"] for row in found["complaints"]]:
        raise TurnedAway(not_there(visitor.frame))
    chosen = str(visitor.form.get("subscription_id", "")) if act.of_subscription else id_
    options = {asked.name: _options(asked, found) for asked in act.fields if asked.kind == "choice"}
    action, back = act.path(account, id_), act.back(account, id_)
    around: dict[str, Any] = {
        "title": act.title,
        "account": found,
        "act": act,
        "action": action,
        "back": back,
        "id": id_,
    }
    hints = {asked.name: _hint(asked, found, frame.zone) for asked in act.fields}

    def show(form: Form) -> Response:
        status = 422 if form.wrong else 200
        return page(frame, "console/act.html", status=status, form=form, options=options, hints=hints, **around)

    def previewed(form: Form, previewed: Any) -> Response:
        said = [(asked.label, _said(asked, form, options, frame)) for asked in act.fields if form.get(asked.name)]
        return page(
            frame,
            "console/preview.html",
            form=form,
            previewed=previewed,
            said=said,
            confirm=act.confirm,
            lead=f"Account {account}" + (f", complaint {id_}" if act.of_complaint else ""),
            **around,
        )

    return Described(
        f"{action}?subscription_id={quote(chosen, safe='')}" if act.of_subscription else action,
        act.body,
        lambda asked: act.say(chosen, asked),
        lambda form: {**_values(act, form, options, frame.zone), **act.more(found)},
        show,
        previewed,
        lambda recorded: (back, act.done(recorded)),
        [asked.name for asked in act.fields],
    )


def _options(asked: Asked, account: Account) -> Options:
    """What can be chosen; of several that somebody must choose between, none is chosen for them."""
    found = asked.options(account)
    return [("", "choose"), *found] if asked.required and not asked.preset and len(found) > 1 else found


def _values(act: CustomerAct, form: Form, options: Mapping[str, Options], zone: str) -> dict[str, Any]:
    """What the fields say, for the body. Raises WrongValue."""
    found: dict[str, Any] = {}
    wrong: list[tuple[str, str]] = []
    for asked in act.fields:
        text = form.get(asked.name)
        if text is None:
            if asked.required:
                wrong.append((asked.name, "choose one" if asked.kind == "choice" else "fill this in"))
        elif asked.kind == "choice" and text not in [value for value, _ in options[asked.name]]:
            wrong.append((asked.name, "choose one of the list"))
        elif asked.kind == "instant":
            try:
                found[asked.name] = instant_from_form(text, zone)
            except ValueError as error:
                wrong.append((asked.name, str(error)))
        else:
            found[asked.name] = text == "yes" if asked.name == "keep_service" else text
    if wrong:
        labels = {asked.name: asked.label for asked in act.fields}
        *others, last = ((name, f"{labels[name]}: {reason}") for name, reason in wrong)
        form.refuse(others, labels)
        raise WrongValue(*last)
    if act.of_subscription:
        found.pop("subscription_id")
    return found


def _hint(asked: Asked, account: Account, zone: str) -> str:
    if asked.kind == "instant":
        return f"{asked.hint} {zone}"
    return f"{asked.hint} {account['currency']}" if asked.hint.endswith(" in") else asked.hint


def _said(asked: Asked, form: Form, options: Mapping[str, Options], frame: Frame) -> str:
    """What a field says, as people read it."""
    text = form.values[asked.name]
    if asked.kind == "instant":
        return instant_in_words(instant_from_form(text, frame.zone), frame.zone, frame.locale)
    return dict(options.get(asked.name, ())).get(text, text)
