"""Checks that take longer than the test suite may: fuzzing (`scripts/check --fuzz`), floods (`scripts/check --flood
20000`), real clients of the gateways (`scripts/check --clients`), the unit on a real systemd (`scripts/check
--systemd`), crowds of questions that wait (`scripts/check --waiting N`), and a core broken on purpose (`scripts/check
--mutations`).

Each target gets its share of the time in a process of its own. An input that fails is kept in the corpus, and the
command that repeats it is printed. Without atheris, inputs are drawn without guidance.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.tools.sidecars import Sidecar

ROOT = Path(__file__).parent.parent
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
WITH_CLIENTS = "clients or haproxy or dig or node"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/check", description="Checks that take longer than scripts/test may.")
    parser.add_argument("--fuzz", action="store_true", help="run the fuzz targets")
    parser.add_argument("--flood", type=float, metavar="RATE", help="lookups under so many hostile datagrams a second")
    parser.add_argument(
        "--clients", action="store_true", help="install HAProxy, Prometheus, Node; run the tests with them"
    )
    parser.add_argument("--systemd", action="store_true", help="the unit of the manual on a real systemd, as root")
    parser.add_argument(
        "--resolvers", nargs="*", metavar="NAME", help="resolvers and proxies in front, as in docs/dns.md (all)"
    )
    parser.add_argument("--schemathesis", action="store_true", help="install it; hold /openapi.json against it")
    parser.add_argument("--waiting", type=int, metavar="N", help="what N blocked HTTP questions weigh and cost")
    parser.add_argument("--mutations", action="store_true", help="what the tests catch of a broken core; give it first")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together, or of flood (60)")
    parser.add_argument("--input", type=Path, help="run the one target named on this file, once")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="some of them (all)")
    given = parser.parse_args()
    names = sorted(path.name for path in CORPUS.iterdir())
    if unknown := [name for name in given.targets if name not in names]:
        parser.error(f"no target {unknown[0]!r}: there are {', '.join(names)}")
    if given.clients:
        tests = ["tests/gateway", "tests/system/test_haproxy.py"]
        command = [sys.executable, "-m", "pytest", *tests, "-k", WITH_CLIENTS, "-rs"]
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    if given.systemd:
        tests = ["tests/systemd/test_unit.py", "tests/systemd/slow_unit.py"]
        return subprocess.run([sys.executable, "-m", "pytest", "-rs", *tests], cwd=ROOT, check=False).returncode
    if given.resolvers is not None:
        from scripts.check_resolvers import check_resolvers

        return check_resolvers(given.resolvers)
    if given.schemathesis:
        return schemathesis()
    if given.waiting:
        from scripts.waiting import waiting

        return waiting(given.waiting)
    if given.flood:
        return flood(given.flood, given.seconds)
    if not given.fuzz:
        parser.print_help()
        return 2
    if given.input is not None:
        if len(given.targets) != 1:
            parser.error("--input goes with the name of one target")
        return _once(given.targets[0], given.input)
    chosen = given.targets or names
    return max([_run(name, given.seconds / len(chosen)) for name in chosen])


LOOSE = "positive_data_acceptance,negative_data_rejection,not_a_server_error,unsupported_method"


def schemathesis() -> int:
    """In a .venv of its own: it brings much, and versions of what the tests use too.

    Left out is what Consul's API is loose about, so that a schema cannot say it: texts with a grammar (filters,
    durations) are refused though they are texts, and flags are taken in many spellings. That a service is ill is said
    with 503, which is no failure here; those are counted inside. A write to the key-value store is 501, not 405.
    """
    from scripts.tools.sidecars import Sidecars

    folder = ROOT / ".venv-schemathesis"
    command = folder / "bin" / "st"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", "schemathesis>=4"], check=True)
    with Sidecars() as sidecars:
        one = sidecars.start("one", "--http", "127.0.0.1:0").wait_ready()
        one.call("register", name="web", port=80, checks=["ttl:1h"])
        apart = [
            "--exclude-path",
            "/events",
            "--exclude-path",
            "/v1/agent/leave",
        ]  # the one has no end, the other ends it
        loose = ["--exclude-checks", LOOSE]
        url = f"http://{one.ready['http']}/openapi.json"
        given = [*apart, *loose, "--max-examples", "20"]
        ended = subprocess.run([str(command), "run", url, *given], check=False, cwd=sidecars.folder)  # it leaves files
        bugs = {name: count for name, count in one.call("info")["counters"].items() if name.startswith("bug.")}
        print("failures inside:", bugs or "none")
        return ended.returncode or len(bugs)


def _once(target: str, path: Path) -> int:
    from tests.fuzz.targets import TARGETS

    TARGETS[target](path.read_bytes())
    return 0


def _run(target: str, seconds: float) -> int:
    print(f"{target}: {seconds:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        given = [target, folder, str(seconds)]
        guided = find_spec("atheris") is not None
        ended = subprocess.run(
            [sys.executable, "-m", "scripts.check", "--" + ("guided" if guided else "drawn"), *given],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        said = ended.stderr.splitlines()
        print("  " + next((line for line in reversed(said) if "exec/s" in line or "inputs" in line), "").strip())
        if ended.returncode == 0:
            return 0
        print(*said[-40:], sep="\n")
        for crash in Path(folder).glob("failed-*"):
            kept = CORPUS / target / crash.name
            shutil.copy(crash, kept)
            print(f"FAILED. To repeat: scripts/check --fuzz {target} --input {kept.relative_to(ROOT)}")
    return 1


def guided(target: str, folder: str, seconds: str) -> None:
    import atheris

    with atheris.instrument_imports(include=["gossipreg"]):
        from tests.fuzz.targets import TARGETS
    whole = max(1, int(float(seconds)))
    flags = [f"-max_total_time={whole}", "-timeout=20", "-rss_limit_mb=2048", "-max_len=4096", "-print_final_stats=1"]
    corpus = Path(folder) / "corpus"
    corpus.mkdir()
    atheris.Setup(
        ["fuzz", *flags, f"-artifact_prefix={folder}/failed-", str(corpus), str(CORPUS / target)],
        TARGETS[target],
    )
    atheris.Fuzz()


def drawn(target: str, folder: str, seconds: str) -> None:
    import random

    from tests.fuzz.targets import TARGETS, corpus

    rng, end, inputs = random.Random(), time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        data = bytearray(rng.choice(corpus(target)))
        for _ in range(rng.randrange(1, 8)):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        try:
            TARGETS[target](bytes(data))
        except BaseException:
            Path(folder, f"failed-{rng.randrange(1 << 32):x}").write_bytes(data)
            raise
        inputs += 1
    print(f"{inputs} inputs", file=sys.stderr)


def flood(rate: float, seconds: float) -> int:
    """Print how long lookups at one of three sidecars take, and what memory it has, without and with a flood."""
    from scripts.tools.sidecars import Sidecars
    from scripts.tools.wait import wait_for

    with Sidecars() as sidecars:
        first, second, _ = sidecars.grow(3)
        second.call("register", name="web", port=80)
        wait_for(lambda: len(first.lookup("web")) == 1)
        _tell("quiet", first, seconds)
        command = [sys.executable, "-m", "tests.system.flood", first.gossip.rpartition(":")[2]]
        with subprocess.Popen([*command, str(sidecars.key_file), str(rate), str(seconds + 2)], text=True) as flooding:
            time.sleep(1)  # until it is prepared
            _tell("flood", first, seconds)
            flooding.wait()
        print("members", first.states())
    return 0


def _tell(name: str, sidecar: "Sidecar", seconds: float) -> None:
    from gossipreg.client.connection import Client
    from scripts.tools.machine import usage

    took, end = [], time.perf_counter() + seconds
    with Client(str(sidecar.socket)) as client:
        while (start := time.perf_counter()) < end:
            client.call("lookup", name="web")
            took.append(1000 * (time.perf_counter() - start))
            time.sleep(0.001)
    took.sort()
    p50, p99, p999 = (took[int(len(took) * share)] for share in (0.5, 0.99, 0.999))
    memory = usage(sidecar)["memory_kib"]
    print(f"{name}: lookup p50 {p50:.2f} ms, p99 {p99:.2f}, p99.9 {p999:.2f}, max {took[-1]:.2f}, n {len(took)}; "
          f"private memory {memory} KiB", flush=True)  # fmt: skip


if __name__ == "__main__":
    match sys.argv[1:2]:
        case ["--guided"]:
            guided(*sys.argv[2:])
        case ["--drawn"]:
            drawn(*sys.argv[2:])
        case ["--mutations"]:
            from scripts.checks import mutations

            sys.exit(mutations.main(sys.argv[2:]))
        case _:
            sys.exit(main())
