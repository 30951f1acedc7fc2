"""`gossipreg reload`."""

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line, printable

TIMEOUT_S = 60.0
"""The wait for an answer: a key file may be a pipe, and services are written to the disk one after the other."""


@click.command(
    epilog="""\b
    Example:
      gossipreg reload
    """
)
@click.option("--allow-empty", is_flag=True, help="Take all services out if the services file names none any more.")
@client_options
@pass_chosen
def reload(chosen: Chosen, allow_empty: bool) -> None:
    """Make the sidecar read its files again, as SIGHUP does, and show what it read.

    The files are the keys, the services file, the tokens and the file of --config. A file that cannot be read is an
    error (exit code 4). What was read from it before stays in use, and `info` shows the error until the file is mended.
    """
    with chosen.patient_client(TIMEOUT_S) as client:
        found = client.call("reload", **({"allow_empty": True} if allow_empty else {}))
    if chosen.json:
        print_json(found)
        return
    for name, fields in found.items():
        print_line(f"{printable(name)}: " + ", ".join(f"{key} {printable(value)}" for key, value in fields.items()))
    if not found:
        print_line("nothing to read again: there is no key file, services file, token file or file of --config")
