"""The gateways of a sidecar: views of its registry in other people's protocols.

Owns that each runs beside the rest, and that no failure of one goes any further: it is logged as a bug, and the gateway
begins anew a little later. Never knows what they speak; see `sidecar_api.py` for what the two sides know of each other.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from gossipreg.daemon.logs import Field
from gossipreg.sidecar_api import Gateway, Reread, SidecarApi

TROUBLE_S = 5.0
"""A gateway repeats a trouble that goes on every second."""
AGAIN_S = 1.0
"""The pause before a failed gateway starts again."""


async def run_gateways(gateways: Sequence[Gateway], api: SidecarApi) -> None:
    """Until cancelled."""
    async with trio.open_nursery() as nursery:
        for gateway in gateways:
            nursery.start_soon(_run_again_and_again, gateway, api)


async def _run_again_and_again(gateway: Gateway, api: SidecarApi) -> None:
    while True:
        try:
            await gateway.run(api)
        except Exception as error:
            api.bug(f"gateway_{gateway.name}", error)
            await trio.sleep(AGAIN_S)
        await trio.lowlevel.checkpoint()


def reread_parts(gateways: Sequence[Gateway]) -> dict[str, Callable[[], Awaitable[dict[str, Field]]]]:
    """What a reload reads again of the gateways, by name."""

    def in_thread(reread: Reread) -> Callable[[], Awaitable[dict[str, Field]]]:
        return partial(trio.to_thread.run_sync, reread)

    return {name: in_thread(reread) for one in gateways for name, reread in one.rereads.items()}


def counts_of(gateways: Sequence[Gateway]) -> dict[str, int]:
    return {name: count for gateway in gateways for name, count in gateway.counts().items()}


def shown_addresses(gateways: Sequence[Gateway]) -> dict[str, str]:
    """The addresses at which each listens, for people."""
    return {gateway.name: ",".join(map(str, gateway.addresses)) for gateway in gateways}
