"""The contract: check a file against it."""

from __future__ import annotations

from makegood.commands.app import (
    OK,
    REFUSED,
    File,
    Json,
    contract_app,
    lines_of,
)


@contract_app.command("check")
def contract_check(file: File, json: Json = False) -> int:
    """Check a file's messages: list each line and field that breaks the contract. Needs neither store nor broker."""
    from dataclasses import asdict

    from consumers.upstream import check_file
    from makegood.commands.terminal.layout import Columns
    from makegood.commands.terminal.printing import print_json, print_rows

    with lines_of(file) as lines:
        problems = [asdict(problem) for problem in check_file(lines)]
    if json:
        print_json(problems)
    else:
        print_rows(
            problems,
            Columns.made_of(
                {"line": "line", "id": "message", "field": "field", "reason": "reason"},
                right=("line",),
                prose=("reason",),
            ),
            title="Messages that would be refused",
            empty="all messages are valid; send them with `makegood publish` or `makegood ingest`",
        )
    return REFUSED if problems else OK
