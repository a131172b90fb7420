"""Service agreements: read strictly, published once, bound once (contract §2)."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ledger.agreement import AgreementRefused, bindable, duration_from_text, read_agreement
from ledger.application.due_work import do_due_work
from ledger.audit.tiles import ENTRY_BYTES_MAX
from tests.ledger.books import STANDARD, Books
from tests.ledger.messages import Upstream
from tests.oracle import histories

HEAD = 'name = "standard"\nversion = 1\nvalid_from = 2000-01-01\n'


class TestReading:
    def test_absent_keys_have_the_contracts_defaults(self) -> None:
        terms = read_agreement(HEAD).terms
        assert terms.model_dump() == {
            "name": "standard",
            "version": 1,
            "valid_from": date(2000, 1, 1),
            "proration": {"basis": "actual_days", "rounding": "half_up"},
            "disruption": {
                "significant_after": timedelta(hours=24),
                "report_within": timedelta(hours=72),
                "excluded_causes": ("customer_equipment", "force_majeure"),
                "floor": "monthly_30th",
                "settle_as": "credit",
            },
            "billing_error": {"settle_as": "refund", "investigate_within": timedelta(days=10)},
            "cancellation": {
                "unused_period": "from_request",
                "notice_days": 0,
                "minimum_term_days": 0,
                "settle_as": "refund",
                "fee": {},
            },
            "approval": {"hold": timedelta(hours=24), "automatic_up_to": {}},
        }

    def test_every_key_can_be_set(self) -> None:
        terms = read_agreement(
            HEAD
            + """
            [proration]
            basis = "exact_time"
            rounding = "half_even"
            [disruption]
            significant_after = "PT4H"
            report_within = "P2W"
            excluded_causes = []
            floor = "none"
            settle_as = "refund"
            [billing_error]
            settle_as = "credit"
            investigate_within = "P1DT12H"
            [cancellation]
            unused_period = "from_effective"
            notice_days = 7
            minimum_term_days = 30
            settle_as = "credit"
            [cancellation.fee]
            EUR = "5.00"
            JPY = "500"
            [approval]
            hold = "PT0S"
            [approval.automatic_up_to]
            EUR = "20.00"
            """
        ).terms
        assert terms.disruption.report_within == timedelta(days=14)
        assert terms.disruption.excluded_causes == ()
        assert terms.billing_error.investigate_within == timedelta(hours=36)
        assert (terms.cancellation.fee_in("EUR"), terms.cancellation.fee_in("JPY")) == (Decimal("5.00"), Decimal(500))
        assert str(terms.cancellation.fee_in("USD")) == "0.00", "no fee where the agreement names none"
        assert terms.approval.automatic_up_to == {"EUR": Decimal("20.00")}

    @pytest.mark.parametrize(
        ("text", "line", "key", "says"),
        [
            (HEAD + 'color = "red"\n', 4, "color", "is unknown: leave it out"),
            (HEAD + '[proration]\nbasis = "actual_days"\nbase = "x"\n', 6, "proration.base", "is unknown"),
            (HEAD + "[delivery]\n", 4, "delivery", "is unknown"),
            (HEAD + '[proration]\nbasis = "weeks"\n', 5, "proration.basis", "actual_days"),
            (HEAD + 'proration = { basis = "weeks" }\n', 4, "proration.basis", "actual_days"),
            (HEAD + 'proration.basis = "weeks"\n', 4, "proration.basis", "actual_days"),
            (HEAD + '# basis\n\n[ proration ]  # how\n"basis" = "weeks"\n', 7, "proration.basis", "actual_days"),
            (HEAD + '[cancellation]\nnotice_days = "7"\n', 5, "cancellation.notice_days", "integer"),
            (HEAD + "[cancellation]\nnotice_days = 7.0\n", 5, "cancellation.notice_days", "integer"),
            (HEAD + "[cancellation]\nnotice_days = -1\n", 5, "cancellation.notice_days", "greater"),
            (HEAD + "[cancellation]\nnotice_days = true\n", 5, "cancellation.notice_days", "integer"),
            (HEAD + "[cancellation.fee]\nEUR = 5.00\n", 5, "cancellation.fee.EUR", "must be a string"),
            (HEAD + "[cancellation.fee]\nEUR = 5\n", 5, "cancellation.fee.EUR", "must be a string"),
            (HEAD + '[cancellation.fee]\nXYZ = "5.00"\n', 5, "cancellation.fee.XYZ", "no currency 'XYZ'"),
            (HEAD + '[cancellation.fee]\nEUR = "5.001"\n', 5, "cancellation.fee", "EUR has 2 decimals"),
            (HEAD + '[cancellation.fee]\nEUR = "-5.00"\n', 5, "cancellation.fee", "never negative"),
            (HEAD + '[cancellation]\nfee = "5.00"\n', 5, "cancellation.fee", "a table of amounts"),
            (
                HEAD + '[approval.automatic_up_to]\nEUR = "5"\nJPY = "0.5"\n',
                6,
                "approval.automatic_up_to",
                "JPY has 0",
            ),
            (HEAD + '[disruption]\nsignificant_after = "24h"\n', 5, "disruption.significant_after", "ISO 8601"),
            (HEAD + '[disruption]\nsignificant_after = "P1M"\n', 5, "disruption.significant_after", "ISO 8601"),
            (HEAD + "[disruption]\nsignificant_after = 24\n", 5, "disruption.significant_after", "ISO 8601"),
            (HEAD + '[approval]\nhold = "PT"\n', 5, "approval.hold", "ISO 8601"),
            (HEAD + '[disruption]\nexcluded_causes = "none"\n', 5, "disruption.excluded_causes", ""),
            (HEAD + '[disruption]\nexcluded_causes = ["weather"]\n', 5, "disruption.excluded_causes.0", "provider"),
            (HEAD + '[disruption]\nsettle_as = "cash"\n', 5, "disruption.settle_as", "credit"),
            (HEAD.replace('"standard"', '"two words"'), 1, "name", "without spaces"),
            (HEAD.replace('"standard"', "7"), 1, "name", "name of 1 to 128"),
            (HEAD.replace("= 1\n", "= 0\n"), 2, "version", "greater"),
            (HEAD.replace("= 1\n", '= "1"\n'), 2, "version", "integer"),
            (HEAD.replace("2000-01-01", '"2000-01-01"'), 3, "valid_from", "date"),
            (HEAD.replace("2000-01-01", "2000-01-01T00:00:00Z"), 3, "valid_from", "date"),
        ],
    )
    def test_an_error_names_line_and_key(self, text: str, line: int, key: str, says: str) -> None:
        tomllib.loads(text)  # it is the agreement that is wrong, not its TOML
        with pytest.raises(AgreementRefused) as refused:
            read_agreement(text)
        said = str(refused.value)
        assert said.startswith(f"line {line}, key {key}"), said
        assert says in said

    @pytest.mark.parametrize("key", ["name", "version", "valid_from"])
    def test_what_is_missing_is_named(self, key: str) -> None:
        text = "".join(line for line in HEAD.splitlines(keepends=True) if not line.startswith(key))
        with pytest.raises(AgreementRefused, match=f"key {key}: is missing"):
            read_agreement(text)

    def test_every_error_is_told_at_once(self) -> None:
        with pytest.raises(AgreementRefused) as refused:
            read_agreement(HEAD + 'color = "red"\n[approval]\nhold = "soon"\n')
        assert "line 4, key color" in str(refused.value)
        assert "line 6, key approval.hold" in str(refused.value)

    @pytest.mark.parametrize("text", ["name = ", "name = 'a'\nname = 'b'", "{}", "[a]\n[a]"])
    def test_what_is_no_toml_is_refused(self, text: str) -> None:
        with pytest.raises(AgreementRefused, match="invalid TOML"):
            read_agreement(text)

    @pytest.mark.parametrize(
        ("text", "hours"),
        [("PT24H", 24), ("P1D", 24), ("P1DT1H", 25), ("P2W", 336), ("PT90M", 1.5), ("PT0S", 0), ("PT3600S", 1)],
    )
    def test_durations_of_fixed_length(self, text: str, hours: float) -> None:
        assert duration_from_text(text) == timedelta(hours=hours)

    @pytest.mark.parametrize(
        "text", ["P", "PT", "P1Y", "P1M", "P1WT1H", "1D", "pt24h", "PT1.5H", "-PT1H", "P1D ", "", None, 24]
    )
    def test_what_is_no_duration_of_fixed_length_is_refused(self, text: object) -> None:
        with pytest.raises(ValueError, match="ISO 8601"):
            duration_from_text(text)


class TestPublishing:
    def test_publishing_again_is_no_news(self) -> None:
        books = Books.open(agreements=())
        assert books.publish(STANDARD)
        before = books.content()
        assert not books.publish(STANDARD)
        assert books.content() == before

    @pytest.mark.parametrize("other", [STANDARD + '[approval]\nhold = "PT1H"\n', STANDARD + "# a remark\n"])
    def test_the_same_version_with_other_content_is_refused(self, other: str) -> None:
        """To the byte: what a customer was sold is the text that was published."""
        books = Books.open()
        before = books.content()
        with pytest.raises(AgreementRefused, match="published with other content"):
            books.publish(other)
        assert books.content() == before

    def test_a_text_that_no_entry_of_the_log_can_hold_is_refused(self) -> None:
        """An entry has at most 65,535 bytes; in an envelope quotes and newlines take two each."""
        books = Books.open(agreements=())
        longest = (STANDARD + "#").ljust(30_000, '"')
        assert books.publish(longest)
        assert max(len(stored.envelope) for stored in books.envelopes()) <= ENTRY_BYTES_MAX
        with pytest.raises(AgreementRefused, match="the text has 30001 bytes, and 30000 are the most"):
            books.publish(longest.replace("version = 1", "version = 2") + '"')
        assert not books.publish(longest)

    def test_a_publication_is_an_event_of_the_system_with_the_whole_text(self) -> None:
        books = Books.open(agreements=())
        books.publish(STANDARD)
        books.publish(STANDARD.replace("version = 1", "version = 2"))
        first, second = books.stored("system")
        assert (first["type"], first["stream"], first["stream_version"]) == (
            "agreement-published.v1",
            "agreement/standard",
            1,
        )
        assert (first["data"]["text"], first["data"]["version"]) == (STANDARD, 1)
        assert (second["data"]["version"], second["stream_version"]) == (2, 2)
        books.check_positions()

    def test_two_who_publish_one_version_at_once(self) -> None:
        books = Books.open(agreements=())
        other = books.another_process()
        books.database.before_writing.append(other.publish)
        assert not books.publish(), "the same text: no news"
        books = Books.open(agreements=())
        other = books.another_process()
        books.database.before_writing.append(lambda: other.publish(STANDARD + "# otherwise\n"))
        with pytest.raises(AgreementRefused):
            books.publish()
        books.check_positions()


def versions(*texts: tuple[int, str]) -> list[str]:
    return [f'name = "plan"\nversion = {number}\nvalid_from = {since}\n' for number, since in texts]


class TestBinding:
    @pytest.mark.parametrize(
        ("published", "registered_on", "bound"),
        [
            ([(1, "2020-01-01"), (2, "2021-01-01")], "2020-12-31", 1),
            ([(1, "2020-01-01"), (2, "2021-01-01")], "2021-01-01", 2),
            ([(1, "2020-01-01"), (2, "2021-01-01")], "2019-12-31", None),
            ([(2, "2020-01-01"), (1, "2021-01-01")], "2022-01-01", 1),  # the date decides, not the number
            ([(9, "2020-01-01"), (10, "2020-01-01")], "2022-01-01", 10),  # as numbers, not as text
            ([(10, "2020-01-01"), (9, "2020-01-01")], "2022-01-01", 10),
            ([(1, "2020-01-01"), (3, "2099-01-01")], "2022-01-01", 1),
            ([], "2022-01-01", None),
        ],
    )
    def test_the_version_with_the_latest_date_then_the_greatest_number(
        self, published: list[tuple[int, str]], registered_on: str, bound: int | None
    ) -> None:
        chosen = bindable([read_agreement(text) for text in versions(*published)], date.fromisoformat(registered_on))
        assert (chosen.terms.version if chosen else None) == bound

    @pytest.mark.parametrize(("time", "bound"), [("2021-01-01T04:59:59Z", 1), ("2021-01-01T05:00:00Z", 2)])
    def test_the_date_of_the_registration_is_taken_in_the_accounts_zone(self, time: str, bound: int) -> None:
        books = Books.open(agreements=versions((1, "2020-01-01"), (2, "2021-01-01")))
        upstream = Upstream(zone="America/New_York")
        books.take([upstream.account_registered(), upstream.subscription_registered(agreement="plan", time=time)])
        assert [e["data"]["version"] for e in bindings(books)] == [bound]

    def test_a_later_publication_never_rebinds(self) -> None:
        books = Books.open(agreements=versions((1, "2020-01-01")))
        upstream = Upstream()
        books.take([upstream.account_registered(), upstream.subscription_registered(agreement="plan")])
        for text in versions((2, "2025-01-01"), (3, "2000-01-01")):
            books.publish(text)
        do_due_work(books.ledger, books.clock())
        books.another_process().take([upstream.cycle_started(), upstream.payment_captured()])
        assert [e["data"]["version"] for e in bindings(books)] == [1]
        books.take([upstream.subscription_registered("sub-2", agreement="plan")])
        assert [e["data"]["version"] for e in bindings(books)] == [1, 2], "the next customer has the new terms"

    def test_a_subscription_waits_for_a_version_that_is_valid_on_its_date(self) -> None:
        books = Books.open(agreements=versions((1, "2030-01-01")))
        upstream = Upstream()
        books.take([upstream.account_registered(), upstream.subscription_registered(agreement="plan")])
        assert bindings(books) == []
        [text] = versions((2, "2026-03-01"))
        books.publish(text)
        do_due_work(books.ledger, books.clock())
        assert [e["data"]["version"] for e in bindings(books)] == [2]

    def test_claims_wait_for_their_terms_and_are_decided_under_them(self) -> None:
        books = Books.open(agreements=(), now=datetime(2026, 5, 1, tzinfo=UTC))
        upstream = Upstream()
        books.take([*upstream.customer(), upstream.outage_reported(), upstream.outage_resolved()])
        assert [c["outcome"] for c in books.claims()] == ["pending"]
        books.publish()
        do_due_work(books.ledger, books.clock())
        assert books.amounts() == {"disruption/cyc-1": "2.07"}


def bindings(books: Books) -> list[dict[str, Any]]:
    return [e for e in books.stored() if e["type"] == "agreement-bound.v1"]


def test_the_agreements_of_the_histories_are_all_published_as_they_are() -> None:
    books = Books.open(agreements=tuple(histories.agreement_texts().values()))
    published = books.rows("SELECT name, COUNT(*) FROM agreements GROUP BY name ORDER BY name")
    assert dict(published)["versions"] == 6
    assert sum(count for _, count in published) == len(histories.agreements())
