"""`gossipreg watch [NAME]`."""

from typing import Any

import click

from gossipreg.cli.again import RETRIED, Again
from gossipreg.cli.complete import complete_service
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import address_of, flush, print_json, print_line, printable, say
from gossipreg.cli.quiet_sidecar import QuietSidecar
from gossipreg.cli.while_read import sleep_while_read


@click.command(
    epilog="""\b
    Example:
      gossipreg watch billing
      gossipreg watch --json | jq .kind
    """
)
@click.argument("name", required=False, shell_complete=complete_service)
@client_options
@pass_chosen
def watch(chosen: Chosen, name: str | None) -> None:
    """Print the instances of NAME, or of all services, then each change as it comes.

    When the sidecar restarts, the watch goes on and shows all instances again, kind "current". It does so too when a
    sidecar that was not synced becomes synced: the instances before were a part (`gossipreg docs answers`).
    """
    with chosen.client() as client:
        changes, again = client.watch(name), Again(sleep=sleep_while_read)
        quiet = QuietSidecar("the watch")
        while True:
            if changes.not_synced_because:
                say(f"this sidecar is not synced yet: {changes.not_synced_because}; the instances follow once it is")
            try:
                with changes:
                    while True:
                        while (change := changes.next_within(0)) is not None:
                            again.worked()
                            _show(chosen, change)
                        quiet.wait(changes, client.path)
            except RETRIED as error:
                say(f"{printable(error)}; the watch goes on as soon as a sidecar answers")
            changes = again.begin(lambda: client.watch(name))


def _show(chosen: Chosen, change: dict[str, Any]) -> None:
    if chosen.json:
        print_json(change)
    else:
        if change.get("partial"):
            say("Warning: this sidecar is not synced yet: there may be more instances")
        for instance in change["instances"] if change["kind"] == "current" else [change["instance"]]:
            print_line(_line(change["kind"], instance))
    flush()


def _line(kind: str, instance: dict[str, Any]) -> str:
    stale = " stale" if instance["stale"] else ""
    return (
        f"{printable(kind)} {printable(instance['service'])} {printable(instance['id'])} {address_of(instance)} "
        f"{printable(instance['health'])}{stale} node={printable(instance['node_name'])}"
    )
