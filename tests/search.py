"""How far tests go looking for what nobody thought of: `make test` takes part of a sample, `make laws` many."""

import os
from fractions import Fraction

TIMES = Fraction(os.environ.get("MAKEGOOD_TEST_TIMES") or 1)
"""So many times the sample: 0.5 in `make test`, 20 in `make laws`."""


def sample(count: int) -> int:
    """How many seeds or examples to try where a sample has `count`; one at least."""
    return max(1, round(count * TIMES))
