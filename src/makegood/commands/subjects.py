"""What is held about a customer in words: erased for good, or exported for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import Json, Store, opened, subject_app
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from makegood.answers.subjects import SubjectErased, SubjectExported

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account id.")]
Person = Annotated[
    str,
    typer.Option("--as", "--actor", metavar="NAME", help="The person who acts; your user name is recorded as well."),
]


@subject_app.command("erase")
def subject_erase(
    account: Account,
    person: Person,
    basis: Annotated[
        str, typer.Option("--basis", help="The legal basis, such as the customer's request; kept in the vault.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would be destroyed; write nothing.")
    ] = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Erase the personal data of an account for good: its keys, and all that the vault has of it.

    Facts and amounts stay. Messages that come later are recorded without words. Backups of the key database keep the
    keys until they are deleted.
    """
    from ledger.application.acts import By
    from makegood.answers.subjects import erase_subject, would_erase
    from makegood.commands.terminal.printing import print_json
    from makegood.house.actor import actor_of

    if not person or not basis.strip():
        raise Stop("give the name of the person who acts with --as, and the legal basis with --basis")
    with opened(store, of=account) as house:
        if dry_run:
            answer = would_erase(house, account)
        else:
            answer = erase_subject(house, account, basis, By(actor_of(person), "cli"))
            house.projections.catch_up()
    (print_json if json else _show)(answer)


@subject_app.command("export")
def subject_export(
    account: Account,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The file for people; FILE.json is for programs.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the files if they exist.")] = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Export everything that is held about a customer, for the customer: as text, and the same as JSON."""
    from json import dumps

    from makegood.answers.personal_data import personal_data, readable
    from makegood.commands.terminal.printing import print_json, say
    from makegood.house.control_characters import visible_json
    from makegood.house.whole_file import whole_file

    beside = to.with_name(f"{to.name}.json")
    with (
        opened(store, of=account) as house,
        whole_file(to, force=force) as text,
        whole_file(beside, force=force) as document,
    ):
        held = personal_data(house, account)
        text.write_text(readable(held), encoding="utf-8")
        document.write_text(visible_json(dumps(held, indent=2, ensure_ascii=False)) + "\n", encoding="utf-8")
    answer: SubjectExported = {
        "account_id": account,
        "events": len(held["history"]),
        "other_words": len(held["other_words"]),
        "emails": len(held["emails"]),
        "files": [str(to), str(beside)],
    }
    if json:
        print_json(answer)
    else:
        say(f"written: {to} and {beside}; events: {answer['events']}, e-mails: {answer['emails']}")


def _show(answer: SubjectErased) -> None:
    from makegood.commands.terminal.printing import print_sentences, say

    done = {
        "erased": f"erased at {answer['erased_at']}",
        "erased before": f"already erased at {answer['erased_at']}",
        "would be erased": "would be erased",
    }[answer["outcome"]]
    print_sentences(
        f"{answer['account_id']}: {done}",
        f"vault entries: {answer['entries']}, of these bodies of dead letters: {answer['dead_letters']}, of messages "
        f"set aside: {answer['set_aside']}",
        f"unsent e-mails: {answer['notices']}",
    )
    if answer["still_set_aside"]:
        account, number = answer["account_id"], answer["still_set_aside"]
        if answer["outcome"] == "would be erased":
            say(
                f"messages of {account} set aside: {number}; erased, they can never be recorded: replay them first "
                f"(`makegood aside list --account {account}`)"
            )
        else:
            say(f"messages of {account} set aside that were never recorded: {number}; discard them")
