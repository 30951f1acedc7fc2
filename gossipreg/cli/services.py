"""`gossipreg services`."""

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_table


@click.command(
    epilog="""\b
    Example:
      gossipreg services
    """
)
@client_options
@pass_chosen
def services(chosen: Chosen) -> None:
    """List the names of services, with how many instances there are and how many pass."""
    with chosen.client() as client:
        found = client.call_paged("services", key="name")
    if chosen.json:
        print_json(found)
    else:
        print_table(
            ("NAME", "INSTANCES", "PASSING", "TAGS"),
            ((one["name"], one["instances"], one["passing"], ",".join(one["tags"])) for one in found),
        )
