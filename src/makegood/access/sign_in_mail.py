"""Links for customers go by e-mail to the address that they gave, if it is one that we write to.

Whoever asks is answered before anything is looked up: nobody learns by what is said, or by how long it takes,
whether an address is known. The e-mails are written and sent by one thread beside; one that cannot be sent is told in
the log, and its customer asks again.
"""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

import structlog

from consumers.mail.about import SignInAsked
from consumers.mail.languages import language_of
from consumers.mail.sending import FateUnknown, NotTaken
from consumers.mail.writing import Envelope, Mailbox, NoAddress, mailbox, written
from consumers.notices import Post
from consumers.part import reason_of
from ledger.application.customers import Customer, customer_of
from ledger.finding import sought_by
from ledger.store.reading.erasures import erased_accounts
from ledger.store.reading.vault_index import accounts_found
from ledger.store.sessions import SignedIn
from ledger.vault import Damaged, Gone
from makegood.access.sign_in_links import VALID_FOR, SignInLinks
from makegood.house.opening import House

WAITING_MAX = 1_000
"""So many e-mails wait at most; what is asked beyond is told in the log and not sent."""
ACCOUNTS_MAX, CANDIDATES_MAX = 50, 500
"""A link is for so many accounts at most, and so many are looked at that have or had the address."""

log = structlog.get_logger("makegood.sign_in")


class SignInMail:
    """Sends links. `clock` is the world's time."""

    def __init__(self, house: House, post: Post, links: SignInLinks, clock: Callable[[], datetime]) -> None:
        self._house = house
        self._post = post
        self._links = links
        self._clock = clock
        self._waiting: queue.Queue[str] = queue.Queue(WAITING_MAX)
        self._turn = threading.Lock()
        self._working = False

    def ask(self, address: str) -> None:
        """Have a link sent to an address, if it is one that we write to; returns at once."""
        try:
            self._waiting.put_nowait(address)
        except queue.Full:
            log.error("sign_in_mail_dropped", reason="too many e-mails wait")  # noqa: TRY400
            return
        with self._turn:
            if not self._working:
                self._working = True
                threading.Thread(target=self._work, name="sign-in-mail", daemon=True).start()

    def wait(self) -> None:
        """Return once all that was asked for is done."""
        self._waiting.join()

    def _work(self) -> None:
        while True:
            try:
                address = self._waiting.get(timeout=1.0)
            except queue.Empty:
                with self._turn:
                    if self._waiting.empty():
                        self._working = False
                        return
                continue
            try:
                self._send(address)
            except (NotTaken, FateUnknown) as error:
                log.error("sign_in_mail_fails", reason=getattr(error, "code", "the answer was lost"))  # noqa: TRY400
            except Exception as error:
                log.error("sign_in_mail_fails", reason=reason_of(error))  # noqa: TRY400
            finally:
                self._waiting.task_done()

    def _send(self, address: str) -> None:
        found = self._customers(address)
        if not found:
            return
        accounts = tuple(sorted(found))[:ACCOUNTS_MAX]
        language = language_of(found[accounts[0]].locale)
        recipient = mailbox(found[accounts[0]].name, found[accounts[0]].email)
        token = self._links.make(SignedIn(None, accounts, language.code))
        asked = SignInAsked(f"{self._post.public_url}/sign-in/link/{token}", int(VALID_FOR.total_seconds()) // 60)
        envelope = Envelope(
            self._post.sender, recipient, f"sign-in-{random.getrandbits(64):016x}", self._clock(), False
        )
        self._post.mailer.send(recipient.address, written(language.write(asked), language, envelope))
        log.info("sign_in_mail_sent", accounts=len(accounts))

    def _customers(self, address: str) -> dict[str, Customer]:
        """The customers to whom an address belongs now, by account: one that they had once, or that is gone, is none.

        Who is written to is who the vault names, never who asked: a spelling that looks alike leads to nobody.
        """
        wanted = same(mailbox("", address))
        return {
            account: customer
            for house in self._house.every
            for account, customer in _having(house, address).items()
            if same(mailbox("", customer.email)) == wanted
        }


def _having(house: House, address: str) -> dict[str, Customer]:
    """The customers of a shard who have or had an address, as far as they can be written to."""
    found: dict[str, Customer] = {}
    with house.database.reading() as transaction:
        candidates = {
            account
            for sought in sought_by(address)
            for account in accounts_found(transaction, house.vault, sought, from_account="", limit=CANDIDATES_MAX)
        }
        erased = erased_accounts(transaction, candidates) if candidates else set()
        for account in sorted(candidates - erased):
            try:
                customer = customer_of(house.ledger, transaction, account)
                if customer is not None:
                    mailbox("", customer.email)
                    found[account] = customer
            except (Gone, Damaged, NoAddress):
                continue
    return found


def same(box: Mailbox) -> str:
    """What two spellings of one address have in common: capitals make no other."""
    return box.address.casefold()


def digest_of_address(address: str) -> str:
    """By what an address is counted. Raises NoAddress for what is none."""
    return sha256(same(mailbox("", address)).encode()).hexdigest()
