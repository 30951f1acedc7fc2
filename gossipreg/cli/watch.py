"""`gossipreg watch [NAME]`."""

from typing import Any

import click

from gossipreg.cli.complete import complete_service
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import address_of, flush, print_json, print_line, printable


@click.command(
    epilog="""\b
    Example:
      gossipreg watch billing
      gossipreg watch --json | jq .kind
    """
)
@click.argument("name", required=False, shell_complete=complete_service)
@client_options
@pass_chosen
def watch(chosen: Chosen, name: str | None) -> None:
    """Print the instances of NAME, or of all services, then each change as it comes."""
    with chosen.client() as client, client.watch(name) as changes:
        for change in changes:
            if chosen.json:
                print_json(change)
            else:
                for instance in change["instances"] if change["kind"] == "current" else [change["instance"]]:
                    print_line(_line(change["kind"], instance))
            flush()


def _line(kind: str, instance: dict[str, Any]) -> str:
    stale = " stale" if instance["stale"] else ""
    return (
        f"{printable(kind)} {printable(instance['service'])} {printable(instance['id'])} {address_of(instance)} "
        f"{printable(instance['health'])}{stale} node={printable(instance['node_name'])}"
    )
