"""The history as a view: the newest lines that the page wants, and then each new one.

A page that reads too slowly for the lines that come gets the newest again, as at the beginning.
"""

from collections import deque
from typing import Any

import trio

from gossipreg.gateway.http.ui.page_events import json_line
from gossipreg.gateway.http.ui.page_stream import Send
from gossipreg.sidecar_api import Shape, SidecarApi

LINES_SHOWN = 500
"""At the beginning; the page asks for older ones by `history`."""
LINES_WAITING_MAX = 2_000
EVERY_S = 0.25
NEWEST = 1 << 53
"""Above the number of every line."""
FILTERS = ("since", "since_s", "until", "member", "service", "kind")
_NUMBERS = ("since", "since_s", "until")


async def show_history(sidecar: SidecarApi, wanted: Shape, send: Send) -> None:
    """Until cancelled. Raises BadParams."""
    while True:
        await _show_until_behind(sidecar, wanted, send)


async def _show_until_behind(sidecar: SidecarApi, wanted: Shape, send: Send) -> None:
    waiting: deque[Shape] = deque(maxlen=LINES_WAITING_MAX)
    wake = trio.Event()

    def take(line: Shape) -> None:
        waiting.append(line)
        wake.set()

    with sidecar.history.following("gateway_http_ui", wanted, take):
        page = await sidecar.history.page({**wanted, "before": NEWEST, "limit": LINES_SHOWN})
        await send("history", json_line({"kind": "current", **page}))
        last = page["lines"][-1]["seq"] if page["lines"] else 0
        while len(waiting) < LINES_WAITING_MAX:
            await wake.wait()
            wake = trio.Event()
            lines = [line for line in waiting if line["seq"] > last]
            waiting.clear()
            if lines:
                last = lines[-1]["seq"]
                await send("history", json_line({"kind": "new", "lines": lines}))
            await trio.sleep(EVERY_S)


def wanted_untrusted(query: dict[str, str]) -> dict[str, Any]:
    """The parameters of `history` in the fields of a query, which are texts; what is no number stays a text, and is
    refused with the others."""
    return {name: _number(text) if name in _NUMBERS else text for name, text in query.items()}


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
