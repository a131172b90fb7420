"""The command line (contract §3). Commands import what they need when they run, so that `--help` is quick."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from makegood.stop import Stop

if TYPE_CHECKING:
    from makegood.house import House
    from makegood.settings import Settings

OK, FAILED, REFUSED, USAGE = 0, 1, 3, 64

app = typer.Typer(
    name="makegood",
    help="The ledger that makes good on what a VoIP provider promises its customers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
agreement_app = typer.Typer(help="Service agreements: publish, list and show their versions.", no_args_is_help=True)
letters_app = typer.Typer(help="Refused messages: list them, and show one with its body.", no_args_is_help=True)
contract_app = typer.Typer(help="The contract with upstream: check messages against it.", no_args_is_help=True)
app.add_typer(agreement_app, name="agreement")
app.add_typer(letters_app, name="dead-letters")
app.add_typer(contract_app, name="contract")

Store = Annotated[str, typer.Option("--store", help="Where the ledger is kept: sqlite:///FILE or postgresql://…")]
Kafka = Annotated[str, typer.Option("--kafka", help="Kafka's addresses: HOST:PORT,…")]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
AccountOption = Annotated[str | None, typer.Option("--account", help="Only this account.")]


def main() -> None:
    """Run the command line: errors say what to do next, without a traceback."""
    sys.exit(run(sys.argv[1:]))


# Of the command line library's own errors typer exports only this one; wrong usage is its parent class.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def run(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="makegood", standalone_mode=False)
    except _UsageError as error:
        error.show()  # type: ignore[attr-defined]
        return USAGE
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("interrupted\n")
        return FAILED
    except BrokenPipeError:
        return OK
    except Exception as error:
        if not _is_for_people(error):
            raise
        sys.stderr.write(f"makegood: {error}\n")
        return FAILED
    return int(code or OK)


def _is_for_people(error: Exception) -> bool:
    """Whether an error was expected and says what to do next; any other is a defect, and shows where."""
    from ledger.agreement import AgreementRefused
    from ledger.store.database import StoreError
    from ledger.vault import Damaged, Erased
    from projections.queries import UnknownAccount

    return isinstance(error, Stop | StoreError | AgreementRefused | Erased | Damaged | UnknownAccount | OSError)


def settings_from(store: str = "", kafka: str = "", http: str = "") -> Settings:
    """The environment's settings, with what the command's options say instead."""
    from makegood.settings import Settings

    given: dict[str, Any] = {"store": store, "kafka": kafka, "http": http}
    return Settings(**{name: value for name, value in given.items() if value})


@contextmanager
def opened(store: str) -> Iterator[House]:
    """The house on the store that the option or the environment names."""
    from makegood.house import open_house

    with open_house(settings_from(store)) as house:
        yield house


def instant(text: str) -> Any:
    """An instant that a user typed. Raises Stop."""
    from ledger.values import instant_from_text

    try:
        return instant_from_text(text)
    except ValueError as error:
        raise Stop(f"{text!r} is no instant: {error}") from None


# --- the store ----------------------------------------------------------------------------------------------------


@app.command()
def init(
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="A store to try things out, whose clock can be set.")
    ] = False,
    store: Store = "",
) -> None:
    """Create the store and the vault's key database."""
    from makegood.answers import say
    from makegood.house import open_house

    with open_house(settings_from(store), create=True, sandbox=sandbox) as house:
        kind = "sandbox" if sandbox else "store"
        say(f"created a {kind} at {_place(house)}; next: makegood agreement publish FILE")


def _place(house: House) -> str:
    from ledger.store.database import redacted

    return redacted(house.settings.store)


@app.command()
def advance(to: Annotated[str, typer.Argument(metavar="INSTANT")], store: Store = "", json: Json = False) -> None:
    """Set a sandbox's clock, and do all work that falls due by then."""
    from ledger.application import due_work
    from ledger.values import instant_to_text
    from makegood.answers import print_json, progress_bar, say

    with opened(store) as house:
        until = instant(to)
        with progress_bar("assessing", None, "accounts") as show:
            assessed = due_work.advance(house.ledger, until, lambda done, of: show(done))
        house.projections.catch_up()
        if json:
            print_json({"now": instant_to_text(until), "assessed": assessed})
        else:
            say(f"the sandbox's clock stands at {instant_to_text(until)}; {assessed} accounts were assessed")


# --- messages in --------------------------------------------------------------------------------------------------


@app.command()
def ingest(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON Lines; - is standard input.")],
    store: Store = "",
    json: Json = False,
) -> int:
    """Record the messages of a file. Refused ones are kept as dead letters, and the others go on."""
    from consumers import files
    from makegood.answers import print_json, progress_bar, refusals, say

    with opened(store) as house:
        path = None if file == "-" else Path(file)
        with _lines(path) as lines, progress_bar("ingesting", _size(path), "bytes") as show:
            taken = files.ingest(house.ledger, lines, path.name if path else "-", show)
        house.projections.catch_up()
    refused = refusals(taken.refused)
    if json:
        print_json(
            {"read": taken.read, "accepted": taken.accepted, "duplicates": taken.duplicates, "refused": refused}
        )
    else:
        for row in refused:
            at = f", {row['field']}" if row["field"] else ""
            say(f"line {row['line']}{at}: {row['reason']}")
        say(
            f"{taken.read} messages read: {taken.accepted} recorded, {taken.duplicates} duplicates, "
            f"{len(refused)} refused" + ("; see `makegood dead-letters list`" if refused else "")
        )
    return REFUSED if refused else OK


@app.command()
def preview(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON Lines; - is standard input.")],
    store: Store = "",
    json: Json = False,
) -> int:
    """Say which claims a file's messages would change, and how. Records nothing."""
    from consumers import files
    from ledger.application.preview import preview as previewed
    from makegood.answers import print_json
    from makegood.previewing import answer, show_preview

    with opened(store) as house:
        path = None if file == "-" else Path(file)
        with _lines(path) as lines:
            messages = (item for item, _ in files.messages_in(lines, path.name if path else "-"))
            found = answer(previewed(house.ledger, messages))
    if json:
        print_json(found)
    else:
        show_preview(found)
    return REFUSED if found["refused"] else OK


@contextmanager
def _lines(path: Path | None) -> Iterator[Any]:
    if path is None:
        yield sys.stdin.buffer
        return
    try:
        with path.open("rb") as stream:
            yield stream
    except FileNotFoundError:
        raise Stop(f"there is no file {path}") from None
    except IsADirectoryError:
        raise Stop(f"{path} is a folder; name a file of JSON Lines") from None


def _size(path: Path | None) -> int | None:
    return path.stat().st_size if path is not None and path.is_file() else None


@contract_app.command("check")
def contract_check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON Lines; - is standard input.")], json: Json = False
) -> int:
    """Tell which line and field of a file breaks the contract, and why. Needs neither store nor broker."""
    from dataclasses import asdict

    from consumers.upstream import check_file
    from makegood.answers import print_json, print_rows

    with _lines(None if file == "-" else Path(file)) as lines:
        problems = [asdict(problem) for problem in check_file(lines)]
    if json:
        print_json(problems)
    else:
        print_rows(
            problems,
            {"line": "line", "id": "message", "field": "field", "reason": "what is wrong"},
            title="Messages that would be refused",
            empty="every message keeps the contract; publish them with `makegood publish` or `makegood ingest`",
        )
    return REFUSED if problems else OK


@app.command()
def publish(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON Lines; - is standard input.")],
    kafka: Kafka = "",
    topic: Annotated[str, typer.Option("--topic")] = "provisioning.events",
) -> None:
    """Publish a file's messages on Kafka, as an ordinary producer would."""
    from contextlib import closing

    from consumers.kafka.cluster import Cluster
    from consumers.kafka.publish import publish as publish_lines
    from consumers.kafka.records import BrokerError
    from makegood.answers import progress_bar, say

    settings = settings_from(kafka=kafka)
    if not settings.kafka:
        raise Stop("which broker? Give --kafka HOST:PORT or set MAKEGOOD_KAFKA")
    path = None if file == "-" else Path(file)
    try:
        with (
            closing(Cluster(settings.kafka).sender("publish")) as sender,
            _lines(path) as lines,
            progress_bar("publishing", None, "messages") as show,
        ):
            count = publish_lines(lines, sender, topic=topic, progress=show)
    except BrokerError as error:
        raise Stop(str(error)) from None
    say(f"{count} messages published to {topic} at {settings.kafka}")


# --- agreements ---------------------------------------------------------------------------------------------------


@agreement_app.command("publish")
def agreement_publish(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…")], store: Store = "", json: Json = False
) -> None:
    """Publish versions of service agreements from TOML files."""
    from ledger.agreement import AgreementRefused
    from ledger.application import agreements, due_work
    from makegood.answers import print_json, say

    answer = []
    with opened(store) as house:
        for file in files:
            try:
                text = file.read_text(encoding="utf-8")
                published = agreements.publish(house.ledger, text, actor="/makegood/cli", channel="cli")
            except AgreementRefused as error:
                raise Stop(f"{file}: {error}") from None
            except UnicodeDecodeError:
                raise Stop(f"{file}: an agreement is written in UTF-8") from None
            terms = published.agreement.terms
            answer.append({"name": terms.name, "version": terms.version, "sha256": published.agreement.sha256})
            if not json:
                said = "published" if published.new else "published already, unchanged"
                say(f"{terms.name} version {terms.version}: {said}")
        due_work.do_due_work(house.ledger, house.ledger.now())
        house.projections.catch_up()
    if json:
        print_json(answer)


@agreement_app.command("list")
def agreement_list(store: Store = "", json: Json = False) -> None:
    """List the published versions."""
    from makegood.answers import print_json, print_rows

    with opened(store) as house, house.database.reading() as transaction:
        rows = [
            {
                "name": a.terms.name,
                "version": a.terms.version,
                "valid_from": a.terms.valid_from.isoformat(),
                "sha256": a.sha256,
            }
            for a in house.ledger.catalogue(transaction).all()
        ]
    if json:
        print_json(rows)
    else:
        print_rows(
            rows,
            {"name": "agreement", "version": "version", "valid_from": "valid from", "sha256": "SHA-256"},
            title="Service agreements",
            empty="no agreement is published yet; next: makegood agreement publish FILE",
        )


@agreement_app.command("show")
def agreement_show(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    version: Annotated[int | None, typer.Option("--version", help="The newest unless given.")] = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Show the text that a version was published as."""
    from makegood.answers import print_json

    with opened(store) as house, house.database.reading() as transaction:
        versions = {a.terms.version: a for a in house.ledger.catalogue(transaction).all() if a.terms.name == name}
    if not versions:
        raise Stop(f"no agreement {name} is published; see `makegood agreement list`")
    chosen = versions.get(version if version is not None else max(versions))
    if chosen is None:
        raise Stop(f"agreement {name} has no version {version}; it has {', '.join(map(str, sorted(versions)))}")
    if json:
        print_json({"name": name, "version": chosen.terms.version, "sha256": chosen.sha256, "text": chosen.text})
    else:
        sys.stdout.write(chosen.text)


# --- reading ------------------------------------------------------------------------------------------------------


def _list(
    store: str, json: bool, query: Callable[[House], list[dict[str, Any]]], columns: dict[str, str], **table: Any
) -> None:
    from makegood.answers import print_json, print_rows

    with opened(store) as house:
        rows = query(house)
    if json:
        print_json(rows)
    else:
        print_rows(rows, columns, **table)


@app.command()
def claims(
    account: AccountOption = None,
    clause: Annotated[str | None, typer.Option("--clause", help="Only claims under this clause.")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="granted, declined, withdrawn or pending.")] = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """What customers are owed, and what was declined and why."""
    from projections import queries

    _list(
        store,
        json,
        lambda house: queries.claims(house.database, account=account, clause=clause, outcome=outcome),
        {
            "account_id": "account",
            "claim_id": "claim",
            "outcome": "outcome",
            "amount": "net",
            "tax": "tax",
            "currency": "",
            "reason": "reason",
            "settlement": "settled as",
        },
        title="Claims",
        empty="no claims; messages come in with `makegood ingest FILE` or `makegood run`",
        right=("amount", "tax"),
    )


@app.command()
def refunds(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """Refunds that are due, and those paid out."""
    from projections import queries

    _list(
        store,
        json,
        lambda house: queries.refunds(house.database, account=account),
        {
            "account_id": "account",
            "refund_id": "refund",
            "status": "status",
            "net": "net",
            "tax": "tax",
            "total": "total",
            "currency": "",
            "due_at": "due since",
            "settled_at": "settled at",
        },
        title="Refunds",
        empty="no refunds; see what was decided with `makegood claims`",
        right=("net", "tax", "total"),
    )


@app.command()
def credits(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """Credits granted, and what is left of them."""
    from projections import queries

    _list(
        store,
        json,
        lambda house: queries.credits(house.database, account=account),
        {
            "account_id": "account",
            "credit_id": "credit",
            "net": "net",
            "tax": "tax",
            "total": "total",
            "left": "left",
            "currency": "",
            "granted_at": "granted at",
        },
        title="Credits",
        empty="no credits; see what was decided with `makegood claims`",
        right=("net", "tax", "total", "left"),
    )


@app.command()
def disputes(
    account: AccountOption = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only investigations open longer than agreed.")] = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Disputed charges: under investigation and until when, confirmed or rejected."""
    from projections import queries

    _list(
        store,
        json,
        lambda house: queries.disputes(house.database, house.ledger.now(), account=account, overdue=overdue),
        {
            "account_id": "account",
            "dispute_id": "dispute",
            "charge_id": "charge",
            "status": "status",
            "outcome": "claim",
            "reason": "reason",
            "investigate_by": "in time until",
            "overdue": "overdue",
        },
        title="Disputes",
        empty="no investigation is overdue" if overdue else "no charge is disputed",
    )


@app.command()
def alarms(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """What a person should look at."""
    from projections import queries

    _list(
        store,
        json,
        lambda house: queries.alarms(house.database, account=account),
        {
            "account_id": "account",
            "alarm": "alarm",
            "claim_id": "claim",
            "charge_id": "charge",
            "about": "about messages",
            "since": "since",
        },
        title="Alarms",
        empty="no alarms",
    )


@app.command()
def waiting(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """Facts that wait for another, with what they wait for and their age."""
    from makegood.answers import age
    from projections import queries

    def with_age(house: House) -> list[dict[str, Any]]:
        rows = queries.waiting(house.database, house.ledger.now(), account=account)
        return rows if json else [{**row, "age": age(row["age_seconds"])} for row in rows]

    _list(
        store,
        json,
        with_age,
        {
            "account_id": "account",
            "type": "fact",
            "source": "source",
            "id": "message",
            "waits_for": "waits for",
            "age": "for",
        },
        title="Facts that wait",
        empty="nothing waits",
    )


@letters_app.command("list")
def dead_letters_list(store: Store = "", json: Json = False) -> None:
    """List the refused messages."""
    from projections import queries

    _list(
        store,
        json,
        lambda house: queries.dead_letters(house.database),
        {
            "position": "no.",
            "dead_letter_id": "dead letter",
            "origin": "seen at",
            "id": "message",
            "field": "field",
            "reason": "why it was refused",
        },
        title="Dead letters",
        empty="no message was refused",
    )


@letters_app.command("show")
def dead_letters_show(
    dead_letter: Annotated[str, typer.Argument(metavar="ID", help="A dead letter's id, or its number.")],
    store: Store = "",
    json: Json = False,
) -> None:
    """Show one refused message with its body, from the vault."""
    from makegood import reading
    from makegood.answers import print_json

    with opened(store) as house:
        letter = reading.dead_letter(house, dead_letter)
    if letter is None:
        raise Stop(f"there is no dead letter {dead_letter}; see `makegood dead-letters list`")
    if json:
        print_json(letter)
    else:
        reading.show_dead_letter(letter)


@app.command()
def account(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    as_of: Annotated[str | None, typer.Option("--as-of", help="What had become true by then.")] = None,
    known_at: Annotated[str | None, typer.Option("--known-at", help="What was known by then.")] = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """One account: balances, subscriptions, charges, payments, claims, refunds and credits."""
    from makegood import reading
    from makegood.answers import print_json
    from projections import queries

    with opened(store) as house:
        if as_of is None and known_at is None:
            found = queries.account(house.database, account_id)
        else:
            found = queries.account_as_of(
                house.database,
                account_id,
                as_of=instant(as_of) if as_of else None,
                known_at=instant(known_at) if known_at else None,
            )
    if json:
        print_json(found)
    else:
        reading.show_account(found)


@app.command()
def history(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT")], store: Store = "", json: Json = False
) -> None:
    """An account's audit trail: every fact and every decision, with actor, cause and both times."""
    from projections import queries

    _list(
        store,
        json,
        lambda house: queries.history(house.database, account_id),
        {
            "position": "position",
            "kind": "kind",
            "type": "what",
            "occurred_at": "occurred at",
            "recorded_at": "recorded at",
            "actor": "by",
            "channel": "through",
            "claim_id": "claim",
        },
        title=f"History of {account_id}",
        empty="",
    )


@app.command()
def replay(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    to: Annotated[int | None, typer.Option("--to", metavar="K", help="Only the first K events.")] = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """An account's state after each of its events, one after the other."""
    from makegood import reading
    from makegood.answers import print_json
    from projections import queries

    with opened(store) as house:
        steps = list(queries.replay(house.database, account_id, to=to))
    if json:
        print_json(steps)
    else:
        reading.show_replay(account_id, steps)


@app.command()
def explain(
    claim_id: Annotated[str, typer.Argument(metavar="ID", help="A claim, refund or credit.")],
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Why a claim is what it is: clause, agreement, formula with its numbers, facts, and every recorded step."""
    from makegood.answers import print_json
    from makegood.explaining import Unexplained, show_explanation
    from makegood.explaining import explain as explained

    with opened(store) as house:
        try:
            found = explained(house, claim_id, account)
        except Unexplained as error:
            raise Stop(str(error)) from None
    if json:
        print_json(found)
    else:
        show_explanation(found)


# --- long-running parts -------------------------------------------------------------------------------------------


@app.command("run")
def run_parts(
    parts: Annotated[
        list[str] | None, typer.Argument(metavar="[PART…]", help="intake, relay, projector, timers")
    ] = None,
    store: Store = "",
    kafka: Kafka = "",
) -> None:
    """Run all long-running parts in one process, or those named, until SIGTERM."""
    from makegood.running import run_until_stopped

    run_until_stopped(settings_from(store, kafka), parts or [])


@app.command()
def demo(
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Stay until interrupted.")] = True,
) -> None:
    """A sandbox with a sample provider's months: published, recorded, projected and summed up."""
    from makegood.demo import show_demo

    show_demo(serve=serve)


@app.command()
def config(store: Store = "", kafka: Kafka = "", json: Json = False) -> None:
    """Show the settings in force, without their secrets."""
    from ledger.store.database import redacted
    from makegood.answers import print_json, print_rows

    settings = settings_from(store, kafka)
    rows = [
        {"name": f"MAKEGOOD_{name.upper()}", "value": redacted(str(value))}
        for name, value in settings.model_dump().items()
    ]
    if json:
        print_json({row["name"]: row["value"] for row in rows})
    else:
        print_rows(rows, {"name": "setting", "value": "value"}, title="Settings", empty="")


if __name__ == "__main__":
    main()
