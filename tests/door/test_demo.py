"""The demo: the whole way once, in one process, ending on a summary whose columns foot."""

import os
import pty
import re
import signal
import sys
from decimal import Decimal
from pathlib import Path
from select import select

import httpx
import pytest

from ledger.events import ROLES
from makegood.cli import run
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from projections import accounts, claims, credits, overpaid, refunds
from tests.door.conftest import SAMPLE

pytestmark = pytest.mark.long


def test_the_sample_goes_the_whole_way_and_every_cent_granted_is_settled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["demo"]) == 0, "where no terminal is, it ends by itself"
    said = capsys.readouterr().out
    assert "101 duplicates ignored, 35 messages refused" in said
    assert "One claim, explained in full" in said
    assert "Try next" in said
    assert "Verified: all that is stored is as it was signed" in said
    assert "has another hash than the tree has for it" in said
    assert run(["audit", "verify", "--store", "sqlite:///makegood-demo.db"]) == 0
    assert run(["audit", "verify", "--store", "sqlite:///makegood-demo-changed.db"]) == 2
    capsys.readouterr()

    with open_house(Settings(store="sqlite:///makegood-demo.db")) as house:
        granted = _by_currency(
            (c["currency"], Decimal(c["amount"]) + Decimal(c["tax"]))
            for c in claims.listed(house.database, outcome="granted")
        )
        credited = credits.listed(house.database)
        excess = _by_currency((c["currency"], Decimal(c["left"])) for c in credited if c["claim_id"] is None)
        settled = _by_currency(
            [
                *((r["currency"], Decimal(r["total"])) for r in refunds.listed(house.database)),
                *((c["currency"], Decimal(c["total"])) for c in credited if c["claim_id"] is not None),
                *((r["currency"], Decimal(r["total"])) for r in accounts.listed_reductions(house.database)),
                *((o["currency"], -Decimal(o["overpaid"])) for o in overpaid.listed(house.database)),
            ]
        )
    assert granted == settled
    assert set(granted) == {"EUR", "JPY", "USD"}

    # The columns of the summary foot, as they are printed.
    rows = [
        line.split()
        for line in said.split("Money, by currency")[1].split("Granted amounts first")[0].splitlines()
        if line.strip()[:3] in granted
    ]
    printed = {row[0]: [Decimal(0 if cell == "–" else cell) for cell in row[1:]] for row in rows}
    for currency, (net, tax, *ways, too_much, paid_in_excess) in printed.items():
        assert net + tax == sum(ways) - too_much == granted[currency]
        assert paid_in_excess == excess[currency] > 0
    assert printed.keys() == granted.keys()

    # The commands to try next work as they are printed.
    for line in said.split("Try next")[1].splitlines():
        if line.strip():
            assert run(line.split()[1:]) == 0, line


CTRL_C = b"\x03"
PATIENCE_SECONDS = 120
OF_FEWER = """
import sys
from pathlib import Path
from makegood import cli
from makegood.program import demo

fewer = Path(sys.argv.pop())
demo._sample = lambda: fewer
cli.main()
"""
"""The demo of another sample than the one that comes with it."""
OF_ACCOUNT = re.compile(r'"acct-(\d+)"')


def fewer_accounts(folder: Path) -> Path:
    """The sample of every sixth account: what the whole comes to is looked at above, where no terminal is."""
    (folder / "sample").mkdir()
    (folder / "sample" / "agreements").symlink_to(SAMPLE / "agreements")
    said = (SAMPLE / "events.jsonl").read_text().splitlines(keepends=True)
    with (folder / "sample" / "events.jsonl").open("w") as fewer:
        fewer.writelines(line for line in said if (of := OF_ACCOUNT.search(line)) and int(of[1]) % 6 == 0)
    return folder / "sample"


def test_on_a_terminal_it_ends_with_links_to_its_pages_and_serves_them_until_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OF_FEWER, "demo", str(fewer_accounts(tmp_path))]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever runs tests in the background has it ignored
        os.execve(sys.executable, command, os.environ | {"NO_COLOR": "1"})
    try:
        said = _said_up_to(terminal, rb"customer +http://\S+\r\n")
        links = dict(re.findall(r"^ +(\w+) +(http://\S+)$", said.split("signs in once, as:")[1], re.MULTILINE))
        assert set(links) == set(ROLES)
        address, _, rest = links["finance"].partition("/sign-in/")
        with httpx.Client(base_url=address, follow_redirects=True) as browser:
            button = browser.get(f"/sign-in/{rest}").text
            (leads_to,) = re.findall(r'name="next" value="([^"]+)"', button)
            link = f"/sign-in/{rest.partition('?')[0]}"
            board = browser.post(link, data={"next": leads_to}, headers={"Sec-Fetch-Site": "same-origin"})
        assert board.url.path == "/console/months/2026-06", "the last month that the sample tells in full"
        assert "June 2026" in board.text
        assert {"EUR", "JPY", "USD"} == set(re.findall(r'id="money-(\w+)"', board.text)), "and nothing of it is empty"
    finally:
        os.write(terminal, CTRL_C)
    assert "stopped" in _said_up_to(terminal, None)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def _said_up_to(terminal: int, what: bytes | None) -> str:
    """What is printed on a terminal until it says something; all of it where that never comes."""
    said = b""
    while what is None or not re.search(what, said):
        assert select([terminal], [], [], PATIENCE_SECONDS)[0], said.decode()
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # Linux says so when the other side is closed
            break
        if not part:
            break
        said += part
    return said.decode().replace("\r\n", "\n")


def _by_currency(amounts) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for currency, amount in amounts:
        sums[currency] = sums.get(currency, Decimal(0)) + amount
    return sums
