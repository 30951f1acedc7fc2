"""`Service.call` in threads: what the program says of a request, and fallbacks."""

import pytest

from gossipreg.client.picked import PickedInstance
from gossipreg.client.service import Service

BOUND_S = 30.0


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
