"""Attempts of commands: when each is made, with which proof, and which are under way.

Owns: the commands that wait for their next attempt, and those that are unanswered. Never knows: what an answer means;
whoever gets it ends the command, or says when it is tried again.

    waits for its time -> waits for room (`commands_at_once`) -> is due: waits for a proof of leadership -> under way

A command that waited for room is due when there is room, and needs a proof from then on: so a leader that was replaced
and does not know it makes no attempt that became due after that, however long its queue is.

No attempt of a step, or of its undo, begins while another one of either is under way here: also one that was begun
before this sidecar lost the journal and got it back.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import NamedTuple

from gossipreg.journal.leadership_proof import LeadershipProof
from gossipreg.journal.model import JournalId
from gossipreg.retry import Retry
from gossipreg.sagas.saga_effects import CommandDone, SagaEffect, SendCommand
from gossipreg.sagas.saga_model import SagaCommand, SagaRef
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.timers import Timers

MAX_AVOIDED = 8
"""Instances that are named to be asked last."""
LEAST_S = 0.01
"""Of an attempt: with less time left none is made."""


class CommandWork(Enum):
    """What a command is sent for."""

    STEP = "step"
    REPEAT = "repeat"
    """The command of a step whose outcome is unknown, after the abort: its undo needs its answer."""
    UNDO = "undo"
    AFTER = "after"


class CommandId(NamedTuple):
    saga: str
    step: str
    work: CommandWork


@dataclass(frozen=True, slots=True)
class CommandTimer:
    """The next attempt is due."""

    journal: JournalId
    id: CommandId


@dataclass(frozen=True, slots=True)
class CommandDeadline:
    """Its time is over."""

    journal: JournalId
    id: CommandId


@dataclass(slots=True, eq=False)
class CommandTask:
    """A command until it is settled."""

    id: CommandId
    command: SagaCommand
    headers: tuple[tuple[str, str], ...]
    """To be added to those of the command."""
    attempt_timeout_s: float
    again: Retry
    deadline: float = inf
    """No attempt lasts longer than this."""
    maybe_sent: bool = False
    """An attempt, here or of an earlier leader, may have reached a participant."""
    attempts: int = 0
    """Attempts that were begun here, and those that earlier leaders noted."""
    wait_s: float = 0.0
    since: float = 0.0
    """When its first attempt was due here, or a person last asked for one."""
    told_stuck: bool = False
    """Since then it was proposed that it is stuck."""
    due: float = 0.0
    number: int = 0
    """Of the attempt that is under way; 0: none is."""
    shortened: bool = False
    """The attempt that is under way has less time than others, since its deadline is near."""
    avoid: tuple[str, ...] = ()
    last: CommandDone | None = None
    """What came of the last attempt; of a shortened one that had no answer, what came of the one before it."""
    settled: bool = False
    """Its answer settled it: it is here until that is committed, so that nobody begins it again."""
    ended: bool = False

    def next_wait_s(self) -> float:
        """The wait before the next attempt, longer each time."""
        self.wait_s = self.again.after(self.wait_s) if self.wait_s else self.again.first_s
        return self.wait_s

    def failed_at(self, instance: str) -> None:
        """Ask this instance last."""
        if instance and instance not in self.avoid:
            self.avoid = (*self.avoid, instance)[-MAX_AVOIDED:]


def _ended_task(id: CommandId, number: int) -> CommandTask:
    """An attempt whose answer means nothing any more, but that it is over."""
    return CommandTask(
        id, SagaCommand("", "", ""), (), 0.0, Retry(1.0, 1.0), maybe_sent=True, number=number, ended=True
    )


class CommandAttempts:
    def __init__(
        self, tuning: SagaTuning, journal: JournalId, timers: Timers, numbers: Iterator[int], proof: LeadershipProof,
        before: Mapping[int, CommandId],
    ) -> None:  # fmt: skip
        """`numbers` counts up over all commands of a sidecar; `before`: attempts that are under way since this sidecar
        led the journal the last time."""
        self._tuning = tuning
        self._journal = journal
        self._timers = timers
        self._numbers = numbers
        self._proof = proof
        self._tasks: dict[CommandId, CommandTask] = {}
        self._waits_for_room: deque[CommandTask] = deque()
        self._due: dict[CommandId, CommandTask] = {}
        """They wait for a proof of leadership."""
        self._under_way: dict[int, CommandTask] = {}
        self._of_saga: Counter[str] = Counter()
        """How many attempts of its steps are under way, before or in spite of its decision."""
        self._busy: set[tuple[str, str]] = set()
        """The steps of which an attempt, of command or undo, is under way."""
        self._behind: dict[tuple[str, str], list[CommandTask]] = {}
        """Commands that are due, behind an attempt of the same step that is under way."""
        self._paused = False
        for number, id in before.items():
            self._begun(_ended_task(id, number))

    def __contains__(self, id: CommandId) -> bool:
        return id in self._tasks

    def get(self, id: CommandId) -> CommandTask | None:
        return self._tasks.get(id)

    @property
    def under_way(self) -> int:
        """How many attempts are unanswered."""
        return len(self._under_way)

    def unanswered(self) -> dict[int, CommandId]:
        """By number."""
        return {number: task.id for number, task in self._under_way.items()}

    def steps_under_way(self, saga: str) -> int:
        """How many attempts of steps of this saga are unanswered; without undo, and what comes after a decision."""
        return self._of_saga[saga]

    def owns(self, number: int) -> bool:
        return number in self._under_way

    # -- the life of a command ---------------------------------------------------------------------------------------

    def begin(self, task: CommandTask, due: float) -> None:
        """Its first attempt is due since this time; what is committed since then proves that we led."""
        self._tasks[task.id] = task
        task.since = due
        if task.deadline < inf:
            self._timers.set(CommandDeadline(self._journal, task.id), task.deadline)
        self._enter(task, due)

    def try_later(self, task: CommandTask, at: float) -> None:
        """Its next attempt is due then."""
        self._timers.set(CommandTimer(self._journal, task.id), at)

    def try_at_once(self, id: CommandId, now: float) -> None:
        """A person says so: as if it were its first attempt."""
        task = self._tasks.get(id)
        if task is None or task.settled:
            return
        task.wait_s, task.attempts, task.avoid = 0.0, 0, ()
        task.since, task.told_stuck = now, False
        timer = CommandTimer(self._journal, id)
        if timer in self._timers:
            self._timers.cancel(timer)
            self._enter(task, now)

    def end(self, id: CommandId) -> CommandTask | None:
        """It is settled, or nothing more is to be sent of it. Returns it; None if it was not there."""
        task = self._tasks.pop(id, None)
        if task is None:
            return None
        task.ended = True
        self._due.pop(id, None)
        self._timers.cancel(CommandTimer(self._journal, id))
        self._timers.cancel(CommandDeadline(self._journal, id))
        return task

    def done(self, done: CommandDone) -> tuple[CommandTask, bool] | None:
        """An attempt is over. Returns its command, which may have ended meanwhile, and whether nothing of it can have
        been sent before."""
        task = self._under_way.pop(done.number, None)
        if task is None:
            return None
        first, task.number = not task.maybe_sent, 0
        if not (task.shortened and done.status == 0 and task.last is not None and task.last.sent):
            task.last = done
        task.maybe_sent = task.maybe_sent or done.sent
        self._busy.discard(task.id[:2])
        self._waits_for_room.extend(self._behind.pop(task.id[:2], ()))
        self._count(task, -1)
        return task, first

    def _begun(self, task: CommandTask) -> None:
        self._under_way[task.number] = task
        self._busy.add(task.id[:2])
        self._count(task, 1)

    def _count(self, task: CommandTask, change: int) -> None:
        if task.id.work is not CommandWork.STEP:
            return
        self._of_saga[task.id.saga] += change
        if not self._of_saga[task.id.saga]:
            del self._of_saga[task.id.saga]

    def on_timer(self, timer: CommandTimer, now: float) -> None:
        task = self._tasks.get(timer.id)
        if task is not None and not task.number:
            self._enter(task, now)

    def clear(self) -> None:
        """We do not lead any more: nothing more is sent."""
        for id in [*self._tasks]:
            self.end(id)
        self._waits_for_room.clear()

    # -- sending -----------------------------------------------------------------------------------------------------

    def _enter(self, task: CommandTask, due: float) -> None:
        if self._is_behind(task):
            self._behind.setdefault(task.id[:2], []).append(task)
            return
        if self._paused or self._room <= 0 or self._waits_for_room:
            self._waits_for_room.append(task)
            return
        task.due = due
        self._due[task.id] = task

    def _is_behind(self, task: CommandTask) -> bool:
        return task.id[:2] in self._busy

    @property
    def _room(self) -> int:
        return self._tuning.commands_at_once - len(self._due) - len(self._under_way)

    def pause(self) -> None:
        """Begin nothing."""
        self._paused = True
        self._waits_for_room.extendleft(reversed(self._due.values()))
        self._due.clear()

    def resume(self) -> None:
        self._paused = False

    def flush(self, now: float) -> list[SagaEffect]:
        """Send what is due and proven; want a proof for the rest."""
        while self._waits_for_room and self._room > 0 and not self._paused:
            task = self._waits_for_room.popleft()
            if self._is_behind(task):
                self._behind.setdefault(task.id[:2], []).append(task)
            elif not task.ended:
                task.due = now
                self._due[task.id] = task
        effects: list[SagaEffect] = []
        for task in [*self._due.values()]:
            if self._proof.covers(task.due):
                effects += self._send(task, now)
            else:
                self._proof.want(task.due)
        return effects

    def _send(self, task: CommandTask, now: float) -> list[SagaEffect]:
        timeout_s = min(task.attempt_timeout_s, task.deadline - now)
        if timeout_s < LEAST_S:
            return []  # it is settled at its deadline
        del self._due[task.id]
        task.number, task.shortened = next(self._numbers), timeout_s < task.attempt_timeout_s
        task.attempts += 1
        self._begun(task)
        headers = (*task.headers, ("gossipreg-attempt", str(task.attempts)))
        saga = SagaRef(self._journal, task.id.saga)
        return [
            SendCommand(
                task.number, task.command, headers, timeout_s, task.avoid, saga, task.id.step, task.id.work.value
            )
        ]  # fmt: skip
