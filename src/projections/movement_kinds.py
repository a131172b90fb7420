"""The kinds of movements: what each moves, and what that does to the amounts owed (policy §7).

A movement is a flow: it has a minus where what it says was taken back. So the sum of a kind is what stands of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

MovementKind = Literal[
    "granted",
    "reduced",
    "set_off",
    "corrected",
    "refund_due",
    "submitted",
    "refunded",
    "rejected",
    "credited",
    "applied",
    "kept_back",
    "credit_refund_due",
    "credit_refunded",
    "paid_in_excess",
    "excess_credited",
    "overpaid",
    "recovered",
    "written_off",
]
"""Of a claim: what was `granted`, and how it is made good: an invoice `reduced`, an amount `set_off` within its
invoice, a refund that became due, an amount `credited`, or `corrected` between net and tax; what went out too much is
`overpaid`, until it is `recovered` from another credit or `written_off`. Of a refund: `submitted`, `refunded` (it
arrived; a minus where it bounced) or `rejected`. Of a credit: `applied` to a charge, `kept_back` to recover what
was overpaid, due as a refund on request, and refunded. Of an invoice: `paid_in_excess`, until that is
`excess_credited`."""
KINDS: tuple[MovementKind, ...] = get_args(MovementKind)

Owed = Literal["refunds_due", "credits_left", "excess", "overpaid"]
OWED: tuple[Owed, ...] = get_args(Owed)
"""What amounts owed consist of; `overpaid` is owed by the customer and counts against the others."""

EFFECTS: Mapping[MovementKind, Mapping[Owed, Literal[1, -1]]] = {
    "granted": {},
    "reduced": {},
    "set_off": {},
    "corrected": {},
    "refund_due": {"refunds_due": 1},
    "submitted": {},
    "refunded": {"refunds_due": -1},
    "rejected": {"refunds_due": -1},
    "credited": {"credits_left": 1},
    "applied": {"credits_left": -1},
    "kept_back": {"credits_left": -1},
    "credit_refund_due": {"credits_left": -1, "refunds_due": 1},
    "credit_refunded": {"refunds_due": -1},
    "paid_in_excess": {"excess": 1},
    "excess_credited": {"excess": -1, "credits_left": 1},
    "overpaid": {"overpaid": 1},
    "recovered": {"overpaid": -1},
    "written_off": {"overpaid": -1},
}
"""By how much a movement of each kind raises or lowers what is owed. A kind without an effect moves what is not owed
by itself: a claim that is granted is owed in the way in which it is made good."""

Settlement = Literal["invoice_reduction", "refund", "credit"]
SETTLEMENTS: Mapping[MovementKind, Settlement] = {
    "reduced": "invoice_reduction",
    "refund_due": "refund",
    "submitted": "refund",
    "refunded": "refund",
    "rejected": "refund",
    "credited": "credit",
    "applied": "credit",
    "kept_back": "credit",
    "credit_refund_due": "refund",
    "credit_refunded": "refund",
    "excess_credited": "credit",
}
"""The way of settling that a movement belongs to; the other kinds belong to none."""
