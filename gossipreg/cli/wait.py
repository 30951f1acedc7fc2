"""`gossipreg wait NAME` and `gossipreg wait --synced`."""

import time
from typing import TYPE_CHECKING, Any

import click

from gossipreg.cli.complete import complete_service
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, printable, say
from gossipreg.cli.units import Duration
from gossipreg.errors import Busy, Unreachable

if TYPE_CHECKING:
    from gossipreg.client import Client

POLL_S = 0.05
"""`synced` has no notification; a question takes the sidecar some ten microseconds."""
ANSWER_S = 1.0
"""A sidecar that is alive answers within this, even on a busy machine and with no time left."""


@click.command(
    epilog="""\b
    Example:
      gossipreg wait billing --count 3 --timeout 30s
      gossipreg wait --synced --timeout 10s
    """
)
@click.argument("name", required=False, shell_complete=complete_service)
@click.option("--count", metavar="N", type=click.IntRange(1), default=1, help="The number of passing instances (1).")
@click.option("--timeout", metavar="DURATION", type=Duration(), default="1m", help="Give up after this (1m).")
@click.option("--synced", is_flag=True, help="Until this sidecar is synced: holds what its peers hold.")
@client_options
@pass_chosen
def wait(chosen: Chosen, name: str | None, count: int, timeout: float, synced: bool) -> int:
    """Return when NAME has enough passing instances. Exit code 1 if the time is up before that.

    A sidecar that is only starting is waited for too, and one that restarts meanwhile. Exit code 3 where none answers
    when the time is up.
    """
    if name is None and not synced:
        raise click.UsageError("Missing argument 'NAME', or --synced.")
    deadline = time.monotonic() + timeout
    while True:
        try:
            return _wait_at(chosen, name, count, synced, timeout, deadline)
        except (Unreachable, Busy):
            rest_s = deadline - time.monotonic()
            if rest_s <= 0:
                raise
            time.sleep(min(POLL_S, rest_s))


def _wait_at(
    chosen: Chosen, name: str | None, count: int, synced: bool, timeout_s: float, deadline: float
) -> int:  # fmt: skip
    """Wait at the sidecar that answers now. Raises Unreachable if none answers, or if it ends."""
    answer_s = max(ANSWER_S, deadline - time.monotonic())  # a sidecar that hangs must not hold us longer
    with chosen.client(answer_s) as client:
        if synced and not _wait_until_synced(client, deadline):
            if chosen.json:
                print_json({"synced": False})
            else:
                say(f"this sidecar is not synced with the cluster after {timeout_s:g}s: `gossipreg info` says why")
            return 1
        passing, but = (count, "") if name is None else _wait_for_passing(client, name, count, deadline)
    if chosen.json:
        partial = {"partial": True} if but else {}
        print_json({"synced": True} if name is None else {"name": name, "passing": passing, **partial})
    elif passing < count:
        say(f"{passing} of {count} passing instances of {printable(name)} after {timeout_s:g}s{but}")
    return 1 if passing < count else 0


def _wait_until_synced(client: "Client", deadline: float) -> bool:
    while not client.call("info")["synced"]:
        rest_s = deadline - time.monotonic()
        if rest_s <= 0:
            return False
        time.sleep(min(POLL_S, rest_s))
    return True


def _wait_for_passing(client: "Client", name: str, count: int, deadline: float) -> tuple[int, str]:
    """The number of passing instances, as soon as it is `count` or when the time is up; and a note to add to it."""
    passing: dict[tuple[str, str], bool] = {}

    def note(instance: dict[str, Any], there: bool) -> None:
        passing[instance["node"], instance["id"]] = there and instance["health"] == "passing"

    with client.watch(name) as changes:
        partial = bool(changes.not_synced_because)
        while (change := changes.next_within(max(0.0, deadline - time.monotonic()))) is not None:
            if change["kind"] == "current":
                partial = "partial" in change
                passing.clear()
                for instance in change["instances"]:
                    note(instance, True)
            else:
                note(change["instance"], change["kind"] != "removed")
            if sum(passing.values()) >= count:
                break
    but = "; this sidecar is not synced, so there may be more (`gossipreg info` says why)" if partial else ""
    return sum(passing.values()), but
