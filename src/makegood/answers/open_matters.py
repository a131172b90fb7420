"""What is open of one account: what somebody who speaks with the customer has to know first."""

from __future__ import annotations

from dataclasses import dataclass

from makegood.access.sight import Sight
from makegood.answers import owed
from makegood.answers.account import Account
from makegood.house.opening import House
from projections.alarms import Alarm
from projections.complaints import Complaint
from projections.disputes import Dispute
from projections.goodwill import Goodwill
from projections.instructions import Instruction
from projections.outages import Outage
from projections.refunds import Refund

WAITING = ("due", "approved", "submitted", "failed")
"""The refunds that are on their way, or wait for somebody."""


@dataclass(frozen=True, slots=True)
class OpenMatters:
    """What is open of an account, each in the order of its list."""

    outages: list[Outage]
    disputes: list[Dispute]
    complaints: list[Complaint]
    refunds: list[Refund]
    goodwill: list[Goodwill]
    """Credits that were proposed, and that nobody has decided about."""
    instructions: list[Instruction]
    alarms: list[Alarm]
    set_aside: int

    def __bool__(self) -> bool:
        return bool(
            self.outages
            or self.disputes
            or self.complaints
            or self.refunds
            or self.goodwill
            or self.instructions
            or self.alarms
            or self.set_aside
        )


def open_matters(house: House, sight: Sight, account: Account) -> OpenMatters:
    """What is open of an account as it stands. Lists are asked only where the account has something for them."""
    id_ = account["account_id"]
    disputed = any(each["clause"] == "billing_error" and each["outcome"] == "pending" for each in account["claims"])
    complains = any(each["status"] == "open" for each in account["complaints"])
    return OpenMatters(
        owed.outages(house, sight, account=id_, still_open=True),
        owed.disputes(house, sight, account=id_, still_open=True) if disputed else [],
        owed.complaints(house, sight, account=id_, still_open=True) if complains else [],
        [each for each in account["refunds"] if each["status"] in WAITING],
        [each for each in account.get("goodwill", []) if each["status"] == "proposed"],
        account.get("instructions", []),
        account.get("alarms", []),
        account["set_aside"],
    )
