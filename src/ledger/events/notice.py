"""Events of a notice to a customer and of its activation link. They hold no address and no text."""

from __future__ import annotations

from typing import Literal

from ledger.events.envelope import Decision, Sealed, Stored

NoticeKind = Literal[
    "activation", "cancellation", "withdrawal", "credit", "refund", "complaint_opened", "complaint_resolved"
]
"""The kinds of notice: the activation, and the receipts."""


class AboutNotice(Stored):
    """Every event of a notice names it."""

    notice_id: str


class NoticeEvent(Decision):
    """An event of one notice, recorded in that notice's stream."""

    data: AboutNotice


class NoticeData(AboutNotice):
    """A notice and its kind."""

    kind: NoticeKind


class NoticeSent(NoticeEvent):
    """A mail server accepted the notice. `about` is the event it reports, `locale` its language.

    A `repeat` was sent because nobody knew whether the one before it had arrived, or because a person asked for it.
    """

    stored_as = "notice-sent.v1"

    class Data(NoticeData):
        about: str
        message_id: str
        repeat: bool
        locale: str

    data: Data


class NoticeFailed(NoticeEvent):
    """The notice failed: the mail server refused it permanently, or there is no recipient."""

    stored_as = "notice-failed.v1"

    class Data(NoticeData):
        code: str

    data: Data


class NoticeResent(NoticeEvent):
    """A person queued the notice again."""

    stored_as = "notice-resent.v1"
    data: NoticeData


class NoticeDiscarded(NoticeEvent):
    """The notice was discarded: by a person, or because its cause was gone before it was sent.

    A person's reason, if they gave one, lies in the vault.
    """

    stored_as = "notice-discarded.v1"

    class Data(NoticeData):
        sealed: Sealed | None

    data: Data


class CredentialsCollected(NoticeEvent):
    """The customer opened the one-time link, and the secret was fetched for them. It is stored nowhere."""

    stored_as = "credentials-collected.v1"

    class Data(AboutNotice):
        subscription_id: str

    data: Data
