"""The process that serves the instances of all services: `python -m scripts.checks.client.instances`.

It takes commands on stdin and answers each with a line:

    open SERVICE ID PORT    listen, and answer each request with `SERVICE ID`
    close PORT              stop listening; connections that are open are closed

It ends with stdin. Of each 50 requests one is answered with 503, and one with half an answer if it has the header
`May-Cut`, but only first attempts: so retries are always going on, and a retry is always served.
"""

import asyncio
import sys
from contextlib import suppress

EVERY = 50


class ServedInstance:
    def __init__(self, service: str, id: str) -> None:
        self._answer = f"{service} {id}".encode()
        self._requests = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self.server: asyncio.Server | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while await self._serve_one(reader, writer):
                pass
        self._writers.discard(writer)
        writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. Returns whether the connection is kept."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        self._requests += 1
        turn = -1 if b"\r\ngossipreg-attempt:" in head else self._requests % EVERY
        cut = turn == EVERY // 2 and b"\r\nmay-cut:" in head
        status, body = (b"503 Busy", b"busy") if turn == 0 else (b"200 OK", self._answer)
        answer = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
        writer.write(answer[:-3] if cut else answer)
        await writer.drain()
        return not cut and b"\r\nconnection: close" not in head

    def close(self) -> None:
        assert self.server is not None
        self.server.close()
        for writer in self._writers:
            writer.close()


async def main() -> None:
    listening: dict[int, ServedInstance] = {}
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().split():
        if line[0] == "open":
            _, service, id, port = line
            instance = listening[int(port)] = ServedInstance(service, id)
            instance.server = await asyncio.start_server(instance.serve, "127.0.0.1", int(port), backlog=500)
        else:
            listening.pop(int(line[1])).close()
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
