"""The comparison of policies as a picture: the p99 of each row and policy, by that of round robin."""

from pathlib import Path
from statistics import median

from simulations.balancing.rows import POLICIES, ROWS
from simulations.balancing.table import NAMES, Runs

_MARKERS = {"random": "x", "least_request": "s", "peak_ewma": "^", "prequal": "D", "ours": "o", "ours_load": "P"}
_COLOURS = ("#999933", "#D55E00", "#CC79A7", "#009E73", "#0072B2", "#56B4E9")
"""Okabe and Ito's, as in `plots.py`."""
NAME = "balance-p99.png"


def draw(runs: Runs, folder: Path) -> Path:
    """Draw it into this folder, and return the file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.5 + 0.24 * len(ROWS)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for (policy, marker), colour in zip(_MARKERS.items(), _COLOURS, strict=True):
        at = [(number, row) for number, row in enumerate(ROWS) if (row, policy) in runs]
        ratios = [
            median(run.p99_ms for run in runs[row, policy]) / median(run.p99_ms for run in runs[row, "round_robin"])
            for _, row in at
        ]
        axes.scatter(ratios, [number for number, _ in at], marker=marker, color=colour, label=NAMES[policy], s=28)
    axes.axvline(1.0, color="#000000", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(ticks := [0.1, 0.2, 0.5, 1, 2], [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(ROWS)), [f"{row.nodes}: {row.says}" for row in ROWS], fontsize=8)
    axes.invert_yaxis()
    axes.grid(True, alpha=0.35)
    axes.set_xlabel("p99 of the answered requests, by that of round robin")
    figure.legend(loc="outside upper center", ncols=len(POLICIES) - 1, fontsize=8)
    path = folder / NAME
    figure.savefig(path)
    return path
