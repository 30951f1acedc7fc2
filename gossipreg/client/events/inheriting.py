"""The event that is handled right now, so that an event that its handler publishes can name it as its cause.

Each thread and each task has its own. Also programs that handle an event without a handler say so, by `with event:`.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol

from gossipreg.errors import BadParams
from gossipreg.events.cloud_event import CAUSATION, CORRELATION, INHERITED


class CausingEvent(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def extensions(self) -> Mapping[str, str]: ...


HANDLED: ContextVar[CausingEvent | None] = ContextVar("gossipreg_handled_event", default=None)


def with_inherited(extensions: Mapping[str, str] | None) -> dict[str, str]:
    """These extensions, and those that come from the event that is handled now (as `CloudEvent.caused_by`). Raises
    BadParams for extensions that are no texts."""
    given = {} if extensions is None else _checked(extensions)
    cause = HANDLED.get()
    if cause is None:
        return given
    inherited = {name: cause.extensions[name] for name in INHERITED if name in cause.extensions}
    inherited.setdefault(CORRELATION, cause.id)
    return {**inherited, CAUSATION: cause.id, **given}


def _checked(extensions: Mapping[str, str]) -> dict[str, str]:
    try:
        found = dict(extensions)
    except (TypeError, ValueError):
        raise BadParams(f"extensions {extensions!r} is no map: give texts by name") from None
    if not all(isinstance(one, str) for item in found.items() for one in item):
        raise BadParams(f"extensions {extensions!r} has something that is no text: give texts by name")
    return found
