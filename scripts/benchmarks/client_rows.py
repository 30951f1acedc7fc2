"""The row `client`: what a program's registry costs, beside a call of the local socket in the same run."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import gossipreg
from gossipreg import Client, Registry, Service, Snapshot
from scripts.benchmarks.cluster import Failed
from scripts.benchmarks.run import Figures, Run
from scripts.benchmarks.watching import RECORD_BYTES, Watchers
from scripts.tools.machine import cpu_s
from scripts.tools.sidecars import Sidecar, Sidecars, timed_lookup_ms
from scripts.tools.wait import BOUND_S, wait_for

BATCH = 1000
"""Lookups in one measurement: a single one is shorter than the clock's call."""
CALLS = 20
NAMES = 1000
MANY = 9_999
"""Instances of one service, on three sidecars."""
PROCESSES = 200
NODE = str(Path(__file__).with_name("node_client.mjs"))
IDLE_S = 5.0
REST_S = 0.02


def client(run: Run) -> list[Figures]:
    """A registry in this process: `client-lookup` and `client-lookup-many`, one of 3 and of 9,999 instances, with how
    many times `Client.call("lookup")` takes that; `client-pick` and `client-pick-many`, the same of a pick, from
    entering its block until it is left; `client-change`, from a registration until the snapshot has it;
    `client-change-many`, the same among 9,999, with this process's CPU for it; `client-names`, the first lookups of
    1,000 names; `client-idle`, wake-ups of its thread in 5 s; `client-processes`, a change until the last of 200
    processes with a registry has it. `client-node`, from a registration until the snapshot of a process of Node.js has
    it; beside it a plain watch of the local socket and a Python process, for the same changes: `wire_ms`, `python_ms`;
    `after_wire_ms` is Node's part. `client-node-names`, the first lookups of 1,000 names one after the other."""
    with _sidecars(run) as (sidecar, near):
        path = str(sidecar.socket)
        with Client(path) as calls, gossipreg.connect(path, timeout=BOUND_S) as registry:
            few, many = registry.service("few"), registry.service("many")
            wait_for(lambda: (len(few.instances), len(many.instances)) == (3, MANY), 4 * BOUND_S)
            run.progress("client: lookups")
            figures = [
                _lookups(run, "client-lookup", lambda: few.instances, calls),
                _lookups(run, "client-lookup-many", lambda: many.instances, calls),
                _lookups(run, "client-pick", lambda: _picked(few), calls),
                _lookups(run, "client-pick-many", lambda: _picked(many), calls),
                _changes(run, "client-change", registry, near, "few"),
                _changes(run, "client-change-many", registry, near, "many"),
                _names(run, path),
                _idle(run, registry),
            ]
        return [*figures, _processes(run, path, near), *_node(run, path, near)]


@contextmanager
def _sidecars(run: Run) -> Iterator[tuple[Sidecar, Client]]:
    """Three sidecars with `few` and `many`; one of them, and a client of it."""
    run.progress("client: starting")
    with run.stop.held(), Sidecars() as cluster:
        for number in range(3):
            services = cluster.folder / f"services-{number}.toml"
            services.write_text(_services(number))
            cluster.start(f"n{number}", "--services", str(services)).wait_ready()
        sidecar = cluster.all[0]
        with Client(str(sidecar.socket)) as near:
            yield sidecar, near


def _services(number: int) -> str:
    many = (f'[[service]]\nname = "many"\nid = "many-{one}"\nport = {one + 1}\n' for one in range(number, MANY, 3))
    return "".join([f'[[service]]\nname = "few"\nid = "few-{number}"\nport = 1\n', *many])


def _lookups(run: Run, row: str, look: Callable[[], object], calls: Client) -> Figures:
    """Microseconds of a lookup in memory; both kinds in turn."""
    in_memory: list[float] = []
    by_call: list[float] = []
    for _ in range(run.reps):
        since = time.perf_counter()
        for _ in range(BATCH):
            look()
        in_memory.append(1e6 * (time.perf_counter() - since) / BATCH)
        by_call += [1000 * timed_lookup_ms(calls, "few") for _ in range(CALLS)]
    also: dict[str, float | None] = {"call_us": median(by_call), "times": median(by_call) / median(in_memory)}
    return Figures(row, 3, list(in_memory), "us", also=also)


def _picked(service: Service) -> None:
    with service.pick():
        pass


def _changes(run: Run, row: str, registry: Registry, near: Client, name: str) -> Figures:
    """Milliseconds from sending a registration to the sidecar until the snapshot has it."""
    seen: dict[int, float] = {}
    came = threading.Event()
    wanted = [0]

    instances = registry.service(name).snapshot.all
    at = next(place for place, one in enumerate(instances) if one.id == f"{name}-0")

    def changed(snapshot: Snapshot) -> None:
        weight = snapshot.all[at].weight
        seen.setdefault(weight, time.perf_counter())
        if weight == wanted[0]:
            came.set()

    values: list[float] = []
    cpu: list[float] = []
    with registry.watch(name, changed):
        for rep in range(run.reps):
            run.progress(f"{row}: {rep + 1} of {run.reps}")
            wanted[0] = 2 + rep
            came.clear()
            time.sleep(REST_S)
            before, since = cpu_s(os.getpid()), time.perf_counter()
            near.call("register", name=name, id=f"{name}-0", port=1, weight=2 + rep)
            if not came.wait(BOUND_S):
                raise Failed(f"{row}: a change did not come within {BOUND_S:g} s")
            cpu.append(1000 * (cpu_s(os.getpid()) - before))
            values.append(1000 * (seen[2 + rep] - since))
    return Figures(row, 3, list(values), also={"cpu_ms": median(cpu)})


def _names(run: Run, path: str) -> Figures:
    """Milliseconds for the first lookups of 1,000 names by a new registry."""
    values: list[float] = []
    for _ in range(max(1, run.reps // 10)):
        with gossipreg.connect(path, timeout=BOUND_S) as registry:
            since = time.perf_counter()
            services = [registry.service(f"name-{number}") for number in range(NAMES)]
            for service in services:
                service.use()
            for service in services:
                _ = service.instances
            values.append(1000 * (time.perf_counter() - since))
    return Figures("client-names", 3, list(values))


def _idle(run: Run, registry: Registry) -> Figures:
    """Wake-ups of the registry's thread while nothing changes, by the kernel's count of its context switches."""
    run.progress("client: nothing changes")
    thread = next(one for one in threading.enumerate() if one.name == "gossipreg")
    status = Path(f"/proc/self/task/{thread.native_id}/status")
    time.sleep(1.0)
    before, turns = _switches(status), registry.stats()["turns"]
    time.sleep(IDLE_S)
    switches = _switches(status) - before
    return Figures("client-idle", 3, [float(switches)], "wake-ups", also={"turns": registry.stats()["turns"] - turns})


def _switches(status: Path) -> int:
    lines = status.read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt"))


def _processes(run: Run, path: str, near: Client) -> Figures:
    """Milliseconds from a registration until the last of 200 processes with a registry has it."""
    values: list[float] = []
    firsts: list[float] = []
    near.call("register", name="watched", port=1)
    with Watchers(path, "watched", PROCESSES, registry=True) as watchers:
        for rep in range(run.reps):
            run.progress(f"client-processes: {rep + 1} of {run.reps}")
            time.sleep(REST_S)
            since = time.perf_counter()
            near.call("register", name="watched", port=1, weight=2 + rep)
            times = watchers.received()
            firsts.append(1000 * (times[0] - since))
            values.append(1000 * (times[-1] - since))
    return Figures("client-processes", 3, list(values), also={"first_ms": median(firsts)})


def _node(run: Run, path: str, near: Client) -> list[Figures]:
    """Milliseconds of the client for Node.js; nothing where there is no `node`."""
    node = shutil.which("node")
    if node is None:
        run.progress("client-node: left out, since there is no `node` here\n")
        return []
    near.call("register", name="from-node", port=1)
    command = [node, NODE, "watch", path, "from-node", str(RECORD_BYTES)]
    taken: dict[str, list[float]] = {"wire": [], "python": [], "node": [], "after_wire": []}
    with (
        Watchers(path, "from-node") as wire,
        Watchers(path, "from-node", registry=True) as python,
        Watchers(path, "from-node", command=command) as watching,
    ):
        for rep in range(run.reps):
            run.progress(f"client-node: {rep + 1} of {run.reps}")
            time.sleep(REST_S)
            since = time.perf_counter()
            near.call("register", name="from-node", port=1, weight=2 + rep)
            came = {"wire": wire.received()[0], "python": python.received()[0], "node": watching.received()[0]}
            for who, at in came.items():
                taken[who].append(1000 * (at - since))
            taken["after_wire"].append(1000 * (came["node"] - came["wire"]))
    also: dict[str, float | None] = {f"{who}_ms": median(taken[who]) for who in ("wire", "python", "after_wire")}
    return [Figures("client-node", 3, list(taken["node"]), also=also), _node_names(run, node, path)]


def _node_names(run: Run, node: str, path: str) -> Figures:
    singly: list[float] = []
    together: list[float] = []
    for _ in range(max(1, run.reps // 10)):
        ended = subprocess.run(
            [node, NODE, "names", path, str(NAMES)], capture_output=True, text=True, timeout=BOUND_S, check=True
        )
        one_by_one, at_once = json.loads(ended.stdout)
        singly.append(one_by_one)
        together.append(at_once)
    return Figures("client-node-names", 3, list(singly), also={"together_ms": median(together)})
