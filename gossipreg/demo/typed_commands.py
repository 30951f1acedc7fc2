"""What a person may type: a line becomes a command, or an error that says what would be right."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from gossipreg.durations import parse_duration
from gossipreg.errors import BadParams

MOST_ORDERS = 200.0
"""A second. The shop takes fewer, on any machine that people have."""
LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True)
class TypedCommand:
    """A command whose arguments are checked."""

    verb: str
    names: tuple[str, ...] = ()
    """The hosts, or the program, that it is about."""
    number: float = 0.0
    """Orders a second, or seconds."""


HELP = (
    ("kill NAME", "a host (its sidecar and programs), or one program"),
    ("restart NAME", "start what was killed; a host that runs is killed first"),
    ("pause HOST", "it stands still, as a virtual machine that is moved"),
    ("resume HOST", "it goes on"),
    ("cut A B", "nothing passes between the sidecars of two hosts"),
    ("cut A", "nothing passes between the sidecar of A and all others"),
    ("heal", "all links are whole again"),
    ("load N", "N orders a second; 0: none"),
    ("orders", "how the orders went since the last look"),
    ("order", "one order"),
    ("fail-payment", "an order whose card is declined: its saga is undone"),
    ("books", "compare what the customers were told with the shop's databases"),
    ("status", "the hosts, their programs and pages, and the orders"),
    ("wait TIME", "do nothing for so long; for scripts"),
    ("help", "this list"),
    ("quit", "end everything; nothing stays behind"),
)
_PLAIN = ("heal", "orders", "order", "fail-payment", "books", "status", "help", "quit")


def parse(line: str, hosts: Sequence[str], programs: Sequence[str]) -> TypedCommand | None:
    """Parse a line; None if it is empty or a comment. Raises BadParams."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise BadParams(f"{line.strip()!r}: {error}") from None
    if not words:
        return None
    verb, arguments = words[0].lower(), tuple(words[1:])
    if verb == "exit":
        verb = "quit"
    if verb in _PLAIN:
        _need(arguments, 0, 0, verb)
        return TypedCommand(verb)
    match verb:
        case "kill" | "restart":
            _need(arguments, 1, 1, f"{verb} NAME")
            return TypedCommand(verb, _known(arguments, (*hosts, *programs)))
        case "pause" | "resume":
            _need(arguments, 1, 1, f"{verb} HOST")
            return TypedCommand(verb, _known(arguments, hosts))
        case "cut":
            _need(arguments, 1, 2, "cut A B, or cut A")
            if len({*arguments}) < len(arguments):
                raise BadParams(f"cut: {arguments[0]} has no link to itself: name two hosts")
            return TypedCommand(verb, _known(arguments, hosts))
        case "load":
            _need(arguments, 1, 1, "load N")
            return TypedCommand(verb, number=_rate(arguments[0]))
        case "wait":
            _need(arguments, 1, 1, "wait TIME")
            return TypedCommand(verb, number=_seconds(arguments[0]))
    raise BadParams(f"{verb!r} is no command: choose {', '.join(dict.fromkeys(form.split()[0] for form, _ in HELP))}")


def _need(arguments: Sequence[str], least: int, most: int, form: str) -> None:
    if not least <= len(arguments) <= most:
        raise BadParams(
            f"{form.split()[0]}: {len(arguments)} argument{'' if len(arguments) == 1 else 's'}: write `{form}`"
        )


def _known(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            raise BadParams(f"{name!r} is not there: choose {', '.join(known)}")
    return tuple(names)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= MOST_ORDERS:
        raise BadParams(f"load {text}: give the orders a second, from 0 to {MOST_ORDERS:g}")
    return rate


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise BadParams(f"wait: {error}") from None
    if seconds > LONGEST_WAIT_S:
        raise BadParams(f"wait {text}: at most {LONGEST_WAIT_S:g}s")
    return seconds
