"""The bytes of the newest events of one journal, so that what is delivered soon is not read from the disk again.

Owns: which are kept: the newest that fit. An event that waits for long makes room for those that come.
"""

CACHE_BYTES = 8 * 1024 * 1024
"""Of one journal that is led here."""
_ENTRY_BYTES = 128
"""What a small event takes beside its bytes."""


class PayloadCache:
    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._payloads: dict[int, bytes] = {}
        """In the order in which they came."""
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._payloads)

    def get(self, index: int) -> bytes | None:
        return self._payloads.get(index)

    def put(self, index: int, payload: bytes) -> None:
        self.drop(index)
        self._payloads[index] = payload
        self.size_bytes += len(payload) + _ENTRY_BYTES
        while self.size_bytes > self._limit_bytes:
            self.drop(next(iter(self._payloads)))

    def drop(self, index: int) -> None:
        payload = self._payloads.pop(index, None)
        if payload is not None:
            self.size_bytes -= len(payload) + _ENTRY_BYTES
