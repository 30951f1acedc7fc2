"""Checks that take longer than the test suite may: one a run, each a file of this folder.

scripts/check --fuzz --seconds 600      everything that reads what others wrote
scripts/check --flood 20000             lookups under hostile datagrams
scripts/check --waiting 10000           HTTP questions that wait
scripts/check --client                  programs with threads, forks and servers use the client; 5 minutes
scripts/check --clients                 real clients of the gateways
scripts/check --mesh                    gRPC clients and Envoy, which know services by xDS alone
scripts/check --page                    1,000 members and 5,000 services in a real browser: how soon, and how much heap
scripts/check --resolvers               every configuration of docs/dns.md with the real programs
scripts/check --systemd                 the unit of the manual on a real systemd
scripts/check --schemathesis            the HTTP gateway against its own schema
scripts/check --wide                    the tests that take too long for every run
scripts/check --mutations               a core broken on purpose, and which test sees it
scripts/check --ballots                 the models of ballots and of sagas, in all their states, with spin
"""

import argparse
import subprocess
import sys
from pathlib import Path

from scripts.checks import ballots, flood, fuzzing, mutations, openapi, resolvers, waiting
from scripts.checks.client.check import SECONDS, check_client
from scripts.checks.mesh.check import CLIENTS, check_mesh
from scripts.checks.page.check import check_page

ROOT = Path(__file__).parents[2]


WITH_CLIENTS = [
    "tests/gateway", "tests/system/test_haproxy.py", "tests/test_alerts.py", "tests/test_docs_metrics.py",
    "-k", "clients or haproxy or dig or node or alerts or prometheus",
]  # fmt: skip
WIDE = ["tests", "--wide", "-n", "4", "--dist", "worksteal"]
WITH_SYSTEMD = ["tests/systemd/test_unit.py", "tests/systemd/slow_unit.py"]


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--mutations"]:  # it has options of its own
        return mutations.main(arguments[1:])
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.mesh:
        clients = [name for name in given.targets if name in CLIENTS]
        return check_mesh(clients, [name for name in given.targets if name not in CLIENTS])
    if unknown := [name for name in given.targets if name not in fuzzing.targets()]:
        parser.error(f"no target {unknown[0]!r}: there are {', '.join(fuzzing.targets())}")
    if given.input is not None and len(given.targets) != 1:
        parser.error("--input goes with the name of one target")
    if given.client:
        return check_client(given.seconds or SECONDS, given.seed)
    seconds = given.seconds or 60.0
    if given.page:
        return check_page()
    if given.clients:
        return _pytest(WITH_CLIENTS)
    if given.systemd:
        return _pytest(WITH_SYSTEMD)
    if given.wide:
        return _pytest(WIDE)
    if given.resolvers is not None:
        return resolvers.check_resolvers(given.resolvers)
    if given.ballots is not None:
        return ballots.check_ballots(given.ballots)
    if given.schemathesis:
        return openapi.schemathesis()
    if given.waiting:
        return waiting.waiting(given.waiting)
    if given.flood:
        return flood.flood(given.flood, seconds)
    if given.fuzz and given.input is not None:
        return fuzzing.once(given.targets[0], given.input)
    if given.fuzz:
        return fuzzing.fuzz(given.targets, seconds)
    parser.print_help()
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/check", description="Checks that take longer than scripts/test may.")
    parser.add_argument("--fuzz", action="store_true", help="run the fuzz targets")
    parser.add_argument("--flood", type=float, metavar="RATE", help="lookups under so many hostile datagrams a second")
    parser.add_argument("--client", action="store_true", help="threads, forks and servers with the client (300 s)")
    parser.add_argument("--seed", type=int, default=1, help="of --client (1)")
    parser.add_argument(
        "--clients", action="store_true", help="install HAProxy, Prometheus, Node; run the tests with them"
    )
    parser.add_argument(
        "--mesh", action="store_true", help="install Envoy and gRPC for Node.js; all cases (or these) with all clients"
    )
    parser.add_argument(
        "--page", action="store_true", help="install Chromium; the page with 1,000 members, 5,000 services"
    )
    parser.add_argument("--wide", action="store_true", help="the tests that take too long for every run")
    parser.add_argument("--systemd", action="store_true", help="the unit of the manual on a real systemd, as root")
    parser.add_argument(
        "--resolvers", nargs="*", metavar="NAME", help="resolvers and proxies in front, as in docs/dns.md (all)"
    )
    parser.add_argument("--schemathesis", action="store_true", help="install it; hold /openapi.json against it")
    parser.add_argument("--waiting", type=int, metavar="N", help="what N blocked HTTP questions weigh and cost")
    parser.add_argument(
        "--ballots", nargs="*", metavar="NAME", help="install spin; search the models of ballots and sagas (all cases)"
    )
    parser.add_argument("--mutations", action="store_true", help="what the tests catch of a broken core; give it first")
    parser.add_argument("--seconds", type=float, help="of --client (300), of --flood or for all targets together (60)")
    parser.add_argument("--input", type=Path, help="run the one target named on this file, once")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="some of them (all)")
    return parser


def _pytest(arguments: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", "-rs", *arguments], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
