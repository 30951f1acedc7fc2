"""Shell completion of names that the running sidecar knows, beside commands and flags. Without a sidecar there
are none.

It runs while a person types, so it prints no errors and waits only for a moment.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from gossipreg.cli.options import Chosen
from gossipreg.errors import GossipregError

if TYPE_CHECKING:
    from gossipreg.client import Client

PATIENCE_S = 0.5
MOST = 200
"""The number of words that are offered; nobody reads more."""

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _completes(known: "Callable[[Client], list[str]]") -> Complete:
    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        chosen = ctx.find_object(Chosen) or Chosen()
        with suppress(GossipregError), chosen.client(PATIENCE_S) as client:
            words = sorted({word for word in known(client) if word.lower().startswith(incomplete.lower())})
            return words[:MOST]
        return []

    return complete


def _services(client: "Client") -> list[str]:
    return [one["name"] for one in client.call_paged("services", key="name")]


def _registered(client: "Client") -> list[str]:
    return [one["id"] for one in client.call("registered")]


def _zones(client: "Client") -> list[str]:
    return [one["zone"] for one in client.call_paged("members", key="id") if one["zone"]]


def _members(client: "Client") -> list[str]:
    return [one["name"] for one in client.call_paged("members", key="id")]


def _sagas(client: "Client") -> list[str]:
    return [one["saga"].partition(".")[2] for one in client.call("saga-list", limit=MOST, newest=True)["sagas"]]


complete_service = _completes(_services)
"""Names of services."""
complete_id = _completes(_registered)
"""Ids of the services that are registered with this sidecar."""
complete_zone = _completes(_zones)
"""Zones of the members."""
complete_member = _completes(_members)
"""Names of the members."""
complete_saga = _completes(_sagas)
"""Ids of sagas."""
