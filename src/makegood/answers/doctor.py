"""The doctor: checks everything around Makegood that it needs, and says of each what to do next.

It changes nothing and creates nothing: a store that is missing stays missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from urllib.parse import unquote

from pydantic import Field
from typing_extensions import TypedDict

from consumers.kafka.cluster import Cluster
from consumers.kafka.records import BrokerError, TopicMissing
from consumers.kafka.security import WrongSecurity
from consumers.kafka.topics import TOPICS
from consumers.mail.sending import MailServer, ServerUnusable, SmtpMailer
from ledger.store.connecting import connect
from ledger.store.database import StoreError, redacted
from ledger.store.reading.generations import restored_command
from ledger.store.reading.heads import last_recorded_at
from ledger.store.reading.store import is_sandbox, store_exists
from ledger.store.vault_keys import RESTORE, VaultMismatch
from ledger.values import instant_to_text
from makegood.access.openid import NoProvider, OpenId, half_configured
from makegood.answers.audit.signing import signing_of
from makegood.answers.status import BROKER_PATIENCE
from makegood.house.audit_keys import key_file, open_to_others
from makegood.house.broker import security_of
from makegood.house.clock import system_clock
from makegood.house.mail_server import post_of
from makegood.house.opening import House, OlderStore, check_vault, open_house
from makegood.house.settings import Settings
from makegood.house.shard_map import open_shard, others_of, settings_of, too_few_connections
from makegood.house.stop import Stop
from makegood.house.stripe_account import in_test_mode, stripe_of, webhook_secrets
from projections.ahead import projections_ahead

Verdict = Literal["well", "broken", "unchecked"]

FREE_BYTES_MIN = 500 * 1024 * 1024
"""Free space below which a disk counts as full: SQLite's log grows by as much within one large transaction."""
CLOCK_TOLERANCE = timedelta(seconds=5)
"""By how much the clocks of two machines may differ."""
MAIL_PATIENCE = 5.0
"""Seconds that the mail server may take for an answer."""


class Check(TypedDict):
    """One check: its verdict, what was found, and what to do next where something is broken."""

    check: Literal[
        "settings", "store", "vault", "broker", "topics", "mail", "sign_in", "stripe", "signing", "disk", "clock"
    ]
    verdict: Annotated[Verdict, Field(description="`unchecked` where it is not configured or depends on another.")]
    found: str
    next: str | None


class Examined(TypedDict):
    """The verdicts of all checks."""

    verdict: Literal["well", "broken"]
    checks: list[Check]


class _Broken(Exception):
    """A check failed: what was found, and what to do next."""

    def __init__(self, found: str, what_next: str) -> None:
        super().__init__(found)
        self.next = what_next


class _Unchecked(Exception):
    """A check does not apply, or needs what is missing."""


class _Checking(NamedTuple):
    check: Literal["store", "vault", "broker", "topics", "mail", "sign_in", "stripe", "signing", "disk", "clock"]
    look: Callable[[Settings], str]


def examine(read_settings: Callable[[], Settings]) -> Examined:
    """Check everything, one after the other; a failure of one check does not end the others."""
    checks: list[Check] = []
    try:
        settings = read_settings()
    except Stop as error:
        checks.append(_row("settings", "broken", str(error), "correct the setting; README.md lists all of them"))
        checks += [_row(each.check, "unchecked", "the settings cannot be read", None) for each in _CHECKS]
    else:
        checks.append(_row("settings", "well", "all values are valid", None))
        checks += _checked(settings)
    broken = any(check["verdict"] == "broken" for check in checks)
    return {"verdict": "broken" if broken else "well", "checks": checks}


def _checked(settings: Settings) -> Iterator[Check]:
    for check, look in _CHECKS:
        try:
            yield _row(check, "well", look(settings), None)
        except _Broken as error:
            yield _row(check, "broken", str(error), error.next)
        except _Unchecked as error:
            yield _row(check, "unchecked", str(error), None)


def _row(check: str, verdict: Verdict, found: str, what_next: str | None) -> Check:
    return {"check": check, "verdict": verdict, "found": found, "next": what_next}  # type: ignore[typeddict-item]


def _store(settings: Settings) -> str:
    try:
        found = _has_store(settings)
    except StoreError as error:
        raise _Broken(str(error), "start the database, or correct MAKEGOOD_STORE") from None
    if not found:
        raise _Broken(
            f"no makegood store at {redacted(settings.store)}",
            "create one with `makegood init`, or correct MAKEGOOD_STORE",
        )
    others: Sequence[int] = ()
    with suppress(StoreError), open_house(settings, restored=True) as first:
        _check_none_ahead(first)
        others = others_of(first)
        if (too_few := too_few_connections(first)) is not None:
            raise _Broken(too_few.found, too_few.next)
        for number in others:
            _check_shard(first, number)
    return f"readable at {redacted(settings.store)}{f', with all {1 + len(others)} shards' if others else ''}"


def _check_shard(first: House, number: int) -> None:
    try:
        with open_shard(first, number, restored=True) as house:
            _check_none_ahead(house, f"shard {number}: ")
    except (Stop, StoreError) as error:
        what_next = "start its database, or correct the shard map (MAKEGOOD_SHARD_MAP)"
        raise _Broken(f"shard {number}: {error}", what_next) from None


def _check_none_ahead(house: House, of: str = "") -> None:
    with house.database.reading() as transaction:
        if ahead := projections_ahead(transaction):
            raise _Broken(
                f"{of}{ahead[0]}: it was restored from an older backup than its projections",
                f"stop every program that uses the store, and run `{restored_command(house.shard_of_several)}`",
            )


def _in_each_shard(look: Callable[[Settings], str]) -> Callable[[Settings], str]:
    """Have a check look at all shards of the store; what it finds in each is told once where it is the same."""

    def in_all(settings: Settings) -> str:
        shards = _shards_of(settings)
        if len(shards) == 1:
            return look(settings)
        found, checked = [], False
        for number, of_shard in enumerate(shards):
            try:
                found.append(look(of_shard))
                checked = True
            except _Broken as error:
                raise _Broken(f"shard {number}: {error}", error.next) from None
            except _Unchecked as error:
                found.append(str(error))
        told = found[0] if len(set(found)) == 1 else "; ".join(f"shard {n}: {each}" for n, each in enumerate(found))
        if not checked:
            raise _Unchecked(told)
        return told

    return in_all


def _shards_of(settings: Settings) -> Sequence[Settings]:
    """The settings of each shard; of the first alone where the others are not known."""
    with suppress(Stop, StoreError), open_house(settings, restored=True) as first:
        return [settings, *(settings_of(settings, number) for number in others_of(first))]
    return [settings]


def _vault(settings: Settings) -> str:
    _needs_store(settings)
    try:
        with open_house(settings, restored=True) as house:
            made = check_vault(house).made
    except OlderStore:
        raise _Unchecked("the store was made by an older version: run `makegood migrate`") from None
    except VaultMismatch as error:
        raise _Broken(error.found, error.next) from None
    except StoreError as error:
        raise _Broken(f"no keys can be read at {redacted(settings.vault)}: {error}", RESTORE) from None
    return f"{made} keys at {redacted(settings.vault)}, this store's and as new as the store"


def _broker(settings: Settings) -> str:
    cluster = _cluster(settings)
    try:
        return f"cluster {cluster.cluster_id} answers at {settings.kafka}"
    except BrokerError as error:
        raise _Broken(str(error), "start the broker, or correct MAKEGOOD_KAFKA") from None


def _topics(settings: Settings) -> str:
    cluster = _cluster(settings)
    missing = []
    try:
        for topic in TOPICS:
            try:
                cluster.identity(topic.name)
            except TopicMissing:
                missing.append(topic.name)
    except BrokerError:
        raise _Unchecked("the broker does not answer") from None
    if missing:
        raise _Broken(f"missing: {', '.join(missing)}", "start `makegood run`, which creates them")
    return ", ".join(topic.name for topic in TOPICS)


def _mail(settings: Settings) -> str:
    try:
        post = post_of(settings)
    except Stop as error:
        raise _Broken(str(error), "correct the setting; README.md lists all of them") from None
    if post is None:
        raise _Unchecked("no mail server is configured: e-mails are queued and not sent")
    try:
        SmtpMailer(
            MailServer.at(settings.smtp, settings.smtp_ca), post.sender.address, patience=MAIL_PATIENCE
        ).check()
    except ServerUnusable as error:
        raise _Broken(
            f"the mail server at {redacted(settings.smtp)} cannot be used: {error.code}",
            "check MAKEGOOD_SMTP and MAKEGOOD_SMTP_CA, and that the server runs",
        ) from None
    return f"connected and logged in at {redacted(settings.smtp)}"


def _sign_in(settings: Settings) -> str:
    if why := half_configured(settings):
        raise _Broken(why, "correct the settings; README.md lists all of them")
    if not settings.oidc_client:
        raise _Unchecked("no OpenID client is configured: staff cannot sign in to the pages")
    try:
        OpenId(settings).discovered()
    except NoProvider as error:
        raise _Broken(
            f"the OpenID provider at {redacted(settings.oidc_issuer)} cannot be used: {error}",
            "check MAKEGOOD_OIDC_ISSUER, and that this machine reaches the provider",
        ) from None
    except Stop as error:
        raise _Broken(str(error), "correct the setting; README.md lists all of them") from None
    return f"the OpenID provider at {redacted(settings.oidc_issuer)} says its addresses and keys"


def _stripe(settings: Settings) -> str:
    try:
        secrets, client = webhook_secrets(settings), stripe_of(settings)
    except Stop as error:
        raise _Broken(str(error), "correct the setting; README.md lists all of them") from None
    if client is None and not secrets:
        raise _Unchecked("no key for Stripe is configured: refunds are requested on the topic")
    if client is None:
        return "webhooks are awaited; without MAKEGOOD_STRIPE_KEY refunds are requested on the topic"
    from consumers.payouts.stripe.client import Passing, Refused

    try:
        client.check()
    except Passing as error:
        raise _Broken(f"Stripe cannot be asked: {error.code}", _WHAT_NEXT.get(error.code, _TRY_LATER)) from None
    except Refused as error:
        raise _Broken(str(error), "check MAKEGOOD_STRIPE_KEY and MAKEGOOD_STRIPE_URL") from None
    if not secrets:
        raise _Broken(
            "Stripe takes the key, and no webhooks are awaited: a refund that bounces later goes unnoticed",
            "add a webhook endpoint for this server in Stripe's dashboard, and set MAKEGOOD_STRIPE_WEBHOOK_SECRET",
        )
    return f"Stripe takes the key, which is for its {'test' if in_test_mode(settings) else 'live'} mode"


_TRY_LATER = "try again later; Stripe's status is at https://status.stripe.com"
_WHAT_NEXT = {
    "stripe_unreachable": "check the network and MAKEGOOD_STRIPE_URL",
    "stripe_key_refused": "set MAKEGOOD_STRIPE_KEY to a key that Stripe's dashboard shows as active",
    "stripe_key_lacks_rights": "give the key the right to write refunds, and to read charges and payment intents",
}


def _signing(settings: Settings) -> str:
    _needs_store(settings)
    file = key_file(settings)
    if not file.exists():
        raise _Unchecked(f"there is no key file {file}: checkpoints are not signed")
    if open_to_others(file):
        raise _Broken(f"other users of this machine can use the signing keys in {file}", f"run `chmod 600 {file}`")
    try:
        with open_house(settings, restored=True) as house, house.database.reading() as transaction:
            found, problems = signing_of(transaction, settings)
    except StoreError as error:
        raise _Unchecked(str(error)) from None
    if problems:
        what, _, what_next = problems[0].partition(": ")
        raise _Broken(what, what_next)
    for signing in found:
        if not signing.keys:
            raise _Broken(f"{file} has no key of {signing.origin}", "run `makegood audit key new`")
    return "; ".join(
        f"{signing.keys} keys sign {signing.origin}, {signing.last.size if signing.last else 0} events are covered"
        for signing in found
    )


def _disk(settings: Settings) -> str:
    files = [url.removeprefix("sqlite:///") for url in (settings.store, settings.vault) if url.startswith("sqlite:")]
    folders = {Path(unquote(file)).absolute().parent for file in files if file != ":memory:"}
    if not folders:
        raise _Unchecked("the databases are on a server: watch its disk there")
    found = []
    for folder in sorted(folders):
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise _Broken(f"{folder}: {error.strerror}", "create the folder, or correct MAKEGOOD_STORE") from None
        if free < FREE_BYTES_MIN:
            raise _Broken(
                f"only {free // 1024**2} MB free in {folder}, less than {FREE_BYTES_MIN // 1024**2}",
                "free space on the disk, or move the store to a larger one",
            )
        found.append(f"{free // 1024**2} MB free in {folder}")
    return "; ".join(found)


def _clock(settings: Settings) -> str:
    _needs_store(settings)
    with closing(connect(settings.store)) as database:
        now, there = system_clock(), database.clock()
        with database.reading() as transaction:
            last = last_recorded_at(transaction) if not is_sandbox(transaction) else None
        if there is not None and abs(now - there) > CLOCK_TOLERANCE:
            raise _Broken(
                f"this machine's clock says {_shown(now)}, the database's {_shown(there)}",
                "set both clocks by NTP",
            )
        if last is not None and last > now + CLOCK_TOLERANCE:
            raise _Broken(
                f"the clock says {_shown(now)}, before the last recorded event of {_shown(last)}",
                "set this machine's clock by NTP",
            )
    return _shown(now)


def _has_store(settings: Settings) -> bool:
    with closing(connect(settings.store)) as database:
        return store_exists(database)


def _needs_store(settings: Settings) -> None:
    try:
        found = _has_store(settings)
    except StoreError:
        found = False
    if not found:
        raise _Unchecked("there is no store that can be read")


def _cluster(settings: Settings) -> Cluster:
    if not settings.kafka:
        raise _Unchecked("no broker is configured: messages come from files and HTTP")
    try:
        return Cluster(settings.kafka, security=security_of(settings), patience=BROKER_PATIENCE)
    except WrongSecurity as error:
        raise _Broken(str(error), "correct the settings of Kafka; README.md lists all of them") from None


def _shown(instant: datetime) -> str:
    return instant_to_text(instant.replace(microsecond=0))


_CHECKS = (
    _Checking("store", _store),
    _Checking("vault", _in_each_shard(_vault)),
    _Checking("broker", _broker),
    _Checking("topics", _topics),
    _Checking("mail", _mail),
    _Checking("sign_in", _sign_in),
    _Checking("stripe", _stripe),
    _Checking("signing", _in_each_shard(_signing)),
    _Checking("disk", _in_each_shard(_disk)),
    _Checking("clock", _in_each_shard(_clock)),
)
