"""`Service.call` in threads: what the program says of a request, and fallbacks."""

from collections.abc import Iterator

import pytest

import gossipreg
from gossipreg.client.picked import PickedInstance
from gossipreg.client.registry import Registry
from gossipreg.client.service import Service
from tests.client.talking_sidecar import TalkingSidecar, at

BOUND_S = 30.0


@pytest.fixture
def registry(talking: TalkingSidecar) -> Iterator[Registry]:
    talking.services["web"] = [at(1), at(2), at(3)]
    with gossipreg.connect(str(talking.path), timeout=BOUND_S) as registry:
        yield registry


@pytest.fixture
def web(registry: Registry) -> Service:
    return registry.service("web")


def test_the_program_says_that_nothing_was_sent(web: Service) -> None:
    tried: list[int] = []

    def request(instance: PickedInstance) -> int:
        tried.append(instance.port)
        if len(tried) == 1:
            instance.never_sent()
            raise TimeoutError("while connecting, as this program knows")
        return instance.port

    assert web.call(request) == tried[1] != tried[0]

    def sent(instance: PickedInstance) -> None:
        instance.failed()
        raise ConnectionRefusedError("of the second request that this program sends")

    with pytest.raises(ConnectionRefusedError):
        web.call(sent)
    assert web.stats()["attempts"] == 3
