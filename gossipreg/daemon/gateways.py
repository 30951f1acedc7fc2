"""The gateways of a sidecar: views of its registry in other people's protocols.

Owns that each runs beside the rest, and that no failure of one goes any further: it is logged as a bug, and the gateway
begins anew a little later. Never knows what they speak; see `sidecar_api.py` for what the two sides know of each other.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from gossipreg.daemon.logs import Field
from gossipreg.daemon.params import Check, Whole, take_untrusted, text
from gossipreg.daemon.socket_client import Handler, Params, pack
from gossipreg.errors import Refused
from gossipreg.sidecar_api import Gateway, Question, Reread, SidecarApi

TROUBLE_S = 5.0
"""A gateway repeats a trouble that goes on every second."""
RESOURCE_NAME_BYTES = 4096
"""No resource of xDS has a longer name."""
XDS_SHOW: dict[str, Check] = {
    "name": partial(text, most_bytes=RESOURCE_NAME_BYTES),
    "client": text,
    "after": Whole(0, 1 << 62),
    "limit": Whole(1, 1000),
}
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
        return partial(trio.to_thread.run_sync, reread, abandon_on_cancel=True)

    return {name: in_thread(reread) for one in gateways for name, reread in one.rereads.items()}


def questions_of(gateways: Sequence[Gateway]) -> dict[str, Handler]:
    """The methods of the local socket that gateways answer, by name."""
    answered = {name: question for one in gateways for name, question in one.questions.items()}
    return {"xds-show": partial(_xds_show, answered.get("xds-show"))}


def _xds_show(question: Question | None, params: Params) -> bytes:
    given = take_untrusted("xds-show", params, XDS_SHOW)
    if question is None:
        raise Refused("this sidecar is no xDS control plane: start it with --xds HOST:PORT or --xds unix:PATH")
    return pack(question(given))


def counts_of(gateways: Sequence[Gateway]) -> dict[str, int]:
    return {name: count for gateway in gateways for name, count in gateway.counts().items()}


def shown_addresses(gateways: Sequence[Gateway]) -> dict[str, str]:
    """The addresses at which each listens, for people."""
    return {gateway.name: ",".join(map(str, gateway.addresses)) for gateway in gateways}
