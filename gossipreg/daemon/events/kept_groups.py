"""The groups that are kept over a restart, and the answers that wait until the disk has them.

Owns: the last write of the groups, and which members wait for one. A question to forget a group is answered once that
is on the disk: a crash after the answer must not bring the group back. Never knows: which groups are kept, or where.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import trio
from msgpack import packb

from gossipreg.errors import Unavailable
from gossipreg.events.effects import RanGroup
from gossipreg.events.messages import EventMessage, EventsCall, EventsReply
from gossipreg.model import NodeId

if TYPE_CHECKING:
    from gossipreg.daemon.store import Write

KeepGroupsOnDisk = Callable[[Sequence[RanGroup]], "Write[bool] | None"]
"""Asks for the write; its result is whether it is on the disk. None: there is no data directory."""
NOT_KEPT = "the group is forgotten, and the disk does not take that yet: it is written as soon as it does"


class KeptGroups:
    def __init__(self, keep: KeepGroupsOnDisk, send: Callable[[NodeId, EventsReply], None]) -> None:
        """`send` gives another member the answer to its question."""
        self._keep = keep
        self._send = send
        self._write: Write[bool] | None = None
        self._forgetting: set[tuple[NodeId, int]] = set()
        """The questions to forget a group that are not answered: who asks, and the number of the question."""
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Until cancelled; before, answers wait for nothing."""
        async with trio.open_nursery() as self._nursery:
            await trio.sleep_forever()

    def keep(self, groups: Sequence[RanGroup]) -> None:
        """Keep these over a restart from now on."""
        self._write = self._keep(groups)

    async def on_disk(self) -> bool:
        """Wait for the last write of them; whether the disk has it. If not, it is repeated until it does."""
        return self._write is None or await self._write.result()

    def received(self, node: NodeId, message: EventMessage) -> None:
        """Another member sent this: it may be a question to forget a group."""
        if isinstance(message, EventsCall) and message.method == "forget":
            self._forgetting.add((node, message.number))

    def gone(self, node: NodeId) -> None:
        """That member waits for nothing any more."""
        self._forgetting = {one for one in self._forgetting if one[0] != node}

    def answers(self, node: NodeId, message: EventMessage) -> bool:
        """Send this once the disk has what it says, if it is the answer to such a question. False: send it now."""
        if not isinstance(message, EventsReply) or (node, message.number) not in self._forgetting:
            return False
        self._forgetting.discard((node, message.number))
        if self._nursery is None or message.code:
            return False
        self._nursery.start_soon(self._answer, node, message)
        return True

    async def _answer(self, node: NodeId, reply: EventsReply) -> None:
        if not await self.on_disk():
            reply = EventsReply(number=reply.number, code=Unavailable.code, result=packb(NOT_KEPT))
        self._send(node, reply)
