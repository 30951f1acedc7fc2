"""The cases of `scripts/check --mesh` that are quick, with grpcio; the others and the other clients are wide."""

from collections.abc import Iterator

import pytest

from scripts.checks.mesh.cases import CASES
from scripts.checks.mesh.check import CLIENTS, check_mesh, missing
from scripts.checks.mesh.mesh_caller import grpc_caller
from scripts.checks.mesh.mesh_world import MeshWorld, mesh_world

QUICK = ("adding", "draining", "emptied", "waiting", "zones", "weights", "splitting", "taken")


@pytest.fixture(scope="module")
def world() -> Iterator[MeshWorld]:
    with mesh_world("grpc") as world:
        yield world


@pytest.mark.parametrize("name", QUICK)
def test_grpcio_client_follows_the_registry(world: MeshWorld, name: str) -> None:
    world.clear()
    with grpc_caller("grpcio", "web", world.grpc_bootstrap(), world.folder / "grpcio.log") as caller:
        CASES[name](world, caller)


@pytest.mark.wide
@pytest.mark.parametrize("client", CLIENTS)
def test_every_case_holds_with_every_client(client: str) -> None:
    if why := missing(client):
        pytest.skip(why)
    assert check_mesh([client], []) == 0
