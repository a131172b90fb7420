"""A shard's Merkle tree gets a new name where it does not go on from what was signed: most often after a restore."""

from __future__ import annotations

from ledger.aggregates import SystemRecord
from ledger.application.acts import Act, By, perform
from ledger.application.ledger import Ledger
from ledger.audit import Checkpoint, Note
from ledger.events import LogOriginBegun
from ledger.store.database import StoreError
from ledger.store.reading.audit import Log, logs_of, origin_for
from ledger.store.reading.store import store_id
from ledger.store.reading.vault import VaultInStore
from ledger.values import SYSTEM_ACCOUNT, stream_name
from ledger.vault import log_origin_subject


class NotTheLog(StoreError):
    """The checkpoint to follow is of another log than the one that is signed now."""


def begin_log_origin(ledger: Ledger, shard: int, follows: Note, reason: str, by: By) -> Log:
    """Have a shard's tree signed under a new origin from now on; the log that begins.

    `follows` is the last checkpoint that is known of the log before, also of what the store does not have any more.
    The tree stays what it is and covers all events from the first. Raises NotTheLog, Conflict, and Unavailable.
    """

    def decide(act: Act) -> Log:
        before = logs_of(act.transaction, shard)[-1]
        origin = Checkpoint.parse(follows.text).origin
        if origin != before.origin:
            raise NotTheLog(
                f"the checkpoint is of {origin}, and what is signed now is {before.origin}: give its last checkpoint"
            )
        number = before.number + 1
        log = Log(shard, number, origin_for(store_id(act.transaction), shard, number), str(follows))
        subject = log_origin_subject(shard, number)
        ledger.vault.prepare([subject], VaultInStore(act.transaction))
        sealed, entries = ledger.vault.seal(f"{subject}/reason", subject, {"reason": reason})
        act.writes.vault += entries
        act.writes.log = log
        data = LogOriginBegun.Data(shard=shard, number=number, origin=log.origin, follows=str(follows), sealed=sealed)
        stream = stream_name("log-origin", str(shard), str(number))
        act.record(SystemRecord.empty(stream), LogOriginBegun, data, by)
        return log

    return perform(ledger, {SYSTEM_ACCOUNT}, decide)
