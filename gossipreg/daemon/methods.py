"""The methods of the local socket by name: parameters in, packed result out. `watch` belongs to a connection instead.

Each is one synchronous call between two turns of the pump, so it sees the table as it is now and nothing can come
between. Only `info` and `members`, which look at everybody, do so in pieces, so that others need not wait for long.
Results have the JSON shapes of `wire.shapes`, already in MessagePack.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgpack import Packer

from gossipreg.callers import Caller
from gossipreg.daemon import params as check
from gossipreg.daemon.entries import Answer
from gossipreg.daemon.info import Info
from gossipreg.daemon.lookups import Lookups
from gossipreg.daemon.maintenance_methods import MaintenanceMethods
from gossipreg.daemon.params import Check, take_untrusted
from gossipreg.daemon.partial import not_synced
from gossipreg.daemon.pieces import in_pieces
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.row_acks import RowAckWaits
from gossipreg.daemon.services import Services
from gossipreg.daemon.socket_client import Begun, Command, Handler, Params, SocketClient, pack
from gossipreg.errors import Refused
from gossipreg.model import Health, NodeId, ServiceSummary, fold_name
from gossipreg.wire.shapes import Shape, member_shape, service_shape, version_shape

if TYPE_CHECKING:
    from gossipreg.core.node import Node

_HEARTBEAT: dict[str, Check] = {"id": check.word, "status": check.health, "note": check.note}
_PAGE = check.Whole(1, check.PAGE_MAX)
_EMPTY = pack({})


class Methods:
    def __init__(
        self,
        node: "Node",
        pump: Pump,
        services: Services,
        *,
        leave: Callable[[float, Caller], Awaitable[None]],
        troubles: Callable[[], list[Shape]] = list,
        durable: bool,
        about: dict[str, Any],
        more_counts: Callable[[], dict[str, int]] = dict,
        more_fields: Callable[[], Shape] = dict,
        more: Mapping[str, Handler] | None = None,
        more_commands: "Mapping[str, Command] | None" = None,
        more_gone: Callable[[SocketClient], None] | None = None,
    ) -> None:
        """`leave(hold_s, by)` returns when the leave is over; `troubles()` lists what goes wrong now; `about` holds the
        fields of `info` that the node does not know, `more_counts()` further counters and `more_fields()` further
        fields; `more` and `more_commands` are further methods, by name; `more_gone(client)` is told of connections that
        have ended."""
        self._node = node
        self._pump = pump
        self._services = services
        self._leave = leave
        self._durable = durable
        self._more_gone = more_gone
        self._maintenance = MaintenanceMethods(services, RowAckWaits(node, pump), node.name)
        self.rights = services.rights
        self.dropped: Counter[str] = Counter()
        """Connections that were not taken or were cut off, by reason."""
        self.lookups = Lookups(node, pump, services)
        self.info = Info(
            node,
            pump,
            services,
            self.lookups,
            self.dropped,
            about=about,
            troubles=troubles,
            more_counts=more_counts,
            more_fields=more_fields,
        )
        self.handlers: dict[str, Handler] = {
            "lookup": self.lookups.lookup,
            "explain": self.lookups.explain,
            "registered": self.lookups.registered,
            "services": self.services,
            "members": self.members,
            "info": self.info.info,
            **(more or {}),
        }
        self.commands: dict[str, Command] = {
            "register": self.register,
            "deregister": self.deregister,
            "heartbeat": self.heartbeat,
            "leave": self.leave,
            "maint": self.maint,
            "drain": self.drain,
            **(more_commands or {}),
        }
        """The methods that need to know which client asks."""

    # -- questions -----------------------------------------------------------------------------------------------------

    def why_not_synced(self) -> str:
        return self._node.why_not_synced(self._pump.now())

    def services(self, params: Params) -> bytes:
        given = take_untrusted("services", params, {"limit": _PAGE, "after": check.service_name})
        partial = self._node.knowledge.partial
        if self._node.knowledge.refuses:
            raise not_synced("the names of all services", self.why_not_synced())
        summaries = self._node.catalog.services()
        first = _first_after(summaries, given.get("after"))
        page = summaries[first : first + given.get("limit", check.PAGE_DEFAULT)]
        return pack([service_shape(summary, partial) for summary in page])

    async def members(self, params: Params) -> bytes:
        given = take_untrusted("members", params, {"limit": _PAGE, "after": check.member_id})
        ids = sorted(self._node.table.rows)
        first = bisect_right(ids, given["after"]) if "after" in given else 0
        return _pack_list(await in_pieces(ids[first:], self._packed_member, given.get("limit", check.PAGE_DEFAULT)))

    def _packed_member(self, id: NodeId) -> bytes | None:
        member = self._node.member(id, self._pump.now())
        return None if member is None else pack(member_shape(member, self._node.knowledge.partial, id == self._node.id))

    # -- commands ------------------------------------------------------------------------------------------------------

    def register(self, params: Params, client: SocketClient) -> Awaitable[bytes]:
        """The parameters of `params.SERVICE`, and {attach}: as long as the connection lives. Answered when it is
        durable."""
        attach = check.boolean("attach", params.get("attach") or False)
        wanted = {name: value for name, value in params.items() if name != "attach"}
        if attach:
            return self._attached(wanted, client)
        return Begun(self._services.begin_register(wanted, by=client.caller), _registered)

    async def _attached(self, params: Params, client: SocketClient) -> bytes:
        client.attached = True
        return _registered(await self._services.register(params, by=client.caller, holder=client))

    def deregister(self, params: Params, client: SocketClient) -> Awaitable[bytes]:
        given = take_untrusted("deregister", params, {"id": check.word}, "id")
        return Begun(self._services.begin_deregister(given["id"], by=client.caller), _durable)

    def heartbeat(self, params: Params, client: SocketClient) -> bytes:
        """{id, status, note}: answers the `ttl` checks of a service."""
        given = take_untrusted("heartbeat", params, _HEARTBEAT, "id")
        status, note = given.get("status", Health.PASSING), given.get("note", "")
        self._services.heartbeat(given["id"], status, note, by=client.caller)
        return _EMPTY

    def maint(self, params: Params, client: SocketClient) -> Awaitable[bytes]:
        return self._maintenance.maint(params, client.caller)

    async def drain(self, params: Params, client: SocketClient) -> bytes:
        return pack(await self._maintenance.drain(params, client.caller))

    def gone(self, client: SocketClient) -> None:
        """This connection has ended."""
        client.gone = True
        self._services.detach(client)
        if self._more_gone is not None:
            self._more_gone(client)

    def leave(self, params: Params, client: SocketClient) -> Awaitable[bytes]:
        """{hold}: seconds for which the services stay in the answers. Answered when the leave is done."""
        given = take_untrusted("leave", params, {"hold": check.seconds})
        hold_s = given.get("hold", 0.0)
        if hold_s and not self._durable:
            raise Refused("hold needs --data-dir: without it this sidecar comes back as another member")
        return self._left(hold_s, client.caller)

    async def _left(self, hold_s: float, by: Caller) -> bytes:
        await self._leave(hold_s, by)
        return _EMPTY


def may_begin(method: str, params: Params, behind: str) -> bool:
    """Whether this request may be called before those that were begun are answered, the last of them of the method
    `behind`: its result is `Begun`, and it finds what they did. A registration takes effect in the order of the writes;
    the others do when they are called, so a registration before them has to be answered first."""
    if method == "register":
        return not params.get("attach")
    return method in ("deregister", "maint") and behind != "register"


def _registered(answer: Answer) -> bytes:
    return pack({"id": answer.id, "version": version_shape(answer.version)})


def _durable(durable: bool) -> bytes:
    return pack({"durable": durable})


def _first_after(summaries: list[ServiceSummary], after: str | None) -> int:
    """The index at which the page after this name begins."""
    if after is None:
        return 0
    return bisect_right(summaries, fold_name(after), key=lambda summary: fold_name(summary.name))


def _pack_list(packed: list[bytes]) -> bytes:
    """The same bytes as `pack` makes of the list of what is packed."""
    return b"".join((Packer().pack_array_header(len(packed)), *packed))
