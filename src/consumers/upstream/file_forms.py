"""The forms that a file of messages may have, all read as lines with one message each.

JSON Lines are read as they come, each line judged by itself. A JSON array, and JSON that is spread over lines, are
read whole before the first message is taken: where they break off, the file is refused and nothing of it is recorded.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import BinaryIO

from consumers.upstream.cloudevents import NotJson, after_space, array_members, value_end

SPREAD_BYTES_MAX = 256 * 1024 * 1024
"""The size up to which a file is read whole; JSON Lines may have any size."""

_HEAD_BYTES = 4
_BOM, _GZIP = b"\xef\xbb\xbf", b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_OTHER_ARCHIVES = (b"PK\x03\x04", b"BZh", b"\xfd7zX", b"\x28\xb5\x2f\xfd")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_AS_LINES = "write one message a line, for example with `jq -c .`"


class NotMessages(ValueError):
    """A file that cannot be read as messages, and is refused as a whole; the message says why and what to do."""


def lines_in(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a file: of JSON Lines as they stand, unpacked and without a byte order mark; of other JSON a line
    for each message. Raises NotMessages.

    A message's line is the one on which it begins. Where messages share lines, it is their place in the array.
    """
    lines = _without_mark(_unpacked(stream))
    head: list[bytes] = []
    first = second = b""
    for line in lines:
        head.append(line)
        first, second = first or line.strip(), line.strip() if first else b""
        if second:
            break
    whole = chain(head, lines)
    if first.startswith(b"[") and not (second and _is_whole(first)):
        yield from _apart(_text(whole), array=True)
    elif first.startswith(b"{") and second and _is_left_open(first) and not _begins_another(second):
        yield from _apart(_text(whole), array=False)
    else:
        yield from whole


# --- from bytes to lines ------------------------------------------------------------------------------------------


def _unpacked(stream: BinaryIO) -> Iterator[bytes]:
    head = stream.read(_HEAD_BYTES)
    if head.startswith(_GZIP):
        yield from _of_gzip(head, stream)
        return
    if head.startswith(_OTHER_ARCHIVES):
        raise NotMessages("it is compressed otherwise than by gzip: unpack it first")
    if head.startswith(_UTF_16) or b"\0" in head:
        raise NotMessages("it is not in UTF-8: save it in UTF-8")
    *lines, last = head.split(b"\n")
    yield from (line + b"\n" for line in lines)
    if last := last + stream.readline():
        yield last
    yield from stream


def _of_gzip(head: bytes, stream: BinaryIO) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=_Rejoined(head, stream), mode="rb") as unpacked:
            yield from unpacked
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise NotMessages(
            "it is damaged or cut short: copy it again and repeat the command; nothing is recorded twice"
        ) from None


class _Rejoined:
    """A stream with what was read of it already; it can be read in one direction only."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        taken = self._head[:size]
        self._head = self._head[size:]
        return taken + self._stream.read(size - len(taken))

    def seek(self, place: int, /) -> object:
        raise OSError("a pipe cannot be read again")


def _without_mark(lines: Iterator[bytes]) -> Iterator[bytes]:
    for first in lines:
        yield first.removeprefix(_BOM)
        break
    yield from lines


# --- which form it is ---------------------------------------------------------------------------------------------


def _is_left_open(line: bytes) -> bool:
    """Whether an object or array begins on a line and does not end there; a damaged string never goes on."""
    outside = _STRING.sub(b"", line)
    opened = len(re.findall(rb"[\[{]", outside)) - len(re.findall(rb"[\]}]", outside))
    return b'"' not in outside and opened > 0


def _begins_another(line: bytes) -> bool:
    """Whether a line is a message by itself, so that one left open before it is damaged and does not go on."""
    return line.startswith(b"{") and _is_whole(line)


def _is_whole(line: bytes) -> bool:
    """Whether a line is JSON by itself."""
    try:
        text = line.decode()
        return value_end(text, 0) == len(text)
    except ValueError:
        return False


# --- JSON that is no JSON Lines -----------------------------------------------------------------------------------


def _text(lines: Iterable[bytes]) -> str:
    taken: list[bytes] = []
    size = 0
    for line in lines:
        taken.append(line)
        size += len(line)
        if size > SPREAD_BYTES_MAX:
            raise NotMessages(f"over {SPREAD_BYTES_MAX // 1024**2} MiB are read as JSON Lines only: {_AS_LINES}")
    try:
        return b"".join(taken).decode()
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise NotMessages(f"line {number} is not in UTF-8: save the file in UTF-8") from None


def _apart(text: str, *, array: bool) -> Iterator[bytes]:
    """The messages, each on the line where it began, if each began on a line of its own."""
    try:
        spans = array_members(text) if array else list(_one_after_the_other(text))
    except NotJson as error:
        number = text.count("\n", 0, error.at) + 1
        raise NotMessages(f"it is no whole JSON from line {number} on: correct it there, or {_AS_LINES}") from None
    places: list[int] = []
    number, at = 1, 0
    for start, _ in spans:
        number, at = number + text.count("\n", at, start), start
        places.append(number)
    line = 1
    padded = all(one < other for one, other in pairwise(places))
    for place, (start, end) in zip(places, spans, strict=True):
        while padded and line < place:
            yield b"\n"
            line += 1
        yield text[start:end].encode()
        line += 1


def _one_after_the_other(text: str) -> Iterator[tuple[int, int]]:
    """Where values begin and end that have nothing but white space between them."""
    at = after_space(text, 0)
    while at < len(text):
        end = value_end(text, at)
        yield at, end
        at = after_space(text, end)
