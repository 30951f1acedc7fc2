"""Filter expressions, as Consul's agents take them in `?filter=`: read, checked against what is filtered, evaluated.

    Service.Meta.version == "2" and ("v2" in Service.Tags or not Node.Node matches "^test")

    or, and, not, parentheses       with the usual precedence
    SELECTOR == VALUE, !=           text, numbers, true and false
    VALUE in SELECTOR, not in       an element of a list, a key of a map, a part of a text
    SELECTOR contains VALUE         the same the other way round; not contains
    SELECTOR is empty, is not empty
    SELECTOR matches VALUE          a regular expression (`pattern.py`), anywhere in the text; not matches
    VALUE                           "text", `text`, a number, or a bare word

A selector that what is filtered does not have, and everything that is not written so, is an error: a filter is never
ignored. A key that a map does not have (Meta.version) makes !=, not in, not matches and `is empty` true, all else
false. A selector through a list (Checks.Status) is true where it is for one element at least.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from gossipreg.gateway.http.automaton import STEPS_MAX, BadPattern, Work
from gossipreg.gateway.http.kinds import KINDS, Kind
from gossipreg.gateway.http.pattern import Pattern
from gossipreg.net.http_message import HttpError, bad_request, shown

TEXT_MAX = 1024
DEPTH_MAX = 32
COMPILED_MAX = 64

Evaluate = Callable[[Any], bool]

_TOKEN = re.compile(
    r"""\s*(?: (?P<op> == | != | \( | \) )
             | (?P<text> "(?:[^"\\\n]|\\.)*" | `[^`]*` )
             | (?P<number> -?[0-9]+(?:\.[0-9]+)? (?![A-Za-z0-9_./-]) )
             | (?P<word> [A-Za-z_][A-Za-z0-9_/-]* (?: \.[A-Za-z0-9_/-]+ | \["[^"\\]*"\] )* ) )""",
    re.VERBOSE,
)
_PART = re.compile(r'\["([^"]*)"\]|\.?([^.\[]+)')
_WORDS = ("and", "or", "not", "in", "is", "empty", "matches", "contains")

Token = tuple[str, str]


class _Bad(Exception):
    """The fault of an expression."""


def compile_filter_untrusted(text: str, kind: str) -> Evaluate:
    """Compile a filter for objects of this kind (see KINDS), for one question: the cost of its expressions is counted
    from now. Raises HttpError, 400, and so does the compiled filter."""
    if len(text) > TEXT_MAX:
        raise bad_request(f"the filter has {len(text)} characters: at most {TEXT_MAX}")
    found = _compiled(text, kind)
    found.work.steps = STEPS_MAX
    return found


def filtered_untrusted(found: Iterable[dict[str, Any]], text: str, kind: str) -> list[dict[str, Any]]:
    """The objects that the filter admits; all of them if it is empty. Raises HttpError, 400."""
    return list(filter(compile_filter_untrusted(text, kind), found)) if text else list(found)


class _Filter:
    def __init__(self, text: str, kind: str) -> None:
        self._text = text
        self.work = Work()
        try:
            self._admits = _Parser(list(_tokens(text)), KINDS[kind], self.work).whole()
        except (_Bad, BadPattern) as error:
            raise self._bad(error) from None

    def __call__(self, one: Any) -> bool:
        try:
            return self._admits(one)
        except BadPattern as error:
            raise self._bad(error) from None

    def _bad(self, error: Exception) -> HttpError:
        return bad_request(f"the filter {shown(self._text)} cannot be used: {error}")


_compiled = lru_cache(maxsize=COMPILED_MAX)(_Filter)


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise _Bad(f"{text[at:].strip()[:20]!r} is not a word of the filter language")
        at = match.end()
        yield match.lastgroup, match[match.lastgroup]


class _Parser:
    def __init__(self, tokens: list[Token], kind: Kind, work: Work) -> None:
        self._tokens = tokens
        self._work = work
        self._kind = kind
        self._at = 0
        self._depth = 0

    def whole(self) -> Evaluate:
        result = self._either()
        if self._at < len(self._tokens):
            raise _Bad(f"{self._tokens[self._at][1]!r} is not expected there")
        return result

    # -- words ---------------------------------------------------------------------------------------------------------

    def _next_is(self, *words: str) -> bool:
        """Take these, if they are next."""
        found = [token for _, token in self._tokens[self._at : self._at + len(words)]]
        kinds = [kind for kind, _ in self._tokens[self._at : self._at + len(words)]]
        if found != list(words) or "text" in kinds:
            return False
        self._at += len(words)
        return True

    def _take(self, what: str) -> Token:
        if self._at >= len(self._tokens):
            raise _Bad(f"it ends where {what} is expected")
        token = self._tokens[self._at]
        if token[0] == "op" or (token[0] == "word" and token[1] in _WORDS):
            raise _Bad(f"{token[1]!r} stands where {what} is expected")
        self._at += 1
        return token

    # -- grammar -------------------------------------------------------------------------------------------------------

    def _either(self) -> Evaluate:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise _Bad(f"parentheses deeper than {DEPTH_MAX}")
        parts = [self._both()]
        while self._next_is("or"):
            parts.append(self._both())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else lambda one: any(part(one) for part in parts)

    def _both(self) -> Evaluate:
        parts = [self._maybe_not()]
        while self._next_is("and"):
            parts.append(self._maybe_not())
        return parts[0] if len(parts) == 1 else lambda one: all(part(one) for part in parts)

    def _maybe_not(self) -> Evaluate:
        odd = False
        while self._next_is("not"):
            odd = not odd
        inner = self._single()
        return (lambda one: not inner(one)) if odd else inner

    def _single(self) -> Evaluate:
        if self._next_is("("):
            inner = self._either()
            if not self._next_is(")"):
                raise _Bad("a parenthesis is not closed")
            return inner
        first = self._take("a selector or a value")
        if self._next_is("in"):
            return self._contains(self._take("a selector"), first, wanted=True)
        if self._next_is("not", "in"):
            return self._contains(self._take("a selector"), first, wanted=False)
        return self._about(first)

    def _about(self, selector: Token) -> Evaluate:
        if self._next_is("=="):
            return self._equals(selector, self._take("a value"), wanted=True)
        if self._next_is("!="):
            return self._equals(selector, self._take("a value"), wanted=False)
        if self._next_is("is", "empty"):
            return self._empty(selector, wanted=True)
        if self._next_is("is", "not", "empty"):
            return self._empty(selector, wanted=False)
        if self._next_is("contains"):
            return self._contains(selector, self._take("a value"), wanted=True)
        if self._next_is("not", "contains"):
            return self._contains(selector, self._take("a value"), wanted=False)
        if self._next_is("matches"):
            return self._matches(selector, self._take("a value"), wanted=True)
        if self._next_is("not", "matches"):
            return self._matches(selector, self._take("a value"), wanted=False)
        raise _Bad(f"after {selector[1][:80]!r} there is no operator: ==, !=, in, is empty, contains or matches")

    # -- operators -----------------------------------------------------------------------------------------------------

    def _equals(self, selector: Token, value: Token, *, wanted: bool) -> Evaluate:
        path, kind = self._selected(selector)
        if kind not in (str, int, bool):
            raise _Bad(f"{selector[1]} is not one value: it takes in, contains and is empty")
        wished = _as_kind(value, kind)
        return _each(path, lambda found: (found == wished) is wanted, absent=not wanted)

    def _empty(self, selector: Token, *, wanted: bool) -> Evaluate:
        path, kind = self._selected(selector)
        if kind in (int, bool) or isinstance(kind, dict):
            raise _Bad(f"{selector[1]} cannot be empty")
        return _each(path, lambda found: (len(found) == 0) is wanted, absent=wanted)

    def _contains(self, selector: Token, value: Token, *, wanted: bool) -> Evaluate:
        path, kind = self._selected(selector)
        holds_texts = kind is str or (isinstance(kind, tuple) and (kind[0] == "map" or kind[1] is str))
        if not holds_texts:
            raise _Bad(f"{selector[1]} has nothing in it that a value could be")
        wished = _text(value)
        return _each(path, lambda found: (wished in found) is wanted, absent=not wanted)

    def _matches(self, selector: Token, value: Token, *, wanted: bool) -> Evaluate:
        path, kind = self._selected(selector)
        if kind is not str:
            raise _Bad(f"{selector[1]} is not a text: it cannot match")
        pattern = Pattern(_text(value), self._work)
        return _each(path, lambda found: pattern.found_in(found) is wanted, absent=not wanted)

    def _selected(self, token: Token) -> tuple[list[str], Kind]:
        """The path to the selected value, with `*` for each element of a list, and its kind."""
        if token[0] != "word":
            raise _Bad(f"{token[1][:80]} is not a selector")
        kind, path = self._kind, []
        for key in (bracketed or plain for bracketed, plain in _PART.findall(token[1])):
            if isinstance(kind, tuple) and kind[0] == "list":
                path.append("*")
                kind = kind[1]
            if isinstance(kind, dict) and key in kind:
                kind = kind[key]
            elif isinstance(kind, tuple) and kind[0] == "map":
                kind = kind[1]
            else:
                known = f": there is {', '.join(kind)}" if isinstance(kind, dict) else ""
                raise _Bad(f"{key!r} of {token[1][:80]!r} is not there{known}")
            path.append(key)
        return path, kind


def _each(path: list[str], test: Callable[[Any], bool], *, absent: bool) -> Evaluate:
    """Whether the test holds for the value at the path; in a list, for one element at least."""

    def at(found: Any, depth: int) -> bool:
        for number in range(depth, len(path)):
            if path[number] == "*":
                return any(at(one, number + 1) for one in found)
            if path[number] not in found:
                return absent
            found = found[path[number]]
        return test(found)

    return lambda one: at(one, 0)


def _text(token: Token) -> str:
    kind, text = token
    if kind != "text":
        return text
    if text.startswith("`"):
        return text[1:-1]
    try:
        unquoted: str = json.loads(text)
    except ValueError:
        raise _Bad(f"{text[:80]} has an escape that is none") from None
    return unquoted


def _as_kind(token: Token, kind: Kind) -> Any:
    text = _text(token)
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise _Bad(f"{shown(text)} is neither true nor false")
        return text.lower() == "true"
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise _Bad(f"{shown(text)} is not a whole number")
    return int(text)
