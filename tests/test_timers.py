"""Named timers against a plain dictionary of what is due."""

from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gossipreg.timers import Timers
from tests.examples import examples

names = st.integers(0, 5)
dues = st.integers(0, 20).map(float)


class TimersMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.timers = Timers()
        self.model: dict[int, tuple[float, int]] = {}
        self.stamp = 0

    def _set(self, name: int, due: float) -> None:
        self.stamp += 1
        self.model[name] = due, self.stamp

    @rule(name=names, due=dues)
    def set(self, name: int, due: float) -> None:
        self.timers.set(name, due)
        self._set(name, due)

    @rule(name=names, due=dues)
    def set_earlier(self, name: int, due: float) -> None:
        self.timers.set_earlier(name, due)
        if name not in self.model or due < self.model[name][0]:
            self._set(name, due)

    @rule(name=names)
    def cancel(self, name: int) -> None:
        self.timers.cancel(name)
        self.model.pop(name, None)

    @rule(now=dues | st.just(inf))
    def fire(self, now: float) -> None:
        """Earliest first, ties in the order in which they were set."""
        expected = sorted((due, stamp, name) for name, (due, stamp) in self.model.items() if due <= now)
        assert list(self.timers.pop_due(now)) == [(name, due) for due, _, name in expected]
        self.model = {name: at for name, at in self.model.items() if at[0] > now}

    @rule(now=dues, later=st.integers(0, 3), name=names)
    def fire_and_set_meanwhile(self, now: float, later: int, name: int) -> None:
        """What a timer sets as it fires is seen in the same go, where it is due."""
        fired = 0
        for at, _ in self.timers.pop_due(now):
            assert isinstance(at, int)
            assert self.model.pop(at)[0] <= now
            if fired == 0:
                self.timers.set(name, now + later)
                self._set(name, now + later)
            fired += 1
            if fired > 7:
                break
        assert fired > 7 or all(due > now for due, _ in self.model.values())

    @invariant()
    def agrees(self) -> None:
        assert len(self.timers) == len(self.model)
        assert self.timers.next_due() == min((due for due, _ in self.model.values()), default=inf)
        assert all((name in self.timers) == (name in self.model) for name in range(6))

    @invariant()
    def litter_is_bounded(self) -> None:
        assert len(self.timers._heap) <= 2 * max(len(self.timers._due), len(self.model)) + 17 + 6


TestTimers = TimersMachine.TestCase
TestTimers.settings = settings(max_examples=examples(15), stateful_step_count=20, deadline=None)


def test_a_timer_moved_ten_thousand_times_leaves_no_heap_behind() -> None:
    timers = Timers()
    for step in range(10_000):
        timers.set("probe", float(step))
    assert len(timers._heap) <= 18
    assert list(timers.pop_due(inf)) == [("probe", 9999.0)]


def test_cancelled_timers_leave_no_heap_behind() -> None:
    timers = Timers()
    for step in range(10_000):
        timers.set(step, float(step))
        timers.cancel(step)
    assert len(timers._heap) <= 18
    assert timers.next_due() == inf


def test_popping_timers_due_at_infinity_ends() -> None:
    timers = Timers()
    timers.set("a", 1.0)
    timers.set("b", inf)
    assert list(timers.pop_due(inf)) == [("a", 1.0), ("b", inf)]
    assert list(timers.pop_due(inf)) == []
