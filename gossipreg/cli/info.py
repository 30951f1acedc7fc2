"""`gossipreg info`."""

from typing import Any

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line, printable


@click.command(
    epilog="""\b
    Example:
      gossipreg info --json | jq .synced
    """
)
@client_options
@pass_chosen
def info(chosen: Chosen) -> None:
    """Say how this sidecar is: its id, whether it is in step, members, health, counters."""
    with chosen.client() as client:
        found = client.call("info")
    if chosen.json:
        print_json(found)
        return
    counters = [name for value in found.values() if isinstance(value, dict) for name in value]
    width = max(map(len, [*found, *counters]), default=0)
    for key, value in found.items():
        if not isinstance(value, dict):
            print_line(f"{printable(key):{width}}  {_shown(value)}")
    for key, value in found.items():
        if isinstance(value, dict):
            print_line(f"{printable(key)}:")
            for name in sorted(value):
                print_line(f"  {printable(name):{width}}  {_shown(value[name])}")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return printable(", ".join(map(str, value)))
    if isinstance(value, float):
        return f"{value:.3f}"
    return printable(value)
