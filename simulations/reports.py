"""Reports: the figures of runs as JSON lines, and as a table for people.

Owns: the layout of both, and the pooling of runs that differ in their seed alone. Never knows: where runs took place.
Neither contains anything of the wall clock or the machine, so the same seeds give the same bytes.

A JSON line has: scenario, seed, nodes, detector; loss, label and settings if they are set; metric, unit, p50, p99,
p999, max and n, the number of samples. Without samples the percentiles are null. Values have six significant digits.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from simulations.scenario import Case, Figure, percentile

PARTS = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
_HEADS = {"p50": "p50", "p99": "p99", "p999": "p99.9", "max": "max"}

Kind = tuple[int, str, float, str, str]
"""What distinguishes a case in a report, except its seed: nodes, detector, loss, label, settings."""


def kind_of(case: Case) -> Kind:
    return case.nodes, case.detector, case.loss, case.label, case.settings


@dataclass(slots=True)
class Series:
    """The samples of one metric in all runs of one kind of case."""

    case: Case
    """The case of the first run."""
    metric: str
    unit: str
    values: list[float] = field(default_factory=list)

    def at(self, part: float) -> float | None:
        return percentile(sorted(self.values), part) if self.values else None


class Pool:
    """The samples of all runs, in the order of the first run of each kind."""

    def __init__(self) -> None:
        self._series: dict[tuple[Kind, str], Series] = {}

    def add(self, case: Case, figures: Iterable[Figure]) -> None:
        for figure in figures:
            key = kind_of(case), figure.metric
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = Series(case, figure.metric, figure.unit)
            series.values += figure.values

    def series(self) -> list[Series]:
        """Return the series, those of one kind of case together."""
        kinds = list(dict.fromkeys(kind for kind, _ in self._series))
        return [one for kind in kinds for (of, _), one in self._series.items() if of == kind]


def lines(scenario: str, case: Case, figures: Iterable[Figure]) -> str:
    """Return one JSON line for each figure of a run, each with its line end."""
    return "".join(json.dumps(_record(scenario, case, figure)) + "\n" for figure in figures)


def _record(scenario: str, case: Case, figure: Figure) -> dict[str, str | int | float | None]:
    record: dict[str, str | int | float | None] = {
        "scenario": scenario,
        "seed": case.seed,
        "nodes": case.nodes,
        "detector": case.detector,
    }
    if case.loss:
        record["loss"] = case.loss
    if case.label:
        record["label"] = case.label
    if case.settings:
        record["settings"] = case.settings
    record |= {"metric": figure.metric, "unit": figure.unit}
    ordered = sorted(figure.values)
    for name, part in PARTS.items():
        record[name] = _rounded(percentile(ordered, part)) if ordered else None
    return record | {"n": len(ordered)}


def _rounded(value: float) -> int | float:
    if value == int(value) and abs(value) < 1e15:
        return int(value)
    return float(f"{value:.6g}")


# -- for people -------------------------------------------------------------------------------------------------------


def table(pool: Pool) -> str:
    """Return a table with a line for each kind of case and metric; empty columns are left out."""
    series = pool.series()
    columns: list[tuple[str, list[str]]] = [
        ("nodes", [f"{one.case.nodes:,}" for one in series]),
        ("detector", [one.case.detector for one in series]),
        ("loss", [f"{one.case.loss:.3g}" if one.case.loss else "" for one in series]),
        ("label", [one.case.says for one in series]),
        ("metric", [one.metric for one in series]),
    ]
    columns += [(_HEADS[name], [_number(one.at(part)) for one in series]) for name, part in PARTS.items()]
    columns += [("unit", [one.unit for one in series]), ("n", [f"{len(one.values):,}" for one in series])]
    return _aligned([(head, cells) for head, cells in columns if any(cells)])


def _aligned(columns: Sequence[tuple[str, Sequence[str]]]) -> str:
    texts = ("detector", "label", "metric", "unit")
    padded = []
    for head, cells in columns:
        width = max(len(text) for text in (head, *cells))
        padded.append([text.ljust(width) if head in texts else text.rjust(width) for text in (head, *cells)])
    return "".join("  ".join(row).rstrip() + "\n" for row in zip(*padded, strict=True))


def _number(value: float | None) -> str:
    """Format a number with four digits, or with all digits before the decimal point."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
