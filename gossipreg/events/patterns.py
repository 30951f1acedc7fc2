"""Patterns of event types: which events a subscription means.

A type is a row of tokens with dots between them: `order.created`. A pattern is one too, in which `*` stands for one
token, and `>`, at the end, for one or more. Everything else is taken as it is, with its case. (The rule of NATS.)
Within a token both are refused: `order*` would mean nothing that anybody publishes, and its subscriber would wait for
ever.

    order.created   that type alone
    order.*         order.created, order.paid; not order or order.item.added
    order.>         order.created, order.item.added; not order
    >               every type
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

from gossipreg.errors import BadParams
from gossipreg.events.entries import MAX_GROUP_BYTES

MAX_TYPE_BYTES = 255
"""Of UTF-8; as long as a name of a service may be."""
ONE, REST = "*", ">"

T = TypeVar("T")


def check_type(text: str, what: str = "type") -> tuple[str, ...]:
    """The tokens of an event's type. Raises BadParams where it is none, or a pattern."""
    tokens = _tokens(what, text)
    for token in tokens:
        if token in (ONE, REST):
            raise BadParams(f"{what} {text!r} has {token!r}, which stands for others: publish with a whole type")
    return tokens


def check_pattern(text: str) -> tuple[str, ...]:
    """The tokens of a pattern. Raises BadParams where it is none."""
    tokens = _tokens("pattern", text)
    if REST in tokens[:-1]:
        raise BadParams(f"pattern {text!r} has {REST!r} before its end: it stands for the rest, so write it last")
    return tokens


def check_group(name: str) -> str:
    """The name of a group of subscriptions. Raises BadParams where it is none."""
    size = len(name.encode(errors="surrogatepass"))
    if not 1 <= size <= MAX_GROUP_BYTES:
        raise BadParams(f"group {name[:40]!r} has {size} bytes: choose a name of 1 to {MAX_GROUP_BYTES}")
    if not name.isprintable() or " " in name:
        raise BadParams(f"group {name!r} has a space or a character that cannot be printed: leave it out")
    if mark := next((mark for mark in (ONE, REST) if mark in name), ""):
        raise BadParams(f"group {name!r} has {mark!r}, as patterns have: give the name of a group, such as mail")
    return name


def _tokens(what: str, text: str) -> tuple[str, ...]:
    if len(text.encode(errors="surrogatepass")) > MAX_TYPE_BYTES:
        raise BadParams(f"{what} has {len(text)} characters: at most {MAX_TYPE_BYTES} bytes fit")
    tokens = tuple(text.split("."))
    if "" in tokens:
        raise BadParams(f"{what} {text!r} has an empty token: write tokens with one dot between them, order.created")
    if not all(token.isprintable() and " " not in token for token in tokens):
        raise BadParams(f"{what} {text!r} has a space or a character that cannot be printed: leave it out")
    for token in tokens:
        if len(token) > 1 and (ONE in token or REST in token):
            mark = ONE if ONE in token else REST
            raise BadParams(f"{what} {text!r} has {mark!r} within a token: write it as a whole one, order.{mark}")
    return tokens


def matches(pattern: tuple[str, ...], type: tuple[str, ...]) -> bool:
    """Whether this pattern means this type; both as `check_pattern` and `check_type` give them."""
    if pattern[-1] == REST:
        pattern = pattern[:-1]
        if len(type) <= len(pattern):
            return False
        type = type[: len(pattern)]
    return len(pattern) == len(type) and all(ours in (ONE, theirs) for ours, theirs in zip(pattern, type, strict=True))


class _Branch(Generic[T]):
    __slots__ = ("branches", "here", "rest")

    def __init__(self) -> None:
        self.branches: dict[str, _Branch[T]] = {}
        self.here: dict[T, None] = {}
        """Those whose pattern ends here."""
        self.rest: dict[T, None] = {}
        """Those whose pattern goes on with `>`."""


class PatternIndex(Generic[T]):
    """Finds those whose pattern means a type, in the time of the type's tokens, however many patterns there are.

    Values are hashable. The same value may have several patterns, and is found once.
    """

    def __init__(self) -> None:
        self._root: _Branch[T] = _Branch()

    def add(self, pattern: tuple[str, ...], value: T) -> None:
        branch = self._root
        for token in pattern:
            if token == REST:
                branch.rest[value] = None
                return
            branch = branch.branches.setdefault(token, _Branch())
        branch.here[value] = None

    def remove(self, pattern: tuple[str, ...], value: T) -> None:
        """Does nothing if it is not there."""
        path: list[tuple[_Branch[T], str]] = []
        branch = self._root
        for token in pattern:
            if token == REST:
                branch.rest.pop(value, None)
                break
            if token not in branch.branches:
                return
            path.append((branch, token))
            branch = branch.branches[token]
        else:
            branch.here.pop(value, None)
        for above, token in reversed(path):
            below = above.branches[token]
            if below.branches or below.here or below.rest:
                return
            del above.branches[token]

    def find(self, type: tuple[str, ...]) -> list[T]:
        """Those whose pattern means this type, each once."""
        return list(dict.fromkeys(self._find(self._root, type)))

    def _find(self, root: _Branch[T], type: tuple[str, ...]) -> Iterator[T]:
        branches = [root]
        for token in type:
            below: list[_Branch[T]] = []
            for branch in branches:
                yield from branch.rest
                below += [branch.branches[name] for name in dict.fromkeys((token, ONE)) if name in branch.branches]
            branches = below
        for branch in branches:
            yield from branch.here
