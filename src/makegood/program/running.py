"""`makegood run`: the long-running parts in one process, until it is told to stop."""

from __future__ import annotations

import random
import signal
import sys
import threading
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from consumers.ahead import ahead_of_ledger, check_none_ahead
from consumers.checkpoints.part import Checkpoints
from consumers.checkpoints.signing import Rhythm
from consumers.checkpoints.witnesses import Witnesses
from consumers.intake import Intake
from consumers.kafka.cluster import Cluster
from consumers.kafka.records import BrokerError
from consumers.kafka.security import WrongSecurity
from consumers.kafka.topics import TOPICS, topics_of
from consumers.notices import Notices
from consumers.part import Collector, Part, PartFailed, collect_rarely, run_parts
from consumers.payouts.asking import Payouts
from consumers.payouts.request_topic import RequestTopic
from consumers.projector import KafkaSource, Projector, StoreSource
from consumers.relay import Relay
from consumers.restored import carried_by
from consumers.timers import Timers
from makegood.house.audit_keys import keys_of, policy_of
from makegood.house.audit_places import places_of
from makegood.house.away import AwayHouse, open_others
from makegood.house.broker import cluster_for, topic_names
from makegood.house.clock import system_clock
from makegood.house.logs import configure_logs, say
from makegood.house.mail_server import post_of
from makegood.house.opening import House, apply_erasures, check_vault, open_house
from makegood.house.settings import Settings
from makegood.house.shard_map import check_that_it_is_first, look_at_each, too_few_connections
from makegood.house.stop import Stop
from makegood.house.stripe_account import stripe_of
from makegood.program.awaiting import Awaiting
from makegood.program.looks import RecordingLooks, last_looks_recorded
from makegood.program.watching import Watching

if TYPE_CHECKING:
    from consumers.payouts.stripe.asking import StripeReturns

PARTS = ("intake", "relay", "projector", "timers", "notices", "payouts", "checkpoints", "api")
NEED_KAFKA = ("intake", "relay")


def run_until_stopped(settings: Settings, names: Sequence[str]) -> None:
    """Run all parts, or those named, until SIGTERM or SIGINT; says `ready` on standard error when all work.

    A shard that cannot be reached is left out, and once it can be, all parts begin anew with it. They begin anew at
    SIGHUP too, to read the shard map again, unless that says that a terminal was closed. Raises Stop where a part is
    unknown or lacks its broker, and where a part fails; AheadOfLedger where the store was restored from a backup, and
    its projections or topics were not.
    """
    configure_logs(settings.log)
    ended = threading.Event()
    while not ended.is_set():
        stop = threading.Event()

        def end(*_: object) -> None:
            ended.set()
            stop.set()  # noqa: B023  # the round that is running

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        if not sys.stderr.isatty():
            signal.signal(signal.SIGHUP, lambda *_: stop.set())  # noqa: B023  # as before
        if not ended.is_set():
            _run(settings, names, stop)


def _run(settings: Settings, names: Sequence[str], stop: threading.Event) -> None:
    """One round of all parts, until it is told to stop, or a shard can be reached that could not be."""
    with open_house(settings, create_missing=True, migrate=True) as first, ExitStack() as opened:
        check_vault(first)
        check_that_it_is_first(first)
        if (too_few := too_few_connections(first)) is not None:
            say(f"makegood: {too_few}")
        others = open_others(first, opened, migrate=True)
        reached = [house for house in (first, *others) if not isinstance(house, AwayHouse)]
        try:
            cluster = cluster_for(first) if settings.kafka else None
            parts = parts_for(first, cluster, names, others)
            if cluster is not None:
                _prepare_topics(cluster, 1 + len(others))
                _check_none_ahead(reached, cluster)
            for house in reached:
                apply_erasures(house)
            links = _sign_in(first, parts)
            collect_rarely()
            for house in reached:
                opened.enter_context(last_looks_recorded(house))
            run_parts([*parts, Collector()], stop, lambda: _tell_ready(links))
        except (BrokerError, PartFailed, WrongSecurity) as error:
            raise Stop(str(error)) from error


def _prepare_topics(cluster: Cluster, shards: int) -> None:
    """Have all topics be there, each with partitions enough. Raises Stop where it has not, and BrokerError."""
    topics = topics_of(shards, TOPICS)
    cluster.create_topics(topics)
    for topic in topics:
        if topic.divided and (there := len(cluster.partitions(topic.name))) < shards:
            raise Stop(
                f"the topic {topic.name} has {there} partitions, and the store {shards} shards: give it {shards} "
                f"partitions (kafka-topics --alter --partitions {shards})"
            )


def _check_none_ahead(houses: Sequence[House], cluster: Cluster) -> None:
    """Raises AheadOfLedger where the topics are ahead of a shard, and BrokerError."""
    carried = carried_by(topic_names())
    found = look_at_each(lambda house: ahead_of_ledger(house.database, cluster, carried), houses)
    for house, ahead in zip(houses, found, strict=True):
        check_none_ahead(ahead, house.shard_of_several)


def _sign_in(house: House, parts: Sequence[Part]) -> list[str]:
    """What is told of signing in: links, where a sandbox's pages are served."""
    from makegood.api.serving import Serving

    served = next((part for part in parts if isinstance(part, Serving) and part.name == "api"), None)
    if served is None:
        return []
    from makegood.program.sandbox import sign_in_lines

    return sign_in_lines(house, served.address)


def _tell_ready(links: Sequence[str]) -> None:
    if links:
        say("sandbox: each of these links signs in once, as:")
        for line in links:
            say(f"  {line}")
    say("ready")


def parts_for(
    house: House, cluster: Cluster | None, names: Sequence[str], others: Sequence[House] = ()
) -> list[Part]:
    """Build the parts that are asked for; without Kafka all that can work from the store alone. Raises Stop.

    `others` are the houses of the store's other shards, of which some may be away. Intake, projector and API work for
    all of them, of the rest each that is there has its own.
    """
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise Stop(f"unknown part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    lacking = [name for name in names if name in NEED_KAFKA and cluster is None]
    if lacking:
        raise Stop(f"{lacking[0]} needs a broker: give --kafka HOST:PORT or set MAKEGOOD_KAFKA")
    pays = cluster is not None or bool(house.settings.stripe_key.get_secret_value())
    if "payouts" in names and not pays:
        raise Stop("payouts needs somebody who pays: set MAKEGOOD_KAFKA, or MAKEGOOD_STRIPE_KEY")
    possible = [name for name in PARTS if cluster is not None or name not in NEED_KAFKA]
    wanted = dict.fromkeys(names or [name for name in possible if pays or name != "payouts"])
    store_source = StoreSource()
    every = (house, *others)
    reached = [each for each in every if not isinstance(each, AwayHouse)]
    shards = [_Shard(each, cluster, wanted, store_source) for each in reached]

    def recorded() -> None:
        for shard in shards:
            shard.recorded()

    for each in every:
        each.ledger  # noqa: B018  # one write side of each shard, for all who act in it
    whole = house.with_others(others)
    parts: list[Part] = []
    for name in wanted:
        if name == "intake" and cluster is not None:
            parts.append(Intake(house.ledger, cluster, recorded=recorded, others=[each.ledger for each in others]))
        elif name == "projector":
            source = KafkaSource(cluster) if cluster is not None else store_source
            parts.append(Projector(house.projections, source, others=[each.projections for each in others]))
        elif name == "api":
            must = "api" in names or "http" in house.settings.model_fields_set
            parts += _api(whole, recorded, must=must)
        else:
            parts += [part for shard in shards for part in shard.parts(name)]
    away = [number for number, each in enumerate(every) if isinstance(each, AwayHouse)]
    return parts + _probes(whole) + ([Awaiting(house, away)] if away else [])


class _Shard:
    """The parts that a shard has for itself."""

    def __init__(
        self, house: House, cluster: Cluster | None, wanted: Container[str], store_source: StoreSource
    ) -> None:
        self.house = house
        self._store_source = store_source
        self._relay = Relay(house.database, cluster) if cluster is not None and "relay" in wanted else None
        self._notices = notices_for(house, self.recorded) if "notices" in wanted else None
        self._stripe = stripe_for(house, self.recorded) if "payouts" in wanted else None
        self._payouts: Payouts | None = None
        if self._stripe is not None:
            self._payouts = Payouts(house.ledger, self._stripe, recorded=self.recorded)
        elif "payouts" in wanted and cluster is not None:
            self._payouts = Payouts(house.ledger, RequestTopic(house.database, cluster), recorded=self.recorded)
        self._checkpoints = checkpoints_for(house, cluster) if "checkpoints" in wanted else None

    def recorded(self) -> None:
        """Something was recorded in this process: who follows need not wait until they look again."""
        self._store_source.wake()
        for part in (self._relay, self._notices, self._payouts):
            if part is not None:
                part.wake()

    def parts(self, name: str) -> list[Part]:
        """Those of a name."""
        found: Mapping[str, Sequence[Part | None]] = {
            "relay": (self._relay,),
            "timers": (Timers(self.house.ledger, recorded=self.recorded),),
            "notices": (self._notices,),
            "payouts": (self._payouts, self._stripe),
            "checkpoints": (self._checkpoints,),
        }
        return [part for part in found[name] if part is not None]


def notices_for(house: House, recorded: Callable[[], None]) -> Notices:
    """The part that tells customers. Raises Stop where the settings for e-mail are wrong."""
    return Notices(house.ledger, post_of(house.settings), clock=system_clock, jitter=random.random, recorded=recorded)


def stripe_for(house: House, recorded: Callable[[], None]) -> StripeReturns | None:
    """The part that asks Stripe, in whose place nobody else is asked; None without a key. Raises Stop."""
    client = stripe_of(house.settings)
    if client is None:
        return None
    from consumers.payouts.stripe.asking import StripeReturns

    return StripeReturns(house.ledger, client, clock=system_clock, jitter=random.random, recorded=recorded)


def checkpoints_for(house: House, cluster: Cluster | None) -> Checkpoints:
    """The part that builds and signs the trees. Raises Stop where the trust policy cannot be used."""
    settings = house.settings
    policy = policy_of(settings)
    return Checkpoints(
        house.database,
        partial(keys_of, settings),
        clock=system_clock,
        places=places_of(house, cluster),
        witnesses=Witnesses(policy.witnesses.values()) if policy is not None else None,
        rhythm=Rhythm(settings.audit_events, timedelta(seconds=settings.audit_seconds)),
    )


def _api(whole: House, recorded: Callable[[], None], *, must: bool) -> list[Part]:
    """The HTTP API and the pages, of all shards. Where nobody asked for it and its usual port is taken, the other
    parts run without it."""
    from makegood.api.serving import CannotListen, Serving, listening
    from makegood.program.http import application

    app = application(whole, recorded=recorded)
    try:
        serving = Serving(app, listening(whole.settings.http), whole.settings.proxies)
    except CannotListen as error:
        if must:
            raise
        say(f"makegood runs without its HTTP API: {error}")
        return []
    looks = [RecordingLooks(house, recorded) for house in whole.every]
    return [serving, *looks, Watching(whole, app.state.lag_history)]


def _probes(house: House) -> list[Part]:
    """What answers monitors at an address of its own, whichever parts there are; where the settings name one."""
    if not house.settings.probes:
        return []
    from makegood.api.app import probes_app
    from makegood.api.serving import Serving, listening

    listener = listening(house.settings.probes, "MAKEGOOD_PROBES")
    return [Serving(probes_app(house), listener, name="probes")]
