"""Names of hosts in checks: resolved by the system's resolver, without delay for checks that need no name.

Owns the threads that wait for the resolver. The resolver may take ten seconds and more and cannot be stopped, so the
check that asked may have ended long before. Never knows what an address is wanted for.

Literal addresses are not looked up (trio sees to that), nor is `localhost` (RFC 6761, section 6.3). One name takes one
thread, however many checks ask for it. A name that once took long is looked up in a few threads of its own kind from
then on, so that names whose servers are gone cannot take all threads from those whose servers answer.
"""

import socket
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import trio

THREADS, SLOW_THREADS = 24, 8
SLOW_S = 1.0
SLOW_NAMES_MAX = 4096
"""With more, the name that was slow longest ago is forgotten."""

Found = list[tuple[Any, ...]]
_Question = tuple[bytes | None, Any, int, int, int, int]

asking: ContextVar[Callable[[str], None]] = ContextVar("asking", default=lambda _: None)
"""Told what the current task waits for while its name is asked for, and nothing when that is over."""

_LOCAL = ((socket.AF_INET, ("127.0.0.1",), ()), (socket.AF_INET6, ("::1",), (0, 0)))


class _Answer:
    def __init__(self) -> None:
        self.come = trio.Event()
        self.found: Found = []
        self.error: Exception | None = None


class Names(trio.abc.HostnameResolver):
    def __init__(self, ask: Callable[..., Any] = socket.getaddrinfo) -> None:
        """`ask` blocks."""
        self._ask = ask
        self._many, self._few = trio.CapacityLimiter(THREADS), trio.CapacityLimiter(SLOW_THREADS)
        self._asked: dict[_Question, _Answer] = {}
        self._slow: dict[bytes | None, None] = {}

    async def getaddrinfo(
        self, host: bytes | None, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Found:
        """As `socket.getaddrinfo`."""
        if host is not None and is_localhost(host.decode("ascii", "replace")):
            return _localhost(port, family, type, proto)
        question = host, port, family, type, proto, flags
        asking.get()("its name is not resolved")
        answer = self._asked.get(question)
        if answer is None:
            answer = await self._begin(question)
        await answer.come.wait()
        asking.get()("")
        if answer.error is not None:
            raise answer.error
        return answer.found

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        raise NotImplementedError("no check asks for the name of an address")

    async def _begin(self, question: _Question) -> _Answer:
        """Ask as soon as a thread is free. A caller that gives up waiting for one leaves nothing behind."""
        threads = self._few if question[0] in self._slow else self._many
        place = object()
        await threads.acquire_on_behalf_of(place)
        if question in self._asked:  # by another, meanwhile
            threads.release_on_behalf_of(place)
            return self._asked[question]
        answer = self._asked[question] = _Answer()
        trio.lowlevel.spawn_system_task(self._resolve, question, answer, threads, place)
        return answer

    async def _resolve(
        self, question: _Question, answer: _Answer, threads: trio.CapacityLimiter, place: object
    ) -> None:
        began = trio.current_time()
        try:
            answer.found = await trio.to_thread.run_sync(
                self._ask, *question, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
            )
        except Exception as error:
            answer.error = error
        finally:
            threads.release_on_behalf_of(place)
            del self._asked[question]
            answer.come.set()
        self._slow.pop(question[0], None)
        if trio.current_time() - began > SLOW_S:
            self._slow[question[0]] = None
            if len(self._slow) > SLOW_NAMES_MAX:
                del self._slow[next(iter(self._slow))]


def is_localhost(host: str) -> bool:
    """Whether this name is this machine, without asking anybody."""
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def _localhost(port: Any, family: int, type: int, proto: int) -> Found:
    """IPv4 first: what is said of a failure is said of the first attempt."""
    return [
        (one, socket.SocketKind(type or socket.SOCK_STREAM), proto or socket.IPPROTO_TCP, "", (*host, int(port), *rest))
        for one, host, rest in _LOCAL
        if family in (0, one)
    ]
