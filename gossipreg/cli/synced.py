"""Waiting for a sidecar that is not synced yet, for `lookup`, `services` and `saga`."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from gossipreg.cli.output import say
from gossipreg.cli.units import Duration
from gossipreg.errors import NotSynced

POLL_S = 0.05
"""A sidecar that has just started is synced within tens of milliseconds."""

SYNC_S = 5.0
"""How long commands wait that have no option for it."""

T = TypeVar("T")


def timeout_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--timeout",
        metavar="DURATION",
        type=Duration(),
        default="5s",
        help="How long to wait for a sidecar that is not synced yet (5s).",
    )(command)


def ask_when_synced(ask: Callable[[], T], timeout_s: float) -> T:
    """Return what `ask` returns; ask again while it raises NotSynced. Raises the last NotSynced when time is up."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return ask()
        except NotSynced as error:
            rest_s = deadline - time.monotonic()
            if rest_s <= 0:
                waited = f" (waited {timeout_s:g}s; `gossipreg info` says more)" if timeout_s else ""
                raise NotSynced(f"{error}{waited}") from None
            time.sleep(min(POLL_S, rest_s))


def warn_if_partial(found: list[dict[str, Any]], what: str) -> None:
    """Say on stderr that there may be more than was found."""
    if any(one.get("partial") for one in found):
        say(f"Warning: this sidecar is not synced yet: there may be more {what}")
