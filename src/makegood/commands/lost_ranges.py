"""Ranges of messages that were lost before they were taken: listed, and closed with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import Actor, ColumnsOption, Json, Store, lost_app, opened, show_list
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from makegood.answers.done import LostRangeDone


@lost_app.command("list")
def lost_list(
    everything: Annotated[bool, typer.Option("--all", help="Include closed ones.")] = False,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """List messages that Kafka deleted before intake read them, or that are damaged in Kafka."""
    from makegood.answers.lost_ranges import lost_ranges
    from makegood.commands.terminal.tables import LOST_RANGES

    show_list(
        store,
        json,
        lambda house: lost_ranges(house, closed=everything),
        LOST_RANGES if everything else LOST_RANGES.without("status"),
        chosen=columns,
        in_turn=True,
        title="Lost ranges of messages",
        empty="no messages were lost",
    )


@lost_app.command("close")
def lost_close(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="IDs, or numbers in the list.")],
    reason: Annotated[
        str,
        typer.Option("--reason", help="The reason, such as that the messages were sent again; kept in the vault."),
    ],
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> None:
    """Close lost ranges: the messages were published again, or are not needed."""
    from ledger.application.acts import By
    from ledger.application.lost_messages import close
    from makegood.answers.lost_ranges import lost_ranges
    from makegood.commands.terminal.printing import print_json, say
    from makegood.house.actor import actor_of

    answer: list[LostRangeDone] = []
    with opened(store) as house:
        rows = lost_ranges(house)
        known = {row["lost_id"]: row for row in rows} | {str(row["position"]): row for row in rows}
        if missing := [id_ for id_ in ids if id_ not in known]:
            raise Stop(f"there is no lost range {missing[0]}; see `makegood lost list --all`")
        for lost_id in [known[id_]["lost_id"] for id_ in ids]:
            close(house.ledger, lost_id, reason, By(actor_of(actor), "cli"))
            answer.append({"lost_id": lost_id, "outcome": "closed"})
            if not json:
                say(f"{lost_id}: closed")
        house.projections.catch_up()
    if json:
        print_json(answer)
