"""How many requests of one caller are answered: so many a second on average, and more at once for a moment."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

CALLERS_KEPT_MAX = 10_000


class RequestRate:
    """The generic cell rate algorithm: each request uses up one part of a second, and `burst` may be ahead of it.

    Kept in memory: every process counts for itself. `per_second` 0 stands for no limit.
    """

    def __init__(self, per_second: int, burst: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._ahead = (max(burst, 1) - 1) / per_second if per_second else 0.0
        self._monotonic = monotonic
        self._used_until: OrderedDict[str, float] = OrderedDict()
        self._turn = threading.Lock()

    def wait(self, caller: str) -> float:
        """The seconds until one more request of a caller is answered; 0 where it is answered now, and counted."""
        if not self.per_second:
            return 0.0
        now = self._monotonic()
        with self._turn:
            used_until = max(self._used_until.get(caller, now), now)
            wait = used_until - now - self._ahead
            if wait > 1e-9:
                return wait
            self._used_until[caller] = used_until + 1 / self.per_second
            self._used_until.move_to_end(caller)
            while len(self._used_until) > CALLERS_KEPT_MAX:
                self._used_until.popitem(last=False)
        return 0.0
