"""Reads a regular expression into an automaton; `pattern.py` follows it.

Understood are literals, `.`, classes, `\\d \\w \\s` and their opposites, `^`, `$`, groups, `|`, and `* + ? {m,n}`,
also lazy: whether there is a match does not depend on it. Everything else of RE2 (flags, word boundaries, Unicode
classes) is refused, never ignored.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

PATTERN_MAX = 256
"""Characters."""
STATES_MAX = 2048
"""The states that all expressions of one filter may have, after `{m,n}` is written out."""
DEPTH_MAX = 32
REPEAT_MAX = 1000
"""As RE2 has it."""
STEPS_MAX = 100_000
"""States that one request may look at: some 20 ms. An expression that a person writes takes a few hundred, whatever the
number of texts that it is matched against."""

Test = Callable[[str], bool]


class BadPattern(ValueError):
    """The fault of a pattern, for the person who wrote it."""


class Work:
    """The bound on the cost of all patterns of one filter."""

    __slots__ = ("states", "steps")

    def __init__(self) -> None:
        self.states = STATES_MAX
        """The states that the patterns may still have."""
        self.steps = STEPS_MAX
        """The states that they may still look at for the request that is answered now."""


@dataclass(slots=True)
class AutomatonState:
    test: Test | None = None
    """The characters that lead on; None: the state leads on without a character."""
    at: str = ""
    """`^` or `$`: the state leads on at that end of the text only."""
    then: "list[int]" = field(default_factory=list)


_Part = tuple[int, int]
"""The first state of a part, and its last one, which leads nowhere yet."""

_DIGIT: Test = lambda char: "0" <= char <= "9"  # noqa: E731
_WORD: Test = lambda char: char.isascii() and (char.isalnum() or char == "_")  # noqa: E731
_SPACE: Test = lambda char: char in " \t\n\f\r"  # noqa: E731
_CLASSES = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_LITERALS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


class Automaton:
    """The states of an expression; a match is a way from `first` to `last`."""

    def __init__(self, text: str, work: Work) -> None:
        """Raises BadPattern."""
        if len(text) > PATTERN_MAX:
            raise BadPattern(f"the expression has {len(text)} characters: at most {PATTERN_MAX}")
        self.states: list[AutomatonState] = []
        self._text = text
        self._work = work
        self._at = 0
        self._depth = 0
        self.first, self.last = self._alternatives()
        if self._at < len(text):
            raise BadPattern(f"{text!r}: a closing parenthesis too many")

    def _new(self, test: Test | None = None, at: str = "") -> int:
        self._work.states -= 1
        if self._work.states < 0:
            raise BadPattern(f"{self._text!r} is too complicated: write it shorter, or with smaller repetitions")
        self.states.append(AutomatonState(test, at))
        return len(self.states) - 1

    def _join(self, number: int, *following: int) -> None:
        self.states[number].then += following

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
