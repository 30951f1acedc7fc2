"""`gossipreg drain`: maintenance that returns once every living member has acked it."""

import click

from gossipreg.cli.options import Chosen, client_options, maintenance_options, maintenance_params, pass_chosen
from gossipreg.cli.output import print_json, printable, say, warn_if_not_durable
from gossipreg.cli.units import Duration

ANSWER_S = 10.0
"""The wait for an answer beyond the timeout: for the disk, and the way to the sidecar."""
SHOWN_MAX = 5
"""The number of members that the line for a person names."""


@click.command(
    epilog="""\b
    Example:
      gossipreg drain --service billing-8080 --reason deploy && systemctl restart billing
      gossipreg drain --service billing-8080 --off
    """
)
@maintenance_options
@click.option(
    "--timeout", metavar="DURATION", type=Duration(3600.0), default="10s", help="Wait for members at most this (10s)."
)
@client_options
@pass_chosen
def drain(chosen: Chosen, service: str | None, off: bool, reason: str | None, timeout: float) -> int:
    """Put a service, or without --service this whole sidecar, in maintenance and return once all living members have
    acknowledged it: then no lookup anywhere gives it out. Exit code 1 if some members had not at --timeout, or if
    this sidecar was not synced until then; the maintenance stays, and they learn of it later.
    """
    with chosen.patient_client(timeout + ANSWER_S) as client:
        result = client.call("drain", timeout=timeout, **maintenance_params(service, off, reason))
    if chosen.json:
        print_json(result)
    else:
        warn_if_not_durable(result)
    if result["acked"]:
        return 0
    not_synced = result.get("not_synced_because")
    if not_synced and not chosen.json:
        say(f"this sidecar is not synced after {timeout:g}s, so it does not know all members: {printable(not_synced)}; "
            "members that have not acknowledged the change may still give the service out")  # fmt: skip
    elif not chosen.json:
        named = ", ".join(printable(name) for name in result["members"][:SHOWN_MAX])
        more = ", ..." if result["missing"] > SHOWN_MAX else ""
        say(f"{result['missing']} living members have not acknowledged it after {timeout:g}s: {named}{more}; they may "
            "still give the service out until they do")  # fmt: skip
    return 1
