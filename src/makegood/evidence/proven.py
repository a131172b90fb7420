"""Events with the proof that they are in the log, and accounts that are complete: a chain without a gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.audit import Checkpoint, LogProof, Note, Unproven, inclusion_proof, leaf_digest, verify_inclusion
from ledger.store.database import StoreError, Transaction
from ledger.store.positions import Reached
from ledger.store.reading.audit import StoredTree
from ledger.store.reading.events import StoredEnvelope, read_accounts
from ledger.store.reading.heads import head_of
from ledger.store.reading.shards import shards_of
from makegood.answers.audit.logs import last_checkpoint
from makegood.house.stop import Stop


class NotEvident(StoreError):
    """The store does not show what it says of an account: an event is missing, or is not the one in the log."""


@dataclass(frozen=True, slots=True)
class Log:
    """A shard's log as it was last signed."""

    shard: int
    checkpoint: Checkpoint
    note: Note


@dataclass(frozen=True, slots=True)
class CompleteAccount:
    """All events of an account that the log covers, from the first one on and without a gap.

    `later` is how many were recorded after the checkpoint.
    """

    account: str
    events: Sequence[StoredEnvelope]
    later: int

    @property
    def last(self) -> StoredEnvelope:
        """The event that the account's chain ends with."""
        return self.events[-1]


class Proofs:
    """The logs of all shards at their last checkpoints, as one state of the store has them.

    Raises Stop where a shard has no checkpoint yet.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self.logs: Mapping[int, Log] = {shard: _last_log(transaction, shard) for shard in shards_of(transaction)}
        self._trees = {shard: StoredTree(transaction, shard) for shard in self.logs}

    @property
    def covered(self) -> Reached:
        """The last position of each shard that is proven."""
        return Reached({shard: log.checkpoint.size for shard, log in self.logs.items()})

    def of(self, stored: StoredEnvelope) -> LogProof:
        """The proof that an event is in its shard's log. Raises NotEvident where it is not."""
        log, index = self.logs[stored.shard], stored.position - 1
        size, root = log.checkpoint.size, log.checkpoint.root
        try:
            hashes = inclusion_proof(self._trees[stored.shard], index, size)
            verify_inclusion(leaf_digest(stored.envelope), index, size, hashes, root)
        except Unproven as error:
            raise _not_evident(f"the event at position {stored.at} is not the one in the log ({error})") from None
        return LogProof(index, tuple(hashes), log.note)

    def account(self, account: str) -> CompleteAccount:
        """All of an account that is proven. Raises NotEvident where something of it is missing, and Stop where
        nothing of it is covered yet."""
        stored = read_accounts(self._transaction, [account]).get(account, [])
        _check_chain(account, stored, head_of(self._transaction, account))
        covered = [each for each in stored if self.covered.covers(each.at)]
        if not covered:
            raise Stop(
                f"no checkpoint covers anything of account {account} yet: sign one with `makegood audit checkpoint`"
            )
        return CompleteAccount(account, covered, len(stored) - len(covered))


def _last_log(transaction: Transaction, shard: int) -> Log:
    note = last_checkpoint(transaction, shard)
    return Log(shard, Checkpoint.parse(note.text), note)


def _check_chain(account: str, stored: Sequence[StoredEnvelope], head: tuple[int, str | None] | None) -> None:
    """Raises NotEvident where an account's events do not lead from its first to its head, each from the last one."""
    previous = None
    for version, each in enumerate(stored, start=1):
        if each.account_version != version:
            raise _not_evident(f"account {account} has no event {version} before position {each.at}")
        event = each.event()
        if (event.account, event.previous) != (account, previous):
            raise _not_evident(f"the event at position {each.at} does not follow event {version - 1} of {account}")
        previous = each.leaf_hash
    if head != (len(stored), previous):
        raise _not_evident(f"account {account} does not end with its event {len(stored)}, as its head says")


def _not_evident(what: str) -> NotEvident:
    return NotEvident(f"{what}: the store is damaged or was changed; `makegood audit verify` names all such places")
