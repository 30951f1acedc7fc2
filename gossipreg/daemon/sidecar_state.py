"""The state of this sidecar, for clients that keep answers: the method `state` and its notification.

A client that holds the last instances must know what a change means: an instance that is removed by a sidecar that is
synced is gone, and one that a restarted sidecar does not list may only be unknown to it. So a notification of the state
comes before the changes of the same step. It comes when `knowledge` or `others` changes: an idle cluster sends none,
and members that come and go cause none as long as there is another one.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipreg.daemon import params as check
from gossipreg.daemon.params import Check, take_untrusted
from gossipreg.daemon.socket_client import Params, pack
from gossipreg.daemon.watches import WatchForm, WatchReader
from gossipreg.wire.shapes import Shape

if TYPE_CHECKING:
    from gossipreg.core.node import Node

UNMET: dict[str, Check] = {"nodes": check.member_ids}


class StateFollowers:
    def __init__(self, node: "Node", now: Callable[[], float], *, cluster: str, name: str, zone: str, run: str) -> None:
        """`run` differs after each start of the sidecar."""
        self._node = node
        self._now = now
        self._fixed = {"cluster": cluster, "node": node.id.hex(), "name": name, "zone": zone, "run": run}
        self._followers: dict[WatchReader, None] = {}
        self._last = self._changing()

    def __len__(self) -> int:
        return len(self._followers)

    def shape(self) -> Shape:
        """The state as it is now."""
        knowledge, others = self._changing()
        why = self._node.why_not_synced(self._now())
        return {**self._fixed, "knowledge": knowledge, "not_synced_because": why, "others": others}

    def follow(self, reader: WatchReader) -> None:
        """Notify this client of each change from now on. Called again, changes nothing."""
        self._followers[reader] = None

    def leave(self, reader: WatchReader) -> None:
        self._followers.pop(reader, None)

    def look(self, _changed: object = None) -> None:
        """Notify the clients if the state differs from that of the last call. Call it before their watches are notified
        of changes that may follow from the state."""
        changing = self._changing()
        if changing == self._last:
            return
        self._last = changing
        if not self._followers:
            return
        shape = self.shape()
        encoded: dict[WatchForm, bytes] = {}
        for reader in list(self._followers):
            if reader.form not in encoded:
                encoded[reader.form] = b"".join(reader.form.notification("state", reader.form.body(shape)))
            reader.push(encoded[reader.form])

    def unmet(self, params: Params) -> bytes:
        """{nodes}: ids of members; returns those of which this sidecar knows nothing, neither from this run nor from
        the last one."""
        nodes = take_untrusted("unmet", params, UNMET, "nodes")["nodes"]
        return pack([id.hex() for id in nodes if self._node.standing(id) is None])

    def _changing(self) -> tuple[str, bool]:
        return self._node.knowledge.value, len(self._node.ring) > 1
