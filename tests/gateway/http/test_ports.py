"""The addresses and paths at which the gateway listens."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gossipreg.errors import CannotStart
from gossipreg.gateway.http.ports import listen_tcp

NOT_OURS = "2001:db8::1"


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_both_families_have_one_port(closing: ExitStack) -> None:
    listeners = listen_tcp(["127.0.0.1", "::1"], 0)
    for listener in listeners:
        closing.callback(listener.close)
    assert len({listener.text.rpartition(":")[2] for listener in listeners}) == 1


def test_an_address_family_that_the_machine_lacks_is_left_out(closing: ExitStack) -> None:
    (only,) = listen_tcp(["127.0.0.1", NOT_OURS], 0)
    closing.callback(only.close)


def test_a_port_that_is_taken_leaves_nothing_open(closing: ExitStack) -> None:
    (first,) = listen_tcp(["::1"], 0)
    closing.callback(first.close)
    port = first.sock.getsockname()[1]
    with pytest.raises(CannotStart, match="listens there already"):
        listen_tcp(["127.0.0.1", "::1"], port)
    (again,) = listen_tcp(["127.0.0.1"], port)
    closing.callback(again.close)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(CannotStart, match=r"\[2001:db8::1\]:80"):
        listen_tcp([NOT_OURS], 80)
