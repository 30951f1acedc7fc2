"""The comparison of policies as markdown: tables of latencies, errors and shares, and which of the aims are reached.

A percentile is the median of those of the seeds; after +- stands half of their range. Owns: the layout and the aims.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from simulations.balancing.rows import POLICIES, ROWS, Row
from simulations.scenario import Figure, percentile

NAMES = {
    "random": "random",
    "round_robin": "round robin",
    "least_request": "least request",
    "peak_ewma": "peak EWMA",
    "prequal": "Prequal",
    "ours": "ours",
    "ours_load": "ours, load header",
}
ERRORS_MIN = 0.005
"""Per cent; less is not shown."""
COMPARABLE = 1.0
"""Per cent of errors that two policies may differ by if their latencies are compared: who fails half of the requests
serves the rest sooner."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one seed gave for one row and policy."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    errors: float
    """Per cent."""
    shares: tuple[float, ...]
    starved: float
    """Per cent."""


Cell = Callable[[Sequence[Run]], str]
Runs = Mapping[tuple[Row, str], Sequence[Run]]
"""By row and policy, a run for each seed."""


def run_of(figures: Iterable[Figure]) -> Run:
    values = {figure.metric: sorted(figure.values) for figure in figures}
    latency = values["latency"]
    p50, p99, p999 = (percentile(latency, part) for part in (0.5, 0.99, 0.999))
    return Run(p50, p99, p999, values["errors"][0], tuple(values["share"]), (values["starved"] or [0.0])[0])


def markdown(runs: Runs) -> str:
    """All tables, and the aims."""
    tables = (
        ("p99 in ms, and the part that failed, if any", ROWS, _p99),
        ("p50 and p99.9 in ms", ROWS, _p50_and_p999),
        ("The least and the largest share of a server, by the share due to its weight", _of("weights"), _shares),
        ("Pairs of client and server that got less than half of their due", _of("cold"), _starved),
    )
    parts = [f"{head}:\n\n{_table(rows, cell, runs)}" for head, rows, cell in tables]
    return "\n".join([*parts, "Aims:\n", *(f"- {line}" for line in aims(runs)), ""])


def _of(*groups: str) -> list[Row]:
    return [row for row in ROWS if row.group in groups]


def _table(rows: Sequence[Row], cell: Cell, runs: Runs) -> str:
    lines = ["| servers | case | " + " | ".join(NAMES.values()) + " |", "|---" * (2 + len(NAMES)) + "|"]
    for row in rows:
        cells = [cell(runs[row, policy]) if (row, policy) in runs else "" for policy in POLICIES]
        lines.append(f"| {row.nodes} | {row.says} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


# -- cells ------------------------------------------------------------------------------------------------------------


def _p99(of: Sequence[Run]) -> str:
    values = [run.p99_ms for run in of]
    text = f"{_ms(median(values))} ± {_ms((max(values) - min(values)) / 2)}"
    errors = median(run.errors for run in of)
    return f"{text}; {errors:.2g} %" if errors >= ERRORS_MIN else text


def _p50_and_p999(of: Sequence[Run]) -> str:
    return f"{_ms(median(run.p50_ms for run in of))}, {_ms(median(run.p999_ms for run in of))}"


def _shares(of: Sequence[Run]) -> str:
    shares = [share for run in of for share in run.shares]
    return f"{min(shares):.2f} to {max(shares):.2f}" if shares else ""


def _starved(of: Sequence[Run]) -> str:
    return f"{median(run.starved for run in of):.2g} %"


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}"


# -- aims -------------------------------------------------------------------------------------------------------------


def aims(runs: Runs) -> Iterator[str]:
    """Yield a line for each aim: its range over the rows, and the rows that miss it."""
    yield _aim(
        "p99 at most 0.5 of round robin's with mixed speeds and antagonists", 0.5,
        {row: _ratio(runs, row, "round_robin") for row in _of("mixed", "antagonists")},
    )  # fmt: skip
    yield _aim(
        "p99 at most 1.05 of the best policy's among equal servers", 1.05,
        {row: max(_ratio(runs, row, policy) for policy in POLICIES) for row in _of("equal")},
    )  # fmt: skip
    yield _aim(
        "at most 0.1 of round robin's errors where one fails fast", 0.1,
        {row: _errors(runs, row, "ours") / max(0.01, _errors(runs, row, "round_robin")) for row in _of("fails_fast")},
    )  # fmt: skip
    yield _aim(
        "p99 never more than 1.1 of least request's where both answer as many requests", 1.1,
        {
            row: _ratio(runs, row, "least_request")
            for row in ROWS
            if _errors(runs, row, "least_request") - _errors(runs, row, "ours") <= COMPARABLE
        },
    )  # fmt: skip
    yield _aim("shares at most 0.05 from the weights", 0.05, {row: _off(runs[row, "ours"]) for row in _of("weights")})


def _aim(says: str, most: float, found: Mapping[Row, float]) -> str:
    missed = [f"{row.nodes} servers, {row.says}: {value:.2f}" for row, value in found.items() if value > most]
    verdict = f"**missed** by {'; '.join(missed)}" if missed else "reached"
    return f"{says}: {min(found.values()):.2f} to {max(found.values()):.2f}, {verdict}"


def _ratio(runs: Runs, row: Row, policy: str) -> float:
    """Our p99 by that of another policy."""
    ours, theirs = (median(run.p99_ms for run in runs[row, name]) for name in ("ours", policy))
    return ours / theirs


def _errors(runs: Runs, row: Row, policy: str) -> float:
    return median(run.errors for run in runs[row, policy])


def _off(of: Sequence[Run]) -> float:
    return max(abs(share - 1.0) for run in of for share in run.shares)
