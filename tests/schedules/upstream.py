"""What upstream publishes in a schedule: a few accounts' histories, and what careless producers make of them."""

from __future__ import annotations

import random
from collections import deque
from functools import cache

from consumers.kafka.records import Outgoing, Record
from consumers.kafka.topics import Topic
from tests.integration.world import Sent, binary, structured
from tests.ledger.messages import Message
from tests.oracle import histories

HISTORIES = [k for k in range(80) if len(histories.history(k)) <= 40]
"""Seeds of histories: few, so that what must come out of each is worked out once."""
AWAITING = [
    k for k in HISTORIES if any(message["data"].get("agreement") == "unheard-of" for message in histories.history(k))
]
"""Those in which a subscription waits for an agreement that is published late."""


@cache
def history(k: int) -> list[Message]:
    return histories.history(k, account=f"acct-{k}")


def malformed(rng: random.Random, of: Message) -> Sent:
    """A record that shows by itself that it cannot be taken."""
    good = structured(of)
    return rng.choice(
        [
            Sent(b"a line of a log", good.key),
            Sent(good.value[: len(good.value) // 2], good.key, good.headers),
            structured({**of, "id": f"{of['id']}-typo", "type": "voip.cycle.begun.v1"}),
            structured({**of, "id": f"{of['id']}-bare", "data": {}}),
            Sent(good.value, b"acct-of-another", good.headers),
            Sent(b"", None),
        ]
    )


class Upstream:
    """Producers with what they still have to publish; what is lost on the way they send again."""

    def __init__(self, rng: random.Random, topic: Topic, at_least: int = 0) -> None:
        self._rng = rng
        self._topic = topic
        many = max(at_least, rng.choice([1, 1, 2, 3]))
        self.accounts = sorted({rng.choice(rng.choice([HISTORIES, AWAITING])) for _ in range(many)})
        erring = rng.choice([0.0, 0.5, 0.5])  # how often a message of an account is put into another partition
        lines: list[deque[Outgoing]] = []
        for k in self.accounts:
            home = rng.randrange(topic.partitions)
            line: deque[Outgoing] = deque()
            for message in history(k):
                partition = rng.randrange(topic.partitions) if rng.random() < erring else home
                encode = rng.choice([structured, structured, binary])
                line.append(self._outgoing(encode(message), partition))
                if rng.random() < 0.12:
                    line.append(self._outgoing(rng.choice([structured, binary])(message), partition))
                if rng.random() < 0.06:
                    line.append(self._outgoing(malformed(rng, message), partition))
                if rng.random() < 0.04:
                    other = {**message, "time": "2012-02-03T04:05:06Z"}
                    line.append(self._outgoing(structured(other), partition))
            lines.append(line)
        self.left: deque[Outgoing] = deque()
        while any(lines):
            line = rng.choice([line for line in lines if line])
            self.left.extend(line.popleft() for _ in range(min(len(line), rng.randint(1, 6))))

    def _outgoing(self, sent: Sent, partition: int) -> Outgoing:
        return Outgoing(self._topic.name, sent.key, sent.value, sent.headers, partition)

    def next(self) -> Outgoing:
        """What is published next; now and then it is lost, or twice there, and comes again after others."""
        record = self.left.popleft()
        if len(self.left) > 1 and self._rng.random() < 0.15:
            self.left.insert(self._rng.randint(1, min(12, len(self.left))), record)
            if self._rng.random() < 0.5:
                record = self.left.popleft()
        return record

    def send_again(self, records: list[Record]) -> None:
        """What was read by nobody when its topic was deleted is sent again."""
        again = [Outgoing(r.partition.topic, r.key, r.value or b"", r.headers, r.partition.number) for r in records]
        self.left.extendleft(reversed(again))
