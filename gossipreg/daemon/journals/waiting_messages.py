"""Messages of replicas that came before the database was open. Bounded: more are dropped, as a replica that is out of
service drops what it hears; when it is back it greets its leader."""

from collections import deque
from collections.abc import Iterator

from gossipreg.daemon.streams.inbox import StreamReceived

MAX_WAITING_BYTES = 16 * 1024 * 1024
MAX_WAITING_MESSAGES = 4096


class WaitingMessages:
    def __init__(self) -> None:
        self._waiting: deque[StreamReceived] = deque()
        self._waiting_bytes = 0

    def put(self, news: StreamReceived) -> bool:
        """False if there is no room for it."""
        if len(self._waiting) >= MAX_WAITING_MESSAGES or self._waiting_bytes + news.size_bytes > MAX_WAITING_BYTES:
            return False
        self._waiting.append(news)
        self._waiting_bytes += news.size_bytes
        return True

    def take(self) -> Iterator[StreamReceived]:
        """What waits, in order."""
        self._waiting_bytes = 0
        while self._waiting:
            yield self._waiting.popleft()
