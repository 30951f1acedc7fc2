"""The methods of the local socket, but for `watch`, which belongs to a connection: parameters in, packed result out.

Each is one synchronous call between two turns of the pump, so it sees the table as it is now and nothing can come
between; but for `info` and `members`, which look at everybody, in pieces: else others would wait for too long.
Results have the JSON shapes of `wire.shapes`, already in MessagePack. `lookup` is the hot one: its packed answer is
kept until the catalog says that another would be given.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

import trio
from msgpack import Packer, packb

from gossipreg import __version__
from gossipreg.callers import Caller
from gossipreg.daemon import params as check
from gossipreg.daemon.choosing import Choices, explain_shape, some
from gossipreg.daemon.dead_services import dead_shapes
from gossipreg.daemon.key_agreement import KeyAgreement
from gossipreg.daemon.maintenance_methods import MaintenanceMethods
from gossipreg.daemon.params import Check, take_untrusted
from gossipreg.daemon.partial import lookup_shapes, not_synced
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.row_acks import RowAckWaits
from gossipreg.daemon.services import Services
from gossipreg.errors import Refused
from gossipreg.model import Health, Instance, MemberInfo, NodeId, ServiceSummary, fold_name
from gossipreg.wire.rpc import encode_notification
from gossipreg.wire.shapes import Shape, instance_shape, member_shape, service_shape, version_shape

if TYPE_CHECKING:
    from gossipreg.core.node import Node

Params = dict[str, Any]
Handler = Callable[[Params], bytes | Awaitable[bytes]]
Command = Callable[[Params, "SocketClient"], bytes | Awaitable[bytes]]
Made = TypeVar("Made")

KEPT_ANSWERS_MAX = 1024
"""Packed answers of `lookup` that are kept; when there are more, all are dropped. Most sidecars are asked for a few
names."""
KEPT_ANSWER_BYTES = 64 * 1024
"""Larger answers are packed anew: they are rare, and a thousand of them would be too much memory."""
PIECE = 256
"""Members that are handled in one step of about two milliseconds, before other tasks run."""
TROUBLES_MAX = 20
"""Members that `info` lists as not alive, for a person, who finds the others in `members`."""
_TROUBLE = ("name", "address", "state", "since_s", "reason")
MEMBER_STATES = ("alive", "suspect", "dead", "left")

_LOOKUP: dict[str, Check] = {
    "name": check.service_name,
    "tags": check.wanted_tags,
    "all": check.boolean,
    "near": check.boolean,
    "zone": check.zone,
    "one": check.boolean,
    "limit": check.Whole(1, check.PAGE_MAX),
}
_EXPLAIN: dict[str, Check] = {"name": check.service_name, "tags": check.tags, "zone": check.zone}
_HEARTBEAT: dict[str, Check] = {"id": check.word, "status": check.health, "note": check.note}
_PAGE = check.Whole(1, check.PAGE_MAX)
_EMPTY: bytes = packb({})


@dataclass(slots=True, eq=False)
class SocketClient:
    """A client's connection to the local socket, with the caller at its other end; compared by identity."""

    caller: Caller
    gone: bool = False
    attached: bool = False
    """A service lives, or lived, on it."""
    tell: Callable[[bytes], None] = lambda _: None
    """Write to it, beside the answers."""

    @property
    def uid(self) -> int:
        return self.caller.uid

    @property
    def pid(self) -> int:
        return self.caller.pid

    def lost(self, id: str, why: str) -> None:
        """A service that was attached to it is not any more."""
        self.tell(encode_notification("detached", {"id": id, "why": why}))


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
        more: Mapping[str, Handler] | None = None,
        more_commands: "Mapping[str, Command] | None" = None,
    ) -> None:
        """`leave(hold_s, by)` returns when the leave is over; `troubles()` lists what goes wrong now; `about` holds the
        fields of `info` that the node does not know, and `more_counts()` further counters; `more` and `more_commands`
        are further methods, by name."""
        self._node = node
        self._pump = pump
        self._services = services
        self._leave = leave
        self._troubles = troubles
        self._durable = durable
        self._about = about
        self._more_counts = more_counts
        self._maintenance = MaintenanceMethods(services, RowAckWaits(node, pump), node.name)
        self.rights = services.rights
        self._key_agreement = KeyAgreement()
        self._started_at = pump.now()
        self._kept: dict[tuple[Any, ...], tuple[int, bytes]] = {}
        self._choices = Choices()
        self.lookups = 0
        self.dropped: Counter[str] = Counter()
        """Connections that were not taken or were cut off, by reason."""
        self.handlers: dict[str, Handler] = {
            "lookup": self.lookup,
            "explain": self.explain,
            "registered": self.registered,
            "services": self.services,
            "members": self.members,
            "info": self.info,
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
        """Those that need to know who asks."""

    # -- questions -----------------------------------------------------------------------------------------------------

    def lookup(self, params: Params) -> bytes:
        self.lookups += 1
        given = take_untrusted("lookup", params, _LOOKUP, "name")
        name = fold_name(given["name"])
        tags, all, zone = given.get("tags", ()), given.get("all", False), given.get("zone")
        catalog = self._node.catalog
        question, index = (name, tags, all, zone), catalog.index(name)
        limit = 1 if given.get("one", False) else given.get("limit")
        if all or limit is not None or given.get("near", False) or self._node.knowledge.partial:
            # Not kept: the output of checks, distances and knowledge change without a change of the catalog.
            found = catalog.lookup(name, tags=tags, all=all, zone=zone)
            if given.get("near", False):
                found = tuple(sorted(found, key=self._distance))[:limit]
            elif limit is not None:
                found = self._choices.one(question, index, found) if limit == 1 else some(found, limit)
            shape = self._with_checks if all else instance_shape
            if self._node.knowledge.partial:
                shapes = lookup_shapes(self._node, given["name"], found, shape, self.why_not_synced)
            else:
                shapes = [shape(instance) for instance in found]
            if all:
                shapes += self._dead(given)
            return pack(shapes[:limit])
        kept = self._kept.get(question)
        if kept is not None and kept[0] == index:
            return kept[1]
        answer = _pack_instances(catalog.lookup(name, tags=tags, all=all, zone=zone))
        if len(self._kept) >= KEPT_ANSWERS_MAX:
            self._kept.clear()
        if len(answer) <= KEPT_ANSWER_BYTES:
            self._kept[question] = (index, answer)
        return answer

    def explain(self, params: Params) -> bytes:
        """{name, tags, zone} as of `lookup`: what it leaves out, by health, zone and tags."""
        given = take_untrusted("explain", params, _EXPLAIN, "name")
        shape = explain_shape(self._node.catalog, given["name"], given.get("tags", ()), given.get("zone"))
        return pack({**shape, "synced": self._node.synced})

    def registered(self, params: Params) -> bytes:
        """The services registered with this sidecar, of any health, with the output of their checks."""
        take_untrusted("registered", params, {})
        return pack([self._with_checks(instance) for instance in self._node.catalog.of_node(self._node.id)])

    def _with_checks(self, instance: Instance) -> Shape:
        """An instance's shape; with what its checks say where it is ours: only here is that known."""
        shape = instance_shape(instance)
        if instance.node == self._node.id and (said := self._services.report(instance.service.id)):
            shape["checks"] = said
        return shape

    def _dead(self, given: Params) -> Iterator[Shape]:
        tags, zone = given.get("tags", ()), given.get("zone")
        return dead_shapes(self._node, given["name"], tags, zone, self._pump.now())

    def _distance(self, instance: Instance) -> float:
        if instance.node == self._node.id:
            return -1.0
        rtt_s = self._node.rtt_s(instance.node)
        return inf if rtt_s is None else rtt_s

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
        ids = sorted(self._node.replica.rows)
        first = bisect_right(ids, given["after"]) if "after" in given else 0
        return _pack_list(await _in_pieces(ids[first:], self._packed_member, given.get("limit", check.PAGE_DEFAULT)))

    def _packed_member(self, id: NodeId) -> bytes | None:
        member = self._member(id)
        return None if member is None else pack(member_shape(member, self._node.knowledge.partial, id == self._node.id))

    def _member(self, id: NodeId) -> MemberInfo | None:
        return self._node.member(id, self._pump.now())

    async def info(self, params: Params) -> bytes:
        take_untrusted("info", params, {})
        return pack(await self.figures())

    async def figures(self) -> Shape:
        """The answer of `info`."""
        return self._told(await _in_pieces(sorted(self._node.replica.rows), self._member))

    def _told(self, members: list[MemberInfo]) -> Shape:
        node, now = self._node, self._pump.now()
        statistics = dict(node.statistics(now))
        own = next(member for member in members if member.id == node.id)
        states = Counter(member.state for member in members)
        troubles = (member for member in members if member.state in ("suspect", "dead"))
        return {
            "id": node.id.hex(),
            **self._about,
            "generation": str(own.version.generation),
            "address": None if own.address is None else str(own.address),
            "version": __version__,
            "synced": node.synced,
            "knowledge": node.knowledge.value,
            "not_synced_because": node.why_not_synced(now),
            "missing": len(node.missing),
            "missing_from": node.missing_from(),
            "alone": node.alone,
            "out": node.out,
            "members": {state: states[state] for state in MEMBER_STATES},
            "services": node.catalog.service_names(),
            "fingerprint": statistics.pop("fingerprint", None),
            "health_score": statistics.pop("health_score", None),
            "uptime_s": round(now - self._started_at, 3),
            "sealed": node.keyring is not None,
            "keys": [] if node.keyring is None else node.keyring.fingerprints(),
            "troubles": [*self._troubles(), *self._key_agreement.troubles(node.id, members, now)],
            "operations": self._services.audit.shapes(),
            "not_alive": [
                {key: value for key, value in member_shape(member).items() if key in _TROUBLE}
                for member in islice(troubles, TROUBLES_MAX)
            ],
            "failing_checks": self._services.health.failing(),
            "maintenance": self._services.in_maintenance(),
            "loop_lag_ms": round(self._pump.lag_s * 1000, 3),
            "counters": {
                **{name: value for name, value in statistics.items() if name not in ("synced", "members", "out")},
                **{f"drop.{reason}": count for reason, count in (self._pump.dropped + self.dropped).items()},
                **self._pump.counts,
                **self._services.health.checks.counts(),
                **self._more_counts(),
                "lookups": self.lookups,
                "tasks": trio.lowlevel.current_statistics().tasks_living,
            },
        }

    # -- commands ------------------------------------------------------------------------------------------------------

    def register(self, params: Params, client: SocketClient) -> Awaitable[bytes]:
        """The parameters of `params.SERVICE`, and {attach}: as long as the connection lives. Answered when it is
        durable."""
        attach = check.boolean("attach", params.get("attach") or False)
        wanted = {name: value for name, value in params.items() if name != "attach"}
        return self._registered(wanted, client, attach)

    async def _registered(self, params: Params, client: SocketClient, attach: bool) -> bytes:
        client.attached = client.attached or attach
        holder = client if attach else None
        id, version = await self._services.register(params, by=client.caller, holder=holder)
        return pack({"id": id, "version": version_shape(version)})

    async def deregister(self, params: Params, client: SocketClient) -> bytes:
        given = take_untrusted("deregister", params, {"id": check.word}, "id")
        return pack({"durable": await self._services.deregister(given["id"], by=client.caller)})

    def heartbeat(self, params: Params, client: SocketClient) -> bytes:
        """{id, status, note}: answers the `ttl` checks of a service."""
        given = take_untrusted("heartbeat", params, _HEARTBEAT, "id")
        status, note = given.get("status", Health.PASSING), given.get("note", "")
        self._services.heartbeat(given["id"], status, note, by=client.caller)
        return _EMPTY

    async def maint(self, params: Params, client: SocketClient) -> bytes:
        return pack(await self._maintenance.maint(params, client.caller))

    async def drain(self, params: Params, client: SocketClient) -> bytes:
        return pack(await self._maintenance.drain(params, client.caller))

    def gone(self, client: SocketClient) -> None:
        """This connection has ended."""
        client.gone = True
        self._services.detach(client)

    def leave(self, params: Params, client: SocketClient) -> Awaitable[bytes]:
        """{hold}: seconds for which the services stay in the answers. Answered when the leave is done."""
        given = take_untrusted("leave", params, {"hold": check.seconds})
        hold_s = given.get("hold", 0.0)
        if hold_s and not self._durable:
            raise Refused("hold needs a data directory: without one this sidecar comes back as another member")
        return self._left(hold_s, client.caller)

    async def _left(self, hold_s: float, by: Caller) -> bytes:
        await self._leave(hold_s, by)
        return _EMPTY


def pack(result: Any) -> bytes:
    data: bytes = packb(result)
    return data


def _first_after(summaries: list[ServiceSummary], after: str | None) -> int:
    """The index at which the page after this name begins."""
    if after is None:
        return 0
    return bisect_right(summaries, fold_name(after), key=lambda summary: fold_name(summary.name))


async def _in_pieces(ids: list[NodeId], look: Callable[[NodeId], Made | None], most: int | None = None) -> list[Made]:
    """Call `look` for each member and return its results other than None, at most `most`. Other tasks run in between,
    so each member is seen as it is at its own turn."""
    made: list[Made] = []
    for first in range(0, len(ids), PIECE):
        if first:
            await trio.lowlevel.checkpoint()
        made += [one for one in map(look, ids[first : first + PIECE]) if one is not None]
        if most is not None and len(made) >= most:
            return made[:most]
    return made


def _pack_list(packed: list[bytes]) -> bytes:
    """The same bytes as `pack` makes of the list of what is packed."""
    return b"".join((Packer().pack_array_header(len(packed)), *packed))


def _pack_instances(instances: Any) -> bytes:
    return pack([instance_shape(instance) for instance in instances])
