"""What a request's error proves: whether the instance got any of it. The table is in picking/not_sent.py."""

import errno
import socket
import ssl
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.client.picking.outcomes import (
    CONNECT_TIMED_OUT,
    FAILURE,
    NEUTRAL,
    NEVER_SENT,
    NO_CONNECTION_LEFT,
    TIMED_OUT,
    Outcome,
    exception_outcome,
)
from scripts.tools.programs import free_port


def raised(work: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception, match=r"(?s).*") as error:
        work()
    return error.value


def wrapped(error: BaseException, inside: BaseException) -> BaseException:
    error.__cause__ = inside
    return error


def system(number: int) -> OSError:
    return OSError(number, "as the system says it")


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
NO_ADDRESS = raised(lambda: socket.getaddrinfo("a name", 1, flags=socket.AI_NUMERICHOST))
CERTIFICATE = ssl.SSLCertVerificationError(1, "certificate verify failed")

TABLE: dict[str, tuple[BaseException, Outcome]] = {
    "refused": (REFUSED, NEVER_SENT),
    "refused without a number": (ConnectionRefusedError("refused"), NEVER_SENT),
    "no address": (NO_ADDRESS, NEVER_SENT),
    "certificate": (CERTIFICATE, NEVER_SENT),
    "other TLS": (ssl.SSLError(1, "tlsv13 alert certificate required"), FAILURE),
    "end in TLS": (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), FAILURE),
    "time": (TimeoutError("timed out"), TIMED_OUT),
    "time of the system": (system(errno.ETIMEDOUT), TIMED_OUT),
    "host unreachable": (system(errno.EHOSTUNREACH), FAILURE),
    "network unreachable": (system(errno.ENETUNREACH), FAILURE),
    "reset": (ConnectionResetError(errno.ECONNRESET, "reset"), FAILURE),
    "broken pipe": (BrokenPipeError(errno.EPIPE, "pipe"), FAILURE),
    "end": (EOFError("no more"), NEUTRAL),
    "no descriptor": (system(errno.EMFILE), NEUTRAL),
    "wrapped": (wrapped(OSError("not connected"), REFUSED), NEVER_SENT),
    "wrapped twice": (wrapped(ValueError("x"), wrapped(OSError("not connected"), NO_ADDRESS)), NEVER_SENT),
    "a reset because of a refusal elsewhere": (wrapped(ConnectionResetError("gone"), REFUSED), FAILURE),
    "all addresses refused": (wrapped(OSError("none"), ExceptionGroup("all", [REFUSED, REFUSED])), NEVER_SENT),
    "one of several was sent": (ExceptionGroup("two", [REFUSED, ConnectionResetError("gone")]), FAILURE),
    "one of several is the program's own": (ExceptionGroup("two", [REFUSED, KeyError("x")]), FAILURE),
    "one of several has no local address": (ExceptionGroup("two", [system(errno.EADDRNOTAVAIL), REFUSED]), NEVER_SENT),
    "in a circle": (wrapped(one := ValueError("x"), wrapped(ValueError("y"), one)), NEUTRAL),
}


@pytest.mark.parametrize(("error", "outcome"), TABLE.values(), ids=TABLE.keys())
def test_only_what_is_certain_was_never_sent(error: BaseException, outcome: Outcome) -> None:
    assert exception_outcome(error) == outcome


def test_a_group_that_holds_itself_ends() -> None:
    inside = ValueError("x")
    group = ExceptionGroup("g", [inside])
    inside.__cause__ = group
    assert exception_outcome(group) == NEUTRAL


def get_with_httpx(port: int) -> None:
    pytest.importorskip("httpx").get(f"http://127.0.0.1:{port}")


def get_with_requests(port: int) -> None:
    pytest.importorskip("requests").get(f"http://127.0.0.1:{port}")


def get_with_urllib3(port: int) -> None:
    pytest.importorskip("urllib3").request("GET", f"http://127.0.0.1:{port}", retries=False)


def get_with_aiohttp(port: int) -> None:
    aiohttp = pytest.importorskip("aiohttp")

    async def get() -> None:
        async with aiohttp.ClientSession() as session:
            await session.get(f"http://127.0.0.1:{port}")

    import asyncio

    asyncio.run(get())


def get_with_urllib(port: int) -> None:
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}")


def open_with_trio(port: int) -> None:
    trio.run(trio.open_tcp_stream, "127.0.0.1", port)


LIBRARIES = [get_with_httpx, get_with_requests, get_with_urllib3, get_with_aiohttp, get_with_urllib, open_with_trio]


@pytest.mark.parametrize("get", LIBRARIES, ids=lambda get: str(get.__name__))
def test_a_refusal_is_known_through_each_library(get: Callable[[int], None]) -> None:
    assert exception_outcome(raised(lambda: get(free_port()))) == NEVER_SENT


@pytest.mark.parametrize("get", LIBRARIES[:5], ids=lambda get: str(get.__name__))
@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n"], ids=["end", "ssh"])
def test_what_is_no_answer_is_a_failure_that_was_sent(get: Callable[[int], None], answer: bytes) -> None:
    from threading import Thread

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(2):  # aiohttp repeats a GET by itself
                try:
                    stream, _ = server.accept()
                except OSError:
                    return
                with stream:
                    stream.recv(65536)
                    stream.sendall(answer)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        outcome = exception_outcome(raised(lambda: get(server.getsockname()[1])))
        assert outcome == FAILURE


def test_library_errors_of_connecting_are_known_by_name() -> None:
    httpx, requests, aiohttp = (pytest.importorskip(name) for name in ("httpx", "requests", "aiohttp"))
    assert exception_outcome(httpx.ConnectTimeout("x")) == CONNECT_TIMED_OUT
    assert exception_outcome(requests.ConnectTimeout("x")) == CONNECT_TIMED_OUT
    assert exception_outcome(aiohttp.ConnectionTimeoutError("x")) == CONNECT_TIMED_OUT
    assert exception_outcome(httpx.PoolTimeout("x")) == NO_CONNECTION_LEFT
    assert exception_outcome(httpx.ConnectError("x")) == NEVER_SENT
    for error in (httpx.ReadTimeout("x"), requests.ReadTimeout("x"), aiohttp.SocketTimeoutError("x")):
        assert exception_outcome(error) == TIMED_OUT
    local = httpx.ConnectError("x")
    local.__context__ = system(errno.EMFILE)
    assert exception_outcome(local) == NEUTRAL


class ConnectError(Exception):
    """The error of any request in some library, by a name that httpx has too."""


def test_a_name_counts_only_in_its_library() -> None:
    assert exception_outcome(ConnectError("x")) == NEUTRAL


@given(st.recursive(
    st.sampled_from([REFUSED, NO_ADDRESS, CERTIFICATE]),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda errors: ExceptionGroup("g", errors)),
    max_leaves=5,
), st.booleans())  # fmt: skip
def test_a_group_is_never_sent_only_if_all_of_it_is(group: Exception, broken: bool) -> None:
    given = ExceptionGroup("all", [group, *([ConnectionResetError("gone")] if broken else [])])
    assert exception_outcome(given) == (FAILURE if broken else NEVER_SENT)
