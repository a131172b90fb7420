"""Random histories of one account that go looking for corners.

`history(seed)` gives the messages of one account, in the order upstream would publish them; `moment(seed, messages)`
a `now` that likes borders; `agreements()` what was published. The same seed always gives the same history.

With `instructed` people at the door speak too: they propose goodwill credits, decide about them, note and link.

With `money` it is another history, about money: invoices of many charges, paid in every way or not, refunds that the
processor reports, credits that billing applies, and facts that are taken back. `afterwards` gives a later instant, at
which some excesses have become credits.

Every message is valid by itself (contract §1), so that none may be refused. Whatever contradicts, waits or is
equal to the microsecond is on purpose. Most instants are drawn from a few *landmarks* (cycle borders, the ends of
outages, earlier requests) plus a tiny nudge, which is what makes borders meet.
"""

import random
import tomllib
from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from . import settlement

AGREEMENTS = {
    "standard-1": 'name = "standard"\nversion = 1\nvalid_from = 2000-01-01\n',
    "exact-1": """
        name = "exact"
        version = 1
        valid_from = 2000-01-01
        [proration]
        basis = "exact_time"
        rounding = "half_even"
        [disruption]
        floor = "none"
        settle_as = "refund"
        """,
    "lenient-1": """
        name = "lenient"
        version = 1
        valid_from = 2000-01-01
        [disruption]
        significant_after = "PT4H"
        report_within = "PT240H"
        excluded_causes = []
        [cancellation]
        unused_period = "from_effective"
        settle_as = "credit"
        """,
    "none-1": """
        name = "none"
        version = 1
        valid_from = 2000-01-01
        [cancellation]
        unused_period = "none"
        """,
    "strict-1": """
        name = "strict"
        version = 1
        valid_from = 2000-01-01
        [disruption]
        floor = "none"
        report_within = "PT24H"
        [cancellation]
        notice_days = 7
        minimum_term_days = 30
        [cancellation.fee]
        EUR = "5.00"
        USD = "5.00"
        JPY = "500"
        KWD = "1.500"
        """,
    "thirty-1": """
        name = "thirty"
        version = 1
        valid_from = 2000-01-01
        [proration]
        basis = "thirty_days"
        [disruption]
        significant_after = "PT12H"
        """,
    # Ours, beyond those of the acceptance cases.
    "even-1": """
        name = "even"
        version = 1
        valid_from = 2000-01-01
        [proration]
        rounding = "half_even"
        """,
    "exact-notice-1": """
        name = "exact-notice"
        version = 1
        valid_from = 2000-01-01
        [proration]
        basis = "exact_time"
        [cancellation]
        notice_days = 3
        """,
    "exact-effective-1": """
        name = "exact-effective"
        version = 1
        valid_from = 2000-01-01
        [proration]
        basis = "exact_time"
        [disruption]
        significant_after = "PT0S"
        [cancellation]
        unused_period = "from_effective"
        """,
    "costly-1": """
        name = "costly"
        version = 1
        valid_from = 2000-01-01
        [disruption]
        significant_after = "PT1H"
        excluded_causes = ["unknown"]
        [cancellation]
        minimum_term_days = 1
        [cancellation.fee]
        EUR = "25.00"
        USD = "0.01"
        JPY = "40"
        KWD = "12.345"
        """,
    "thirty-effective-1": """
        name = "thirty-effective"
        version = 1
        valid_from = 2000-01-01
        [proration]
        basis = "thirty_days"
        rounding = "half_even"
        [disruption]
        floor = "none"
        [cancellation]
        unused_period = "from_effective"
        notice_days = 10
        minimum_term_days = 365
        [cancellation.fee]
        EUR = "0.50"
        """,
    "long-notice-1": """
        name = "long-notice"
        version = 1
        valid_from = 2000-01-01
        [disruption]
        significant_after = "P1DT12H"
        report_within = "PT0S"
        [cancellation]
        notice_days = 40
        """,
    # Of `versions` the number and the date disagree about which is newest, and two begin on one date.
    "versions-1": 'name = "versions"\nversion = 1\nvalid_from = 2011-01-01\n',
    "versions-2": """
        name = "versions"
        version = 2
        valid_from = 2012-01-01
        [cancellation]
        unused_period = "none"
        """,
    "versions-3": """
        name = "versions"
        version = 3
        valid_from = 2012-01-01
        [proration]
        basis = "exact_time"
        """,
    "versions-4": """
        name = "versions"
        version = 4
        valid_from = 2011-06-01
        [cancellation]
        unused_period = "from_effective"
        """,
    "versions-5": """
        name = "versions"
        version = 5
        valid_from = 2030-01-01
        [proration]
        basis = "thirty_days"
        """,
    "versions-10": """
        name = "versions"
        version = 10
        valid_from = 2030-01-01
        [disruption]
        significant_after = "PT2H"
        """,
}

MONEY_AGREEMENTS = {
    "hasty-1": """
        name = "hasty"
        version = 1
        valid_from = 2000-01-01
        [disruption]
        significant_after = "PT1H"
        settle_as = "refund"
        [approval]
        hold = "PT0S"
        """,
    "patient-1": """
        name = "patient"
        version = 1
        valid_from = 2000-01-01
        [disruption]
        significant_after = "PT4H"
        [billing_error]
        settle_as = "credit"
        [cancellation]
        settle_as = "credit"
        [approval]
        hold = "P2D"
        """,
    "refunding-1": """
        name = "refunding"
        version = 1
        valid_from = 2000-01-01
        [disruption]
        significant_after = "PT4H"
        settle_as = "refund"
        """,
}


def agreement_texts(*, money: bool = False) -> dict[str, str]:
    """The TOML text of every published version, by a name for its file: what `makegood agreement publish` takes."""
    texts = {**AGREEMENTS, **MONEY_AGREEMENTS} if money else AGREEMENTS
    return {name: "".join(line.strip() + "\n" for line in text.splitlines()) for name, text in texts.items()}


def agreements(*, money: bool = False) -> list[dict]:
    """Every published version, parsed."""
    return [tomllib.loads(text) for text in agreement_texts(money=money).values()]


NAMES = sorted({agreement["name"] for agreement in agreements()})
LENGTHS = {  # what the agreements count in: a nudge from these is what decides
    "threshold": [timedelta(hours=h) for h in (0, 1, 2, 4, 12, 24, 36)],
    "report": [timedelta(hours=h) for h in (0, 24, 72, 240)],
}
NUDGES = [timedelta(0)] * 6 + [
    timedelta(microseconds=1),
    timedelta(microseconds=-1),
    timedelta(seconds=1),
    timedelta(seconds=-1),
    timedelta(hours=1),
    timedelta(hours=-7),
]

ZONES = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # its summer time is half an hour
    "Pacific/Apia",  # skipped 2011-12-30
    "America/Los_Angeles",
    "America/Sao_Paulo",  # until 2019 the clock jumped over midnight
    "America/St_Johns",  # until 2011 it went back over midnight, a minute late
    "America/Havana",  # goes back to midnight: the date begins twice
]
# Days around which the clocks of those zones do something; elsewhere they are only dates.
CLOCK_CHANGES = {
    "America/New_York": ["2012-03-11", "2012-11-04", "2024-03-10"],
    "Europe/Berlin": ["2013-03-31", "2013-10-27", "2026-03-29"],
    "Australia/Lord_Howe": ["2011-04-03", "2011-10-02", "2020-10-04"],
    "Pacific/Apia": ["2011-12-30", "2011-12-31", "2012-04-01"],
    "America/Los_Angeles": ["2022-11-06", "2023-03-12"],
    "America/Sao_Paulo": ["2012-10-21", "2013-02-17"],
    "America/St_Johns": ["2010-11-07", "2011-03-13"],
    "America/Havana": ["2013-11-03", "2014-03-09"],
}
PRICES = {  # many of them make halves of the smallest unit
    "EUR": ["19.95", "31.00", "30.00", "0.01", "0.05", "0.00", "10.01", "99.99", "0.15", "7.25", "1234567.89"],
    "USD": ["19.95", "31.00", "30.00", "0.01", "0.03", "0.00", "10.05", "239.40", "0.45", "0.31"],
    "JPY": ["0", "1", "15", "31", "45", "1980", "100", "465"],
    "KWD": ["0.000", "0.001", "0.015", "5.250", "31.000", "9.995", "0.045", "6.0"],
}
DIGITS = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
CYCLE_DAYS = ["month"] * 6 + [1, 7, 14, 27, 28, 30, 30, 31, 32, 45, 46, 90, 365, 366, "year", "quarter"]
ODD_SUFFIXES = ["", "", "", "", "", "-Z", "-a", "-10", "-9", "-é", "-￮", "-😀", "/x", "%2F"]


def history(seed: int, *, account: str | None = None, instructed: bool = False, money: bool = False) -> list[dict]:
    """The messages of one random account: those that upstream publishes; with `instructed` also the door's own."""
    told = (MoneyHistory if money else History)(seed, account or f"acct-{seed}")
    return told.with_instructions(seed) if instructed else told.messages()


def moment(seed: int, messages: list[dict]) -> datetime:
    """A `now` for a history: mostly long after it, often within it, sometimes on one of its borders."""
    rng = random.Random(f"moment {seed}")
    texts = [text for m in messages for key, text in m["data"].items() if key.endswith("_at")]
    zones = [m["data"]["time_zone"] for m in messages if "time_zone" in m["data"]] or ["UTC"]
    borders = [_midnight(m["data"]["ends_on"], zones[0]) for m in messages if "ends_on" in m["data"]]
    within = [datetime.fromisoformat(text).astimezone(UTC) for text in texts] + borders
    if not within or rng.random() < 0.4:
        return datetime(2035, 1, 1, tzinfo=UTC)
    chosen = rng.choice(borders or within) if rng.random() < 0.5 else rng.choice(within)
    return chosen + rng.choice([*NUDGES, timedelta(days=3), timedelta(days=20)])


def afterwards(seed: int, now: datetime) -> datetime:
    """An instant not before `now`: often when an excess has rested long enough, or a moment too early."""
    rng = random.Random(f"afterwards {seed}")
    hold = rng.choice([timedelta(hours=24), timedelta(hours=24), timedelta(days=2)])
    early = -timedelta(microseconds=1)
    return now + rng.choice([timedelta(0), hold, hold, hold + early, timedelta(days=400), timedelta(days=400)])


def _midnight(day: str | date, zone: str) -> datetime:
    day = date.fromisoformat(day) if isinstance(day, str) else day
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


class History:
    def __init__(self, seed: int, account: str):
        self.rng = random.Random(f"history {seed}")
        self.account = account
        self.zone = self.rng.choice(ZONES)
        self.currency = self.rng.choice(["EUR", "EUR", "USD", "JPY", "KWD"])
        self.written: list[dict] = []
        self.counter = 0
        self.landmarks: list[datetime] = []
        self.cycles: list[dict] = []
        self.charges: list[dict] = []
        self.outages: list[dict] = []
        self.disputes: list[tuple[str, str]] = []
        self.complaints: list[str] = []
        self.clock = datetime(self.rng.randint(2010, 2012), 1, 1, tzinfo=UTC)

    def messages(self) -> list[dict]:
        chance = self.chance
        if not chance(0.03):
            self.register_account()
        subscriptions = [self.business_id("sub") for _ in range(self.rng.choice([1, 1, 1, 1, 2, 2, 3]))]
        for subscription in subscriptions:
            if not chance(0.04):
                self.register_subscription(subscription)
            self.start_cycles(subscription)
        for subscription in subscriptions + ([self.business_id("sub")] if chance(0.1) else []):
            self.happenings(subscription)
        for _ in range(self.rng.choice([0, 0, 1, 2])):
            self.post_charge(subscriptions)
        for _ in range(self.rng.choice([0, 0, 1, 2, 4])):
            self.dispute()
        for _ in range(self.rng.choice([0, 0, 0, 1])):
            self.complain(subscriptions)
        self.contradict(subscriptions)
        if chance(0.4):
            self.rng.shuffle(self.written)
        return self.written

    def with_instructions(self, seed: int) -> list[dict]:
        """The same messages of upstream, with those of the door's own among them."""
        told = list(self.messages())
        self.rng = random.Random(f"instructions {seed}")
        self.written = []
        subscriptions = [m["data"]["subscription_id"] for m in told if m["type"] == "voip.subscription.registered.v1"]
        if subscriptions and self.chance(0.5):
            self.complain(subscriptions)
        for _ in range(self.rng.choice([0, 1, 1, 2])):
            self.work_on_complaint()
        for _ in range(self.rng.choice([0, 1, 1, 2, 3])):
            self.goodwill(subscriptions)
        for message in self.written:
            told.insert(self.rng.randint(0, len(told)), message)
        return told

    # --- how things are drawn ---

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def business_id(self, kind: str) -> str:
        self.counter += 1
        return f"{kind}-{self.account}-{self.rng.randint(1, 9)}{self.counter}{self.rng.choice(ODD_SUFFIXES)}"

    def near(self, *, after: datetime | None = None) -> datetime:
        """An instant on or by a landmark."""
        marks = [mark for mark in self.landmarks if after is None or mark >= after] or self.landmarks
        mark = self.rng.choice(marks or [self.clock])
        if self.chance(0.35):
            mark += timedelta(days=self.rng.randint(0, 40), seconds=self.rng.randint(0, 86399))
        found = mark + self.rng.choice(NUDGES)
        self.landmarks.append(found)
        return found

    def write_instant(self, at: datetime) -> str:
        """The same instant is written with many an offset."""
        offset = self.rng.choice([None, None, 0, 345, -300, 60, 840, -150])
        if offset is None:
            return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return at.astimezone(timezone(timedelta(minutes=offset))).isoformat()

    def price(self) -> str:
        if self.chance(0.7):
            return self.rng.choice(PRICES[self.currency])
        return self.amount(self.rng.randint(0, 30000))

    def amount(self, units: int, currency: str | None = None) -> str:
        digits = DIGITS[currency or self.currency]
        text = str(units).rjust(digits + 1, "0")
        return text if digits == 0 else f"{text[:-digits]}.{text[-digits:]}"

    def units(self, amount: str) -> int:
        whole, _, part = amount.partition(".")
        return int(whole + part.ljust(DIGITS[self.currency], "0"))

    def other_currency(self) -> str:
        return self.rng.choice([c for c in DIGITS if c != self.currency])

    def instruct(self, kind: str, data: dict):
        """A message of the door's own."""
        message = self.publish(kind, data)
        message["type"] = f"makegood.{kind}.v1"

    def publish(self, kind: str, data: dict, *, at: datetime | None = None) -> dict:
        """Many messages bear one `time`, and their ids come in no order; now and then only the source differs."""
        if self.chance(0.5):
            self.clock += self.rng.choice([timedelta(seconds=1), timedelta(microseconds=1), timedelta(days=1)])
        self.counter += 1
        first = self.rng.choice("0189AZaz0189AZazé￮😀")  # code points do not sort as UTF-16 or a locale does
        message_id = f"{self.account}.{first}{self.counter}{self.rng.choice(ODD_SUFFIXES)}"
        when = at or (self.clock - timedelta(days=self.rng.randint(0, 3)) if self.chance(0.1) else self.clock)
        source = self.rng.choice(["/provisioning/test", "/provisioning/test", "/billing/test"])
        if self.written and self.chance(0.06):
            twin = self.rng.choice(self.written)
            other = "/billing/twin" if twin["source"] == "/provisioning/test" else "/a"
            if all((m["source"], m["id"]) != (other, twin["id"]) for m in self.written):
                message_id, source = twin["id"], other
                when = datetime.fromisoformat(twin["time"]) if at is None else when
        message = {
            "specversion": "1.0",
            "id": message_id,
            "source": source,
            "type": f"voip.{kind}.v1",
            "subject": self.account,
            "time": self.write_instant(when),
            "datacontenttype": "application/json",
            "data": data,
        }
        self.written.append(message)
        return message

    # --- what happens ---

    def register_account(self, **other):
        data = {"time_zone": self.zone, "currency": self.currency, **other}
        data["customer"] = {"name": f"Customer {self.counter}", "email": f"c{self.counter}@example.com"}
        self.publish("account.registered", data)

    def register_subscription(self, subscription: str):
        agreement = self.rng.choice(NAMES * 4 + ["versions"] * 8 + ["unheard-of"])
        at = None
        if agreement == "versions" and self.chance(0.6):  # at the border of a version, in the account's zone
            border = self.rng.choice(["2011-01-01", "2011-06-01", "2012-01-01", "2030-01-01"])
            at = _midnight(border, self.zone) + self.rng.choice(NUDGES)
        data = {"subscription_id": subscription, "agreement": agreement, "plan": "business-voip"}
        if self.chance(0.2):
            data["credentials"] = {"username": "user", "server": "sip.example.com"}
        self.publish("subscription.registered", data, at=at)

    def first_day(self) -> date:
        if self.zone in CLOCK_CHANGES and self.chance(0.6):
            change = date.fromisoformat(self.rng.choice(CLOCK_CHANGES[self.zone]))
            return change - timedelta(days=self.rng.choice([0, 0, 1, 2, 7, 29, 30, 31]))
        day = date(self.rng.choice([2011, 2012, 2013, 2023, 2024, 2033, 2034]), self.rng.randint(1, 12), 1)
        return day + timedelta(days=self.rng.choice([0, 0, 0, 14, 27, self.rng.randint(0, 27)]))

    def cycle_end(self, begin: date, days) -> date:
        months = {"month": 1, "quarter": 3, "year": 12}.get(days)
        if months is None:
            return begin + timedelta(days=days)
        index = begin.year * 12 + begin.month - 1 + months
        return date(index // 12, index % 12 + 1, min(begin.day, 28))

    def start_cycles(self, subscription: str):
        days, price, prepaid = self.rng.choice(CYCLE_DAYS), self.price(), self.chance(0.85)
        begin = self.first_day()
        for _ in range(self.rng.choice([0, 1, 1, 2, 2, 3, 3, 4, 5])):
            if self.chance(0.25):
                days = self.rng.choice(CYCLE_DAYS)
            if self.chance(0.25):
                price = self.price()
            end = self.cycle_end(begin, days)
            self.start_cycle(subscription, begin, end, price, prepaid if self.chance(0.9) else not prepaid)
            if self.chance(0.15):  # where a minimum term ends, or a notice
                self.landmarks.append(
                    _midnight(begin + timedelta(days=self.rng.choice([1, 3, 7, 30, 365])), self.zone)
                )
            begin = end + timedelta(days=self.rng.choice([0, 0, 0, 0, 0, 0, 1, 10]))
            if self.chance(0.04):
                begin -= timedelta(days=1)  # the next one overlaps

    def start_cycle(self, subscription: str, begin: date, end: date, price: str, prepaid: bool, **other):
        cycle = self.business_id("cyc")
        data = {
            "subscription_id": subscription,
            "cycle_id": cycle,
            "starts_on": begin.isoformat(),
            "ends_on": end.isoformat(),
            "price": price,
            "currency": self.currency,
            "invoice_id": self.invoice_for(cycle),
            "prepaid": prepaid,
        }
        if self.chance(0.6):
            data["tax"] = self.rng.choice(["0" if self.currency == "JPY" else "0.0", self.price(), self.price()])
        if self.chance(0.3):
            data["monthly_price"] = self.price()
        data.update(other)
        self.publish("cycle.started", data)
        self.cycles.append(data)
        self.charges.append(data)
        self.landmarks += [_midnight(begin, self.zone), _midnight(end, self.zone)]
        self.pay(data)

    def invoice_for(self, charge: str) -> str:
        return f"inv-{charge}"

    def post_charge(self, subscriptions: list[str]):
        charge = self.business_id("chg")
        data = {
            "charge_id": charge,
            "price": self.price(),
            "currency": self.currency,
            "invoice_id": self.invoice_for(charge),
            "description": "a headset",
        }
        if self.chance(0.5):
            data["subscription_id"] = self.rng.choice([*subscriptions, self.business_id("sub")])
        if self.chance(0.6):
            data["tax"] = self.price()
        self.publish("charge.posted", data)
        self.charges.append(data)
        self.pay(data)

    def pay(self, charge: dict):
        payment = {"payment_id": self.business_id("pay"), "invoice_id": charge["invoice_id"]}
        if self.chance(0.2):
            self.publish("payment.failed", {**payment, "reason": "declined by the bank"})
        if self.chance(0.8):
            total = self.units(charge["price"]) + self.units(charge.get("tax", "0"))
            part = self.rng.choice([total, total, total, total // 2, total + 1])
            method = self.rng.choice(["card", "card", "bank", "balance", "other"])
            amount = self.amount(part)
            self.publish(
                "payment.captured", {**payment, "amount": amount, "currency": self.currency, "method": method}
            )

    def happenings(self, subscription: str):
        """Outages, suspensions, a termination, cancellations of one subscription."""
        happenings = [self.outage] * self.rng.choice([0, 1, 1, 2, 3, 5])
        happenings += [self.chain_of_outages] * self.rng.choice([0, 0, 0, 1])
        happenings += [self.suspend] * self.rng.choice([0, 0, 0, 1, 2])
        happenings += [self.terminate] * self.rng.choice([0, 0, 0, 0, 1, 2])
        happenings += [self.cancel] * self.rng.choice([0, 1, 1, 1, 2, 3])
        self.rng.shuffle(happenings)
        for happening in happenings:
            happening(subscription)

    def outage(self, subscription: str):
        previous = [o for o in self.outages if o["subscription_id"] == subscription]
        outage, began_at = self.business_id("out"), self.near()
        if previous and self.chance(0.4):  # touches, or all but, or begins within
            began_at = self.rng.choice(previous)["end"] + self.rng.choice(NUDGES)
        reported_at = (
            began_at + self.rng.choice(LENGTHS["report"] + [timedelta(hours=2)] * 8) + self.rng.choice(NUDGES)
        )
        data = {
            "outage_id": outage,
            "subscription_id": subscription,
            "began_at": self.write_instant(began_at),
            "reported_at": self.write_instant(reported_at),
            "severity": "significant" if self.chance(0.85) else "minor",
            "cause": self.rng.choice(["provider"] * 6 + ["unknown", "customer_equipment", "force_majeure"]),
        }
        if self.chance(0.2):
            data["channel"] = "portal"
        self.publish("outage.reported", data)
        end = began_at
        length = self.rng.choice(LENGTHS["threshold"] + [timedelta(hours=24)] * 3) + self.rng.choice(NUDGES)
        length += self.rng.choice([timedelta(0)] * 4 + [timedelta(hours=20), timedelta(days=3), timedelta(days=50)])
        if self.chance(0.8):
            end = self.near(after=began_at) if self.chance(0.25) else began_at + max(length, timedelta(0))
            self.resolve(data, end)
        if self.chance(0.15):
            self.publish("outage.reopened", {"outage_id": outage, "subscription_id": subscription})
            if self.chance(0.6):
                end += self.rng.choice([*NUDGES, timedelta(hours=30)])
                self.resolve(data, end)
        if self.chance(0.06):  # before it began: left out
            self.resolve(data, began_at - self.rng.choice([timedelta(microseconds=1), timedelta(days=2)]))
        if self.chance(0.04):  # of another subscription, or of no outage: waits
            self.resolve({**data, self.rng.choice(["outage_id", "subscription_id"]): self.business_id("x")}, end)
        self.landmarks += [began_at, end]
        self.outages.append({**data, "end": end})

    def chain_of_outages(self, subscription: str):
        """Outages each shorter than the threshold that touch, or miss by a microsecond: only together they count."""
        at = self.near()
        if self.cycles and self.chance(0.5):  # across the border of a cycle
            at = _midnight(self.rng.choice(self.cycles)["ends_on"], self.zone) - timedelta(
                hours=self.rng.choice([14, 20])
            )
        for _ in range(self.rng.choice([2, 2, 3])):
            data = {
                "outage_id": self.business_id("out"),
                "subscription_id": subscription,
                "began_at": self.write_instant(at),
                "reported_at": self.write_instant(at),
                "severity": "significant",
                "cause": "provider",
            }
            self.publish("outage.reported", data)
            at += timedelta(hours=self.rng.choice([1, 3, 8, 12, 14, 20]))
            self.resolve(data, at)
            self.outages.append({**data, "end": at})
            at += self.rng.choice(NUDGES[:4] + NUDGES[6:7] + [timedelta(hours=-2)])

    def resolve(self, outage: dict, at: datetime):
        ids = {"outage_id": outage["outage_id"], "subscription_id": outage["subscription_id"]}
        self.publish("outage.resolved", {**ids, "resolved_at": self.write_instant(at)})

    def suspend(self, subscription: str):
        suspended_at = self.near()
        reason = self.rng.choice(["misuse", "non_payment"])
        data = {"subscription_id": subscription, "suspended_at": self.write_instant(suspended_at), "reason": reason}
        self.publish("subscription.suspended", data)
        if self.chance(0.8):
            back = suspended_at + self.rng.choice(NUDGES[:8] + [timedelta(hours=10), timedelta(days=2)] * 4)
            self.landmarks.append(back)
            self.publish(
                "subscription.reinstated",
                {"subscription_id": subscription, "reinstated_at": self.write_instant(back)},
            )

    def terminate(self, subscription: str):
        at, reason = self.near(), self.rng.choice(["misuse", "non_payment"])
        data = {"subscription_id": subscription, "terminated_at": self.write_instant(at), "reason": reason}
        self.publish("subscription.terminated", data)

    def cancel(self, subscription: str):
        requested_at = self.near()
        begun = [cycle["starts_on"] for cycle in self.cycles if cycle["subscription_id"] == subscription]
        if begun and self.chance(0.15):  # where a minimum term ends
            first = date.fromisoformat(min(begun)) + timedelta(days=self.rng.choice([1, 30, 30]))
            requested_at = _midnight(first, self.zone) + self.rng.choice(NUDGES)
            self.landmarks.append(requested_at)
        data = {
            "subscription_id": subscription,
            "requested_at": self.write_instant(requested_at),
            "channel": self.rng.choice(["portal", "support"]),
        }
        if self.chance(0.4):
            data["keep_service"] = self.chance(0.7)
        if self.chance(0.2):
            data["reason"] = "moving away"
        self.publish("cancellation.requested", data)
        if self.chance(0.1):
            self.publish("cancellation.requested", dict(data))
        if self.chance(0.35):
            withdrawn_at = self.near(after=requested_at)
            if self.chance(0.4):
                withdrawn_at = requested_at + self.rng.choice(
                    [timedelta(0), timedelta(microseconds=1), timedelta(days=1)]
                )
            self.landmarks.append(withdrawn_at)
            self.publish(
                "cancellation.withdrawn",
                {"subscription_id": subscription, "withdrawn_at": self.write_instant(withdrawn_at)},
            )

    def dispute(self):
        """A dispute on a charge: often the same charge again, often for just what is left of it."""
        known = self.charges[-1:] * 2 + self.charges[:1] * 2 + self.charges
        charge = self.rng.choice(known) if known and not self.chance(0.1) else None
        charge_id = (charge.get("cycle_id") or charge["charge_id"]) if charge else self.business_id("chg")
        dispute = self.rng.choice(self.disputes)[0] if self.disputes and self.chance(0.1) else self.business_id("dis")
        self.disputes.append((dispute, charge_id))
        price = self.units(charge["price"]) if charge else 1000
        if not self.chance(0.15):
            data = {
                "dispute_id": dispute,
                "charge_id": charge_id,
                "claimed": self.amount(self.rng.choice([0, 1, price])),
                "currency": self.other_currency() if self.chance(0.04) else self.currency,
                "reported_at": self.write_instant(self.near()),
            }
            if data["currency"] != self.currency:
                data["claimed"] = self.amount(100, data["currency"])
            if self.chance(0.5):
                data["description"] = "I was charged twice"
            self.publish("billing_error.reported", data)
        for _ in range(self.rng.choice([0, 1, 1, 1, 1, 2])):
            about = self.rng.choice(self.disputes)[1] if self.chance(0.1) else charge_id
            if self.chance(0.2):
                reason = "as agreed in the contract"
                self.publish("overcharge.rejected", {"dispute_id": dispute, "charge_id": about, "reason": reason})
                continue
            currency = self.other_currency() if self.chance(0.05) else self.currency
            units = self.rng.choice([1, price // 3, price // 2, (price + 1) // 2, price, price + 1, price - 1])
            data = {
                "dispute_id": dispute,
                "charge_id": about,
                "amount": self.amount(max(1, units) if currency == self.currency else 100, currency),
                "currency": currency,
            }
            if self.chance(0.3):
                data["settle_as"] = self.rng.choice(["refund", "credit"])
            self.publish("overcharge.confirmed", data)

    def complain(self, subscriptions: list[str]):
        complaint = self.business_id("com")
        self.complaints.append(complaint)
        data = {"complaint_id": complaint, "channel": "portal", "category": "quality", "description": "it crackles"}
        if self.chance(0.5):
            data["subscription_id"] = self.rng.choice(subscriptions)
        self.publish("complaint.opened", data)
        if self.chance(0.5):
            self.publish("complaint.resolved", {"complaint_id": complaint, "resolution": "exchanged"})
        if self.chance(0.3):
            self.publish("complaint.reopened", {"complaint_id": complaint, "reason": "still crackles"})

    def a_complaint(self) -> str:
        """Mostly one that was opened."""
        known = self.complaints and not self.chance(0.15)
        return self.rng.choice(self.complaints) if known else self.business_id("com")

    def work_on_complaint(self):
        complaint = self.a_complaint()
        if self.chance(0.5):
            self.instruct("complaint.noted", {"complaint_id": complaint, "note": "they ring every day"})
        else:
            kind = self.rng.choice(["outage", "dispute", "goodwill"])
            link = {"complaint_id": complaint, "kind": kind, "linked_id": self.business_id(kind)}
            self.instruct("complaint.linked", link)

    def goodwill(self, subscriptions: list[str]):
        """Proposed, now and then twice or by somebody else; decided by the one or the other, once, twice or never."""
        credit, people = self.business_id("gw"), ["ann", "bob", "cem"]
        currency = self.other_currency() if self.chance(0.06) else self.currency
        data = {
            "credit_id": credit,
            "complaint_id": self.a_complaint(),
            "currency": currency,
            "amount": self.amount(self.rng.choice([1, 100, 5000]), currency),
            "proposed_by": self.rng.choice(people),
        }
        if subscriptions and self.chance(0.4):
            data["subscription_id"] = self.rng.choice([*subscriptions, self.business_id("sub")])
        if not self.chance(0.08):
            self.instruct("goodwill.proposed", data)
        if self.chance(0.15):
            other = [{}, {"reason": "again"}, {"proposed_by": self.rng.choice(people)}, {"complaint_id": "other"}]
            self.instruct("goodwill.proposed", {**data, **self.rng.choice(other)})
        for _ in range(self.rng.choice([0, 1, 1, 1, 2, 3])):
            verdict = {"credit_id": credit, "decided_by": self.rng.choice(people)}
            if self.chance(0.3):
                self.instruct("goodwill.rejected", {**verdict, "reason": "it never happened"})
            else:
                self.instruct("goodwill.approved", verdict)

    def contradict(self, subscriptions: list[str]):
        """Now and then facts that cannot both be true. Ids and times still decide which of them stands."""
        if self.chance(0.05):
            zone = self.rng.choice([self.zone, "UTC", "Asia/Tokyo"])
            self.register_account(time_zone=zone, currency=self.rng.choice([self.currency, "USD"]))
        if self.chance(0.06):
            self.register_subscription(self.rng.choice(subscriptions))
        if self.cycles and self.chance(0.08):  # overlaps
            cycle = self.rng.choice(self.cycles)
            begin = date.fromisoformat(cycle["starts_on"]) + timedelta(days=self.rng.choice([-20, -1, 0, 1]))
            end = begin + timedelta(days=self.rng.choice([1, 2, 40]))
            self.start_cycle(cycle["subscription_id"], begin, end, self.price(), True)
        if self.cycles and self.chance(0.06):  # one id, repeated or with another content
            cycle = self.rng.choice(self.cycles)
            self.publish("cycle.started", {**cycle, **self.rng.choice([{}, {"price": self.price()}])})
        if self.cycles and self.chance(0.04):
            cycle = self.rng.choice(self.cycles)
            moved = {"starts_on": cycle["ends_on"]}
            moved["ends_on"] = (date.fromisoformat(cycle["ends_on"]) + timedelta(days=31)).isoformat()
            self.publish("cycle.started", {**cycle, **moved})
        if self.charges and self.chance(0.05):  # a one-off with an id that is taken
            charge = self.rng.choice(self.charges)
            data = {"price": self.price(), "currency": self.currency, "invoice_id": "inv-x", "description": "again"}
            self.publish("charge.posted", {"charge_id": charge.get("cycle_id") or charge["charge_id"], **data})
        if self.chance(0.06):  # a currency that is not the account's
            currency = self.other_currency()
            begin = self.first_day()
            other = {"currency": currency, "tax": "0", "monthly_price": "1"}
            price = self.amount(1000, currency)
            cycle = {
                "subscription_id": self.rng.choice(subscriptions),
                "cycle_id": self.rng.choice(self.cycles)["cycle_id"] if self.cycles else self.business_id("cyc"),
                "starts_on": begin.isoformat(),
                "ends_on": (begin + timedelta(days=30)).isoformat(),
                "price": price,
                "invoice_id": "inv-y",
                "prepaid": True,
            }
            self.publish("cycle.started", {**cycle, **other})
        if self.outages and self.chance(0.06):  # one outage id with two contents
            outage = {key: value for key, value in self.rng.choice(self.outages).items() if key != "end"}
            other = {"began_at": self.write_instant(self.near()), "subscription_id": self.rng.choice(subscriptions)}
            self.publish("outage.reported", {**outage, **other})


class MoneyHistory(History):
    """A history in phases: charges, their payments, what is claimed, what went out; then the next charges.

    The oracle itself says what is due and which credits were applied so far, so that reports and payments from
    balance often meet them. Whatever is shuffled afterwards meets something else.
    """

    def __init__(self, seed: int, account: str):
        super().__init__(seed, account)
        self.rng = random.Random(f"money {seed}")
        self.zone = self.rng.choice(ZONES)
        self.currency = self.rng.choice(["EUR", "EUR", "USD", "JPY", "KWD"])
        self.invoices: list[str] = []
        self.paid: list[dict] = []
        self.next_day: dict[str, date] = {}
        self.far = datetime(2035, 1, 1, tzinfo=UTC)
        self.settling = settlement.Settling(account, agreements(money=True), self.far)

    def messages(self) -> list[dict]:
        if not self.chance(0.05):
            self.register_account()
        subscriptions = [self.business_id("sub") for _ in range(self.rng.choice([1, 1, 2]))]
        for subscription in subscriptions:
            if not self.chance(0.05):
                self.register_subscription(subscription)
            self.next_day[subscription] = self.first_day()
        for _ in range(self.rng.choice([1, 2, 2, 3])):
            self.phase(subscriptions)
        if self.chance(0.2):
            self.contradict(subscriptions)
        if not any(message["type"] == "voip.account.registered.v1" for message in self.written):
            self.register_account()
        if self.chance(0.3):
            self.rng.shuffle(self.written)
        elif self.chance(0.4):
            for _ in range(self.rng.randint(1, 4)):
                moved = self.written.pop(self.rng.randrange(len(self.written)))
                self.written.insert(self.rng.randint(0, len(self.written)), moved)
        return self.written

    def phase(self, subscriptions: list[str]):
        subscription = self.rng.choice(subscriptions)
        first = [lambda: self.next_cycle(subscription)] * self.rng.choice([1, 1, 2])
        first += [lambda: self.post_charge(subscriptions)] * self.rng.choice([0, 0, 1, 2])
        first += [self.pay_some_invoice] * self.rng.choice([0, 1, 1, 2])
        first += [self.confirm_application] * self.rng.choice([0, 1, 2])
        then = [lambda: self.break_down(subscription)] * self.rng.choice([0, 1, 1, 2])
        then += [lambda: self.cancel(subscription)] * self.rng.choice([0, 0, 1, 1])
        then += [lambda: self.suspend(subscription)] * self.rng.choice([0] * 8 + [1])
        then += [lambda: self.terminate(subscription)] * self.rng.choice([0] * 12 + [1])
        then += [self.dispute] * self.rng.choice([0, 1, 1, 2])
        then += [self.take_back] * self.rng.choice([0, 0, 0, 1, 2])
        then += [self.pay_nothing_known] * self.rng.choice([0] * 6 + [1])
        then += [self.change_customer] * self.rng.choice([0] * 8 + [1])
        then += [self.pay_some_invoice] * self.rng.choice([0, 0, 1])
        self.rng.shuffle(then)
        last = [self.report_refund] * self.rng.choice([0, 1, 1, 2, 3])
        last += [self.take_back] * self.rng.choice([0, 0, 0, 1])
        last += [self.bounce] * self.rng.choice([0, 0, 0, 1])
        last += [self.find_earlier_verdict] * self.rng.choice([0, 1, 1])
        last += [self.change_mind] * self.rng.choice([0, 0, 0, 1])
        happenings = first + then + last
        if self.chance(0.15):
            self.rng.shuffle(happenings)
        for happening in happenings:
            happening()

    # --- what is charged ---

    def register_account(self, **other):
        """Now and then in two zones, but never in two currencies: what had gone out would be in the wrong one."""
        super().register_account(**{**other, "currency": self.currency})

    def register_subscription(self, subscription: str):
        names = ["standard", "exact", "lenient", "none", "strict", "thirty"]
        names += ["standard", "hasty", "hasty", "hasty", "patient", "refunding", "refunding", "even", "unheard-of"]
        data = {"subscription_id": subscription, "agreement": self.rng.choice(names), "plan": "business-voip"}
        self.publish("subscription.registered", data)

    def price(self) -> str:
        found = super().price()
        return super().price() if self.units(found) == 0 else found

    def tax_on(self, price: str) -> str:
        """Mostly a rate, now and then none, or as much as it likes."""
        rate = self.rng.choice([0, 0, 7, 19, 19, 19, 33, None])
        return self.price() if rate is None else self.amount(self.units(price) * rate // 100)

    def invoice_for(self, charge: str) -> str:
        if not self.invoices or self.chance(0.45):
            self.invoices.append(f"inv-{charge}")
            return self.invoices[-1]
        return self.rng.choice(self.invoices)

    def next_cycle(self, subscription: str):
        begin = self.next_day[subscription]
        end = self.cycle_end(begin, self.rng.choice(["month", "month", "month", 1, 7, 28, 30, 31, 90, "quarter"]))
        price = self.price()
        self.start_cycle(subscription, begin, end, price, self.chance(0.9), tax=self.tax_on(price))
        self.next_day[subscription] = end + timedelta(days=self.rng.choice([0, 0, 0, 0, 0, 0, 3, -1]))

    def pay(self, charge: dict):
        if self.chance(0.6):
            self.pay_invoice(charge["invoice_id"])

    # --- what is paid ---

    def total(self, invoice: str) -> int:
        charges = [charge for charge in self.charges if charge["invoice_id"] == invoice]
        return sum(self.units(charge["price"]) + self.units(charge.get("tax", "0")) for charge in charges)

    def pay_some_invoice(self):
        if self.invoices:
            self.pay_invoice(self.rng.choice(self.invoices))

    def pay_nothing_known(self):
        """On an invoice that gets no charge."""
        self.pay_with(self.business_id("inv"), self.rng.randint(1, 5000), self.rng.choice(["card", "balance"]))

    def pay_invoice(self, invoice: str):
        """In full, in part, in several parts by several methods, or too much."""
        total, rng = self.total(invoice), self.rng
        parts = rng.choice([[total]] * 4 + [[total // 2], [total // 2, total - total // 2], [total // 3] * 3, [1]])
        parts = rng.choice([parts] * 4 + [[*parts, rng.randint(1, 900)], [*parts, rng.randint(1, 9000)], [total + 1]])
        one = rng.choice(["card", "card", "bank", "balance", "other"])
        several = self.chance(0.4)
        for part in parts:
            self.pay_with(invoice, part, rng.choice(["card", "bank", "balance", "balance"]) if several else one)

    def pay_with(self, invoice: str, units: int, method: str):
        payment = {"payment_id": self.business_id("pay"), "invoice_id": invoice}
        captured = {**payment, "amount": self.amount(units), "currency": self.currency, "method": method}
        failed = {**payment, "reason": "declined by the bank"}
        if self.chance(0.08):  # the failure is known first; it is the earlier one, the later one or neither
            self.publish("payment.failed", failed, at=self.clock + self.rng.choice(NUDGES))
        if self.chance(0.03):
            other = self.other_currency()
            self.publish("payment.captured", {**captured, "currency": other, "amount": self.amount(100, other)})
        self.publish("payment.captured", captured)
        self.paid.append(captured)
        if self.chance(0.05):  # said twice, and not the same
            other = self.rng.choice([{"amount": self.amount(units + 1)}, {"method": "other"}, {}])
            self.publish("payment.captured", {**captured, **other}, at=self.clock + self.rng.choice(NUDGES))
        if self.chance(0.1):
            self.publish("payment.failed", failed)

    def bounce(self):
        if self.paid:
            payment = self.rng.choice(self.paid)
            ids = {"payment_id": payment["payment_id"], "invoice_id": payment["invoice_id"]}
            self.publish("payment.failed", {**ids, "reason": "returned by the bank"})
            if self.chance(0.2):
                self.publish("payment.captured", payment)

    # --- what is claimed ---

    def break_down(self, subscription: str):
        """Mostly an outage that grants something."""
        cycles = [cycle for cycle in self.cycles if cycle["subscription_id"] == subscription]
        if not cycles or self.chance(0.2):
            return self.outage(subscription)
        cycle = self.rng.choice([cycles[-1], *cycles])
        began_at = _midnight(cycle["starts_on"], self.zone) + timedelta(hours=self.rng.randint(0, 60))
        data = {
            "outage_id": self.business_id("out"),
            "subscription_id": subscription,
            "began_at": self.write_instant(began_at),
            "reported_at": self.write_instant(began_at + timedelta(hours=1)),
            "severity": "significant",
            "cause": "provider",
        }
        self.publish("outage.reported", data)
        end = began_at + timedelta(hours=self.rng.choice([5, 25, 30, 49, 100, 400]))
        self.resolve(data, end)
        self.outages.append({**data, "end": end})
        self.landmarks += [began_at, end]
        return None

    def find_earlier_verdict(self):
        """Of a dispute, most likely after something went out: on another charge, of another amount or a rejection."""
        claims = self.as_settled().claims
        gone_out = {id: sum((part[2] + part[3]) for part in claims[id] if part[4]) for id in claims}
        disputes = [dispute for dispute, _ in self.disputes]
        disputes += [id.partition("/")[2] for id in gone_out if gone_out[id] and id.startswith("billing-error/")] * 5
        if not disputes or not self.charges:
            return
        dispute = self.rng.choice(disputes)
        went = int(gone_out.get(f"billing-error/{dispute}", 0) * 10 ** DIGITS[self.currency])
        charge = self.rng.choice(self.charges)
        if went and self.chance(0.5):
            charge = self.untaxed_charge(went + self.rng.choice([0, 0, 1, 500]))
        units = self.rng.choice([went, went, went, went + 1, went // 2, self.units(charge["price"])])
        data = {"dispute_id": dispute, "charge_id": charge.get("cycle_id") or charge["charge_id"]}
        at = datetime(2009, 12, 31, tzinfo=UTC) - timedelta(days=self.rng.randint(0, 9))
        if self.chance(0.2):
            self.publish("overcharge.rejected", {**data, "reason": "as agreed in the contract"}, at=at)
        else:
            data |= {"amount": self.amount(max(1, units)), "currency": self.currency}
            data |= self.rng.choice([{}, {}, {"settle_as": "refund"}, {"settle_as": "credit"}])
            self.publish("overcharge.confirmed", data, at=at)

    def untaxed_charge(self, units: int) -> dict:
        charge = self.business_id("chg")
        data = {"charge_id": charge, "price": self.amount(units), "currency": self.currency}
        data |= {"invoice_id": self.invoice_for(charge), "description": "a stamp"}
        self.publish("charge.posted", data)
        self.charges.append(data)
        return data

    def change_mind(self):
        """A cancellation is withdrawn, most likely when something went out for it already."""
        requests = [m["data"] for m in self.written if m["type"] == "voip.cancellation.requested.v1"]
        if requests:
            request = self.rng.choice(requests)
            at = datetime.fromisoformat(request["requested_at"]) + timedelta(seconds=1)
            data = {"subscription_id": request["subscription_id"], "withdrawn_at": self.write_instant(at)}
            self.publish("cancellation.withdrawn", data)

    def claim_id(self) -> str:
        """Of a claim that there may be; seldom of one that there cannot be."""
        found = [
            f"{kind}/{cycle['cycle_id']}" for cycle in self.cycles for kind in ("disruption", "unused", "unused")
        ]
        found += [f"billing-error/{dispute}" for dispute, _ in self.disputes] * 2
        if not found or self.chance(0.08):
            kind = self.rng.choice(["disruption", "unused", "billing-error", "goodwill"])
            return f"{kind}/{self.business_id('none')}"
        return self.rng.choice(found)

    # --- what went out ---

    def as_settled(self) -> settlement.Settled:
        """How the account stands by what was written so far, in this order."""
        for message in self.written[len(self.settling.said) :]:
            self.settling.take(message)
        return self.settling.at(self.far)

    def report_refund(self):
        """Of one that is due, by what is due or by another amount; or of one that is not."""
        parts = [part for claim in self.as_settled().claims.values() for part in claim if part[0] == "refund"]
        due = [(part[1], part[2] + part[3]) for part in parts if not part[4]] * 3
        due += [(part[1], part[2] + part[3]) for part in parts if part[4]]
        refund_id = f"refund/{self.claim_id()}/{self.rng.choice([1, 1, 1, 1, 2, 3])}"
        units = self.rng.choice([1, 100, max(1, self.units(self.price()))])
        if due and self.chance(0.75):
            refund_id, amount = self.rng.choice(due)
            exact = int(amount * 10 ** DIGITS[self.currency])
            units = self.rng.choice([exact, exact, exact, (exact + 1) // 2, exact + 1, units])
        self.report(refund_id, None if self.chance(0.5) else units)

    def report(self, refund_id: str, units: int | None):
        if self.chance(0.06):
            self.refund_failed(refund_id, at=self.clock + self.rng.choice(NUDGES))
        self.refund_succeeded(refund_id, units)
        if self.chance(0.3):
            self.refund_failed(refund_id)
            if self.chance(0.4):
                self.refund_succeeded(refund_id, self.rng.choice([None, None, units, 1]))
        if self.chance(0.08):  # under another reference
            self.refund_succeeded(refund_id, self.rng.choice([None, units]), at=self.clock + self.rng.choice(NUDGES))

    def refund_succeeded(self, refund_id: str, units: int | None, *, at: datetime | None = None):
        data = {
            "refund_id": refund_id,
            "processor_reference": f"re-{self.counter}",
            "succeeded_at": self.write_instant(self.clock),
        }
        if units is not None:
            data["amount"] = self.amount(units)
        if self.chance(0.6):
            data["currency"] = self.currency
        if self.chance(0.04):
            data["currency"] = self.other_currency()
            data.update({"amount": self.amount(100, data["currency"])} if units is not None else {})
        self.publish("refund.succeeded", data, at=at)

    def refund_failed(self, refund_id: str, *, at: datetime | None = None):
        self.publish("refund.failed", {"refund_id": refund_id, "reason": "the account is closed"}, at=at)

    def confirm_application(self):
        """Billing answers with a payment from balance that names the application: as it was, or otherwise."""
        self.as_settled()
        if not self.settling.gone_out.applications:
            return
        application = self.rng.choice(self.settling.gone_out.applications)
        units = int(application.amount * 10 ** DIGITS[self.currency])
        data = {
            "payment_id": application.id,
            "invoice_id": application.invoice_id if self.chance(0.9) else self.rng.choice(self.invoices),
            "amount": self.amount(self.rng.choice([units] * 5 + [units // 2, units + 1, 0])),
            "currency": self.currency,
            "method": "balance" if self.chance(0.95) else "card",
        }
        failed = {"payment_id": data["payment_id"], "invoice_id": data["invoice_id"], "reason": "no such balance"}
        if not self.chance(0.15):
            self.publish("payment.captured", data)
        if self.chance(0.4):
            self.publish("payment.failed", failed)

    # --- what is taken back ---

    def take_back(self):
        """A message is retracted by its source, seldom one that nobody sent; or a retraction is."""
        retractions = [m for m in self.written if m["type"] == "voip.fact.retracted.v1"]
        others = [m for m in self.written if m["type"] != "voip.account.registered.v1"]
        about_money = [m for m in others if m["type"].startswith(("voip.payment", "voip.refund", "voip.overcharge"))]
        if not others:
            return
        target = self.rng.choice(self.rng.choice([others, others, about_money or others, retractions or others]))
        retracts = {"source": target["source"], "id": target["id"]}
        if self.chance(0.04):
            retracts["id"] = self.business_id("never")
        data = {"retracts": retracts}
        if self.chance(0.5):
            data["reason"] = "it was entered twice"
        retraction = self.publish("fact.retracted", data)
        alike = [m for m in self.written if (m["source"], m["id"]) == (target["source"], retraction["id"])]
        if alike:
            retraction["id"] += "-retracts"
        retraction["source"] = target["source"]

    def change_customer(self):
        self.publish("customer.changed", {"customer": {"name": f"Customer {self.counter}"}})
