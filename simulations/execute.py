"""Run cases, and write and print their figures: the table to stdout, JSON lines and plots to a folder.

Owns: what the user sees of a run or a sweep, including one that failed or was interrupted. Never knows: the command
line.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack

import click

from simulations import plots, reports, shrink, sweeps
from simulations.checkers import Broken
from simulations.failure import command
from simulations.options import Chosen
from simulations.progress import Progress
from simulations.scenario import Case, Scenario

_FAILURES = 3
"""A sweep ends after this many failed runs."""
FAILED = 1
"""The exit code if a check failed."""


def execute(
    scenario: Scenario,
    cases: Iterable[Case],
    where: AbstractContextManager[sweeps.Workers],
    progress: Progress,
    chosen: Chosen,
) -> int:
    """Run the cases, write and print their figures, and return the exit code. A failure is printed at once. The table
    is printed even if a sweep is interrupted: it may have run for an hour."""
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
                _report(scenario, outcome)
                failures.append(outcome)
                if len(failures) == _FAILURES:
                    click.echo(f"{_FAILURES} runs have failed: the sweep ends here", err=True)
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


def _report(scenario: Scenario, outcome: sweeps.Outcome) -> None:
    """Print why a run failed, and the command that repeats it unless the failure contains it."""
    what, again = outcome.crashed.rstrip() or str(outcome.failed), command(outcome.case, scenario.name)
    click.echo(what if again in what else f"{what}\nto repeat it:\n  {again}")
