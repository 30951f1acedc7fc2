"""Plots: the figures of a sweep as PNG, with matplotlib (the extra `sim`).

Owns: the kinds of plot, and which of them each scenario gets. Never knows: how the figures came about.

    cdf         the share of samples at or below a value: a curve for each kind of case
    against_n   a metric against the number of members, on log axes: median and worst of each kind of case
    heat_map    a metric over two of the scenario's own options
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from simulations.reports import Series

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933")
"""Okabe and Ito's, which colour-blind people can tell apart; their yellow is too pale for a line."""
_DASHES = ("solid", "dashed", "dotted", "dashdot")
_MANY = 20
"""Fewer samples make no curve."""
_WIDE = 30.0
"""An axis over more than this ratio is logarithmic."""


class CannotPlot(Exception):
    """matplotlib is missing. The message is one line for the user."""


def need() -> None:
    """Raises CannotPlot where there can be no plots."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise CannotPlot("matplotlib is not installed: pip install -e '.[sim]'") from None


@dataclass(frozen=True, slots=True)
class Plot:
    """One kind of plot of one metric."""

    draw: Callable[[str, Sequence[Series], Any], None]
    metric: str
    suffix: str
    fits: Callable[[Sequence[Series]], bool]
    """Whether there is enough to draw."""


def draw(scenario: str, series: Sequence[Series], out: Path) -> list[Path]:
    """Draw all that fits into `out`; what was written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    written = []
    for plot in _plots(scenario, series):
        shown = [one for one in series if one.metric == plot.metric and one.values]
        if not shown or not plot.fits(shown):
            continue
        figure = Figure(figsize=(9, 5), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        plot.draw(f"{scenario}: {plot.metric.replace('_', ' ')}", shown, figure)
        path = out / f"{scenario}-{plot.metric}-{plot.suffix}.png"
        figure.savefig(path)
        written.append(path)
    return written


def _plots(scenario: str, series: Sequence[Series]) -> Iterator[Plot]:
    chosen = CHOSEN.get(scenario)
    if chosen is not None:
        yield from chosen
        return
    for metric in dict.fromkeys(one.metric for one in series):
        by_n = against_n(metric)
        yield by_n if by_n.fits([one for one in series if one.metric == metric]) else cdf(metric)


# -- one function a kind ----------------------------------------------------------------------------------------------


def _cdf(title: str, series: Sequence[Series], figure: Any) -> None:
    axes = figure.add_subplot()
    names = _names(series, but_nodes=False)
    for number, (one, name) in enumerate(zip(series, names, strict=True)):
        ordered = sorted(one.values)
        shares = [rank / len(ordered) for rank in range(1, len(ordered) + 1)]
        axes.step([ordered[0], *ordered], [0.0, *shares], where="post", label=name, **_style(number))
    _label(axes, title, f"{series[0].metric.replace('_', ' ')}{_unit(series)}", "share of samples at or below")
    if _wide(list(chain.from_iterable(one.values for one in series))):
        axes.set_xscale("log")
        _plain_ticks(axes.xaxis)
    axes.set_ylim(0, 1.02)
    _legend(figure, names)


def _against_n(title: str, series: Sequence[Series], figure: Any) -> None:
    axes = figure.add_subplot()
    names = _names(series, but_nodes=True)
    lines = list(dict.fromkeys(names))
    for number, name in enumerate(lines):
        points = sorted(
            ((one.case.nodes, one.at(0.5), one.at(1.0)) for one, of in zip(series, names, strict=True) if of == name),
            key=lambda point: point[0],
        )
        sizes, medians, worst = zip(*points, strict=True)
        style = _style(number)
        axes.plot(sizes, medians, marker="o", label=f"{name}, median" if name else "median", **style)
        axes.plot(sizes, worst, marker="v", label=f"{name}, worst" if name else "worst", alpha=0.5, **style)
    _label(axes, title, "members", f"{series[0].metric.replace('_', ' ')}{_unit(series)}")
    axes.set_xscale("log")
    axes.set_xticks(sorted({one.case.nodes for one in series}))
    _plain_ticks(axes.xaxis)
    values = list(chain.from_iterable(one.values for one in series))
    if min(values) > 0:
        axes.set_yscale("log")
        _span_a_decade(axes, min(values), max(values))
        _plain_ticks(axes.yaxis)
    _legend(figure, ["median", "worst"])


def _heat_map(title: str, series: Sequence[Series], figure: Any, x: str, y: str) -> None:
    from matplotlib.colors import LogNorm

    groups = list(dict.fromkeys((one.case.nodes, one.case.detector, one.case.loss) for one in series))
    panels = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    figure.set_size_inches(3 + 5 * len(groups), 5.5)
    at = [(one.case.value(x, float("nan")), one.case.value(y, float("nan"))) for one in series]
    xs, ys = sorted({of for of, _ in at}), sorted({of for _, of in at})
    positive = [value for one in series for value in one.values if value > 0]
    norm = LogNorm(min(positive), max(positive)) if positive and _wide(positive) else None
    image = None
    for axes, group in zip(panels, groups, strict=True):
        cells: dict[tuple[float, float], list[float]] = {}
        for one, where in zip(series, at, strict=True):
            if (one.case.nodes, one.case.detector, one.case.loss) == group:
                cells.setdefault(where, []).extend(one.values)
        grid = [[_median(cells.get((across, up), [])) for across in xs] for up in ys]
        limits = {} if norm else {"vmin": 0.0, "vmax": max(positive, default=1.0)}
        image = axes.imshow(grid, origin="lower", aspect="auto", cmap="viridis", norm=norm, **limits)
        for row, line in enumerate(grid):
            for column, value in enumerate(line):
                if value == value:
                    axes.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=8,
                              bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1})  # fmt: skip
        nodes, detector, loss = group
        axes.set_title(f"{detector}, {nodes:,} members{f', {loss:.3g} lost' if loss else ''}")
        axes.set_xticks(range(len(xs)), [f"{value:g}" for value in xs], rotation=45)
        axes.set_yticks(range(len(ys)), [f"{value:g}" for value in ys])
        axes.set_xlabel(x.replace("_", " "))
    panels[0].set_ylabel(y.replace("_", " "))
    figure.suptitle(title)
    figure.colorbar(image, ax=list(panels), label=f"median{_unit(series)}")


# -- their parts ------------------------------------------------------------------------------------------------------


def _names(series: Sequence[Series], *, but_nodes: bool) -> list[str]:
    """For each, what distinguishes it from the others."""
    parts = [
        (
            "" if but_nodes else f"n = {one.case.nodes:,}",
            one.case.detector,
            f"{one.case.loss:.3g} lost",
            one.case.label or "plain",
        )
        for one in series
    ]
    tell = [len(set(column)) > 1 for column in zip(*parts, strict=True)]
    if not any(tell):
        return [parts[0][0] or parts[0][1]] * len(series)
    return [", ".join(part for part, told in zip(name, tell, strict=True) if told) for name in parts]


def _style(number: int) -> dict[str, Any]:
    dash = _DASHES[number // len(_COLOURS) % len(_DASHES)]
    return {"color": _COLOURS[number % len(_COLOURS)], "linestyle": dash, "linewidth": 1.6}


def _label(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, which="major", alpha=0.35)
    axes.grid(True, which="minor", alpha=0.12)


def _legend(figure: Any, names: Sequence[str]) -> None:
    if len(set(names)) > 1:
        figure.legend(loc="outside right upper", fontsize=8)


def _unit(series: Sequence[Series]) -> str:
    unit = series[0].unit
    return "" if unit == "1" else f", {unit}"


def _wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > _WIDE


def _span_a_decade(axes: Any, low: float, high: float) -> None:
    """A logarithmic axis over less than a decade would have no ticks, and make noise look like a mountain."""
    if high / low < 10:
        middle = (low * high) ** 0.5
        axes.set_ylim(middle / 10**0.55, middle * 10**0.55)


def _plain_ticks(axis: Any) -> None:
    """1,000 and 0.2, not powers of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _median(values: Sequence[float]) -> float:
    return sorted(values)[(len(values) - 1) // 2] if values else float("nan")


# -- which scenario gets which ----------------------------------------------------------------------------------------


def cdf(metric: str) -> Plot:
    return Plot(_cdf, metric, "cdf", lambda series: any(len(one.values) >= _MANY for one in series))


def against_n(metric: str) -> Plot:
    return Plot(_against_n, metric, "n", lambda series: len({one.case.nodes for one in series}) > 1)


def heat_map(metric: str, x: str, y: str) -> Plot:
    """Over the label's keys `x` and `y`; median of what else differs."""

    def fits(series: Sequence[Series]) -> bool:
        return all(len({one.case.value(key, float("nan")) for one in series}) > 1 for key in (x, y))

    return Plot(lambda title, series, figure: _heat_map(title, series, figure, x, y), metric, f"{x}-{y}", fits)


CHOSEN: dict[str, tuple[Plot, ...]] = {
    "idle": (against_n("bytes_sent"), against_n("packets_sent")),
    "update": (cdf("seen"), cdf("hops"), against_n("seen"), against_n("redundancy")),
    "crash": (cdf("known"), cdf("first_suspicion"), against_n("known")),
    "pause": (cdf("known"), cdf("back"), against_n("known")),
    "massjoin": (cdf("full"), against_n("full"), against_n("seed_bytes")),
    "restart": (cdf("equal"), against_n("equal")),
    "churn": (cdf("behind"), against_n("comparing"), against_n("behind")),
}
"""By scenario. One that is not named here gets `against_n` or `cdf` of each of its metrics, what fits."""
