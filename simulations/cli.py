"""The command line: `scripts/simulate list | run NAME | sweep NAME | balance | selftest | digest | crossing |
calls | speed`.

It runs from a checkout.

Owns: the commands and their exit codes. Never knows: any one scenario. The table goes to stdout, JSON lines and plots
to `--out`, progress to stderr.

0 done   1 a check failed (the seed, and the command that repeats it, are printed)   2 wrong usage   130 interrupted
"""

import inspect
import math
import os
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from simulations import calls, crossing, digest, plots, selftest, speed, sweeps
from simulations.balancing import picture, table
from simulations.balancing.rows import POLICIES, ROWS
from simulations.cases import narrowed, until_over
from simulations.execute import FAILED, execute
from simulations.options import case_options, check, chosen_of, finite, part_of_plan
from simulations.progress import Progress
from simulations.scenario import Case, Scenario, at_seed
from simulations.scenarios import all_scenarios

_AHEAD_TIMED = 2
"""Replaces `sweeps.AHEAD` in a timed sweep: at its end it waits for the runs that have begun, so few should."""

USAGE, INTERRUPTED = 2, 130


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
    """List the scenarios and the question of each; with NAME, describe that scenario: its label and its figures."""
    if name is not None:
        click.echo(inspect.getdoc(inspect.getmodule(_scenario(name).run)))
        return
    known = all_scenarios()
    width = max(map(len, known))
    for scenario in known.values():
        click.echo(f"{scenario.name:{width}}  {scenario.asks}")


@simulations.command()
@click.argument("name")
@case_options
@click.option("--only", metavar="NUMBERS", help="A part of swarm's plan: 3,7,n0,n4 keeps these actions and members.")
def run(name: str, only: str | None, **options: Any) -> int:
    """One case of a scenario, for one seed or several."""
    scenario = _scenario(name)
    chosen = chosen_of(**options)
    check(scenario, chosen.given)
    base = replace(scenario.defaults, **chosen.given)
    if only is not None:
        base = part_of_plan(scenario, base, only)
    cases = [at_seed(base, number) for number in range(chosen.runs or 1)]
    return execute(scenario, cases, _local(min(chosen.jobs, len(cases))), Progress(len(cases)), chosen)


@simulations.command()
@click.argument("name")
@case_options
@click.option("--long", is_flag=True, help="The full grid, if the standard sweep is only a part of it.")
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    callback=finite,
    help="Seed after seed until the time is over.",
)
@click.option("--dask", metavar="SCHEDULER", help="Run on the workers of this dask.distributed scheduler.")
def sweep(name: str, long: bool, minutes: float | None, dask: str | None, **options: Any) -> int:
    """A scenario's standard sweep, for each seed. An option selects the cases that match it; if none does, all cases
    are changed to match."""
    scenario = _scenario(name)
    chosen = chosen_of(**options)
    check(scenario, chosen.given)
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
        return execute(scenario, until_over(kinds, progress), where, progress, chosen)
    cases = [at_seed(kind, number) for kind in kinds for number in range(chosen.runs or 1)]
    where = sweeps.machines(dask) if dask else _local(min(chosen.jobs, len(cases)))
    return execute(scenario, cases, where, Progress(len(cases)), chosen)


@simulations.command(name="balance")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="The number of seeds.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--short", is_flag=True, help="Runs of 3 s: to try the command.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help=f"Draw {picture.NAME} there."
)
def balance_(runs: int, jobs: int, short: bool, out: Path | None) -> int:
    """The comparison of policies: each row of `balancing/rows.py` for each policy, as tables of markdown."""
    if out is not None:
        plots.need()
    base = Case(duration_s=3.0 if short else math.inf)
    kinds = [(row, policy, row.case(base, policy)) for row in ROWS for policy in POLICIES if row.has(policy)]
    cases = [at_seed(case, number) for _, _, case in kinds for number in range(runs)]
    progress = Progress(len(cases))
    found: list[table.Run] = []
    with _local(min(jobs, len(cases))) as workers:
        for outcome in sweeps.outcomes(workers, "balance", cases, progress):
            if not outcome.good:
                progress.clear()
                click.echo(outcome.crashed or str(outcome.failed), err=True)
                return FAILED
            found.append(table.run_of(outcome.figures))
    progress.clear()
    each = iter(found)
    by_kind = {(row, policy): [next(each) for _ in range(runs)] for row, policy, _ in kinds}
    click.echo(table.markdown(by_kind), nl=False)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        click.echo(picture.draw(by_kind, out), err=True)
    return 0


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
    """Hash all datagrams and all changes of a fixed table of runs, and compare the hashes with digests.txt."""
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
        click.echo(
            f"{changed} of {len(runs)} runs differ from {digest.KEPT.name}: if you meant to change the protocol, say "
            "why in the commit and run `scripts/simulate digest --update`",
            err=True,
        )
    return FAILED if changed else 0


@simulations.command(name="crossing")
def crossing_() -> int:
    """The files of the core that one datagram crosses until the catalog has changed."""
    return crossing.main()


@simulations.command(name="calls")
def calls_() -> int:
    """How many calls of Python functions the core makes in an idle input, and for a change."""
    return calls.main()


@simulations.command(name="speed")
@click.option("--nodes", type=click.IntRange(2), default=speed.MEMBERS, show_default=True, help="Members.")
def speed_(nodes: int) -> int:
    """How many datagrams a second this machine's core can hand over."""
    return speed.main(nodes)


def _local(jobs: int, ahead: int = sweeps.AHEAD) -> AbstractContextManager[sweeps.Workers]:
    return sweeps.here() if jobs == 1 else sweeps.cores(jobs, ahead)


def main(args: list[str] | None = None) -> int:
    """Run one command line (`None`: that of the process) and return the exit code. An error is printed in one line."""
    try:
        code = simulations.main(args, prog_name="scripts/simulate", standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        return USAGE
    except (sweeps.CannotSweep, plots.CannotPlot, OSError) as error:
        click.echo(f"error: {error}", err=True)
        return USAGE
    except BrokenProcessPool:
        click.echo(
            "error: a worker process died; if the kernel killed it for lack of memory, use fewer --jobs", err=True
        )
        return FAILED
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return code if isinstance(code, int) else 0
