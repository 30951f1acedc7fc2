"""`gossipreg keygen`."""

import os
from binascii import b2a_base64

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line

KEY_BYTES = 32


@click.command(
    epilog="""\b
    Example:
      (umask 077; gossipreg keygen >cluster.key)
      gossipreg join --key-file cluster.key --bind 0.0.0.0:7940
    """
)
@client_options
@pass_chosen
def keygen(chosen: Chosen) -> None:
    """Print a new cluster key: 32 random bytes in base64. Every member needs it."""
    key = b2a_base64(os.urandom(KEY_BYTES), newline=False).decode()
    if chosen.json:
        print_json({"key": key})
    else:
        print_line(key)
