"""Each test reads its messages itself."""

from collections.abc import Iterator

import pytest

from tests.policy.case import forget_what_was_read


@pytest.fixture(autouse=True)
def messages_read_in_this_test() -> Iterator[None]:
    """What is read in a test is forgotten with it."""
    yield
    forget_what_was_read()
