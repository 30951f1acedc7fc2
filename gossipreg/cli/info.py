"""`gossipreg info`."""

from typing import Any

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line, printable, short_duration
from gossipreg.drops import meaning

LISTED = ("troubles", "not_alive", "failing_checks", "maintenance", "operations")
"""Fields shown one item a line: operations at the end, the others as troubles at the beginning."""


@click.command(
    epilog="""\b
    Example:
      gossipreg info --json | jq .synced
    """
)
@client_options
@pass_chosen
def info(chosen: Chosen) -> None:
    """Show the state of this sidecar: what is wrong first, then its id, whether it is synced, members, counters.

    Each counter that begins with `drop.` names a reason for which something was dropped, and says what it means.
    """
    with chosen.client() as client:
        found = client.call("info")
    if chosen.json:
        print_json(found)
        return
    for line in _troubles(found):
        print_line(line)
    counters = [name for value in found.values() if isinstance(value, dict) for name in value]
    width = max(map(len, [*found, *counters]), default=0)
    for key, value in found.items():
        if not isinstance(value, dict) and key not in LISTED:
            print_line(f"{printable(key):{width}}  {_shown(value)}")
    for key, value in found.items():
        if isinstance(value, dict) and key not in LISTED:
            print_line(f"{printable(key)}:")
            for name, shown in _flat(value):
                print_line(f"  {printable(name):{width}}  {_shown(shown):6}  {_meaning(name)}".rstrip())
    if operations := found.get("operations"):
        print_line("operations:")
        for one in operations:
            print_line(f"  {short_duration(one['ago_s'])} ago  {_operation(one)}")


def _operation(one: dict[str, Any]) -> str:
    """One line: the verb, its target, and the user."""
    who = "a TCP client" if one["uid"] is None else f"user {one['uid']} (pid {one['pid']})"
    return f"{printable(one['verb'])} {printable(one['target'])}  {who} over {printable(one['via'])}"


def _troubles(found: dict[str, Any]) -> list[str]:
    """What is wrong: it comes first, for an operator in a hurry."""
    lines = []
    if found.get("alone"):
        lines.append("! isolated: nothing arrives from any other member, the answers are those known last")
    if not found.get("synced", True) or found.get("not_synced_because"):
        lines.append(f"! {_not_synced(found)}")
    lines += [f"! {printable(one['message'])} (for {_since(one)})" for one in found.get("troubles", ())]
    for one in found.get("maintenance", ()):
        id, why = printable(one["service"]), f": {printable(one['reason'])}" if one["reason"] else ""
        what, end = ("this sidecar", "") if one["service"] is None else (f"the service {id}", f" --service {id}")
        lines.append(f"! {what} is in maintenance{why}; `gossipreg maint --off{end}` ends it")
    for one in found.get("not_alive", ()):
        why = f": {printable(one['reason'])}" if one["reason"] else ""
        lines.append(
            f"! {printable(one['name'])} {one['address'] or '(no known address)'} {one['state']} for {_since(one)}{why}"
        )
    lines += [
        f"! {printable(one['service'] or 'this sidecar')} {one['health']} for {_since(one)}: "
        f"{printable(one['check'])}: {printable(one['output'])}"
        for one in found.get("failing_checks", ())
    ]
    return lines


def _not_synced(found: dict[str, Any]) -> str:
    because = printable(found.get("not_synced_because") or "this sidecar is of an older release and does not say why")
    if found.get("knowledge") == "last_known":
        return f"not synced: {because}; the answers are those known last"
    return f"not synced: {because}; only what is registered here is known"


def _meaning(counter: str) -> str:
    return meaning(counter.removeprefix("drop.")) if counter.startswith("drop.") else ""


def _since(one: dict[str, Any]) -> str:
    return short_duration(one["since_s"])


def _flat(section: dict[str, Any]) -> list[tuple[str, Any]]:
    """A section's items in the order of their names; what is a map itself has its items at the end."""
    items = [(name, value) for name, value in sorted(section.items()) if not isinstance(value, dict)]
    for name, value in sorted(section.items()):
        if isinstance(value, dict):
            items += [(f"{name} {key}", value[key]) for key in sorted(value)]
    return items


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{printable(name)} {_shown(one)}" for name, one in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return printable(", ".join(map(str, value)))
    if isinstance(value, float):
        return f"{value:.3f}"
    return printable(value)
