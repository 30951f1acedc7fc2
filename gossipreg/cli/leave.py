"""`gossipreg leave`."""

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json
from gossipreg.cli.units import Duration

MAX_HOLD_S = 60.0
TIMEOUT_S = 90.0
"""The sidecar answers when the leave is done, which its configuration bounds to at most a minute."""


@click.command(
    epilog="""\b
    Example:
      gossipreg leave --hold 30s

    In a systemd unit this holds the services over `systemctl restart`, and over nothing else:
      ExecStop=-+/usr/local/bin/gossipreg leave --hold 30s --if-restarting
    """
)
@click.option(
    "--hold", metavar="DURATION", type=Duration(MAX_HOLD_S), help="Be back within this (<= 1m; needs --data-dir)."
)
@click.option("--if-restarting", is_flag=True, help="Hold only where systemd restarts the unit of this command.")
@client_options
@pass_chosen
def leave(chosen: Chosen, hold: float | None, if_restarting: bool) -> None:
    """Tell the cluster, and stop the sidecar. With --hold its services stay in the answers for that time."""
    if if_restarting:
        if hold is None:
            raise click.UsageError("--if-restarting says when to hold: give --hold DURATION too.")
        from gossipreg.systemd_job import restart_job

        hold = hold if restart_job() else None
    with chosen.patient_client(TIMEOUT_S) as client:
        result = client.call("leave", **({} if hold is None else {"hold": hold}))
    if chosen.json:
        print_json(result)
