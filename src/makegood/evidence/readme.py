"""The page with which a pack begins, for an auditor who has never seen Makegood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WHAT_IT_IS = """\
EVIDENCE FROM A LEDGER OF REFUNDS AND CREDITS

Makegood records what a telephone provider owes its customers, and why. Every fact that came in and every decision
that followed is one event, stored for ever. An event is a JSON text, its bytes are hashed, and the hashes are the
leaves of a Merkle tree (RFC 6962). The tree's root is signed from time to time: that is a checkpoint. Whoever has a
checkpoint can tell whether an event is in the log at a position, and whether anything before it was changed.
"""

_FILES = """\
WHAT IS IN HERE

  pack.json                  what was asked for, what is in here, and the SHA-256 of every other file
  checkpoints/SHARD.checkpoint
                             the signed checkpoint: origin, number of events, root, signatures (C2SP signed note)
  entries/SHARD/POSITION.json
                             an event, byte for byte as it is stored
  proofs/SHARD/POSITION.tlog-proof
                             that this event is in the log at this position (C2SP tlog-proof)
  agreements/SHA256.toml     the terms that decisions name, by the SHA-256 of their text
  accounts/N/history.csv     every event of an account, in words
  accounts/N/journal.csv     what moved, in double entry; debits and credits of each movement are equal
  accounts/N/explanations.txt, .json
                             how each claim came about: clause, formula, working, facts
"""

_CHECK = """\
HOW TO CHECK IT

1. Get the log's public key, and this checkpoint or a later one, from somebody other than the provider: a witness that
   cosigned it, a Git repository, your own files from last time. A checkpoint that never left the provider's hands
   binds nobody who holds the signing key.
2. Run `python3 verify.py pack FILE.zip --key VKEY` with this file and the log's keys. It hashes everything anew,
   follows each proof and each chain, works out again from the facts and the terms what each claim came to and how it
   was settled, and draws a sample again. It needs Python and the package `cryptography`, and nothing of Makegood: no
   database, no server, no network. Compare it with a copy from elsewhere. It says what it did not work out.
3. Any other tool for C2SP's formats will do too. By hand: the leaf's hash is SHA-256 of a zero byte and the entry's
   bytes; the proof leads from it, at index POSITION - 1, to the checkpoint's root.
"""

_COMPLETE = """\
WHAT "COMPLETE" MEANS

An account in here is its whole chain up to the checkpoint: its first event, in which `previous` is null, and each
event after it, whose `previous` is the leaf hash of the one before. No event can be left out of the middle without
the hashes saying so. The last one is the account's head; pack.json names it, and how many events of the account were
recorded after the checkpoint and are not in here (`later`).
"""
_CLOSED = """\
That no account and no later event up to the month's closing is missing, the manifest shows: {manifest} has every
account with the number and the leaf hash of its last event. Its SHA-256 stands in the closing, the event at
{event}, which is in here with its proof. The row of each account in here names an event of its chain.
"""
_NOT_CLOSED = """\
That the chain does not go on between its last event and the checkpoint, nothing in here shows: ask for the pack with
`--period` of a closed month, whose manifest has every account's head, or verify the whole log.
"""
_POPULATION = """\
THE SAMPLE

population.csv has every movement that counts in the month, in the order of accounts and events; sample.csv has those
that were drawn. By row: the {size} rows with the smallest SHA-256 of `SEED:EVENT_ID:NUMBER`. By money: for i = 1, 2,
... the SHA-256 of `SEED:i`, as a number, modulo the total, points at one minor unit (such as a cent) of all amounts
laid one after the other, taken without their sign; each that was not yet drawn counts, until there are SIZE. Counts
and sums are those of the month's closing.
"""
_NOT_IN_HERE = """\
WHAT IS NOT IN HERE

Names, addresses and what people wrote are not in events. They lie encrypted in a vault, and can be erased; an event
has a reference and a keyed commitment. The history, the journal and the explanations follow from the events: they are
there to be read, and prove nothing by themselves.
"""


def readme(described: Mapping[str, Any]) -> str:
    """The page for a pack, by what pack.json says of it."""
    closing = described["closing"]
    parts = [_WHAT_IT_IS, _asked(described), _FILES, _CHECK]
    parts.append(_COMPLETE + (_CLOSED.format(**closing) if closing else _NOT_CLOSED))
    if described["kind"] == "sample":
        parts.append(_POPULATION.format(size=described["asked"]["size"]))
    return "\n".join([*parts, _NOT_IN_HERE])


def _asked(described: Mapping[str, Any]) -> str:
    asked = ", ".join(f"{name} {value}" for name, value in described["asked"].items() if value is not None)
    logs = "".join(f"  log {log['origin']}: {log['size']} events, root {log['root']}\n" for log in described["logs"])
    return f"THIS PACK\n\n  asked for: {asked}\n{logs}"
