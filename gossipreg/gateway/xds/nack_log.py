"""NACKs in the log: each once, however many clients refuse the same response, and not more than a few a minute."""

from collections.abc import Callable

LINES = 10
WITHIN_S = 60.0
"""At most so many lines in this time; the next line after it says how many were left out."""
REMEMBERED = 256
"""NACKs that are not written again. Beyond, the oldest is forgotten."""


class NackLog:
    def __init__(self, note: Callable[[str], None], now: Callable[[], float]) -> None:
        self._note = note
        self._now = now
        self._written: dict[tuple[str, str, str], None] = {}
        self._began_at = now()
        self._lines = 0
        self._left_out = 0

    def nacked(self, client: str, what: str, version: str, text: str) -> None:
        """`client` refuses this version of `what`."""
        key = (what, version, text)
        if key in self._written:
            return
        if self._now() - self._began_at >= WITHIN_S:
            self._began_at, self._lines = self._now(), 0
        if self._lines >= LINES:
            self._left_out += 1
            return
        self._lines += 1
        self._written[key] = None
        if len(self._written) > REMEMBERED:
            del self._written[next(iter(self._written))]
        more = f" ({self._left_out} such lines were left out before)" if self._left_out else ""
        self._left_out = 0
        self._note(f"xDS client {client} refuses {what} in version {version} and keeps what it has: {text}{more}")
