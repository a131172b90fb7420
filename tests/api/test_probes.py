"""What monitors ask: whether a process lives, whether it is ready and why not, and the documented metrics."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

from ledger.store.connecting import connect
from ledger.store.database import beside
from makegood.answers.metrics import METRICS
from makegood.answers.readiness import KEPT_SECONDS, Readiness
from makegood.api.serving import CannotListen
from makegood.house.opening import House
from tests.api.conftest import Api
from tests.api.test_serving import key_of, running
from tests.door.conftest import Door

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
HEAD = "| metric | labels | meaning |\n| --- | --- | --- |\n"


def table() -> str:
    """The table of metrics, as docs/metrics.md has it."""
    rows = (f"| `{m.name}` | {', '.join(f'`{label}`' for label in m.labels)} | {m.says} |\n" for m in METRICS)
    return HEAD + "".join(rows)


def with_table(page: str) -> str:
    """The page with its table as the program says it today; what stands before it stays."""
    return page.partition(HEAD)[0] + table()


def statements(store: str, *statements: str) -> None:
    with closing(connect(store)) as database, database.writing() as transaction:
        for statement in statements:
            transaction.run(statement)


def checks(answer: httpx.Response) -> dict[str, bool]:
    return {check["check"]: check["passed"] for check in answer.json()["checks"]}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No result is kept, so that a change shows at once."""
    monkeypatch.setattr("makegood.answers.readiness.KEPT_SECONDS", 0.0)


class TestReadiness:
    def test_a_process_that_works_is_alive_and_ready_and_tells_anybody(self, api: Api) -> None:
        assert api.http.get("/livez").json() == {"alive": True}
        answer = api.http.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
        assert checks(answer) == {"store": True, "version": True, "vault": True, "draining": True}
        assert [check["next"] for check in answer.json()["checks"]] == [None] * 4

    def test_without_its_vault_it_is_alive_and_not_ready(self, api: Api, store: str, at_once: None) -> None:
        statements(beside(store, "vault"), "ALTER TABLE vault_keys RENAME TO lost_keys")
        try:
            answer = api.http.get("/readyz")
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["retry-after"]
            assert checks(answer) == {"store": True, "version": True, "vault": False, "draining": True}
            assert (
                answer.json()["detail"] == "not ready: vault (restore the vault's database as `makegood status` says)"
            )
            assert api.http.get("/livez").status_code == 200
        finally:
            statements(beside(store, "vault"), "ALTER TABLE lost_keys RENAME TO vault_keys")
        assert api.http.get("/readyz").status_code == 200

    def test_a_store_that_lacks_a_table_is_not_up_to_date(self, api: Api, store: str, at_once: None) -> None:
        statements(store, "DROP TABLE alarms_v1")
        answer = api.http.get("/readyz")
        assert answer.status_code == 503
        assert checks(answer) == {"store": True, "version": False, "vault": True, "draining": True}
        assert "makegood migrate" in answer.json()["detail"]

    def test_what_is_no_store_any_more_is_told_as_unreachable(self, api: Api, store: str, at_once: None) -> None:
        statements(store, "ALTER TABLE store RENAME TO gone")
        try:
            answer = api.http.get("/readyz")
            assert answer.status_code == 503
            assert checks(answer) == {"store": False, "version": False, "vault": False, "draining": True}
        finally:
            statements(store, "ALTER TABLE gone RENAME TO store")

    def test_nothing_of_addresses_or_errors_is_told(self, api: Api, store: str, at_once: None) -> None:
        """Anybody may ask."""
        statements(beside(store, "vault"), "ALTER TABLE vault_keys RENAME TO lost_keys")
        try:
            said = api.http.get("/readyz").text
        finally:
            statements(beside(store, "vault"), "ALTER TABLE lost_keys RENAME TO vault_keys")
        assert "sqlite" not in said
        assert "postgres" not in said
        assert "vault_keys" not in said

    def test_one_that_shuts_down_is_not_ready(self, api: Api) -> None:
        api.app.state.draining = lambda: True
        answer = api.http.get("/readyz")
        assert answer.status_code == 503
        assert checks(answer) == {"store": True, "version": True, "vault": True, "draining": False}

    def test_the_databases_are_asked_at_most_once_a_second(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        now, asked = [0.0], []
        readiness = Readiness(lambda: False, lambda: now[0])
        check = api.house.vault.check

        def counted() -> None:
            asked.append(now[0])
            check()

        monkeypatch.setattr(api.house.vault, "check", counted)
        for at in (0.0, 0.5, KEPT_SECONDS, KEPT_SECONDS + 0.9, 2 * KEPT_SECONDS):
            now[0] = at
            assert all(check["passed"] for check in readiness.checks(api.house))
        assert asked == [0.0, KEPT_SECONDS, 2 * KEPT_SECONDS]


class TestMetrics:
    def test_the_document_lists_them_all(self) -> None:
        there = PAGE.read_text(encoding="utf-8")
        assert with_table(there) == there, "run `python -m tests.api.test_probes`"

    @pytest.mark.parametrize("role", ["operator", "auditor", "provisioning"])
    def test_who_may_read_the_status_may_read_them(self, api: Api, role: str) -> None:
        assert api.ask(api.key(role), "/metrics").status_code == 200  # type: ignore[arg-type]

    def test_nobody_else_may(self, api: Api) -> None:
        assert api.http.get("/metrics").status_code == 401
        assert api.ask(api.key("support"), "/metrics").status_code == 403

    def test_they_are_the_numbers_of_the_status(self, api: Api) -> None:
        key = api.key("operator")
        answer = api.ask(key, "/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        told = {
            (sample.name, tuple(sample.labels.items())): sample.value
            for family in read_prometheus(answer.text)
            for sample in family.samples
        }
        status = {
            (name, tuple((label, value) for label, value in sample.items() if label != "value")): sample["value"]
            for name, samples in api.json(key, "/status")["metrics"].items()
            for sample in samples
        }
        changing = ("makegood_store_clock_seconds", "makegood_store_events")
        assert {k: v for k, v in told.items() if k[0] not in changing} == {
            k: v for k, v in status.items() if k[0] not in changing
        }
        assert {name for name, _ in told} <= {metric.name for metric in METRICS}, "and none of other libraries"

    def test_a_caller_that_accepts_openmetrics_gets_it(self, api: Api) -> None:
        accept = {"Accept": "application/openmetrics-text; version=1.0.0,text/plain;version=0.0.4;q=0.5"}
        answer = api.ask(api.key("operator"), "/metrics", headers=accept)
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        families = {family.name: family for family in read_open_metrics(answer.text)}
        assert families["makegood_status"].documentation.startswith("0 if all is well")
        assert families["makegood_timers_lag_seconds"].unit == "seconds"


class TestAnAddressOfTheirOwn:
    """`MAKEGOOD_PROBES`, for a process that runs other parts than the API."""

    def test_parts_without_the_api_answer_monitors(self, sandbox: Door) -> None:
        with running(sandbox.store, "timers", "projector", MAKEGOOD_PROBES="127.0.0.1:0") as makegood:
            makegood.wait_for("ready")
            assert httpx.get(f"{makegood.address}/readyz").json()["ready"] is True
            assert httpx.get(f"{makegood.address}/livez").json() == {"alive": True}
            headers = key_of(sandbox, "operator")
            metrics = httpx.get(f"{makegood.address}/metrics", headers=headers)
            assert metrics.text.splitlines()[2].startswith("makegood_status ")
            assert httpx.get(f"{makegood.address}/status", headers=headers).status_code == 404
            assert makegood.end() == 0

    def test_a_port_that_is_taken_is_named_by_its_setting(self, house_with: Callable[[str], House]) -> None:
        from makegood.api.serving import listening
        from makegood.program.running import parts_for

        with listening("127.0.0.1:0") as taken:
            house = house_with(f"127.0.0.1:{taken.getsockname()[1]}")
            with pytest.raises(CannotListen, match="set MAKEGOOD_PROBES to another HOST:PORT"):
                parts_for(house, None, ["timers"])


@pytest.fixture
def house_with(api: Api) -> Callable[[str], House]:
    house = api.house

    def with_probes(address: str) -> House:
        settings = house.settings.model_copy(update={"probes": address})
        return House(settings, house.database, house.vault, house.projections)

    return with_probes


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
