"""What a relay needs of a registry, and what an inbox needs of an event."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from gossipreg.errors import BadParams


class Publisher(Protocol):
    """`gossipreg.Registry` is one."""

    def publish(
        self, type: str, data: object = None, *, id: str | None = None, source: str | None = None,
        key: str | None = None, subject: str | None = None, datacontenttype: str | None = None,
        time: str | None = None, extensions: Mapping[str, str] | None = None, timeout: float = 10.0,
    ) -> object:  # fmt: skip
        """Publish an event, and return once it is durable. Bytes are taken as they are, text is text/plain, all else
        JSON. The same id and content again is the same event. Raises GossipregError; its `code` says what to do."""
        ...


@runtime_checkable
class SagaStarter(Protocol):
    """A publisher that begins sagas too; `gossipreg.Registry` is one."""

    def run_saga(
        self, definition: Mapping[str, Any] | str, input: object = None, *, id: str | None = None,
        traceparent: str | None = None, tracestate: str | None = None, journal: str | None = None,
        timeout: float = 10.0,
    ) -> object:  # fmt: skip
        """Begin a declared saga in this journal, and return once it is durable; one that was begun there before is
        fine. Raises GossipregError, as `Publisher.publish`; NotFound: the journal has ended."""
        ...

    def saga_journal(self, *, timeout: float = 10.0) -> str:
        """The journal in which a saga would begin now. Raises GossipregError."""
        ...


class ReceivedEvent(Protocol):
    """An event as a handler gets it."""

    @property
    def id(self) -> str: ...

    @property
    def source(self) -> str: ...


def check_publisher(publisher: object) -> None:
    """Raises BadParams. An async registry would send nothing, and its rows would be taken out."""
    from inspect import iscoroutinefunction

    publish = getattr(publisher, "publish", None)
    if isinstance(publisher, type) or not callable(publish):
        raise BadParams(f"publisher is {publisher!r}: give the registry, gossipreg.connect()")
    if iscoroutinefunction(publish):
        raise BadParams(
            f"publisher is {publisher!r}, which is async: the relay is a thread, so give gossipreg.connect()"
        )
