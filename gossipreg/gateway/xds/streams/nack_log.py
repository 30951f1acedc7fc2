"""NACKs in the log: each once, however many clients refuse the same response, and not more than a few a minute."""

from collections.abc import Callable

LINES = 10
WITHIN_S = 60.0
"""LINES at most are written in this time; the next line after it says how many were left out."""
REMEMBERED = 256
"""NACKs that are not written again. Beyond, the oldest is forgotten."""
AGAIN_S = 3600.0
"""One that still comes after this time is written again."""


class NackLog:
    def __init__(self, note: Callable[[str], None], now: Callable[[], float]) -> None:
        self._note = note
        self._now = now
        self._written: dict[tuple[str, str, str], float] = {}
        """When each was written."""
        self._began_at = now()
        self._lines = 0
        self._left_out = 0

    def nacked(self, client: str, what: str, version: str, text: str) -> None:
        """`client` refuses this version of `what`."""
        key, now = (what, version, text), self._now()
        if key in self._written and now - self._written[key] < AGAIN_S:
            return
        if now - self._began_at >= WITHIN_S:
            self._began_at, self._lines = now, 0
        if self._lines >= LINES:
            self._left_out += 1
            return
        self._lines += 1
        self._written.pop(key, None)
        self._written[key] = now
        if len(self._written) > REMEMBERED:
            del self._written[next(iter(self._written))]
        more = f" ({self._left_out} such lines were left out before)" if self._left_out else ""
        self._left_out = 0
        self._note(f"xDS client {client} refuses {what} in version {version} and keeps what it has: {text}{more}")
