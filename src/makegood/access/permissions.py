"""Permissions: one table of actions and roles, and the one function that reads it. Everything else is denied.

A role is what somebody is here for; how they came by it are events (decision 0014). A customer has the role for their
own account, and may there what the table says; everybody else has a role for all accounts or for none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from ledger.events import ROLES, Role

Check = TypeVar("Check", bound=Callable[..., Any])

Action = Literal[
    # reading
    "account.read",
    "customer.search",
    "claim.read",
    "refund.read",
    "credit.read",
    "overpaid.read",
    "dispute.read",
    "complaint.read",
    "complaint.read_words",
    "outage.read",
    "goodwill.read",
    "explanation.read",
    "history.read",
    "audit.read",
    "alarm.read",
    "check.read",
    "waiting.read",
    "dead_letter.read",
    "dead_letter.read_body",
    "aside.read",
    "aside.read_body",
    "lost_range.read",
    "agreement.read",
    "instruction.read",
    "notice.read",
    "status.read",
    "access.read",
    "export.read",
    "owed.read",
    "movement.read",
    "change.read",
    "period.read",
    "discrepancy.read",
    # doing
    "events.publish",
    "dead_letter.replay",
    "aside.replay",
    "notice.decide",
    "projection.rebuild",
    "subscription.cancel",
    "subscription.withdraw_cancellation",
    "subscription.suspend",
    "subscription.reinstate",
    "subscription.terminate",
    "outage.report",
    "outage.resolve",
    "outage.reopen",
    "dispute.open",
    "dispute.confirm",
    "dispute.reject",
    "complaint.open",
    "complaint.note",
    "complaint.link",
    "complaint.resolve",
    "complaint.reopen",
    "goodwill.propose",
    "goodwill.decide",
    "period.close",
    "refund.decide",
    "refund.retry",
    "refund.to_credit",
    "credit.refund",
    "overpaid.decide",
    "discrepancy.find",
    "discrepancy.settle",
    "subject.erase",
    "subject.export",
]
"""The actions that need permission."""
ACTIONS: tuple[Action, ...] = get_args(Action)

Roles = frozenset[Role]


def _of(*roles: Role) -> Roles:
    return frozenset(roles)


_MONEY = _of("support", "finance", "approver", "auditor")
_MACHINERY = _of("provisioning", "operator", "auditor")
_OWN = _of("customer")

PERMISSIONS: dict[Action, Roles] = {
    "account.read": _MONEY | _OWN,
    "customer.search": _of("support", "finance", "auditor", "privacy"),
    "claim.read": _MONEY | _OWN,
    "refund.read": _MONEY | _OWN,
    "credit.read": _MONEY | _OWN,
    "overpaid.read": _of("finance", "approver", "auditor"),
    "dispute.read": _MONEY | _OWN,
    "complaint.read": _MONEY | _OWN,
    "complaint.read_words": _of("support", "approver", "auditor", "customer"),
    "outage.read": _MONEY | _OWN,
    "goodwill.read": _MONEY,
    "explanation.read": _MONEY | _OWN,
    "history.read": _MONEY,
    "audit.read": _of("auditor"),
    "alarm.read": _MONEY,
    "check.read": _of("finance", "approver", "auditor"),
    "waiting.read": _MONEY | _MACHINERY,
    "dead_letter.read": _MACHINERY,
    "dead_letter.read_body": _of("provisioning", "auditor"),
    "aside.read": _MACHINERY,
    "aside.read_body": _of("provisioning", "auditor"),
    "lost_range.read": _MACHINERY,
    "agreement.read": _MONEY | _MACHINERY,
    "instruction.read": _of("support", "finance", "auditor"),
    "notice.read": _of("support", "operator", "auditor"),
    "status.read": _MACHINERY,
    "access.read": _of("auditor"),
    "export.read": _of("finance", "approver", "auditor"),
    "owed.read": _of("finance", "approver", "auditor"),
    "movement.read": _of("finance", "approver", "auditor"),
    "change.read": _of("finance", "approver", "auditor"),
    "period.read": _of("finance", "approver", "auditor"),
    "discrepancy.read": _of("finance", "approver", "auditor"),
    "events.publish": _of("provisioning"),
    "dead_letter.replay": _of("provisioning", "operator"),
    "aside.replay": _of("provisioning", "operator"),
    "notice.decide": _of("support", "operator"),
    "projection.rebuild": _of("operator"),
    "subscription.cancel": _of("support", "customer"),
    "subscription.withdraw_cancellation": _of("support", "customer"),
    "subscription.suspend": _of("provisioning"),
    "subscription.reinstate": _of("provisioning"),
    "subscription.terminate": _of("provisioning"),
    "outage.report": _of("provisioning", "support", "customer"),
    "outage.resolve": _of("provisioning"),
    "outage.reopen": _of("provisioning"),
    "dispute.open": _of("support", "customer"),
    "dispute.confirm": _of("finance"),
    "dispute.reject": _of("finance"),
    "complaint.open": _of("support", "customer"),
    "complaint.note": _of("support"),
    "complaint.link": _of("support"),
    "complaint.resolve": _of("support"),
    "complaint.reopen": _of("support", "customer"),
    "goodwill.propose": _of("support"),
    "goodwill.decide": _of("approver"),
    "period.close": _of("finance"),
    "refund.decide": _of("approver"),
    "refund.retry": _of("finance"),
    "refund.to_credit": _of("finance"),
    "credit.refund": _of("finance"),
    "overpaid.decide": _of("finance"),
    "discrepancy.find": _of("finance"),
    "discrepancy.settle": _of("finance"),
    "subject.erase": _of("privacy"),
    "subject.export": _of("privacy", "customer"),
}
"""The roles that permit an action; `customer` permits it for the customer's own account."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The accounts that a permission covers: all where `accounts` is None, else these."""

    accounts: frozenset[str] | None

    def covers(self, account: str) -> bool:
        """Whether the account is one of them."""
        return self.accounts is None or account in self.accounts


def may(action: Action, roles: Iterable[tuple[Role, str | None]]) -> Scope | None:
    """The accounts for which these roles permit an action; None where they do not permit it at all.

    Roles come as they were granted, a customer's with their account.
    """
    permitted = PERMISSIONS.get(action, _of())
    held = [(role, of_account) for role, of_account in roles if role in permitted]
    if any(role != "customer" for role, _ in held):
        return Scope(None)
    own = frozenset(of_account for _, of_account in held if of_account is not None)
    return Scope(own) if own else None


def guards(action: Action, check: Check) -> Check:
    """A dependency of a route that checks permission for an action, marked with it as its attribute `action`.

    By this the application finds each route's action, whichever door the route is of.
    """
    vars(check)["action"] = action
    return check


def guarded_by(check: Callable[..., Any] | None) -> Action | None:
    """The action that a dependency of a route checks permission for; None where it checks none."""
    return getattr(check, "action", None)


def table(actions: Iterable[Action] = ACTIONS) -> str:
    """The table of actions, as it stands in docs/permissions.md."""
    return rows("action", ((f"`{action}`", action) for action in actions))


def rows(heading: str, named: Iterable[tuple[str, Action]]) -> str:
    """A table with a row for each thing that asks for an action, and a column for each role."""
    lines = [(heading, *ROLES), ("---", *("---" for _ in ROLES))]
    lines += [(name, *(_cell(role, PERMISSIONS[action]) for role in ROLES)) for name, action in named]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _cell(role: Role, permitted: Roles) -> str:
    if role not in permitted:
        return ""
    return "own" if role == "customer" else "yes"
