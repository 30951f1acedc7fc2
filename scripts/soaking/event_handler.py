"""A program that handles the events of one group, and writes each down before it acknowledges.

    python -m scripts.soaking.event_handler SOCKET GROUP SEED NOTES

It subscribes again when its connection ends. Of what it has been given it first reads everything, and leaves out what
the sidecar has given to somebody else meanwhile (`dropped`), as a good handler does that was paused. Some events it
hands back for another attempt.
"""

import random
import sys
import time
import zlib
from pathlib import Path
from typing import Any

from gossipreg.client.connection import Client
from gossipreg.client.event_stream import EventStream
from gossipreg.errors import GossipregError
from scripts.soaking.event_notes import EventNotes
from scripts.soaking.events_judge import GROUPS, WARM_UP, HandledEvent

WINDOW = 32
ACK_TIMEOUT_S = 5.0
"""A pause may be longer."""
RETRIED = 0.002
"""The share of deliveries that are handed back."""
AGAIN_S = 0.2
AT_ONCE = 64
WAIT_S = 60.0
"""For the next event."""


class EventHandler:
    def __init__(self, socket: str, group: str, seed: int, notes: EventNotes) -> None:
        self._socket, self._group, self._notes = socket, group, notes
        self._rng = random.Random(seed)

    def run(self) -> None:
        """For ever."""
        while True:
            try:
                with (
                    Client(self._socket, timeout_s=10.0) as client,
                    client.subscribe(
                        pattern=[*GROUPS[self._group]], group=self._group, window=WINDOW, ack_timeout=ACK_TIMEOUT_S
                    ) as events,
                ):
                    while True:
                        self._handle_some(events)
            except GossipregError as error:
                self._notes.write_refused(f"subscribe: {error.code}")
                time.sleep(AGAIN_S)

    def _handle_some(self, events: EventStream) -> None:
        given: dict[int, dict[str, Any]] = {}
        news = events.next(WAIT_S)
        while news is not None:
            what, params = news
            if what == "event":
                given[params["delivery"]] = params
            else:
                given.pop(params["delivery"], None)
            news = events.next(0) if len(given) < AT_ONCE else None
        handed_back = [delivery for delivery in given if self._rng.random() < RETRIED]
        for delivery in handed_back:
            del given[delivery]
            events.tell("retry", delivery=delivery, after=0.2, reason="handed back by the soak")
        if given:
            now = time.monotonic()
            self._notes.write(*(_noted(one, now) for one in given.values() if one["event"]["source"] != WARM_UP))
            events.tell("ack", delivery=[*given])


def _noted(params: dict[str, Any], now: float) -> HandledEvent:
    event = params["event"]
    return HandledEvent(
        now, params["group"], params["journal"], params["index"], params["attempt"],
        event["extensions"].get("partitionkey", ""), event["source"], event["id"], event["type"],
        zlib.crc32(event["data"]),
    )  # fmt: skip


def main() -> None:
    socket, group, seed, notes = sys.argv[1:]
    EventHandler(socket, group, int(seed), EventNotes(Path(notes))).run()


if __name__ == "__main__":
    main()
