"""Programs that publish and handle events of Redis Streams: `client_side.py` says how they are called.

PLACE is the port of the master. A publisher sends XADD and WAIT 1 together, in one write, and takes the event for
acknowledged if one replica has it. The handler reads up to BATCH events at once and acknowledges them at once.
"""

import sys
import threading
import time

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scripts.benchmarks.events import client_side
from scripts.benchmarks.events.records import Record, number_of, numbered

GROUP = "bench"
BATCH = 256
BLOCK_MS = 500
WAIT_MS = 10_000


def connect(place: str) -> Redis:
    """Without the defaults of redis-py, which ends each command after 5 s and sends it again, up to 10 times."""
    return Redis(port=int(place), protocol=2, socket_timeout=None, retry=Retry(NoBackoff(), 0))


def prepare(place: str, stream: str) -> None:
    connect(place).xgroup_create(stream, GROUP, mkstream=True)


def acknowledged(redis: Redis, stream: str, data: bytes) -> bool:
    """Publish one event; whether a replica had it in time."""
    both = redis.pipeline(transaction=False)
    both.xadd(stream, {"data": data})
    both.wait(1, WAIT_MS)
    return bool(both.execute()[1] >= 1)


def publish(place: str, stream: str, first: int, count: int, size_bytes: int) -> None:
    connections = [connect(place) for _ in range(count)]
    for one in connections:
        one.ping()
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
            if acknowledged(connections[at], stream, event):
                acked[at].append(Record(number_of(event), time.perf_counter()))

    threads = [threading.Thread(target=keep_publishing, args=(at,)) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client_side.write([record for one in acked for record in one])


def handle_some(redis: Redis, stream: str, handled: list[Record]) -> bool:
    """Wait for events for up to BLOCK_MS, handle and acknowledge them; whether there were any."""
    ids: list[bytes] = []
    for _, events in redis.xreadgroup(GROUP, "one", {stream: ">"}, count=BATCH, block=BLOCK_MS) or []:
        now = time.perf_counter()
        handled += [Record(number_of(fields[b"data"]), now) for _, fields in events]
        ids += [id for id, _ in events]
    if ids:
        redis.xack(stream, GROUP, *ids)
    return bool(ids)


def handle(place: str, stream: str) -> None:
    redis = connect(place)
    redis.ping()
    ended = client_side.told_to_end()
    handled: list[Record] = []
    client_side.say_ready()
    last_s = time.perf_counter()
    while not ended.is_set() or time.perf_counter() - last_s < client_side.QUIET_S:
        if handle_some(redis, stream, handled):
            last_s = time.perf_counter()
    client_side.write(handled)


def latency(place: str, stream: str, count: int, per_s: int, size_bytes: int) -> None:
    publisher, handler = connect(place), connect(place)
    sent: list[Record] = []
    handled: list[Record] = []
    done = threading.Event()

    def keep_handling() -> None:
        while len(handled) < count and not done.is_set():
            handle_some(handler, stream, handled)

    publisher.ping()
    thread = threading.Thread(target=keep_handling)
    thread.start()
    try:
        client_side.say_ready()
        data = client_side.payload(size_bytes)
        for number, due in enumerate(client_side.due_times(count, per_s)):
            client_side.sleep_until(due)
            event = numbered(0, number, data)
            sent.append(Record(number_of(event), time.perf_counter()))
            if not acknowledged(publisher, stream, event):
                raise SystemExit(f"no replica had event {number} within {WAIT_MS} ms")
        thread.join(client_side.LAST_S)
    finally:
        done.set()
        thread.join()
    client_side.write_latencies(sent, handled)


if __name__ == "__main__":
    client_side.run(
        {"prepare": prepare, "publish": publish, "handle": handle, "latency": latency}, sys.argv[1:]
    )  # fmt: skip
