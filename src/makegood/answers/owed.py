"""What customers are owed and what they complain of, for whoever may see it: lists, whole or by page."""

from __future__ import annotations

from typing_extensions import Unpack

from ledger.store.reading.page import Listed, Page
from makegood.access.sight import Sight
from makegood.answers.filters import Asked, Filters
from makegood.answers.of_all_shards import of_all_shards
from makegood.house.opening import House
from projections import alarms as alarms_
from projections import claims as claims_
from projections import complaints as complaints_
from projections import credits as credits_
from projections import disputes as disputes_
from projections import linked_goodwill
from projections import outages as outages_
from projections import overpaid as overpaid_
from projections import refunds as refunds_
from projections.age_classes import AgeClass
from projections.asking import ListTotal, totals_together


@of_all_shards
def claims(
    house: House,
    sight: Sight,
    *,
    outcome: str | None = None,
    page: Page | None = None,
    **asked: Unpack[Asked],
) -> Listed[claims_.Claim]:
    """Claims granted, declined, pending or withdrawn, by account and id."""
    found = claims_.listed(
        house.database,
        outcome=outcome,
        goodwill_in_full=sight.goodwill,
        narrowing=Filters(**asked).narrowing(sight, house.settings.time_zone),
        page=page,
    )
    return sight.rows(claims_.Claim, found)


@of_all_shards
def refunds(
    house: House,
    sight: Sight,
    *,
    status: str | None = None,
    page: Page | None = None,
    **asked: Unpack[Asked],
) -> Listed[refunds_.Refund]:
    """The refunds, by account and id."""
    narrowing = Filters(**asked).narrowing(sight, house.settings.time_zone)
    found = refunds_.listed(house.database, status=status, narrowing=narrowing, page=page)
    return sight.rows(refunds_.Refund, found)


@of_all_shards
def credits(
    house: House,
    sight: Sight,
    *,
    status: credits_.CreditStatus | None = None,
    dormant: bool = False,
    page: Page | None = None,
    **asked: Unpack[Asked],
) -> Listed[credits_.Credit]:
    """The credits, by account and id; `dormant` lists those left after the last subscription, the longest first."""
    narrowing = Filters(**asked).narrowing(sight, house.settings.time_zone)
    found = credits_.listed(house.database, status=status, dormant=dormant, narrowing=narrowing, page=page)
    return sight.rows(credits_.Credit, found)


def claim_totals(
    house: House,
    sight: Sight,
    *,
    outcome: str | None = None,
    at_most: int | None = None,
    **asked: Unpack[Asked],
) -> list[ListTotal]:
    """The sums of the claims that `claims` lists, by currency. Raises TooManyRows for more than `at_most`."""
    narrowing = Filters(**asked).narrowing(sight, house.settings.time_zone)
    return totals_together(
        claims_.totals(
            each.database, outcome=outcome, goodwill_in_full=sight.goodwill, narrowing=narrowing, at_most=at_most
        )
        for each in house.every
    )


def refund_totals(
    house: House,
    sight: Sight,
    *,
    status: str | None = None,
    at_most: int | None = None,
    **asked: Unpack[Asked],
) -> list[ListTotal]:
    """The sums of the refunds that `refunds` lists, by currency. Raises TooManyRows for more than `at_most`."""
    narrowing = Filters(**asked).narrowing(sight, house.settings.time_zone)
    return totals_together(
        refunds_.totals(each.database, status=status, narrowing=narrowing, at_most=at_most) for each in house.every
    )


def credit_totals(
    house: House,
    sight: Sight,
    *,
    status: credits_.CreditStatus | None = None,
    at_most: int | None = None,
    **asked: Unpack[Asked],
) -> list[ListTotal]:
    """The sums of the credits that `credits` lists, by currency. Raises TooManyRows for more than `at_most`."""
    narrowing = Filters(**asked).narrowing(sight, house.settings.time_zone)
    return totals_together(
        credits_.totals(each.database, status=status, narrowing=narrowing, at_most=at_most) for each in house.every
    )


@of_all_shards
def overpaid(
    house: House, sight: Sight, *, account: str | None = None, page: Page | None = None
) -> Listed[overpaid_.Overpaid]:
    """The claims for which too much went out, the longest overpaid first."""
    found = overpaid_.listed(house.database, accounts=sight.among(account), page=page)
    return sight.rows(overpaid_.Overpaid, found)


@of_all_shards
def disputes(
    house: House,
    sight: Sight,
    *,
    account: str | None = None,
    still_open: bool = False,
    overdue: bool = False,
    age: AgeClass | None = None,
    page: Page | None = None,
) -> Listed[disputes_.Dispute]:
    """The disputes, by account and id; `still_open` leaves out the decided ones, `overdue` lists only investigations
    that are open longer than agreed, `age` only open disputes of that class."""
    found = disputes_.listed(
        house.database,
        house.now(),
        accounts=sight.among(account),
        still_open=still_open,
        overdue=overdue,
        age=age,
        page=page,
    )
    return sight.rows(disputes_.Dispute, found)


@of_all_shards
def complaints(
    house: House,
    sight: Sight,
    *,
    account: str | None = None,
    still_open: bool = False,
    age: AgeClass | None = None,
    page: Page | None = None,
) -> Listed[complaints_.Complaint]:
    """The complaints, those first that have been open longest; `age` lists only open ones of that class."""
    found = complaints_.listed(
        house.database, house.now(), accounts=sight.among(account), still_open=still_open, age=age, page=page
    )
    told = found.told(sight.complaint(complaint) for complaint in found)
    return sight.rows(complaints_.Complaint, told)


@of_all_shards
def outages(
    house: House,
    sight: Sight,
    *,
    account: str | None = None,
    subscription: str | None = None,
    still_open: bool = False,
    page: Page | None = None,
) -> Listed[outages_.Outage]:
    """The outages, by account and beginning; `still_open` leaves out the resolved ones."""
    found = outages_.listed(
        house.database,
        house.now(),
        accounts=sight.among(account),
        subscription=subscription,
        still_open=still_open,
        page=page,
    )
    return sight.rows(outages_.Outage, found)


@of_all_shards
def goodwill(
    house: House, sight: Sight, *, account: str | None = None, still_open: bool = False, page: Page | None = None
) -> Listed[linked_goodwill.GoodwillLinked]:
    """The goodwill credits, by account and id; `still_open` lists those that nobody has decided about."""
    found = linked_goodwill.listed(house.database, accounts=sight.among(account), still_open=still_open, page=page)
    return sight.rows(linked_goodwill.GoodwillLinked, found)


@of_all_shards
def alarms(
    house: House, sight: Sight, *, account: str | None = None, page: Page | None = None
) -> Listed[alarms_.Alarm]:
    """Active alarms, for a person to check, by account."""
    return sight.rows(alarms_.Alarm, alarms_.listed(house.database, accounts=sight.among(account), page=page))
