"""`gossipreg journal`: the journals of which this sidecar has a copy."""

from typing import Any

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line, print_table, printable

ID_SHOWN = 12
"""Hex digits of an id: enough to tell journals apart; the JSON has all 32."""


@click.command(
    epilog="""\b
    Example:
      gossipreg journal list
      gossipreg journal show 3f9c
    """
)
@click.argument("what", type=click.Choice(["list", "show"]))
@click.argument("id", required=False, metavar="[ID]")
@client_options
@pass_chosen
def journal(chosen: Chosen, what: str, id: str | None) -> None:
    """List the journals of which a copy is here, or show one by its ID, or the beginning of it.

    COPIES says how many disks hold all that is committed, as far as this sidecar knows: only who leads a journal does.
    """
    if what == "list":
        if id is not None:
            raise click.UsageError("`journal list` takes no ID: `journal show ID` shows one.")
        _list(chosen)
    elif id is None:
        raise click.UsageError("`journal show` needs an ID: `journal list` has them.")
    else:
        _show(chosen, id)


def _list(chosen: Chosen) -> None:
    with chosen.client() as client:
        found = client.call("journals")
    if chosen.json:
        print_json(found)
        return
    print_table(
        ("ID", "OWNER", "ROLE", "LEADER", "COPIES", "VOTERS", "BYTES"),
        (
            (
                one["id"][:ID_SHOWN], one["owner_name"], one["role"], one["leader_name"], one["copies"],
                _voters(one), one["bytes"],
            )
            for one in found
        ),
    )  # fmt: skip


def _show(chosen: Chosen, id: str) -> None:
    with chosen.client() as client:
        found = client.call("journal", id=id)
    if chosen.json:
        print_json(found)
        return
    lists = ("voters", "learners")
    width = max(len(name) for name in found if name not in lists)
    for name, value in found.items():
        if name not in lists:
            print_line(f"{printable(name):{width}}  {_shown(value)}")
    for name in lists:
        for one in found[name]:
            print_line(f"{name.removesuffix('s'):{width}}  {printable(one['name'])} {printable(one['state'])}")


def _voters(one: dict[str, Any]) -> str:
    return ", ".join(f"{voter['name']} {voter['state']}" for voter in one["voters"])


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else printable(value)
