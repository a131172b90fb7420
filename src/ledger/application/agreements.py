"""Publish service agreements, and bind what waited for them (contract §2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.aggregates import Cause, SystemRecord, stream_name
from ledger.agreement import AgreementRefused, PublishedAgreement, read_agreement
from ledger.application.ledger import Ledger
from ledger.events import AgreementPublished
from ledger.store.database import Conflict
from ledger.store.writing import HeadMove, Publication, Writes, read_heads
from ledger.values import SYSTEM_ACCOUNT

ATTEMPTS_MAX = 12


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a publication: `new` is False where the same version with the same content stood already."""

    agreement: PublishedAgreement
    new: bool


def publish(ledger: Ledger, text: str, *, actor: str, channel: str) -> Published:
    """Publish an agreement from its TOML text; accounts that waited for it fall due at once.

    Raises AgreementRefused for a text that is wrong, or where the version is published with other content.
    """
    agreement = read_agreement(text)
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            return _publish(ledger, agreement, actor, channel)
        except Conflict:
            if attempt == ATTEMPTS_MAX:
                raise
    raise Conflict("too many simultaneous changes; try again")


def _publish(ledger: Ledger, agreement: PublishedAgreement, actor: str, channel: str) -> Published:
    terms = agreement.terms
    with ledger.database.reading() as transaction:
        catalogue = ledger.catalogue(transaction)
        try:
            standing = catalogue.version(terms.name, terms.version)
        except KeyError:
            standing = None
        if standing is not None:
            if standing.sha256 != agreement.sha256:
                raise AgreementRefused(
                    f"agreement {terms.name} version {terms.version} is published with other content; "
                    "publish changed terms as a new version"
                )
            return Published(standing, new=False)
        head = read_heads(transaction, [SYSTEM_ACCOUNT])[SYSTEM_ACCOUNT]
        now = ledger.clock_in(transaction)()
        count = catalogue.count(terms.name)
    event = _event(agreement, count, actor, channel, max(now, head.recorded_at or now), now)
    writes = Writes(
        heads={SYSTEM_ACCOUNT: HeadMove(head, head.version)},
        catalogue={terms.name: count},
        publications=[Publication(terms.name, terms.version, agreement.sha256, agreement.text, now)],
    )
    ledger.events.put([event], writes=writes)
    return Published(agreement, new=True)


def _event(
    agreement: PublishedAgreement, count: int, actor: str, channel: str, recorded_at: datetime, now: datetime
) -> AgreementPublished:
    data = AgreementPublished.Data(
        name=agreement.terms.name,
        version=agreement.terms.version,
        valid_from=agreement.terms.valid_from,
        sha256=agreement.sha256,
        text=agreement.text,
    )
    cause = Cause(actor=actor, channel=channel, occurred_at=now, recorded_at=recorded_at, now=now)
    stream = stream_name("agreement", agreement.terms.name)
    return SystemRecord.empty(stream, count).record(AgreementPublished, data, cause)
