"""Access: roles and API keys. Each grant, issue and revocation is an event of the account `system`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import Actor, ColumnsOption, Json, Store, access_app, key_app, opened_provider, show_list
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from ledger.application.acts import By
    from ledger.events import Grant
    from makegood.answers.done import KeyIssued, KeyRevoked, RoleChanged

Principal = Annotated[
    str, typer.Argument(metavar="PRINCIPAL", help="The subject of a person's OIDC token, or a machine's name.")
]
RoleName = Annotated[
    str,
    typer.Argument(metavar="ROLE", help="provisioning, support, finance, approver, auditor, customer or operator."),
]
OfAccount = Annotated[str | None, typer.Option("--account", help="The customer's account, for the role customer.")]
OfPrincipal = Annotated[str | None, typer.Option("--principal", help="Only this principal.")]


@access_app.command("grant")
def access_grant(
    principal: Principal,
    role: RoleName,
    account: OfAccount = None,
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> None:
    """Grant a role to a person or machine; the role customer is for one account."""
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
    """Revoke a role, with immediate effect."""
    _change("revoke", principal, role, account, actor, store, json)


@access_app.command("list")
def access_list(
    principal: OfPrincipal = None,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """List the roles granted."""
    from makegood.commands.terminal.tables import ROLES
    from projections import access

    show_list(
        store,
        json,
        lambda house: access.grants(house.database, principal),
        ROLES,
        chosen=columns,
        first_only=True,
        title="Roles",
        empty="no roles granted; next: makegood access grant PRINCIPAL ROLE",
    )


@key_app.command("issue")
def key_issue(principal: Principal, actor: Actor = "", store: Store = "", json: Json = False) -> None:
    """Issue an API key for a principal. It is shown only once: only a hash of it is kept."""
    import sys

    from ledger.application.access import issue_key
    from makegood.commands.terminal.printing import print_json, say

    with opened_provider(store) as house:
        issued = issue_key(house.ledger, principal, _by(actor))
        house.projections.catch_up()
    if json:
        shown: KeyIssued = {"key_id": issued.key_id, "principal": principal, "key": issued.text}
        print_json(shown)
    else:
        sys.stdout.write(issued.text + "\n")
        say(
            f"key {issued.key_id} of {principal}; it is shown only once. It has the permissions of {principal}'s "
            f"roles: see `makegood access list --principal {principal}`"
        )


@key_app.command("revoke")
def key_revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, from `makegood access key list`.")],
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> None:
    """Revoke an API key, with immediate effect."""
    from ledger.application.access import revoke_key
    from makegood.commands.terminal.printing import print_json, say

    with opened_provider(store) as house:
        new = revoke_key(house.ledger, key_id, _by(actor))
        house.projections.catch_up()
    if json:
        revoked: KeyRevoked = {"key_id": key_id, "changed": new}
        print_json(revoked)
    else:
        say(f"{key_id}: {'revoked' if new else 'already revoked'}")


@key_app.command("list")
def key_list(
    principal: OfPrincipal = None,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """List the valid API keys, without their secrets."""
    from makegood.commands.terminal.tables import API_KEYS
    from projections import access

    show_list(
        store,
        json,
        lambda house: access.keys(house.database, principal),
        API_KEYS,
        chosen=columns,
        first_only=True,
        title="API keys",
        empty="no valid API keys; next: makegood access key issue PRINCIPAL",
    )


def _change(what: str, principal: str, role: str, account: str | None, actor: str, store: str, json: bool) -> None:
    from ledger.application import access
    from makegood.commands.terminal.printing import print_json, say

    asked = _grant(principal, role, account)
    with opened_provider(store) as house:
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
            ("grant", False): "already granted",
            ("revoke", True): "revoked",
            ("revoke", False): "not granted, nothing to revoke",
        }[what, new]
        say(f"{principal}, {role}{of}: {said}")


def _grant(principal: str, role: str, account: str | None) -> Grant:
    from ledger.events import ROLES, Grant

    for known in ROLES:
        if role == known:
            return Grant(principal=principal, role=known, account_id=account)
    raise Stop(f"unknown role {role!r}; the roles are {', '.join(ROLES)}")


def _by(actor: str) -> By:
    from ledger.application.acts import By
    from makegood.house.actor import actor_of

    return By(actor_of(actor), "cli")
