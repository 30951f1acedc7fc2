"""A program that publishes events at a steady rate, and writes down what it was told.

    python -m scripts.soaking.event_publisher SOCKET NAME RATE SEED NOTES

Some threads take turns, so that an event whose answer does not come holds up only those behind it in its thread. An
event that was not acknowledged is published again with the same id, whatever the answer was. SIGTERM: no new ones, and
an end when all are acknowledged.
"""

import random
import signal
import sys
import threading
import time
import zlib
from pathlib import Path

from gossipreg.client.connection import Client
from gossipreg.errors import GossipregError
from scripts.soaking.event_notes import EventNotes
from scripts.soaking.events_judge import WANTED_BY, AckedEvent, AskedEvent

THREADS = 10
KEYS = 24
"""Of one publisher. An eighth of the events has none."""
PUBLISH_S = 4.0
"""Shorter than the daemon's own, so that unknown outcomes are frequent."""
AGAIN_S = 0.3
LARGE = 0.01
"""The share of events with up to LARGE_BYTES of data instead of SMALL_BYTES."""
SMALL_BYTES, LARGE_BYTES = 400, 60_000


class EventPublisher:
    def __init__(self, socket: str, name: str, rate: float, seed: int, notes: EventNotes) -> None:
        self._socket, self._name, self._notes = socket, name, notes
        self._pause_s = THREADS / rate
        self._seed = seed
        self.over = threading.Event()

    def run(self) -> None:
        """Until `over`, and until everything is acknowledged."""
        threads = [threading.Thread(target=self._publish_all, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _publish_all(self, thread: int) -> None:
        rng = random.Random(f"{self._seed} {thread}")
        sent = 0
        with Client(self._socket, timeout_s=PUBLISH_S + 2) as client:
            due = time.monotonic() + self._pause_s * thread / THREADS
            while not self.over.wait(max(0.0, due - time.monotonic())):
                self._publish(client, f"{thread}-{sent}", rng)
                sent += 1
                due = max(due + self._pause_s, time.monotonic())  # a pause is not made up for by a burst

    def _publish(self, client: Client, id: str, rng: random.Random) -> None:
        most = LARGE_BYTES if rng.random() < LARGE else SMALL_BYTES
        data = f"{self._name} {id} ".encode() + rng.randbytes(rng.randrange(most))
        asked = AskedEvent(self._name, id, rng.choice([*WANTED_BY]), zlib.crc32(data))
        key = {} if rng.random() < 1 / 8 else {"key": f"{self._name}-{rng.randrange(KEYS)}"}
        self._notes.write(asked)
        began = time.monotonic()
        while True:
            try:
                told = client.call(
                    "publish", type=asked.type, data=data, id=id, source=self._name, timeout=PUBLISH_S, **key
                )
            except GossipregError as error:
                self._notes.write_refused(error.code)
                time.sleep(AGAIN_S * (0.5 + rng.random()))
            else:
                break
        took_s = round(time.monotonic() - began, 4)
        self._notes.write(
            AckedEvent(self._name, id, told["journal"], told["index"], told["groups"], took_s),
            durable=True,
        )


def main() -> None:
    socket, name, rate, seed, notes = sys.argv[1:]
    publisher = EventPublisher(socket, name, float(rate), int(seed), EventNotes(Path(notes)))
    signal.signal(signal.SIGTERM, lambda *_: publisher.over.set())
    publisher.run()


if __name__ == "__main__":
    main()
