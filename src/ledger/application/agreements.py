"""Publish service agreements, and bind what waited for them (contract §2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.aggregates import SystemRecord
from ledger.agreement import AgreementRefused, PublishedAgreement, read_agreement
from ledger.application.acts import Act, By, perform
from ledger.application.ledger import Ledger
from ledger.events import AgreementPublished
from ledger.store.writing import Publication
from ledger.values import SYSTEM_ACCOUNT, stream_name


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a publication: `new` is False where the same version with the same content stood already."""

    agreement: PublishedAgreement
    new: bool


TEXT_BYTES_MAX = 30_000
"""The longest text of an agreement, so that its event is an entry of the log (`ENTRY_BYTES_MAX`), escaped as JSON."""


def publish(ledger: Ledger, text: str, *, actor: str, channel: str) -> Published:
    """Publish an agreement from its TOML text; accounts that waited for it fall due at once.

    Raises AgreementRefused for a text that is wrong, or where the version is published with other content; Conflict,
    and Unavailable.
    """
    agreement = read_agreement(text)
    return perform(ledger, {SYSTEM_ACCOUNT}, lambda act: _publish(act, agreement, By(actor, channel)))


def publish_everywhere(ledgers: Sequence[Ledger], text: str, *, actor: str, channel: str) -> Published:
    """Publish an agreement in every shard of a store; what became of it in the first one.

    That is the last to have it: what is published there is published. Where it was cut short, the same call goes on.
    Raises what `publish` raises.
    """
    first, *others = ledgers
    for ledger in others:
        publish(ledger, text, actor=actor, channel=channel)
    return publish(first, text, actor=actor, channel=channel)


def _publish(act: Act, agreement: PublishedAgreement, by: By) -> Published:
    terms = agreement.terms
    catalogue = act.ledger.catalogue(act.transaction)
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
    length = len(agreement.text.encode())
    if length > TEXT_BYTES_MAX:
        raise AgreementRefused(
            f"the text has {length} bytes, and {TEXT_BYTES_MAX} are the most: leave out comments and defaults"
        )
    count = catalogue.count(terms.name)
    data = AgreementPublished.Data(
        name=terms.name,
        version=terms.version,
        valid_from=terms.valid_from,
        sha256=agreement.sha256,
        text=agreement.text,
    )
    act.record(SystemRecord.empty(stream_name("agreement", terms.name), count), AgreementPublished, data, by)
    act.writes.catalogue[terms.name] = count
    act.writes.publications.append(
        Publication(terms.name, terms.version, agreement.sha256, agreement.text, act.now())
    )
    return Published(agreement, new=True)
