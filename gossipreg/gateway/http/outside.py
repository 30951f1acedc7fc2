"""The interface of the sidecar for this gateway, handed in by the code that starts both: neither imports the other."""

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from gossipreg.callers import Caller
from gossipreg.core.view import View
from gossipreg.model import Health
from gossipreg.rights import Rights

Shape = dict[str, Any]


class Registrations(Protocol):
    """The services registered here. See `daemon.services.Services`; what raises, raises RequestError, and then nothing
    has changed."""

    async def register(
        self, params: dict[str, Any], *, by: Caller, holder: None, fresh: Health | None = ...,
        said: Mapping[str, Health] | None = ..., keeps_checks: bool = ...,
    ) -> Any: ...  # fmt: skip

    async def deregister(self, id: str, *, by: Caller) -> bool:
        """Whether it is durable, as below."""

    async def put_check(
        self, id: str | None, check_id: str, given: Mapping[str, Any], *, by: Caller, said: Health | None = ...
    ) -> None: ...

    async def describe_check(self, id: str | None, check_id: str, name: str, notes: str, *, by: Caller) -> None: ...

    async def drop_check(self, id: str | None, check_id: str, *, by: Caller) -> bool: ...

    async def maintain(self, id: str | None, reason: str | None, *, by: Caller) -> bool: ...

    def maintenance(self, id: str | None) -> str | None: ...

    def heartbeat(self, id: str, health: Health, note: str, check: str | None = ..., *, by: Caller) -> None: ...

    def report(self, id: str) -> list[Shape]: ...


class Outside(Protocol):
    @property
    def view(self) -> View: ...

    @property
    def registrations(self) -> Registrations: ...

    @property
    def cluster(self) -> str:
        """It is the datacenter in Consul's words."""

    @property
    def version(self) -> str: ...

    def now(self) -> float:
        """The time as the view has it."""

    @property
    def rights(self) -> Rights: ...

    def leave(self, hold_s: float, by: Caller) -> Awaitable[None]:
        """Returns when it is done."""

    def force_leave(self, member: str, by: Caller, /) -> object:
        """Declare the members of this name or id left, which must be dead or suspected. Raises RequestError."""

    def reload(self, by: Caller) -> Awaitable[None]:
        """Read keys, tokens and files again. Raises Refused with the faults."""

    def seek(self, seed: str) -> Awaitable[None]:
        """Call the members at `host:port`. Raises RequestError where it is none, or has no address."""

    def figures(self) -> Awaitable[Mapping[str, Any]]:
        """The answer of `gossipreg info`."""

    def note(self, message: str) -> None:
        """Log what an operator may want to know."""

    def bug(self, where: str, error: Exception) -> None:
        """Log what should not be."""
