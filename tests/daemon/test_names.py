"""Names that nobody answers for hold up nobody but those who ask for them."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.testing

from gossipreg.daemon import names
from gossipreg.daemon.checks import tcp
from gossipreg.daemon.checks.parse import parse_check_untrusted
from gossipreg.daemon.checks.spec import Progress
from gossipreg.daemon.names import Names

GENEROUS_S = 60
FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]


class Resolver:
    """Names with `hang` in them wait until `gate` is set, all others are found at once."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked: Counter[bytes] = Counter()

    def __call__(self, host: bytes, *_: Any) -> Any:
        self.asked[host] += 1
        if b"hang" in host and not self.gate.wait(GENEROUS_S):
            raise AssertionError("the test never let it go")
        if b"none" in host:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return FOUND


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    resolver = Resolver()
    yield resolver
    resolver.gate.set()


async def test_a_hanging_name_takes_one_thread_for_all_its_lookups(resolver: Resolver) -> None:
    asked = Names(resolver)
    for _ in range(3 * names.THREADS):
        with trio.move_on_after(0.001):
            await asked.getaddrinfo(b"hang.example", 80)
    with trio.fail_after(GENEROUS_S):
        assert await asked.getaddrinfo(b"good.example", 80) == FOUND
    assert resolver.asked == {b"hang.example": 1, b"good.example": 1}


async def test_localhost_is_asked_of_nobody_while_every_thread_hangs(resolver: Resolver) -> None:
    trio.socket.set_custom_hostname_resolver(Names(resolver))
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        for number in range(2 * names.THREADS):
            nursery.start_soon(trio.socket.getaddrinfo, f"hang{number}.example", 80)
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(GENEROUS_S):
            for host in ("localhost", "LocalHost.", "web.localhost", "127.0.0.1"):
                await trio.aclose_forcefully(await trio.open_tcp_stream(host, port))
        nursery.cancel_scope.cancel()
    assert all(b"hang" in host for host in list(resolver.asked))  # threads that begin only now still add to it
    await trio.aclose_forcefully(listeners[0])


async def test_names_that_were_slow_leave_threads_to_the_others(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "SLOW_S", -1.0)  # whatever is asked for counts as slow from then on
    asked = Names(resolver)
    resolver.gate.set()
    slow = [b"hang%d.example" % number for number in range(2 * names.THREADS)]
    for host in slow:
        await asked.getaddrinfo(host, 80)
    resolver.gate.clear()
    async with trio.open_nursery() as nursery:
        for host in slow:
            nursery.start_soon(asked.getaddrinfo, host, 80)
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(GENEROUS_S):
            assert await asked.getaddrinfo(b"good.example", 80) == FOUND
        assert sum(resolver.asked.values()) <= len(slow) + names.SLOW_THREADS + 1
        resolver.gate.set()


async def test_what_the_resolver_says_is_told_to_all_who_asked(resolver: Resolver) -> None:
    asked = Names(resolver)
    refused = []

    async def ask() -> None:
        with pytest.raises(socket.gaierror, match="not known"):
            await asked.getaddrinfo(b"hang.none.example", 80)
        refused.append(True)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        resolver.gate.set()
    assert refused == [True] * 3
    assert resolver.asked == {b"hang.none.example": 1}


@pytest.mark.parametrize(("family", "hosts"), [(0, ["127.0.0.1", "::1"]), (socket.AF_INET6, ["::1"])])
async def test_localhost_has_the_families_that_are_asked_for(family: int, hosts: list[str]) -> None:
    found = await Names().getaddrinfo(b"localhost", 80, family, socket.SOCK_STREAM)
    assert [one[4][0] for one in found] == hosts


async def test_a_check_that_timed_out_while_resolving_says_so(resolver: Resolver) -> None:
    trio.socket.set_custom_hostname_resolver(Names(resolver))
    progress = Progress()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tcp.run, parse_check_untrusted("checks", "tcp://hang.example:80"), progress)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert progress.text == "its name is not resolved"
    progress.text = ""
    assert "not resolved" in (await tcp.run(parse_check_untrusted("checks", "tcp://none.example:80"), progress)).output
    assert progress.text == ""
