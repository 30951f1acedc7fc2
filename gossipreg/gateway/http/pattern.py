"""Regular expressions that take time in proportion to the text, whatever the expression: for `matches` in a filter.

Python's own `re` backtracks: a filter of twenty characters would hold the sidecar for hours, and anybody may send one.
Here an expression becomes a small automaton, of which all states that are possible are followed at once (Thompson 1968;
as RE2, whose language clients of Consul write). Where they lead with a character is worked out once and kept, as a
state of a larger automaton. All that is worked out is counted, and bounded by who asks (`Work`).

Understood are literals, `.`, classes, `\\d \\w \\s` and their opposites, `^`, `$`, groups, `|`, and `* + ? {m,n}`,
also lazy: whether there is a match does not depend on it. What else RE2 has (flags, word boundaries, Unicode classes)
is refused, never ignored.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

PATTERN_MAX = 256
"""Characters."""
STATES_MAX = 2048
"""Of the automata of one filter, after `{m,n}` is written out."""
DEPTH_MAX = 32
REPEAT_MAX = 1000
"""As RE2 has it."""
STEPS_MAX = 100_000
"""States that one question may have looked at: some 20 ms. What is written for people takes a few hundred, however many
texts it is held against."""
KEPT_MAX = 10_000
"""States that are kept in all sets of a pattern; then all are let go."""

Test = Callable[[str], bool]


class BadPattern(ValueError):
    """The fault of a pattern, for the person who wrote it."""


class Work:
    """The bound on the cost of all patterns of one filter."""

    __slots__ = ("states", "steps")

    def __init__(self) -> None:
        self.states = STATES_MAX
        """States that they may still have."""
        self.steps = STEPS_MAX
        """States that they may still look at for the question that is answered now."""


@dataclass(slots=True)
class _State:
    test: Test | None = None
    """None: passes without a character."""
    at: str = ""
    """`^` or `$`: passes there alone."""
    then: "list[int]" = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Set:
    """States that are possible at once."""

    states: tuple[int, ...]
    """Those that wait for a character or for the end."""
    found: bool
    """The last one is among them."""
    at_end: bool | None = None
    """Whether it is where the text ends here; None: not worked out yet."""
    then: "dict[str, _Set]" = field(default_factory=dict)


_Part = tuple[int, int]
"""An automaton's first state and its last, which leads nowhere yet."""

_DIGIT: Test = lambda char: "0" <= char <= "9"  # noqa: E731
_WORD: Test = lambda char: char.isascii() and (char.isalnum() or char == "_")  # noqa: E731
_SPACE: Test = lambda char: char in " \t\n\f\r"  # noqa: E731
_CLASSES = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_LITERALS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


class Pattern:
    def __init__(self, text: str, work: Work | None = None) -> None:
        """Raises BadPattern only."""
        if len(text) > PATTERN_MAX:
            raise BadPattern(f"the expression has {len(text)} characters: at most {PATTERN_MAX}")
        self._text = text
        self._work = Work() if work is None else work
        self._at = 0
        self._depth = 0
        self._states: list[_State] = []
        self._first, self._last = self._alternatives()
        if self._at < len(text):
            raise BadPattern(f"{text!r}: a closing parenthesis too many")
        self._sets: dict[tuple[int, ...], _Set] = {}
        self._kept = 0
        self._start = self._set(self._reached([self._first], begin=True))
        self._empty = self._last in self._reached([self._first], begin=True, end=True)

    def found_in(self, text: str) -> bool:
        """Whether it matches anywhere. Raises BadPattern where that would take too long."""
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

    # -- following -----------------------------------------------------------------------------------------------------

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
        """These states, and all that are reached from them without a character. `steps` were taken before."""
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

    # -- reading -------------------------------------------------------------------------------------------------------

    def _new(self, test: Test | None = None, at: str = "") -> int:
        self._work.states -= 1
        if self._work.states < 0:
            raise BadPattern(f"{self._text!r} is too complicated: write it shorter, or with smaller repetitions")
        self._states.append(_State(test, at))
        return len(self._states) - 1

    def _join(self, number: int, *following: int) -> None:
        self._states[number].then += following

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise BadPattern(f"{self._text!r} ends too early")
        self._at += 1
        return char

    def _alternatives(self) -> _Part:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise BadPattern(f"groups deeper than {DEPTH_MAX}")
        first, last = self._new(), self._new()
        while True:
            begin, end = self._sequence()
            self._join(first, begin)
            self._join(end, last)
            if self._peek() != "|":
                break
            self._at += 1
        self._depth -= 1
        return first, last

    def _sequence(self) -> _Part:
        first = last = self._new()
        while self._peek() not in ("", "|", ")"):
            start = self._at
            begin, end = self._repeated(start)
            self._join(last, begin)
            last = end
        return first, last

    def _repeated(self, start: int) -> _Part:
        part = self._atom()
        after_atom = self._at
        least, most = self._repetition()
        if self._at == after_atom:
            return part
        if self._peek() == "?":  # lazy
            self._at += 1
        after = self._at
        if self._repetition() != (1, 1):
            raise BadPattern(f"{self._text!r}: a repetition of a repetition")
        first = last = self._new()
        for number in range(most if most is not None else max(1, least)):
            if number:
                part = self._again(start)
            begin, end = part
            self._join(last, begin)
            if number >= least:
                self._join(last, end)
            last = end
        if most is None:
            beyond = self._new()
            self._join(last, part[0], beyond)
            last = beyond
        if most == 0:
            first = last = self._new()
        self._at = after
        return first, last

    def _again(self, start: int) -> _Part:
        """The same atom once more."""
        self._at = start
        return self._atom()

    def _repetition(self) -> tuple[int, int | None]:
        match self._peek():
            case "*":
                self._at += 1
                return 0, None
            case "+":
                self._at += 1
                return 1, None
            case "?":
                self._at += 1
                return 0, 1
            case "{":
                return self._counted()
        return 1, 1

    def _counted(self) -> tuple[int, int | None]:
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : max(end, 0)].partition(",")
        if end < 0 or not _is_number(low) or (high and not _is_number(high)):
            raise BadPattern(f"{self._text!r}: a repetition is {{2}}, {{2,}} or {{2,5}}; write a brace as \\{{")
        least = int(low)
        most = (int(high) if high else None) if comma else least
        if max(least, most or 0) > REPEAT_MAX or (most is not None and most < least):
            raise BadPattern(f"{self._text!r}: a repetition of {low} to {high or low}, at most {REPEAT_MAX}")
        self._at = end + 1
        return least, most

    def _atom(self) -> _Part:
        char = self._take()
        match char:
            case "(":
                if self._peek() == "?":
                    self._at += 1
                    if self._take() != ":":
                        raise BadPattern(f"{self._text!r}: (?:...) is the only group with a question mark")
                part = self._alternatives()
                if self._take() != ")":
                    raise BadPattern(f"{self._text!r}: a parenthesis is not closed")
                return part
            case "[":
                return self._one(self._class())
            case ".":
                return self._one(lambda char: char != "\n")
            case "^" | "$":
                last = self._new()
                first = self._new(at=char)
                self._join(first, last)
                return first, last
            case "*" | "+" | "?" | "{":
                raise BadPattern(f"{self._text!r}: {char} repeats nothing")
            case "\\":
                return self._one(self._escape())
        return self._one(lambda one: one == char)

    def _one(self, test: Test) -> _Part:
        last = self._new()
        first = self._new(test)
        self._join(first, last)
        return first, last

    def _escape(self) -> Test:
        char = self._take()
        if char.lower() in _CLASSES:
            test = _CLASSES[char.lower()]
            return test if char.islower() else lambda one: not test(one)
        literal = self._literal(char)
        return lambda one: one == literal

    def _literal(self, char: str) -> str:
        if char in _LITERALS:
            return _LITERALS[char]
        if char.isalnum() or not char.isascii():
            raise BadPattern(f"{self._text!r}: \\{char} is not known here")
        return char

    def _class(self) -> Test:
        opposite = self._peek() == "^"
        self._at += opposite
        tests: list[Test] = []
        ranges: list[tuple[str, str]] = []
        empty = True
        while (char := self._take()) != "]" or empty:
            empty = False
            if char == "[" and self._peek() == ":":
                raise BadPattern(f"{self._text!r}: named classes are not known here")
            if char == "\\" and self._peek().lower() in _CLASSES:
                tests.append(self._escape())
                continue
            low = self._literal(self._take()) if char == "\\" else char
            high = low
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                char = self._take()
                high = self._literal(self._take()) if char == "\\" else char
            if high < low:
                raise BadPattern(f"{self._text!r}: the range {low}-{high} is the wrong way round")
            ranges.append((low, high))
        return lambda one: opposite != (any(a <= one <= b for a, b in ranges) or any(test(one) for test in tests))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4
