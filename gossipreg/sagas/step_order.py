"""Which steps come before which, as their `needs` say.

Owns: the order. Never knows: commands, results, time. A step may begin once all that it needs allows a commit: it
is done, or refused and optional.
"""

from collections.abc import Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from gossipreg.sagas.saga_model import StepOptions, StepState

SHOWN_STEPS = 8
"""Of a circle, in an error's text."""


def allows_commit(state: StepState, options: StepOptions) -> bool:
    """Others may build on it, and the saga may commit."""
    return state is StepState.DONE or (state is StepState.REFUSED and options.optional)


def has_failed(state: StepState, options: StepOptions) -> bool:
    """It leaves abort as the only decision."""
    return state is StepState.UNKNOWN or (state is StepState.REFUSED and not options.optional)


def is_final(options: StepOptions, *, has_undo: bool) -> bool:
    """Whether a step does something that nothing undoes: with it the saga is as good as committed."""
    return not (has_undo or options.harmless or options.after)


def all_needs(needs: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """For each step all that it needs, also by way of others. The steps are in an order in which those that are needed
    come first; a name that is not among them counts for nothing."""
    found: dict[str, frozenset[str]] = {}
    for name, direct in needs.items():
        known = [one for one in direct if one in found]
        found[name] = frozenset(known).union(*(found[one] for one in known))
    return found


def circle(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Steps that need each other in a circle, the first of them again at the end; empty: there is none."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]
    return []


def in_order(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """The steps of a definition without a circle, those that are needed first, else as they are written."""
    places = {name: place for place, name in enumerate(needs)}
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    found: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=places.__getitem__)
        found += ready
        sorter.done(*ready)
    return found


def shown(names: Collection[str]) -> str:
    """Some names, for the text of an error."""
    some = list(names)[:SHOWN_STEPS]
    return ", ".join(some) + (f" and {len(names) - len(some)} more" if len(names) > len(some) else "")
