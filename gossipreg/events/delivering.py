"""The choice of the next delivery: the queues of all groups of one journal, beside the members' windows.

Owns: the queues, which of them may have something to deliver, and what waits for its next attempt. Never knows: what an
answer means.

A group is awake while something of it may be deliverable: an event became ready, a window opened, a delivery was
answered, or members changed. Whatever does one of these wakes it; `deliver` serves those that are awake, the oldest
event first, and a group that found no room sleeps. So an answer costs the time of one delivery, however much waits.
"""

import random
from collections.abc import Iterator, Sequence

from gossipreg.events.attempts import AttemptCounts, LetterId, Redeliveries
from gossipreg.events.delivery_sender import DeliverySender
from gossipreg.events.dispatched import DispatchedEvents
from gossipreg.events.group_queue import GroupQueue
from gossipreg.events.member_choice import MemberChoice
from gossipreg.events.membership import EventMembership
from gossipreg.events.ready_events import Lane
from gossipreg.events.windows import MemberLink, MemberWindow, MemberWindows, Unanswered
from gossipreg.model import NodeId


class Delivering:
    def __init__(
        self,
        machine: DispatchedEvents,
        membership: EventMembership,
        windows: MemberWindows,
        sender: DeliverySender,
        counts: AttemptCounts,
        rng: random.Random,
    ) -> None:
        self._machine = machine
        self._membership = membership
        self._windows = windows
        self._sender = sender
        self._counts = counts
        self._rng = rng
        self.queues: dict[int, GroupQueue] = {}
        """By the number of the group."""
        self.redeliveries = Redeliveries()
        self.suspects: dict[LetterId, None] = {}
        """Events that were with a handler that died, beside others: one of them may have killed it. Each is delivered
        alone, so that the next death tells."""
        self._awake: dict[int, None] = {}

    # -- groups ------------------------------------------------------------------------------------------------------

    def add_group(self, number: int, name: str) -> None:
        def find(type: str) -> Sequence[NodeId]:
            return self._membership.subscribers(name, tuple(type.split(".")))

        held = self._machine.held_keys(number)
        self.queues[number] = GroupQueue(number, name, self._machine.events, find, held)

    def forget_group(self, number: int) -> None:
        """Each event that it waited for was settled before."""
        self.queues.pop(number, None)
        self._awake.pop(number, None)
        self._windows.drop_group(number)

    def wake(self, group: int) -> None:
        self._awake[group] = None

    def wake_all(self) -> None:
        self._awake.update(dict.fromkeys(self.queues))

    def members_changed(self) -> None:
        for queue in self.queues.values():
            queue.ready.members_changed()
        self.wake_all()

    # -- one event ---------------------------------------------------------------------------------------------------

    def add(self, letter: LetterId) -> None:
        """The group waits for this event."""
        group, index = letter
        queue = self.queues.get(group)
        if queue is not None:
            queue.add(index)
            self.wake(group)

    def wants(self, delivery: Unanswered) -> bool:
        """Whether its group still waits for what this delivery brings."""
        queue = self.queues.get(delivery.group)
        return queue is not None and queue.wants(delivery.index)

    def release(self, group: int, key: str) -> None:
        """A dead letter that held this key is gone."""
        queue = self.queues.get(group)
        if queue is not None and key not in self._machine.held_keys(group):
            queue.release(key)
            self.wake(group)

    def put_back(self, letter: LetterId) -> None:
        """What was given to a member, or waited for its next attempt, may go to any member now."""
        group, index = letter
        queue = self.queues.get(group)
        if queue is not None:
            queue.put_back(index)
            self.wake(group)

    def give_up(self, delivery: Unanswered) -> None:
        """No answer to this is waited for any more, and it was no attempt."""
        self._windows.remove(delivery)
        self.put_back((delivery.group, delivery.index))

    def give_up_all(self, link: MemberLink) -> None:
        for delivery in [*link.unanswered.values()]:
            self.give_up(delivery)

    def send_again(self, link: MemberLink) -> None:
        """To the same member, what is still wanted of what it has unanswered."""
        for delivery in [*link.unanswered.values()]:
            if not self.wants(delivery):
                self.give_up(delivery)
            elif delivery.sent:  # else it is sent when its payload is read
                self._sender.send(delivery)

    def finish(self, letter: LetterId) -> None:
        """What becomes of it is known, and proposed: the next one of its key may go."""
        group, index = letter
        self._let_go(letter)
        self.queues[group].settle(index)
        self.wake(group)

    def settled(self, letter: LetterId) -> None:
        """It is committed that the group waits for it no more."""
        group, index = letter
        self._let_go(letter)
        queue = self.queues.get(group)
        if queue is not None and queue.settled(index):
            self.wake(group)

    def _let_go(self, letter: LetterId) -> None:
        self._counts.forget(letter)
        self.redeliveries.cancel(letter)
        self.suspects.pop(letter, None)

    # -- delivering --------------------------------------------------------------------------------------------------

    def take_due(self, now: float) -> None:
        """Deliver again whose wait is over."""
        for letter in self.redeliveries.take_due(now):
            self.put_back(letter)
        if self._windows.next_due() <= now:
            for link in self._windows.take_due(now):
                self.give_up_all(link)
            self.wake_all()

    def deliver(self) -> None:
        """Serve the groups that are awake, one after the other, while the journal may have more unanswered."""
        for number in [*self._awake]:
            if not self._windows.have_room:
                return
            del self._awake[number]
            queue = self.queues.get(number)
            if queue is not None and not self._serve(queue):
                self._awake[number] = None

    def _serve(self, queue: GroupQueue) -> bool:
        """Whether everything of this group that members have room for is on its way."""
        choices = {lane: MemberChoice(self._of_lane(queue, lane), self._rng) for lane in queue.ready.lanes()}
        while (found := self._oldest(queue, choices)) is not None:
            if not self._windows.have_room:
                return False
            self._give(queue, *found)
        return True

    def _oldest(self, queue: GroupQueue, choices: dict[Lane, MemberChoice]) -> tuple[Lane, MemberWindow] | None:
        """The lane with the oldest event that a member has room for, with that member. Lanes that have none are taken
        out of the choices; so is one whose oldest event has to wait until a member has nothing else."""
        while choices:
            heads = [(head, lane) for lane in choices if (head := queue.ready.head(lane)) is not None]
            if not heads:
                return None
            head, lane = min(heads)
            window = choices[lane].best()
            if window is not None and not (window.unanswered and (queue.number, head) in self.suspects):
                return lane, window
            del choices[lane]
        return None

    def _of_lane(self, queue: GroupQueue, lane: Lane) -> Iterator[MemberWindow]:
        for node in lane:
            window = self._windows.known(queue.number, node)
            if window is not None:
                yield window
            elif process := self._membership.process(node):
                yield self._windows.window(queue.number, node, process)

    def _give(self, queue: GroupQueue, lane: Lane, window: MemberWindow) -> None:
        index = queue.take(lane)
        delivery = Unanswered(
            window.link.node, queue.number, queue.name, index, self._counts.attempt((queue.number, index)),
            self._machine.events[index].size_bytes,
        )  # fmt: skip
        self._windows.add(window, delivery)
        window.alone = (queue.number, index) in self.suspects
        self._sender.send(delivery)
