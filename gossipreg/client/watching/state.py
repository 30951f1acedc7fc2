"""What a sidecar says of itself (the method `state` of the local socket), and how much a client believes it.

Pure: `now` is an argument, in seconds of any clock that goes on while the host sleeps.

A client holds the last snapshots, and a sidecar may know less than they say: it has just restarted, its link is down,
or it is another one. So there are three degrees of trust:

    ALL       what the sidecar lists is, and what it does not list is not: it is synced, and it has members other than
              itself, or had none before, or runs on since it was last believed
    LISTED    what the sidecar lists is; what it leaves out stays, stale
    NOTHING   it is a sidecar of another cluster; or another member than before, for `STRANGER_S`, unless it has met a
              member that we know
"""

from dataclasses import dataclass
from enum import IntEnum
from math import inf

STRANGER_S = 10.0
"""A sidecar without a data directory is another member after each restart. It finds its cluster in this time."""


class Trust(IntEnum):
    NOTHING = 0
    LISTED = 1
    ALL = 2


@dataclass(frozen=True, slots=True)
class SidecarState:
    cluster: str
    """The cluster's name; empty if it has none."""
    node: str
    """The member's id in hexadecimal digits."""
    name: str
    zone: str
    run: str
    """Names one run of the sidecar's process."""
    knowledge: str
    """`synced`, `isolated`, `last_known` or `not_synced`, as in `info`."""
    not_synced_because: str
    others: bool
    """Whether it knows a living member besides itself."""


def state_untrusted(shape: object) -> SidecarState:
    """Raises ValueError: the program on the socket is at fault."""
    match shape:
        case {
            "cluster": str(cluster),
            "node": str(node),
            "name": str(name),
            "zone": str(zone),
            "run": str(run),
            "knowledge": str(knowledge),
            "not_synced_because": str(because),
            "others": bool(others),
        }:
            return SidecarState(cluster, node, name, zone, run, knowledge, because, others)
    raise ValueError(f"not the state of a sidecar: {str(shape)[:200]}")


class SidecarTrust:
    """How much the sidecar at the other end is believed, connection after connection."""

    def __init__(self, max_stale_s: float | None = None) -> None:
        """After `max_stale_s` without full trust, what we knew before is too old to be protected; None: never."""
        self._max_stale_s = inf if max_stale_s is None else max_stale_s
        self._doubted_since = inf
        self.state: SidecarState | None = None
        """Of the sidecar that is connected; None: none is, or it has not said."""
        self.believed: SidecarState | None = None
        """The last state in which a sidecar was believed in all; None: none was, or it is too long ago."""
        self.cluster: str | None = None
        """Of the sidecar that was believed first. It stays."""
        self._stranger_until = inf
        self._forgiven = False

    def said(self, state: SidecarState, now: float) -> None:
        """The connected sidecar said this of itself."""
        first, self.state, believed = self.state is None, state, self.believed
        if first:
            is_stranger = believed is not None and believed.node != state.node
            self._stranger_until = now + STRANGER_S if is_stranger else inf
        if state.knowledge == "synced":
            self._forgiven = False
        self._remember(now)

    def gone(self, now: float) -> None:
        """The connection has ended."""
        self._doubted_since = min(self._doubted_since, now)
        self.state = None
        self._forgiven = False

    def proven(self, now: float) -> None:
        """The connected sidecar has met a member that we know, so it is of our cluster."""
        self._stranger_until = inf
        self._remember(now)

    @property
    def is_of_another_cluster(self) -> bool:
        return self.state is not None and self.cluster is not None and self.state.cluster != self.cluster

    @property
    def is_stranger(self) -> bool:
        """Whether it is another member than before, and has not shown yet that it is of our cluster."""
        return self.state is not None and self._stranger_until < inf

    @property
    def level(self) -> Trust:
        state, believed = self.state, self.believed
        if state is None or self.is_of_another_cluster or self.is_stranger:
            return Trust.NOTHING
        if state.knowledge == "isolated" and self._forgiven:
            return Trust.ALL
        if state.knowledge != "synced":
            return Trust.LISTED
        lost_all = believed is not None and believed.run != state.run and believed.others and not state.others
        return Trust.LISTED if lost_all else Trust.ALL

    @property
    def due(self) -> float:
        """When `pass_time` may raise the level; `inf`: never."""
        if self.state is None or self.is_of_another_cluster or self.level is Trust.ALL:
            return inf
        return self._stranger_until if self.is_stranger else self._doubted_since + self._max_stale_s

    def pass_time(self, now: float) -> None:
        """Call this when `due` has come."""
        if self.due > now:
            return
        self._stranger_until = inf
        if self._doubted_since + self._max_stale_s <= now:  # what we knew is too old to be of use
            self.believed = None
            self._forgiven = True
            self._doubted_since = inf
        self._remember(now)

    @property
    def why_not(self) -> str:
        """Why the sidecar is not believed in all, in words; empty if it is, or if none is connected."""
        state = self.state
        if state is None or self.level is Trust.ALL:
            return ""
        if self.is_of_another_cluster:
            return f"it is of the cluster {state.cluster!r}, and the one before was of {self.cluster!r}"
        if self.is_stranger:
            return f"it is another member than before ({state.name}), and has met no member that we know"
        if state.knowledge == "isolated":
            return "it is isolated: nothing arrives from any other member"
        return state.not_synced_because or "it has restarted, and has met no other member yet"

    def _remember(self, now: float) -> None:
        if self.level is Trust.ALL:
            self.believed = self.state
            self.cluster = None if self.state is None else self.state.cluster
            self._doubted_since = inf
        else:
            self._doubted_since = min(self._doubted_since, now)
