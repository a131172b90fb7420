"""What monitors ask of a process: whether it lives, whether it is ready, and its metrics."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from makegood.access.caller import Caller
from makegood.answers import status as standing
from makegood.answers.metrics import exposed
from makegood.answers.readiness import Readiness, Ready
from makegood.api.guard import Guarded, TheHouse, allowed
from makegood.api.problems import problem, unavailable

probes = APIRouter(tags=["Machinery"], route_class=Guarded)

_TEXTS = {media: {"schema": {"type": "string"}} for media in ("text/plain", "application/openmetrics-text")}


@probes.get("/healthz", summary="Health check")
def healthz() -> dict[str, bool]:
    """Tells only that the process runs; it checks neither database nor broker. `GET /status` has the full status."""
    return {"alive": True}


@probes.get("/livez", summary="Liveness check")
def livez() -> dict[str, bool]:
    """Tells only that the process runs, as `GET /healthz` does; one that does not answer should be restarted."""
    return {"alive": True}


@probes.get(
    "/readyz",
    summary="Readiness check",
    responses={200: {"model": Ready, "description": "Ready"}, 503: {"description": "Not ready"}},
)
def readyz(request: Request, house: TheHouse) -> Response:
    """Checks that the store is reachable and up to date, that the vault is there, and that the process is not
    shutting down. Otherwise the answer is 503, and its member `checks` tells which check failed."""
    readiness: Readiness = request.app.state.readiness
    checks = readiness.checks(house)
    failed = [check for check in checks if not check["passed"]]
    if not failed:
        return JSONResponse(Ready(ready=True, checks=checks))
    found = ", ".join(f"{check['check']} ({check['next']})" for check in failed)
    return problem(request.url.path, unavailable(f"not ready: {found}"), {"checks": checks})


@probes.get(
    "/metrics",
    summary="Get the metrics",
    response_class=Response,
    responses={200: {"content": _TEXTS, "description": "The metrics"}},
)
def metrics(request: Request, house: TheHouse, _: Annotated[Caller, allowed("status.read")]) -> Response:
    """The numbers of `GET /status` in the text format of Prometheus, or in that of OpenMetrics if it is accepted."""
    content, media = exposed(standing.samples(standing.look_around(house)), request.headers.get("accept", ""))
    return Response(content, headers={"Content-Type": media})
