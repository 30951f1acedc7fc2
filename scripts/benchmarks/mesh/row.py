"""The row `mesh`: the sidecar's xDS and a minimal control plane on grpcio, one after the other."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack

from scripts.benchmarks.mesh.planes import Child, ControlPlane, MeshLoad, MinimalPlane, OurPlane
from scripts.benchmarks.mesh.raw_streams import RawStreams
from scripts.benchmarks.mesh.stream_load import COMMON
from scripts.benchmarks.run import Figures, Run
from scripts.checks.mesh.mesh_caller import grpc_caller
from scripts.tools.programs import free_port

STREAMS = 100
REST_S = 0.5
"""After a change: the last ACKs are read."""
CHANGES = 20
"""In one repetition; each is an instance that comes and one that goes."""


def mesh(run: Run) -> list[Figures]:
    """xDS of a sidecar with 200 services of 5 instances and 100 streams, beside a control plane on grpcio with the same
    data: from the call that registers or deregisters an instance until the last stream knows; its CPU time a change for
    all streams, and its memory. `mesh-crash`: from SIGKILL of an instance until the last failed call of 10 real gRPC
    clients that call 50 times a second (0: none failed)."""
    return measured(run, MeshLoad(streams=STREAMS))


def mesh_streams(run: Run) -> list[Figures]:
    """xDS of a sidecar with 1,000 streams, a connection each, that all ask for one service, and for 200 of 5 instances
    each (`mesh-5-of`): from the call that changes an instance until the last stream concerned knows, with the CPU time
    of the sidecar for the change and its ACKs, and its memory a stream."""
    return [many_streams(run, "mesh-streams", services=1), many_streams(run, "mesh-5-of", services=200)]


def many_streams(run: Run, row: str, services: int) -> Figures:
    count = 1000
    run.progress(f"{row}: {count} streams on {services} services\n")
    with OurPlane(run.stop, MeshLoad(services=services)) as plane:
        for instance in range(plane.load.instances):
            plane.register(30_000 + instance)
        _, alone_ms = _changes(plane, CHANGES, lambda: None)
        empty_mib = plane.memory_mib()
        streams = RawStreams(plane.port, count, [f"svc-{number}" for number in range(services)])
        try:
            kib = 1024 * (plane.memory_mib() - empty_mib) / count
            took, cpu_ms = _changes(plane, run.reps * CHANGES, lambda: streams.wait(count // services))
        finally:
            streams.close()
    also: dict[str, float | None] = {"CPU ms a change": cpu_ms, "without streams": alone_ms, "KiB a stream": kib}
    return Figures(row, count, took, also=also)


def _changes(plane: ControlPlane, count: int, wait: Callable[[], None]) -> tuple[list[float | None], float]:
    """Register and deregister an instance in turn. Returns how long each took, and the CPU time of each on average,
    both in milliseconds."""
    took: list[float | None] = []
    cpu_ms = 0.0
    for number in range(count):
        before, began = plane.cpu_s(), time.perf_counter()
        (plane.deregister if number % 2 else plane.register)(20_000)
        wait()
        took.append(1000 * (time.perf_counter() - began))
        time.sleep(REST_S)
        cpu_ms += 1000 * (plane.cpu_s() - before)
    return took, cpu_ms / count


def measured(run: Run, load: MeshLoad) -> list[Figures]:
    updates: dict[str, list[float | None]] = {}
    crashes: dict[str, list[float | None]] = {}
    also: dict[str, dict[str, float | None]] = {}
    for rep in range(run.reps):
        for kind in (OurPlane, MinimalPlane):
            plane = kind(run.stop, load)
            run.progress(f"mesh: {rep + 1} of {run.reps}, {plane.name}\n")
            with plane:
                found, figures = one_update_run(plane)
                updates.setdefault(plane.name, []).extend(found)
                also[plane.name] = figures
            with kind(run.stop, load) as plane:
                crashes.setdefault(plane.name, []).append(one_crash(plane))
    return [
        *(Figures("mesh", load.streams, values, of=name, also=also[name]) for name, values in updates.items()),
        *(Figures("mesh-crash", load.callers, values, of=name) for name, values in crashes.items()),
    ]


def instances(plane: ControlPlane) -> list[tuple[int, Child]]:
    ports = [free_port() for _ in range(plane.load.instances)]
    return [
        (port, plane.child("scripts.benchmarks.mesh.instance", str(plane.sidecar.socket), str(port))) for port in ports
    ]


def one_update_run(plane: ControlPlane) -> tuple[list[float | None], dict[str, float | None]]:
    load = plane.load
    streams = plane.child(
        "scripts.benchmarks.mesh.stream_load", str(plane.port), str(load.streams), str(load.services)
    )  # fmt: skip
    took: list[float | None] = []
    cpu_before = plane.cpu_s()
    for number in range(CHANGES):
        port = 20_000 + number
        for what, change in (("there", plane.register), ("gone", plane.deregister)):
            began = time.perf_counter()
            change(port)
            took.append(1000 * (float(streams.ask(f"{what} {port}")) - began))
    cpu_ms = 1000 * (plane.cpu_s() - cpu_before) / len(took)
    return took, {"CPU ms a change": cpu_ms, "memory MiB": plane.memory_mib()}


def one_crash(plane: ControlPlane) -> float:
    """Milliseconds."""
    load = plane.load
    with ExitStack() as stack:
        served = instances(plane)
        log = plane.sidecar.log.with_name("callers.log")
        bootstrap = json.dumps(plane.bootstrap())
        callers = [stack.enter_context(grpc_caller("grpcio", COMMON, bootstrap, log)) for _ in range(load.callers)]
        for one in callers:
            one.calls(2 * load.instances, wait=True)
            one.begin_load(load.calls_a_second)
        time.sleep(1.0)
        killed_at = time.time()
        served[0][1].process.kill()
        time.sleep(3.0)
        last = max(one.end_load().last_error_at for one in callers)
        return max(0.0, 1000 * (last - killed_at))
