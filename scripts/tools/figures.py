"""Figures for people: percentiles, and tables in Markdown."""

import math
from collections.abc import Iterable, Sequence


def percentile(values: Iterable[float], part: float) -> float | None:
    """Nearest rank: a value that was really measured; None of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] if ordered else None


def markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown. Cells that a row lacks are empty."""
    lines = [titles, *([*row, *[""] * (len(titles) - len(row))] for row in rows)]
    first, *rest = ("|" + "|".join(f" {cell} " if cell else " " for cell in line) + "|" for line in lines)
    return "\n".join([first, "|---" * len(titles) + "|", *rest]) + "\n"
