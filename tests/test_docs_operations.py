"""The manual's tables of what `info` shows and of what the log warns of, held against the texts in the code.

Each trouble and each warning has one row, and each row is of a text that the code can say.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import gossipreg
from gossipreg.core.effects import Event
from gossipreg.daemon import log_events
from gossipreg.daemon.troubles import Troubles
from gossipreg.errors import BadConfig, CannotStart, GossipregError
from tests.texts_in_code import HOLE, Package, Place, Texts, last_name

ROOT = Path(gossipreg.__file__).parent
CODE = Package(ROOT, ("daemon", "gateway"))
DAEMON = Package(ROOT, ("daemon",))
"""Only the daemon has a log; a gateway reports through it, at level info."""
CORE = Package(ROOT, ("core",))
INFO = Package(ROOT, ("cli/info.py",))
PLACE = re.compile(r"(\.\.\.)|\b[A-Z]+\b")
"""Stands in a row for what differs from one line to the next: dots for any text, a word in capitals for a text without
punctuation."""
SEVERE = frozenset(("warning", "error"))
FIELDS: dict[str, Any] = {"address": "10.0.0.7:7940", "id": "00", "since_s": 9.0, "bytes": 1250, "lost_bytes": 1275}
"""Those of an event that the keeper of troubles reads."""


@pytest.fixture(scope="module", autouse=True)
def trees() -> Iterator[None]:
    """Keep the syntax trees for these tests alone: every later garbage collection would go through them."""
    yield
    for cached in (reported, kinds, of_events, shown, troubles):
        cached.cache_clear()
    for package in (CODE, DAEMON, CORE, INFO):
        package.forget()


def rows(heading: str) -> list[str]:
    """The first cells of the table below a heading."""
    page = (ROOT / "docs" / "operations.md").read_text()
    section = re.split(r"^## ", page.partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    assert len(lines) > 3, f"no table below {heading!r}"
    return [line.strip("|").split(" | ")[0].strip() for line in lines[1:]]


def at(node: ast.expr, place: Place) -> str:
    return f"{place.path.relative_to(ROOT)}:{node.lineno}"


# -- what `info` shows -------------------------------------------------------------------------------------------------

TROUBLE_ROWS = rows("What `info` says, and what to do")


@cache
def reported() -> list[tuple[str, Texts]]:
    return [*_reported()]


def _reported() -> Iterator[tuple[str, Texts]]:
    """Where a trouble is reported, and the messages that it can have there; see `of_events` for those of the core."""
    for name in names_of("saw"):
        for call, place in CODE.calls_by_name[name]:
            if place.function is None or place.function.name != "on_event":
                yield at(call, place), CODE.texts(call.args[1], place)
    for place in CODE.places:
        if place.path.stem != "troubles" and place.function is not None:  # which shows what was reported
            for node in ast.walk(place.function):
                if isinstance(node, ast.Dict) and (message := item(node, "message")) and item(node, "since_s"):
                    yield at(node, place), CODE.texts(message, place)


def names_of(method: str) -> set[str]:
    """The method's name, and those under which it is handed to other parts."""
    found = {method}
    for call, _ in CODE.calls():
        for keyword in call.keywords:
            named = (node for node in ast.walk(keyword.value) if isinstance(node, ast.Attribute))
            if keyword.arg and any(last_name(node) == method for node in named):
                found.add(keyword.arg)
    return found


def item(table: ast.Dict, wanted: str) -> ast.expr | None:
    for key, value in zip(table.keys, table.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == wanted:
            return value
    return None


@cache
def kinds() -> set[str]:
    """The kinds of events that the core can report."""
    return set().union(*(CORE.texts(call.args[0], place) for call, place in CORE.calls_by_name["event"]))


def is_a_trouble(kind: str) -> bool:
    held = Troubles(lambda: 0.0)
    held.on_event(Event(kind, tuple(FIELDS.items())), "a message")
    return held.shapes() != []


@cache
def of_events() -> dict[str, Texts]:
    """The messages of the events of the core, by kind."""
    [words] = CODE.functions["in_words"]
    assert words.function is not None
    [match] = [node for node in ast.walk(words.function) if isinstance(node, ast.Match)]
    found: dict[str, Texts] = {}
    for case in match.cases:
        assert isinstance(case.pattern, ast.MatchValue)
        [kind] = CODE.texts(case.pattern.value, words)
        nodes = (node for line in case.body for node in ast.walk(line))
        returned = [node.value for node in nodes if isinstance(node, ast.Return) and node.value is not None]
        found[kind] = frozenset[str]().union(*(CODE.texts(one, words) for one in returned))
    return found


@cache
def shown() -> set[str]:
    """The lines that `info` makes itself, without those that are a message and how long it has been true."""
    found: set[str] = set()
    for place in INFO.places:
        for node in ast.walk(place.function or place.module):
            if isinstance(node, ast.JoinedStr | ast.Constant):
                found |= {text[2:] for text in INFO.texts(node, place) if text.startswith("! ")}
    return found - {"", f"{HOLE} (for {HOLE})"}


@cache
def troubles() -> list[str]:
    """All lines that begin with `!`, with a word in the place of what is known only at run time."""
    found = shown() | {text for _, texts in reported() for text in texts}
    found |= {text for kind, texts in of_events().items() if is_a_trouble(kind) for text in texts}
    return sorted(text.replace(HOLE, "web-7") for text in found)


def fits(row: str, message: str) -> bool:
    """Whether the message begins as the row does."""
    pattern, end = "", 0
    for place in PLACE.finditer(row):
        pattern += re.escape(row[end : place.start()]) + (".+?" if place[1] else "[^,;:]+?")
        end = place.end()
    return re.match(pattern + re.escape(row[end:]), message) is not None


def test_each_trouble_has_one_row_in_the_manual() -> None:
    found = {message: [row for row in TROUBLE_ROWS if fits(row, message)] for message in troubles()}
    assert {message: rows for message, rows in found.items() if len(rows) != 1} == {}


def test_each_row_is_of_a_trouble_that_is_shown() -> None:
    assert [row for row in TROUBLE_ROWS if not any(fits(row, message) for message in troubles())] == []


def test_the_words_of_every_trouble_are_found() -> None:
    sites = list(reported())
    assert len(sites) >= 8
    assert [where for where, texts in sites if not texts or HOLE in texts] == []
    assert len(shown()) >= 5
    assert [kind for kind in kinds() if is_a_trouble(kind) and HOLE in of_events().get(kind, HOLE)] == []


# -- what the log warns of ---------------------------------------------------------------------------------------------

LOG_ROWS = [kind for row in rows("What the log warns of, and what to do") for kind in re.findall(r"`(\w+)`", row)]


def warned() -> Iterator[tuple[str, Texts]]:
    """Where a line of level warning or error is written, and its kinds. A function that gets the level as an argument
    is passed by: its callers name level and kind."""
    for call, place in DAEMON.calls():
        if place.path.stem == "logs":
            continue
        if isinstance(call.func, ast.Attribute) and call.func.attr in SEVERE and is_log(call.func.value):
            yield at(call, place), DAEMON.texts(call.args[0], place)
        elif any(is_severe(one) for one in call.args):
            kinds = [one for one in call.args if isinstance(one, ast.Constant | ast.JoinedStr) and not is_severe(one)]
            yield at(call, place), frozenset[str]().union(*(DAEMON.texts(one, place) for one in kinds))


def is_log(expression: ast.expr) -> bool:
    return last_name(expression).lstrip("_") == "log"


def is_severe(expression: ast.expr) -> bool:
    match expression:
        case ast.Constant(value=value):
            return value in SEVERE
        case ast.IfExp(body=body, orelse=other):
            return is_severe(body) or is_severe(other)
    return False


def warnings() -> list[str]:
    """The kinds of warnings and errors, with NAME for what is known only at run time. A start that fails is logged with
    the code of its error as the kind."""
    found = {kind.replace(HOLE, "NAME") for _, kinds in warned() for kind in kinds}
    found |= {kind for kind, level in log_events.LEVELS.items() if level in SEVERE}
    ends: list[type[GossipregError]] = [BadConfig, CannotStart, *CannotStart.__subclasses__()]
    return sorted(found | {one.code for one in ends})


def test_each_warning_of_the_log_has_one_row_in_the_manual() -> None:
    assert sorted(LOG_ROWS) == warnings()


def test_the_kind_of_every_warning_is_found() -> None:
    sites = list(warned())
    assert len(sites) >= 20
    assert [where for where, kinds in sites if len(kinds) != 1 or HOLE in kinds] == []


def test_every_level_is_of_an_event_that_the_core_reports() -> None:
    names = [re.compile(kind.replace(HOLE, r"\w+")) for kind in kinds()]
    assert [kind for kind in log_events.LEVELS if not any(name.fullmatch(kind) for name in names)] == []
