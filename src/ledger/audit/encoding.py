"""Base64 that is written in one way only, so that nobody can change a signed file's bytes and keep its meaning."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode


def decoded(text: str) -> bytes | None:
    """The bytes that a standard base64 text stands for; None where it is not as base64 would be written."""
    try:
        value = b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return value if b64encode(value).decode() == text else None
