"""`gossipreg demo`: five sidecars and a small shop, for everybody who wants to see what happens."""

import sys
from collections.abc import Mapping
from typing import Any

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import flush, print_line
from gossipreg.cli.units import Duration
from gossipreg.demo.story import LONGEST_S, PLAY_S, SHORTEST_S


@click.command(
    epilog="""\b
    Example:
      gossipreg demo
      gossipreg demo --play
      printf 'load 5\\nkill host-3\\nbooks\\n' | gossipreg demo --commands

    Commands: kill, restart, pause, resume, cut, heal, load, orders, order, fail-payment, books, status, wait, help and
    quit.
    """
)
@click.option(
    "--play", metavar="[DURATION]", type=Duration(LONGEST_S), is_flag=False, flag_value=f"{PLAY_S:g}s",
    help="Play the story by itself (90s); so it does where stdin is no terminal.",
)  # fmt: skip
@click.option("--commands", is_flag=True, help="Take commands from stdin, also where it is no terminal.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in a browser.")
@client_options
@pass_chosen
def demo(chosen: Chosen, /, play: float | None, commands: bool, open_browser: bool) -> int:
    """Start five sidecars and a small shop on this machine, and show what happens when hosts die, links are cut and
    payments fail. Every figure is measured.

    It needs no root, touches no other sidecar, and leaves nothing behind. Exit code 1: something that it claimed did
    not come true.
    """
    if play is not None and commands:
        raise click.UsageError("--play and --commands exclude each other.")
    if play is not None and play < SHORTEST_S:
        raise click.UsageError(f"--play {play:g}s is too short: at least {SHORTEST_S:g}s.")
    is_terminal = sys.stdin is not None and sys.stdin.isatty()
    if play is None and not commands and not is_terminal:
        play = PLAY_S
    from gossipreg.demo.running import DemoSettings, run_demo

    settings = DemoSettings(
        play, open_browser, as_json=chosen.json, prompt=play is None and is_terminal and not chosen.json
    )
    return run_demo(settings, _print, _draw)


def _print(line: str) -> None:
    print_line(line)
    flush()


def _draw(story: Mapping[str, Any]) -> list[str]:
    from gossipreg.cli.saga_drawing import draw
    from gossipreg.cli.saga_show import style_of_stdout

    return list(draw(dict(story), style_of_stdout()))
