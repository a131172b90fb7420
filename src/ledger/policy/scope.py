"""What an assessment looks at: all that a fact touches, widened to what hangs together with it (decision 0003)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field

from ledger.events import OverchargeConfirmed
from ledger.policy.ending import Ending, ending
from ledger.policy.facts import AccountFacts, SubscriptionFacts, Touched
from ledger.policy.facts.charge import Charge, Cycle
from ledger.policy.facts.outage import Outage, in_order
from ledger.values import END, Period, value


@value
class SubscriptionScope:
    """The cycles of a subscription to assess, and every outage that may count in one of them, both in order."""

    subscription: SubscriptionFacts
    time_zone: str
    how: Ending
    cycles: tuple[Cycle, ...]
    outages: tuple[Outage, ...]


@value
class Scope:
    """The cycles, one-off charges, disputes and goodwill credits to assess."""

    everything: bool = False
    subscriptions: tuple[SubscriptionScope, ...] = ()
    one_offs: tuple[Charge, ...] = ()
    disputes: frozenset[str] = frozenset()
    goodwill: frozenset[str] = frozenset()
    cycles: frozenset[str] = field(init=False)
    """All cycles, by id."""

    def __post_init__(self) -> None:
        cycles = frozenset(cycle.charge_id for part in self.subscriptions for cycle in part.cycles)
        object.__setattr__(self, "cycles", cycles)

    def covers(self, claim_id: str, charge_id: str | None) -> bool:
        """Whether a recorded row is looked at, so that it has fallen away where it is not found again."""
        if self.everything:
            return True
        kind, _, business_id = claim_id.partition("/")
        match kind:
            case "billing-error":
                return business_id in self.disputes
            case "goodwill":
                return business_id in self.goodwill
        return charge_id in self.cycles


NOTHING = Scope()


def scope_of(facts: AccountFacts, touched: Touched) -> Scope:
    """What is touched, with all that depends on it."""
    if touched.everything:
        charge_ids = set(facts.charges.assessed)
        disputes, goodwill = set(facts.disputes.by_id), set(facts.goodwill.by_id)
    else:
        charge_ids = touched.charges | _charges_of(facts, touched.subscriptions)
        disputes = {dispute_id for charge_id in charge_ids for dispute_id in facts.disputes.on(charge_id)}
        if disputes:
            charge_ids |= _charges_confirmed(facts, disputes)
        goodwill = touched.goodwill | facts.goodwill.naming(touched.complaints, touched.subscriptions)
        if not (charge_ids or touched.windows or goodwill):
            return NOTHING
    charges = [charge for charge_id in charge_ids if (charge := facts.charges.assessed.get(charge_id)) is not None]
    return Scope(
        everything=touched.everything,
        subscriptions=tuple(_subscriptions(facts, touched, charges)),
        one_offs=tuple(charge for charge in charges if not isinstance(charge, Cycle)),
        disputes=frozenset(disputes),
        goodwill=frozenset(goodwill),
    )


def _charges_of(facts: AccountFacts, subscriptions: set[str]) -> set[str]:
    if not subscriptions:
        return set()
    return {id_ for id_, charge in facts.charges.assessed.items() if charge.subscription_id in subscriptions}


def _charges_confirmed(facts: AccountFacts, disputes: Iterable[str]) -> set[str]:
    """The charges that verdicts on the disputes confirm: a report may have named another charge."""
    verdicts = map(facts.disputes.verdict, disputes)
    return {v.data.charge_id for v in verdicts if isinstance(v, OverchargeConfirmed)}


def _subscriptions(facts: AccountFacts, touched: Touched, charges: Iterable[Charge]) -> Iterator[SubscriptionScope]:
    if facts.time_zone is None:
        return
    windows = dict(touched.windows)
    for charge in charges:
        if isinstance(charge, Cycle):
            windows[charge.subscription_id] = windows.get(charge.subscription_id, charge.period).hull(charge.period)
    for subscription_id, window in windows.items():
        yield _widened(facts.subscriptions.by_id[subscription_id], facts.time_zone, window)


def _widened(subscription: SubscriptionFacts, time_zone: str, window: Period) -> SubscriptionScope:
    """The cycles to assess for a window, and the outages that may count in them.

    The window is widened to all that hangs together: outages that merge, and all cycles of a cancellation, whose fee
    goes from cycle to cycle. The outages are those around the whole of each cycle, again with all they merge with.
    """
    how = ending(subscription, time_zone)
    window, _ = subscription.outages.closure(window)
    if how.requests:
        since = min(request.since for request in how.requests)
        if window.end >= since:
            window, _ = subscription.outages.closure(Period(min(window.begin, since), END))
    cycles = subscription.cycles_in(window)
    outages: list[Outage] = []
    if cycles:
        _, outages = subscription.outages.closure(cycles[0].period.hull(cycles[-1].period))
    return SubscriptionScope(subscription, time_zone, how, tuple(cycles), tuple(sorted(outages, key=in_order)))
