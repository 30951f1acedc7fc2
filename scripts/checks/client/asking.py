"""How the programs of the check ask an instance: one GET, with nothing but the standard library."""

import asyncio
import http.client
from typing import NamedTuple

from gossipreg.client.instance import Instance
from gossipreg.client.picked import PickedInstance

DEADLINE_S = 10.0
"""Of each call. Nothing that works comes near."""


ONCE = {"Connection": "close", "May-Cut": "yes"}
"""The body is read here, within the attempt: so the instance may cut it, and another one is asked."""


class Reply(NamedTuple):
    status: int
    text: str


def ask(instance: PickedInstance) -> Reply:
    """One request on a connection of its own. Raises OSError, and HTTPException if the answer is cut."""
    connection = http.client.HTTPConnection(instance.address, instance.port, timeout=instance.timeout_s)
    try:
        connection.request("GET", "/", headers={**instance.headers(), **ONCE})
        answer = connection.getresponse()
        reply = Reply(answer.status, answer.read().decode())
    finally:
        connection.close()
    instance.status(reply.status)
    return reply


async def ask_async(instance: PickedInstance) -> Reply:
    """As `ask`, in asyncio."""
    reader, writer = await asyncio.open_connection(instance.address, instance.port)
    try:
        headers = "".join(f"{name}: {value}\r\n" for name, value in {**instance.headers(), **ONCE}.items())
        writer.write(f"GET / HTTP/1.1\r\nHost: {instance.service}\r\n{headers}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = int(head.partition("Content-Length: ")[2].split()[0])
        reply = Reply(int(head.split()[1]), (await reader.readexactly(size)).decode())
    finally:
        writer.close()
    instance.status(reply.status)
    return reply


def listed(instances: tuple[Instance, ...]) -> str:
    """The answer of a lookup, as records have it."""
    return ",".join(f"{one.service} {one.id}" for one in instances)
