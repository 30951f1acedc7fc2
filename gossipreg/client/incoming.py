"""The request that this program serves right now, as far as its own calls have to know it: is it a retry, and for how
long does its caller wait? `load_middleware.py` sets it; calls and adapters read it. Each thread and each task has its
own.
"""

from contextvars import ContextVar
from typing import NamedTuple


class IncomingRequest(NamedTuple):
    depth: int = 1
    """2 or more: it is a retry, so what is called for it is not retried."""
    deadline: float | None = None
    """In monotonic seconds: when its caller stops waiting. None: the caller has not said so."""


NOT_SERVING = IncomingRequest()
INCOMING: ContextVar[IncomingRequest] = ContextVar("gossipreg_incoming", default=NOT_SERVING)
