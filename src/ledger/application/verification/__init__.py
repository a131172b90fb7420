"""Whether a store still says what was recorded: every row is read and hashed anew, none is believed (design rule 5).

A `Snapshot` says how far the store goes and what its other tables say; runs of events are then checked one by one, in
several processes where there are many, and put together; in the end trees and the other tables are held to them.
"""

from ledger.application.verification.events import REPEATED, check_range
from ledger.application.verification.found import Mismatch
from ledger.application.verification.in_folder import LogFolder, LogUnreadable
from ledger.application.verification.snapshot import Snapshot, read_snapshot
from ledger.application.verification.tables import against_events, among_events
from ledger.application.verification.trees import Covered, against_trees

__all__ = [
    "REPEATED",
    "Covered",
    "LogFolder",
    "LogUnreadable",
    "Mismatch",
    "Snapshot",
    "against_events",
    "against_trees",
    "among_events",
    "check_range",
    "read_snapshot",
]
