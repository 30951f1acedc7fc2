"""`gossipreg events`: publish, subscribe, and look after what waits."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from gossipreg.cli.events_publish import publish
from gossipreg.cli.events_subscribe import subscribe, tail
from gossipreg.cli.missing import say_missing
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line, print_table, printable, say, say_error, short_duration

if TYPE_CHECKING:
    from gossipreg.client import Client

PAGE = 1000
ANSWER_S = 15.0
"""The sidecar asks all members that lead journals, and waits some seconds for them."""
INDEX = click.IntRange(0, 1 << 62)
SEE_GROUPS, SEE_DEAD = "see `gossipreg events groups`", "see `gossipreg events dead`"


@click.group(
    epilog="""\b
    Example: two programs of one group share the events, and each event is handled by one of them.
      gossipreg events subscribe 'order.*' --group mail --exec ./send-mail &
      gossipreg events publish order.created '{"id": 7}'
      gossipreg events groups
    """
)
@client_options
def events() -> None:
    """Publish events to other services, and see that they are handled."""


events.add_command(publish)
events.add_command(subscribe)
events.add_command(tail)


@events.command(
    epilog="""\b
    Example:
      gossipreg events groups
      gossipreg events groups --forget old-mail
    """
)
@click.option("--forget", metavar="GROUP", help="Forget this group, with all events that wait for it.")
@client_options
@pass_chosen
def groups(chosen: Chosen, forget: str | None) -> int:
    """List the groups that events are kept for, and how far behind each one is, over all journals.

    PENDING are events that it has not acknowledged, OLDEST is the age of the first of them, DEAD its dead letters. A
    group with no JOURNALS subscribes, was declared or is remembered, and no journal knows it yet: one does with the
    next event that is for it.
    """
    with chosen.client(ANSWER_S) as client:
        if forget is not None:
            result = client.call("events-forget", group=forget)
            if not result["count"]:
                nobody = f"no journal that is led, and no sidecar that runs, knows the group {forget!r}: {SEE_GROUPS}"
                return _report(chosen, result, "", nobody)
            return _report(chosen, result, "of the journals and sidecars forgot the group")
        found = client.call("events-groups")
    if chosen.json:
        print_json(found)
    else:
        print_table(
            ("GROUP", "PENDING", "OLDEST", "UNANSWERED", "DEAD", "INSTANCES", "JOURNALS", "PATTERNS"),
            (
                (
                    one["group"], one["pending"], "-" if one["oldest_s"] is None else short_duration(one["oldest_s"]),
                    one["unanswered"], one["dead"], one["instances"], len(one["journals"]), " ".join(one["patterns"]),
                )
                for one in found["groups"]
            ),
        )  # fmt: skip
    return _warn(chosen, found)


@events.command(
    epilog="""\b
    Example:
      gossipreg events dead --group mail
    """
)
@click.option("--group", metavar="GROUP", help="Of this group alone.")
@client_options
@pass_chosen
def dead(chosen: Chosen, group: str | None) -> int:
    """List dead letters: events that a group rejected, or failed to handle too often."""
    letters: list[dict[str, Any]] = []
    params: dict[str, Any] = {} if group is None else {"group": group}
    unknown = ""
    with chosen.client(ANSWER_S) as client:
        while True:
            found = client.call("events-dead", limit=PAGE, **params)
            letters += found["letters"]
            if len(found["letters"]) < PAGE:
                break
            last = letters[-1]
            params["after"] = [last["journal"], last["group"], last["index"]]
        if group is not None and not letters:
            unknown = _unknown(client, group)
    if chosen.json:
        print_json({"letters": letters, "unanswered": found["unanswered"]})
    else:
        print_table(
            ("GROUP", "TYPE", "ID", "KEY", "AGE", "ATTEMPTS", "JOURNAL", "INDEX", "WHY"),
            (
                (
                    one["group"], one["type"], one["id"], one["key"], short_duration(one["age_s"]), one["attempts"],
                    one["journal"], one["index"], one["reason"] + (" (holds its key)" if one["holds"] else ""),
                )
                for one in letters
            ),
        )  # fmt: skip
    return _warn(chosen, found, unknown)


@events.command(
    epilog="""\b
    Example:
      gossipreg events trace 5f0c2a
    """
)
@click.argument("correlation")
@client_options
@pass_chosen
def trace(chosen: Chosen, correlation: str) -> int:
    """Show what followed from an event: everything that was handled with its CORRELATION id, as a tree.

    Each sidecar remembers the last 10,000 events that were handled beside it, until it ends. Where one does not answer,
    or is dead, it is named, and the exit code is 4. Journals are not asked: `gossipreg events groups` tells what waits.
    """
    with chosen.client(ANSWER_S) as client:
        found = client.call("events-trace", correlation=correlation)
    if chosen.json:
        print_json(found)
    else:
        for depth, one in _tree(found["handled"]):
            took = f"{one['seconds'] * 1000:.1f}ms"
            print_line(
                f"{'  ' * depth}{printable(one['type'])} {printable(one['id'])} {printable(one['group'])}@"
                f"{printable(one['member'])} {one['result']} attempt={one['attempt']} {took}"
            )
        if found["left_out"]:
            say(f"{found['left_out']} more had no room in the answer")
    whoever = "sidecar that answered" if found["unanswered"] else "sidecar"
    nothing = f"no {whoever} remembers that an event with the id or correlation {printable(correlation)!r} was handled"
    return _warn(chosen, found, "" if found["handled"] else nothing)


def _tree(handled: list[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(depth, what was handled): each behind the event that caused it."""
    below: dict[str, list[dict[str, Any]]] = {}
    ids = {one["id"] for one in handled}
    for one in handled:
        below.setdefault(one["causation"] if one["causation"] in ids - {one["id"]} else "", []).append(one)
    shown: set[str] = set()
    waiting = [(0, one) for one in reversed(below.get("", []))]
    while waiting:
        depth, one = waiting.pop()
        yield depth, one
        if one["id"] not in shown:
            shown.add(one["id"])
            waiting += [(depth + 1, caused) for caused in reversed(below.get(one["id"], []))]


def _letter_options(command: Any) -> Any:
    for option in (
        click.option("--index", metavar="N", type=INDEX, help="This event alone; needs --journal."),
        click.option("--journal", metavar="ID", help="In this journal alone."),
        click.option("--group", metavar="GROUP", required=True, help="The group whose dead letters are meant."),
    ):
        command = option(command)
    return command


@events.command(
    epilog="""\b
    Example:
      gossipreg events retry --group mail
    """
)
@_letter_options
@client_options
@pass_chosen
def retry(chosen: Chosen, group: str, journal: str | None, index: int | None) -> int:
    """Deliver dead letters once more, from their first attempt on."""
    return _decide(chosen, "events-retry", _meant(group, journal, index), "dead letters go out again")


@events.command(
    epilog="""\b
    Example:
      gossipreg events drop --group mail --journal 5f2c... --index 4096
    """
)
@_letter_options
@client_options
@pass_chosen
def drop(chosen: Chosen, group: str, journal: str | None, index: int | None) -> int:
    """Throw dead letters away."""
    return _decide(chosen, "events-drop", _meant(group, journal, index), "dead letters are gone")


def _meant(group: str, journal: str | None, index: int | None) -> dict[str, Any]:
    if index is not None and journal is None:
        raise click.UsageError("--index needs --journal: the index names an event in its journal.")
    given = {"group": group, "journal": journal, "index": index}
    return {name: value for name, value in given.items() if value is not None}


def _decide(chosen: Chosen, method: str, meant: dict[str, Any], what: str) -> int:
    """A group without dead letters is nothing wrong; one that nobody knows, or a letter that is not there, is."""
    with chosen.client(ANSWER_S) as client:
        result = client.call(method, **meant)
        wrong = ""
        if not result["count"]:
            named = "index" in meant or "journal" in meant
            wrong = _unknown(client, meant["group"]) or (f"no such dead letter is there: {SEE_DEAD}" if named else "")
    return _report(chosen, result, what, wrong)


def _unknown(client: "Client", group: str) -> str:
    """What to say if this group is in no journal; else nothing."""
    if any(one["group"] == group for one in client.call("events-groups")["groups"]):
        return ""
    return f"no journal that is led knows the group {group!r}: {SEE_GROUPS}"


def _report(chosen: Chosen, result: dict[str, Any], what: str, wrong: str = "") -> int:
    """`wrong`: why nothing was done."""
    if chosen.json:
        print_json(result)
    elif not wrong:
        print_line(f"{result['count']} {what}")
    return _warn(chosen, result, wrong, "not done everywhere")


def _warn(
    chosen: Chosen, result: dict[str, Any], wrong: str = "", what: str = "a part of the answer is missing"
) -> int:
    """The exit code: 4 where a member did not answer, or nobody leads a journal that was asked for, and so a part is
    missing; 1 where something is `wrong`."""
    if wrong:
        say_error("not_found", wrong, json=chosen.json)
    return say_missing(what, result["unanswered"], json=chosen.json) or (1 if wrong else 0)
