"""`gossipreg lookup NAME`: where the instances of a service are."""

import os
from typing import Any

import click

from gossipreg.cli.complete import complete_service, complete_zone
from gossipreg.cli.empty import why_empty
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import address_of, print_json, print_line, printable, say, short_duration
from gossipreg.cli.synced import ask_when_synced, timeout_option, warn_if_partial
from gossipreg.weights import order_by_weight


@click.command(
    epilog="""\b
    Example:
      gossipreg lookup billing --tag v2 --near
      curl http://$(gossipreg lookup --one billing)/
    """
)
@click.argument("name", shell_complete=complete_service)
@click.option(
    "--tag", "tags", metavar="T", multiple=True, help="Only instances with this tag; repeatable: with all of them."
)
@click.option(
    "--all",
    "all_",
    is_flag=True,
    help="Also instances that do not pass, or whose member is dead, each with its health and the reason.",
)
@click.option("--near", is_flag=True, help="Nearest first, by round trip.")
@click.option("--zone", metavar="Z", shell_complete=complete_zone, help="Only instances in this zone.")
@click.option("--one", is_flag=True, help="Only one: chosen by weight, or the nearest with --near.")
@click.option("--sorted", "in_order", is_flag=True, help="Sorted by node and id, so the order is the same each time.")
@timeout_option
@client_options
@pass_chosen
def lookup(
    chosen: Chosen, name: str, tags: tuple[str, ...], all_: bool, near: bool, zone: str | None, one: bool,
    in_order: bool, timeout: float,
) -> int:  # fmt: skip
    """Print where NAME is: `address:port` a line, in random order by weight, so that callers share the instances.

    NAME may be in any case. Exit code 1 if no instance passes, with the reason on stderr; 4 if the sidecar is not
    synced yet and so cannot tell.
    """
    if near and in_order:
        raise click.UsageError("--near and --sorted are two orders: choose one.")
    params = {"tags": list(tags), "all": all_, "near": near, "zone": zone}
    given = {key: value for key, value in params.items() if value}
    why = ""
    with chosen.client() as client:
        instances = ask_when_synced(lambda: client.call("lookup", name=name, **given), timeout)
        if not instances and not chosen.json:
            why = why_empty(client, name, tags, zone, all_)
    if not (near or in_order):
        order = order_by_weight([instance["weight"] for instance in instances], _uniform)
        instances = [instances[at] for at in order]
    if one:
        del instances[1:]
    if chosen.json:
        print_json(instances)
    else:
        for instance in instances:
            print_line(address_of(instance) + (f" {printable(instance['health'])}{_why(instance)}" if all_ else ""))
    if any(instance["stale"] for instance in instances):
        why_stale = (
            "is not synced yet"
            if any(one.get("partial") for one in instances)
            else "receives nothing from other members"
        )
        say(f"Warning: this sidecar {why_stale}: these are the instances known last, and may be gone")
    else:
        warn_if_partial(instances, "instances")
    if why:
        say(why)
    return 0 if instances else 1


def _uniform() -> float:
    """A random number in [0, 1), without loading the module `random`, which takes longer than a lookup."""
    return (int.from_bytes(os.urandom(7), "big") >> 3) / (1 << 53)


def _why(instance: dict[str, Any]) -> str:
    """Why this instance does not pass: the output of its checks if it is registered with this sidecar, else the name of
    its own sidecar, which alone knows."""
    if "since_s" in instance:
        return f"  {printable(instance['reason'])}, for {short_duration(instance['since_s'])}"
    if instance["health"] == "maintenance":
        return f"  {printable(instance['reason'])}" if instance.get("reason") else ""
    if "checks" not in instance:
        return "" if instance["health"] == "passing" else f"  registered at {printable(instance['node_name'])}"
    failing = [one for one in instance["checks"] if one["health"] != "passing"]
    return "".join(f"  {printable(one['check'])}: {printable(one['output'])}" for one in failing)
