"""Roles and API keys, as an administrator meets them."""

from tests.door.conftest import Door


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
    assert rows[1]["granted_by"] == "/ops/bob"
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
