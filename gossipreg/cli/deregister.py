"""`gossipreg deregister ID`."""

import click

from gossipreg.cli.complete import complete_id
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, warn_if_not_durable


@click.command(
    epilog="""\b
    Example:
      gossipreg deregister billing-8080
    """
)
@click.argument("id", shell_complete=complete_id)
@client_options
@pass_chosen
def deregister(chosen: Chosen, id: str) -> None:
    """Deregister the service with this id from this sidecar."""
    with chosen.client() as client:
        result = client.call("deregister", id=id)
    if chosen.json:
        print_json(result)
    else:
        warn_if_not_durable(result)
