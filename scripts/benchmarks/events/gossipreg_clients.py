"""Programs that publish and handle events of gossipreg: `client_side.py` says how they are called.

PLACE has the sockets of the sidecars, with commas between them. Publishers are spread over them, as programs on as many
hosts would be; the handler subscribes at the last one. It acknowledges at once all events that have come.
"""

import sys
import threading
import time

from gossipreg.client import Client
from gossipreg.client.event_stream import EventStream
from scripts.benchmarks.events import client_side
from scripts.benchmarks.events.records import Record, number_of, numbered

GROUP = "bench"
TIMEOUT_S = 30.0
POLL_S = 0.5


def clients(place: str) -> list[Client]:
    return [Client(path, timeout_s=TIMEOUT_S) for path in place.split(",")]


def subscribe(place: str, stream: str) -> EventStream:
    return clients(place)[-1].subscribe(pattern=stream, group=GROUP, window=1024)


def prepare(place: str, stream: str) -> None:
    """Subscribe, so that the group is known, and wait until each sidecar's journal has all its copies."""
    with subscribe(place, stream):
        for one in clients(place):
            until = time.monotonic() + TIMEOUT_S
            while True:
                answer = one.call("publish", type=stream, data=b"", timeout=TIMEOUT_S)
                if answer["takeover"] and answer["groups"]:
                    break
                if time.monotonic() > until:
                    raise SystemExit(f"a journal has no three copies, or lacks the group: {answer}")
                time.sleep(0.1)


def publish(place: str, stream: str, first: int, count: int, size_bytes: int) -> None:
    paths = place.split(",")
    connections = [Client(paths[(first + at) % len(paths)], timeout_s=TIMEOUT_S) for at in range(count)]
    for one in connections:
        one.call("services", limit=1)
    client_side.say_ready()
    begin, end = client_side.times_given()
    data = client_side.payload(size_bytes)
    acked: list[list[Record]] = [[] for _ in connections]

    def keep_publishing(at: int) -> None:
        client_side.sleep_until(begin)
        sent = 0
        while time.perf_counter() < end:
            event = numbered(first + at, sent, data)
            sent += 1
            connections[at].call("publish", type=stream, data=event)
            acked[at].append(Record(number_of(event), time.perf_counter()))

    threads = [threading.Thread(target=keep_publishing, args=(at,)) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client_side.write([record for one in acked for record in one])


def handle_some(events: EventStream, handled: list[Record]) -> bool:
    """Wait for events for up to POLL_S, handle and acknowledge them; whether there were any."""
    found = events.next(POLL_S)
    deliveries: list[int] = []
    while found is not None:
        what, given = found
        if what == "event":
            deliveries.append(given["delivery"])
            if data := given["event"]["data"]:
                handled.append(Record(number_of(data), time.perf_counter()))
        found = events.next(0) if len(deliveries) < 256 else None
    if deliveries:
        events.tell("ack", delivery=deliveries)
    return bool(deliveries)


def handle(place: str, stream: str) -> None:
    ended = client_side.told_to_end()
    handled: list[Record] = []
    with subscribe(place, stream) as events:
        client_side.say_ready()
        last_s = time.perf_counter()
        while not ended.is_set() or time.perf_counter() - last_s < client_side.QUIET_S:
            if handle_some(events, handled):
                last_s = time.perf_counter()
    client_side.write(handled)


def latency(place: str, stream: str, count: int, per_s: int, size_bytes: int) -> None:
    publisher = clients(place)[0]
    sent: list[Record] = []
    handled: list[Record] = []
    done = threading.Event()

    def keep_handling() -> None:
        with subscribe(place, stream) as events:
            while len(handled) < count and not done.is_set():
                handle_some(events, handled)

    publisher.call("services", limit=1)
    thread = threading.Thread(target=keep_handling)
    thread.start()
    try:
        client_side.say_ready()
        data = client_side.payload(size_bytes)
        for number, due in enumerate(client_side.due_times(count, per_s)):
            client_side.sleep_until(due)
            event = numbered(0, number, data)
            sent.append(Record(number_of(event), time.perf_counter()))
            publisher.call("publish", type=stream, data=event)
        thread.join(client_side.LAST_S)
    finally:
        done.set()
        thread.join()
    client_side.write_latencies(sent, handled)


if __name__ == "__main__":
    client_side.run(
        {"prepare": prepare, "publish": publish, "handle": handle, "latency": latency}, sys.argv[1:]
    )  # fmt: skip
