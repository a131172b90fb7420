"""What fails for a moment is tried again, and what does not fail costs nothing."""

import gc
from datetime import timedelta

import pytest

from ledger.retries import Passing, attempts
from tests.ledger.books import Books
from tests.ledger.messages import Upstream

MOMENT = timedelta(milliseconds=1)


class Passes(Exception):
    pass


class Stays(Exception):
    pass


def tried(failing: int, error: Exception, passing: Passing, most: int = 4) -> int:
    """How often something was done that fails so often at first. Raises what the last attempt raised."""
    done = 0
    try:
        for again in attempts(passing, most=most, pause=MOMENT, pause_max=MOMENT, jitter=MOMENT):
            with again:
                done += 1
                if done <= failing:
                    raise error
    except Passes:
        assert done == most
        raise
    except Stays:
        assert done == 1
        raise
    return done


@pytest.mark.parametrize("passing", [Passes, lambda error: isinstance(error, Passes)])
def test_it_is_done_until_it_works_or_was_tried_often_enough(passing: Passing) -> None:
    assert [tried(failing, Passes(), passing) for failing in range(4)] == [1, 2, 3, 4]
    with pytest.raises(Passes):
        tried(4, Passes(), passing)
    with pytest.raises(Stays):
        tried(1, Stays(), passing)


def test_taking_messages_leaves_nothing_that_refers_to_itself() -> None:
    """It would stay in memory, and stop everybody when it is looked for at last."""
    books = Books.open()
    upstream = Upstream()
    books.take(upstream.customer())
    gc.collect()
    gc.disable()
    try:
        for number in range(5):
            books.take([upstream.cycle_started(f"cycle-{number + 10}", starts_on=f"2027-0{number + 1}-01")])
            books.take([upstream.payment_failed(message_id=f"failed-{number}")])
        assert gc.collect() == 0
    finally:
        gc.enable()
