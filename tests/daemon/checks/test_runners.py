"""What each kind of check makes of real servers and real processes, good and bad."""

import datetime
import os
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio

from gossipreg.daemon.checks import command
from gossipreg.daemon.checks.parse import parse_check_untrusted
from gossipreg.daemon.checks.schedule import RUNNERS
from gossipreg.daemon.checks.spec import OUTPUT_MAX, CheckOutcome, Progress
from gossipreg.model import Health
from scripts.tools.programs import free_port

GENEROUS_S = 60
Handler = Callable[[trio.SocketStream], Awaitable[None]]


async def said(text: str) -> CheckOutcome:
    spec = parse_check_untrusted("checks", text)
    with trio.fail_after(GENEROUS_S):
        return await RUNNERS[spec.kind](spec, Progress())


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[int]:
    """Serves each connection with `handler`; gives its port."""

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, ssl.SSLError):
            await handler(stream)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def answering(data: bytes) -> Handler:
    async def handler(stream: trio.SocketStream) -> None:
        await stream.receive_some(4096)
        await stream.send_all(data)

    return handler


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ("200 OK", Health.PASSING), ("204 No Content", Health.PASSING), ("299 X", Health.PASSING),
        ("301 Moved", Health.CRITICAL), ("429 Too Many", Health.WARNING), ("404 Not Found", Health.CRITICAL),
        ("500 Oh", Health.CRITICAL), ("503 Later", Health.CRITICAL),
    ],
)  # fmt: skip
async def test_what_an_http_status_means(status: str, health: Health) -> None:
    async with server(answering(f"HTTP/1.1 {status}\r\nConnection: close\r\n\r\nall\n well".encode())) as port:
        outcome = await said(f"http://127.0.0.1:{port}/health")
    assert outcome.health is health
    assert outcome.output.startswith(f"HTTP {status[:3]}")
    assert outcome.output.endswith("all well") or status.startswith("204")


async def test_the_request_is_one_that_servers_understand() -> None:
    seen = []

    async def handler(stream: trio.SocketStream) -> None:
        seen.append(bytes(await stream.receive_some(4096)))
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with server(handler) as port:
        await said(f"http://127.0.0.1:{port}/a?b=c,d")
    lines = seen[0].decode().split("\r\n")
    assert lines[0] == "GET /a?b=c,d HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}" in lines
    assert "Connection: close" in lines


async def test_a_request_has_the_method_headers_and_body_of_the_check() -> None:
    seen = []

    async def handler(stream: trio.SocketStream) -> None:
        data = b""
        while not data.endswith(b"a, b\n"):
            data += await stream.receive_some(4096)
        seen.append(data)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with server(handler) as port:
        options = "method=PUT,header=Host:shop.example,header=X-A:1%2C2,header=x-a:3,header=accept:a/b,body=a%2C b%0A"
        assert (await said(f"http://127.0.0.1:{port}/x,{options}")).health is Health.PASSING
    lines = seen[0].decode().split("\r\n")
    assert lines[0] == "PUT /x HTTP/1.1"
    named = [line.partition(": ") for line in lines[1 : lines.index("")]]
    assert [value for name, _, value in named if name.lower() == "host"] == ["shop.example"]
    assert [value for name, _, value in named if name.lower() == "x-a"] == ["1,2", "3"]
    assert [value for name, _, value in named if name.lower() == "accept"] == ["a/b"]
    assert [value for name, _, value in named if name.lower() == "content-length"] == ["5"]


async def test_head_is_answered_without_a_body() -> None:
    async with server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")) as port:
        outcome = await said(f"http://127.0.0.1:{port}/,method=HEAD")
    assert outcome == CheckOutcome(Health.PASSING, "HTTP 200 OK")


async def test_a_header_that_the_server_sends_back_is_not_shown() -> None:
    body = b"you sent Bearer T0KEN-SECRET and my body"
    async with server(answering(b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))) as port:
        outcome = await said(f"http://127.0.0.1:{port}/,header=Authorization:Bearer T0KEN-SECRET,body=my body")
    assert outcome == CheckOutcome(Health.CRITICAL, "HTTP 401 No you sent Bearer *** and ***")


async def endless(stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await stream.send_all(b"x" * 65536)


async def test_a_body_without_end_is_left_after_its_beginning() -> None:
    async with server(endless) as port:
        outcome = await said(f"http://127.0.0.1:{port}/")
    assert outcome.health is Health.PASSING
    assert len(outcome.output) <= OUTPUT_MAX


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP"),
        (b"\x00\xff" * 40 + b"\r\n\r\n", "no HTTP"),
        (b"", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 300_000, "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", "no HTTP"),
    ],
)
async def test_what_is_no_http_is_critical_in_one_line(data: bytes, words: str) -> None:
    async with server(answering(data)) as port:
        outcome = await said(f"http://127.0.0.1:{port}/")
    assert outcome.health is Health.CRITICAL
    assert words in outcome.output
    assert outcome.output.isprintable()


@pytest.mark.parametrize("scheme", ["http", "https", "tcp"])
async def test_a_refused_connection_says_so(scheme: str) -> None:
    outcome = await said(f"{scheme}://127.0.0.1:{free_port()}")
    assert outcome == CheckOutcome(Health.CRITICAL, "connection refused")


async def test_a_name_that_is_none_says_so() -> None:
    outcome = await said("tcp://no-such-host.invalid:80")
    assert outcome.health is Health.CRITICAL
    assert "name not resolved" in outcome.output


async def test_a_port_that_takes_connections_passes() -> None:
    async with server(answering(b"")) as port:
        assert await said(f"tcp://127.0.0.1:{port}") == CheckOutcome(Health.PASSING, "connected")


def self_signed(folder: Path, name: str) -> ssl.SSLContext:
    """What a server of this name presents; the certificate is in `folder / "pem"`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = folder / "pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context


def tls(context: ssl.SSLContext, requests: list[str]) -> Handler:
    """Answers well; keeps what it was asked."""

    async def handler(stream: trio.SocketStream) -> None:
        secured = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        if request := await secured.receive_some(4096):  # else the client did not like the certificate
            requests.append(request.decode())
            await secured.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    return handler


async def test_a_certificate_must_be_good_unless_it_need_not(tmp_path: Path) -> None:
    async with server(tls(self_signed(tmp_path, "localhost"), [])) as port:
        refused = await said(f"https://127.0.0.1:{port}/")
        taken = await said(f"https://127.0.0.1:{port}/,verify=no")
    assert refused.health is Health.CRITICAL
    assert "certificate" in refused.output or "self-signed" in refused.output
    assert taken.health is Health.PASSING


async def test_an_https_check_may_name_another_server_than_its_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    presented = self_signed(tmp_path, "billing.example")
    named: list[str | None] = []
    presented.sni_callback = lambda _socket, name, _context: named.append(name)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "pem"))
    monkeypatch.setattr("gossipreg.daemon.checks.tls._context", lambda *_: trusting)
    requests: list[str] = []
    async with server(tls(presented, requests)) as port:
        by_address = await said(f"https://127.0.0.1:{port}/")
        by_name = await said(f"https://127.0.0.1:{port}/,server_name=billing.example")
        by_another = await said(f"https://127.0.0.1:{port}/,server_name=stock.example")
    assert by_name.health is Health.PASSING
    [request] = requests
    assert [line for line in request.splitlines() if line.startswith("Host:")] == [f"Host: billing.example:{port}"]
    assert named == [None, "billing.example", "stock.example"]
    for refused in (by_address, by_another):
        assert refused.health is Health.CRITICAL
        assert "not valid for" in refused.output or "mismatch" in refused.output


async def test_a_server_without_tls_is_critical() -> None:
    async with server(answering(b"HTTP/1.1 400 Bad\r\n\r\n")) as port:
        outcome = await said(f"https://127.0.0.1:{port}/")
    assert outcome.health is Health.CRITICAL
    assert outcome.output.startswith("TLS: ")


# -- commands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "health", "output"),
    [
        ("true", Health.PASSING, "exit code 0"),
        ("echo fine; echo more >&2", Health.PASSING, "exit code 0: fine more"),
        ("echo slow; exit 1", Health.WARNING, "exit code 1: slow"),
        ("exit 2", Health.CRITICAL, "exit code 2"),
        ("kill -9 $$", Health.CRITICAL, "ended by SIGKILL"),
        ("cat", Health.PASSING, "exit code 0"),
        ("printf '\\377\\033[31m'", Health.PASSING, "exit code 0: \ufffd [31m"),
    ],
)
async def test_what_an_exit_code_means(line: str, health: Health, output: str) -> None:
    assert await said(f"cmd:{line}") == CheckOutcome(health, output)


@pytest.mark.parametrize("name", ["GOSSIPREG_KEY", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"])
async def test_keys_and_tokens_are_not_shown_to_commands(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "secret")
    assert "secret" not in (await said("cmd:env")).output
    assert "none" in (await said(f"cmd:echo ${{{name}:-none}}")).output


async def test_a_command_that_says_too_much_is_cut_and_not_held_up() -> None:
    outcome = await said("cmd:head -c 3000000 /dev/zero | tr '\\0' x")
    assert outcome.health is Health.PASSING
    assert len(outcome.output) <= OUTPUT_MAX


def children() -> list[int]:
    """Of this process, zombies too."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(pid))
    return found


def processes(argument: str) -> list[int]:
    """Those that have this among their arguments."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and argument.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


async def none_left(argument: str) -> None:
    with trio.fail_after(GENEROUS_S):
        while processes(argument):
            await trio.sleep(0.01)


def own_time() -> str:
    """How long the programs of this test sleep, in seconds: nobody else's do."""
    return f"1000.{os.getpid()}{time.monotonic_ns()}"


@pytest.mark.parametrize(
    "line",
    [
        "sleep TIME",
        "sleep TIME & sleep TIME | cat",
        "trap '' TERM INT HUP; sleep TIME; sleep TIME",
        "setsid sleep TIME & wait",
        "(setsid setsid sleep TIME &) ; sleep TIME",
        "setsid env -i /bin/sleep TIME",
        "(setsid env -i /bin/sh -c '/bin/sleep TIME & exec /bin/sleep TIME' &) ; sleep TIME",
        "yes TIME",
        "python3 -c 'import os, time; os.fork(); os.setsid(); os.fork(); time.sleep(1000)' TIME & sleep 1000",
    ],
)
async def test_a_command_that_times_out_ends_with_its_children(line: str) -> None:
    unique, before = own_time(), (children(), len(os.listdir("/proc/self/fd")))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(said, f"cmd:{line.replace('TIME', unique)}")
        with trio.fail_after(GENEROUS_S):
            while not processes(unique):
                await trio.sleep(0.01)
        assert len(children()) > len(before[0])
        nursery.cancel_scope.cancel()
    await none_left(unique)
    assert (children(), len(os.listdir("/proc/self/fd"))) == before  # no zombie, no descriptor


@pytest.mark.parametrize(
    "line",
    [
        "sleep TIME & echo done",
        "sleep TIME >/dev/null 2>&1 & echo done",
        "nohup setsid sleep TIME </dev/null >/dev/null 2>&1 & echo done",
        "(setsid env -i /bin/sleep TIME >/dev/null 2>&1 &) ; echo done",
    ],
)
async def test_what_a_command_leaves_behind_is_ended(line: str) -> None:
    unique = own_time()
    assert await said(f"cmd:{line.replace('TIME', unique)}") == CheckOutcome(Health.PASSING, "exit code 0: done")
    await none_left(unique)


async def test_what_a_command_had_said_when_its_time_was_up_is_known() -> None:
    progress = Progress()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(command.run, parse_check_untrusted("checks", "cmd:echo so far; sleep 1000"), progress)
        with trio.fail_after(GENEROUS_S):
            while not progress.text:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert progress.text == "so far\n"


async def test_a_command_ends_with_the_sidecar_that_was_killed() -> None:
    unique = own_time()
    program = (
        "import trio; from gossipreg.daemon.checks import command, parse, spec; "
        f"check = parse.parse_check_untrusted('checks', 'cmd:sleep {unique}; true'); "
        "trio.run(command.run, check, spec.Progress())"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as sidecar:
        try:
            with trio.fail_after(GENEROUS_S):
                while not processes(unique):
                    await trio.sleep(0.01)
        finally:
            sidecar.kill()
    await none_left(unique)


async def test_a_command_that_takes_its_keeper_with_it_is_critical() -> None:
    assert await said("cmd:kill -9 0") == CheckOutcome(Health.CRITICAL, "ended by SIGKILL")
