"""`gossipreg heartbeat ID`: answers a `ttl` check."""

import click

from gossipreg.cli.complete import complete_id
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json


@click.command(
    epilog="""\b
    Example:
      gossipreg register batch --port 9000 --check ttl:30s
      gossipreg heartbeat batch-9000 --note "1,204 done"     # at least every 30 s
    """
)
@click.argument("id", shell_complete=complete_id)
@click.option(
    "--status", type=click.Choice(["passing", "warning", "critical"]), help="The health of the service (passing)."
)
@click.option("--note", metavar="TEXT", help="Shown by lookup --all and info.")
@client_options
@pass_chosen
def heartbeat(chosen: Chosen, id: str, status: str | None, note: str | None) -> None:
    """Report the health of the service with this id: answers its `ttl` checks."""
    params = {"id": id, "status": status, "note": note}
    with chosen.client() as client:
        result = client.call("heartbeat", **{key: value for key, value in params.items() if value is not None})
    if chosen.json:
        print_json(result)
