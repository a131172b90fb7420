"""How far tests go looking for what nobody thought of: `make test` takes a sample, `make laws` many times as much."""

import os
from fractions import Fraction

TIMES = Fraction(os.environ.get("MAKEGOOD_TEST_TIMES") or 1)
"""So many times the sample of `make test`."""


def sample(count: int) -> int:
    """How many seeds or examples to try where `make test` tries `count`; one at least."""
    return max(1, round(count * TIMES))
