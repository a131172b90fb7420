"""The key of a page's last row as a text in an address, which the next page goes on after."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from pydantic_core import from_json, to_json

from ledger.store.reading.page import Key, Order

CURSOR_LENGTH_MAX = 12_000


def cursor_of(key: Key) -> str:
    """A key as a cursor: of A-Z a-z 0-9 _ = - only."""
    return base64.urlsafe_b64encode(to_json(key)).decode("ascii")


def key_in(cursor: str, order: Order) -> Key:
    """The key in a cursor of a list in an order. Raises ValueError for what is none."""
    try:
        found = from_json(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise ValueError("not a cursor") from None
    fits = isinstance(found, list) and [type(part) for part in found] == list(order.values())
    if not fits or any((isinstance(part, str) and "\0" in part) or _too_great(part) for part in found):
        raise ValueError("not a cursor of this list")
    return tuple(found)


def _too_great(part: Any) -> bool:
    return isinstance(part, int) and not -(2**63) <= part < 2**63
