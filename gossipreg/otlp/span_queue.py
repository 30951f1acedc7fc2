"""Spans that wait for the collector, and the thread that sends them in batches.

Owns: how many wait, and what is lost. A collector that is slow, or not there, costs spans and nothing else: `put` never
blocks, and what finds no room is counted and gone. Never knows: what a span is about.

The thread sleeps while there are no spans. A batch that the collector may get again is sent again for `AGAIN_S`, after
growing waits; meanwhile others wait, and the queue fills. If the collector asks for a longer pause, the batch is lost,
and the next one is sent after that pause.
"""

import threading
import time
from collections import Counter, deque
from typing import Protocol

from gossipreg.otlp.otlp_message import request_message, span_message
from gossipreg.otlp.otlp_post import Posted
from gossipreg.tracing import Attributes, FinishedSpan

QUEUE_MAX = 2048
"""Spans that wait, of about 1 KB: OTEL_BSP_MAX_QUEUE_SIZE by default."""
BATCH_MAX = 256
"""Spans of one request. To encode them takes some 10 ms of a thread."""
GATHER_S = 1.0
"""How long the first span of a batch waits for others."""
AGAIN_S = 30.0
FIRST_WAIT_S, MAX_WAIT_S = 1.0, 8.0
YIELD_EVERY = 16
"""Spans after which the thread lets others run: the event loop wants the interpreter too."""


class SpanReceiver(Protocol):
    """Who takes requests. Only the thread of the queue calls it."""

    def post(self, body: bytes) -> Posted:
        """Send this; blocks meanwhile."""

    def close(self) -> None: ...


class SpanQueue:
    def __init__(
        self,
        receiver: SpanReceiver,
        *,
        resource: Attributes,
        scope: tuple[str, str],
        queue_max: int = QUEUE_MAX,
    ) -> None:
        self._receiver = receiver
        self._resource = resource
        self._scope = scope
        self._queue_max = queue_max
        self._waiting: deque[FinishedSpan] = deque()
        self._wake = threading.Event()
        self._full = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._in_hand = 0
        """Spans of the batch that is being sent."""
        self.exported = 0
        """Spans that the collector has taken."""
        self.dropped: Counter[str] = Counter()
        """By reason, see `drops.py`."""
        self.failure = ""
        """Why the collector does not take spans now; empty: it does."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, span: FinishedSpan) -> None:
        """Never blocks. For one thread alone."""
        waiting = len(self._waiting)
        if waiting >= self._queue_max:
            self.dropped["span_queue_full"] += 1
            return
        self._waiting.append(span)
        if not waiting:
            self._wake.set()
        elif waiting + 1 >= BATCH_MAX:
            self._full.set()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def close(self, within_s: float) -> int:
        """Send what waits, for at most this time. Blocks. Returns how many spans had no answer then, which are counted
        as not exported. What is put after that goes nowhere."""
        self._closing.set()
        self._full.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(within_s)
        left = len(self._waiting) + self._in_hand
        if left:
            self.dropped["span_not_exported"] += left
        return left

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._full.wait(GATHER_S)
            self._wake.clear()
            if not self._closing.is_set():
                self._full.clear()
            while self._waiting:
                self._in_hand = min(len(self._waiting), BATCH_MAX)
                self._send([self._waiting.popleft() for _ in range(self._in_hand)])
                self._in_hand = 0
            if self._closing.is_set():
                self._receiver.close()
                return

    def _send(self, batch: list[FinishedSpan]) -> None:
        body, until, wait_s = self._encoded(batch), time.monotonic() + AGAIN_S, FIRST_WAIT_S
        while True:
            try:
                posted = self._receiver.post(body)
            except Exception as error:  # the thread must go on
                posted = Posted(f"{type(error).__name__}: {error}")
            if not posted.error:
                self._taken(len(batch), posted.rejected)
                return
            self.failure = posted.error
            pause_s = max(wait_s, posted.after_s)
            if not posted.again or time.monotonic() + pause_s > until:
                self.dropped["span_not_exported"] += len(batch)
                self._closing.wait(posted.after_s)
                return
            if self._closing.wait(pause_s):
                self.dropped["span_not_exported"] += len(batch)
                return
            wait_s = min(2 * wait_s, MAX_WAIT_S)

    def _taken(self, sent: int, rejected: int) -> None:
        rejected = min(rejected, sent)
        self.exported += sent - rejected
        self.failure = ""
        if rejected:
            self.dropped["span_rejected"] += rejected

    def _encoded(self, batch: list[FinishedSpan]) -> bytes:
        messages = []
        for number, span in enumerate(batch):
            messages.append(span_message(span))
            if number % YIELD_EVERY == YIELD_EVERY - 1:
                time.sleep(0)
        return request_message(self._resource, self._scope, messages)
