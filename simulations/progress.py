"""The progress of a sweep, on stderr: a bar if that is a terminal, else a plain line now and then.

Owns: what is shown. It is the only part of the laboratory that reads the wall clock, for this purpose alone.
"""

import sys
import time
from typing import TextIO

_BAR = 24
_PLAIN_S = 30.0
"""Seconds between two plain lines."""


class Progress:
    def __init__(self, total: int | None, *, seconds: float | None = None, stream: TextIO | None = None) -> None:
        """`total`: the number of runs; None: as many as fit into `seconds`."""
        self._total = total
        self._seconds = seconds
        self._stream = stream or sys.stderr
        self._start = self._shown_at = time.monotonic()
        self._shown = 0

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._start

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return self._seconds is not None and self.elapsed_s >= self._seconds

    def __call__(self, done: int) -> None:
        if self._stream.isatty():
            text = self._text(done)
            self._stream.write("\r" + text.ljust(self._shown))
            self._stream.flush()
            self._shown = len(text)
        elif time.monotonic() - self._shown_at >= _PLAIN_S:
            self._shown_at = time.monotonic()
            self._stream.write(self._text(done) + "\n")
            self._stream.flush()

    def clear(self) -> None:
        """Remove the bar, so that other text can be printed."""
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0

    def _text(self, done: int) -> str:
        if self._total is None:
            seconds = self._seconds or 0.0
            return _line(self.elapsed_s / seconds if seconds else 1.0, f"{done} runs", seconds - self.elapsed_s)
        left_s = self.elapsed_s / done * (self._total - done) if done else None
        return _line(done / self._total if self._total else 1.0, f"{done} of {self._total} runs", left_s)


def _line(part: float, what: str, left_s: float | None) -> str:
    full = min(_BAR, int(part * _BAR))
    left = "" if left_s is None else f", {_duration(left_s)} left"
    return f"[{'#' * full}{'-' * (_BAR - full)}] {what}{left}"


def _duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} m"
