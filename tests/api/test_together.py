"""Many at once, in one process: on one account, on many, and while agreements are published that they wait for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from httpx import Response

from ledger.events import AgreementBound, AgreementPublished
from tests.api.desk import Desk
from tests.ledger.messages import Upstream

THREADS = 40
"""As many as the server has."""


def complain(desk: Desk, account: str, key: str) -> Response:
    return desk.post("anna", f"/accounts/{account}/complaints", {"category": "quality"}, key=key)


def at_once(of: Callable[[int], Response], count: int) -> list[Response]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(of, range(count)))


def test_however_many_ask_about_one_account_each_is_recorded(desk: Desk) -> None:
    answers = at_once(lambda n: complain(desk, "acct-1", f"k-{n}"), 120)
    assert {answer.status_code for answer in answers} == {201}
    versions = [answer.json()["account_version"] for answer in answers]
    assert len(set(versions)) == len(versions)
    desk.books.check_positions()


def test_however_many_ask_about_many_accounts_each_is_recorded(desk: Desk) -> None:
    for n in range(10):
        desk.books.take(Upstream(f"many-{n}").customer())
    answers = at_once(lambda n: complain(desk, f"many-{n % 10}", f"k-{n}"), 80)
    assert {answer.status_code for answer in answers} == {201}
    desk.books.check_positions()


def test_what_binds_while_versions_are_published_binds_the_newest_of_its_moment(desk: Desk) -> None:
    """The catalogue is shared by all threads, and each reads it as of its own transaction."""
    accounts = [f"late-{n}" for n in range(24)]
    for account in accounts:
        upstream = Upstream(account)
        desk.books.take([upstream.account_registered(), upstream.subscription_registered(agreement="late")])

    def publish() -> None:
        for version in range(1, 25):
            desk.books.publish(f'name = "late"\nversion = {version}\nvalid_from = 2000-01-01\n')

    with ThreadPoolExecutor(1) as publisher:
        publishing = publisher.submit(publish)
        answers = at_once(lambda n: complain(desk, accounts[n % len(accounts)], f"k-{n}"), 96)
        publishing.result()
    assert {answer.status_code for answer in answers} <= {201, 503}
    # Whom every publication overtook was told to try again, and does.
    again = [n for n, answer in enumerate(answers) if answer.status_code == 503]
    answers = [complain(desk, accounts[n % len(accounts)], f"k-{n}") for n in again]
    answers += at_once(lambda n: complain(desk, accounts[n], f"last-{n}"), len(accounts))
    assert {answer.status_code for answer in answers} == {201}

    published, bound = 0, {}
    for event in (envelope.event() for envelope in desk.books.envelopes()):
        if isinstance(event, AgreementPublished) and event.data.name == "late":
            published = event.data.version
        elif isinstance(event, AgreementBound) and event.data.agreement == "late":
            assert event.account not in bound
            bound[event.account] = event.data.version
            assert event.data.version == published, "bound by another catalogue than that of its moment"
    assert set(bound) == set(accounts)
    desk.books.check_positions()
