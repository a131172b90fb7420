"""Who may what: denied by default, by one table, and a customer cannot tell another's account from none."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from ledger.events import ROLES, Role
from makegood.access.permissions import ACTIONS, PERMISSIONS, Scope, may, table
from makegood.api.app import WITHOUT_PERMISSION, create_app, endpoints, table_of_endpoints, without_permission
from makegood.api.guard import action_of
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from makegood.house.stop import Stop
from tests.api.conftest import Api

PAGE = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"


def routes_of(api: Api) -> list[APIRoute]:
    return [route for route in api.app.routes if isinstance(route, APIRoute) and action_of(route) is not None]


def address_of(route: APIRoute, account: str) -> str:
    path = route.path.replace("{account_id}", account).replace("{position}", "999999").replace("{name}", "standard")
    asked = {"/explanations": "id=unused/c", "/search": "text=zander"}.get(path)
    return f"{path}?{asked}" if asked is not None else path


def with_tables(page: str) -> str:
    """The page with its tables as the program says them today; what is written around them stays."""
    for table_of_today in (table(), table_of_endpoints()):
        head = table_of_today.partition("\n")[0]
        before, _, rest = page.partition(f"\n{head}\n")
        after = rest.partition("\n\n")
        page = f"{before}\n{table_of_today}{after[1] and chr(10)}{after[2]}"
    return page


class TestTheTable:
    def test_every_action_has_its_row_and_nothing_else_has_one(self) -> None:
        assert set(PERMISSIONS) == set(ACTIONS)

    def test_the_document_says_what_the_table_says(self) -> None:
        there = PAGE.read_text(encoding="utf-8")
        assert with_tables(there) == there, "run `python -m tests.api.test_permissions`"

    def test_the_document_names_what_nobody_needs_permission_for(self) -> None:
        there = PAGE.read_text(encoding="utf-8")
        assert [path for path in WITHOUT_PERMISSION if f" {path}`" not in there] == []

    def test_an_auditor_reads_everything_and_changes_nothing(self) -> None:
        reads = {action for action in ACTIONS if action.partition(".")[2].startswith(("read", "search"))}
        assert {action for action in ACTIONS if "auditor" in PERMISSIONS[action]} == reads

    def test_an_operator_sees_no_money(self) -> None:
        assert {action for action in ACTIONS if "operator" in PERMISSIONS[action]} == {
            "waiting.read",
            "dead_letter.read",
            "aside.read",
            "lost_range.read",
            "agreement.read",
            "notice.read",
            "status.read",
            "dead_letter.replay",
            "aside.replay",
            "notice.decide",
            "projection.rebuild",
        }

    def test_who_proposes_goodwill_does_not_decide_about_it(self) -> None:
        assert PERMISSIONS["goodwill.propose"] & PERMISSIONS["goodwill.decide"] == set()

    def test_roles_add_up_and_a_customers_are_for_their_accounts(self) -> None:
        both: list[tuple[Role, str | None]] = [("customer", "a"), ("customer", "b")]
        assert may("account.read", []) is None
        assert may("account.read", [("operator", None)]) is None
        assert may("account.read", both) == Scope(frozenset({"a", "b"}))
        assert may("account.read", [*both, ("support", None)]) == Scope(None)
        assert may("history.read", both) is None
        assert may("complaint.resolve", [*both, ("provisioning", None)]) is None


class TestRoutes:
    def test_every_route_names_its_action_but_those_that_are_for_anybody(self, api: Api) -> None:
        assert {route.path for route in without_permission(api.app)} <= WITHOUT_PERMISSION
        assert endpoints(api.app) == endpoints()

    def test_a_route_that_names_none_stops_the_start(self, sandbox) -> None:
        router = APIRouter()

        @router.get("/secrets")
        def secrets() -> dict[str, bool]:
            return {"told": True}

        with open_house(Settings(store=sandbox.store)) as house, pytest.raises(Stop, match="/secrets"):
            create_app(house, [router])

    def test_every_route_asks_the_table(self, api: Api) -> None:
        """Whatever else is wrong with the request, who may not is told so, and who may is not."""
        keys = {role: api.key(role, *(["acct-1"] if role == "customer" else [])) for role in ROLES}
        nobody = api.key(None)
        for route in routes_of(api):
            action = action_of(route)
            assert action is not None
            for method in route.methods:
                for role, key in keys.items():
                    answer = api.ask(key, address_of(route, "acct-1"), method)
                    permitted = role in PERMISSIONS[action]
                    assert (answer.status_code not in (401, 403)) == permitted, (
                        method,
                        route.path,
                        role,
                        answer.text,
                    )
                assert api.ask(nobody, address_of(route, "acct-1"), method).status_code == 403
                assert api.http.request(method, address_of(route, "acct-1")).status_code == 401

    def test_who_lacks_the_role_learns_nothing_of_which_accounts_there_are(self, busy: Api) -> None:
        key = busy.key("operator")
        for route in routes_of(busy):
            if "{account_id}" in route.path:
                [method] = route.methods
                there, not_there = (busy.ask(key, address_of(route, of), method) for of in ("acct-0006", "acct-9999"))
                assert there.status_code == 403
                assert there.text.replace("acct-0006", "acct-9999") == not_there.text


def seen_by_customers(refund: dict[str, Any]) -> dict[str, Any]:
    """A refund less what the provider's people go by."""
    return {name: value for name, value in refund.items() if name not in ("proposal", "approved_by", "waits_for")}


class TestCustomers:
    def test_a_customer_reads_their_own_account_and_nothing_of_any_other(self, busy: Api) -> None:
        key, everything = busy.key("customer", "acct-0006"), busy.key("auditor")
        whole = busy.json(everything, "/accounts/acct-0006")
        assert whole["alarms"]
        shown = {name: part for name, part in whole.items() if name not in ("goodwill", "alarms", "instructions")}
        shown["refunds"] = [seen_by_customers(refund) for refund in shown["refunds"]]
        assert busy.json(key, "/accounts/acct-0006") == shown
        for path in ("/claims", "/refunds", "/credits", "/disputes", "/complaints"):
            own = busy.json(everything, f"{path}?account=acct-0006&limit=1000")
            own = [seen_by_customers(row) for row in own] if path == "/refunds" else own
            assert busy.json(key, f"{path}?limit=1000") == own, path
            assert len(busy.json(everything, f"{path}?limit=1000")) > len(own) or path == "/complaints"
            assert busy.json(key, f"{path}?account=acct-0007") == []
            assert busy.json(key, f"{path}?account=acct-9999") == []
        assert busy.every_page(key, "/claims", 1) == busy.json(key, "/claims")

    def test_anothers_account_and_one_that_is_not_there_look_alike(self, busy: Api) -> None:
        key = busy.key("customer", "acct-0006")
        others_claim = busy.json(busy.key("auditor"), "/claims?account=acct-0007")[0]["claim_id"]
        for path in (
            "/accounts/{}",
            "/accounts/{}?as_of=2026-03-01T00:00:00Z",
            f"/explanations?id={others_claim}&account={{}}",
            "/accounts/{}?nothing=known",
        ):
            answers = [busy.ask(key, path.format(of)) for of in ("acct-0007", "acct-9999", "system", "acct%2F0006")]
            assert {answer.status_code for answer in answers} == {422 if "nothing" in path else 404}
            texts = {
                answer.text.replace(of, "X")
                for of, answer in zip(("acct-0007", "acct-9999", "system", "acct%2F0006"), answers, strict=True)
            }
            assert len(texts) == 1, path
            headers = [{k: v for k, v in a.headers.items() if k not in ("date", "content-length")} for a in answers]
            assert all(each == headers[0] for each in headers)

    def test_an_explanation_is_looked_for_among_their_accounts_only(self, busy: Api) -> None:
        key, auditor = busy.key("customer", "acct-0006"), busy.key("auditor")
        own = busy.json(key, "/claims")[0]["claim_id"]
        other = busy.json(auditor, "/claims?account=acct-0007")[0]["claim_id"]
        assert busy.json(key, f"/explanations?id={own}")["account_id"] == "acct-0006"
        hidden, absent = busy.ask(key, f"/explanations?id={other}"), busy.ask(key, "/explanations?id=unused/nothing")
        assert (hidden.status_code, hidden.text) == (404, absent.text)
        assert busy.json(auditor, f"/explanations?id={other}")["account_id"] == "acct-0007"

    def test_what_the_provider_did_is_for_auditors(self, busy: Api) -> None:
        assert busy.json(busy.key("auditor"), "/accounts/system/history")[0]["name"] == "AgreementPublished"
        support = busy.key("support")
        hidden, absent = (busy.ask(support, f"/accounts/{of}/history") for of in ("system", "acct-9999"))
        assert (hidden.status_code, hidden.text) == (404, absent.text.replace("acct-9999", "system"))


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
