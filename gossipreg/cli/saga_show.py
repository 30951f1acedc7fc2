"""`gossipreg saga show SAGA`: what happened, drawn for a person or as JSON."""

import os
import sys

import click

from gossipreg.cli.complete import complete_saga
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line
from gossipreg.cli.saga_asking import ANSWER_S
from gossipreg.cli.saga_drawing import Style, draw
from gossipreg.cli.saga_json import story_json
from gossipreg.cli.synced import SYNC_S, ask_when_synced


@click.command(
    epilog="""\b
    Example:
      gossipreg saga show order-7
      gossipreg saga show order-7 --answers
    """
)
@click.argument("saga", metavar="SAGA", shell_complete=complete_saga)
@click.option("--answers", is_flag=True, help="With the bodies of what the services answered.")
@client_options
@pass_chosen
def show(chosen: Chosen, saga: str, answers: bool) -> None:
    """Show SAGA: its steps, when each was taken, and what came of it.

    SAGA is its full name, JOURNAL.ID, or its ID alone, or its ID behind the first digits of its journal: 3f9c.order-7.
    Steps stand in the order in which they were taken, then what came after the decision. AT is the time since the saga
    began, by the clocks of those that led its journal.
    """
    with chosen.client(ANSWER_S) as client:
        story = ask_when_synced(lambda: client.call("saga-show", saga=saga), SYNC_S)
    if chosen.json:
        print_json(story_json(story))
        return
    for line in draw(story, style_of_stdout(), answers=answers):
        print_line(line)


def style_of_stdout() -> Style:
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    terminal = sys.stdout is not None and sys.stdout.isatty()
    colours = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Style(utf8=encoding == "utf8", colours=colours)
