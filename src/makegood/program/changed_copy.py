"""The end of the demo: one amount is changed in a copy of its store, and verifying finds it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from ledger.audit import Note, TrustPolicy, leaf_hash
from ledger.events import ClaimAssessed
from ledger.store.connecting import connect
from ledger.store.database import Transaction
from makegood.answers.audit.checkpoints import sign_now
from makegood.answers.audit.verification import Verification, verified
from makegood.commands.terminal.demo_summary import show_changed_copy
from makegood.house.audit_keys import verifier_keys
from makegood.house.opening import House, open_house
from makegood.house.settings import Settings
from makegood.house.stop import Stop

Changed = tuple[str, str, str, str]
"""The claim, its account, and its amount before and after."""


def change_a_copy(house: House, store: Path, copy: Path) -> None:
    """Sign what is recorded, change one granted amount in a copy of the store as somebody would who hides it, and
    print what verifying finds, in the store and in its copy. Raises Stop where it finds nothing.
    """
    signed = sign_now(house, house.shard, [], None, lambda size: None)
    note = Note.parse(signed["note"])
    policy = TrustPolicy.of_log(*verifier_keys(house.settings))
    honest = verified(house, policy=policy, checkpoint=note)
    copy.touch(mode=0o600)  # a store is for its owner alone
    with closing(sqlite3.connect(store)) as original, closing(sqlite3.connect(copy)) as other:
        original.backup(other)
    settings = house.settings.model_copy(update={"store": f"sqlite:///{copy}"})
    with closing(connect(settings.store)) as database, database.writing() as transaction:
        changed = _change_one_amount(transaction)
    found = _verified(settings, policy, note)
    if found["ok"]:
        raise Stop("an amount was changed in a copy of the store, and verifying did not find it: please report this")
    show_changed_copy(honest, found, changed, settings.store)


def _verified(settings: Settings, policy: TrustPolicy, note: Note) -> Verification:
    with open_house(settings, restored=True) as house:
        return verified(house, policy=policy, checkpoint=note)


def _change_one_amount(transaction: Transaction) -> Changed:
    """Change the amount of the last claim that was granted, and chain what came later of its account again."""
    rows = transaction.rows(
        "SELECT account, account_version, envelope FROM events WHERE type = ? ORDER BY position DESC",
        (ClaimAssessed.stored_as,),
    )
    account, version, claim = next(
        (account, version, said)
        for account, version, envelope in rows
        if ((said := json.loads(envelope)["data"])["after"] or {}).get("outcome") == "granted"
    )
    before = claim["after"]["amount"]
    after = str(Decimal(before) + 10)
    previous: str | None = None
    for position, number, envelope in transaction.rows(
        "SELECT position, account_version, envelope FROM events WHERE account = ? AND account_version >= ? "
        "ORDER BY account_version",
        (account, version),
    ):
        said = json.loads(envelope)
        if number == version:
            said["data"]["after"]["amount"] = after
        else:
            said["previous"] = previous
        written = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
        previous = leaf_hash(written)
        transaction.run("UPDATE events SET envelope = ? WHERE position = ?", (written, position))
    transaction.run("UPDATE heads SET leaf_hash = ? WHERE account = ?", (previous, account))
    return claim["claim_id"], account, before, after
