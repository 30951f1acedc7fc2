"""Checks of what a program passes: a value of the wrong type is refused at once, in one line that names it.

Each raises BadParams. Only errors are imported: the commands load this too.
"""

import os
from collections.abc import Iterable
from types import CoroutineType
from typing import Any

from gossipreg.errors import BadParams


def checked_path(path: Any) -> str | None:
    """The path of a socket as text; None stays None."""
    if path is None:
        return None
    try:
        text = os.fspath(path)
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise BadParams(f"path {path!r} is no path: give the path of a sidecar's socket as text, or None")
    if "\0" in text or any("\ud800" <= letter < "\udc80" for letter in text):
        raise BadParams(f"path {path!r} cannot be the path of a file: give the path of a sidecar's socket")
    return text


def check_number(name: str, value: Any, wants: str) -> None:
    """`wants` says what has to be given."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise BadParams(f"{name} {value!r} is no number: give {wants}")


def check_count(name: str, value: Any, wants: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadParams(f"{name} {value!r} is no whole number: give {wants}")


def check_bool(name: str, value: Any, wants: str) -> None:
    """Texts such as "no" are true in Python: taken as they are, a request would be sent twice that must not be."""
    if not isinstance(value, bool):
        raise BadParams(f"{name} {value!r} is neither True nor False: give {wants}")


def check_text(name: str, value: Any, wants: str) -> None:
    """None is allowed too."""
    if not isinstance(value, str | None):
        raise BadParams(f"{name} {value!r} is no text: give {wants}, or None")


def can_be_stored(text: str) -> bool:
    """Whether every database takes this text: it has no NUL, and no half of a surrogate pair, which UTF-8 has not."""
    return "\0" not in text and not any("\ud800" <= letter < "\ue000" for letter in text)


def id_or_drawn(id: str | None, wants: str) -> str:
    """The id of something new: as given, or drawn. Raises BadParams for an empty one: it may be a variable that was not
    set, and would not be the same the next time."""
    check_text("id", id, wants)
    if id == "":
        raise BadParams(f"id is empty: give {wants}, or None to have one drawn")
    return os.urandom(16).hex() if id is None else id


def check_callable(name: str, value: Any, wants: str) -> None:
    if not callable(value):
        raise BadParams(f"{name} {value!r} cannot be called: give {wants}")


def check_takes_event(name: str, function: Any) -> None:
    """A handler that does not take one argument would fail at each event, until all of them are dead letters."""
    from inspect import signature

    try:
        signature(function).bind(None)
    except TypeError as error:
        raise BadParams(f"{name} {function!r} does not take an event as its only argument: {error}") from None
    except ValueError:  # of a function in C that does not say
        pass


def refuse_coroutine(name: str, function: object, result: object) -> None:
    """A function that is called in a thread returned this. Of an async function it is a request that was never sent."""
    if isinstance(result, CoroutineType):
        result.close()
        raise BadParams(f"{name} {function!r} is async: give a function for threads, or use gossipreg.aio")


def checked_tags(tags: Iterable[str]) -> frozenset[str]:
    if isinstance(tags, str):
        raise BadParams(f"tags {tags!r} is one text: give a list of tags")
    try:
        found = frozenset(tags)
    except TypeError:
        found = None
    if found is None or not all(isinstance(tag, str) for tag in found):
        raise BadParams(f"tags {tags!r} is no list of texts: give a list of tags")
    return found
