"""The services of the sagas that are measured: answers every request at once, and keeps nothing.

python -m scripts.benchmarks.sagas.saga_service PORT
"""

import asyncio
import sys
from contextlib import suppress

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
LENGTH = b"content-length:"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [line[len(LENGTH) :] for line in head.split(b"\r\n") if line[: len(LENGTH)].lower() == LENGTH]
            if lengths:
                await reader.readexactly(int(lengths[0]))
            writer.write(ANSWER)
    writer.close()


async def main(port: int) -> None:
    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
