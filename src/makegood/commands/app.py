"""The command-line application, the options that commands share, and access to the store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TypeVar, cast, get_args

import typer

from makegood.house.stop import Stop

R = TypeVar("R", bound=Mapping[str, Any])

if TYPE_CHECKING:
    from ledger.store.positions import KnownAt as KnownAtMoment
    from makegood.answers.moments import Moment
    from makegood.commands.terminal.layout import Columns
    from makegood.house.opening import House
    from makegood.house.settings import Settings

OK, FAILED, MISMATCH, REFUSED, USAGE = 0, 1, 2, 3, 64
"""Exit codes (contract §3)."""

app = typer.Typer(
    name="makegood",
    help="The ledger for the refunds and credits that a VoIP provider owes its customers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
agreement_app = typer.Typer(help="Service agreements: publish, list and show versions.", no_args_is_help=True)
letters_app = typer.Typer(
    help="Dead letters (refused messages): list, show, replay and discard.", no_args_is_help=True
)
lost_app = typer.Typer(help="Messages lost before they were read: list and close.", no_args_is_help=True)
aside_app = typer.Typer(
    help="Messages set aside after repeated failures: list, show and replay.", no_args_is_help=True
)
contract_app = typer.Typer(help="The contract: check messages, export the schemas.", no_args_is_help=True)
access_app = typer.Typer(help="Access: roles of people and machines, and API keys.", no_args_is_help=True)
key_app = typer.Typer(help="API keys, which authenticate machines.", no_args_is_help=True)
refund_app = typer.Typer(
    help="Decisions about refunds: approve, reject, retry, turn into credit.", no_args_is_help=True
)
credit_app = typer.Typer(help="Decisions about credits: refund the rest.", no_args_is_help=True)
overpaid_app = typer.Typer(help="Overpaid claims: list, write off and recover.")
subject_app = typer.Typer(
    help="Personal data: erase what is held about a customer, or export it.", no_args_is_help=True
)
vault_app = typer.Typer(help="The vault's key database: its status, and losses of keys.")
notices_app = typer.Typer(help="E-mails to customers: list the queue, resend and discard.")
export_app = typer.Typer(help="Export all rows of a list to a file.", no_args_is_help=True)
period_app = typer.Typer(help="Months: close, show with recomputed figures, cut-off report.", no_args_is_help=True)
reconciliation_app = typer.Typer(help="Discrepancies with processors' files: list and settle.", no_args_is_help=True)
audit_key_app = typer.Typer(help="The keys that sign checkpoints.", no_args_is_help=True)
audit_origin_app = typer.Typer(help="The name under which checkpoints are signed.", no_args_is_help=True)
audit_app = typer.Typer(help="For auditors: what the ledger says, shown from its events.", no_args_is_help=True)
access_app.add_typer(key_app, name="key")
app.add_typer(refund_app, name="refund")
app.add_typer(credit_app, name="credit")
app.add_typer(overpaid_app, name="overpaid")
app.add_typer(agreement_app, name="agreement")
app.add_typer(letters_app, name="dead-letters")
app.add_typer(aside_app, name="aside")
app.add_typer(lost_app, name="lost")
app.add_typer(contract_app, name="contract")
app.add_typer(access_app, name="access")
app.add_typer(period_app, name="period")
app.add_typer(notices_app, name="notices")
app.add_typer(reconciliation_app, name="reconciliation")
app.add_typer(subject_app, name="subject")
app.add_typer(vault_app, name="vault")
app.add_typer(export_app, name="export")
app.add_typer(audit_app, name="audit")
audit_app.add_typer(audit_key_app, name="key")
audit_app.add_typer(audit_origin_app, name="origin")

Store = Annotated[str, typer.Option("--store", help="The database URL: sqlite:///FILE or postgresql://…")]
Kafka = Annotated[str, typer.Option("--kafka", help="The Kafka brokers: HOST:PORT,…")]
Http = Annotated[str, typer.Option("--http", help="The address of the HTTP API: HOST:PORT; port 0 takes a free one.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Actor = Annotated[
    str,
    typer.Option("--as", "--actor", metavar="NAME", help="For whom you act; your user name is recorded in any case."),
]
ColumnsOption = Annotated[
    str | None,
    typer.Option("--columns", metavar="NAME,…", help="Only these fields, in this order, named as in --json."),
]
AccountOption = Annotated[str | None, typer.Option("--account", help="Only this account.")]
File = Annotated[
    str, typer.Argument(metavar="FILE", help="JSON Lines or a JSON array, also packed by gzip; - for standard input.")
]


def _version(asked: bool) -> None:
    from importlib.metadata import version

    if asked:
        typer.echo(f"makegood {version('makegood')}")
        raise typer.Exit


@app.callback()
def makegood(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """The ledger for the refunds and credits that a VoIP provider owes its customers."""


def one_of(text: str, what: str, known: Sequence[str]) -> str:
    """A word that a user typed, which must be one of those known. Raises BadParameter."""
    if text not in known:
        raise typer.BadParameter(f"{text!r} is none of the {what}: {', '.join(known)}")
    return text


def _outcome(text: str) -> str:
    from ledger.events.billing_account import Outcome

    return one_of(text, "outcomes", get_args(Outcome))


def _refund_status(text: str) -> str:
    from ledger.events import RefundStatus

    return one_of(text, "statuses of refunds", get_args(RefundStatus))


def _notice_status(text: str) -> str:
    from ledger.store.reading.notice_queue import NoticeStatus

    return one_of(text, "statuses of e-mails", get_args(NoticeStatus))


def _kind(text: str) -> str:
    from ledger.instructions import KINDS

    return one_of(text, "kinds of instructions", tuple(KINDS))


def _format(text: str) -> str:
    from makegood.exports.lists import LIST_FORMATS

    return one_of(text, "formats", LIST_FORMATS)


def _journal_format(text: str) -> str:
    from makegood.exports.lists import JOURNAL_FORMATS

    return one_of(text, "formats of journals", JOURNAL_FORMATS)


OutcomeOption = Annotated[
    str | None,
    typer.Option(
        "--outcome",
        parser=_outcome,
        metavar="OUTCOME",
        help="Only this outcome: granted, declined, withdrawn or pending.",
    ),
]
RefundStatusOption = Annotated[
    str | None,
    typer.Option(
        "--status",
        parser=_refund_status,
        metavar="STATUS",
        help="Only this status: due, approved, submitted, succeeded, failed or rejected.",
    ),
]
NoticeStatusOption = Annotated[
    Any,
    typer.Option(
        "--status",
        parser=_notice_status,
        metavar="STATUS",
        help="Only this status: queued, sending, sent, failed, in_doubt or discarded.",
    ),
]
KindOption = Annotated[
    str | None,
    typer.Option("--kind", parser=_kind, metavar="KIND", help="Only this kind, such as invoice.reduced."),
]


FormatOption = Annotated[
    Any,
    typer.Option("--format", parser=_format, metavar="FORMAT", help="The format: csv, xlsx, jsonl or parquet."),
]
JournalFormatOption = Annotated[
    Any,
    typer.Option("--format", parser=_journal_format, metavar="FORMAT", help="The format: hledger or beancount."),
]


def _as_of(text: str) -> Any:
    from makegood.answers.moments import as_of_from_text

    return _read(as_of_from_text, text)


def _known_at(text: str) -> Any:
    from makegood.answers.moments import KNOWN_AT, known_at_from_text

    try:
        return known_at_from_text(text)
    except ValueError:
        pass
    from makegood.answers.audit.signed_moment import signed_moment

    try:
        files = [text] if Path(text).exists() else text.split(",")
        return signed_moment([Path(file.strip()) for file in files])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except OSError:
        raise typer.BadParameter(f"{KNOWN_AT}, or a file with a signed checkpoint that can be read") from None


def _read(reader: Callable[[str], Any], text: str) -> Any:
    try:
        return reader(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


AsOf = Annotated[
    Any,
    typer.Option(
        "--as-of",
        parser=_as_of,
        metavar="INSTANT|DATE",
        help="Assess from the facts that were true by then; a date means its end in the account's time zone.",
    ),
]
KnownAt = Annotated[
    Any,
    typer.Option(
        "--known-at",
        parser=_known_at,
        metavar="INSTANT|POSITION|CHECKPOINT",
        help="Show only events recorded by then. CHECKPOINT is the file of a signed one; of several shards, several "
        "with commas between them.",
    ),
]


def known_at_option(text: str) -> Any:
    """An instant, a position or the file of a checkpoint that a user typed. Raises BadParameter."""
    return _known_at(text)


def month_option(text: str) -> Any:
    """A month that a user typed. Raises BadParameter."""
    from ledger.values import month_from_text

    try:
        return month_from_text(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def known_at_in(house: House, known_at: Any) -> KnownAtMoment:
    """The moment that was typed as an instant, a position or checkpoints, of which only the store says how far they
    reach. Raises Stop."""
    from makegood.answers.audit.signed_moment import NotThisHistory, SignedMoment, reached_by

    if not isinstance(known_at, SignedMoment):
        return cast("KnownAtMoment", known_at)
    try:
        return reached_by([each.database for each in house.every], known_at)
    except NotThisHistory as error:
        raise Stop(str(error)) from None


@dataclass(frozen=True, slots=True)
class AskedMoment:
    """The moment that a command is asked about, as it was typed."""

    as_of: Any
    known_at: Any

    def of(self, house: House) -> Moment:
        """The moment in a store. Raises Stop where a checkpoint was signed over another history."""
        from makegood.answers.moments import Moment

        known_at = known_at_in(house, self.known_at) if self.known_at is not None else None
        return Moment(self.as_of, known_at)


def settings_from(store: str = "", kafka: str = "", http: str = "") -> Settings:
    """The environment's settings, with what the command's options say instead."""
    from ledger.store.database import redacted
    from makegood.house.settings import Settings

    if store != redacted(store):
        typer.echo(
            "makegood: everyone on this machine can read the password in --store in the list of processes; "
            "save the URL to a file, and set MAKEGOOD_STORE_FILE to its path",
            err=True,
        )
    given: dict[str, Any] = {"store": store, "kafka": kafka, "http": http}
    return Settings(**{name: value for name, value in given.items() if value})


@contextmanager
def opened(store: str, account: str | None = None, *, of: str | None = None, whole: bool = False) -> Iterator[House]:
    """The house on the store that the option or the environment names, of several shards that of the account; `whole`
    is for what all shards can be asked together.

    Raises UnknownAccount where a command is limited to an account that the store does not know, which `of` does not
    look for, and Stop where it is not said which shard is asked.
    """
    from makegood.answers.unknown import check_account
    from makegood.house.shard_map import open_whole

    settings = settings_from(store)
    asked = account or of
    all_asked = whole and asked is None and not settings.shard
    with open_whole(settings) if all_asked else opened_as_it_is(settings, asked) as house:
        if account is not None:
            check_account(house.database, account)
        with ExitStack() as looks:
            for each in house.every:
                looks.enter_context(looks_recorded(each))
            yield house


@contextmanager
def opened_provider(store: str) -> Iterator[House]:
    """The house of the first shard, where what is the provider's and no account's stands, such as roles."""
    from ledger.store.positions import FIRST_SHARD

    settings = settings_from(store).model_copy(update={"shard": str(FIRST_SHARD)})
    with opened_as_it_is(settings) as house, looks_recorded(house):
        yield house


@contextmanager
def opened_as_it_is(settings: Settings, account: str | None = None, **how: Any) -> Iterator[House]:
    """The house of an account's shard, or of the one that is named, opened as `open_house` is told, and nobody's
    looks recorded. Raises Stop where it is not said which shard is asked."""
    from makegood.house.opening import open_house
    from makegood.house.shard_map import open_shard, shard_asked

    with ExitStack() as stack:
        house = stack.enter_context(open_house(settings, **how))
        number = shard_asked(house, account)
        yield house if number == house.shard else stack.enter_context(open_shard(house, number, **how))


@contextmanager
def opened_shards(store: str) -> Iterator[Sequence[House]]:
    """The houses of all shards of the store that the option or the environment names, in their order."""
    from makegood.house.shard_map import open_shards

    with open_shards(settings_from(store)) as houses, ExitStack() as looks:
        for house in houses:
            looks.enter_context(looks_recorded(house))
        yield houses


@contextmanager
def looks_recorded(house: House) -> Iterator[None]:
    """Record before the command ends who looked at what, also where it fails after that.

    Where projections say what the ledger does not, nothing may be recorded: an auditor looks there all the same.
    """
    try:
        yield
    finally:
        if house.looks:
            from makegood.house.looking import record_looks
            from projections.ahead import projections_ahead

            with house.database.reading() as transaction:
                is_restored = bool(projections_ahead(transaction))
            if not is_restored:
                record_looks(house)
                house.projections.catch_up()


def instant(text: str) -> Any:
    """An instant that a user typed. Raises Stop."""
    from ledger.values import instant_from_text

    try:
        return instant_from_text(text)
    except ValueError as error:
        raise Stop(f"{text!r} is not a valid instant: {error}") from None


def show_list(
    store: str,
    json: bool,
    query: Callable[[House], Sequence[R]],
    columns: Columns,
    *,
    title: str,
    empty: str,
    chosen: str | None = None,
    account: str | None = None,
    of: str | None = None,
    at: AskedMoment | None = None,
    in_words: Callable[[R], Mapping[str, Any]] | None = None,
    in_turn: bool = False,
    first_only: bool = False,
) -> None:
    """Show the rows of a question, as a table or as JSON, of all fields or of those `chosen`; `in_words` says a row
    to people, and `at` has accounts be as they were at another time. `account` and `of` are as for `opened`.

    Of several shards all are asked, unless an account or MAKEGOOD_SHARD says which: together, or `in_turn` where rows
    have numbers of their shard. `first_only` is for what is no account's.

    Raises UnknownAccount where the question is about an account that the store does not know, and BadParameter for a
    field that the rows do not have.
    """
    from makegood.commands.terminal.layout import NoSuchColumn
    from makegood.commands.terminal.printing import print_json, print_rows

    names = [name.strip() for name in chosen.split(",")] if chosen is not None else []
    try:
        asked = (columns.fields() if json else columns).chosen(names) if names else columns
    except NoSuchColumn as error:
        raise typer.BadParameter(str(error), param_hint="--columns") from None
    rows: list[R] = []
    with opened_provider(store) if first_only else opened(store, account, of=of, whole=True) as house:
        houses = house.every if in_turn else [house]
        for house in houses:
            moment = at.of(house) if at is not None else None
            with house_at(house, moment, account) as then:
                rows += query(then)
    if json:
        print_json([{name: row[name] for name in names} for row in rows] if names else rows)
    else:
        said = in_words_of(moment) + (f", of {len(houses)} shards one after the other" if len(houses) > 1 else "")
        shown = [in_words(row) for row in rows] if in_words else rows
        print_rows(shown, asked, title=title + said, empty=empty + said, choosable=True)


@contextmanager
def house_at(house: House, at: Moment | None, account: str | None = None) -> Iterator[House]:
    """The house at a moment, with progress on standard error while accounts are folded or assessed; now for None."""
    if not at:
        yield house
        return
    from makegood.access.sight import EVERYTHING
    from makegood.answers.another_time import house_then
    from makegood.commands.terminal.printing import progress_bar

    with ExitStack() as until_the_end:
        what = "assessing" if at.as_of is not None else "reading"
        with progress_bar(what, None, "accounts") as told:
            then = until_the_end.enter_context(house_then(house, EVERYTHING, at, account, told))
        yield then


def in_words_of(at: Moment | None) -> str:
    """A moment as it is written behind a title."""
    words = at.words() if at is not None else {}
    return "".join(f", {name.replace('_', ' ')} {value}" for name, value in words.items())


def _messages_of(name: str, stream: BinaryIO) -> Iterator[bytes]:
    from consumers.upstream.file_forms import NotMessages, lines_in

    try:
        yield from lines_in(stream)
    except NotMessages as error:
        raise Stop(f"{name} cannot be read as messages: {error}") from None


@contextmanager
def lines_of(file: str) -> Iterator[Iterator[bytes]]:
    """The messages of a file, or of standard input for `-`, a line each. Raises Stop, also while they are read."""
    if file == "-":
        yield _messages_of("standard input", sys.stdin.buffer)
        return
    try:
        with Path(file).open("rb") as stream:
            yield _messages_of(file, stream)
    except FileNotFoundError:
        raise Stop(f"file {file} not found; check the path") from None
    except IsADirectoryError:
        raise Stop(f"{file} is a folder; give a file of messages") from None
