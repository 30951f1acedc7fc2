"""A stream that is cut at any of its messages, in either direction, loses nothing and repeats nothing."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.gateway.xds.made_source import CLUSTER, ENDPOINTS, LISTENER, ROUTE
from tests.gateway.xds.streams.test_streams_converge import (
    Conversation,
    EnvoyConversation,
    EnvoyDeltaConversation,
    EnvoySotwConversation,
    GrpcConversation,
)


def changes(machine: Conversation) -> Iterator[Callable[[], None]]:
    """What happens to the client and the registry, one after the other."""
    if isinstance(machine, EnvoyConversation):
        yield lambda: machine.asks(ROUTE, {"a"})
    else:
        for type in (LISTENER, CLUSTER, ENDPOINTS):
            yield partial(machine.client.ask, type, {"a"})
        yield lambda: machine.client.ask(CLUSTER, {"a", "b"})
        yield lambda: machine.client.ask(ENDPOINTS, {"a", "b"})
    yield lambda: machine.the_wildcard_gets_a_name(CLUSTER, "b")
    yield lambda: machine.a_resource_changes(ENDPOINTS, "a", 1)
    yield lambda: machine.a_resource_changes(CLUSTER, "a", 99)  # which the client refuses
    yield lambda: machine.a_resource_changes(CLUSTER, "a", 2)
    yield lambda: machine.a_resource_changes(ROUTE, "a", 1)


def converse(machine: Conversation, cut: int) -> int:
    """Let all of it happen, and cut the stream after this many messages. Returns how many there were."""
    messages = 0

    def arrived() -> None:
        nonlocal messages
        messages += 1
        if messages == cut:
            machine.the_connection_is_lost()

    for change in changes(machine):
        change()
        while machine.client.requests or machine.under_way or machine.woken:
            if machine.client.requests:
                machine.the_server_receives()
                arrived()
            machine.the_server_sends()
            if machine.under_way:
                machine.the_client_receives()
                arrived()
    return messages


@pytest.mark.parametrize("kind", [GrpcConversation, EnvoySotwConversation, EnvoyDeltaConversation])
def test_a_stream_cut_at_any_message_ends_with_what_the_source_has(kind: type[Conversation]) -> None:
    cut = messages = 0
    while cut <= messages:
        cut += 1
        machine = kind()
        machine.begin(hidden=frozenset(), known=True, settled=False)
        messages = converse(machine, cut)
        machine.teardown()
    assert cut > 20
