"""What follows from an answer to a delivery, from the death of a member, from a broken stream.

Owns: the rules of this table. Never knows: which event comes next.

    ACKED            done; of any attempt, from any member, also one that was given up
    REJECTED         a dead letter
    FAILED           an attempt; again after a wait, or a dead letter (`attempts.py`)
    DIED             an attempt and a death, if it was the only one: of several that died together only one may have
                     killed the handler, and each goes again alone. So it is where the process of a member ended
    NO_SUBSCRIBER, NO_ROOM, UNREACHABLE
                     no attempt; that member gets nothing of the group for now, another one may get it at once
    OLD_BALLOT       nothing: there is a newer leader, and we will hear of it

All but the first count only from the member that got the latest delivery, for its attempt. An answer of a delivery that
we do not wait for changes nothing.
"""

from collections import Counter
from math import inf

from gossipreg.events.attempts import AttemptCounts, LetterId
from gossipreg.events.delivering import Delivering
from gossipreg.events.dispatched import DispatchedEvents
from gossipreg.events.effects import EventEffect, LogEvents
from gossipreg.events.entries import OutcomeCode
from gossipreg.events.messages import DeliveryOutcome, DeliveryResult
from gossipreg.events.outcome_batch import OutcomeBatch
from gossipreg.events.tuning import EventsTuning
from gossipreg.events.windows import MemberLink, MemberWindow, MemberWindows, Unanswered

MEMBER_ENDED = "the member that handled it left or died"


class DeliveryAnswers:
    def __init__(
        self,
        tuning: EventsTuning,
        machine: DispatchedEvents,
        delivering: Delivering,
        windows: MemberWindows,
        counts: AttemptCounts,
        batch: OutcomeBatch,
    ) -> None:
        self._tuning = tuning
        self._machine = machine
        self._delivering = delivering
        self._windows = windows
        self._counts = counts
        self._batch = batch
        self._options: dict[int, tuple[bool, int]] = {}
        """(hold, max_attempts) of the subscription that answered last, by group: for members that died."""
        self.effects: list[EventEffect] = []
        """What people may want to know; whoever asks takes it."""

    def answer(
        self, link: MemberLink | None, outcome: DeliveryOutcome, ours: bool, now: float, *, died: int = 1
    ) -> None:
        """`link` is that of the member that answers; `ours`: for a delivery with our ballot; `died`: how many of the
        group it says to have died together."""
        group = self._machine.groups.get(outcome.group)
        if group is None:
            return
        letter = (group.number, outcome.index)
        if outcome.result is DeliveryResult.ACKED:
            self._ack(letter, now)
        delivery = None if link is None or not ours else link.unanswered.get(letter)
        if delivery is None or delivery.attempt != outcome.attempt or outcome.result is DeliveryResult.OLD_BALLOT:
            return
        window = self._windows.known(group.number, delivery.node)
        assert window is not None, "it has a delivery"
        self._windows.remove(delivery)
        self._delivering.wake(group.number)
        if outcome.result in (DeliveryResult.NO_SUBSCRIBER, DeliveryResult.NO_ROOM, DeliveryResult.UNREACHABLE):
            self._refuse(window, outcome.result, now)
            self._delivering.put_back(letter)
            return
        window.taken()
        self._options[group.number] = outcome.hold, outcome.max_attempts
        if outcome.result is DeliveryResult.ACKED or not self._delivering.wants(delivery):
            return
        if outcome.result is DeliveryResult.DIED and died > 1:
            self._suspect(letter)
        else:
            self._failed(letter, outcome, now)

    def member_ended(self, link: MemberLink, now: float) -> None:
        """The process of this member left, died, or was replaced."""
        lost = [*link.unanswered.values()]
        died = Counter(one.group for one in lost if one.sent and self._delivering.wants(one))
        for delivery in lost:
            self._windows.remove(delivery)
            letter = (delivery.group, delivery.index)
            if not (delivery.sent and self._delivering.wants(delivery)):
                self._delivering.put_back(letter)
            elif died[delivery.group] > 1:
                self._suspect(letter)
            else:
                hold, max_attempts = self._options.get(delivery.group, (False, 0))
                outcome = _died(delivery, hold, max_attempts)
                self._failed(letter, outcome, now)
        self._windows.drop_member(link)

    def forget_group(self, group: int) -> None:
        self._options.pop(group, None)

    # -- the rules ---------------------------------------------------------------------------------------------------

    def _ack(self, letter: LetterId, now: float) -> None:
        queue = self._delivering.queues.get(letter[0])
        if queue is not None and queue.wants(letter[1]):
            self._batch.add(*letter, OutcomeCode.ACKED, "", now)
            self._delivering.finish(letter)

    def _refuse(self, window: MemberWindow, result: DeliveryResult, now: float) -> None:
        if result is DeliveryResult.UNREACHABLE:
            self._windows.unreachable(window, now)
        else:
            window.refuse(inf)

    def _suspect(self, letter: LetterId) -> None:
        """It died beside others, and may be what killed them. That is no attempt: it goes again alone."""
        self._delivering.suspects[letter] = None
        self._delivering.put_back(letter)

    def _failed(self, letter: LetterId, outcome: DeliveryOutcome, now: float) -> None:
        died = outcome.result is DeliveryResult.DIED
        wait_s = None
        if outcome.result is not DeliveryResult.REJECTED:
            max_attempts = outcome.max_attempts or self._tuning.max_attempts
            wait_s = self._counts.note(letter, died, outcome.after_ms, max_attempts)
        if wait_s is None:
            self._set_aside(letter, outcome, now)
            return
        self._batch.add(*letter, OutcomeCode.DIED if died else OutcomeCode.FAILED, outcome.text, now)
        if wait_s:
            self._delivering.redeliveries.wait(letter, now + wait_s)
        else:
            self._delivering.put_back(letter)

    def _set_aside(self, letter: LetterId, outcome: DeliveryOutcome, now: float) -> None:
        group, index = letter
        queue = self._delivering.queues[group]
        key = queue.key_of(index)
        holds = outcome.hold and key != ""
        self._batch.add(group, index, OutcomeCode.DEAD_HOLDS if holds else OutcomeCode.DEAD, outcome.text, now)
        if holds:
            queue.hold(key)
        fields = (
            ("group", queue.name), ("index", index), ("holds", int(holds)), ("reason", outcome.text),
            ("attempts", outcome.attempt), ("result", outcome.result.name.lower()),
        )  # fmt: skip
        self.effects.append(LogEvents("event_dead", fields))
        self._delivering.finish(letter)


def _died(delivery: Unanswered, hold: bool, max_attempts: int) -> DeliveryOutcome:
    return DeliveryOutcome(
        delivery.group_name, delivery.index, delivery.attempt, DeliveryResult.DIED, MEMBER_ENDED, 0, hold, max_attempts
    )
