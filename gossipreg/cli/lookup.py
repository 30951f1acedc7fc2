"""`gossipreg lookup NAME`: where the instances of a service are."""

from typing import Any

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import address_of, print_json, print_line, printable, say, short_duration
from gossipreg.cli.synced import ask_when_synced, timeout_option, warn_if_partial


@click.command(
    epilog="""\b
    Example:
      gossipreg lookup billing --tag v2 --near
      curl http://$(gossipreg lookup --one billing)/
    """
)
@click.argument("name")
@click.option("--tag", "tags", metavar="T", multiple=True, help="Only those with this tag; repeatable: with all.")
@click.option(
    "--all",
    "all_",
    is_flag=True,
    help="Also those that do not pass, or whose member is dead, each with its health, and why.",
)
@click.option("--near", is_flag=True, help="Nearest first, by round trip.")
@click.option("--zone", metavar="Z", help="Only those in this zone.")
@click.option("--one", is_flag=True, help="Only the first.")
@timeout_option
@client_options
@pass_chosen
def lookup(
    chosen: Chosen, name: str, tags: tuple[str, ...], all_: bool, near: bool, zone: str | None, one: bool,
    timeout: float,
) -> int:  # fmt: skip
    """Print where NAME is: `address:port` a line. Exit code 1 where no instance passes, 4 where the sidecar is not
    synced yet and so cannot tell."""
    params = {"tags": list(tags), "all": all_, "near": near, "zone": zone}
    given = {key: value for key, value in params.items() if value}
    with chosen.client() as client:
        instances = ask_when_synced(lambda: client.call("lookup", name=name, **given), timeout)
    if one:
        del instances[1:]
    if chosen.json:
        print_json(instances)
    else:
        for instance in instances:
            print_line(address_of(instance) + (f" {printable(instance['health'])}{_why(instance)}" if all_ else ""))
    if any(instance["stale"] for instance in instances):
        say("Warning: this sidecar hears no other member: these are the instances known last, and may be gone")
    warn_if_partial(instances, "instances")
    if not instances and not chosen.json:
        say(f"no {'' if all_ else 'passing '}instance of {printable(name)}")
    return 0 if instances else 1


def _why(instance: dict[str, Any]) -> str:
    """What its checks say, where it is registered with this sidecar; else with which one, since others do not know."""
    if "since_s" in instance:
        return f"  {printable(instance['reason'])}, for {short_duration(instance['since_s'])}"
    if instance["health"] == "maintenance":
        return f"  {printable(instance['reason'])}" if instance.get("reason") else ""
    if "checks" not in instance:
        return "" if instance["health"] == "passing" else f"  registered at {printable(instance['node_name'])}"
    failing = [one for one in instance["checks"] if one["health"] != "passing"]
    return "".join(f"  {printable(one['check'])}: {printable(one['output'])}" for one in failing)
