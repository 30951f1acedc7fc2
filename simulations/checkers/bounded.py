"""Invariant 8: every queue, heap, cache and table is bounded."""

from collections.abc import Callable, Iterator, Mapping, Sized
from enum import Enum
from typing import Any

from gossipreg.core.failure import detector, pairs, prober, suspicion
from gossipreg.core.failure.flap_damping import returns_max
from gossipreg.core.gossip import answered_requests, dissemination, pulls, reconcile
from gossipreg.core.local import own_address
from gossipreg.core.node import Node
from gossipreg.core.session import handshake, outbox, path_mtu, sessions
from gossipreg.core.table import catalog
from gossipreg.core.table.own_content import OwnContent
from gossipreg.core.table.row import Row
from gossipreg.model import MAX_SERVICES_A_ROW
from gossipreg.timers import Timers
from gossipreg.wire.seal import MAX_SUBKEYS
from simulations.checkers.checker import Checker
from simulations.host import Host
from simulations.world import World

Bound = Callable[[Node, int], float]
"""Returns the most entries that a container of this node may have. The second argument is the number of members that
have ever existed."""


def _known(node: Node, ever: int) -> int:  # noqa: ARG001 (a Bound)
    """One entry for each member that has ever existed."""
    return ever


def _exactly(most: int) -> Bound:
    return lambda _node, _ever: most


_GREETINGS: int = sessions._GREETINGS_MAX
_GUESTS: int = sessions._GUESTS_MAX
_ROWS_OR_GUESTS: Bound = lambda node, ever: min(ever, len(node.table.rows) + _GUESTS)  # noqa: E731
_SUSPECTS: Bound = lambda node, ever: min(ever, len(node.ring))  # noqa: E731
_NAMES: Bound = lambda _node, ever: ever * MAX_SERVICES_A_ROW  # noqa: E731
_PARTS = "gossipreg.core", "gossipreg.wire.seal", "simulations.baselines", "simulations.sharing"
_TIMERS = 16
"""The timers that exist once: Period, Disseminate, ProbeOwners, GreetSeeds, ..."""
_OWN_GENERATIONS = 65
"""Those that a data directory names at the start: its UNMET_MAX, and the one of its lock file."""
_DATAGRAMS_GATHERED = 4096
"""Receipts owed to one member: a receipt names datagrams of the last few milliseconds."""


def _timers(node: Node, ever: int) -> float:
    """One timer for each probe under way, one for each pull, and a few for each member: retransmissions, receipts,
    comparisons, suspicions, size probes."""
    return _TIMERS + prober._PROBES_MAX + node.config.pulls_at_once + 9 * ever


BOUNDS: dict[str, Bound] = {
    "Node.touched": _known,
    "Node._death_sent_at": _known,
    "Announcements._contents": _known,
    "Announcements._slots": _known,
    "Announcements._slots[]": _exactly(2),
    "Catalog._answers": _exactly(catalog.ANSWERS_MAX),
    "Catalog._coming": _known,
    "Catalog._gone": _exactly(catalog.GONE_NAMES_MAX),
    "Catalog._index": _NAMES,
    "Catalog._names": _NAMES,
    "Catalog.counts": _exactly(1),
    "Catalog.recalled": _known,
    "Catalog._shown": _known,
    "Channel.large": _exactly(0),
    "Context.counts": _exactly(256),
    "Context.effects": _exactly(0),
    "Context.own_generations": _exactly(_OWN_GENERATIONS),
    "Handshake._complained": _exactly(handshake._COMPLAINTS_MAX),
    "FailureDetector._checked": _exactly(detector.CHECKS_MAX),
    "Departure._neighbours": lambda node, _ever: 2 * node.config.fanout_ring,
    "Prober._probes": _exactly(prober._PROBES_MAX),
    "Prober._voided": _SUSPECTS,
    "AnsweredRequests._answered": _exactly(answered_requests.REQUESTS_MAX),
    "Pulls._given_up": _exactly(pulls._GIVEN_UP_MAX),
    "Pulls._reported": _exactly(pulls._GIVEN_UP_MAX),
    "Pulls._pulling": lambda node, _ever: min(
        node.config.pulls_at_once, node.config.pull_bytes_at_once // node.config.datagram_bytes
    ),
    "Pulls._waiting": lambda _node, ever: min(ever, pulls._WAITING_MAX),
    "GoneServices._instances": _known,
    "GoneServices._instances[]": _exactly(MAX_SERVICES_A_ROW),
    "GoneServices._nodes": _NAMES,
    "GoneServices._nodes[]": _known,
    "GossipedSuspicions._found": _exactly(0),
    "GossipedSuspicions._with_helpers": _known,
    "GossipedSuspicions._ping_reqs": _known,
    "GossipedSuspicions._held": _SUSPECTS,
    "GossipedSuspicions._put_off": _SUSPECTS,
    "Reconnect._owners_greeted_at": _known,
    "MembershipIndex._facts": _exactly(0),
    "Joining._missing": _known,
    "Joining._unsynced": _known,
    "_Listing.named": _known,
    "Joining._served": lambda node, _ever: node.config.gossip.lists_at_once,
    "Isolation._hidden": _known,
    "Reconnect._dead": lambda node, ever: min(ever, node.config.lost_max),
    "Reconnect._seeds": _known,
    "Reconnect._silent": _known,
    "MemberNames._ids": _known,
    "MemberNames._ids[]": _known,
    "MemberNames._names": _known,
    "MemberNames._rows": _known,
    "Opener._ciphers": _exactly(MAX_SUBKEYS),
    "Opener._keys": lambda node, _ever: 0 if node.keyring is None else len(node.keyring.keys),
    "DatagramOutbox._allowance": _exactly(0),
    "DatagramOutbox._waiting": _exactly(0),
    "DatagramOutbox._size_probes": _exactly(0),
    "DatagramOutbox._reserve_bytes": _exactly(len(outbox.Class)),
    "DatagramOutbox._sizes": _exactly(path_mtu.PATHS_MAX),
    "DatagramOutbox.sent_kinds": _exactly(32),
    "DatagramOutbox.sent_kind_bytes": _exactly(32),
    "OwnRow._free": _exactly(MAX_SERVICES_A_ROW),
    "OwnRow._slots": _exactly(MAX_SERVICES_A_ROW),
    "OwnRow.health": _exactly(MAX_SERVICES_A_ROW),
    "OwnRow.services": _exactly(MAX_SERVICES_A_ROW),
    "OwnAddress._confirmed_at": _exactly(2),
    "OwnAddress._observed": _exactly(own_address._OBSERVED_MAX),
    "PathMtu._numbers": _exactly(path_mtu._NUMBERS_MAX),
    "PathMtu._paths": _exactly(path_mtu.PATHS_MAX),
    "Pairs._pairs": _exactly(pairs.PAIRS_MAX),
    "_Pair.seen": _exactly(3),
    "_Pair.through": lambda node, _ever: node.config.helpers,
    "PeerSessions._boot_of": _known,
    "PeerSessions._by_boot": _ROWS_OR_GUESTS,
    "PeerSessions.by_id": _ROWS_OR_GUESTS,
    "PeerSessions._greetings": _exactly(_GREETINGS),
    "PeerSessions._guests": lambda _node, ever: min(ever, _GUESTS),
    "PeerSessions._by_row": _known,
    "LocalSuspicions._found": _exactly(0),
    "LocalSuspicions._suspicions": _SUSPECTS,
    "LocalSuspicions._ping_reqs": _exactly(suspicion._PING_REQS_MAX),
    "LocalSuspicions._reaching": lambda node, _ever: node.config.failure.reaching_max,
    "AntiEntropy._answered": _exactly(reconcile._KEPT_MAX),
    "AntiEntropy._begun": _known,
    "AntiEntropy._open": _exactly(reconcile._KEPT_MAX),
    "Table.counts": _exactly(32),
    "Table.rows": _known,
    "TableChanges.rows": _known,
    "RowChange.slots": _exactly(2 * MAX_SERVICES_A_ROW + 1),
    "TableFingerprint._ids": lambda node, _ever: len(node.table.rows),
    "TableFingerprint._rows": _known,
    "TableFingerprint.bucket_changed_at": _exactly(256),
    "TableFingerprint.bucket_hash": _exactly(256),
    "FlapDamping._returns": lambda node, _ever: returns_max(node.config.failure),
    "Ring._ids": lambda node, _ever: len(node.table.rows),
    "MembershipIndex._announced": _exactly(0),
    "MembershipIndex._changes": _exactly(0),
    "MembershipIndex._hidden": _known,
    "MembershipIndex._to_report": _exactly(0),
    "MembershipIndex._states": _known,
    "MembershipIndex.why": _known,
    "RoundTrips._members": _ROWS_OR_GUESTS,
    "RoundTrips._zones": _exactly(256),
    "RowAcks._acked": _known,
    "RowAcks._requested": _known,
    "Dissemination._queue": lambda node, ever: ever * (2 + getattr(node.config, "suspicion_confirmations", 0)),
    "Receipts._waiting": _known,
    "Ring._neighbours": _exactly(5),
    "Dissemination._unacked": lambda _node, ever: min(ever, dissemination._UNACKED_MAX),
    "Timers._due": _timers,
    "Timers._names": _timers,
    "Timers._heap": lambda node, ever: 2 * _timers(node, ever) + 16,
    "Quarantine._tries": _known,
    # within those:
    "_Answer.rows": _known,
    "_Held.by": _known,
    "QueuedUpdate.acked_by": _known,
    "ShownRow._counts": _exactly(1),
    "ShownRow.instances": _exactly(MAX_SERVICES_A_ROW),
    "_Suspicion.reports": _known,
    "_Suspicion.unanswered": lambda node, _ever: node.config.helpers,
    "_Suspicion.asked": _known,
    "GossipedSuspicions._ping_reqs[]": lambda node, _ever: node.config.helpers,
    "Catalog._names[]": lambda _node, ever: ever * MAX_SERVICES_A_ROW,
    "MembershipIndex._hidden[]": _exactly(4),
    "Receipts._waiting[]": _exactly(_DATAGRAMS_GATHERED),
    "Dissemination._unacked[]": _exactly(dissemination._UNACKED_MAX),
}
"""The bound of each container, by class and attribute. A name with [] is for the containers that are the values of that
attribute. A container that is not in this table fails the check."""


class Bounded(Checker):
    """Check that every dict, list, deque and heap of every part of a node is within its bound; so are the tombstones of
    its own row, the parts of every row, and the bytes of the table."""

    name = "bounded"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._next = 0

    def tick(self) -> None:
        """Check one member each time, the next one at the next tick, because walking all containers of a node is
        slow."""
        running = self.running()
        if running:
            self._next = (self._next + 1) % len(running)
            self._look(*running[self._next])

    def at_rest(self) -> None:
        for host, node in self.running():
            self._look(host, node)

    def _look(self, host: Host, node: Node) -> None:
        ever = len(self.world.by_id)
        for path, container in containers(node):
            size = len(container)
            bound = BOUNDS.get(path)
            if bound is None:
                self.fail(f"{path} has no bound: add it to simulations/checkers/bounded.py", host)
            if size > bound(node, ever):
                self.fail(f"{path} of {host.name} holds {size}, and its bound is {bound(node, ever):g}", host)
        not_acked = node.inspect().not_acked
        if not_acked > dissemination._UNACKED_MAX:
            self.fail(f"{host.name} waits for {not_acked} receipts", host)
        for row in node.table.rows.values():
            self._look_at_row(host, node, row)
        size_bytes = sum(row.size_bytes for row in node.table.rows.values())
        if size_bytes != node.table.size_bytes:
            self.fail(f"{host.name} counts {node.table.size_bytes} bytes of table, and has {size_bytes}", host)

    def _look_at_row(self, host: Host, node: Node, row: Row) -> None:
        for content in (row.content, row.shadow):
            if content is None:
                continue
            entries = len(content.entries)
            for part in ("_kept", "_parts"):
                # these may hold slots whose head has not arrived yet, so they may have more slots than entries
                if len(getattr(content, part)) > 2 * entries + content.counter:
                    self.fail(f"{part} of {self.called(row.id)} at {host.name} holds more than was written", host)
            if isinstance(content, OwnContent) and len(content._buried) > node.config.tombstones_max:
                self.fail(f"{host.name} keeps {len(content._buried)} tombstones", host)


_SLOTS: dict[type, tuple[str, ...]] = {}


def containers(node: Node) -> Iterator[tuple[str, Sized]]:
    """Yield (class and attribute, container) for every container of a node's parts, except the contents of rows."""
    seen: dict[int, None] = {}
    yield "Node.touched", node.touched
    yield from _walk(node, seen)


def _walk(part: Any, seen: dict[int, None]) -> Iterator[tuple[str, Sized]]:
    if id(part) in seen:
        return
    seen[id(part)] = None
    kind = type(part)
    for name in _attributes(kind, part):
        value = getattr(part, name, None)
        path = f"{_name_of(kind)}.{name}"
        if (
            isinstance(value, Sized)
            and hasattr(value, "__iter__")
            and not isinstance(value, str | bytes | tuple | Timers)
        ):
            if type(value).__module__.startswith(("gossipreg.core", "gossipreg.wire")):
                yield from _walk(value, seen)
                continue
            yield path, value
            if isinstance(value, Mapping):
                yield from _walk_values(path, value, seen)
        elif _is_part(value):
            yield from _walk(value, seen)


def _walk_values(path: str, mapping: Mapping[Any, Any], seen: dict[int, None]) -> Iterator[tuple[str, Sized]]:
    for value in mapping.values():
        if isinstance(value, dict | list):
            yield f"{path}[]", value
            if isinstance(value, dict):
                yield from _walk_values(f"{path}[]", value, seen)
        elif _is_part(value):
            yield from _walk(value, seen)


def _is_part(value: object) -> bool:
    kind = type(value)
    return kind.__module__.startswith(_PARTS) and kind.__name__ not in _NOT_PARTS and not isinstance(value, Enum)


def _name_of(kind: type) -> str:
    """The name under which the bounds of this class are listed. A class of `simulations/baselines` that replaces one of
    the core has the bounds of that one."""
    return next((base.__name__ for base in kind.__mro__ if base.__module__.startswith("gossipreg.")), kind.__name__)


_NOT_PARTS = ("Row", "Content", "OwnContent")
"""Rows have checks of their own."""


def _attributes(kind: type, part: object) -> tuple[str, ...]:
    slots = _SLOTS.get(kind)
    if slots is None:
        slots = _SLOTS[kind] = tuple(name for base in kind.__mro__ for name in getattr(base, "__slots__", ()))
    return (*slots, *getattr(part, "__dict__", ()))
