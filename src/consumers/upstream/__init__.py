"""Upstream's messages: their models, and reading them (contract §1)."""

from consumers.upstream.checking import Problem, check_file
from consumers.upstream.cloudevents import MESSAGE_BYTES_MAX
from consumers.upstream.findings import Unreadable
from consumers.upstream.instructed import INSTRUCTED, known_at_the_door
from consumers.upstream.messages import MESSAGES, MessageData
from consumers.upstream.statements import read_binary, read_instructed, read_kafka, read_kept, read_structured

__all__ = [
    "INSTRUCTED",
    "MESSAGES",
    "MESSAGE_BYTES_MAX",
    "MessageData",
    "Problem",
    "Unreadable",
    "check_file",
    "known_at_the_door",
    "read_binary",
    "read_instructed",
    "read_kafka",
    "read_kept",
    "read_structured",
]
