"""W3C Trace Context: which trace a request belongs to, as it travels in `traceparent` and `tracestate`.

Owns: the form of both headers, and the ids of a trace. Never knows: spans, or where a header comes from. Pure.

Source: https://www.w3.org/TR/trace-context/, level 1; the flag "random trace id" of level 2 is passed on.
"""

import re

from gossipreg.blake2 import blake2b
from gossipreg.quick_dataclass import dataclass

TRACE_PARENT, TRACE_STATE, BAGGAGE = "traceparent", "tracestate", "baggage"
"""The names of the headers. Baggage (https://www.w3.org/TR/baggage/) is passed on as it is, and never read."""
SAMPLED = 0x01
_KNOWN_FLAGS = 0x03
MAX_STATE_BYTES = 512
MAX_STATE_MEMBERS = 32

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?")
_STATE_MEMBER = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]")
NO_TRACE, NO_SPAN = "0" * 32, "0" * 16


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span, as others may name it: the parent of what follows from it."""

    trace_id: str
    """32 hex digits."""
    span_id: str
    """16 hex digits."""
    flags: int = 0
    state: str = ""
    """The value of `tracestate`; "" if there is none."""

    @property
    def sampled(self) -> bool:
        """Whether whoever began the trace wants it to be recorded."""
        return bool(self.flags & SAMPLED)

    @property
    def parent(self) -> str:
        """The value of `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Both headers, as far as there is something to say."""
        state = ((TRACE_STATE, self.state),) if self.state else ()
        return ((TRACE_PARENT, self.parent), *state)


def trace_context_untrusted(parent: str | None, state: str | None = "") -> TraceContext | None:
    """The context that these two headers say; None where `traceparent` is absent or has not its form, and a
    `tracestate` that has not its form is left out, as the standard wants it: a trace is no reason to refuse a
    request."""
    found = _PARENT.fullmatch((parent or "").strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None) or trace_id == NO_TRACE or span_id == NO_SPAN:
        return None
    return TraceContext(trace_id, span_id, int(flags, 16) & _KNOWN_FLAGS, _state_untrusted(state or ""))


def _state_untrusted(text: str) -> str:
    members = [member.strip(" \t") for member in text.split(",")]
    members = [member for member in members if member]
    kept = ",".join(members)
    if len(members) > MAX_STATE_MEMBERS or len(kept) > MAX_STATE_BYTES:
        return ""
    return kept if all(_STATE_MEMBER.fullmatch(member) for member in members) else ""


def derived_trace_id(name: str) -> str:
    """The id of the trace of something that several processes know by this name: each finds the same."""
    return _not_zero(blake2b(name.encode(), digest_size=16, person=b"trace").hexdigest())


def derived_span_id(trace_id: str, name: str) -> str:
    """As `derived_trace_id`, of the span of this name in a trace."""
    return _not_zero(blake2b(f"{trace_id} {name}".encode(), digest_size=8, person=b"span").hexdigest())


def _not_zero(digits: str) -> str:
    return digits if digits.strip("0") else f"{digits[:-1]}1"
