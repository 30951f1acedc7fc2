"""`gossipreg force-leave`."""

import click

from gossipreg.cli.complete import complete_member
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, printable, say


@click.command(
    "force-leave",
    epilog="""\b
    Example:
      gossipreg force-leave web-3
      gossipreg force-leave dedc5f9b
    """,
)
@click.argument("member", metavar="NAME|ID", shell_complete=complete_member)
@client_options
@pass_chosen
def force_leave(chosen: Chosen, member: str) -> None:
    """Declare dead or suspected members left, for the whole cluster.

    Such a member is not shown as dead any more, nobody tries to reach it, and its services are gone from
    `lookup --all`.

    A member that is alive is refused: end it with `gossipreg leave` on its host. A member that was only unreachable is
    alive again as soon as it is reachable.
    """
    with chosen.client() as client:
        result = client.call("force-leave", member=member)
    if chosen.json:
        print_json(result)
    else:
        for one in result["left"]:
            say(f"{printable(one['name'])} {one['id']} is declared left")
