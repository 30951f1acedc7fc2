"""Choose the cases to run: those of a scenario's sweep that match the options, and seed after seed.

Owns: how the options narrow a sweep. Never knows: how options are written, or where a case is run.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from simulations import reports
from simulations.progress import Progress
from simulations.scenario import Case, at_seed


def narrowed(made_by: Callable[[Case], Iterable[Case]], defaults: Case, given: dict[str, Any]) -> list[Case]:
    """Return the cases of the sweep that match `given`, option by option; each key of the label counts as an option. If
    no case matches an option, all cases are changed to match it. Duplicates (equal in a report) are dropped."""
    fields = {field: value for field, value in given.items() if field != "label"}
    chosen = list(made_by(replace(defaults, **fields)))
    for field, value in fields.items():
        if field != "seed":
            same = [case for case in chosen if getattr(case, field) == value]
            chosen = same or [replace(case, **{field: value}) for case in chosen]
    for part in given.get("label", "").split():
        same = [case for case in chosen if _says(case, part)]
        chosen = same or [replace(case, label=_with(case.label, part)) for case in chosen]
    first: dict[reports.Kind, Case] = {}
    for case in chosen:
        first.setdefault(reports.kind_of(case), case)
    return list(first.values())


def _says(case: Case, part: str) -> bool:
    """Return whether the label of the case has this key=value; 1 and 1.0 are equal."""
    key, _, said = part.partition("=")
    has = case.word(key, "")
    try:
        return float(has) == float(said)
    except ValueError:
        return has == said


def _with(label: str, part: str) -> str:
    """Return the label with this key=value replaced or added."""
    key = part.partition("=")[0]
    return " ".join([*(other for other in label.split() if other.partition("=")[0] != key), part])


def until_over(kinds: list[Case], progress: Progress) -> Iterator[Case]:
    """Yield these cases for one seed after the other, until the time of a timed sweep is over."""
    for number in count():
        for kind in kinds:
            if progress.over:
                return
            yield at_seed(kind, number)
