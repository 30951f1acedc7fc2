"""Programs that publish and handle events of NATS JetStream: `client_side.py` says how they are called.

PLACE is the ports of the servers, with commas between; publishers spread over them. A publisher waits for the PubAck of
each event. The handler has a durable consumer with explicit acks, which are sent without an answer: `handle` pulls up
to BATCH events at once, `latency` lets the server push each one.
"""

import asyncio
import sys
import time
from contextlib import suppress
from functools import partial

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, StorageType, StreamConfig

from scripts.benchmarks.events import client_side
from scripts.benchmarks.events.records import Record, number_of, numbered

DURABLE = "bench"
BATCH = 256
FETCH_S = 0.5
ANSWER_S = 10.0
UNACKED = 10_000
"""Events that may be on their way to the handler; with the default, 1,000, it would wait for its own acks."""


async def connect(place: str, server: int = 0) -> Client:
    """A connection to one of the servers, and to no other."""
    ports = place.split(",")
    return await nats.connect(f"nats://127.0.0.1:{ports[server % len(ports)]}", allow_reconnect=False)


async def prepare(place: str, stream: str) -> None:
    client = await connect(place)
    jetstream = client.jetstream(timeout=ANSWER_S)
    copies = len(place.split(","))
    await jetstream.add_stream(
        StreamConfig(name=stream, subjects=[stream], num_replicas=copies, storage=StorageType.FILE)
    )
    await jetstream.add_consumer(
        stream, ConsumerConfig(durable_name=DURABLE, ack_policy=AckPolicy.EXPLICIT, max_ack_pending=UNACKED)
    )
    await client.close()


async def publish(place: str, stream: str, first: int, count: int, size_bytes: int) -> None:
    clients = [await connect(place, first + at) for at in range(count)]
    client_side.say_ready()
    begin, end = await asyncio.to_thread(client_side.times_given)
    data = client_side.payload(size_bytes)
    acked: list[Record] = []

    async def keep_publishing(at: int) -> None:
        jetstream = clients[at].jetstream(timeout=ANSWER_S)
        await asyncio.sleep(max(0.0, begin - time.perf_counter()))
        sent = 0
        while time.perf_counter() < end:
            event = numbered(first + at, sent, data)
            sent += 1
            await jetstream.publish(stream, event)
            acked.append(Record(number_of(event), time.perf_counter()))

    await asyncio.gather(*map(keep_publishing, range(count)))
    for client in clients:
        await client.close()
    client_side.write(acked)


async def handle(place: str, stream: str) -> None:
    client = await connect(place)
    consumer = await client.jetstream(timeout=ANSWER_S).pull_subscribe_bind(DURABLE, stream)
    ended = client_side.told_to_end()
    handled: list[Record] = []
    client_side.say_ready()
    last_s = time.perf_counter()
    while not ended.is_set() or time.perf_counter() - last_s < client_side.QUIET_S:
        try:
            messages = await consumer.fetch(BATCH, timeout=FETCH_S)
        except TimeoutError:  # not only the one of nats.errors, which comes from it
            continue
        last_s = time.perf_counter()
        for message in messages:
            handled.append(Record(number_of(message.data), time.perf_counter()))
            await message.ack()
    await client.close()
    client_side.write(handled)


async def latency(place: str, stream: str, count: int, per_s: int, size_bytes: int) -> None:
    publisher, handler = await connect(place, 0), await connect(place, 1)
    sent: list[Record] = []
    handled: list[Record] = []
    all_handled = asyncio.Event()

    async def handle_one(message: Msg) -> None:
        handled.append(Record(number_of(message.data), time.perf_counter()))
        await message.ack()
        if len(handled) == count:
            all_handled.set()

    await handler.jetstream(timeout=ANSWER_S).subscribe(
        stream, durable="pushed", cb=handle_one, manual_ack=True, config=ConsumerConfig(ack_policy=AckPolicy.EXPLICIT)
    )
    jetstream = publisher.jetstream(timeout=ANSWER_S)
    client_side.say_ready()
    data = client_side.payload(size_bytes)
    for number, due in enumerate(client_side.due_times(count, per_s)):
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        event = numbered(0, number, data)
        sent.append(Record(number_of(event), time.perf_counter()))
        await jetstream.publish(stream, event)
    with suppress(TimeoutError):  # those that never came are in the records
        await asyncio.wait_for(all_handled.wait(), client_side.LAST_S)
    for client in (publisher, handler):
        await client.close()
    client_side.write_latencies(sent, handled)


def in_loop(command: client_side.AsyncCommand, place: str, stream: str, *numbers: int) -> None:
    async def call() -> None:
        await command(place, stream, *numbers)

    asyncio.run(call())


if __name__ == "__main__":
    client_side.run(
        {
            "prepare": partial(in_loop, prepare),
            "publish": partial(in_loop, publish),
            "handle": partial(in_loop, handle),
            "latency": partial(in_loop, latency),
        },
        sys.argv[1:],
    )
