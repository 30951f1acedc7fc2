"""`gossipreg history`."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from gossipreg.cli.again import RETRIED, Again
from gossipreg.cli.complete import complete_service
from gossipreg.cli.exit_codes import REFUSED
from gossipreg.cli.moments import PastMoment
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import flush, print_json, print_line, printable, say, say_error
from gossipreg.cli.quiet_sidecar import QuietSidecar
from gossipreg.cli.while_read import sleep_while_read

if TYPE_CHECKING:
    from gossipreg.client import Client

LINES = 100
PAGE = 1000
EVERYWHERE_MAX = 5000
"""Lines of one answer for all members."""
EVERYWHERE_S = 60.0
"""How long the members are waited for; the sidecar's own bound is shorter."""
_MARKS = {"warning": "!", "error": "!"}


@click.command(
    epilog="""\b
    Example:
      gossipreg history --since 8h
      gossipreg history --since 02:00 --until 03:00 --service billing
      gossipreg history --follow --json | jq .message
      gossipreg history --everywhere --since 1h --member web-3
    """
)
@click.option("--since", metavar="MOMENT", type=PastMoment(), help="From then on: 8h (ago), 02:00, 2026-11-30T02:00.")
@click.option("--until", metavar="MOMENT", type=PastMoment(), help="Before that moment.")
@click.option(
    "--service", metavar="NAME", shell_complete=complete_service, help="About this service, or the instance of this id."
)
@click.option("--member", metavar="NAME|ID", help="About this member.")
@click.option("--kind", metavar="KIND", help="Of this kind; member_* for all that begin so.")
@click.option(
    "-n", "--lines", metavar="N", type=click.IntRange(1, 1_000_000), help="The newest N alone (100 without --since)."
)
@click.option("--everywhere", is_flag=True, help="What all members saw, in the order in which it happened.")
@click.option("--follow", is_flag=True, help="Go on with what happens from now on.")
@client_options
@pass_chosen
def history(chosen: Chosen, /, lines: int | None, everywhere: bool, follow: bool, **wanted: Any) -> int:
    """Show what this sidecar saw and did: members, services, checks, operations, keys, sagas, dead letters.

    Times are local. A line with ! is a warning or an error. With --everywhere each line names the member that saw it,
    and lines that contradict each other are marked.
    """
    asked = {name: value for name, value in wanted.items() if value is not None}
    if everywhere and follow:
        raise click.UsageError("--everywhere and --follow exclude each other: follow the history of one sidecar.")
    if follow and "until" in asked:
        raise click.UsageError("--follow and --until exclude each other: --follow has no end.")
    if "since" in asked and "until" in asked and asked["until"] <= asked["since"]:
        raise click.UsageError(
            f"--until is {_moment(asked['until'])}, and --since {_moment(asked['since'])}: nothing lies between; write "
            "the dates, such as 2026-11-30T22:00."
        )
    if everywhere and lines is not None and lines > EVERYWHERE_MAX:
        raise click.UsageError(
            f"-n {lines}: --everywhere shows at most {EVERYWHERE_MAX} lines: choose a time by --since and --until."
        )
    if everywhere:
        return _everywhere(chosen, asked, lines)
    if lines is None and "since" not in asked:
        lines = LINES
    with chosen.client() as client:
        if follow:
            _follow(chosen, client, asked, lines)
        shown = 0
        faults: list[str] = []
        for line in _past(client, asked, lines, faults):
            _show(chosen, line)
            shown += 1
    if faults:
        say_error("unavailable", f"lines may be missing: {faults[0]}", json=chosen.json)
        return REFUSED
    if not shown and not chosen.json:
        _say_nothing_known(chosen, asked)
    return 0


def _say_nothing_known(chosen: Chosen, asked: dict[str, Any]) -> None:
    """A kind that is misspelt must not look like one of which there is nothing."""
    kinds: list[str] = []
    if "kind" in asked:
        with chosen.client() as client:
            newest = client.call("history", limit=PAGE)["lines"]
        kinds = sorted({line["kind"] for line in newest})
    here = f"; of the newest {len(newest)} lines here the kinds are {', '.join(kinds)}" if kinds else ""
    say(f"nothing is known{' of that' if asked else ''}: see `gossipreg docs history` for what is kept{here}")


def _past(
    client: "Client", asked: dict[str, Any], most: int | None, faults: list[str]
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The lines, the oldest first; with `most` the newest `most` alone. The reason why some may be missing is appended
    to `faults`."""
    if most is not None:
        pages: list[list[dict[str, Any]]] = []
        before: dict[str, int] = {"before": 1 << 53}
        while most > 0:
            found = client.call("history", **asked, **before, limit=min(most, PAGE))
            faults += [found["fault"]] if "fault" in found else []
            pages.append(found["lines"])
            most -= len(found["lines"])
            if not found["more"] or not found["lines"]:
                break
            before = {"before": found["lines"][0]["seq"]}
        yield from (line for page in reversed(pages) for line in page)
        return
    after = {"after": 0}
    while True:
        found = client.call("history", **asked, **after, limit=PAGE)
        faults += [found["fault"]] if "fault" in found else []
        yield from found["lines"]
        if not found["more"]:
            return
        after = {"after": found["lines"][-1]["seq"]}


def _follow(chosen: Chosen, client: "Client", asked: dict[str, Any], most: int | None) -> None:
    """Until it is interrupted, or nobody reads it any more."""
    again, quiet, after = Again(sleep=sleep_while_read), QuietSidecar("the history"), 0
    faults: list[str] = []
    for line in _past(client, asked, most, faults):
        _show(chosen, line)
        after = line["seq"]
    flush()
    if faults:
        say_error("unavailable", f"lines may be missing: {faults[0]}", json=chosen.json)
    if not after and most is not None:  # only what comes from now on
        newest = client.call("history", limit=1)["lines"]
        after = newest[-1]["seq"] if newest else 0

    def begin() -> Any:
        return client.follow("history", **asked, after=after, limit=PAGE, follow=True)

    followed = again.begin(begin)
    while True:
        try:
            with followed:
                after = _show_all(chosen, followed.result["lines"], after)
                if "follow" not in followed.result:  # there are more lines than a page has
                    followed = begin()
                    continue
                while True:
                    while (notified := followed.next_within(0)) is not None:
                        again.worked()
                        after = _show_all(chosen, notified["lines"], after)
                    quiet.wait(followed, client.path)
        except RETRIED as error:
            say(f"{printable(error)}; the history goes on as soon as a sidecar answers")
        followed = again.begin(begin)


def _show_all(chosen: Chosen, lines: list[dict[str, Any]], after: int) -> int:
    for line in lines:
        _show(chosen, line)
        after = line["seq"]
    flush()
    return after


def _show(chosen: Chosen, line: dict[str, Any]) -> None:
    if chosen.json:
        print_json(line)
    else:
        print_line(f"{_moment(line['at'])} {_MARKS.get(line['level'], ' ')} {printable(line['message'])}")


def _moment(at: float) -> str:
    """Local time, to the second."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    except (OverflowError, ValueError, OSError):
        return "?"


# -- everywhere --------------------------------------------------------------------------------------------------------


def _everywhere(chosen: Chosen, asked: dict[str, Any], most: int | None) -> int:
    limit = {} if most is None else {"limit": most}
    with chosen.patient_client(EVERYWHERE_S) as client:
        found = client.call("history-everywhere", **asked, **limit)
    if chosen.json:
        print_json(found)
    else:
        width = max((len(printable(line["seen_by"]["name"])) for line in found["lines"]), default=0)
        for line in found["lines"]:
            print_line(_of_member(line, width))
        for text in found["disagreements"]:
            say(f"disagreement: {printable(text)}")
        _say_left_out(found, most)
        if not found["lines"]:
            _say_nothing_known(chosen, asked)
    missing = [f"{printable(one['name'])} ({printable(one['why'])})" for one in found["unanswered"]]
    if missing:
        say_error("unavailable", f"what these members saw is missing: {', '.join(missing)}", json=chosen.json)
    faults = [f"{printable(one['name'])} ({printable(one['fault'])})" for one in found["members"] if one["fault"]]
    if faults:
        say_error("unavailable", f"lines of these members may be missing: {', '.join(faults)}", json=chosen.json)
    return REFUSED if missing or faults else 0


def _say_left_out(found: dict[str, Any], most: int | None) -> None:
    if found["left_out"] and most is None:
        say(f"older lines are left out: choose a shorter time by --since and --until, or up to -n {EVERYWHERE_MAX}")
    shown = Counter(line["seen_by"]["id"] for line in found["lines"])
    for one in found["members"]:
        if one["left_out"] and shown[one["id"]] == one["lines"]:  # else they are older than all that is shown
            say(f"{printable(one['name'])} has more lines of that time than one answer holds: ask it by itself")


def _of_member(line: dict[str, Any], width: int) -> str:
    mark = "?" if line.get("disagrees") else _MARKS.get(line["level"], " ")
    who = printable(line["seen_by"]["name"])
    return f"{_moment(line['at'])} {mark} {who:{width}}  {printable(line['message'])}"
