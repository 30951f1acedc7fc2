"""`gossipreg services`."""

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_table
from gossipreg.cli.synced import ask_when_synced, timeout_option, warn_if_partial


@click.command(
    epilog="""\b
    Example:
      gossipreg services
    """
)
@timeout_option
@client_options
@pass_chosen
def services(chosen: Chosen, timeout: float) -> None:
    """List the names of services, with how many instances there are and how many pass."""
    with chosen.client() as client:
        found = ask_when_synced(lambda: client.call_paged("services", key="name"), timeout)
    warn_if_partial(found, "services and instances")
    if chosen.json:
        print_json(found)
    else:
        print_table(
            ("NAME", "INSTANCES", "PASSING", "TAGS"),
            ((one["name"], one["instances"], one["passing"], ",".join(one["tags"])) for one in found),
        )
