"""What a relay needs of a registry, and what an inbox needs of an event."""

from collections.abc import Mapping
from typing import Protocol


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


class ReceivedEvent(Protocol):
    """An event as a handler gets it."""

    @property
    def id(self) -> str: ...

    @property
    def source(self) -> str: ...
