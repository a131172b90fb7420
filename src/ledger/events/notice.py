"""What became of a notice to a customer, and of the link in one. No address and no word of it stands here."""

from __future__ import annotations

from typing import Literal

from ledger.events.envelope import Decision, Sealed, Stored

NoticeKind = Literal[
    "activation", "cancellation", "withdrawal", "credit", "refund", "complaint_opened", "complaint_resolved"
]
"""What a notice tells: that a service is ready, or one of the receipts."""


class AboutNotice(Stored):
    """Every event of a notice names it."""

    notice_id: str


class NoticeEvent(Decision):
    """Something that became of one notice, recorded in that notice's stream."""

    data: AboutNotice


class NoticeData(AboutNotice):
    """A notice and its kind."""

    kind: NoticeKind


class NoticeSent(NoticeEvent):
    """A mail server took the notice over. `about` is the event that it tells of, `locale` the language it is in.

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
    """The notice cannot be sent: the mail server refused it for good, or there is nobody to send it to."""

    stored_as = "notice-failed.v1"

    class Data(NoticeData):
        code: str

    data: Data


class NoticeResent(NoticeEvent):
    """A person had the notice queued once more."""

    stored_as = "notice-resent.v1"
    data: NoticeData


class NoticeDiscarded(NoticeEvent):
    """The notice is not sent: a person decided it, or what it would have told of was gone before anybody knew.

    A person's reason, if they gave one, lies in the vault.
    """

    stored_as = "notice-discarded.v1"

    class Data(NoticeData):
        sealed: Sealed | None

    data: Data


class CredentialsCollected(NoticeEvent):
    """The customer opened the one-time link, and the secret was fetched for them. It stands nowhere."""

    stored_as = "credentials-collected.v1"

    class Data(AboutNotice):
        subscription_id: str

    data: Data
