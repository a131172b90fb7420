"""The event by which what is known of a customer in words was erased. It says nothing of what that was."""

from __future__ import annotations

from ledger.events.envelope import Decision, Sealed, Stored


class SubjectErased(Decision):
    """The personal data of an account were erased for good: its keys, and all that was encrypted with them.

    `entries` counts what the vault had of the account, the bodies of its `dead_letters` and of its messages
    `set_aside` among it; `notices` are the e-mails to the customer that were not sent yet. With `restored` it is
    recorded again, because the store was restored from a backup of before; the basis is not known then. The basis
    lies in the vault under a key of its own: it is an operator's words, and stays.
    """

    stored_as = "subject-erased.v1"

    class Data(Stored):
        entries: int
        dead_letters: int
        set_aside: int
        notices: int
        restored: bool
        sealed: Sealed | None

    data: Data
