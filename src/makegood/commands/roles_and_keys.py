"""Who may do what: roles and API keys. Each grant, issue and revocation is an event of the account `system`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import Actor, Json, Store, access_app, key_app, opened, show_list
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from ledger.application.acts import By
    from ledger.events import Grant
    from makegood.answers.done import KeyIssued, KeyRevoked, RoleChanged

Principal = Annotated[
    str, typer.Argument(metavar="PRINCIPAL", help="Who: the subject of their OIDC token, or a name for a machine.")
]
RoleName = Annotated[
    str,
    typer.Argument(metavar="ROLE", help="provisioning, support, finance, approver, auditor, customer or operator."),
]
OfAccount = Annotated[str | None, typer.Option("--account", help="The account of a customer.")]
OfPrincipal = Annotated[str | None, typer.Option("--principal", help="Only those of this principal.")]


@access_app.command("grant")
def access_grant(
    principal: Principal,
    role: RoleName,
    account: OfAccount = None,
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> None:
    """Give a person or machine a role; a customer's is for one account."""
    _change("grant", principal, role, account, actor, store, json)


@access_app.command("revoke")
def access_revoke(
    principal: Principal,
    role: RoleName,
    account: OfAccount = None,
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> None:
    """Take a role away; it is gone when the command returns."""
    _change("revoke", principal, role, account, actor, store, json)


@access_app.command("list")
def access_list(principal: OfPrincipal = None, store: Store = "", json: Json = False) -> None:
    """List who has which role."""
    from makegood.commands.terminal.tables import ROLES
    from projections import access

    show_list(
        store,
        json,
        lambda house: access.grants(house.database, principal),
        ROLES,
        title="Roles",
        empty="nobody has a role; next: makegood access grant PRINCIPAL ROLE",
    )


@key_app.command("issue")
def key_issue(principal: Principal, actor: Actor = "", store: Store = "", json: Json = False) -> None:
    """Issue a key for a principal. It is shown now and never again: only a hash of it is kept."""
    import sys

    from ledger.application.access import issue_key
    from makegood.commands.terminal.printing import print_json, say

    with opened(store) as house:
        issued = issue_key(house.ledger, principal, _by(actor))
        house.projections.catch_up()
    if json:
        shown: KeyIssued = {"key_id": issued.key_id, "principal": principal, "key": issued.text}
        print_json(shown)
    else:
        sys.stdout.write(issued.text + "\n")
        say(
            f"this is key {issued.key_id} of {principal}, and it is shown only now; it may what {principal}'s roles "
            f"permit, see `makegood access list --principal {principal}`"
        )


@key_app.command("revoke")
def key_revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As `makegood access key list` shows it.")],
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> None:
    """Have a key open nothing any more; so it is when the command returns."""
    from ledger.application.access import revoke_key
    from makegood.commands.terminal.printing import print_json, say

    with opened(store) as house:
        new = revoke_key(house.ledger, key_id, _by(actor))
        house.projections.catch_up()
    if json:
        revoked: KeyRevoked = {"key_id": key_id, "changed": new}
        print_json(revoked)
    else:
        say(f"{key_id}: {'revoked' if new else 'was revoked before'}")


@key_app.command("list")
def key_list(principal: OfPrincipal = None, store: Store = "", json: Json = False) -> None:
    """List the keys that open the door, without their secrets."""
    from makegood.commands.terminal.tables import API_KEYS
    from projections import access

    show_list(
        store,
        json,
        lambda house: access.keys(house.database, principal),
        API_KEYS,
        title="API keys",
        empty="no API key stands; next: makegood access key issue PRINCIPAL",
    )


def _change(what: str, principal: str, role: str, account: str | None, actor: str, store: str, json: bool) -> None:
    from ledger.application import access
    from makegood.commands.terminal.printing import print_json, say

    asked = _grant(principal, role, account)
    with opened(store) as house:
        new = (access.grant if what == "grant" else access.revoke)(house.ledger, asked, _by(actor))
        house.projections.catch_up()
    if json:
        answer: RoleChanged = {
            "principal": asked.principal,
            "role": asked.role,
            "account_id": asked.account_id,
            "changed": new,
        }
        print_json(answer)
    else:
        of = f" of account {account}" if account else ""
        said = {
            ("grant", True): "granted",
            ("grant", False): "had it already",
            ("revoke", True): "revoked",
            ("revoke", False): "did not have it",
        }[what, new]
        say(f"{principal}, {role}{of}: {said}")


def _grant(principal: str, role: str, account: str | None) -> Grant:
    from ledger.events import ROLES, Grant

    for known in ROLES:
        if role == known:
            return Grant(principal=principal, role=known, account_id=account)
    raise Stop(f"there is no role {role!r}; the roles are {', '.join(ROLES)}")


def _by(actor: str) -> By:
    from ledger.application.acts import By
    from makegood.house.actor import actor_of

    return By(actor_of(actor), "cli")
