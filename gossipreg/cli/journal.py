"""`gossipreg journal`: the journals of which this sidecar has a copy."""

from collections.abc import Iterable
from typing import Any

import click

from gossipreg.cli.exit_codes import REFUSED, USAGE
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line, print_table, printable, say, say_error

UNPROVEN = "unproven"
"""The role of a copy here that believes that it leads, and cannot prove it."""
RECOVER_S = 20.0
"""A sidecar that believes that it leads the journal asks the others first."""
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

    COPIES says how many disks hold all that is committed: only the leader of a journal knows it. ROLE `unproven`: this
    sidecar led the journal, and no majority of the voters confirms that now. Then the exit code is 4.

    `recover` makes the copy here the only voter of a journal whose other voters are gone for good. What they had
    acknowledged and this copy does not have is lost then. Without --yes it only says what may be missing.
    """
    if yes and what != "recover":
        raise click.UsageError(f"--yes is for `journal recover`: `journal {what}` changes nothing.")
    if what == "list":
        if id is not None:
            raise click.UsageError("`journal list` takes no ID: `journal show ID` shows one.")
        return _list(chosen)
    if id is None:
        raise click.UsageError(f"`journal {what}` needs an ID: `journal list` has them.")
    return _show(chosen, id) if what == "show" else _recover(chosen, id, yes)


def _list(chosen: Chosen) -> int:
    with chosen.client() as client:
        found = client.call("journals")
    if chosen.json:
        print_json(found)
        return _warn_of_unproven(chosen, found)
    print_table(
        ("ID", "OWNER", "ROLE", "LEADER", "COPIES", "VOTERS", "BYTES"),
        (
            (
                one["id"][:ID_SHOWN], _named(one["owner_name"], one["owner"]), one["role"],
                _named(one["leader_name"], one["leader"]), one["copies"], _voters(one), one["bytes"],
            )
            for one in found
        ),
    )  # fmt: skip
    return _warn_of_unproven(chosen, found)


def _show(chosen: Chosen, id: str) -> int:
    with chosen.client() as client:
        found = client.call("journal", id=id)
    if chosen.json:
        print_json(found)
        return _warn_of_unproven(chosen, [found])
    lists = ("voters", "learners")
    width = max(len(name) for name in found if name not in lists)
    for name, value in found.items():
        if name not in lists:
            print_line(f"{printable(name):{width}}  {_shown(value)}")
    for name in lists:
        for one in found[name]:
            print_line(f"{name.removesuffix('s'):{width}}  {_voter(one)}")
    return _warn_of_unproven(chosen, [found])


def _warn_of_unproven(chosen: Chosen, found: Iterable[dict[str, Any]]) -> int:
    """The exit code: 4 where this sidecar cannot prove that it leads a journal."""
    unproven = [one["id"][:ID_SHOWN] for one in found if one["role"] == UNPROVEN]
    if not unproven:
        return 0
    text = (
        f"not proven that this sidecar still leads {', '.join(unproven)}: no majority of the voters confirms it, and"
        " another member may lead by now: ask again in a moment, or ask the sidecars of the other voters"
    )
    say_error("unavailable", text, json=chosen.json)
    return REFUSED


def _recover(chosen: Chosen, id: str, yes: bool) -> int:
    """Without `yes` nothing is done, and the exit code says so."""
    with chosen.client(RECOVER_S) as client:
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
    return ", ".join(map(_voter, one["voters"]))


def _voter(one: dict[str, Any]) -> str:
    return f"{_named(one['name'], one['node'])} {printable(one['state'])}"


def _named(name: str | None, id: str | None) -> str:
    """The name of a member. One that no member remembers has its id for a name, whose beginning is enough."""
    return f"{id[:ID_SHOWN]} (no name known)" if id is not None and name == id else printable(name)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else printable(value)
