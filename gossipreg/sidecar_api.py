"""What a gateway may ask of the sidecar that runs it, and what the sidecar asks of a gateway.

The daemon and the gateways meet here alone: neither imports the other. A gateway has two forms, each complete once it
is made. `GatewayOptions` is what the user chose; it is opened with the other sockets, before the sidecar says that it
is ready. The `Gateway` that comes of it is run with the SidecarApi, whose parts all exist by then.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from gossipreg.callers import Caller
from gossipreg.core.view import View
from gossipreg.feed import Feed
from gossipreg.model import Change, Health, NodeId, RegisteredService
from gossipreg.quick_dataclass import dataclass
from gossipreg.rights import Rights
from gossipreg.tracing import NO_TRACER, Tracer

if TYPE_CHECKING:
    from gossipreg.events.cloud_event import CloudEvent
    from gossipreg.events.effects import PublishSettled

Shape = dict[str, Any]
LogFields = dict[str, str | int | float | bool | None]
Reread = Callable[[], LogFields]
Question = Callable[[Shape], Shape]


class Registrations(Protocol):
    """The services registered here, see `daemon/services.py`. What raises, raises RequestError, and then nothing has
    changed."""

    async def register(
        self, params: dict[str, Any], *, by: Caller, holder: None, fresh: Health | None = ...,
        said: Mapping[str, Health] | None = ..., keeps_checks: bool = ...,
    ) -> Any: ...  # fmt: skip

    async def deregister(self, id: str, *, by: Caller) -> bool:
        """Returns whether it is durable, as the methods below do."""

    async def put_check(
        self, id: str | None, check_id: str, given: Mapping[str, Any], *, by: Caller, said: Health | None = ...
    ) -> None: ...

    async def describe_check(self, id: str | None, check_id: str, name: str, notes: str, *, by: Caller) -> None: ...

    async def drop_check(self, id: str | None, check_id: str, *, by: Caller) -> bool: ...

    async def maintain(self, id: str | None, reason: str | None, *, by: Caller) -> bool: ...

    def maintenance(self, id: str | None) -> str | None: ...

    def heartbeat(self, id: str, health: Health, note: str, check: str | None = ..., *, by: Caller) -> None: ...

    def report(self, id: str) -> list[Shape]: ...

    def names(self, id: str) -> list[str]:
        """The name of the service with this id, if it is registered here; for an empty id the names of all of them."""

    def owned(self) -> list[tuple[RegisteredService, int | None]]:
        """All of them, each with the uid that it belongs to: see `rights.py`."""


class EventsApi(Protocol):
    """The events of this sidecar, which are loaded when they are first asked for."""

    async def publish(self, event: "CloudEvent") -> "PublishSettled":
        """Returns once the event is durable. Raises RequestError."""

    def dapr_subscriptions(self) -> list[Shape]:
        """Those of the Dapr app beside this sidecar, in the shape of Dapr's metadata."""


class HistoryApi(Protocol):
    """What this sidecar saw, see `daemon/history/`."""

    async def page(self, params: Shape) -> Shape:
        """The answer of the method `history` of the local socket to these parameters. Raises RequestError."""

    def following(
        self, name: str, params: Shape, take: Callable[[Shape], None]
    ) -> AbstractContextManager[None]:  # fmt: skip
        """Call `take` with each new line, in the shape that `page` has, that these parameters want, while the block
        runs. It must not block; the block ends early if it fails. `name` is for the log. Raises BadParams."""


@dataclass(frozen=True, slots=True)
class SidecarApi:
    """A running sidecar, as far as gateways may use it."""

    view: View
    changes: Feed[tuple[Change, ...]]
    """The changes of the answers to lookups; an empty one if the knowledge changed (synced, partial, stale)."""
    members: Feed[tuple[NodeId, ...]]
    """The members that are shown otherwise than before: another state, name, address, label, ..., or gone. It comes
    after the changes of the same moment."""
    registrations: Registrations
    registered: Feed[str]
    """The ids of services that were registered here, changed or taken out; an empty one if the sidecar has other checks
    of its own."""
    rights: Rights
    cluster: str
    """The datacenter, in Consul's words."""
    version: str
    now: Callable[[], float]
    """The time as the view has it."""
    leave: Callable[[float, Caller], Awaitable[None]]
    """`leave(hold_s, by)` returns when the leave is done."""
    force_leave: Callable[[str, Caller], object]
    """`force_leave(member, by)` declares the members of this name or id left, which must be dead or suspected. Raises
    RequestError."""
    reload: Callable[[Caller], Awaitable[None]]
    """Read keys, tokens and files again, as SIGHUP does. Raises Refused with the faults."""
    greet: Callable[[str], Awaitable[None]]
    """Greet the members at `host:port`, so that two clusters become one. Raises RequestError if the text is no address,
    or its name has none."""
    figures: Callable[[], Awaitable[Shape]]
    """The answer of `gossipreg info`."""
    note: Callable[[str], None]
    """Log what an operator may want to know."""
    bug: Callable[[str, Exception], None]
    """`bug(where, error)` logs and counts what should not happen."""
    full: Callable[[OSError], None]
    """Hears of connections that wait at a listener of the gateway, since the system has no room for them."""
    trouble: Callable[[str, str], None]
    """`trouble(key, message)` reports a condition that lasts; `gossipreg info` shows it until some seconds after the
    last report."""
    events: EventsApi
    history: HistoryApi
    ask: Callable[[str, Shape, Caller], Awaitable[Any]]
    """`ask(method, params, caller)`: the result of a method of the local socket, in values that JSON has, with the
    rights of this caller. Raises GossipregError. Methods that belong to a connection (`watch`) are unknown."""
    dapr_app: str | None = None
    """The service that --dapr-app names."""
    mesh_secrets: Callable[[], tuple[bytes, ...]] = tuple
    """A secret for the CA of the mesh from each key of the ring, first the one that seals; none without keys."""
    tracer: Tracer = NO_TRACER
    """What records the spans of this sidecar."""


class Gateway(Protocol):
    """An opened gateway: its sockets are bound, and clients may connect already."""

    @property
    def name(self) -> str:
        """Its key in the ready line and in `info`."""

    @property
    def addresses(self) -> Sequence[object]:
        """The addresses at which it listens, in a form for people."""

    @property
    def rereads(self) -> Mapping[str, Reread]:
        """By name, what reads one of its files again and applies it; called in a thread. Each returns what it found,
        for the log, or raises CannotStart; then what was read before stays in use."""

    @property
    def questions(self) -> Mapping[str, Question]:
        """By name, the methods of the local socket that it answers: checked parameters in, the result out."""

    def warnings(self) -> list[str]:
        """Faults of its files that do not prevent their use."""

    async def run(self, api: SidecarApi) -> None:
        """Serve until cancelled, beginning with the registry as it is now. Returns early only where it lost track of
        the changes; the sidecar runs it again then."""

    def counts(self) -> dict[str, int]:
        """Counters for `info`, with the gateway's name in theirs; what it dropped as `drop.REASON` (`drops.py`)."""

    def close(self) -> None: ...


class GatewayOptions(Protocol):
    """A gateway as the user chose it."""

    def open(self) -> Gateway:
        """Bind its sockets and read its files. Raises CannotStart or BadConfig; then nothing stays open."""
