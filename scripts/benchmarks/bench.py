"""Measure real sealed sidecars on this machine: how soon does the last of the others know a change, and at what cost?

    scripts/bench                              every row at 32 sidecars; about an hour
    scripts/bench update crash --n 16 --reps 50 --json
    scripts/bench update crash idle --peers    the same with Serf, in turn, and the ratio
    scripts/bench --against REVISION --help    this tree beside an older revision, in turn, and the ratio

{rows}

With --peers also Serf (Debian's package, fetched into .venv on first use) runs {peer_rows};
with --memberlist PROGRAM memberlist does, through a program that speaks what the head of
scripts/benchmarks/memberlist.py says. A ratio is the peer's p50 over ours. As root all runs in a network namespace of
its own; elsewhere there are no partitions and no idle bytes. {named_only} fetch other people's programs: they run
only if they are named.

Times are wall-clock on one machine, which the members share with this script and, if it is virtual, with strangers:
read them beside what is printed before each row, the load and how much of a core a spinning loop got. `lost` counts
repetitions in which a member learned of the change late or never; they are in no other column. All processes that are
started here are ended, also on Ctrl-C and SIGTERM. A line of --json: row, of (which program), n, reps, p50_ms, p99_ms,
max_ms, lost, and more by row; if the unit is not milliseconds, p50, p99, max and unit.
"""

import argparse
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from inspect import getdoc
from textwrap import fill
from typing import Any

from scripts.benchmarks import client_rows, fan_out, journal_store, rows, sidecar_rows, stream_rows
from scripts.benchmarks.against import command as against
from scripts.benchmarks.cluster import Cluster, Failed
from scripts.benchmarks.events import row as event_row
from scripts.benchmarks.memberlist import MemberlistCluster
from scripts.benchmarks.mesh import row as mesh_row
from scripts.benchmarks.run import Figures, Run
from scripts.benchmarks.sagas import peers as saga_peers
from scripts.benchmarks.sagas import row as saga_row
from scripts.benchmarks.sagas import takeover
from scripts.benchmarks.serf import SerfCluster
from scripts.benchmarks.sidecar_cluster import SidecarCluster
from scripts.benchmarks.stop import Stop, Stopped
from scripts.tools.figures import percentile
from scripts.tools.machine import free_memory_mib, quietness
from scripts.tools.network import alone, go_alone

ROWS: dict[str, tuple[Callable[[Run], list[Figures]], int]] = {
    "update": (rows.update, 200),
    "crash": (rows.crash, 20),
    "pause": (rows.pause, 10),
    "leave": (rows.leave, 20),
    "join": (rows.join, 20),
    "start": (rows.start, 20),
    "idle": (rows.idle, 3),
    "lookup": (sidecar_rows.lookup, 20),
    "fan-out": (fan_out.fan_out, 40),
    "client": (client_rows.client, 50),
    "massjoin": (sidecar_rows.massjoin, 5),
    "partition": (sidecar_rows.partition, 5),
    "journal-store": (journal_store.journal_store, 500),
    "streams": (stream_rows.streams, 2000),
    "events": (event_row.events, 3),
    "sagas": (saga_row.sagas, 3),
    "sagas-takeover": (takeover.sagas_takeover, 5),
    "mesh": (mesh_row.mesh, 3),
    "mesh-streams": (mesh_row.mesh_streams, 1),
    "stress": (sidecar_rows.stress, 1),
}
"""Each row with the number of its repetitions if --reps does not give one."""
PEER_ROWS = ("update", "crash", "pause", "leave", "join", "start", "idle")
FIXED_N = {
    "start": [1], "client": [3], "streams": [2], "journal-store": [1], "events": [event_row.PUBLISHERS],
    "sagas": [saga_row.AT_ONCE], "sagas-takeover": [3], "mesh": [mesh_row.STREAMS],
    "mesh-streams": [1000],
}  # fmt: skip
NAMED_ONLY = ("events", "sagas")
"""Rows that need other people's servers."""
TITLES = {"events": f"{event_row.PUBLISHERS} publishers", "sagas": f"{saga_row.AT_ONCE} at once"}
"""For a row that is not about `n` of our members."""
N = 32
LEAST = {"partition": 4, "stress": 4}
"""The least number of members for a row; the others need 2."""
PROGRESS_S = 15.0
"""The time between two lines of progress if stderr is no terminal."""
MEMBER_MIB = 40
"""A sidecar takes about 22 MiB of its own; the rest is for starting up and for everyone else."""
FROM = "GOSSIPREG_BENCH_FROM"
"""The user's folder, set by scripts/bench, which goes to the project's folder."""

Make = Callable[[Stop], Cluster]


def main(arguments: list[str]) -> int:
    if any(one.partition("=")[0] == "--against" for one in arguments):
        return against.main(arguments)
    given = arguments_of(arguments)
    go_alone("scripts.benchmarks.bench", arguments)
    stop = Stop()
    try:
        return Bench(given, stop).run()
    except Stopped as stopped:
        print(f"\nstopped by {stopped}: all that was started has been ended", file=sys.stderr)
        return stopped.exit_code
    except BrokenPipeError:  # the reader of the table has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141


def arguments_of(arguments: list[str]) -> argparse.Namespace:
    listed = "\n".join(
        fill(f"{row:10} {getdoc(measure)}", 118, initial_indent=" " * 4, subsequent_indent=" " * 15)
        for row, (measure, _) in ROWS.items()
    )
    about = (__doc__ or "").replace("{rows}", listed).replace("{peer_rows}", ", ".join(PEER_ROWS))
    about = about.replace("{named_only}", ", ".join(f"`{row}`" for row in NAMED_ONLY))
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)} (all but {', '.join(NAMED_ONLY)})"
    )
    parser.add_argument("--n", type=int, action="append", help=f"members; repeatable ({N}, or as many as memory takes)")
    reps = ", ".join(f"{row} {count}" for row, (_, count) in ROWS.items() if row != "stress")
    parser.add_argument("--reps", type=int, help=f"repetitions ({reps})")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long stress lasts (10)")
    parser.add_argument("--processes", type=int, default=4, help="processes for the publishers of events (4)")
    parser.add_argument("--seed", type=int, help="of what is drawn: who, and when (random)")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    parser.add_argument("--peers", action="store_true", help="also Serf, where a row can be measured on it")
    parser.add_argument("--memberlist", metavar="PROGRAM", help="also memberlist, through this program")
    given = parser.parse_args(arguments)
    if unknown := [row for row in given.rows if row not in ROWS]:
        parser.error(f"no row {unknown[0]!r}: choose from {', '.join(ROWS)}")
    given.rows = given.rows or [row for row in ROWS if row not in NAMED_ONLY]
    least = max(LEAST.get(row, 2) for row in given.rows)
    if given.n and min(given.n) < least:
        parser.error(f"--n {min(given.n)}: at least {least} for {', '.join(given.rows)}")
    if given.reps is not None and given.reps < 1:
        parser.error(f"--reps {given.reps}: at least 1")
    if not given.minutes > 0:
        parser.error(f"--minutes {given.minutes:g}: more than 0")
    if given.processes < 1 or event_row.PUBLISHERS % given.processes:
        parser.error(f"--processes {given.processes}: {event_row.PUBLISHERS} publishers do not spread over them evenly")
    for row, missing in (("events", event_row.missing), ("sagas", saga_peers.missing)):
        if row in given.rows and (why := missing()):
            parser.error(f"{row}: {why}")
    if given.peers and shutil.which("serf") is None:
        parser.error("--peers: there is no `serf` here: on Debian and Ubuntu scripts/bench fetches it with apt-get")
    if given.memberlist is not None:
        given.memberlist = os.path.join(os.environ.get(FROM, ""), given.memberlist)
        if shutil.which(given.memberlist) is None:
            parser.error(f"--memberlist {given.memberlist}: no program is there")
    return given


class Bench:
    def __init__(self, given: argparse.Namespace, stop: Stop) -> None:
        self._given = given
        self._stop = stop
        self._seed = random.randrange(1 << 32) if given.seed is None else given.seed
        self._shown_at = 0.0
        self._as_json: bool = given.json

    def run(self) -> int:
        """1 where a row could not be measured."""
        if not self._as_json:
            print(
                f"{'row':12} {'of':10} {'n':>3} {'reps':>5} {'p50':>9} {'p99':>9} {'max':>9} {'lost':>5}  unit",
                flush=True,
            )
        failed = 0
        for row in self._given.rows:
            for n in FIXED_N.get(row) or self._given.n or [min(N, max(4, free_memory_mib() // MEMBER_MIB))]:
                failed += not self._row(row, n)
        return 1 if failed else 0

    def _row(self, row: str, n: int) -> bool:
        """Ours, then each peer's, with the ratio."""
        measure, reps = ROWS[row]
        ours: dict[str, Figures] = {}
        for who, make in self._clusters(row):
            self._say(f"{row}, {TITLES.get(row) or f'{n} of {who}'}; {quietness()}")
            run = Run(
                n=n,
                reps=self._given.reps or reps,
                rng=random.Random(f"{self._seed} {row} {n}"),
                stop=self._stop,
                cluster=partial(make, self._stop),
                alone=alone(),
                progress=self._progress,
                seconds=self._given.minutes * 60,
                processes=self._given.processes,
            )
            try:
                found = measure(run)
            except Failed as failed:
                self._say(f"{row}: {failed}")
                return False
            self._clear()
            for figures in found:
                of = figures.of or who
                if of == SidecarCluster.kind:
                    ours.setdefault(figures.row, figures)
                beside = None if of == SidecarCluster.kind else ours.get(figures.row)
                self._report(of, figures, None if beside is None else _ratio(beside, figures))
        return True

    def _clusters(self, row: str) -> Iterator[tuple[str, Make]]:
        yield SidecarCluster.kind, SidecarCluster
        if row in PEER_ROWS and self._given.peers:
            yield SerfCluster.kind, lambda stop: SerfCluster(stop, "serf")
        if row in PEER_ROWS and self._given.memberlist:
            yield MemberlistCluster.kind, lambda stop: MemberlistCluster(stop, self._given.memberlist)

    # -- the report --------------------------------------------------------------------------------------------------

    def _report(self, who: str, figures: Figures, ratio: float | None) -> None:
        values = [value for value in figures.values if value is not None]
        lost = len(figures.values) - len(values) if figures.lost is None else figures.lost
        reps = len(figures.values) if figures.reps is None else figures.reps
        three = [percentile(values, part) for part in (0.5, 0.99, 1.0)]
        if self._as_json:
            names = [name + ("_ms" if figures.unit == "ms" else "") for name in ("p50", "p99", "max")]
            line: dict[str, Any] = {"row": figures.row, "of": who, "n": figures.n, "reps": reps}
            line |= dict(zip(names, map(_rounded, three), strict=True)) | {"lost": lost}
            line |= {} if figures.unit == "ms" else {"unit": figures.unit}
            line |= {name: _rounded(value) for name, value in figures.also.items()}
            line |= {"durable": figures.durable} if figures.durable else {}
            print(json.dumps(line | ({} if ratio is None else {"ratio": _rounded(ratio)})), flush=True)
            return
        shown = " ".join(f"{_shown(value):>9}" for value in three)
        also = [f"{name} {_shown(value)}" for name, value in figures.also.items()]
        also += [] if ratio is None else [f"{_shown(ratio)} x ours"]
        also += [f"durable: {figures.durable}"] if figures.durable else []
        tail = f"; {', '.join(also)}" if also else ""
        print(f"{figures.row:12} {who:10} {figures.n:3} {reps:5} {shown} {lost:5}  {figures.unit}{tail}", flush=True)

    def _progress(self, text: str) -> None:
        """Show what is being done now. Text that ends a line stays."""
        if text.endswith("\n"):
            self._say(text.rstrip())
        elif sys.stderr.isatty():
            print(f"\r\033[K  {text}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._shown_at > PROGRESS_S:
            self._say(text)

    def _say(self, text: str) -> None:
        self._clear()
        print(f"  {text}", file=sys.stderr, flush=True)
        self._shown_at = time.monotonic()

    def _clear(self) -> None:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _ratio(ours: Figures, theirs: Figures) -> float | None:
    mine, other = (percentile([value for value in one.values if value is not None], 0.5) for one in (ours, theirs))
    return other / mine if mine and other is not None else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4 if abs(value) < 1 else 2)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) < 1 else f"{value:,.1f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
