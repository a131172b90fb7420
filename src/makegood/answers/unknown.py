"""What is asked for and is not there."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.store.database import Database, Transaction
from ledger.store.reading.heads import account_version
from ledger.store.reading.kept_messages import Wanted, fields_refused, kept_messages
from ledger.store.reading.page import Page, Where
from projections.accounts import ACCOUNTS, SUBSCRIBED
from projections.asking import rows_listed, unknown


class Unknown(LookupError):
    """There is nothing of the name that was asked for; the message says where to look."""


def check_account(database: Database, account_id: str) -> None:
    """Raise UnknownAccount where nothing was recorded for an account and no message of it is kept."""
    of_it: Wanted = {"account": account_id}
    with database.reading() as transaction:
        if (
            not account_version(transaction, account_id)
            and not kept_messages(transaction, "dead-letter", of_it)
            and not kept_messages(transaction, "set-aside", of_it)
        ):
            raise unknown(account_id)


def check_subscription(databases: Iterable[Database], subscription_id: str) -> None:
    """Raise Unknown where no account in some databases has a subscription of this id."""
    where = Where().equal(subscription_id=subscription_id)
    for database in databases:
        with database.reading() as transaction:
            if rows_listed(transaction, ACCOUNTS, SUBSCRIBED, where, Page(1)):
                return
    raise Unknown(f"subscription {subscription_id} not found; `makegood account ACCOUNT` lists those of an account")


def check_field(transaction: Transaction, field: str) -> None:
    """Raise Unknown where messages have no such field and no message was refused because of it."""
    refused = fields_refused(transaction)
    if field not in refused and not _is_of_messages(field):
        those = f"the fields of refused messages are {', '.join(refused)}" if refused else "no message was refused"
        raise Unknown(f"field {field} not found: {those}; docs/contract.md lists all fields of messages")


def _is_of_messages(field: str) -> bool:
    """Whether messages have such a field; `data.customer.email` is part of one."""
    from consumers.upstream.cloudevents import Attributes  # only here: commands that need no message start sooner
    from consumers.upstream.messages import MESSAGES

    first, _, rest = field.partition(".")
    if first != "data" or not rest:
        return field == "data" or field in Attributes.model_fields
    return any(rest.partition(".")[0] in message.model_fields for message in MESSAGES.values())
