"""`gossipreg reload`."""

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line, printable

TIMEOUT_S = 60.0
"""A key file may be a pipe, and services are written to the disk one after the other."""


@click.command(
    epilog="""\b
    Example:
      gossipreg reload
    """
)
@click.option("--allow-empty", is_flag=True, help="Take all out where the services file names none any more.")
@client_options
@pass_chosen
def reload(chosen: Chosen, allow_empty: bool) -> None:
    """Have the sidecar read its files again, as SIGHUP does, and say what it read.

    Keys, the services file, tokens and the file of --config. What cannot be read is an error (exit code 4); then what
    was read before stays in use, and `info` shows it until it is mended.
    """
    with chosen.client(TIMEOUT_S) as client:
        found = client.call("reload", **({"allow_empty": True} if allow_empty else {}))
    if chosen.json:
        print_json(found)
        return
    for name, fields in found.items():
        print_line(f"{printable(name)}: " + ", ".join(f"{key} {printable(value)}" for key, value in fields.items()))
    if not found:
        print_line("nothing to read again: no key file, no services file, no file of options")
