"""Performs an account's recorded decisions again, and lists each that does not follow from its facts (policy §1).

What an auditor may do, and must get the same: the stored facts are taken in their order by an account of its own,
each at the `now` of its decisions and with the agreements that were published by then, and what that account decides
is compared with what was recorded. Nothing is stored, and no vault is needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from eventsourcing.domain import OriginatorVersionError

from ledger.aggregates.billing_account import LAW_BROKEN
from ledger.agreement import PublishedAgreement
from ledger.application.account import TIMER, Account
from ledger.application.catalogue import Catalogue
from ledger.application.checking import check_books
from ledger.events import (
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
)
from ledger.policy.rules import RULES
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


@dataclass(slots=True)
class Reperformed:
    """How many decisions were looked at, how many of them by rules that this program does not have, what differs."""

    decisions: int = 0
    not_reperformable: int = 0
    differing: list[Differing] = field(default_factory=list)


def reperform(
    account: str,
    recorded: Sequence[StoredEnvelope],
    published: Sequence[Publication],
    asked: Callable[[LedgerEvent], bool] = lambda event: True,
) -> Reperformed:
    """Perform the decisions of an account again: its first events, in order, with all publications of agreements.

    Only decisions that are `asked` for are counted and told of; the others are performed too, because later ones
    rest on them. How a notice to the customer was delivered is no decision. Raises UnknownStoredType, and
    pydantic.ValidationError for damaged bytes.
    """
    return _Reperforming(account, published, asked).reperform(recorded)


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

    def rules(self) -> int | None:
        """The revision of the rules, where a decision says it."""
        return next((rules for each in self.all if (rules := _rules(each.event)) is not None), None)


def _rules(event: LedgerEvent) -> int | None:
    if isinstance(event, ClaimAssessedV1 | CreditAppliedV1):
        return 1
    rules = getattr(event.data, "rules", None)
    return rules if isinstance(rules, int) else None


def _first_rules(steps: Sequence[_Step]) -> int:
    """The rules of an account's first decisions, which need not say: older ones, where all was settled anew later."""
    for step in steps:
        if any(isinstance(event, SettledAnew) for event in step.events):
            return RULES - 1
        if (rules := step.rules()) is not None:
            return rules
    return RULES


def _notes_law(event: LedgerEvent) -> bool:
    return isinstance(event, AlarmRaised | AlarmCleared) and event.data.alarm == LAW_BROKEN


def _steps(recorded: Sequence[_Recorded], published: Sequence[Publication]) -> Iterator[_Step]:
    """The steps in which an account's events were recorded. A publication between two ends a step of the timer's."""
    places = [_place(each.at) for each in published]

    def between(one: Position, other: Position) -> bool:
        return any(_place(one) < place < _place(other) for place in places)

    events = [each for each in recorded if not isinstance(each.event, NoticeEvent)]
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

    def __init__(self, account: str, published: Sequence[Publication], asked: Callable[[LedgerEvent], bool]) -> None:
        self._account_id = account
        self._asked = asked
        self._published = sorted(published, key=lambda each: _place(each.at))
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
        rules = _first_rules(steps)
        behind = False
        for step in steps:
            rules = step.rules() or rules
            asked = [each for each in step.judged if self._asked(each.event)]
            self._found.decisions += len(asked)
            self._publish(step.first.at)
            if _notes_law(step.first.event):
                self._note_law(step, bool(asked))
            elif rules != RULES:
                self._found.not_reperformable += len(asked)
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
        return self._found

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

    def _note_law(self, step: _Step, asked: bool) -> None:
        """An alarm for a law of the books follows from what was recorded before it; one for projections does not."""
        recorded = step.first
        assert isinstance(recorded.event, AlarmRaised | AlarmCleared)
        (law,) = recorded.event.data.about
        if law == "projections":
            self._found.not_reperformable += asked
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
        event = recorded or recomputed
        assert event is not None
        if not self._asked(at.event):
            return
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
