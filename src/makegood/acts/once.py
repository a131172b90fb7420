"""What a person does once for each key and is no message: their key, and what they asked under it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.application import requests
from ledger.application.acts import By
from makegood.house.opening import House


@dataclass(frozen=True, slots=True)
class Once:
    """Who does it, by which door, and under which key of theirs."""

    house: House
    by: By
    key: str
    recorded: Callable[[], None]
    """Called once it is recorded, to wake who follows."""

    def request(self, *said: str, house: House | None = None) -> requests.Request:
        """The request under the key: the same key for anything else that is said raises KeyReused. It is for another
        shard where its house is named."""
        digest = requests.digest_of((house or self.house).ledger, "\n".join(said).encode())
        return requests.Request(self.by.actor, self.key, digest)
