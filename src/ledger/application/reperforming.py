"""Performs an account's recorded decisions again, and lists each that does not follow from its facts (policy §1).

What an auditor may do, and must get the same: the stored facts are taken in their order by an account of its own,
each at the `now` of its decisions and with the agreements that were published by then, and what that account decides
is compared with what was recorded. Nothing is stored, and no vault is needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from eventsourcing.domain import OriginatorVersionError

from ledger.aggregates.billing_account import LAW_BROKEN
from ledger.agreement import PublishedAgreement
from ledger.application.account import TIMER, Account
from ledger.application.catalogue import Catalogue
from ledger.application.checking import check_books
from ledger.events import (
    STORED_TYPES,
    AlarmCleared,
    AlarmRaised,
    ClaimAssessedV1,
    CreditAppliedV1,
    Decision,
    Fact,
    LedgerEvent,
    NoticeEvent,
    RefundSubmitted,
    SettledAnew,
    SubjectErased,
)
from ledger.policy.rules import RULES, SAID_FROM
from ledger.store.positions import Position
from ledger.store.reading.events import StoredEnvelope
from ledger.store.writing import Head

Content = Mapping[str, Any]
"""What an event says, by the path of each field, such as `after.amount`."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A version of an agreement, and where the event stands by which it was published."""

    at: Position
    agreement: PublishedAgreement


@dataclass(frozen=True, slots=True)
class Basis:
    """What decisions are performed from beside their account's own events.

    `published` are all publications of agreements. `rules_said_from` has by shard the position of the first decision
    that says its rules: programs are stopped while a store is brought up to date, so that no older rules decide after
    it. By `until` time has done its work; None where that is not asked.
    """

    published: Sequence[Publication] = ()
    rules_said_from: Mapping[int, int] = field(default_factory=dict)
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Differing:
    """A decision that was recorded and does not follow, or that follows and was not recorded.

    `position` is that of the recorded decision; of one that is missing, that of the event it should have come with.
    `recorded` and `recomputed` have the fields that differ; either is None where there is no such decision at all.
    """

    position: Position
    account: str
    type: str
    claim_id: str | None
    recorded: Content | None
    recomputed: Content | None


WhyNotJudged = Literal["older rules", "rests on rows"]
"""Why a decision is not judged: an earlier revision of the rules made it, or it says how projections compared."""


@dataclass(slots=True)
class NotJudged:
    """Decisions that are not judged for one reason, and when the first and the last of them were recorded."""

    decisions: int
    accounts: set[str]
    first: datetime
    last: datetime

    def take(self, other: NotJudged) -> None:
        """Count what another counts."""
        self.decisions += other.decisions
        self.accounts |= other.accounts
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)


@dataclass(slots=True)
class Reperformed:
    """How many decisions were looked at, those of them that are not judged, and what differs."""

    decisions: int = 0
    not_judged: dict[WhyNotJudged, NotJudged] = field(default_factory=dict)
    differing: list[Differing] = field(default_factory=list)

    @property
    def not_reperformable(self) -> int:
        """How many decisions are not judged."""
        return sum(each.decisions for each in self.not_judged.values())

    def take(self, other: Reperformed) -> None:
        """Have what was found of other accounts too."""
        self.decisions += other.decisions
        self.differing += other.differing
        for why, more in other.not_judged.items():
            self.leave_out(why, more)

    def leave_out(self, why: WhyNotJudged, more: NotJudged) -> None:
        """Count decisions that are not judged."""
        if why in self.not_judged:
            self.not_judged[why].take(more)
        else:
            self.not_judged[why] = more


def reperform(
    account: str,
    recorded: Sequence[StoredEnvelope],
    basis: Basis,
    asked: Callable[[LedgerEvent], bool] = lambda event: True,
) -> Reperformed:
    """Perform the decisions of an account again: all its events up to some point, in order.

    Only decisions that are `asked` for are counted and told of; the others are performed too, because later ones
    rest on them. How a notice to the customer was delivered is no decision, and an erasure follows from nothing.
    Raises UnknownStoredType, and ColumnChanged where what is stored is no event.
    """
    return _Reperforming(account, basis, asked).reperform(recorded)


@dataclass(frozen=True, slots=True)
class _Recorded:
    at: Position
    event: LedgerEvent


@dataclass(frozen=True, slots=True)
class _Step:
    """What was decided at once: after a fact, after a submission, or because time had passed."""

    cause: _Recorded | None
    decisions: Sequence[_Recorded]

    @property
    def first(self) -> _Recorded:
        return self.cause if self.cause is not None else self.decisions[0]

    @property
    def all(self) -> list[_Recorded]:
        return [*([self.cause] if self.cause is not None else []), *self.decisions]

    @property
    def events(self) -> list[LedgerEvent]:
        return [each.event for each in self.all]

    @property
    def judged(self) -> list[_Recorded]:
        """The decisions; a submission is one itself."""
        return [each for each in self.all if isinstance(each.event, Decision)]

    def now(self) -> datetime | None:
        """The instant that was taken for the present, where a decision says it."""
        return next((now for each in self.all if (now := getattr(each.event.data, "now", None)) is not None), None)

    def rules(self) -> set[int]:
        """The revisions of the rules that its decisions say, or show by their form; most decisions do neither."""
        return {rules for each in self.all if (rules := _rules(each.event)) is not None}

    @property
    def says_unknown_rules(self) -> bool:
        """Whether a decision says a revision of the rules that no release up to this one has said."""
        return any(said is not None and said not in _SAID for said in map(_said, self.events))


_SAID = range(SAID_FROM, RULES + 1)
_UNSAID = SAID_FROM - 1


def _shows_older_rules(recorded: Iterable[_Recorded]) -> bool:
    return any(isinstance(each.event, ClaimAssessedV1 | CreditAppliedV1) for each in recorded)


def _rules(event: LedgerEvent) -> int | None:
    if isinstance(event, ClaimAssessedV1 | CreditAppliedV1):
        return _UNSAID
    said = _said(event)
    return said if said in _SAID else None


def _said(event: LedgerEvent) -> int | None:
    rules = getattr(event.data, "rules", None)
    return rules if isinstance(rules, int) else None


def says_rules() -> list[str]:
    """The stored types of the decisions that say their rules."""
    shapes: dict[str, Any] = {name: kind.model_fields["data"] for name, kind in STORED_TYPES.items()}
    return sorted(name for name, shape in shapes.items() if "rules" in getattr(shape.annotation, "model_fields", ()))


def _notes_law(event: LedgerEvent) -> bool:
    return isinstance(event, AlarmRaised | AlarmCleared) and event.data.alarm == LAW_BROKEN


def _steps(recorded: Sequence[_Recorded], published: Sequence[Publication]) -> Iterator[_Step]:
    """The steps in which an account's events were recorded.

    A publication between two events ends a step of the timer's; so does settling anew, where older rules decided at
    the same instant, as in a sandbox whose clock stands.
    """
    places = [_place(each.at) for each in published]

    def between(one: Position, other: Position) -> bool:
        return any(_place(one) < place < _place(other) for place in places)

    events = [each for each in recorded if not isinstance(each.event, NoticeEvent | SubjectErased)]
    begin = 0
    while begin < len(events):
        first, end = events[begin], begin + 1
        if isinstance(first.event, Fact | RefundSubmitted):
            while end < len(events) and _follows(events[end].event, first.event):
                end += 1
            yield _Step(first, events[begin + 1 : end])
        elif _notes_law(first.event):
            yield _Step(None, [first])
        else:
            while (
                end < len(events)
                and _is_timers(events[end].event)
                and events[end].event.occurred_at == first.event.occurred_at
                and not between(events[end - 1].at, events[end].at)
                and not (isinstance(events[end].event, SettledAnew) and _shows_older_rules(events[begin:end]))
            ):
                end += 1
            yield _Step(None, events[begin:end])
        begin = end


def _place(at: Position) -> tuple[int, int]:
    """Publications are in the first shard, and so come before all that is in another."""
    return at.shard, at.position


def _follows(event: LedgerEvent, cause: LedgerEvent) -> bool:
    is_decision = isinstance(event, Decision) and not isinstance(event, RefundSubmitted)
    return is_decision and event.causation_id == cause.event_id and not _notes_law(event)


def _is_timers(event: LedgerEvent) -> bool:
    is_decision = isinstance(event, Decision) and not isinstance(event, RefundSubmitted)
    return is_decision and event.causation_id is None and event.actor == TIMER and not _notes_law(event)


class _Reperforming:
    """An account that decides anew, beside what was recorded of it."""

    def __init__(self, account: str, basis: Basis, asked: Callable[[LedgerEvent], bool]) -> None:
        self._account_id = account
        self._asked = asked
        self._basis = basis
        self._published = sorted(basis.published, key=lambda each: _place(each.at))
        self._rules = RULES
        """The revision of the rules by which the account's decisions are made by now."""
        self._catalogue = Catalogue()
        self._account = Account(Head(account), self._catalogue)
        self._events: list[LedgerEvent] = []
        """What the account has come to by now: its own decisions, or where it cannot have any, those recorded."""
        self._before: list[LedgerEvent] = []
        """What was recorded until now."""
        self._now: datetime | None = None
        self._recorded_at: datetime | None = None
        self._found = Reperformed()

    def reperform(self, recorded: Sequence[StoredEnvelope]) -> Reperformed:
        steps = list(_steps([_Recorded(each.at, each.event()) for each in recorded], self._published))
        self._rules = self._first_rules(steps)
        behind = False
        for step in steps:
            asked = [each for each in step.judged if self._asked(each.event)]
            self._found.decisions += len(asked)
            self._publish(step.first.at)
            if _notes_law(step.first.event):
                self._note_law(step, asked)
            elif self._is_by_older_rules(step):
                self._leave_out("older rules", asked)
                self._events += step.events
                behind = True
            else:
                if behind:
                    self._go_on_from(self._events)
                    behind = False
                self._perform(step)
            self._before += step.events
            self._now = step.now() or self._now
            self._recorded_at = step.all[-1].event.recorded_at
        if steps and not behind and self._basis.until is not None:
            self._find_missing(steps[-1].all[-1], self._basis.until)
        return self._found

    def _leave_out(self, why: WhyNotJudged, decisions: Sequence[_Recorded]) -> None:
        if decisions:
            instants = [each.event.recorded_at for each in decisions]
            self._found.leave_out(why, NotJudged(len(decisions), {self._account_id}, min(instants), max(instants)))

    # --- by which rules --------------------------------------------------------------------------------------------

    def _is_by_older_rules(self, step: _Step) -> bool:
        """Whether a step was decided by an earlier revision of the rules.

        It is not because its decisions say so: revisions only rise, along an account's history and along the log, and
        each is one that a release had. What says anything else is performed by the rules of today, and so differs.
        """
        said = step.rules() or {self._rules}
        self._rules = max(self._rules, *said)
        is_one_revision = said == {self._rules} and not step.says_unknown_rules
        return is_one_revision and self._rules < RULES and self._may_be_older(step.first.at)

    def _may_be_older(self, at: Position) -> bool:
        """Whether no decision before this one says its rules."""
        return at.position < self._basis.rules_said_from.get(at.shard, at.position + 1)

    def _first_rules(self, steps: Sequence[_Step]) -> int:
        """The rules of an account's first decisions, which need not say: older ones, where they left something that
        is to be settled anew."""
        first: list[LedgerEvent] = []
        for step in steps:
            if not self._may_be_older(step.first.at) or any(isinstance(each, SettledAnew) for each in step.events):
                break
            if said := step.rules():
                return min(said)
            first += step.events
        account = Account(Head(self._account_id), self._catalogue_of_all())
        account.replay(first, {})
        return _UNSAID if account.billing.settlements.is_by_older_rules else RULES

    def _catalogue_of_all(self) -> Catalogue:
        catalogue = Catalogue()
        for each in self._published:
            catalogue.add(each.agreement)
        return catalogue

    def _publish(self, before: Position) -> None:
        """Have the agreements that were published by then."""
        while self._published and _place(self._published[0].at) < _place(before):
            self._catalogue.add(self._published.pop(0).agreement)

    def _go_on_from(self, events: Sequence[LedgerEvent]) -> None:
        """Have the account stand where these events leave it."""
        account = Account(Head(self._account_id, recorded_at=self._recorded_at), self._catalogue)
        account.replay(events, {})
        self._account, self._events = account, list(events)

    # --- performing -------------------------------------------------------------------------------------------------

    def _perform(self, step: _Step) -> None:
        """Perform one step, and note what differs."""
        if step.cause is None and not _is_timers(step.first.event):
            self._tell(step.first, step.first.event, None)  # a decision that nothing led to
            return
        if step.cause is not None:
            self._catch_up(step.cause, self._now_of(step))
        before = list(self._events)
        again = self._performed(step)
        self._events = before + again
        self._compare(step, again)
        if not _same_shape(step.events, again):
            self._go_on_from_recorded(step)

    def _catch_up(self, cause: _Recorded, now: datetime) -> None:
        """Note what had fallen due before and was not recorded."""
        self._account.catch_up(now, cause.event.recorded_at)
        missing = self._account.collect()
        for event in missing:
            self._tell(cause, None, event)
        self._events += missing

    def _find_missing(self, last: _Recorded, until: datetime) -> None:
        """Note what fell due after an account's last event and was not recorded."""
        self._account.catch_up(until, last.event.recorded_at)
        for event in self._account.collect():
            if self._asked(event.model_copy(update={"recorded_at": event.occurred_at})):
                self._note(last, None, event)

    def _now_of(self, step: _Step) -> datetime:
        """The present of a step. One without decisions says only when it was recorded, which is never earlier."""
        now, recorded_at = step.now(), step.first.event.recorded_at
        if now is None and self._now is not None and self._recorded_at == recorded_at:
            return self._now
        return now or recorded_at

    def _performed(self, step: _Step) -> list[LedgerEvent]:
        cause = step.cause.event if step.cause is not None else None
        match cause:
            case Fact():
                self._account.record_again(cause, self._now_of(step))
            case RefundSubmitted():
                self._account.submit_one(cause.data.refund_id, cause.data.now)
            case _:
                return self._after_time(step)
        return self._account.collect()

    def _after_time(self, step: _Step) -> list[LedgerEvent]:
        """What is decided because time passed: of what time changes, or of everything, as when the clock of a sandbox
        was set for the first time. Which of the two it was, the events do not say."""
        first, state, due_at = step.first.event, self._events, self._account.due_at
        self._account.pass_time_again(first.occurred_at, first.recorded_at, anew=False)
        again = self._account.collect()
        if (unlike := len(_unlike(step.all, again))) == 0:
            return again
        other = Account(Head(self._account_id, recorded_at=self._recorded_at, due_at=due_at), self._catalogue)
        other.replay(state, {})
        other.pass_time_again(first.occurred_at, first.recorded_at, anew=True)
        anew = other.collect()
        if len(_unlike(step.all, anew)) >= unlike:
            return again
        self._account = other
        return anew

    def _go_on_from_recorded(self, step: _Step) -> None:
        """Go on from what was recorded: from here on the account's own streams count otherwise. Where a recorded
        stream has a hole the account goes on from what follows."""
        try:
            self._go_on_from([*self._before, *step.events])
        except OriginatorVersionError:
            self._go_on_from(self._events)

    # --- comparing --------------------------------------------------------------------------------------------------

    def _note_law(self, step: _Step, asked: Sequence[_Recorded]) -> None:
        """An alarm for a law of the books follows from what was recorded before it; one for projections does not."""
        recorded = step.first
        assert isinstance(recorded.event, AlarmRaised | AlarmCleared)
        (law,) = recorded.event.data.about
        if law == "projections":
            self._leave_out("rests on rows", asked)
        else:
            broken = {each.law for each in check_books(self._account_id, self._before, self._catalogue).broken}
            if (law in broken) != isinstance(recorded.event, AlarmRaised):
                self._tell(recorded, recorded.event, None)
        self._account.remember(recorded.event)
        self._events.append(recorded.event)

    def _compare(self, step: _Step, again: Sequence[LedgerEvent]) -> None:
        for recorded, recomputed in _unlike(step.all, again):
            self._tell(recorded or step.first, recorded.event if recorded is not None else None, recomputed)

    def _tell(self, at: _Recorded, recorded: LedgerEvent | None, recomputed: LedgerEvent | None) -> None:
        if self._asked(at.event):
            self._note(at, recorded, recomputed)

    def _note(self, at: _Recorded, recorded: LedgerEvent | None, recomputed: LedgerEvent | None) -> None:
        event = recorded or recomputed
        assert event is not None
        was, now = (_content(each) if each is not None else None for each in (recorded, recomputed))
        if was is not None and now is not None:
            names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
            was, now = ({name: of[name] for name in names if name in of} for of in (was, now))
        self._found.differing.append(
            Differing(at.at, event.account, event.type, getattr(event.data, "claim_id", None), was, now)
        )


def _same_shape(recorded: Sequence[LedgerEvent], again: Sequence[LedgerEvent]) -> bool:
    return [(each.type, each.stream) for each in recorded] == [(each.type, each.stream) for each in again]


def _unlike(
    recorded: Sequence[_Recorded], again: Sequence[LedgerEvent]
) -> list[tuple[_Recorded | None, LedgerEvent | None]]:
    """What was recorded and does not follow, and what follows and was not recorded."""
    return [
        (was, now)
        for was, now in _paired(recorded, again)
        if was is None or now is None or not _says_the_same(was.event, now)
    ]


def _says_the_same(one: LedgerEvent, other: LedgerEvent) -> bool:
    """Whether two events say the same of the same, at the same time, for the same cause."""
    return (one.type, one.stream, one.occurred_at, one.causation_id) == (
        other.type,
        other.stream,
        other.occurred_at,
        other.causation_id,
    ) and one.data.model_dump_json() == other.data.model_dump_json()


def _paired(
    recorded: Sequence[_Recorded], again: Sequence[LedgerEvent]
) -> Iterator[tuple[_Recorded | None, LedgerEvent | None]]:
    """Recorded events with those that are about the same: in their order where that fits, else by what they name."""
    if _same_shape([each.event for each in recorded], again):
        yield from zip(recorded, again, strict=True)
        return
    waiting: dict[tuple[str, ...], list[LedgerEvent]] = defaultdict(list)
    for event in again:
        waiting[_about(event)].append(event)
    for each in recorded:
        same = waiting[_about(each.event)]
        yield each, same.pop(0) if same else None
    for left in waiting.values():
        for event in left:
            yield None, event


_NAMES = ("alarm", "about", "application_id", "refund_id", "claim_id", "invoice_id", "subscription_id")


def _about(event: LedgerEvent) -> tuple[str, ...]:
    return event.type, event.stream, *(str(getattr(event.data, name, None)) for name in _NAMES)


def _content(event: LedgerEvent) -> Content:
    """What an event says, by the path of each field."""
    said = event.model_dump(mode="json", include={"stream", "occurred_at", "causation_id", "data"})
    return dict(_flat("", said.pop("data"))) | said


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case dict() if value:
            for name, each in value.items():
                yield from _flat(f"{path}.{name}" if path else name, each)
        case list() | tuple() if value:
            for number, each in enumerate(value):
                yield from _flat(f"{path}.{number}", each)
        case _:
            yield path, value
