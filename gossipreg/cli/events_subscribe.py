"""`gossipreg events subscribe PATTERN --group G [--exec CMD]` and `gossipreg events tail PATTERN`.

One JSON line an event, acknowledged once it is written. With --exec the event goes to a command instead: its data on
stdin, its attributes in the environment, and it is acknowledged when the command ends with 0.
"""

import json
from base64 import b64encode
from contextlib import nullcontext, suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from gossipreg.cli.again import RETRIED, Again
from gossipreg.cli.event_command import command_fault, ended_by_signals, run_command
from gossipreg.cli.exit_codes import UNREACHABLE
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import flush, print_line, printable, say, say_error
from gossipreg.cli.quiet_sidecar import QuietSidecar
from gossipreg.cli.units import Duration
from gossipreg.cli.unwritten_events import UnwrittenEvents
from gossipreg.cli.while_read import sleep_while_read
from gossipreg.errors import BadParams, Unreachable
from gossipreg.strict_json import json_text

if TYPE_CHECKING:
    from gossipreg.client.event_stream import EventStream

RENEWALS = 3
"""In one ack timeout, while a command runs, or the output does not take a line."""
ACK_TIMEOUT_S = 30.0
LEAVE_S = 5.0
"""How long the end waits for the sidecar. One that is alive answers within this, even on a busy machine."""


@click.command(
    epilog="""\b
    Example:
      gossipreg events subscribe 'order.*' --group audit >> orders.jsonl
      gossipreg events subscribe order.created --group mail --exec './send-mail "$EVENT_ID"'
    """
)
@click.argument("patterns", metavar="PATTERN...", nargs=-1, required=True)
@click.option("--group", metavar="G", required=True, help="Each event goes to one subscriber of the group.")
@click.option("--exec", "command", metavar="CMD", help="Run this line of shell for each event.")
@click.option("--on-dead", type=click.Choice(("go_on", "hold")), help="Does a dead letter hold its key? (go_on)")
@click.option("--max-attempts", metavar="N", type=click.IntRange(1, 10_000), help="Before a dead letter (10).")
@click.option("--past", is_flag=True, default=None, help="A new group begins with the events that are kept.")
@click.option("--count", metavar="N", type=click.IntRange(1), help="End after so many events.")
@click.option("--timeout", metavar="DURATION", type=Duration(), help="End with 1 if no event comes for so long.")
@client_options
@pass_chosen
def subscribe(
    chosen: Chosen, /, patterns: tuple[str, ...], command: str | None, count: int | None, timeout: float | None,
    **given: Any,
) -> int:  # fmt: skip
    """Print the events whose type a PATTERN means, one JSON line each, and acknowledge each when it is written.

    In a pattern, * is one word of a type, and > at the end is the rest: order.*, order.>

    With --exec a command gets the data on stdin, and the attributes as EVENT_ID, EVENT_SOURCE, EVENT_TYPE, EVENT_KEY,
    EVENT_SUBJECT, EVENT_TIME, EVENT_CONTENT_TYPE, EVENT_GROUP, EVENT_ATTEMPT, EVENT_JOURNAL, EVENT_INDEX and
    EVENT_EXTENSION_NAME. If it ends with 0 the event is acknowledged, else it comes again.
    """
    if command is not None and not command.strip():
        raise click.UsageError("--exec is empty: give a command, or leave it out to print the events.")
    if command is not None and (fault := command_fault(command)):
        raise BadParams(f"--exec: {fault}")
    params = {name: value for name, value in given.items() if value is not None}
    params |= {"pattern": list(patterns), "ack_timeout": ACK_TIMEOUT_S, "window": 1 if command else 64}
    with ended_by_signals() if command else nullcontext():
        return _follow(chosen, params, command, count, timeout)


@click.command(
    epilog="""\b
    Example:
      gossipreg events tail 'order.>'
    """
)
@click.argument("patterns", metavar="PATTERN...", nargs=-1, required=True)
@click.option("--count", metavar="N", type=click.IntRange(1), help="End after so many events.")
@click.option("--timeout", metavar="DURATION", type=Duration(), help="End with 1 if no event comes for so long.")
@client_options
@pass_chosen
def tail(chosen: Chosen, patterns: tuple[str, ...], count: int | None, timeout: float | None) -> int:
    """Show events from now on, as they are published, without being one of those that handle them. Best effort."""
    return _follow(chosen, {"pattern": list(patterns), "broadcast": True}, None, count, timeout)


def _follow(
    chosen: Chosen, params: dict[str, Any], command: str | None, count: int | None, timeout_s: float | None
) -> int:
    came = handled = 0
    stream = _subscribe(chosen, params)
    again = Again(sleep=None if command else sleep_while_read)
    quiet = QuietSidecar("the subscription", while_read=command is None)
    while True:
        try:
            with stream, UnwrittenEvents(stream, ACK_TIMEOUT_S / RENEWALS) as held:
                while count is None or came < count:
                    found = _next(stream, held, quiet, timeout_s)
                    if found is None:
                        none_came = _none_came(timeout_s, came, None if command is None else handled)
                        return _say_none_came(chosen, stream, held, none_came)
                    what, given = found
                    if what == "event":
                        if command is not None:
                            handled += _run(stream, given, command)
                        else:
                            _print(held, given)
                        came += 1
                    again.worked()
                _leave(stream, held)
                return 0
        except RETRIED as error:
            say(f"{printable(error)}; the subscription goes on as soon as a sidecar answers")
        stream = again.begin(lambda: _subscribe(chosen, params))


def _subscribe(chosen: Chosen, params: dict[str, Any]) -> "EventStream":
    """Say what the subscription waits for, if the sidecar cannot pass it on yet."""
    stream = chosen.client().subscribe(**params)
    if because := stream.not_synced_because:
        say(f"this sidecar is not synced yet: {printable(because)}; what other members publish comes once it is")
    return stream


def _none_came(timeout_s: float | None, came: int, handled: int | None) -> str:
    """What to say when the time is up. `handled`: by the command; None without one. An event that comes again because
    the command failed counts again."""
    if not came:
        return f"no event came within {timeout_s:g} s"
    by_command = "" if handled is None else f", the command handled {handled or 'none'}"
    return f"no other event came within {timeout_s:g} s: {came} came before{by_command}"


def _say_none_came(chosen: Chosen, stream: "EventStream", held: UnwrittenEvents, none_came: str) -> int:
    """The exit code. A sidecar that does not even answer the end of the subscription could not give any event."""
    with suppress(*RETRIED):
        if not _leave(stream, held):
            say_error(Unreachable.code, f"the sidecar on {stream.path} does not answer: {none_came}", json=chosen.json)
            return UNREACHABLE
    say(none_came)
    return 1


def _next(
    stream: "EventStream", held: UnwrittenEvents, quiet: QuietSidecar, timeout_s: float | None
) -> tuple[str, dict[str, Any]] | None:  # fmt: skip
    """As `held.next`. Raises ReaderGone as soon as nobody can read what would be printed."""
    until = inf if timeout_s is None else monotonic() + timeout_s
    while (found := held.next(0)) is None and not stream.has_left:
        if not quiet.wait(stream, stream.path, None if timeout_s is None else max(0.0, until - monotonic())):
            return None
    return found


def _leave(stream: "EventStream", held: UnwrittenEvents) -> bool:
    """Give back what came and is not wanted any more, and wait until the sidecar has read that. False: it has not
    answered."""
    stream.leave()
    while (found := held.next(LEAVE_S)) is not None:
        what, given = found
        if what == "event" and given["delivery"]:
            stream.tell("give_back", delivery=given["delivery"])
    if stream.has_left:
        stream.finish(LEAVE_S)
    return stream.has_left


def _print(held: UnwrittenEvents, given: dict[str, Any]) -> None:
    with held.written(given["delivery"]) if given["delivery"] else nullcontext():
        print_line(event_line(given))
        flush()


def event_line(given: dict[str, Any]) -> str:
    """The event as one JSON object: CloudEvents' form, with what the sidecar says of the delivery. Data that is JSON is
    the text that was published."""
    event = given["event"]
    found: dict[str, Any] = {"specversion": "1.0"}
    found |= {
        name: event[name] for name in ("id", "source", "type", "subject", "time", "datacontenttype") if event[name]
    }
    found |= event["extensions"]
    found["gossipreg"] = {name: given[name] for name in ("group", "attempt", "journal", "index")}
    data = "" if event["data"] is None else f", {_data(event['data'], event['datacontenttype'])}"
    return f"{json.dumps(found)[:-1]}{data}}}"


def _data(data: bytes, kind: str) -> str:
    """The name and the value of it in an object."""
    kind = kind.partition(";")[0].strip().lower()
    try:
        if kind in ("", "application/json", "text/json") or kind.endswith("+json"):
            return f'"data": {json_text(data)}'
        if kind.startswith("text/"):
            return f'"data": {json.dumps(data.decode())}'
    except (ValueError, RecursionError):
        pass  # it is not what it says that it is
    return f'"data_base64": {json.dumps(b64encode(data).decode())}'


def _run(stream: "EventStream", given: dict[str, Any], command: str) -> bool:
    """Run the command with this event, and say how it ended. True: it has handled the event."""
    delivery = given["delivery"]
    end = run_command(command, given, lambda: stream.tell("renew", delivery=delivery), ACK_TIMEOUT_S / RENEWALS)
    if end.code == 0:
        stream.tell("ack", delivery=delivery)
        return True
    reason = end.reason(command)
    say(printable(reason))
    stream.tell("retry", delivery=delivery, reason=reason)
    return False
