"""Regular expressions that take time in proportion to the text, whatever the expression: for `matches` in a filter.

Python's own `re` backtracks: a filter of twenty characters would hold the sidecar for hours, and anybody may send one.
Here an expression becomes a small automaton (`automaton.py`), and the search follows all of its possible states at once
(Thompson 1968; as in RE2, whose language clients of Consul write). The set of states that a character leads to is
computed once and kept, as a state of a larger automaton. Every step counts against the bound of the filter (`Work`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gossipreg.gateway.http.automaton import Automaton, BadPattern, Work

KEPT_MAX = 10_000
"""The states in all kept sets of a pattern; beyond this, all sets are dropped."""


@dataclass(slots=True, eq=False)
class _Set:
    """A set of states that are possible at the same time."""

    states: tuple[int, ...]
    """The states that wait for a character or for the end."""
    found: bool
    """Whether the last state is among them: the text matches."""
    at_end: bool | None = None
    """Whether the text matches if it ends here; None: not computed yet."""
    then: "dict[str, _Set]" = field(default_factory=dict)


class Pattern:
    def __init__(self, text: str, work: Work | None = None) -> None:
        """Raises BadPattern only."""
        self._text = text
        self._work = Work() if work is None else work
        automaton = Automaton(text, self._work)
        self._states, self._first, self._last = automaton.states, automaton.first, automaton.last
        self._sets: dict[tuple[int, ...], _Set] = {}
        self._kept = 0
        self._start = self._set(self._reached([self._first], begin=True))
        self._empty = self._last in self._reached([self._first], begin=True, end=True)

    def found_in(self, text: str) -> bool:
        """Whether it matches anywhere. Raises BadPattern if that would take too long."""
        if not text:
            return self._empty
        now = self._start
        for char in text:
            if now.found:
                return True
            after = now.then.get(char)
            now = self._after(now, char) if after is None else after
        if now.at_end is None:
            now.at_end = self._last in self._reached(now.states, end=True)
        return now.found or now.at_end

    def _after(self, now: _Set, char: str) -> _Set:
        led: list[int] = [self._first]  # it may begin anywhere
        for number in now.states:
            test = self._states[number].test
            if test is not None and test(char):
                led += self._states[number].then
        after = self._set(self._reached(led, steps=len(now.states)))
        now.then[char] = after
        return after

    def _reached(self, first: Iterable[int], *, begin: bool = False, end: bool = False, steps: int = 1,
                 ) -> dict[int, None]:  # fmt: skip
        """These states, and all that they lead to without a character. `steps` were taken before."""
        reached: dict[int, None] = {}
        waiting = list(first)
        while waiting:
            number = waiting.pop()
            state = self._states[number]
            if number in reached or (state.at == "^" and not begin):
                continue
            reached[number] = None
            if state.test is None and (state.at != "$" or end):
                waiting += state.then
        self._work.steps -= steps + len(reached)
        if self._work.steps < 0:
            raise BadPattern(f"{self._text!r} takes too long on what it is held against: write it simpler")
        return reached

    def _set(self, reached: dict[int, None]) -> _Set:
        found = self._last in reached
        states = tuple(sorted(one for one in reached if self._states[one].test or self._states[one].at == "$"))
        key = (*states, -1) if found else states
        kept = self._sets.get(key)
        self._kept += 1
        if kept is None:
            self._kept += len(states)
            kept = self._sets[key] = _Set(states, found)
        if self._kept > KEPT_MAX:
            self._forget()
        return kept

    def _forget(self) -> None:
        for one in self._sets.values():
            one.then.clear()  # they lead to each other
        self._start.then.clear()
        self._sets.clear()
        self._kept = 0
