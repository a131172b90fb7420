"""Roles and API keys, as an administrator meets them."""

import os
import pwd
from pathlib import Path

import pytest

from tests.door.conftest import USER, Door
from tests.ledger.books import STANDARD


def test_roles_are_granted_listed_and_revoked(sandbox: Door) -> None:
    assert "access grant" in sandbox("access", "list")
    given = sandbox.json("access", "grant", "portal-7", "customer", "--account", "acct-1", "--actor", "/ops/bob")
    assert given == {"principal": "portal-7", "role": "customer", "account_id": "acct-1", "changed": True}
    assert sandbox.json("access", "grant", "portal-7", "customer", "--account", "acct-1")["changed"] is False
    sandbox("access", "grant", "auth0|7f", "auditor")
    assert "auth0|7f, auditor: granted" in sandbox.errors
    rows = sandbox.json("access", "list")
    assert [(row["principal"], row["role"], row["account_id"]) for row in rows] == [
        ("auth0|7f", "auditor", None),
        ("portal-7", "customer", "acct-1"),
    ]
    assert rows[1]["granted_by"] == f"{USER} for /ops/bob"
    assert len(sandbox.json("access", "list", "--principal", "portal-7")) == 1
    sandbox("access", "revoke", "portal-7", "customer", "--account", "acct-1")
    assert sandbox.json("access", "list", "--principal", "portal-7") == []
    assert [event["name"] for event in sandbox.json("history", "system")][1:] == [
        "RoleGranted",
        "RoleGranted",
        "RoleRevoked",
    ]


def test_what_makes_no_sense_is_told(sandbox: Door) -> None:
    sandbox("access", "grant", "portal-7", "boss", exits=1)
    assert "provisioning, support, finance" in sandbox.errors
    sandbox("access", "grant", "portal-7", "customer", exits=1)
    assert "--account" in sandbox.errors
    sandbox("access", "key", "revoke", "0" * 16, exits=1)
    assert "access key list" in sandbox.errors
    assert sandbox.json("access", "list") == []


def test_a_key_is_shown_once(sandbox: Door) -> None:
    key = sandbox("access", "key", "issue", "billing-1").strip()
    assert "only once" in sandbox.errors
    other = sandbox.json("access", "key", "issue", "billing-2")
    [first, second] = sandbox.json("access", "key", "list")
    assert key.startswith(f"mg_{first['key_id']}_")
    assert (second["key_id"], second["principal"]) == (other["key_id"], "billing-2")
    assert key.rpartition("_")[2] not in sandbox("access", "key", "list") + sandbox("history", "system", "--json")
    sandbox("access", "key", "revoke", first["key_id"])
    assert sandbox.json("access", "key", "revoke", first["key_id"]) == {"key_id": first["key_id"], "changed": False}
    assert [row["key_id"] for row in sandbox.json("access", "key", "list")] == [other["key_id"]]


def test_a_typed_name_is_not_a_proven_one(sandbox: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `--as desk` records is not what the principal `desk` would, and the environment is not believed."""
    monkeypatch.setenv("LOGNAME", "desk")
    monkeypatch.setenv("USER", "desk")
    for option, role in (("--as", "auditor"), ("--actor", "support")):
        sandbox("access", "grant", "felix", role, option, "desk")
    sandbox("access", "key", "issue", "felix")
    actors = [event["actor"] for event in sandbox.json("history", "system")][1:]
    assert actors == [f"{USER} for desk", f"{USER} for desk", USER]
    assert pwd.getpwuid(os.getuid()).pw_name in USER


@pytest.mark.parametrize("name", ["/makegood/cli/root", "root for desk", "zoe@provider.example"])
def test_a_typed_name_must_be_one_that_a_principal_could_have(sandbox: Door, name: str) -> None:
    sandbox("access", "grant", "felix", "auditor", "--as", name, exits=1)
    assert "the name given with --as must" in sandbox.errors
    assert sandbox.json("access", "list") == []
    sandbox("access", "grant", name, "auditor", exits=1)
    assert "the name of a principal must" in sandbox.errors


def test_whoever_publishes_an_agreement_is_recorded(sandbox: Door, tmp_path: Path) -> None:
    terms = tmp_path / "another.toml"
    terms.write_text(STANDARD.replace('name = "standard"', 'name = "another"'), encoding="utf-8")
    sandbox("agreement", "publish", str(terms), "--as", "desk")
    assert sandbox.json("history", "system")[-1]["actor"] == f"{USER} for desk"
