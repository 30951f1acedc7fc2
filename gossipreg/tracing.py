"""Spans: what this process did, for whom and for how long, as OpenTelemetry has them.

Owns: the ids of spans, which of them are recorded, and their times. Never knows: how a recorded span is exported
(`otlp/`), or what it is about: whoever begins a span gives its name and attributes, which never hold payloads, values
of headers, or texts of errors.

A span is begun by a Tracer, handed on as `span.context`, and ended once. A process that exports nothing has NO_TRACER:
its spans have the context of their parent, which is so passed on as it came, and nothing else.
"""

import time
from collections.abc import Callable, Mapping
from enum import IntEnum
from random import Random
from types import TracebackType

from gossipreg.errors import GossipregError
from gossipreg.quick_dataclass import dataclass
from gossipreg.trace_context import NO_SPAN, NO_TRACE, SAMPLED, TraceContext

Attribute = str | int | float | bool
Attributes = Mapping[str, Attribute]

_TRACE_ID_BITS, _SPAN_ID_BITS = 128, 64
_SHARE_BITS = 64
"""The lower bits of a trace id decide, as in OpenTelemetry's TraceIdRatioBased: so all processes decide alike."""


class SpanKind(IntEnum):
    """With OTLP's numbers."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


@dataclass(frozen=True, slots=True)
class Sampler:
    """Which traces are recorded."""

    share: float = 1.0
    """Of the traces that begin here, or of all."""
    parent_based: bool = True
    """Whether what has a parent follows its flag."""

    def samples(self, trace_id: str, parent: TraceContext | None) -> bool:
        if self.parent_based and parent is not None:
            return parent.sampled
        return int(trace_id[16:], 16) < round(self.share * (1 << _SHARE_BITS))


@dataclass(frozen=True, slots=True)
class FinishedSpan:
    name: str
    kind: SpanKind
    context: TraceContext
    parent_id: str
    """16 hex digits; empty: it has none."""
    links: tuple[TraceContext, ...]
    began_ns: int
    """Since 1970."""
    ended_ns: int
    attributes: Attributes
    failed: bool


class Span:
    """What is being done now. As a context manager it ends with its block, and by its exception."""

    __slots__ = (
        "_attributes",
        "_began_at",
        "_began_ns",
        "_export",
        "_kind",
        "_links",
        "_name",
        "_parent_id",
        "context",
    )

    def __init__(
        self, context: TraceContext | None, *, export: Callable[[FinishedSpan], None] | None = None, name: str = "",
        kind: SpanKind = SpanKind.INTERNAL, parent_id: str = "", links: tuple[TraceContext, ...] = (),
        attributes: Attributes | None = None,
    ) -> None:  # fmt: skip
        """Without `export` it is not recorded."""
        self.context = context
        """What to hand on; None: there is no trace."""
        self._export = export
        if export is not None:
            self._name, self._kind, self._parent_id, self._links = name, kind, parent_id, links
            self._attributes: dict[str, Attribute] = dict(attributes or {})
            self._began_ns, self._began_at = time.time_ns(), time.perf_counter_ns()

    @property
    def recorded(self) -> bool:
        return self._export is not None

    def headers(self) -> tuple[tuple[str, str], ...]:
        """`traceparent` and `tracestate` of a request that is a part of it."""
        return () if self.context is None else self.context.headers()

    def note(self, attributes: Attributes) -> None:
        """Add these to what is known of it."""
        if self._export is not None:
            self._attributes.update(attributes)

    def begin_anew(self) -> None:
        """It begins only now: until now it waited."""
        if self._export is not None:
            self._began_ns, self._began_at = time.time_ns(), time.perf_counter_ns()

    def end(self, error: str = "") -> None:
        """End it; a second end changes nothing. `error`: the kind of the failure, one of a few; empty: it succeeded."""
        export, self._export = self._export, None
        if export is None:
            return
        assert self.context is not None, "what is recorded has a context"
        if error:
            self._attributes["error.type"] = error
        ended_ns = self._began_ns + time.perf_counter_ns() - self._began_at  # the wall clock may be set meanwhile
        export(
            FinishedSpan(
                self._name, self._kind, self.context, self._parent_id, self._links, self._began_ns, ended_ns,
                self._attributes, bool(error),
            )
        )  # fmt: skip

    def __enter__(self) -> "Span":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del trace
        if kind is None:
            self.end()
        else:
            self.end(error.code if isinstance(error, GossipregError) else kind.__name__)


class Tracer:
    def __init__(self, sampler: Sampler, rng: Random, export: Callable[[FinishedSpan], None] | None) -> None:
        """`export` is given each recorded span once it has ended, and may not block. None: nothing is recorded."""
        self._sampler = sampler
        self._rng = rng
        self._export = export

    @property
    def on(self) -> bool:
        """Whether anything is recorded: if not, attributes need not be gathered."""
        return self._export is not None

    def begin(
        self, name: str, kind: SpanKind, parent: TraceContext | None, attributes: Attributes | None = None, *,
        links: tuple[TraceContext, ...] = (),
    ) -> Span:  # fmt: skip
        if self._export is None:
            return Span(parent)
        trace_id = self.new_trace_id() if parent is None else parent.trace_id
        if not self._sampler.samples(trace_id, parent):
            return Span(parent if parent is not None and not parent.sampled else self._child(trace_id, parent, 0))
        context = self._child(trace_id, parent, SAMPLED)
        return Span(
            context, export=self._export, name=name, kind=kind, parent_id="" if parent is None else parent.span_id,
            links=links, attributes=attributes,
        )  # fmt: skip

    def record(self, finished: FinishedSpan) -> None:
        """Export a span whose times were known otherwise, if its flag says so."""
        if self._export is not None and finished.context.sampled:
            self._export(finished)

    def samples(self, trace_id: str) -> bool:
        """Whether a trace of this id that begins here is recorded."""
        return self._export is not None and self._sampler.samples(trace_id, None)

    def _child(self, trace_id: str, parent: TraceContext | None, flag: int) -> TraceContext:
        span_id = f"{self._rng.getrandbits(_SPAN_ID_BITS):016x}"
        flags, state = (0, "") if parent is None else (parent.flags & ~SAMPLED, parent.state)
        return TraceContext(trace_id, span_id if span_id != NO_SPAN else self._other_id(), flags | flag, state)

    def _other_id(self) -> str:
        return f"{self._rng.randrange(1, 1 << _SPAN_ID_BITS):016x}"

    def new_trace_id(self) -> str:
        found = f"{self._rng.getrandbits(_TRACE_ID_BITS):032x}"
        return found if found != NO_TRACE else self.new_trace_id()


NO_TRACER = Tracer(Sampler(share=0.0), Random(0), None)
"""Of a process that exports nothing."""
