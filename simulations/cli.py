"""The command line: `scripts/simulate list | run NAME | sweep NAME | selftest | digest | speed`, from a checkout.

Owns: options, what is printed, exit codes. Never knows: any one scenario. The table goes to stdout, JSON lines and
plots to `--out`, progress to stderr.

0 done   1 a check failed (the seed, and the command that repeats it, are printed)   2 wrong usage   130 interrupted
"""

import inspect
import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import click

from gossipreg.config import lan
from gossipreg.errors import BadConfig
from simulations import digest, plots, reports, selftest, shrink, speed, sweeps
from simulations.checkers import Broken
from simulations.failure import command
from simulations.progress import Progress
from simulations.scenario import DETECTORS, Case, Scenario, at_seed
from simulations.scenarios import all_scenarios
from simulations.settings import applied

_FAILURES = 3
"""A sweep ends after so many failed runs."""
_AHEAD_TIMED = 2
"""As `sweeps.AHEAD`, where the time decides: what is under way at the end is waited for."""

FAILED, USAGE, INTERRUPTED = 1, 2, 130

_F = TypeVar("_F", bound=Callable[..., object])


def _share(_: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """0.05, or 5%."""
    if value is None:
        return None
    try:
        share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise click.BadParameter(f"{value!r} is no share: say 0.05 or 5%", param=param)
    return share


def _label(_: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """key=value key=value; which values a scenario takes is looked at once it is known."""
    if value is None:
        return None
    for part in value.split():
        key, _equals, said = part.partition("=")
        if not (key and said):
            raise click.BadParameter(f"{part!r} is not KEY=NUMBER", param=param)
    return " ".join(value.split())


def _settings(_: click.Context, param: click.Parameter, value: tuple[str, ...]) -> str | None:
    """field=value field=value."""
    text = " ".join("".join(one.split()) for one in value)
    try:
        applied(lan, text)
    except BadConfig as error:
        raise click.BadParameter(str(error), param=param) from None
    return text or None


def _finite(_: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value!r} is no time that ends", param=param)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """The options that `run` and `sweep` share."""

    given: dict[str, Any]
    """What was said of the case, by the names of Case's fields."""
    runs: int | None
    jobs: int
    out: Path | None
    plot: bool


def _case_options(command: _F) -> _F:
    """Those of one case, and what becomes of the figures."""
    for option in reversed((
        click.option("--nodes", type=click.IntRange(1), help="Members."),
        click.option("--seed", type=click.IntRange(0), help="The first seed; the runs take the next ones."),
        click.option("--runs", type=click.IntRange(1), help="So many seeds.  [default: 1]"),
        click.option("--duration", "duration_s", type=click.FloatRange(0, min_open=True), callback=_finite,
                     help="Seconds of virtual time; what they are, each scenario says."),
        click.option("--detector", type=click.Choice(list(DETECTORS))),
        click.option("--loss", callback=_share, help="The share of datagrams that the network loses: 0.05, or 5%."),
        click.option("--label", callback=_label, metavar="'KEY=NUMBER ...'",
                     help="The scenario's own options, in place of those that it has by default."),
        click.option("--set", "settings", callback=_settings, multiple=True, metavar="FIELD=VALUE",
                     help="A field of gossipreg.config.Config set otherwise; repeatable."),
        click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default="all cores",
                     help="Processes."),
        click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
                     help="Write NAME.jsonl there, anew."),
        click.option("--plot", is_flag=True, help="... and NAME-*.png."),
    )):  # fmt: skip
        command = option(command)
    return command


def _chosen(runs: int | None, jobs: int, out: Path | None, plot: bool, **given: Any) -> _Chosen:
    if plot and out is None:
        raise click.UsageError("--plot needs --out DIR")
    if plot:
        plots.need()
    return _Chosen(
        given={name: value for name, value in given.items() if value is not None},
        runs=runs, jobs=jobs, out=out, plot=plot,
    )  # fmt: skip


def _check(scenario: Scenario, given: dict[str, Any]) -> None:
    """What is right or wrong with one scenario only."""
    if given.get("nodes", scenario.nodes_min) < scenario.nodes_min:
        raise click.UsageError(f"{scenario.name} takes {scenario.nodes_min} members or more")
    for part in given.get("label", "").split():
        _check_part(scenario, part)


def _check_part(scenario: Scenario, part: str) -> None:
    """One key=value of the label."""
    key, _equals, said = part.partition("=")
    if key in scenario.words:
        if said not in scenario.words[key]:
            raise click.UsageError(f"{part!r}: choose {key} from {', '.join(scenario.words[key])}")
        return
    if key not in scenario.numbers:
        known = ", ".join([*scenario.words, *scenario.numbers])
        raise click.UsageError(
            f"the label of {scenario.name} has no {key}" + (f": choose from {known}" if known else "")
        )
    try:
        number = float(said)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise click.UsageError(f"{part!r} is not KEY=NUMBER")
    least, most = scenario.numbers[key]
    if not least <= number <= most:
        raise click.UsageError(f"{part!r}: {key} is from {least:g}" + (f" to {most:g}" if most < math.inf else " on"))


def _only(scenario: Scenario, base: Case, only: str) -> Case:
    """This case with a part of its plan."""
    if scenario.draw is None:
        raise click.UsageError(f"{scenario.name} has no plan of which a part could be run")
    part = replace(base, label=f"{base.label} only={''.join(only.split())}".strip())
    try:
        scenario.draw(part)
    except ValueError as error:
        raise click.UsageError(f"--only: {error}") from None
    return part


def _scenario(name: str) -> Scenario:
    known = all_scenarios()
    if name not in known:
        raise click.UsageError(f"there is no scenario {name!r}: choose from {', '.join(known)}")
    return known[name]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def simulations() -> None:
    """The laboratory: whole clusters of the shipped core in virtual time, from one seed.

    It is not part of the installed package: run it in a checkout.
    """


@simulations.command(name="list")
@click.argument("name", required=False)
def list_(name: str | None) -> None:
    """The scenarios, and what each asks; or all about one: its label, its figures."""
    if name is not None:
        click.echo(inspect.getdoc(inspect.getmodule(_scenario(name).run)))
        return
    known = all_scenarios()
    width = max(map(len, known))
    for scenario in known.values():
        click.echo(f"{scenario.name:{width}}  {scenario.asks}")


@simulations.command()
@click.argument("name")
@_case_options
@click.option("--only", metavar="NUMBERS", help="A part of swarm's plan: 3,7,n0,n4 keeps these actions and members.")
def run(name: str, only: str | None, **options: Any) -> int:
    """One case of a scenario, for one seed or several."""
    scenario = _scenario(name)
    chosen = _chosen(**options)
    _check(scenario, chosen.given)
    base = replace(scenario.defaults, **chosen.given)
    if only is not None:
        base = _only(scenario, base, only)
    cases = [at_seed(base, number) for number in range(chosen.runs or 1)]
    return _execute(scenario, cases, _local(min(chosen.jobs, len(cases))), Progress(len(cases)), chosen)


@simulations.command()
@click.argument("name")
@_case_options
@click.option("--long", is_flag=True, help="The full grid, where the standard sweep is a part of one.")
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    callback=_finite,
    help="Seed after seed until the time is over.",
)
@click.option("--dask", metavar="SCHEDULER", help="Run on the workers of this dask.distributed scheduler.")
def sweep(name: str, long: bool, minutes: float | None, dask: str | None, **options: Any) -> int:
    """A scenario's standard sweep, for each seed. What an option says holds for all cases; where some of them are so
    already, only these are run."""
    scenario = _scenario(name)
    chosen = _chosen(**options)
    _check(scenario, chosen.given)
    if minutes is not None and chosen.runs is not None:
        raise click.UsageError("choose --minutes or --runs")
    made_by = scenario.cases
    if long:
        if scenario.long_cases is None:
            raise click.UsageError(f"{name} has no long sweep")
        made_by = scenario.long_cases
    kinds = narrowed(made_by, scenario.defaults, chosen.given)
    if minutes is not None:
        progress = Progress(None, seconds=minutes * 60)
        where = sweeps.machines(dask, _AHEAD_TIMED) if dask else _local(chosen.jobs, _AHEAD_TIMED)
        return _execute(scenario, _until_over(kinds, progress), where, progress, chosen)
    cases = [at_seed(kind, number) for kind in kinds for number in range(chosen.runs or 1)]
    where = sweeps.machines(dask) if dask else _local(min(chosen.jobs, len(cases)))
    return _execute(scenario, cases, where, Progress(len(cases)), chosen)


@simulations.command(name="selftest")
def selftest_() -> int:
    """Break each invariant on purpose, and see that its checker fires."""
    return selftest.main()


@simulations.command(name="digest")
@click.option("--update", is_flag=True, help="Write what is found to simulations/digests.txt.")
@click.option(
    "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default="all cores", help="Processes."
)
def digest_(update: bool, jobs: int) -> int:
    """Hash all datagrams and all changes of a fixed table of runs, and compare with simulations/digests.txt."""
    runs, before = digest.table(), {} if update else digest.kept()
    progress, found, changed = Progress(len(runs)), [], 0
    for run, digests in digest.all_digests(runs, jobs):
        found.append((run, digests))
        progress(len(found))
        if different := "" if update else digest.differences(run, digests, before):
            changed += 1
        progress.clear()
        click.echo(next(digest.lines([(run, digests)])) + (f"  <- {different}" if different else ""))
    progress.clear()
    if update:
        digest.write(found)
    elif changed:
        click.echo(f"{changed} of {len(runs)} runs differ from {digest.KEPT.name}: where that is meant, say why in the "
                   "commit and run `scripts/simulate digest --update`", err=True)  # fmt: skip
    return FAILED if changed else 0


@simulations.command(name="speed")
@click.option("--nodes", type=click.IntRange(2), default=speed.MEMBERS, show_default=True, help="Members.")
def speed_(nodes: int) -> int:
    """How many datagrams a second this machine's core can hand over."""
    return speed.main(nodes)


def _local(jobs: int, ahead: int = sweeps.AHEAD) -> AbstractContextManager[sweeps.Workers]:
    return sweeps.here() if jobs == 1 else sweeps.cores(jobs, ahead)


def narrowed(made_by: Callable[[Case], Iterable[Case]], defaults: Case, given: dict[str, Any]) -> list[Case]:
    """The cases that are as was asked for; where none is in some point, all of them made so. Each key of the label is a
    point of its own. No two of them look the same in a report."""
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
    """Whether the label says so, be it as 1 or as 1.0."""
    key, _, said = part.partition("=")
    has = case.word(key, "")
    try:
        return float(has) == float(said)
    except ValueError:
        return has == said


def _with(label: str, part: str) -> str:
    """The label with this key as this part says."""
    key = part.partition("=")[0]
    return " ".join([*(other for other in label.split() if other.partition("=")[0] != key), part])


def _until_over(kinds: list[Case], progress: Progress) -> Iterator[Case]:
    for number in count():
        for kind in kinds:
            if progress.over:
                return
            yield at_seed(kind, number)


# -- running ----------------------------------------------------------------------------------------------------------


def _execute(
    scenario: Scenario,
    cases: Iterable[Case],
    where: AbstractContextManager[sweeps.Workers],
    progress: Progress,
    chosen: _Chosen,
) -> int:
    """Run the cases, write and print what they found; the exit code. Failures are told at once, and the table comes
    also where a sweep is interrupted: it may have run for an hour."""
    pool = reports.Pool()
    failures: list[sweeps.Outcome] = []
    with ExitStack() as stack:
        stack.callback(lambda: click.echo(reports.table(pool) if pool.series() else "", nl=False))
        lines = None
        if chosen.out is not None:
            chosen.out.mkdir(parents=True, exist_ok=True)
            lines = stack.enter_context((chosen.out / f"{scenario.name}.jsonl").open("w"))
        workers = stack.enter_context(where)
        stack.callback(progress.clear)
        for outcome in sweeps.outcomes(workers, scenario.name, cases, progress):
            if not outcome.good:
                progress.clear()
                _tell(scenario, outcome)
                failures.append(outcome)
                if len(failures) == _FAILURES:
                    click.echo(f"{_FAILURES} runs have failed: what has not begun is not run", err=True)
                    break
                continue
            pool.add(outcome.case, outcome.figures)
            if lines is not None:
                lines.write(reports.lines(scenario.name, outcome.case, outcome.figures))
                lines.flush()
    if chosen.plot and chosen.out is not None:
        drawn = plots.draw(scenario.name, pool.series(), chosen.out)
        click.echo(
            "\n".join(map(str, drawn)) or "no plot: too few samples for a curve, too few sizes for a line", err=True
        )
    for failure in failures:
        if scenario.draw is not None and isinstance(failure.failed, Broken):
            click.echo(shrink.report(scenario, failure.case, failure.failed))
    return FAILED if failures else 0


def _tell(scenario: Scenario, outcome: sweeps.Outcome) -> None:
    """Of a run that failed, and how to repeat it, where that is not said yet."""
    what, again = outcome.crashed.rstrip() or str(outcome.failed), command(outcome.case, scenario.name)
    click.echo(what if again in what else f"{what}\nto repeat it:\n  {again}")


def main(args: list[str] | None = None) -> int:
    """Run one command line (of the process, where none is given); the exit code. What is wrong is said in one line."""
    try:
        code = simulations.main(args, prog_name="scripts/simulate", standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        return USAGE
    except (sweeps.CannotSweep, plots.CannotPlot, OSError) as error:
        click.echo(f"error: {error}", err=True)
        return USAGE
    except BrokenProcessPool:
        click.echo("error: a worker died; where the kernel killed it for its memory, take fewer --jobs", err=True)
        return FAILED
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return code if isinstance(code, int) else 0
