"""`gossipreg journal`: the journals of which this sidecar has a copy."""

from typing import Any

import click

from gossipreg.cli.exit_codes import USAGE
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line, print_table, printable, say

ID_SHOWN = 12
"""Hex digits of an id: enough to tell journals apart; the JSON has all 32."""


@click.command(
    epilog="""\b
    Example:
      gossipreg journal list
      gossipreg journal show 3f9c
      gossipreg journal recover 3f9c --yes
    """
)
@click.argument("what", type=click.Choice(["list", "show", "recover"]))
@click.argument("id", required=False, metavar="[ID]")
@click.option("--yes", is_flag=True, help="With `recover`: do it, though something may be missing afterwards.")
@client_options
@pass_chosen
def journal(chosen: Chosen, what: str, id: str | None, yes: bool) -> int:
    """List the journals of which a copy is here, or show one by its ID, or the beginning of it.

    COPIES says how many disks hold all that is committed, as far as this sidecar knows: only who leads a journal does.

    `recover` makes the copy here the only voter of a journal whose other voters are gone for good. What they had
    acknowledged and this copy does not have is lost then. Without --yes it only says what may be missing.
    """
    if yes and what != "recover":
        raise click.UsageError(f"--yes is for `journal recover`: `journal {what}` changes nothing.")
    if what == "list":
        if id is not None:
            raise click.UsageError("`journal list` takes no ID: `journal show ID` shows one.")
        _list(chosen)
    elif id is None:
        raise click.UsageError(f"`journal {what}` needs an ID: `journal list` has them.")
    elif what == "show":
        _show(chosen, id)
    else:
        return _recover(chosen, id, yes)
    return 0


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


def _recover(chosen: Chosen, id: str, yes: bool) -> int:
    """Without `yes` nothing is done, and the exit code says so."""
    with chosen.client() as client:
        found = client.call("journal-recover", id=id, yes=yes)
    if chosen.json:
        print_json(found)
    else:
        voters = ", ".join(printable(one["name"]) for one in found["voters"])
        short, index, uncertain = found["id"][:ID_SHOWN], found["index"], found["uncertain"]
        say(
            f"journal {short}, whose voters {'were' if yes else 'are'} {voters}: what others acknowledged behind entry"
            f" {index} is missing, and {uncertain} entries count that may never have been acknowledged"
        )
        say(
            "recovered: this copy is the only voter, leads in a moment, and gets other copies where members take some"
            if yes
            else "nothing was done: add --yes if the other voters are gone for good"
        )
    return 0 if yes else USAGE


def _voters(one: dict[str, Any]) -> str:
    return ", ".join(f"{voter['name']} {voter['state']}" for voter in one["voters"])


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else printable(value)
