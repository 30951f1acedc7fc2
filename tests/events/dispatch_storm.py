"""Random histories of a leader and its members, with what must hold after every step, and a quiet end in which
everything that waits is delivered."""

import random
from collections.abc import Callable

from gossipreg.events.entries import EventEntryKind, OutcomeCode, encode_forget, encode_letters
from gossipreg.events.messages import Deliveries, DeliveryOutcomes, DeliveryResult, WindowOpened
from gossipreg.events.tuning import EventsTuning
from gossipreg.model import NodeId
from tests.events.dispatch_members import NO_ATTEMPT, Receiver
from tests.events.dispatch_world import DispatchWorld

KEYS = ("", "", "a", "b")
TYPES = ("order.created", "order.paid", "stock.moved")
ENDS = (
    *(DeliveryResult.ACKED,) * 5,
    *(DeliveryResult.FAILED, DeliveryResult.FAILED, DeliveryResult.DIED, DeliveryResult.REJECTED),
)


class DispatchStorm(DispatchWorld):
    """Checks that it does while it runs: the order of keys, windows, attempts, and that nothing that was settled is
    begun again."""

    def __init__(self, rng: random.Random, *, faults: bool) -> None:
        self.first: dict[tuple[str, int], None] = {}
        """What was sent at all, in that order."""
        self.told: dict[tuple[NodeId, str], int] = {}
        self.unanswered: dict[tuple[NodeId, str], set[int]] = {}
        self.faults = faults
        self.keys: dict[int, str] = {}
        self.hold = rng.random() < 0.3
        tuning = EventsTuning(
            first_window=rng.choice((1, 4)),
            deliveries_in_flight=rng.choice((3, 4096)),
            max_attempts=rng.choice((2, 10)),
        )
        super().__init__("a", "b", "c", tuning=tuning, rng=rng)
        self["a"].patterns = {"work": [">"], "mail": ["order.>"]}
        self["b"].patterns = {"work": ["order.>"], "mail": ["order.*"], "": ["stock.>"]}
        self["c"].patterns = {"work": ["stock.moved"]}
        for receiver in self.members.values():
            receiver.room = rng.choice((1, 3, 64))
        self.members_changed()

    # -- what must hold ----------------------------------------------------------------------------------------------

    def _send(self, to: NodeId, message: Deliveries) -> None:
        for delivery in message.deliveries:
            if delivery.group:
                letter = (delivery.group, delivery.index)
                self._check_order(letter)
                self._check_window(to, letter)
                assert 1 <= delivery.attempt <= self.tuning.max_attempts
                self.first[letter] = None
        super()._send(to, message)

    def _check_order(self, letter: tuple[str, int]) -> None:
        group, index = letter
        key = self.keys[index]
        if not key or letter in self.first:
            return
        for earlier, its_key in self.keys.items():
            if its_key == key and earlier < index and (group, earlier) in self.first:
                assert (group, earlier) in self.resolved, f"{earlier} of key {key} is not done, and {index} goes"
        late = [other for name, other in self.first if name == group and other > index and self.keys[other] == key]
        assert not late, f"{late} of key {key} went before {index}"

    def _check_window(self, to: NodeId, letter: tuple[str, int]) -> None:
        if not self.faults:
            at_member = self.unanswered.setdefault((to, letter[0]), set())
            at_member.add(letter[1])
            assert len(at_member) <= self.told.get((to, letter[0]), self.tuning.first_window)

    def hear(self, receiver: Receiver) -> None:
        message = receiver.outbox[0]
        for group, told in message.windows:
            self.told[receiver.id, group] = told
        for outcome in message.outcomes if isinstance(message, DeliveryOutcomes) else ():
            self.unanswered.get((receiver.id, outcome.group), set()).discard(outcome.index)
        super().hear(receiver)
        assert not isinstance(message, WindowOpened) or message.windows

    def do(self, effects: list) -> None:  # type: ignore[type-arg]
        for effect in effects:
            if getattr(effect, "kind", None) == "event_dead":
                fields = dict(effect.fields)
                self.resolved[fields["group"], fields["index"]] = None
        super().do(effects)

    # -- the storm ---------------------------------------------------------------------------------------------------

    def step(self) -> None:
        steps: list[Callable[[], None]] = [
            *(self._publish, self._hand_over, self._hand_over, self._end_some, self._end_some, self._end_some),
            *(self._hear, self._hear, self._commit, self._commit, self._read, self._read),
            *(self._pass_time, self._change_refusals),
        ]  # fmt: skip
        if self.faults:
            steps += [self._break, self._kill, self._see, self._take_over, self._refuse_entries, self._letters]
        self.rng.choice(steps)()

    def _publish(self) -> None:
        type = self.rng.choice(TYPES)
        keys = [self.rng.choice(KEYS) for _ in range(self.rng.randrange(1, 4))]
        groups = ("work", "mail") if type.startswith("order") else ("work",)
        self.publish(*keys, type=type, groups=groups)

    def publish(self, *keys: str, type: str = "order.created", groups: tuple[str, ...] = ("work",)) -> list[int]:
        for place, key in enumerate(keys):
            self.keys[(self.index + 1) * 4096 + place] = key
        return super().publish(*keys, type=type, groups=groups)

    def _member(self) -> Receiver:
        return self.rng.choice([*self.members.values()])

    def _hand_over(self) -> None:
        receiver = self._member()
        if receiver.inbox:
            receiver.receive()

    def _end_some(self) -> None:
        receiver = self._member()
        for letter in sorted(receiver.running)[: self.rng.randrange(1, 4)]:
            result = self.rng.choice(ENDS)
            receiver.finish(letter, result, after_ms=self.rng.choice((0, 0, 500)), hold=int(self.hold))
        receiver.open()

    def _hear(self) -> None:
        receiver = self._member()
        if receiver.outbox:
            self.hear(receiver)

    def _commit(self) -> None:
        if self.proposed:
            self.commit()

    def _read(self) -> None:
        if self.reads:
            self.read()

    def _pass_time(self) -> None:
        self.wait(self.rng.choice((0.001, 0.01, 1.0, 40.0)))

    def _change_refusals(self) -> None:
        receiver = self._member()
        if receiver.refuses:
            receiver.refuses.clear()
            receiver.open()
        else:
            receiver.refuses = dict.fromkeys(("work", "mail"), self.rng.choice(NO_ATTEMPT))

    def _break(self) -> None:
        receiver = self._member()
        self.break_stream(receiver)
        receiver.refused.clear()

    def _kill(self) -> None:
        receiver = self._member()
        if receiver.process:
            self.kill(receiver, seen=self.rng.random() < 0.5)
        else:
            receiver.process = b"boot-%d" % self.rng.randrange(1 << 30)

    def _see(self) -> None:
        for receiver in self.members.values():
            receiver.seen_process = receiver.process
        self.members_changed()

    def _take_over(self) -> None:
        while self.proposed and self.rng.random() < 0.5:
            self.commit()
        self.dispatch.end()
        self.resolved.clear()
        for name, group in self.machine.groups.items():
            for index in self.keys:
                event = self.machine.events.get(index)
                if event is None or group.number not in event.waiting:
                    self.resolved[name, index] = None
        self.first = {letter: None for letter in self.first if letter in self.resolved}
        self.lead()

    def _refuse_entries(self) -> None:
        self.refuses_entries = not self.refuses_entries

    def _letters(self) -> None:
        """A person decides about a dead letter, or throws the group away."""
        if self.machine.dead and self.rng.random() < 0.8:
            letter = self.rng.choice(sorted(self.machine.dead))
            again = self.rng.random() < 0.6
            if again:
                self.first = {}  # the order begins anew
                self.keys = dict.fromkeys(self.keys, "")
            self.apply(EventEntryKind.DEAD_AGAIN if again else EventEntryKind.DEAD_DROPPED, encode_letters((letter,)))
        elif self.machine.groups and self.rng.random() < 0.1:
            name = self.rng.choice([*self.machine.groups])
            self.apply(EventEntryKind.FORGET_GROUP, encode_forget(((name, "thrown away"),)))
            self.first = {letter: None for letter in self.first if letter[0] != name}
            self.told.clear()

    # -- the quiet end -----------------------------------------------------------------------------------------------

    def calm(self) -> None:
        """Everybody lives, reaches everybody and acknowledges: nothing may wait any more."""
        self.refuses_entries = False
        for receiver in self.members.values():
            receiver.refuses.clear()
            receiver.process = receiver.process or b"boot-again"
        self["a"].patterns = {"work": [">"], "mail": [">"]}  # until now nobody took every type of mail
        self._see()
        for _ in range(60):
            for receiver in self.members.values():
                receiver.open()
            for _ in range(200):
                self._all_messages()
                if not any((self.proposed, self.reads, *(one.inbox or one.outbox for one in self.members.values()))):
                    break
            else:
                raise AssertionError("messages without end")
            self.wait(10.0)

    def _all_messages(self) -> None:
        while self.reads:
            self.read()
        self.ack()
        self.commit_all()

    def check_end(self) -> None:
        waiting = {index: sorted(event.waiting) for index, event in self.machine.events.items() if event.waiting}
        held = {group.number: self.machine.held_keys(group.number) for group in self.machine.groups.values()}
        for index, groups in waiting.items():
            for group in groups:
                assert self.machine.events[index].key in held[group], f"{index} waits for group {group}, of {held}"
        assert self.dispatch.acting == 0
        if not self.machine.events:
            assert not len(self.timers), "an idle leader has a timer"
        for note in self.notes:
            assert note.code is not OutcomeCode.DEAD_HOLDS or self.hold
