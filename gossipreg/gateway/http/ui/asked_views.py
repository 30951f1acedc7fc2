"""The views that are asked of all members that lead journals: events and sagas.

A question is asked again every two seconds while somebody looks, once for all who look. The answer names the members
that did not answer: what they lead is missing from it.
"""

from collections.abc import Awaitable
from functools import partial
from typing import Any

import trio

from gossipreg.callers import Caller
from gossipreg.errors import Busy, GossipregError, Unavailable
from gossipreg.gateway.http.ui.watched import MadeView, made
from gossipreg.sidecar_api import SidecarApi

EVERY_S = 2.0
LETTERS_SHOWN = 100
"""Dead letters of the view; the page asks for more by `events-dead`."""
SAGAS_SHOWN = 500
JOURNALS_BUSY = "the list of the journals here, since this sidecar is busy"


class AskedViews:
    def __init__(self, sidecar: SidecarApi, caller: Caller) -> None:
        self._ask = partial(_ask, sidecar, caller)

    async def events(self) -> MadeView:
        groups, dead, journals = await together(
            self._ask("events-groups"), self._ask("events-dead", limit=LETTERS_SHOWN), self._journals()
        )
        return made({
            "groups": groups["groups"], "left_out": groups["left_out"], "dead": dead["letters"],
            "journals": [] if journals is None else journals,
            "not_answered": sorted({
                *groups["unanswered"], *dead["unanswered"], *([JOURNALS_BUSY] if journals is None else ()),
            }),
        })  # fmt: skip

    async def _journals(self) -> Any:
        """Where those here are not open, the groups are shown all the same: their answer names this sidecar. None: it
        has too many questions to ask whether it leads them."""
        try:
            return await self._ask("journals")
        except Unavailable:
            return []
        except Busy:
            return None

    async def sagas(self) -> MadeView:
        """Those that are open and those that ended have a limit each: else many that are open would hide all that
        ended."""
        open, ended = await together(
            self._ask("saga-list", state="open", limit=SAGAS_SHOWN, newest=True),
            self._ask("saga-list", state="ended", limit=SAGAS_SHOWN, newest=True),
        )
        named = {one["saga"]: one for one in (*open["sagas"], *ended["sagas"])}
        return made({
            "items": [*named.values()], "more_open": open["more"], "more_ended": ended["more"],
            "not_answered": sorted({*open["unanswered"], *ended["unanswered"]}),
        })  # fmt: skip

    async def saga(self, name: str) -> MadeView:
        return made(await self._ask("saga-show", saga=name))


async def _ask(sidecar: SidecarApi, caller: Caller, method: str, **params: Any) -> Any:
    return await sidecar.ask(method, params, caller)


async def together(*asked: Awaitable[Any]) -> list[Any]:
    """The answers in the order of the questions, which are asked at the same time. Raises the first GossipregError."""
    answers: list[Any] = [None] * len(asked)
    errors: list[GossipregError] = []

    async def wait_for(at: int) -> None:
        try:
            answers[at] = await asked[at]
        except GossipregError as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        for at in range(len(asked)):
            nursery.start_soon(wait_for, at)
    if errors:
        raise errors[0]
    return answers
