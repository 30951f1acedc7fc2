"""Measure this tree and an older revision side by side, in turn: ours, theirs, ours, theirs.

    scripts/bench --against 13194ac                            every row but those that run only if named
    scripts/bench --against main~20 --rows lookup http --reps 9
    scripts/bench --against 13194ac --rows large-table

{rows}

A ratio is ours / theirs of the same turn; printed are its median, and in brackets the smallest and the largest. CPU
time is what the kernel counts for all threads of a sidecar, to the nanosecond, and memory is `Anonymous` of
smaps_rollup. The revision is kept in {cache} with an environment of its own; both builds have the same
versions of their dependencies. The exit code is 1 where a row could not be measured.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable
from inspect import getdoc
from textwrap import fill

from scripts.benchmarks.against import asking, build, changes, registering, starting, tables
from scripts.benchmarks.against.build import Build
from scripts.benchmarks.against.row import Figure, Measured, Row, Turn
from scripts.benchmarks.cluster import Failed
from scripts.benchmarks.stop import Stop, Stopped
from scripts.tools.figures import percentile
from scripts.tools.machine import quietness
from scripts.tools.network import alone, go_alone

ROWS: dict[str, Row] = {
    "change-cpu": changes.CHANGE_CPU,
    "update": changes.UPDATE,
    "register-durable": registering.REGISTER_DURABLE,
    "lookup": asking.LOOKUP,
    "http": asking.HTTP,
    "table-memory": tables.TABLE_MEMORY,
    "start": starting.START,
    "idle": starting.IDLE,
    "massjoin": starting.MASSJOIN,
    "large-table": tables.LARGE_TABLE,
}
MODULE = "scripts.benchmarks.against.command"


def main(arguments: list[str]) -> int:
    given = _arguments_of(arguments)
    try:
        builds = [build.ours(), build.of_revision(given.against)]  # before the network is gone
    except Failed as failed:
        print(f"scripts/bench: {failed}", file=sys.stderr)
        return 2
    go_alone(MODULE, arguments)
    stop = Stop()
    try:
        return Comparison(builds[0], builds[1], stop, as_json=given.json).run(given.rows, given.reps)
    except Stopped as stopped:
        print(f"\nstopped by {stopped}: all that was started has been ended", file=sys.stderr)
        return stopped.exit_code


def _arguments_of(arguments: list[str]) -> argparse.Namespace:
    listed = "\n".join(
        fill(f"{name:17} {getdoc(row.measure)}", 118, initial_indent=" " * 4, subsequent_indent=" " * 22)
        for name, row in ROWS.items()
    )
    about = (__doc__ or "").replace("{rows}", listed).replace("{cache}", str(build.cache()))
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    named_only = ", ".join(name for name, row in ROWS.items() if row.named_only)
    parser.add_argument("--against", required=True, metavar="REVISION", help="a commit, tag or branch")
    parser.add_argument("--rows", nargs="+", metavar="ROW", help=f"of {', '.join(ROWS)} (all but {named_only})")
    parser.add_argument("--reps", type=int, help="turns of each build (each row has its own number)")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    given = parser.parse_args(arguments)
    given.rows = given.rows or [name for name, row in ROWS.items() if not row.named_only]
    if unknown := [name for name in given.rows if name not in ROWS]:
        parser.error(f"no row {unknown[0]!r}: choose from {', '.join(ROWS)}")
    if given.reps is not None and given.reps < 1:
        parser.error(f"--reps {given.reps}: at least 1")
    return given


class Comparison:
    def __init__(self, ours: Build, theirs: Build, stop: Stop, *, as_json: bool) -> None:
        self._builds = (ours, theirs)
        self._stop = stop
        self._as_json = as_json

    def run(self, names: Iterable[str], reps: int | None) -> int:
        """1 where a row could not be measured."""
        theirs = self._builds[1]
        if not self._as_json:
            head = f"{'figure':22} {'unit':14} {theirs.name:>10} {'ours':>10}  {'ratio':26} {'aim':10} turns"
            print(head, flush=True)
        failed = 0
        for name in names:
            row = ROWS[name]
            _say(f"{name}: {quietness()}")
            try:
                turns = self._turns(name, row, reps or row.reps)
            except (Failed, AssertionError) as error:
                _say(f"{name}: {error}")
                failed = 1
                continue
            for figure in row.figures:
                pairs = [(ours[figure.name], other[figure.name]) for ours, other in turns if figure.name in ours]
                if pairs:
                    self._report(figure, pairs)
        return failed

    def _turns(self, name: str, row: Row, reps: int) -> list[tuple[Measured, Measured]]:
        turns = []
        for rep in range(reps):
            both = []
            for one in self._builds:
                since = time.perf_counter()
                both.append(row.measure(Turn(one, self._stop, alone())))
                figures = ", ".join(f"{figure} {value:.4g}" for figure, value in both[-1].items())
                _say(f"{name}, turn {rep + 1} of {reps}, {one.name}: {figures} ({time.perf_counter() - since:.0f} s)")
            turns.append((both[0], both[1]))
        return turns

    def _report(self, figure: Figure, pairs: list[tuple[float, float]]) -> None:
        ours, theirs = (percentile([pair[side] for pair in pairs], 0.5) or 0.0 for side in (0, 1))
        ratios = [one / other for one, other in pairs if other > 0]
        ratio = percentile(ratios, 0.5) or 0.0
        holds = figure.aim.holds(ours, ratio)
        if self._as_json:
            line = {"figure": figure.name, "unit": figure.unit, "against": self._builds[1].name, "theirs": theirs}
            line |= {"ours": ours, "ratio": ratio, "ratios": ratios, "aim": str(figure.aim), "holds": holds}
            print(json.dumps(line), flush=True)
            return
        spread = f"{ratio:.3f} x ({min(ratios, default=0):.3f} to {max(ratios, default=0):.3f})"
        verdict = str(figure.aim) if str(figure.aim) == "-" else f"{figure.aim}: {'holds' if holds else 'missed'}"
        print(
            f"{figure.name:22} {figure.unit:14} {theirs:10,.4g} {ours:10,.4g}  {spread:26} {verdict:17} {len(pairs)}",
            flush=True,
        )


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
