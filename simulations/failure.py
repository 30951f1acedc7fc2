"""The report of a failure: the seed, the options, the plan, the last events of the members concerned, the command.

Owns: the recorder (a bounded memory of the last events at each member), and the text. Never knows: any one checker.
"""

import shlex
import traceback
from collections import deque

from gossipreg.core.effects import Changed, Effect, Event
from simulations.checkers.checker import Broken
from simulations.host import Host
from simulations.observer import Observer
from simulations.plan import Plan
from simulations.scenario import Case
from simulations.world import START, World

_EVENTS_KEPT = 40
"""Of each member."""
_ACTIONS_SHOWN = 40


class Recorder(Observer):
    """Keeps the last events of each member."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._last: dict[str, deque[str]] = {}

    def on_effect(self, host: Host, effect: Effect) -> None:
        self._note(host, one_line(effect))

    def on_fault(self, what: str, hosts: tuple[Host, ...]) -> None:
        for host in hosts:
            self._note(host, f"-- {what.strip()}")

    def _note(self, host: Host, text: str) -> None:
        lines = self._last.setdefault(host.name, deque(maxlen=_EVENTS_KEPT))
        lines.append(f"{self._world.now - START:9.3f} s  {host.name:>4}  {text}")

    def of(self, members: tuple[str, ...]) -> list[str]:
        """Return the last events of these members, in order of time."""
        return sorted(line for name in dict.fromkeys(members) for line in self._last.get(name, ()))


def one_line(effect: Effect) -> str:
    """Describe an effect in one line."""
    match effect:
        case Event():
            fields = (f"{key}={value}" for key, value in effect.fields if key != "id")
            return " ".join([effect.kind, *fields])
        case Changed():
            changes = (
                f"{one.kind.name.lower()} {one.instance.service.id} of {one.instance.node_name}"
                f" at {one.instance.version.counter}"
                for one in effect.changes[:4]
            )
            return "answers: " + ", ".join(changes) + (", ..." if len(effect.changes) > 4 else "")
        case _:
            return str(effect)


def command(case: Case, scenario: str = "swarm") -> str:
    """Return the command that repeats this case. A zero is left out: no option takes it, and it is a scenario's
    default."""
    words = [f"scripts/simulate run {scenario} --seed {case.seed}"]
    words += [f"--nodes {case.nodes}"] if case.nodes else []
    words += [f"--duration {_exactly(case.duration_s)}"] if case.duration_s else []
    words += [f"--detector {case.detector}"]
    words += [f"--loss {_exactly(case.loss)}"] if case.loss else []
    words += [f"--set {shlex.quote(setting)}" for setting in case.settings.split()]
    labels = case.label.split()
    words += [f"--only {label.removeprefix('only=')}" for label in labels if label.startswith("only=")]
    others = " ".join(label for label in labels if not label.startswith("only="))
    return " ".join([*words, f"--label {shlex.quote(others)}"] if others else words)


def _exactly(value: float) -> str:
    """Format a number as short as possible without loss of precision."""
    return repr(value).removesuffix(".0")


def from_exception(error: Exception, world: World) -> Broken:
    """Turn an exception that a member raised into a failure (invariant 7: a member raises nothing). The type and the
    function are part of the checker's name, so that shrinking keeps to this exception."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    raised = type(error).__name__
    what = f"{raised}: {error} ({where.filename.rsplit('/', 1)[-1]}:{where.lineno} {where.name})"
    members = () if world.at_work is None else (world.at_work.name,)
    return Broken(f"no_exception ({raised} in {where.name})", members, world.now - START, what)


def described(
    broken: Broken, case: Case, plan: Plan, options: list[str], recorder: Recorder, scenario: str = "swarm"
) -> Broken:
    """Return the same failure with the whole report as its message."""
    lines = [str(broken)]
    if broken.__cause__ is not None:
        lines += ["".join(traceback.format_exception(broken.__cause__)).rstrip()]
    lines += ["options", *(f"  {option}" for option in options)]
    before = [action for action in plan if action.at_s <= broken.at_s and action.what not in _WORK]
    lines += [f"plan, {len(plan)} actions; faults so far:", *(f"  {action}" for action in before[-_ACTIONS_SHOWN:])]
    events = recorder.of(broken.members)
    lines += ["last events of the members concerned:", *(f"  {line}" for line in events)] if events else []
    lines += ["to repeat it:", f"  {command(case, scenario)}"]
    full = Broken(broken.checker, broken.members, broken.at_s, broken.what)
    full.args = ("\n".join(lines),)
    return full  # the message is the report; shrinking compares the fields


_WORK = ("register", "health", "deregister", "lookup")
