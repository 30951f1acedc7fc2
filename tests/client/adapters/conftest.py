from collections.abc import Callable, Iterator
from typing import Any

import pytest

import gossipreg
from gossipreg.client.registry import Registry
from tests.client.adapters.programs import PROGRAMS
from tests.client.adapters.servers import BOUND_S, HttpInstance
from tests.client.talking_sidecar import TalkingSidecar, at


@pytest.fixture
def instances() -> Iterator[list[HttpInstance]]:
    running = [HttpInstance() for _ in range(3)]
    yield running
    for one in running:
        one.stop()


@pytest.fixture
def registry(talking: TalkingSidecar, instances: list[HttpInstance]) -> Iterator[Registry]:
    """`billing` has all instances, `other` the last one alone."""
    shapes = [at(one.port, service="billing", address="127.0.0.1") for one in instances]
    talking.services["billing"] = shapes
    talking.services["other"] = [shapes[-1] | {"service": "other"}]
    with gossipreg.connect(str(talking.path), timeout=BOUND_S) as registry:
        yield registry


@pytest.fixture(params=PROGRAMS, ids=lambda program: program.__name__)
def make(request: pytest.FixtureRequest, registry: Registry) -> Iterator[Callable[..., Any]]:
    """Makes the program in one of the libraries, with options of its adapter."""
    made: list[Any] = []

    def make(**options: Any) -> Any:
        made.append(request.param(registry, **options))
        return made[-1]

    yield make
    for program in made:
        program.close()


@pytest.fixture
def program(make: Callable[..., Any]) -> Any:
    return make(deadline=BOUND_S)
