"""The shape that every kind of fact has: the same functions in the same order."""

from __future__ import annotations

from typing import Protocol, TypeVar

from ledger.policy.facts.touched import Touched

F_contra = TypeVar("F_contra", contravariant=True)


class Kind(Protocol[F_contra]):
    """One kind of fact of one account. What it holds stands in `__init__`, and questions about it come last."""

    def learn(self, fact: F_contra, /) -> Touched:
        """Take in one fact and say what it touches; EVERYTHING where all kinds are to be judged again."""

    def judge(self) -> None:
        """Find out again what stands, because the account is registered otherwise or an earlier fact turned up.

        Until then no fact contradicts another.
        """

    def waits_for(self, fact: F_contra, /) -> str | None:
        """What a fact waits for besides its account and its subscription: a kind and an id, or nothing.

        Whatever makes the answer another one calls `became_known` with both, or `ask_anew`.
        """
