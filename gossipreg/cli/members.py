"""`gossipreg members`."""

from typing import Any

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_table, short_duration
from gossipreg.cli.synced import warn_if_partial

ID_SHOWN = 12
"""Hex digits of an id: enough to tell members apart; the JSON has all 32."""


@click.command(
    epilog="""\b
    Example:
      gossipreg members
    """
)
@client_options
@pass_chosen
def members(chosen: Chosen) -> None:
    """List the members of the cluster as this sidecar sees them."""
    with chosen.client() as client:
        found = client.call_paged("members", key="id")
    warn_if_partial(found, "members")
    if chosen.json:
        print_json(found)
        return
    print_table(
        ("NAME", "ID", "ADDRESS", "STATE", "SINCE", "ZONE", "RTT", "SERVICES", "KEYS", "WHY"),
        (
            (
                one["name"],
                one["id"][:ID_SHOWN],
                one["address"],
                one["state"],
                short_duration(one["since_s"]),
                one["zone"],
                None if one["rtt_ms"] is None else f"{one['rtt_ms']:.1f}ms",
                one["services"],
                ",".join(one.get("keys") or ()),
                _why(one),
            )
            for one in found
        ),
    )


def _why(one: dict[str, Any]) -> str:
    """Why it is not alive, or why none of its services is in the answers."""
    if one["state"] != "alive" or one.get("maintenance") is None:
        return str(one["reason"])
    return f"maintenance: {one['maintenance']}" if one["maintenance"] else "maintenance"
