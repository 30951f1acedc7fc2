"""`gossipreg members`."""

from typing import Any

import click

from gossipreg.cli.complete import complete_zone
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_table, short_duration
from gossipreg.cli.synced import warn_if_partial

ID_SHOWN = 12
"""Hex digits of an id: enough to tell members apart; the JSON has all 32."""
STATES = ("alive", "suspect", "dead", "left")
"""The order in which members are listed."""


@click.command(
    epilog="""\b
    Example:
      gossipreg members
      gossipreg members --state suspect --state dead
    """
)
@click.option(
    "--state", "states", type=click.Choice(STATES), multiple=True, help="Only members in this state; repeatable."
)
@click.option("--zone", metavar="Z", shell_complete=complete_zone, help="Only members in this zone.")
@client_options
@pass_chosen
def members(chosen: Chosen, states: tuple[str, ...], zone: str | None) -> None:
    """List the members of the cluster as this sidecar sees them: itself first, marked with *, then by state and name.

    VERSION is the release that a member runs, KEYS are fingerprints of the keys that it opens, LABELS are from --label.
    """
    with chosen.client() as client:
        every = client.call_paged("members", key="id")
    warn_if_partial(every, "members")
    found = [one for one in every if (not states or one["state"] in states) and (zone is None or one["zone"] == zone)]
    found.sort(key=_place)
    if chosen.json:
        print_json(found)
        return
    print_table(
        ("NAME", "ID", "ADDRESS", "STATE", "SINCE", "ZONE", "RTT", "SERVICES", "VERSION", "KEYS", "LABELS", "WHY"),
        (
            (
                f"{one['name']} *" if one.get("me") else one["name"],
                one["id"][:ID_SHOWN],
                one["address"],
                one["state"],
                short_duration(one["since_s"]),
                one["zone"],
                None if one["rtt_ms"] is None else f"{one['rtt_ms']:.1f}ms",
                one["services"],
                one.get("software"),
                ",".join(one.get("keys") or ()),
                ",".join(f"{key}={text}" for key, text in one["labels"].items()),
                _why(one),
            )
            for one in found
        ),
    )


def _place(one: dict[str, Any]) -> tuple[bool, int, str, str]:
    state = one["state"]
    return not one.get("me"), STATES.index(state) if state in STATES else len(STATES), one["name"], one["id"]


def _why(one: dict[str, Any]) -> str:
    """Why this member is not alive, or why none of its services is in the answers."""
    if one["state"] != "alive" or one.get("maintenance") is None:
        return str(one["reason"])
    return f"maintenance: {one['maintenance']}" if one["maintenance"] else "maintenance"
