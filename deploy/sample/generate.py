"""Writes the sample provider's half-year: what its upstream systems published, faults included.

A demonstration is only worth looking at when the data behind it is as untidy as life: customers who
pay late, outages that cross a month's end, a producer that retries weeks later. It is also only worth
trusting when everybody looks at the same file, so one seed and integer arithmetic decide everything:
the same bytes on every machine, and a test compares them with the committed ones.

The stories of the customers come first (`Provider`); then what happens to messages on their way
(`deliver`): delays, retries, and first tries that a careless producer got wrong.

    python deploy/sample/generate.py --out deploy/sample/events.jsonl
    python deploy/sample/generate.py --describe
"""

import argparse
import copy
import json
import sys
from calendar import monthrange
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

SEED = 20260101
NOW = datetime(2026, 7, 1, tzinfo=UTC)
"""Nothing is published from here on. What a story would still bring simply has not happened yet:
so outages stay open, invoices unpaid and investigations without a verdict."""

Event = dict[str, Any]


# The provider: three markets, each with its money, its taxes and its way to write an instant.


@dataclass(frozen=True)
class Market:
    """Where a customer lives: one currency, one zone, one set of upstream systems."""

    region: str
    zone: ZoneInfo
    currency: str
    digits: int
    tax_percents: tuple[str, ...]
    locale: str
    accounts: int
    plans: tuple[tuple[str, str], ...]
    one_offs: tuple[tuple[str, str], ...]
    setup_fee: str
    given: str
    family: str
    companies: tuple[str, ...]
    disputes: tuple[str, ...]
    complaints: tuple[str, ...]
    writes_local_time: bool = False
    lines: tuple[str, ...] = ()
    """Telephone numbers that are nobody's: they are set aside for films and books. Japan has set none aside."""

    def money(self, amount: Decimal) -> Decimal:
        """Rounds half up to the currency's scale, as an invoice does."""
        return amount.quantize(Decimal(1).scaleb(-self.digits), ROUND_HALF_UP)

    def midnight(self, day: date) -> datetime:
        """The instant at which a local date begins; in UTC, where arithmetic means elapsed time."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def stamp(self, instant: datetime) -> str:
        """Tokyo's systems write their local offset, the others UTC: both are right, and both occur."""
        if self.writes_local_time:
            return instant.astimezone(self.zone).isoformat()
        return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


# Names are "as written:as spelled in an address"; the address is the lower-cased name where absent.
MARKETS = (
    Market(
        region="us-1",
        zone=ZoneInfo("America/New_York"),
        currency="USD",
        digits=2,
        tax_percents=("0", "8.875", "6.625"),
        locale="en-US",
        accounts=130,
        plans=(("solo-voip", "19.95"), ("team-voip", "49.00"), ("business-voip", "129.50")),
        one_offs=(
            ("Desk phone, two lines", "89.00"),
            ("Number porting", "15.00"),
            ("International calls, usage above the bundle", "23.47"),
            ("On-site visit, first hour", "120.00"),
        ),
        setup_fee="25.00",
        lines=tuple(f"+1{area}55501{last:02}" for area in (212, 646, 718, 917, 332) for last in range(100)),
        given="Alice Brian Carla Derek Elena Frank Grace Hector Irene Jonas Kayla Leonard Maya Noel "
        "Olivia Pedro Quinn Rosa Samuel Tanya Ursula Victor Wendy Xavier Yvonne Zachary",
        family="Abbott Barlow Castillo Dawson Ellery Farrow Goodwin Hadley Ingram Jarvis Kimball "
        "Lockhart Mercer Norwood Okafor Pruitt Quigley Ramsey Sandoval Thackeray Underhill Vance "
        "Whitlock Yarrow",
        companies=(
            "Harbor & Pine Dental:office.harborpine",
            "Larkspur Legal LLC:desk.larkspur",
            "Two Rivers Roofing:tworivers",
            "Maple Street Books:hello.maplestreet",
            "Corner Clinic Queens:reception.cornerclinic",
            "Bright Anchor Logistics:dispatch.brightanchor",
        ),
        disputes=(
            "Charged twice for the same month, says {name}.",
            "The plan was downgraded on the phone with your colleague, but the old price was billed.",
            "{name} never ordered the international bundle on this invoice.",
            "We ported one number and were billed for three.",
        ),
        complaints=(
            "Calls drop after exactly 30 seconds.",
            "{name} waited 50 minutes in the support queue and then was cut off.",
            "One-way audio on every call to Canada.",
            "The desk phone arrived without a power supply.",
        ),
    ),
    Market(
        region="eu-1",
        zone=ZoneInfo("Europe/Berlin"),
        currency="EUR",
        digits=2,
        tax_percents=("19",),
        locale="de-DE",
        accounts=110,
        plans=(("solo-voip", "16.90"), ("team-voip", "42.00"), ("business-voip", "109.00")),
        one_offs=(
            ("Tischtelefon mit zwei Leitungen", "79.00"),
            ("Rufnummernmitnahme", "9.95"),
            ("Auslandsgespräche über dem Kontingent", "18.33"),
            ("Technikereinsatz vor Ort", "95.00"),
        ),
        setup_fee="19.90",
        lines=tuple(f"+493023125{last:03}" for last in range(1000)),
        given="Anke Bernd Clara Dieter Edda Falk Greta Holger Ines Jörg:joerg Katrin Lutz Maren "
        "Nils Olga Peer Ruth Sönke:soenke Tilda Uwe Vera Wiebke Yannick Zoe",
        family="Ahlers Brandt Claussen Döring:doering Ebert Fiedler Grünwald:gruenwald Hansen Ihle "
        "Jahnke Keller Lindner Möller:moeller Niehaus Osterkamp Petersen Quast Rößler:roessler "
        "Stahl Thoma Uhlig Vogt Weiß:weiss Zander",
        companies=(
            "Bäckerei Lindenhof GmbH:buero.lindenhof",
            "Praxis Dr. Osterkamp:praxis.osterkamp",
            "Fahrradladen Kettenwerk:kettenwerk",
            "Hausverwaltung Grünwald & Söhne:hv.gruenwald",
            "Druckerei Nordlicht eG:nordlicht",
        ),
        disputes=(
            "Der Monat wurde doppelt berechnet, sagt {name}.",
            "{name} hat den Tarif im Vormonat gewechselt, berechnet wurde noch der alte.",
            "Auslandsgespräche, die niemand geführt hat.",
            "Auf der Rechnung stehen zwei Tischtelefone, geliefert wurde keines.",
        ),
        complaints=(
            "Seit dem Umzug kommen keine Anrufe aus dem Mobilfunk an.",
            "{name} hat dreimal um Rückruf gebeten und keinen bekommen.",
            "Starkes Echo bei Gesprächen mit mehr als zwei Teilnehmern.",
            "Die Rufnummernmitnahme zieht sich seit drei Wochen.",
        ),
    ),
    Market(
        region="jp-1",
        zone=ZoneInfo("Asia/Tokyo"),
        currency="JPY",
        digits=0,
        tax_percents=("10",),
        locale="ja-JP",
        accounts=60,
        plans=(("solo-voip", "1980"), ("team-voip", "5480"), ("business-voip", "14800")),
        one_offs=(("IP電話機 2回線", "12800"), ("番号ポータビリティ手数料", "2200"), ("国際通話 超過分", "1735")),
        setup_fee="3000",
        given="美咲:misaki 健太:kenta 陽菜:hina 大輔:daisuke 由美:yumi 翔:sho 直子:naoko 誠:makoto "
        "結衣:yui 修:osamu 恵:megumi 拓也:takuya",
        family="佐藤:sato 鈴木:suzuki 高橋:takahashi 田中:tanaka 渡辺:watanabe 山本:yamamoto "
        "小林:kobayashi 加藤:kato 吉田:yoshida 清水:shimizu 森:mori 石川:ishikawa",
        companies=("株式会社あおば設計:aoba", "さくら動物病院:sakura.ah", "喫茶みなと:minato"),
        disputes=(
            "{name} 様より: 同じ月が二重に請求されています。",
            "先月プランを変更したのに、旧料金で請求されました。",
            "利用していない国際通話が含まれています。",
        ),
        complaints=(
            "通話中に音声が途切れます。",
            "{name} 様: 電話機が初期不良でした。",
            "サポートからの折り返しがありません。",
        ),
        writes_local_time=True,
    ),
)

# (name, region, local beginning, hours it lasted or None for "still open", cause, severity, lines hit)
INCIDENTS = (
    ("out-nyc2-0114", "us-1", "2026-01-14T09:20", 31, "provider", "significant", 16),
    ("out-fra1-0203", "eu-1", "2026-02-03T06:05", 9, "provider", "significant", 22),
    ("out-nyc2-0307", "us-1", "2026-03-07T20:40", 27, "provider", "significant", 24),
    ("out-fra1-0328", "eu-1", "2026-03-28T18:10", 33, "provider", "significant", 26),
    ("out-tyo1-0331", "jp-1", "2026-03-31T11:00", 44, "provider", "significant", 18),
    ("out-tyo1-0420", "jp-1", "2026-04-20T05:32", 52, "force_majeure", "significant", 20),
    ("out-nyc2-0511", "us-1", "2026-05-11T13:15", 26, "unknown", "significant", 22),
    ("out-fra1-0602", "eu-1", "2026-06-02T10:00", 30, "provider", "minor", 12),
    ("out-fra1-0628", "eu-1", "2026-06-28T21:45", None, "provider", "significant", 14),
)

REJECTIONS = (
    "The call records show the calls from the customer's own device; the amount is right.",
    "Checked with {name} on the phone: the second item is the sister company's subscription.",
    "The plan change was ordered after the cycle began and counts from the next one.",
    "Proration on the invoice was recalculated by hand and agrees to the cent.",
)
LEAVING = ("Moving to another provider", "Office closes", "Too expensive", "{name} retires", None, None)
LINES_OF_PLAN = {"solo-voip": 1, "team-voip": 2, "business-voip": 3}
CATEGORIES = ("call_quality", "support", "porting", "hardware", "billing")
RESOLUTIONS = ("explained", "configuration_fixed", "device_replaced", "number_ported", "escalated_carrier")
DECLINES = ("insufficient_funds", "card_expired", "do_not_honor", "mandate_revoked")


PUBLISHED_BY = {
    "account": "provisioning",
    "subscription": "provisioning",
    "cancellation": "provisioning",
    "cycle": "billing",
    "charge": "billing",
    "overcharge": "billing",
    "payment": "payments",
    "refund": "payments",
    "outage": "monitoring",
    "billing_error": "support",
    "complaint": "support",
}
"""Which upstream system speaks of what; with the region it is the message's `source`."""


class Fate(StrEnum):
    """What a subscription is heading for; most simply stay."""

    STAYS = "stays"
    CANCELS_IN_PORTAL = "cancels in the portal"
    CANCELS_BY_SUPPORT = "cancels through support"
    KEEPS_SERVICE = "cancels and uses the service to the end"
    WITHDRAWS = "cancels and withdraws"
    WITHDRAWS_AND_LEAVES = "cancels, withdraws, cancels again"
    CHARGED_AFTER_END = "cancels and is charged once more"
    CANCELS_THEN_MISUSE = "cancels and is terminated before the end"
    PAYS_WHEN_SUSPENDED = "is suspended for non-payment and pays"
    STAYS_SUSPENDED = "is suspended for non-payment and stays so"
    NEVER_PAYS = "is terminated for non-payment"
    MISUSE_SUSPENDED = "is suspended for misuse and reinstated"
    MISUSE_TERMINATED = "is terminated for misuse"


FATES = {
    Fate.CANCELS_IN_PORTAL: 20,
    Fate.CANCELS_BY_SUPPORT: 12,
    Fate.KEEPS_SERVICE: 8,
    Fate.WITHDRAWS: 8,
    Fate.WITHDRAWS_AND_LEAVES: 3,
    Fate.CHARGED_AFTER_END: 3,
    Fate.CANCELS_THEN_MISUSE: 2,
    Fate.PAYS_WHEN_SUSPENDED: 9,
    Fate.STAYS_SUSPENDED: 3,
    Fate.NEVER_PAYS: 5,
    Fate.MISUSE_SUSPENDED: 3,
    Fate.MISUSE_TERMINATED: 5,
}
CANCELS = {
    Fate.CANCELS_IN_PORTAL,
    Fate.CANCELS_BY_SUPPORT,
    Fate.KEEPS_SERVICE,
    Fate.WITHDRAWS,
    Fate.WITHDRAWS_AND_LEAVES,
    Fate.CHARGED_AFTER_END,
    Fate.CANCELS_THEN_MISUSE,
}
SUSPENDED_FOR_NON_PAYMENT = {Fate.PAYS_WHEN_SUSPENDED, Fate.STAYS_SUSPENDED, Fate.NEVER_PAYS}


@dataclass
class Customer:
    """One account."""

    number: int
    market: Market
    name: str
    email: str
    tax_percent: Decimal
    registered_at: datetime

    @property
    def account(self) -> str:
        """The subject of everything said about this customer."""
        return f"acct-{self.number:04}"


@dataclass
class Charge:
    """A cycle or a one-off, with what disputes and refunds need to know about it later."""

    charge_id: str
    invoice_id: str
    price: Decimal
    tax: Decimal
    posted_at: datetime
    paid_at: datetime | None = None


@dataclass
class Subscription:
    """One line of a customer; a few customers have a second one."""

    customer: Customer
    ordinal: int
    plan: str
    monthly: Decimal
    months: int
    prepaid: bool
    fate: Fate
    began_at: datetime
    ended_at: datetime = NOW
    charges: list[Charge] = field(default_factory=list)

    @property
    def suffix(self) -> str:
        """Keeps business ids of a second line apart: they share their account's namespace."""
        return "" if self.ordinal == 1 else f"-{self.ordinal}"

    @property
    def subscription_id(self) -> str:
        """Readable: the account's number is in it."""
        return f"sub-{self.customer.number:04}{self.suffix}"

    def cycles(self) -> list[tuple[date, date]]:
        """All billing cycles that begin before `NOW`, from the day of registration."""
        zone = self.customer.market.zone
        first, today = self.began_at.astimezone(zone).date(), NOW.astimezone(zone).date()
        borders = [months_after(first, self.months * i) for i in range(14)]
        return [(a, b) for a, b in pairwise(borders) if a < today]


def months_after(day: date, months: int) -> date:
    """The same day of a later month, or that month's last: who began on the 31st is billed on the 28th."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


@dataclass
class Message:
    """One line to be. It arrives when it was published, unless something on the way delays it."""

    event: Event
    published: datetime
    arrives: datetime
    is_repeat: bool = False
    refused_because: str | None = None
    raw: bytes | None = None

    def line(self) -> bytes:
        """The line as it stands in the file; what is not JSON was spoiled as bytes."""
        if self.raw is not None:
            return self.raw
        return json.dumps(self.event, ensure_ascii=False, separators=(",", ":")).encode()


class Provider:
    """Tells every customer's story to the end of June and collects what upstream publishes about it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.messages: list[Message] = []
        self.subscriptions: list[Subscription] = []
        self.customers: list[Customer] = []
        self.refunds: list[tuple[Customer, str, datetime]] = []
        self.numbers: Counter[str] = Counter()
        self.lines = {market.region: iter(market.lines) for market in MARKETS}

    def tell(self) -> list[Message]:
        """The order matters only to the random numbers; the messages are sorted by time later."""
        self.open_accounts()
        for subscription in self.subscriptions:
            self.live(subscription)
        self.regional_outages()
        self.single_outages()
        self.disputes()
        self.complaints()
        self.settle_refunds()
        self.contradictions()
        return self.messages

    # Saying things.

    def say(self, what: str, customer: Customer, at: datetime, /, **data: object) -> Message | None:
        """Publishes one message, unless its time has not come. Fields that are None are left out."""
        if at >= NOW:
            return None
        market = customer.market
        event: Event = {
            "specversion": "1.0",
            "id": "",  # numbered by `deliver`, in the order of time
            "source": f"/{PUBLISHED_BY[what.partition('.')[0]]}/{market.region}",
            "type": f"voip.{what}.v1",
            "subject": customer.account,
            "time": market.stamp(at),
            "datacontenttype": "application/json",
        }
        if self.chance(3):
            event["traceparent"] = self.traceparent()
        event["data"] = {k: self.written(market, v) for k, v in data.items() if v is not None}
        message = Message(event, published=at, arrives=at)
        self.messages.append(message)
        return message

    def say_of(self, what: str, line: Subscription, at: datetime, /, **data: object) -> Message | None:
        """Publishes a message about one line."""
        return self.say(what, line.customer, at, subscription_id=line.subscription_id, **data)

    @staticmethod
    def written(market: Market, value: object) -> object:
        """A value as upstream spells it in JSON: amounts and instants are strings."""
        match value:
            case Decimal():
                return str(market.money(value))
            case datetime():
                return market.stamp(value)
            case date():
                return value.isoformat()
            case _:
                return value

    def traceparent(self) -> str:
        """A W3C trace context: an extension attribute, which is no part of a message's content."""
        return f"00-{self.random.getrandbits(128):032x}-{self.random.getrandbits(64):016x}-01"

    def chance(self, percent: int) -> bool:
        """True that often; integers, so that no platform's floating point can differ."""
        return self.random.randrange(100) < percent

    def span(self, least: timedelta, most: timedelta) -> timedelta:
        """Whole seconds between two bounds."""
        return timedelta(seconds=self.random.randint(int(least.total_seconds()), int(most.total_seconds())))

    def number(self, prefix: str) -> str:
        """The next business id of a kind, unique over all accounts."""
        self.numbers[prefix] += 1
        return f"{prefix}-{self.numbers[prefix]:04}"

    def daytime(self, market: Market, day: date) -> datetime:
        """An instant at which people are awake, on a local date."""
        return market.midnight(day) + self.span(timedelta(hours=8), timedelta(hours=20))

    # Customers, and what they subscribe to.

    def open_accounts(self) -> None:
        """Registers everybody, then deals the fates so that each kind occurs as often as planned."""
        markets = [market for market in MARKETS for _ in range(market.accounts)]
        self.random.shuffle(markets)
        names = {market.region: self.names(market) for market in MARKETS}
        # Most were moved over from an older system in January; the rest came one by one.
        days = sorted(self.random.randrange(31 if self.chance(60) else 165) for _ in markets)
        for number, (market, day) in enumerate(zip(markets, days, strict=True), start=1):
            name, address = next(names[market.region])
            registered_at = self.daytime(market, date(2026, 1, 2) + timedelta(days=day))
            customer = Customer(
                number=number,
                market=market,
                name=name,
                email=f"{address}@example.{self.random.choice(('com', 'net', 'org'))}",
                tax_percent=Decimal(self.random.choice(market.tax_percents)),
                registered_at=registered_at,
            )
            self.customers.append(customer)
            self.say(
                "account.registered",
                customer,
                registered_at,
                time_zone=market.zone.key,
                currency=market.currency,
                customer={"name": name, "email": customer.email}
                | ({"locale": market.locale} if self.chance(80) else {}),
            )
            self.subscribe(customer, 1, registered_at + timedelta(minutes=2))
            if self.chance(9):
                later = self.span(timedelta(days=1), timedelta(days=60))
                self.subscribe(customer, 2, registered_at + later)
        self.deal_fates()

    def names(self, market: Market) -> Iterator[tuple[str, str]]:
        """Companies among people, each name once, with the local part of an address."""
        given, family = market.given.split(), market.family.split()
        people = [(g, f) for g in given for f in family]
        companies = list(market.companies)
        self.random.shuffle(people)
        for index, (g, f) in enumerate(people):
            if index % 12 == 5 and companies:
                name, _, address = companies.pop().partition(":")
                yield name, address
            g_name, _, g_address = g.partition(":")
            f_name, _, f_address = f.partition(":")
            family_first = market.locale == "ja-JP"
            name = f"{f_name} {g_name}" if family_first else f"{g_name} {f_name}"
            yield name, f"{g_address or g_name.lower()}.{f_address or f_name.lower()}"

    def subscribe(self, customer: Customer, ordinal: int, at: datetime) -> None:
        """A new line with its way in: the secret itself never leaves the vault, only a reference."""
        if at >= NOW - timedelta(days=3):
            return
        plan, monthly = self.random.choice(customer.market.plans)
        annual = self.chance(5)
        subscription = Subscription(
            customer=customer,
            ordinal=ordinal,
            plan=plan,
            monthly=Decimal(monthly),
            months=12 if annual else 1,
            prepaid=annual or not self.chance(6),
            fate=Fate.STAYS,
            began_at=at,
        )
        self.subscriptions.append(subscription)
        self.say_of(
            "subscription.registered",
            subscription,
            at,
            agreement="standard",
            plan=plan + ("-annual" if annual else ""),
            numbers=list(islice(self.lines[customer.market.region], LINES_OF_PLAN[plan])) or None,
            credentials={
                "username": f"line{customer.number:04}{subscription.suffix}",
                "server": f"sip.{customer.market.region}.example.net",
            }
            | (
                {"secret_ref": f"https://secrets.example.net/once/{self.random.getrandbits(96):024x}"}
                if self.chance(96)
                else {}
            ),
        )

    def deal_fates(self) -> None:
        """Only those who are there long enough for something to happen get a fate of their own."""
        settled = [s for s in self.subscriptions if NOW - s.began_at > timedelta(days=75)]
        dealt = [fate for fate, count in FATES.items() for _ in range(count)]
        monthly = [s for s in settled if s.months == 1 and s.prepaid]
        yearly = [s for s in settled if s.months == 12]
        postpaid = [s for s in settled if not s.prepaid]
        for subscription, fate in zip(self.random.sample(monthly, len(dealt)), dealt, strict=True):
            subscription.fate = fate
        for subscription in self.random.sample(yearly, 3) + self.random.sample(postpaid, 3):
            subscription.fate = Fate.CANCELS_IN_PORTAL

    # A subscription's life: its cycles, its payments, its end.

    def live(self, line: Subscription) -> None:
        """Bills cycle after cycle until the fate strikes, in a cycle chosen for it."""
        cycles = line.cycles()
        strikes = self.random.randint(1, max(1, len(cycles) - 2)) if len(cycles) > 1 else 0
        last, unpaid, paid_at = len(cycles) - 1, range(0), None
        if line.fate in CANCELS:
            last = self.cancel(line, cycles, strikes)
        elif line.fate in SUSPENDED_FOR_NON_PAYMENT:
            last, unpaid, paid_at = self.fall_behind(line, cycles, strikes)
        elif line.fate is Fate.MISUSE_SUSPENDED:
            self.suspend_for_misuse(line, cycles[strikes])
        elif line.fate is Fate.MISUSE_TERMINATED:
            last = self.terminate(line, cycles, self.within(line, cycles[strikes]), "misuse")
        if not line.prepaid:
            self.post_setup_fee(line, f"inv-{line.subscription_id[4:]}-setup", line.began_at)
        for index, cycle in enumerate(cycles[: last + 1]):
            self.bill(line, cycle, first=index == 0, paid=index not in unpaid, paid_at=paid_at)
        end = line.customer.market.midnight(cycles[min(last, len(cycles) - 1)][1])
        line.ended_at = min(line.ended_at, end, NOW)

    def bill(
        self, line: Subscription, cycle: tuple[date, date], *, first: bool, paid: bool, paid_at: datetime | None
    ) -> None:
        """Starts a cycle and collects its price: in advance, or after its end where it is not prepaid."""
        customer, market = line.customer, line.customer.market
        starts_on, ends_on = cycle
        shortly = self.span(timedelta(minutes=3), timedelta(minutes=50))
        at = (line.began_at if first else market.midnight(starts_on)) + shortly
        price = market.money(line.monthly * (10 if line.months == 12 else 1))
        tax = market.money(price * customer.tax_percent / 100)
        name = f"{line.subscription_id[4:]}-{starts_on}"
        charge = Charge(f"cyc-{name}", f"inv-{name}", price, tax, at)
        if not self.say_of(
            "cycle.started",
            line,
            at,
            cycle_id=charge.charge_id,
            starts_on=starts_on,
            ends_on=ends_on,
            price=price,
            tax=tax if tax else None,
            monthly_price=line.monthly if line.months == 12 else None,
            currency=market.currency,
            invoice_id=charge.invoice_id,
            prepaid=line.prepaid,
        ):
            return
        line.charges.append(charge)
        total = price + tax
        if first and line.prepaid and self.chance(40):
            total += self.post_setup_fee(line, charge.invoice_id, at, pay=False)
        due = at if line.prepaid else max(at, market.midnight(ends_on))
        if paid:
            charge.paid_at = self.collect(customer, charge.invoice_id, total, due)
        else:
            self.fail(customer, charge.invoice_id, due, (0, 3, 7))
            if paid_at:
                charge.paid_at = self.capture(customer, charge.invoice_id, total, paid_at, "card")
        if self.chance(9):
            self.post_one_off(line, self.within(line, cycle))

    def post_setup_fee(self, line: Subscription, invoice_id: str, at: datetime, *, pay: bool = True) -> Decimal:
        """The fee for setting up a line: on the first invoice, or on one of its own, paid at once."""
        market = line.customer.market
        at += timedelta(minutes=1)
        charge = self.post(line, invoice_id, at, "Setup fee", Decimal(market.setup_fee))
        if pay:
            charge.paid_at = self.collect(line.customer, invoice_id, charge.price + charge.tax, charge.posted_at)
        return charge.price + charge.tax

    def post_one_off(self, line: Subscription, at: datetime) -> None:
        """Something bought beside the plan, with its own invoice; some belong to no line."""
        description, price = self.random.choice(line.customer.market.one_offs)
        if self.chance(20):
            description = f"{description} ({line.customer.name})"
        if at >= NOW:
            return
        name = f"inv-{self.number('chg')[4:]}"
        charge = self.post(line, name, at, description, Decimal(price), linked=self.chance(75))
        charge.paid_at = self.collect(line.customer, name, charge.price + charge.tax, at)

    def post(
        self,
        line: Subscription,
        invoice_id: str,
        at: datetime,
        description: str,
        price: Decimal,
        *,
        linked: bool = True,
    ) -> Charge:
        """Posts a one-off charge."""
        customer, market = line.customer, line.customer.market
        tax = market.money(price * customer.tax_percent / 100)
        charge = Charge(invoice_id.replace("inv-", "chg-"), invoice_id, price, tax, at)
        line.charges.append(charge)
        self.say(
            "charge.posted",
            customer,
            at,
            charge_id=charge.charge_id,
            subscription_id=line.subscription_id if linked else None,
            price=price,
            tax=tax if tax else None,
            currency=market.currency,
            invoice_id=invoice_id,
            description=description,
        )
        return charge

    def collect(self, customer: Customer, invoice_id: str, total: Decimal, due: datetime) -> datetime | None:
        """Most pay at once. Some fail first, some pay in two parts, and a few invoices stay unpaid."""
        method = self.random.choice(("card", "card", "card", "bank", "bank", "other"))
        wait = timedelta(minutes=40) if method == "card" else timedelta(days=4)
        at = due + self.span(timedelta(minutes=1), wait)
        if self.chance(4):
            at = self.fail(customer, invoice_id, due, (0, 3) if self.chance(30) else (0,))
            if self.chance(12):
                return None
            at += self.span(timedelta(days=1), timedelta(days=4))
        if self.chance(3):
            part = customer.market.money(total * self.random.randint(10, 40) / 100)
            self.capture(customer, invoice_id, part, at, "balance")
            total, at = total - part, at + timedelta(minutes=1)
        return self.capture(customer, invoice_id, total, at, method)

    def capture(
        self, customer: Customer, invoice_id: str, amount: Decimal, at: datetime, method: str
    ) -> datetime | None:
        """One captured payment; says when, or None where that has not come yet."""
        said = self.say(
            "payment.captured",
            customer,
            at,
            payment_id=self.number("pay"),
            invoice_id=invoice_id,
            amount=amount,
            currency=customer.market.currency,
            method=method,
        )
        return at if said else None

    def fail(self, customer: Customer, invoice_id: str, due: datetime, days: Iterable[int]) -> datetime:
        """Attempts that failed, each a payment of its own; says when the last one was."""
        at = due
        for day in days:
            at = due + timedelta(days=day) + self.span(timedelta(minutes=1), timedelta(minutes=9))
            self.say(
                "payment.failed",
                customer,
                at,
                payment_id=self.number("pay"),
                invoice_id=invoice_id,
                reason=self.random.choice(DECLINES),
            )
        return at

    def within(self, line: Subscription, cycle: tuple[date, date]) -> datetime:
        """Some daytime in a cycle, not on its first two or last two days, and if possible before now."""
        starts_on, ends_on = cycle
        latest = min(ends_on, NOW.date())
        days = max(2, (latest - starts_on).days - 3)
        day = starts_on + timedelta(days=self.random.randint(2, days))
        return self.daytime(line.customer.market, day)

    def cancel(self, line: Subscription, cycles: list[tuple[date, date]], strikes: int) -> int:
        """One cancellation, with what became of it. Says which cycle is the last to be billed."""
        customer = line.customer
        at = self.within(line, cycles[strikes])
        keeps = line.fate is Fate.KEEPS_SERVICE
        channel = "support" if line.fate is Fate.CANCELS_BY_SUPPORT else "portal"
        self.request_cancellation(line, at, channel, keep_service=keeps or None)
        cycle_end = customer.market.midnight(cycles[strikes][1])
        if line.fate in (Fate.WITHDRAWS, Fate.WITHDRAWS_AND_LEAVES):
            withdrawn_at = at + self.span(timedelta(hours=2), timedelta(hours=30))
            self.say_of(
                "cancellation.withdrawn", line, withdrawn_at + timedelta(seconds=4), withdrawn_at=withdrawn_at
            )
            if line.fate is Fate.WITHDRAWS or strikes + 1 >= len(cycles):
                return len(cycles) - 1
            strikes += 1
            again = self.within(line, cycles[strikes])
            self.request_cancellation(line, again, "support", keep_service=None)
            return strikes
        if line.fate is Fate.CANCELS_THEN_MISUSE:
            return self.terminate(line, cycles, cycle_end - timedelta(hours=30), "misuse")
        if line.prepaid and not keeps:
            claim = f"unused/cyc-{line.subscription_id[4:]}-{cycles[strikes][0]}"
            self.refunds.append((customer, f"refund/{claim}/1", at))
        return strikes + (line.fate is Fate.CHARGED_AFTER_END)

    def request_cancellation(
        self, line: Subscription, at: datetime, channel: str, *, keep_service: bool | None
    ) -> None:
        """Through support a request is recorded hours after the customer made it."""
        delay = timedelta(seconds=3) if channel == "portal" else self.span(timedelta(minutes=10), timedelta(hours=9))
        reason = self.random.choice(LEAVING)
        self.say_of(
            "cancellation.requested",
            line,
            at + delay,
            requested_at=at,
            channel=channel,
            reason=reason and reason.format(name=line.customer.name),
            keep_service=keep_service,
        )

    def fall_behind(
        self, line: Subscription, cycles: list[tuple[date, date]], strikes: int
    ) -> tuple[int, range, datetime | None]:
        """No payment for two weeks suspends. Says the last cycle, those unpaid, and when they are paid."""
        suspended_at = line.customer.market.midnight(cycles[strikes][0] + timedelta(days=14)) + timedelta(hours=9)
        self.suspend(line, suspended_at, "non_payment")
        if line.fate is Fate.PAYS_WHEN_SUSPENDED:
            paid_at = suspended_at + self.span(timedelta(hours=3), timedelta(days=8))
            self.reinstate(line, paid_at + timedelta(minutes=20))
            return len(cycles) - 1, range(strikes, strikes + 1), paid_at
        if line.fate is Fate.NEVER_PAYS:
            terminated_at = suspended_at + timedelta(days=31)
            last = self.terminate(line, cycles, terminated_at, "non_payment")
            return last, range(strikes, last + 1), None
        line.ended_at = min(line.ended_at, suspended_at)
        last = min(strikes + 1, len(cycles) - 1)
        return last, range(strikes, last + 1), None

    def suspend_for_misuse(self, line: Subscription, cycle: tuple[date, date]) -> None:
        """A stolen password used for dialling abroad: suspended, cleared up, reinstated."""
        at = self.within(line, cycle)
        self.suspend(line, at, "misuse")
        self.reinstate(line, at + self.span(timedelta(hours=5), timedelta(days=4)))

    def suspend(self, line: Subscription, at: datetime, reason: str) -> None:
        """Suspends a line."""
        self.say_of("subscription.suspended", line, at + timedelta(seconds=2), suspended_at=at, reason=reason)

    def reinstate(self, line: Subscription, at: datetime) -> None:
        """Puts a suspended line back into service."""
        self.say_of("subscription.reinstated", line, at + timedelta(seconds=2), reinstated_at=at)

    def terminate(self, line: Subscription, cycles: list[tuple[date, date]], at: datetime, reason: str) -> int:
        """Ends a line for a violation. Says which cycle that falls into: the last to be billed."""
        said = self.say_of(
            "subscription.terminated", line, at + timedelta(seconds=2), terminated_at=at, reason=reason
        )
        if not said:
            return len(cycles) - 1
        line.ended_at = min(line.ended_at, at)
        day = at.astimezone(line.customer.market.zone).date()
        return max(i for i, (starts_on, _) in enumerate(cycles) if starts_on <= day)

    # What goes wrong on the network.

    def regional_outages(self) -> None:
        """One incident, many customers: each reports it in their own time, some much too late."""
        for name, region, local, hours, cause, severity, hit in INCIDENTS:
            market = next(m for m in MARKETS if m.region == region)
            began = datetime.fromisoformat(local).replace(tzinfo=market.zone).astimezone(UTC)
            there = [s for s in self.subscriptions if s.customer.market is market and s.began_at < began < s.ended_at]
            for line in self.random.sample(there, min(hit, len(there))):
                began_at = began + self.span(timedelta(), timedelta(minutes=35))
                lasted = (
                    None if hours is None else timedelta(hours=hours) + self.span(timedelta(), timedelta(hours=1))
                )
                self.outage(
                    line,
                    f"{name}{line.suffix}",
                    began_at,
                    lasted,
                    severity if not self.chance(10) else "minor",
                    cause,
                    late=self.chance(7),
                )

    def single_outages(self) -> None:
        """Outages of one line each: ordinary ones, and one of every border case worth a look."""
        day, hour, second = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
        for _ in range(72):
            line, began_at = self.somewhere()
            self.outage(line, self.number("out"), began_at, self.length())
        for _ in range(9):  # reported after the agreement's 72 hours
            line, began_at = self.somewhere()
            self.outage(line, self.number("out"), began_at, self.length(), late=True)
        for _ in range(9):  # said to be repaired, and was not; every third one still is not
            line, began_at = self.somewhere()
            self.outage(line, self.number("out"), began_at, 20 * hour, reopened=True)
        for _ in range(8):  # two reports of one line that overlap
            line, began_at = self.somewhere()
            first, second_one = self.number("out"), self.number("out")
            self.outage(line, first, began_at, 18 * hour, "significant", "provider")
            self.outage(line, second_one, began_at + 11 * hour, 22 * hour, "significant", "provider")
        for month in (2, 3, 4, 5, 6, 6):  # across a month's end
            line, _ = self.somewhere(before=date(2026, month, 1))
            began_at = line.customer.market.midnight(date(2026, month, 1)) - 15 * hour
            self.outage(line, self.number("out"), began_at, 41 * hour, "significant", "provider")
        for lasted, reported_after in (
            (day, hour),  # exactly the threshold: no refund
            (day + second, hour),  # just above it
            (2 * day, 3 * day),  # reported exactly at the limit
            (2 * day, 3 * day + second),  # a second too late
        ):
            line, began_at = self.somewhere()
            self.outage(
                line, self.number("out"), began_at, lasted, "significant", "provider", reported_after=reported_after
            )
        for days_ago in (2, 5, 9, 16, 27, 40):  # nobody has repaired these yet
            began_at = NOW - days_ago * day - 5 * hour
            line = self.random.choice([s for s in self.subscriptions if s.began_at < began_at and s.ended_at == NOW])
            self.outage(line, self.number("out"), began_at, None)

    def somewhere(self, before: date | None = None) -> tuple[Subscription, datetime]:
        """A line in service and an instant in its life; or a line in service around a date."""
        day = timedelta(days=1)
        there = [s for s in self.subscriptions if s.ended_at - s.began_at > 12 * day]
        if before:
            border = datetime.combine(before, time(), UTC)
            there = [s for s in there if s.began_at + day < border < s.ended_at - 3 * day]
        line = self.random.choice(there)
        return line, line.began_at + self.span(day, line.ended_at - line.began_at - 4 * day)

    def length(self) -> timedelta:
        """Mostly short; every third one longer than a day."""
        hours = self.random.choice((1, 2, 3, 6, 8, 12, 19, 23, 25, 30, 47, 74, 130))
        return timedelta(hours=hours) + self.span(timedelta(), timedelta(minutes=59))

    def outage(
        self,
        line: Subscription,
        outage_id: str,
        began_at: datetime,
        lasted: timedelta | None,
        severity: str | None = None,
        cause: str | None = None,
        *,
        late: bool = False,
        reopened: bool = False,
        reported_after: timedelta | None = None,
    ) -> None:
        """Reports an outage and, if it was repaired, its resolution: never told before the report."""
        hour = timedelta(hours=1)
        wait = reported_after or (self.span(75 * hour, 260 * hour) if late else self.span(hour / 12, 18 * hour))
        reported_at = began_at + wait
        causes = ("provider", "provider", "provider", "unknown", "customer_equipment", "force_majeure")
        self.say_of(
            "outage.reported",
            line,
            reported_at + timedelta(seconds=20),
            outage_id=outage_id,
            began_at=began_at,
            reported_at=reported_at,
            severity=severity or self.random.choice(("significant", "significant", "minor")),
            cause=cause or self.random.choice(causes),
            channel=self.random.choice(("portal", "phone", "email", None)),
        )
        if lasted is None:
            return
        known_at = max(began_at + lasted, reported_at) + self.span(hour / 30, hour)
        self.resolve(line, outage_id, began_at + lasted, known_at)
        if reopened:
            again = known_at + self.span(hour, 9 * hour)
            self.say_of("outage.reopened", line, again, outage_id=outage_id)
            if not self.chance(33):
                repaired = again + self.span(4 * hour, 40 * hour)
                self.resolve(line, outage_id, repaired, repaired + self.span(hour / 30, hour))

    def resolve(self, line: Subscription, outage_id: str, resolved_at: datetime, known_at: datetime) -> None:
        """Says that an outage is over."""
        self.say_of("outage.resolved", line, known_at, outage_id=outage_id, resolved_at=resolved_at)

    # What goes wrong at the desk.

    def disputes(self) -> None:
        """Billing errors of every outcome, each on a charge of its own but for one shared on purpose."""
        paid = [(line, charge) for line in self.subscriptions for charge in line.charges if charge.paid_at]
        fresh = [(line, charge) for line, charge in paid if NOW - charge.posted_at < timedelta(days=14)]
        older = [(line, charge) for line, charge in paid if NOW - charge.posted_at > timedelta(days=25)]
        chosen = iter(self.random.sample(older, 70))
        for _ in range(20):
            line, charge = next(chosen)
            self.dispute(line, charge, 100, confirmed=100)
        for _ in range(16):
            line, charge = next(chosen)
            self.dispute(line, charge, 60, confirmed=25)
        for _ in range(18):
            line, charge = next(chosen)
            self.dispute(line, charge, 40, rejected=True)
        for _ in range(5):  # forgotten: under investigation for much longer than agreed
            line, charge = next(chosen)
            self.dispute(line, charge, 50)
        for line, charge in self.random.sample(fresh, 16):  # under investigation, unless not yet reported
            self.dispute(line, charge, 50)
        for _ in range(3):  # a decimal point in the wrong place: more than was ever charged
            line, charge = next(chosen)
            self.dispute(line, charge, 80, confirmed=800)
        line, charge = next(chosen)  # each fits, but not both together
        self.dispute(line, charge, 60, confirmed=60)
        self.dispute(line, charge, 70, confirmed=70)
        for _ in range(3):  # nobody complained: the provider's own finding
            line, charge = next(chosen)
            self.dispute(line, charge, None, confirmed=15)
        for _ in range(2):  # a second verdict, which no longer counts
            line, charge = next(chosen)
            dispute_id, verdict_at = self.dispute(line, charge, 50, rejected=True)
            self.confirm(line, charge, dispute_id, 50, verdict_at + timedelta(days=2))

    def dispute(
        self,
        line: Subscription,
        charge: Charge,
        claimed: int | None,
        *,
        confirmed: int | None = None,
        rejected: bool = False,
    ) -> tuple[str, datetime]:
        """One dispute; claimed and confirmed are per cent of the charge. Says its id and last date."""
        customer = line.customer
        market = customer.market
        dispute_id = self.number("dsp")
        reported_at = charge.posted_at + self.span(timedelta(days=1), timedelta(days=14))
        if claimed is not None:
            text = self.random.choice((*market.disputes, None))
            self.say(
                "billing_error.reported",
                customer,
                reported_at + timedelta(minutes=6),
                dispute_id=dispute_id,
                charge_id=charge.charge_id,
                claimed=self.share(market, charge, claimed),
                currency=market.currency,
                reported_at=reported_at,
                description=text and text.format(name=customer.name),
            )
        verdict_at = reported_at + self.span(timedelta(hours=20), timedelta(days=9))
        if confirmed is not None:
            self.confirm(line, charge, dispute_id, confirmed, verdict_at)
        if rejected:
            self.say(
                "overcharge.rejected",
                customer,
                verdict_at,
                dispute_id=dispute_id,
                charge_id=charge.charge_id,
                reason=self.random.choice(REJECTIONS).format(name=customer.name),
            )
        return dispute_id, verdict_at

    def confirm(self, line: Subscription, charge: Charge, dispute_id: str, percent: int, at: datetime) -> None:
        """Confirms an overcharge; a refund that follows from it may be answered by the processor."""
        market = line.customer.market
        settle_as = self.random.choice((None, None, "refund", "credit"))
        said = self.say(
            "overcharge.confirmed",
            line.customer,
            at,
            dispute_id=dispute_id,
            charge_id=charge.charge_id,
            amount=self.share(market, charge, percent),
            currency=market.currency,
            settle_as=settle_as,
        )
        if said and settle_as != "credit" and percent <= 50:  # larger ones still wait for a person
            self.refunds.append((line.customer, f"refund/billing-error/{dispute_id}/1", at))

    @staticmethod
    def share(market: Market, charge: Charge, percent: int) -> Decimal:
        """A part of a charge's price, at the currency's scale."""
        return market.money(charge.price * percent / 100)

    def complaints(self) -> None:
        """Dissatisfied customers: most are helped, some come back, some still wait."""
        for customer in self.random.sample(self.customers, 52):
            lines = [s for s in self.subscriptions if s.customer is customer]
            line = lines[0] if lines and self.chance(80) else None
            at = customer.registered_at + self.span(timedelta(days=3), timedelta(days=150))
            complaint_id = self.number("cmp")
            text = self.random.choice((*customer.market.complaints, None))
            if not self.say(
                "complaint.opened",
                customer,
                at,
                complaint_id=complaint_id,
                subscription_id=line.subscription_id if line else None,
                channel=self.random.choice(("phone", "email", "portal", "chat")),
                category=self.random.choice(CATEGORIES),
                description=text and text.format(name=customer.name),
            ) or self.chance(10):
                continue
            at = self.settle_complaint(customer, complaint_id, at)
            if self.chance(22):
                at += self.span(timedelta(hours=6), timedelta(days=9))
                self.say(
                    "complaint.reopened",
                    customer,
                    at,
                    complaint_id=complaint_id,
                    reason=self.random.choice(
                        ("It happens again.", f"{customer.name} is not content with the answer.", None)
                    ),
                )
                if self.chance(60):
                    self.settle_complaint(customer, complaint_id, at)

    def settle_complaint(self, customer: Customer, complaint_id: str, at: datetime) -> datetime:
        """Resolves a complaint with a resolution code and says when; in a backlog it can take weeks."""
        days = 40 if self.chance(15) else 8
        at += self.span(timedelta(hours=1), timedelta(days=days))
        self.say(
            "complaint.resolved", customer, at, complaint_id=complaint_id, resolution=self.random.choice(RESOLUTIONS)
        )
        return at

    def settle_refunds(self) -> None:
        """The payment processor's answers to some refunds: the rest still waits for approval."""
        due = [r for r in self.refunds if r[2] < NOW - timedelta(days=12)]
        for index, (customer, refund_id, at) in enumerate(self.random.sample(due, 27)):
            settled_at = at + self.span(timedelta(days=2), timedelta(days=8))
            if index % 4 == 3:
                self.say(
                    "refund.failed",
                    customer,
                    settled_at,
                    refund_id=refund_id,
                    reason=self.random.choice(("card_expired", "account_closed", "bank_rejected")),
                )
                continue
            self.say(
                "refund.succeeded",
                customer,
                settled_at + timedelta(seconds=8),
                refund_id=refund_id,
                processor_reference=f"re_{self.random.getrandbits(64):016x}",
                succeeded_at=settled_at,
            )

    def contradictions(self) -> None:
        """Facts that are right by themselves and wrong beside others: recorded, left out, alarmed.

        One of each kind that the policy names, and two facts that wait for something that never comes.
        """
        monthly = [s for s in self.subscriptions if s.months == 1 and s.fate is Fate.STAYS and len(s.charges) > 3]
        overlapping, twice, foreign, backwards, unknown, lost = self.random.sample(monthly, 6)
        market = overlapping.customer.market
        starts_on, _ = overlapping.cycles()[1]
        starts_on += timedelta(days=10)
        self.say_of(
            "cycle.started",
            overlapping,
            market.midnight(starts_on) + timedelta(minutes=5),
            cycle_id=f"cyc-{overlapping.subscription_id[4:]}-{starts_on}",
            starts_on=starts_on,
            ends_on=months_after(starts_on, 1),
            price=overlapping.monthly,
            currency=market.currency,
            invoice_id=f"inv-{overlapping.subscription_id[4:]}-{starts_on}",
            prepaid=True,
        )
        paid = next(
            m
            for m in self.messages
            if m.event["subject"] == twice.customer.account and m.event["type"] == "voip.payment.captured.v1"
        )
        self.say(  # the same payment id, but for one unit of the currency more
            "payment.captured",
            twice.customer,
            paid.published + timedelta(days=1),
            **(paid.event["data"] | {"amount": str(Decimal(paid.event["data"]["amount"]) + 1)}),
        )
        self.say(
            "charge.posted",
            foreign.customer,
            foreign.began_at + timedelta(days=20),
            charge_id="chg-9001",
            price="4900",
            currency="JPY" if foreign.customer.market.currency != "JPY" else "KRW",
            invoice_id="inv-9001",
            description="Roaming, posted by the other region's system",
        )
        began_at = backwards.began_at + timedelta(days=33)
        self.outage(backwards, "out-9001", began_at, -timedelta(hours=5), "significant", "provider")
        began_at = unknown.began_at + timedelta(days=40)
        self.say(
            "outage.reported",
            unknown.customer,
            began_at + timedelta(hours=2),
            outage_id="out-9002",
            subscription_id="sub-9999",
            began_at=began_at,
            reported_at=began_at + timedelta(hours=1),
            severity="significant",
            cause="provider",
        )
        self.say(
            "overcharge.confirmed",
            lost.customer,
            lost.began_at + timedelta(days=50),
            dispute_id="dsp-9001",
            charge_id="chg-9002",
            amount=lost.monthly / 10,
            currency=lost.customer.market.currency,
        )


# On the way: numbers, delays, retries, and first tries that were wrong.


@dataclass(frozen=True)
class Spoiling:
    """A producer's first try that has to be refused, made of a good message of that type."""

    why: str
    of: str
    spoil: Callable[[Event], None]
    currency: str | None = None


def having(**fields: object) -> Callable[[Event], None]:
    """Overwrites fields of `data`; None takes one away."""
    return lambda event: replace(event["data"], fields)


def attributes(**values: object) -> Callable[[Event], None]:
    """Overwrites attributes of the event itself; None takes one away."""
    return lambda event: replace(event, values)


def credentials(**values: object) -> Callable[[Event], None]:
    """Overwrites what a subscription's credentials hold."""
    return lambda event: replace(event["data"]["credentials"], values)


def replace(fields: dict[str, Any], values: dict[str, object]) -> None:
    """Writes values over fields, in place; None takes a field away."""
    for name, value in values.items():
        fields.pop(name, None)
        if value is not None:
            fields[name] = value


def same_day(event: Event) -> None:
    """A cycle of no length: its end, being exclusive, must come after its start."""
    event["data"]["ends_on"] = event["data"]["starts_on"]


def back_to_front(event: Event) -> None:
    """A cycle whose dates were swapped."""
    data = event["data"]
    data["starts_on"], data["ends_on"] = data["ends_on"], data["starts_on"]


def without_offset(event: Event) -> None:
    """A local time that nobody can place."""
    event["data"]["reported_at"] = event["data"]["reported_at"][:19]


def time_without_offset(event: Event) -> None:
    """The same in the envelope."""
    event["time"] = event["time"][:19]


SPOILINGS = (
    Spoiling("not CloudEvents: no `specversion`", "payment.failed", attributes(specversion=None)),
    Spoiling("not CloudEvents: `specversion` 0.3", "cycle.started", attributes(specversion="0.3")),
    Spoiling("not CloudEvents: no `id`", "payment.captured", attributes(id=None)),
    Spoiling("missing `subject`", "charge.posted", attributes(subject=None)),
    Spoiling("missing `data`", "outage.reopened", attributes(data=None)),
    Spoiling("subject `system` is reserved", "complaint.opened", attributes(subject="system")),
    Spoiling("unknown type", "subscription.registered", attributes(type="voip.number.ported.v1")),
    Spoiling("unknown version of a type", "cycle.started", attributes(type="voip.cycle.started.v2")),
    Spoiling("`time` without offset", "cycle.started", time_without_offset),
    Spoiling("missing field `method`", "payment.captured", having(method=None)),
    Spoiling("unknown field `region`", "outage.reported", having(region="nyc2")),
    Spoiling("number where a string is asked for: `amount`", "payment.captured", having(amount=19.95), "USD"),
    Spoiling("string where a boolean is asked for: `prepaid`", "cycle.started", having(prepaid="yes")),
    Spoiling("unknown `severity`", "outage.reported", having(severity="critical")),
    Spoiling("instant without offset: `reported_at`", "outage.reported", without_offset),
    Spoiling("date that does not exist: `starts_on`", "cycle.started", having(starts_on="2026-02-30")),
    Spoiling("`ends_on` = `starts_on`", "cycle.started", same_day),
    Spoiling("`ends_on` before `starts_on`", "cycle.started", back_to_front),
    Spoiling("unknown currency", "account.registered", having(currency="EUU"), "EUR"),
    Spoiling("unknown time zone", "account.registered", having(time_zone="Europe/Frankfurt"), "EUR"),
    Spoiling("negative amount: `price`", "charge.posted", having(price="-15.00"), "USD"),
    Spoiling("too many digits for EUR: `tax`", "cycle.started", having(tax="3.211"), "EUR"),
    Spoiling("too many digits for JPY: `amount`", "payment.captured", having(amount="1980.50"), "JPY"),
    Spoiling("confirmation of 0", "overcharge.confirmed", having(amount="0.00"), "USD"),
    Spoiling(
        "identifier over 128 characters: `payment_id`", "payment.captured", having(payment_id="pay-" + "0" * 125)
    ),
    Spoiling("identifier with a space: `charge_id`", "charge.posted", having(charge_id="chg 0007")),
    Spoiling("string over 1,024 characters: `plan`", "subscription.registered", having(plan="team-voip" * 114)),
    Spoiling(
        "free text over 4,096 characters: `description`",
        "complaint.opened",
        having(description="It crackles. " * 316),
    ),
    Spoiling(
        "plain secret: `secret_ref` is no reference",
        "subscription.registered",
        credentials(secret_ref="correct-horse-battery-staple"),
    ),
    Spoiling(
        "plain secret: unknown field `password`",
        "subscription.registered",
        credentials(password="correct-horse-battery-staple", secret_ref=None),
    ),
    Spoiling("message over 60 KiB", "outage.resolved", attributes(calltrace="sip:408 " * 7800)),
)


def deliver(random: Random, messages: list[Message]) -> list[Message]:
    """Everything as it arrives: what the stories brought, later or more often than published."""
    messages.sort(key=lambda m: m.published)
    for index, message in enumerate(messages, start=1):
        message.event["id"] = f"evt-{index:06}"
    delay_some(random, messages)
    arriving = messages + retries(random, messages) + first_tries(random, messages)
    return sorted(arriving, key=lambda m: m.arrives)  # stable: ties keep the order above


def delay_some(random: Random, messages: list[Message]) -> None:
    """Puts a few messages behind others that depend on them, and a few simply days late."""

    def overtaken(first: str, then: str, by: str, count: int) -> None:
        """Delays messages of one type until after one that names the same thing."""
        earlier = {
            (m.event["subject"], m.event["data"].get(by, "")): m
            for m in messages
            if m.event["type"] == f"voip.{first}.v1"
        }
        pairs: dict[int, tuple[Message, Message]] = {}
        for later in messages:
            held = earlier.get((later.event["subject"], later.event["data"].get(by, "")))
            if held and later.event["type"] == f"voip.{then}.v1" and held.arrives < later.arrives:
                pairs.setdefault(id(held), (held, later))
        near = [(a, b) for a, b in pairs.values() if b.published - a.published < timedelta(days=12)]
        for held, later in random.sample(near, count):
            held.arrives = later.arrives + timedelta(seconds=random.randint(30, 9000))

    overtaken("subscription.registered", "outage.reported", "subscription_id", 5)
    overtaken("account.registered", "cycle.started", "", 4)
    overtaken("cycle.started", "payment.captured", "invoice_id", 6)
    overtaken("outage.reported", "outage.resolved", "outage_id", 5)
    overtaken("billing_error.reported", "overcharge.confirmed", "dispute_id", 3)
    overtaken("complaint.opened", "complaint.resolved", "complaint_id", 2)
    captured = [m for m in messages if m.event["type"] == "voip.payment.captured.v1"]
    for message in random.sample(captured, 12):
        message.arrives += timedelta(seconds=random.randint(86_400, 5 * 86_400))


def retries(random: Random, messages: list[Message]) -> list[Message]:
    """About one message in fifty comes again as it was: at once, after hours, or weeks later.

    Three come again under another trace, which changes nothing either; two come again with other
    content under the old id, which is refused.
    """
    repeated: list[Message] = []
    for message in random.sample(messages, len(messages) // 50):
        least, most = random.choice(((2, 600), (2, 600), (3600, 200_000), (1_200_000, 3_400_000)))
        arrives = message.arrives + timedelta(seconds=random.randint(least, most))
        repeated.append(Message(message.event, message.published, min(arrives, NOW), is_repeat=True))
    traced = [m for m in messages if "traceparent" in m.event]
    for message in random.sample(traced, 3):
        event = message.event | {"traceparent": f"00-{random.getrandbits(128):032x}-{1:016x}-01"}
        arrives = message.arrives + timedelta(minutes=4)
        repeated.append(Message(event, message.published, arrives, is_repeat=True))
    captured = [m for m in messages if m.event["type"] == "voip.payment.captured.v1"]
    for message, changed in zip(random.sample(captured, 2), ("amount", "time"), strict=True):
        event = copy.deepcopy(message.event)
        if changed == "amount":
            event["data"]["amount"] = str(Decimal(event["data"]["amount"]) + 1)
        else:
            event["time"] = event["time"].replace("2026-", "2025-")
        why = f"same `source` and `id` as before, other `{changed}`"
        arrives = message.arrives + timedelta(hours=30)
        repeated.append(Message(event, message.published, arrives, refused_because=why))
    return repeated


def first_tries(random: Random, messages: list[Message]) -> list[Message]:
    """Each way to be refused, once: a producer's first try, seconds before the message it got right."""
    tries: list[Message] = []
    for index, spoiling in enumerate(SPOILINGS, start=len(messages) + 1):
        good = random.choice(
            [
                m
                for m in messages
                if m.event["type"] == f"voip.{spoiling.of}.v1"
                and spoiling.currency in (None, m.event["data"].get("currency"))
            ]
        )
        event = copy.deepcopy(good.event)
        event["id"] = f"evt-{index:06}"
        spoiling.spoil(event)
        tries.append(before(random, good, event, spoiling.why))
    cut, log = random.sample(messages, 2)
    half = before(random, cut, cut.event, "not JSON: cut off in the middle")
    half.raw = cut.line()[: len(cut.line()) * 2 // 3]
    noise = before(random, log, log.event, "not JSON: a line of a log")
    noise.raw = b"WARN outbox: broker not available, will retry in 500 ms"
    return [*tries, half, noise]


def before(random: Random, good: Message, event: Event, why: str) -> Message:
    """A message that arrives shortly before a good one and is to be refused."""
    arrives = good.arrives - timedelta(seconds=random.randint(1, 9))
    return Message(event, good.published, arrives, refused_because=why)


def generate() -> list[Message]:
    """All messages in the order of the file's lines."""
    random = Random(SEED)
    return deliver(random, Provider(random).tell())


def describe(messages: list[Message]) -> str:
    """What is in the file, as Markdown: the part of README.md between its markers."""
    told = [m for m in messages if not m.is_repeat and m.refused_because is None]
    out_of_order, latest = 0, told[0].published
    for message in told:
        out_of_order += message.published < latest
        latest = max(latest, message.published)
    types = Counter(m.event["type"] for m in told)
    subscriptions = types["voip.subscription.registered.v1"]
    currencies = Counter(m.event["data"]["currency"] for m in told if m.event["type"] == "voip.account.registered.v1")
    accounts = ", ".join(f"{count} in {currency}" for currency, count in currencies.most_common())
    rows = [
        "| | |",
        "|---|---:|",
        f"| lines | {len(messages):,} |",
        f"| messages to accept | {len(told):,} |",
        f"| of these, arriving out of order | {out_of_order:,} |",
        f"| duplicates | {sum(m.is_repeat for m in messages):,} |",
        f"| lines to refuse | {sum(m.refused_because is not None for m in messages):,} |",
        f"| accounts | {types['voip.account.registered.v1']:,} ({accounts}) |",
        f"| subscriptions | {subscriptions:,} |",
        "",
        "| type | messages to accept |",
        "|---|---:|",
        *(f"| `{name}` | {count:,} |" for name, count in sorted(types.items())),
        "",
        "| line | to refuse because |",
        "|---:|---|",
        *(
            f"| {line} | {message.refused_because} |"
            for line, message in enumerate(messages, start=1)
            if message.refused_because is not None
        ),
    ]
    return "\n".join(rows) + "\n"


def main() -> None:
    """Writes the lines, or what they contain."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, help="file to write (default: standard output)")
    parser.add_argument("--describe", action="store_true", help="print the counts instead")
    arguments = parser.parse_args()
    messages = generate()
    if arguments.describe:
        written = describe(messages).encode()
    else:
        written = b"".join(message.line() + b"\n" for message in messages)
    if arguments.out:
        arguments.out.write_bytes(written)
    else:
        sys.stdout.buffer.write(written)


if __name__ == "__main__":
    main()
