"""The forms of a file of messages: read, or refused as one file with one sentence."""

import gzip
import io
import json

import pytest

from consumers.upstream.file_forms import NotMessages, lines_in

ONE = {"specversion": "1.0", "id": "1", "data": {"price": "1.00", "text": 'a { [ \\ " é\n'}}
TWO = {"specversion": "1.0", "id": "2", "data": {}}
THREE = {"id": "3"}
ALL = [ONE, TWO, THREE]


def packed(content: bytes) -> bytes:
    """By gzip, the same bytes each time."""
    return gzip.compress(content, mtime=0)


def compact(message: object) -> str:
    return json.dumps(message, ensure_ascii=False)


def pretty(message: object) -> str:
    return json.dumps(message, ensure_ascii=False, indent=2)


JSON_LINES = "".join(f"{compact(message)}\n" for message in ALL)


def numbered(content: bytes | str) -> list[tuple[int, object]]:
    """The messages with their lines, as those who read lines count them."""
    content = content.encode() if isinstance(content, str) else content
    lines = lines_in(io.BytesIO(content))
    return [(number, json.loads(line)) for number, line in enumerate(lines, 1) if line.strip()]


def refused(content: bytes | str) -> str:
    with pytest.raises(NotMessages) as told:
        numbered(content)
    return str(told.value)


@pytest.mark.parametrize(
    "content",
    [
        JSON_LINES,
        JSON_LINES.rstrip("\n"),
        JSON_LINES.replace("\n", "\r\n"),
        b"\xef\xbb\xbf" + JSON_LINES.encode(),
        packed(JSON_LINES.encode()),
        packed(b"\xef\xbb\xbf" + JSON_LINES.encode()),
        packed(compact(ONE).encode() + b"\n") + packed(f"{compact(TWO)}\n{compact(THREE)}".encode()),
        "[\n" + ",\n".join(compact(message) for message in ALL) + "\n]\n",
        compact(ALL),
        b"\xef\xbb\xbf" + compact(ALL).encode(),
        packed(compact(ALL).encode()),
        pretty(ALL),
        "\n\n" + pretty(ALL),
        "\n".join(pretty(message) for message in ALL),
        "\n\n".join(pretty(message).replace("\n", "\r\n") for message in ALL),
        pretty(ONE) + "\n" + compact(TWO) + "\n" + compact(THREE),
    ],
)
def test_every_form_has_the_same_messages(content: bytes | str) -> None:
    assert [message for _, message in numbered(content)] == ALL


def test_a_message_is_on_the_line_on_which_it_begins() -> None:
    assert [line for line, _ in numbered("\n" + JSON_LINES)] == [2, 3, 4]
    first = 2 + pretty(ONE).count("\n") + 1
    second = first + pretty(TWO).count("\n") + 1
    assert [line for line, _ in numbered("\n".join(map(pretty, [ONE, TWO, THREE])))] == [1, first - 1, second - 1]
    assert [line for line, _ in numbered("[\n" + ",\n".join(map(pretty, ALL)) + "]")] == [2, first, second]


def test_messages_that_share_a_line_are_counted_by_their_place() -> None:
    assert [line for line, _ in numbered(compact(ALL))] == [1, 2, 3]
    assert [line for line, _ in numbered(f"[{compact(ONE)},\n{compact(TWO)}, {compact(THREE)}]")] == [1, 2, 3]


def test_the_bytes_of_a_message_stay_as_they_are() -> None:
    """What repeats a field, or writes a number in its own way, is judged by who reads the message."""
    odd = b'{"id": 1.0e2, "id": "\\u00e9",\n "n": ' + b"9" * 5_000 + b"}"
    assert b"".join(lines_in(io.BytesIO(b"[" + odd + b"]"))) == odd


@pytest.mark.parametrize(
    "lines",
    [
        ["rubbish"],
        ['{"id": "1"'],
        ['{"id": "broken', "rubbish", compact(ONE)],
        ['{"id": "1",', compact(ONE)],
        ["[1, 2]", compact(ONE)],
        ["7", compact(ONE)],
        [compact(ONE), "{"],
        [compact(ONE), "[", compact(TWO)],
        [compact(ONE) + compact(TWO)],
    ],
)
def test_what_is_wrong_on_a_line_of_json_lines_stays_on_its_line(lines: list[str]) -> None:
    """The line is refused and the others are taken, as ever."""
    content = "\n".join(lines).encode()
    assert [line.rstrip(b"\n") for line in lines_in(io.BytesIO(content))] == [line.encode() for line in lines]


def test_an_empty_file_has_no_messages() -> None:
    for content in ("", "\n\n", b"\xef\xbb\xbf", packed(b""), "[]", "[\n]\n"):
        assert numbered(content) == []


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("[\n" + compact(ONE) + ",\n" + compact(TWO) + "\n", 4),
        ("[\n" + compact(ONE) + ",\n" + compact(TWO)[:-3] + "\n]", 4),
        ("[\n" + compact(ONE) + "\n" + compact(TWO) + "\n]", 3),
        ("[\n" + compact(ONE) + "\n]\n" + compact(TWO), 4),
        ("[1,]", 1),
        ('[{"id": "broken\n' + compact(ONE) + "]", 1),
        (pretty(ONE) + "\n" + pretty(TWO)[:-3], 12),
        (pretty(ONE) + "\nrubbish\n" + pretty(TWO), 9),
        ("[" * 100_000, 1),
    ],
)
def test_what_breaks_off_is_refused_as_one_file(content: str, line: int) -> None:
    told = refused(content)
    assert told.startswith(f"it is no whole JSON from line {line} on: ")
    assert "jq -c ." in told


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (packed(JSON_LINES.encode())[:-20], "cut short"),
        (b"\x1f\x8b" + b"rubbish", "damaged"),
        (JSON_LINES.encode("utf-16"), "not in UTF-8"),
        (JSON_LINES.encode("utf-16-le"), "not in UTF-8"),
        (b"[\n" + compact(ONE).encode("latin-1") + b"\n]", "line 2 is not in UTF-8"),
        (b"PK\x03\x04...", "unpack it"),
    ],
)
def test_what_is_no_text_is_refused_as_one_file(content: bytes, why: str) -> None:
    assert why in refused(content)


def test_nothing_of_a_file_is_taken_before_it_is_known_to_be_whole() -> None:
    lines = lines_in(io.BytesIO(b"[" + compact(ONE).encode() + b",\n"))
    with pytest.raises(NotMessages):
        next(lines)


def test_json_lines_are_not_read_ahead() -> None:
    """A pipe is read as it is written."""

    class Endless(io.RawIOBase):
        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            line = compact(TWO).encode() + b"\n"
            buffer[: len(line)] = line
            return len(line)

        def readable(self) -> bool:
            return True

    lines = lines_in(io.BufferedReader(Endless(), 64))  # type: ignore[arg-type]
    assert [json.loads(next(lines)) for _ in range(1_000)] == [TWO] * 1_000
