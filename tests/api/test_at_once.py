"""Many people do one thing at once, over real HTTP, at one server and at two: it happens once, and the rest are told.

What may happen once is one that names an id of its own, or that decides what is decided once. What may happen again
and again happens as often as it was asked for, and nobody is told to try again.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import pytest

from ledger.application.access import grant, issue_key
from ledger.application.acts import By
from ledger.application.agreements import publish
from ledger.application.record import take
from ledger.events import Grant, Role
from ledger.store.reading.events import events_of_types
from makegood.house.opening import House, open_house
from makegood.house.settings import Settings
from tests.api.desk import Served
from tests.ledger.books import STANDARD
from tests.ledger.messages import Upstream, read
from tests.parts.loaded import Program
from tests.parts.postgres import Postgres

PEOPLE: dict[str, Role] = {"anna": "support", "ada": "approver", "paula": "provisioning", "felix": "finance"}
AT_ONCE = 12
ROUNDS = 5
BY = By("/ops/tests", "cli")
NUMBERS = count(1)


@dataclass
class Town:
    """A store with three servers at it: one in this process, and two in processes of their own."""

    house: House
    keys: dict[str, str]
    here: httpx.Client
    elsewhere: list[httpx.Client]
    at: list[httpx.Client] = field(default_factory=list)
    """The servers that this story asks, in turn."""

    def account(self) -> str:
        """A new customer who complained."""
        account = f"acct-{next(NUMBERS)}"
        upstream = Upstream(account, source=f"/upstream/{account}")
        told = [*upstream.customer(), upstream.complaint_opened("com-0")]
        assert take(self.house.ledger, [read(message) for message in told]).accepted == len(told)
        return account

    def post(self, who: str, path: str, body: object, key: str, number: int = 0) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[who]}", "Idempotency-Key": key}
        return self.at[number % len(self.at)].post(path, json=body, headers=headers)

    def at_once(self, ask: Callable[[int], httpx.Response]) -> list[httpx.Response]:
        """Twelve ask at the same moment."""
        moment = threading.Barrier(AT_ONCE)

        def one(number: int) -> httpx.Response:
            moment.wait(20)
            return ask(number)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(one, range(AT_ONCE)))

    def recorded(self, account: str, *types: str) -> int:
        with self.house.database.reading() as transaction:
            return len(events_of_types(transaction, account, types))


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def stored_at(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "SQLite":
        yield f"sqlite:///{tmp_path_factory.mktemp('at-once')}/books.db"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="module")
def whole_town(stored_at: str) -> Iterator[Town]:
    with ExitStack() as closing:
        house = closing.enter_context(open_house(Settings(store=stored_at, request_rate=0), create=True))
        publish(house.ledger, STANDARD, actor="/ops/tests", channel="cli")
        for principal, role in PEOPLE.items():
            grant(house.ledger, Grant(principal=principal, role=role, account_id=None), BY)
        keys = {who: issue_key(house.ledger, who, BY).text for who in PEOPLE}
        house.projections.catch_up()
        processes = [closing.enter_context(process(stored_at)) for _ in range(2)]
        yield Town(house, keys, Served.begin(house, closing).http, [process.client(closing) for process in processes])


@pytest.fixture(params=["one server", "two processes"])
def town(request: pytest.FixtureRequest, whole_town: Town) -> Town:
    whole_town.at = [whole_town.here] if request.param == "one server" else whole_town.elsewhere
    return whole_town


@dataclass
class Process:
    """`makegood run api`, as a process of its own, on a port that is free when it begins to listen."""

    started: Program
    address: str = ""
    listens: threading.Event = field(default_factory=threading.Event)

    def follow(self) -> None:
        """Read what it logs, to its end: at the beginning it says where it listens."""
        assert self.started.stderr is not None
        for line in self.started.stderr:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found is not None and not self.listens.is_set():
                self.address = found[0]
                self.listens.set()

    def client(self, closing: ExitStack) -> httpx.Client:
        assert self.listens.wait(60)
        return closing.enter_context(httpx.Client(base_url=self.address, timeout=30, verify=False))


@contextmanager
def process(store: str) -> Iterator[Process]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKEGOOD_")}
    arguments = ["run", "api", "--store", store]
    started = Program("makegood.cli", arguments, environment | {"MAKEGOOD_HTTP": "127.0.0.1:0"})
    running = Process(started)
    following = threading.Thread(target=running.follow, daemon=True)
    following.start()
    try:
        yield running
    finally:
        started.terminate()
        started.wait(30)
        following.join(10)


def statuses(answers: Sequence[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


ONCE: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "reporting an outage": (
        "paula",
        "outages",
        {"outage_id": "mine", "subscription_id": "sub-1", "began_at": "2026-03-15T08:00:00Z", "severity": "minor"},
        "outage-reported.v1",
    ),
    "disputing a charge": (
        "anna",
        "disputes",
        {"dispute_id": "mine", "charge_id": "cyc-1", "claimed": "1.00", "currency": "EUR"},
        "billing-error-reported.v1",
    ),
    "complaining": ("anna", "complaints", {"complaint_id": "mine", "category": "quality"}, "complaint-opened.v2"),
    "proposing a goodwill credit": (
        "anna",
        "complaints/com-0/goodwill",
        {"credit_id": "mine", "amount": "5.00", "currency": "EUR"},
        "goodwill-proposed.v1",
    ),
}


@pytest.mark.parametrize(("who", "path", "body", "fact"), ONCE.values(), ids=ONCE)
def test_of_many_under_one_id_one_is_recorded(
    town: Town, who: str, path: str, body: dict[str, Any], fact: str
) -> None:
    """Each has a key of their own, so that only the id says that they are about the same."""
    for number in range(ROUNDS):
        account = town.account()
        before = town.recorded(account, fact)
        answers = town.at_once(
            lambda n, account=account, lot=number: town.post(
                who, f"/accounts/{account}/{path}", body, f"k-{account}-{lot}-{n}", n
            )
        )
        assert statuses(answers) == {201: 1, 409: AT_ONCE - 1}, [answer.text for answer in answers]
        assert town.recorded(account, fact) == before + 1
        told = [answer.json() for answer in answers if answer.status_code == 409]
        assert {problem["type"] for problem in told} == {"urn:makegood:problem:conflict"}
        [recorded] = [answer.json() for answer in answers if answer.status_code == 201]
        assert all(recorded["recorded_at"] in problem["detail"] for problem in told), "what stands, and since when"


def test_of_many_who_decide_about_a_goodwill_credit_one_does(town: Town) -> None:
    for _ in range(ROUNDS):
        account = town.account()
        goodwill = f"/accounts/{account}/goodwill/mine"
        proposed = {"credit_id": "mine", "amount": "5.00", "currency": "EUR"}
        first = town.post("anna", f"/accounts/{account}/complaints/com-0/goodwill", proposed, f"p-{account}")
        assert first.status_code == 201

        def decide(number: int, account: str = account, goodwill: str = goodwill) -> httpx.Response:
            verdict, body = (("approve", {}), ("reject", {"reason": "made good already"}))[number % 2]
            return town.post("ada", f"{goodwill}/{verdict}", body, f"d-{account}-{number}", number // 2)

        answers = town.at_once(decide)
        assert statuses(answers) == {201: 1, 409: AT_ONCE - 1}, [answer.text for answer in answers]
        assert town.recorded(account, "goodwill-approved.v1", "goodwill-rejected.v1") == 1
        [stands] = [n % 2 for n, answer in enumerate(answers) if answer.status_code == 201]
        said = ("approved", "rejected")[stands]
        assert all(said in answer.json()["detail"] for answer in answers if answer.status_code == 409)


def test_under_one_key_all_have_the_one_answer(town: Town) -> None:
    for _ in range(ROUNDS):
        account = town.account()
        body = ONCE["reporting an outage"][2]
        answers = town.at_once(
            lambda n, account=account, body=body: town.post(
                "paula", f"/accounts/{account}/outages", body, f"one-{account}", n
            )
        )
        assert statuses(answers) == {201: AT_ONCE}, [answer.text for answer in answers]
        assert len({answer.content for answer in answers}) == 1
        assert town.recorded(account, "outage-reported.v1") == 1


def test_what_may_be_done_again_is_done_as_often_as_it_is_asked_for(town: Town) -> None:
    """The policy says what several cancellations and withdrawals mean."""
    for _ in range(ROUNDS):
        account = town.account()
        subscription = f"/accounts/{account}/subscriptions/sub-1"

        def ask(number: int, account: str = account, subscription: str = subscription) -> httpx.Response:
            what = ("cancel", "withdraw-cancellation")[number % 2]
            return town.post("anna", f"{subscription}/{what}", {}, f"c-{account}-{number}", number // 2)

        answers = town.at_once(ask)
        assert statuses(answers) == {201: AT_ONCE}, [answer.text for answer in answers]
        assert town.recorded(account, "cancellation-requested.v1", "cancellation-withdrawn.v1") == AT_ONCE
