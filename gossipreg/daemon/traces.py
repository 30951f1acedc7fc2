"""The spans of this sidecar: whether they are exported, and what an operator should know of that.

Owns: when the exporter starts and ends, and its reports. Without --otlp nothing of it is loaded, and `tracer` records
nothing.
"""

import os
import random
from functools import partial
from typing import TYPE_CHECKING

import trio

from gossipreg import __version__
from gossipreg.daemon.logs import Log
from gossipreg.daemon.troubles import Troubles
from gossipreg.tracing import NO_TRACER, Tracer

if TYPE_CHECKING:
    from gossipreg.daemon.start import OpenedSidecar
    from gossipreg.otlp.span_queue import SpanQueue

LAST_SPANS_S = 2.0
"""How long the last spans have at the end of the sidecar."""
REASONS = ("span_queue_full", "span_not_exported", "span_rejected")


class Traces:
    def __init__(self, opened: "OpenedSidecar", log: Log, troubles: Troubles) -> None:
        self._log = log
        self._troubles = troubles
        self._queue: SpanQueue | None = None
        self._lost = 0
        self._where = ""
        self.tracer: Tracer = NO_TRACER
        if opened.otlp is not None:
            from gossipreg.otlp import span_queue

            settings = opened.otlp.settings
            member = opened.member
            resource = {
                "service.name": "gossipreg", "service.instance.id": opened.identity.id.hex(),
                "service.version": __version__, "gossipreg.member": member.name,
                "gossipreg.cluster": opened.settings.cluster, **dict(settings.resource),
            }  # fmt: skip
            self._where = settings.shown
            self._queue = span_queue.SpanQueue(
                opened.otlp.collector, resource=resource, scope=("gossipreg", __version__)
            )
            self.tracer = Tracer(settings.sampler, random.Random(os.urandom(16)), self._queue.put)

    def start(self) -> None:
        if self._queue is not None:
            self._queue.start()

    async def end(self) -> None:
        """Send what waits, for a moment, and say what was lost."""
        if self._queue is not None:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(partial(self._queue.close, LAST_SPANS_S))
            self.look()

    def look(self) -> None:
        """Report what was lost since the last look."""
        if self._queue is None:
            return
        lost, failure = self._queue.dropped.total(), self._queue.failure
        if lost > self._lost:
            why = f": {failure}" if failure else f": {self._where} takes them too slowly, or refuses them"
            message = f"{lost} spans were not exported since the start{why}"
            self._troubles.saw("spans_dropped", message)
            self._log.line(
                "warning",
                "spans_dropped",
                {"message": message, "lost": lost - self._lost},
                repeat_key=f"spans_dropped {failure}",
            )
            self._lost = lost
        elif failure:
            gone = f"; {lost} were not exported since the start" if lost else ""
            self._troubles.saw("spans_dropped", f"spans wait for the collector: {failure}{gone}")
        else:
            self._troubles.over("spans_dropped")

    def counts(self) -> dict[str, int]:
        """Counters for `info`; none without --otlp."""
        if self._queue is None:
            return {}
        dropped = {
            f"drop.{reason}": self._queue.dropped.get(reason, 0) for reason in REASONS
        }  # an alert needs the zeros
        return {"spans_waiting": len(self._queue), "spans_exported": self._queue.exported, **dropped}
