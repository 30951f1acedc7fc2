"""`gossipreg maint`: a service, or this sidecar's, out of the answers and back in."""

import click

from gossipreg.cli.options import Chosen, client_options, maintenance_options, maintenance_params, pass_chosen
from gossipreg.cli.output import print_json, printable, say, warn_if_not_durable


@click.command(
    epilog="""\b
    Example:
      gossipreg maint --service billing-8080 --reason "disk swap, Ann"
      gossipreg maint --service billing-8080 --off
    """
)
@maintenance_options
@client_options
@pass_chosen
def maint(chosen: Chosen, service: str | None, off: bool, reason: str | None) -> None:
    """Take a service of this sidecar, or without --service all of them, out of all answers until --off.

    The maintenance outlives restarts of the program and, with --data-dir, of the sidecar. `drain` also waits until all
    members know.
    """
    with chosen.client() as client:
        result = client.call("maint", **maintenance_params(service, off, reason))
    if chosen.json:
        print_json(result)
    else:
        warn_if_not_durable(result)
        if still_out := result.get("still_out"):
            say(f"Warning: still out of the answers: {printable(still_out)}")
