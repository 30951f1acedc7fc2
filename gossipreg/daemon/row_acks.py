"""Wait until every living member has acked our row as it is now.

A sidecar that is not synced knows too few members to say so: it waits until it is synced, and asks then.

Owns the number of requests that wait, so that the core stops asking when the last one has ended. Never knows how
members are asked (`core/gossip/row_acks.py`), or for which change a request waits.
"""

from typing import TYPE_CHECKING

import trio

from gossipreg.daemon.pump import Pump
from gossipreg.model import NodeId

if TYPE_CHECKING:
    from gossipreg.core.node import Node


SYNCED_POLL_S = 0.1
"""The interval at which a waiting request looks whether this sidecar is synced: not every way to it is an event."""


class RowAckWaits:
    def __init__(self, node: "Node", pump: Pump) -> None:
        self._node = node
        self._pump = pump
        self._waiting = 0

    async def wait(self, timeout_s: float) -> tuple[list[NodeId], str]:
        """Return once every living member holds our row as it is at the call, or later: an empty list, and no reason.
        After `timeout_s`: those that have not acked it, and where this sidecar is not synced, why."""
        version = self._node.version
        missing: list[NodeId] = []
        with trio.move_on_after(timeout_s) as scope:
            while because := self._node.why_not_synced(self._pump.now()):
                await trio.sleep(SYNCED_POLL_S)
            self._waiting += 1
            try:
                self._pump.order(lambda now: self._node.await_acks(version, now))
                while self._pump.acked_version < version:
                    await self._pump.acked.wait()
            finally:
                missing = self._node.acks_missing()
                self._waiting -= 1
                if not self._waiting:
                    self._node.stop_awaiting_acks()
        return (missing, because) if scope.cancelled_caught else ([], "")
