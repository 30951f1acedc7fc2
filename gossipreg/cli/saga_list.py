"""`gossipreg saga list`: the sagas of all journals, the newest last."""

import time
from typing import TYPE_CHECKING, Any

import click

from gossipreg.cli.missing import say_missing
from gossipreg.cli.moments import PastMoment
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_table, say, short_duration
from gossipreg.cli.saga_asking import ANSWER_S

if TYPE_CHECKING:
    from gossipreg.client import Client

PAGE = 1000
ENDED = 500
"""Of those that have ended, without --limit and --since."""
STATES = ("running", "committed", "aborted", "ended", "stuck", "open")


NOT_ENDED = "`open` are all that have not ended; `committed` and `aborted` are decided, and are not finished yet."


@click.command(
    name="list",
    epilog="""\b
    Example:
      gossipreg saga list
      gossipreg saga list --state stuck
      gossipreg saga list --state ended --since 2h
    """,
)
@click.option("--state", type=click.Choice(STATES), help=f"Those alone. {NOT_ENDED}")
@click.option(
    "--since", metavar="MOMENT", type=PastMoment(),
    help="Without those that ended before: 8h (ago), 02:00, 2026-11-30T02:00.",
)  # fmt: skip
@click.option(
    "--limit", metavar="N", type=click.IntRange(1),
    help=f"The newest N alone (without --since: all that are open, and the {ENDED} that ended last).",
)  # fmt: skip
@client_options
@pass_chosen
def list_(chosen: Chosen, state: str | None, since: float | None, limit: int | None) -> int:
    """List the sagas of all journals: those that ended within the last day, then those that are open.

    The newest stands last. AGE is the time since the saga began; STUCK names the steps that a person should look at.
    Where sagas are missing, since a member did not answer or nobody leads a journal, the exit code is 4.
    """
    asked: dict[str, Any] = {} if state is None else {"state": state}
    if since is not None:
        asked["since_ms"] = max(0, int(since * 1000))
    listing = _Listing(limit, ENDED if limit is None and since is None else None)
    with chosen.client(ANSWER_S) as client:
        listing.ask(client, asked)
    found = [*reversed(listing.found.values())]
    if chosen.json:
        print_json(found)
    else:
        _print(found)
        if not found and state in ("committed", "aborted"):
            say(
                f"none is {state} and not finished yet: `--state ended` shows those that have ended, and their DECISION"
            )
    if listing.left_out:
        say("older sagas are left out: choose them by --since, or a larger --limit")
    return say_missing("sagas may be missing", listing.unanswered, json=chosen.json)


class _Listing:
    """What is found, the newest first, until it is as much as is wanted."""

    def __init__(self, most: int | None, most_ended: int | None) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        """By name: one that ends between two pages is on both."""
        self.unanswered: set[str] = set()
        self.left_out = False
        self._most = most
        self._ended_left = most_ended

    def ask(self, client: "Client", asked: dict[str, Any]) -> None:
        page_size = PAGE if self._most is None else min(PAGE, self._most + 1)
        after: dict[str, str] = {}
        while True:
            page = client.call("saga-list", limit=page_size, newest=True, **asked, **after)
            self.unanswered |= {*page["unanswered"]}
            self.left_out = not all(map(self._take, page["sagas"])) or (page["more"] and not page["next"])
            if self.left_out or not page["next"]:
                return
            after = {"after": page["next"]}

    def _take(self, one: dict[str, Any]) -> bool:
        """False: there is no room for it."""
        if one["saga"] in self.found:
            return True
        if len(self.found) == self._most:
            return False
        if self._ended_left is not None and one["state"] == "ended":
            if not self._ended_left:
                return False
            self._ended_left -= 1
        self.found[one["saga"]] = one
        return True


def _print(found: list[dict[str, Any]]) -> None:
    now_ms = time.time() * 1000
    print_table(
        ("NAME", "STATE", "DECISION", "STEPS", "AGE", "STUCK", "SAGA", "WHY"),
        (
            (
                one["name"], one["state"], one["decision"], one["steps"], _age(one["began"], now_ms),
                " ".join(one["stuck"]), one["saga"], _why(one),
            )
            for one in found
        ),
    )  # fmt: skip


def _why(one: dict[str, Any]) -> str:
    """Its reason, and that a person ended some of its steps: what the decision says is not the whole truth then."""
    skipped = "1 step" if one["skipped"] == 1 else f"{one['skipped']} steps"
    return "; ".join(filter(None, (one["reason"], f"{skipped} skipped by hand" if one["skipped"] else "")))


def _age(began_ms: int | None, now_ms: float) -> str:
    return "-" if not began_ms else short_duration(max(0.0, now_ms - began_ms) / 1000)
