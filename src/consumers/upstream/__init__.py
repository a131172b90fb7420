"""Upstream's messages: their models, and reading them (contract §1)."""

from consumers.upstream.checking import Problem, check_file
from consumers.upstream.cloudevents import MESSAGE_BYTES_MAX
from consumers.upstream.door_messages import DOOR_MESSAGES, known_at_the_door
from consumers.upstream.findings import Unreadable
from consumers.upstream.messages import MESSAGES, MessageData
from consumers.upstream.statements import (
    KeptContent,
    examine_kept,
    read_act,
    read_binary,
    read_damaged,
    read_kafka,
    read_kept,
    read_structured,
)

__all__ = [
    "DOOR_MESSAGES",
    "MESSAGES",
    "MESSAGE_BYTES_MAX",
    "KeptContent",
    "MessageData",
    "Problem",
    "Unreadable",
    "check_file",
    "examine_kept",
    "known_at_the_door",
    "read_act",
    "read_binary",
    "read_damaged",
    "read_kafka",
    "read_kept",
    "read_structured",
]
