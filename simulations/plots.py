"""Plots: the figures of a sweep as PNG, with matplotlib (the extra `sim`).

Owns: the kinds of plot, and which of them each scenario gets. Never knows: how the figures were measured.

    cdf         the share of samples at or below a value: a curve for each kind of case
    against_n   a metric against the number of members, on log axes: median and worst of each kind of case
    heat_map    a metric over two of the scenario's own options
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from simulations.reports import Series
from simulations.scenario import Case

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933")
"""Okabe and Ito's, which colour-blind people can tell apart; their yellow is too pale for a line."""
_DASHES = ("solid", "dashed", "dotted", "dashdot")
_WORST = {"alpha": 0.5}
_MANY = 20
"""The least number of samples for a curve."""
_WIDE = 30.0
"""An axis over more than this ratio is logarithmic."""
_DECADES = 10_000
"""... and over more than this has ticks at 1, 10, 100 only."""


class CannotPlot(Exception):
    """matplotlib is missing. The message is one line for the user."""


def need() -> None:
    """Raise CannotPlot if matplotlib is missing."""
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
    """Draw every plot for which there are enough samples into the folder `out`; return the files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    written = []
    for plot in _plots(scenario, series):
        shown = [one for one in series if one.metric == plot.metric and one.values]
        if not shown or not plot.fits(shown):
            continue
        figure = Figure(figsize=(9, 5), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        plot.draw(f"{scenario}: {plot.metric.replace('_', ' ')}{_common(shown)}", shown, figure)
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
    sizes = sorted({one.case.nodes for one in series})
    apart = len(series) > len(_COLOURS) and len(sizes) > 1
    names = _names(series, but_nodes=apart)
    lines = list(dict.fromkeys(names))
    panels = figure.subplots(len(sizes) if apart else 1, 1, squeeze=False, sharex=True)[:, 0]
    if apart:
        figure.set_size_inches(9, 1.5 + 2.2 * len(sizes))
    for axes, size in zip(panels, sizes, strict=False):
        for one, name in zip(series, names, strict=True):
            if not apart or one.case.nodes == size:
                ordered = sorted(one.values)
                shares = [rank / len(ordered) for rank in range(1, len(ordered) + 1)]
                axes.step([ordered[0], *ordered], [0.0, *shares], where="post", **_style(lines.index(name)))
        _label(axes, f"n = {size:,}" if apart else title, "", "share at or below")
        axes.set_ylim(0, 1.02)
    if apart:
        figure.suptitle(title)
    panels[-1].set_xlabel(f"{series[0].metric.replace('_', ' ')}{_unit(series)}")
    if _wide(list(chain.from_iterable(one.values for one in series))):
        for axes in panels:
            axes.set_xscale("log")
            _plain_ticks(axes.xaxis)
    _legend(figure, [(name, _style(number)) for number, name in enumerate(lines)])


def _against_n(title: str, series: Sequence[Series], figure: Any) -> None:
    axes = figure.add_subplot()
    names = _names(series, but_nodes=True)
    legend: list[tuple[str, dict[str, Any]]] = []
    for number, name in enumerate(dict.fromkeys(names)):
        points = sorted(
            ((one.case.nodes, one.at(0.5), one.at(1.0)) for one, of in zip(series, names, strict=True) if of == name),
            key=lambda point: point[0],
        )
        sizes, medians, worst = zip(*points, strict=True)
        style = _style(number)
        axes.plot(sizes, medians, marker="o", **style)
        axes.plot(sizes, worst, marker="v", **style | _WORST)
        legend.append((f"{name}, median" if name else "median", style | {"marker": "o"}))
        legend.append((f"{name}, worst" if name else "worst", style | _WORST | {"marker": "v"}))
    _label(axes, title, "members", f"{series[0].metric.replace('_', ' ')}{_unit(series)}")
    axes.set_xscale("log")
    _plain_ticks(axes.xaxis, at=sorted({one.case.nodes for one in series}))
    values = list(chain.from_iterable(one.values for one in series))
    if min(values) > 0:
        axes.set_yscale("log")
        _span_a_decade(axes, min(values), max(values))
        _plain_ticks(axes.yaxis)
    _legend(figure, legend)


def _heat_map(title: str, series: Sequence[Series], figure: Any, x: str, y: str) -> None:
    from matplotlib.colors import LogNorm

    of = [_parts(replace(one.case, label=_words(one.case.label))) for one in series]
    groups = list(dict.fromkeys(of))
    differ = [len(set(column)) > 1 for column in zip(*groups, strict=True)]
    panels = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    figure.set_size_inches(3 + 5 * len(groups), 5.5)
    at = [(one.case.value(x, 0.0), one.case.value(y, 0.0)) for one in series]
    xs, ys = sorted({across for across, _ in at}), sorted({up for _, up in at})
    positive = [value for one in series for value in one.values if value > 0]
    norm = LogNorm(min(positive), max(positive)) if positive and _wide(positive) else None
    image = None
    for axes, group in zip(panels, groups, strict=True):
        cells: dict[tuple[float, float], list[float]] = {}
        for one, words, where in zip(series, of, at, strict=True):
            if words == group:
                cells.setdefault(where, []).extend(one.values)
        grid = [[_mean(cells.get((across, up), [])) for across in xs] for up in ys]
        limits = {} if norm else {"vmin": 0.0, "vmax": max(positive, default=1.0)}
        image = axes.imshow(grid, origin="lower", aspect="auto", cmap="viridis", norm=norm, **limits)
        for row, line in enumerate(grid):
            for column, value in enumerate(line):
                if value == value:
                    axes.text(
                        column,
                        row,
                        f"{value:.3g}",
                        ha="center",
                        va="center",
                        fontsize=8,
                        bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1},
                    )
        axes.set_title(", ".join(part for part, differs in zip(group, differ, strict=True) if differs))
        axes.set_xticks(range(len(xs)), [f"{value:g}" for value in xs], rotation=45)
        axes.set_yticks(range(len(ys)), [f"{value:g}" for value in ys])
        axes.set_xlabel(_key(x))
    panels[0].set_ylabel(_key(y))
    figure.suptitle(title)
    bar = figure.colorbar(image, ax=list(panels), label=f"mean{_unit(series)}")
    if norm:
        _plain_ticks(bar.ax.yaxis)


def _words(label: str) -> str:
    """Return those parts of a label whose value is a word, not a number."""
    return " ".join(part for part in label.split() if part[-1].isalpha())


def _key(key: str) -> str:
    """Write slow_ms as "slow, ms"."""
    name, _, unit = key.rpartition("_")
    return f"{name.replace('_', ' ')}, {unit}" if name and unit in ("us", "ms", "s") else key.replace("_", " ")


# -- their parts ------------------------------------------------------------------------------------------------------


def _parts(case: Case) -> tuple[str, str, str, str]:
    """Describe what distinguishes a case."""
    return f"n = {case.nodes:,}", case.detector, f"{case.loss:.3g} lost" if case.loss else "no loss", case.says


def _names(series: Sequence[Series], *, but_nodes: bool) -> list[str]:
    """Name each series by what distinguishes it from the others."""
    parts = [_parts(one.case) for one in series]
    differ = [len(set(column)) > 1 for column in zip(*parts, strict=True)]
    differ[0] = differ[0] and not but_nodes
    return [", ".join(part or "plain" for part, differs in zip(name, differ, strict=True) if differs) for name in parts]


def _common(series: Sequence[Series]) -> str:
    """Describe what is the same in all series."""
    columns = zip(*(_parts(one.case) for one in series), strict=True)
    same = [column[0] for column in columns if len(set(column)) == 1 and column[0]]
    return f" ({', '.join(same)})" if same else ""


def _style(number: int) -> dict[str, Any]:
    """Give neighbouring lines different dashes too, so that a line on top of another does not hide it."""
    dash = _DASHES[(number + number // len(_COLOURS)) % len(_DASHES)]
    return {"color": _COLOURS[number % len(_COLOURS)], "linestyle": dash, "linewidth": 1.6}


def _label(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, which="major", alpha=0.35)
    axes.grid(True, which="minor", alpha=0.12)


def _legend(figure: Any, entries: Sequence[tuple[str, dict[str, Any]]]) -> None:
    from matplotlib.lines import Line2D

    if len(entries) > 1:
        lines = [Line2D([], [], **style) for _, style in entries]
        figure.legend(lines, [name for name, _ in entries], loc="outside right upper", fontsize=8, handlelength=3)


def _unit(series: Sequence[Series]) -> str:
    unit = series[0].unit
    return "" if unit == "1" else f", {unit}"


def _wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > _WIDE


def _span_a_decade(axes: Any, low: float, high: float) -> None:
    """Widen a logarithmic axis to a decade: a shorter one has no ticks, and magnifies noise."""
    if high / low < 10:
        middle = (low * high) ** 0.5
        axes.set_ylim(middle / 10**0.55, middle * 10**0.55)


def _plain_ticks(axis: Any, *, at: Sequence[float] = ()) -> None:
    """Label a logarithmic axis with 1,000 and 0.2, not with powers of ten; at 1, 2 and 5 of each decade, or `at`."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    few = high / low > _DECADES
    axis.set_major_locator(FixedLocator(at) if at else LogLocator(subs=(1.0,) if few else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


# -- which scenario gets which ----------------------------------------------------------------------------------------


def cdf(metric: str) -> Plot:
    return Plot(_cdf, metric, "cdf", lambda series: any(len(one.values) >= _MANY for one in series))


def against_n(metric: str) -> Plot:
    return Plot(_against_n, metric, "n", lambda series: len({one.case.nodes for one in series}) > 1)


def heat_map(metric: str, x: str, y: str) -> Plot:
    """Plot the metric over the label's keys `x` and `y`, for the cases that have both, with a panel for each word in
    the label. Cases that differ in something else are averaged: the median of rare counts is 0."""

    def of_both(series: Sequence[Series]) -> list[Series]:
        return [one for one in series if one.case.word(x, "") and one.case.word(y, "")]

    def fits(series: Sequence[Series]) -> bool:
        return all(len({one.case.word(key, "") for one in of_both(series)}) > 1 for key in (x, y))

    def draw_it(title: str, series: Sequence[Series], figure: Any) -> None:
        _heat_map(title, of_both(series), figure, x, y)

    return Plot(draw_it, metric, f"{x}-{y}", fits)


_ABOUT_FAULTY = cdf("changes_about_faulty"), against_n("changes_about_faulty"), against_n("healthy_lost")

CHOSEN: dict[str, tuple[Plot, ...]] = {
    "idle": (against_n("bytes_sent"), against_n("packets_sent")),
    "update": (cdf("seen"), cdf("hops"), against_n("seen"), against_n("redundancy")),
    "crash": (cdf("known"), cdf("first_suspicion"), against_n("known")),
    "pause": (cdf("known"), cdf("back"), against_n("known")),
    "massjoin": (cdf("full"), against_n("full"), against_n("seed_bytes")),
    "restart": (cdf("equal"), against_n("equal")),
    "lifeguard": (
        heat_map("false_positives", "d", "i"),
        heat_map("false_positives_at_healthy", "d", "i"),
        cdf("first_detection"),
        cdf("full_dissemination"),
    ),
    "churn": (cdf("behind"), against_n("comparing"), against_n("behind")),
    "flipflop": _ABOUT_FAULTY,
    "oneway": _ABOUT_FAULTY,
    "balance": (cdf("latency"), against_n("latency")),
    "partition": (cdf("heal_to_equal"), cdf("changes_while_cut")),
}
"""By scenario. Any other scenario gets `against_n` or `cdf` of each of its metrics."""
