"""What one group of a journal is still to get: partition keys, their order, and what is under way.

Owns: which event may be delivered, and which waits for an earlier one of its key. Never knows: members, attempts, time.
The state machine owns what is not acknowledged yet; here is only what comes on top of that while this sidecar leads.

    behind     an earlier event of its key is not done, or a dead letter holds the key
    ready      it may be delivered now
    out        `take` gave it away: it is at a member, or waits for its next attempt
    settling   its outcome is known here, and not committed yet

The current event of a key is ready or out. The next one follows when the current one is settled, not when that is
committed. Without a key every event is ready at once.
"""

from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush

from gossipreg.events.dispatched import PendingEvent
from gossipreg.events.ready_events import Lane, ReadyEvents
from gossipreg.model import NodeId


class _KeyQueue:
    __slots__ = ("behind", "current", "held")

    def __init__(self) -> None:
        self.current: int | None = None
        self.behind: list[int] = []
        """A heap; what is not wanted any more is skipped when its turn comes."""
        self.held = False


class GroupQueue:
    def __init__(
        self,
        number: int,
        name: str,
        events: Mapping[int, PendingEvent],
        find: Callable[[str], Iterable[NodeId]],
        held_keys: Iterable[str] = (),
    ) -> None:
        """`events` are those of the state machine; `find` gives the subscribers of a type."""
        self.number = number
        self.name = name
        self._events = events
        self.ready = ReadyEvents(find, self._is_ready)
        self._keys: dict[str, _KeyQueue] = {}
        self._current: dict[int, str] = {}
        """The current event of each key that has one, with its key."""
        self._out: set[int] = set()
        self._settling: set[int] = set()
        for key in held_keys:
            self.hold(key)

    # -- what is known -----------------------------------------------------------------------------------------------

    def wants(self, index: int) -> bool:
        """Whether the group waits for this event, as far as is known here."""
        event = self._events.get(index)
        return event is not None and self.number in event.waiting and index not in self._settling

    def is_out(self, index: int) -> bool:
        return index in self._out

    def key_of(self, index: int) -> str:
        event = self._events.get(index)
        return "" if event is None else event.key

    def _is_ready(self, index: int) -> bool:
        if index in self._out or not self.wants(index):
            return False
        key = self._events[index].key
        return not key or self._current.get(index) == key

    # -- changes -----------------------------------------------------------------------------------------------------

    def add(self, index: int) -> None:
        """The group is to get this event. To add it twice does no harm."""
        if not self.wants(index):
            return
        event = self._events[index]
        if not event.key:
            self.ready.push(index, event.type)
            return
        queue = self._keys.setdefault(event.key, _KeyQueue())
        heappush(queue.behind, index)
        if queue.current is None or (index < queue.current and queue.current not in self._out):
            self._next_of(event.key)

    def again(self, index: int) -> None:
        """A dead letter is to be delivered once more: before what was not delivered yet of its key."""
        self._settling.discard(index)
        self.add(index)

    def take(self, lane: Lane) -> int:
        """Give away the oldest event of this lane, which has one."""
        index = self.ready.head(lane)
        assert index is not None, "only a lane with a head is asked"
        self.ready.pop(lane)
        self._out.add(index)
        return index

    def put_back(self, index: int) -> None:
        """What `take` gave may be delivered again."""
        self._out.discard(index)
        if self.wants(index):
            self.ready.push(index, self._events[index].type)

    def settle(self, index: int) -> None:
        """Its outcome is known, and is proposed: the next event of its key may go."""
        self._settling.add(index)
        self._leave(index)

    def settled(self, index: int) -> bool:
        """It is committed that the group does not get this event any more, for whatever reason. Whether that was not
        known here yet."""
        if index in self._settling:
            self._settling.discard(index)
            return False
        self._leave(index)
        return True

    def hold(self, key: str) -> None:
        """A dead letter holds this key: nothing of it is delivered until `release`."""
        queue = self._keys.setdefault(key, _KeyQueue())
        queue.held = True
        if queue.current is not None and queue.current not in self._out:
            self._next_of(key)

    def release(self, key: str) -> None:
        queue = self._keys.get(key)
        if queue is not None and queue.held:
            queue.held = False
            if queue.current is None:
                self._next_of(key)

    # -- keys --------------------------------------------------------------------------------------------------------

    def _leave(self, index: int) -> None:
        self._out.discard(index)
        key = self._current.get(index)
        if key is not None:
            self._keys[key].current = None
            del self._current[index]
            self._next_of(key)

    def _next_of(self, key: str) -> None:
        """Make the oldest event of this key current; the one that was it, and was not given away, steps back."""
        queue = self._keys[key]
        if queue.current is not None:
            del self._current[queue.current]
            heappush(queue.behind, queue.current)
            queue.current = None
        if queue.held:
            return
        while queue.behind:
            index = heappop(queue.behind)
            if self.wants(index):
                queue.current, self._current[index] = index, key
                self.ready.push(index, self._events[index].type)
                return
        del self._keys[key]
