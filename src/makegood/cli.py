"""The command line: runs one command, and turns errors into an exit code and a line that says what to do next."""

from __future__ import annotations

import copy
import gc
import sys

import typer
from typer.models import CommandInfo

# They register themselves, in the order in which `--help` lists their commands.
# isort: off
from makegood.commands import store as store
from makegood.commands import agreements as agreements
from makegood.commands import ingest as ingest
from makegood.commands import contract as contract
from makegood.commands import dead_letters as dead_letters
from makegood.commands import lost_ranges as lost_ranges
from makegood.commands import questions as questions
from makegood.commands import exports as exports
from makegood.commands import finance as finance
from makegood.commands import periods as periods
from makegood.commands import payouts as payouts
from makegood.commands import reconciliation as reconciliation
from makegood.commands import roles_and_keys as roles_and_keys
from makegood.commands import notices as notices
from makegood.commands import operation as operation
from makegood.commands import audit as audit
from makegood.commands import checkpoints as checkpoints
from makegood.commands import subjects as subjects
from makegood.commands import vault as vault
from makegood.commands import restored as restored
from makegood.program import commands as commands

# isort: on
from makegood.commands.app import FAILED, OK, USAGE, app
from makegood.house.control_characters import visible
from makegood.house.stop import Stop


def main() -> None:
    """Run the command line: errors say what to do next, without a traceback."""
    # What a command imports stays; looking through it for garbage would take a sixth of a short command's time.
    gc.set_threshold(50_000, 20, 20)
    sys.exit(run(sys.argv[1:]))


# Of the command line library's own errors typer exports only this one; wrong usage is its parent class.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def run(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    try:
        command = typer.main.get_command(_asked(arguments))
        code = command.main(arguments, prog_name="makegood", standalone_mode=False)
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
        sys.stderr.write(f"makegood: {visible(str(error))}\n")
        return FAILED
    return int(code or OK)


def _asked(arguments: list[str]) -> typer.Typer:
    """The application with only the command that is asked for, if there is one: the options of all take long."""
    name = arguments[0] if arguments else ""
    asked = copy.copy(app)
    asked.registered_commands = [each for each in app.registered_commands if _name_of(each) == name]
    asked.registered_groups = [each for each in app.registered_groups if each.name == name]
    return asked if asked.registered_commands or asked.registered_groups else app


def _name_of(command: CommandInfo) -> str:
    return command.name or typer.main.get_command_name(command.callback.__name__) if command.callback else ""


def _is_for_people(error: Exception) -> bool:
    """Whether an error was expected and says what to do next; any other is a defect, and shows where."""
    from ledger.agreement import AgreementRefused
    from ledger.application.access import AccessRefused
    from ledger.store.database import StoreError
    from ledger.vault import Damaged, Gone
    from makegood.answers.filters import FilterRefused
    from makegood.answers.unknown import Unknown
    from projections.asking import UnknownAccount

    expected = (
        Stop,
        FilterRefused,
        StoreError,
        AgreementRefused,
        AccessRefused,
        Gone,
        Damaged,
        Unknown,
        UnknownAccount,
        OSError,
    )
    return isinstance(error, expected)


if __name__ == "__main__":
    main()
