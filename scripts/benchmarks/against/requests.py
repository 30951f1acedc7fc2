"""Clients that take little of the machine: many requests on one connection of the local socket, and many of HTTP."""

import selectors
import socket
import threading
from collections.abc import Sequence
from typing import Any

from gossipreg.wire.rpc import MAX_REPLY_BYTES, Decoder, encode_request
from scripts.benchmarks.cluster import Failed

Params = dict[str, Any]
READ_BYTES = 1 << 18
SILENT_S = 120.0
"""No answer of a sidecar takes so long."""


def pipelined(path: str, method: str, all_params: Sequence[Params]) -> list[Any]:
    """Send all requests without waiting, and return the results in their order. Raises Failed for an error."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(SILENT_S)
        stream.connect(path)
        data = b"".join(encode_request(id, method, params) for id, params in enumerate(all_params))
        writer = threading.Thread(target=stream.sendall, args=(data,), daemon=True)
        writer.start()
        results: list[Any] = []
        decoder = Decoder(MAX_REPLY_BYTES)
        while len(results) < len(all_params):
            received = stream.recv(READ_BYTES)
            if not received:
                raise Failed(f"the sidecar ended the connection after {len(results)} answers to {method}")
            for message in decoder.feed_untrusted(received):
                if message[0] != "reply" or message[1] != len(results) or message[2] is not None:
                    raise Failed(f"{method} was answered with {str(message)[:200]}")
                results.append(message[3])
        writer.join()
        return results


def get_often(port: int, path: str, connections: int, number: int) -> int:
    """GET the path `number` times over so many connections at once, each with one request at a time; returns the bytes
    of one answer."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    left = number
    size_bytes = 0
    with selectors.DefaultSelector() as selector:
        streams = [socket.create_connection(("127.0.0.1", port), SILENT_S) for _ in range(connections)]
        try:
            for stream in streams:
                selector.register(stream, selectors.EVENT_READ, bytearray())
                stream.sendall(request)
            answered = 0
            left -= connections
            while answered < number:
                ready = selector.select(SILENT_S)
                if not ready:
                    raise Failed(f"GET {path} was not answered")
                for key, _ in ready:
                    asking, held = key.fileobj, key.data
                    assert isinstance(asking, socket.socket)
                    held += asking.recv(READ_BYTES)
                    size_bytes = _answer_bytes(held, path)
                    if size_bytes == 0 or len(held) < size_bytes:
                        continue
                    del held[:]
                    answered += 1
                    if left > 0:
                        left -= 1
                        asking.sendall(request)
        finally:
            for stream in streams:
                stream.close()
    return size_bytes


def _answer_bytes(held: bytearray, path: str) -> int:
    """The size of the whole answer, once its head is here; else 0."""
    end = held.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = bytes(held[:end]).lower()
    if not head.startswith(b"http/1.1 200"):
        raise Failed(f"GET {path}: {head[:80].decode(errors='replace')}")
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return end + 4 + int(line[15:])
    raise Failed(f"GET {path}: the answer has no content-length")
