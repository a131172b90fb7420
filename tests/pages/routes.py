"""The pages and forms that an application has, each with what stands in its address over the life in `life.py`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import FastAPI

from makegood.access.permissions import PERMISSIONS
from makegood.api.app import Endpoint, endpoints
from makegood.pages.console import deciding
from makegood.pages.console.customer_acts import ACTS
from tests.pages.site import Who

OF_THE_API = {(endpoint.method, endpoint.path) for endpoint in endpoints()}
IN_PATH: Mapping[str, str] = {
    "month": "2026-03",
    "period": "2026-03",
    "position": "1",
    "name": "standard",
    "subscription": "sub-1",
    "subscription_id": "sub-1",
    "outage": "out-1",
    "outage_id": "out-1",
    "dispute": "dis-1",
    "dispute_id": "dis-1",
    "complaint": "com-1",
    "complaint_id": "com-1",
    "credit": "gw-1",
    "credit_id": "gw-1",
    "refund": "refund/billing-error/dis-1-confirmed/1",
    "refund_id": "refund/billing-error/dis-1-confirmed/1",
    "claim": "unused/cyc-1",
    "claim_id": "unused/cyc-1",
    "version": "1",
    "what": "refunds",
}
"""What stands in a path for what it names, if that is not an account. Anything else is `x`, which nothing is."""
DECIDED_ABOUT = {
    deciding.REFUND: "refund/billing-error/dis-1-confirmed/1",
    deciding.GOODWILL: "gw-1",
    deciding.CREDIT: "credit/goodwill/gw-1-given/1",
    deciding.CLAIM: "billing-error/dis-1-over",
}
ASKED_WITH: Mapping[str, str] = {
    "/console/explanations": "?id=billing-error/dis-paid-1",
    **{kind.path: f"?id={id_}" for kind, id_ in DECIDED_ABOUT.items()},
    "/portal/{account}/why": "?id=unused/cyc-1",
    "/portal/{account}/complaints": "?id=com-1",
    "/portal/{account}/cancel": "?subscription=sub-second-1",
    "/portal/{account}/withdraw": "?subscription=sub-second-1",
    **{f"{kind.path}/{each.name}": f"?id={id_}" for kind, id_ in DECIDED_ABOUT.items() for each in kind.choices},
    "/console/search": "?text=Zoe",
    "/console/accounts/{account}/complaint": "?id=com-1",
    **{f"/console/accounts/{{account}}/{act.name}": "?id=com-1" for act in ACTS if act.of_complaint},
}
"""What a page is asked with that shows nothing by itself."""


def pages_and_forms(app: FastAPI) -> tuple[list[Endpoint], list[Endpoint]]:
    """The pages that somebody looks at and the forms that they send, of all that need a permission."""
    found = [each for each in endpoints(app) if (each.method, each.path) not in OF_THE_API]
    return [each for each in found if each.method == "GET"], [each for each in found if each.method != "GET"]


def may(who: Who, endpoint: Endpoint) -> bool:
    """Whether somebody of a role is permitted; the console is the provider's, whatever customers may read, and the
    portal the customers', whatever others may."""
    permitted = who in PERMISSIONS[endpoint.action]
    return permitted and not endpoint.path.startswith("/console" if who == "customer" else "/portal")


@dataclass(frozen=True)
class Asked:
    """What somebody asks for: a page or, with fields, a form that is sent."""

    endpoint: Endpoint
    account: str

    @property
    def path(self) -> str:
        """The address, with everything that it names."""
        named = re.findall(r"{(\w+)(?::\w+)?}", self.endpoint.path)
        path = re.sub(r":\w+}", "}", self.endpoint.path)
        path = path.format(**{name: quote(self._named(name), safe="") for name in named})
        return path + ASKED_WITH.get(self.endpoint.path, "")

    def _named(self, name: str) -> str:
        return self.account if name in ("account", "account_id") else IN_PATH.get(name, "x")

    @property
    def is_of_an_account(self) -> bool:
        return "{account" in self.endpoint.path
