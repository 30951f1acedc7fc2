"""Wait until every living member has acked our row as it is now.

Owns: how many requests wait, so that the core stops asking when the last of them has ended. Never knows: how members
are asked (`core/row_acks.py`), or for which change somebody waits.
"""

from typing import TYPE_CHECKING

import trio

from gossipreg.daemon.pump import Pump
from gossipreg.model import NodeId

if TYPE_CHECKING:
    from gossipreg.core.node import Node


class RowAckWaits:
    def __init__(self, node: "Node", pump: Pump) -> None:
        self._node = node
        self._pump = pump
        self._waiting = 0

    async def wait(self, timeout_s: float) -> list[NodeId]:
        """Return once every living member holds our row as it is at the call, or later. After `timeout_s`: those that
        have not acked it."""
        version = self._node.version
        self._waiting += 1
        try:
            self._pump.order(lambda now: self._node.await_acks(version, now))
            with trio.move_on_after(timeout_s):
                while self._pump.acked_version < version:
                    await self._pump.acked.wait()
                return []
            return self._node.acks_missing()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._node.stop_awaiting_acks()
