"""What a process loads: each command and the running daemon only what they need."""

import os
import re
import signal
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from gossipreg.cli.commands import COMMANDS
from gossipreg.client import Client
from scripts.tools.wait import wait_for
from tests.client.fake_sidecar import FakeSidecar, instance

ROOT = Path(__file__).parent.parent

HEAVY = re.compile(r"(trio|cryptography|cffi|asyncio|ssl|sqlite3|dns|gossipreg\.(core|daemon|gateway|config))(\.|$)")
NOT_IN_DAEMON = re.compile(
    r"(asyncio|sqlite3|dns|h11|tomllib|ssl|_ssl|_hashlib|subprocess|tempfile|idna\.core|gossipreg\.(client|gateway|journal|streams|events|sagas|"
    r"daemon\.(journals|streams|events|sagas|events_and_sagas|checks\.(command|grpc|http|tcp|tls)|kept_table|"
    r"services_file|gateway_calls|json_form|history\.(history_disk|history_method))|core\.inspect|extras))(\.|$)"
)
STANDARD_DATACLASS = re.compile(r"^(from dataclasses import .*\bdataclass\b|import dataclasses)", re.MULTILINE)
MAKES_DATACLASSES = ("gossipreg.quick_dataclass",)

ARGUMENTS = {
    "register": ["web", "--port", "80"], "deregister": ["web-80"], "lookup": ["web"], "wait": ["web"],
    "heartbeat": ["web-80"], "force-leave": ["web"], "exec": ["--service", "web", "--port", "80", "true"],
    "help": ["lookup"], "client": ["node"], "events": ["groups"], "journal": ["list"], "saga": ["list"],
    "xds": ["show"],
}  # fmt: skip


OTHERWISE = ("join", "call", "demo")
"""`join` is the sidecar; `call` has to reach a server, see `tests/system/test_call.py`; `demo` starts a cluster."""


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in OTHERWISE])
def test_a_client_command_loads_neither_trio_nor_cryptography(command: str, tmp_path: Path) -> None:
    program = (
        "import sys; from gossipreg.cli.commands import run; code = run(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    with FakeSidecar(tmp_path / "s") as sidecar:
        for method in (*COMMANDS, "journals"):
            sidecar.answers[method] = lambda params: []  # noqa: ARG005  # the shape of an answer
        sidecar.answers |= {"register": lambda _: {"id": "web-80"}, "info": lambda _: {"synced": True}}
        sidecar.answers["config"] = lambda _: {"file": None, "options": [], "ignored": []}
        sidecar.answers["force-leave"] = lambda _: {"left": [{"id": "00", "name": "web"}]}
        sidecar.answers["drain"] = lambda _: {"acked": True, "missing": 0, "members": []}
        sidecar.answers["history"] = lambda _: {"lines": [], "more": False, "kept_from": None, "kept_in": "memory"}
        sidecar.answers["events-groups"] = lambda _: {"groups": [], "unanswered": []}
        sidecar.answers["xds-show"] = lambda _: {"clients": []}
        sidecar.answers["saga-list"] = lambda _: {"sagas": [], "unanswered": [], "more": False, "next": ""}
        sidecar.answers |= {"reload": lambda _: {}, "maint": lambda _: {}, "deregister": lambda _: {}}
        sidecar.answers["lookup"] = lambda _: [instance()]
        sidecar.changes, sidecar.watches = [{"kind": "current", "instances": [instance()]}, None], 1
        line = ["--socket", str(sidecar.path), command, *ARGUMENTS.get(command, [])]
        ended = subprocess.run([sys.executable, "-c", program, *line], capture_output=True, text=True, timeout=60)
    assert ended.returncode == (4 if command == "watch" else 0), ended.stderr  # the second watch is refused
    loaded = ended.stderr.splitlines()[-1].split()
    assert "gossipreg.cli.commands" in loaded
    assert [name for name in loaded if HEAVY.match(name)] == []


@contextmanager
def sidecar_process(command: list[str], tmp_path: Path, *flags: str) -> Iterator[Path]:
    """A real sidecar on loopback, from its ready line to its graceful end; gives the file of its stderr."""
    errors = tmp_path / "stderr"
    environment = {**os.environ, "GOSSIPREG_KEY": "", "GOSSIPREG_SOCKET": ""}
    join = [
        *command,
        "join",
        "--bind",
        "127.0.0.1:0",
        "--socket",
        str(tmp_path / "s"),
        "--log-level",
        "warning",
        *flags,
    ]
    with open(errors, "w") as stderr, subprocess.Popen(
        join, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment, cwd=ROOT
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready "), errors.read_text()
            yield errors
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert process.returncode == 0, errors.read_text()


def test_the_running_daemon_loads_nothing_that_only_others_need(tmp_path: Path) -> None:
    with sidecar_process([sys.executable, "-X", "importtime", "-m", "gossipreg.cli"], tmp_path) as errors:
        lines = errors.read_text().splitlines()
    loaded = [line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")]
    assert "gossipreg.core.node" in loaded
    assert [name for name in loaded if NOT_IN_DAEMON.match(name)] == []
    slow = [name for name in loaded if STANDARD_DATACLASS.search(_source(name)) and name not in MAKES_DATACLASSES]
    assert slow == [], "use gossipreg.quick_dataclass: see contributing.md"


def test_the_daemon_has_the_standard_library_make_one_dataclass() -> None:
    """That is one with an order: see `quick_dataclass.py`."""
    program = """if True:
        import dataclasses
        import gossipreg.quick_dataclass
        standard = dataclasses.dataclass
        def dataclass(cls=None, **options):
            if "init" not in options:
                return lambda cls: print(cls.__qualname__) or standard(**options)(cls)
            return standard(cls, **options)
        dataclasses.dataclass = dataclass
        from gossipreg.cli.sidecar_line import load_sidecar
        load_sidecar()
    """
    made = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    assert made.stdout.split() == ["LocalAddress"]


def _source(name: str) -> str:
    """The source of a module of ours; empty for those of others."""
    if name.partition(".")[0] != "gossipreg":
        return ""
    path = ROOT.joinpath(*name.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()


@pytest.mark.parametrize(
    ("source", "slow"),
    [
        ("from dataclasses import dataclass", True),
        ("from dataclasses import dataclass, field", True),
        ("from dataclasses import field, replace", False),
        ("from gossipreg.quick_dataclass import dataclass", False),
        ("import dataclasses", True),
    ],
)
def test_a_dataclass_of_the_standard_library_is_found(source: str, slow: bool) -> None:
    assert bool(STANDARD_DATACLASS.search(source)) == slow


def test_the_daemon_loads_http_when_the_first_client_speaks_it(tmp_path: Path) -> None:
    with sidecar_process([sys.executable, "-X", "importtime", "-m", "gossipreg.cli"], tmp_path) as errors:
        before = errors.read_text()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
            client.sendall(b"POST /rpc/services HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        after = errors.read_text().removeprefix(before)
    for module in ("h11", "gossipreg.net.http_framing", "gossipreg.daemon.http_speaker"):
        assert (f" {module}\n" in before, f" {module}\n" in after) == (False, True)
    assert " gossipreg.gateway" not in after


def test_the_page_is_loaded_by_the_first_request_for_it(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "gossipreg.cli"]
    with sidecar_process(command, tmp_path, "--http", f"unix:{tmp_path}/http") as errors:
        for path, loaded in (("/v1/agent/self", False), ("/ui/tables", True)):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "http"))
                client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
            assert (" gossipreg.gateway.http.ui.board\n" in errors.read_text()) == loaded


JOURNALS = re.compile(r"gossipreg\.(journal|streams|events|sagas|daemon\.(journals|streams|events|sagas))(\.|$)")
OF_A_HOST = {f"gossipreg.journal{name}" for name in ("", ".announced", ".model", ".values")}
"""What a sidecar with a data directory needs to say that it takes copies."""


def test_a_durable_daemon_loads_no_journals_before_there_are_any(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "gossipreg.cli"]
    with sidecar_process(command, tmp_path, "--data-dir", str(tmp_path / "data")) as errors:
        lines = errors.read_text().splitlines()
    loaded = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert {name for name in loaded if JOURNALS.match(name)} <= OF_A_HOST
    assert not (tmp_path / "data" / "journals.db").exists()


def test_a_daemon_loads_streams_when_a_connection_comes_to_its_port(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "gossipreg.cli"]
    with sidecar_process(command, tmp_path, "--data-dir", str(tmp_path / "data")) as errors:
        before = errors.read_text()
        with Client(str(tmp_path / "s")) as client:
            host, _, port = client.call("info")["address"].rpartition(":")
            assert "journals" not in client.call("info")
            assert client.call("journals") == []
            with socket.create_connection((host, int(port))):
                wait_for(lambda: "journals" in client.call("info"), 20)
        after = errors.read_text().removeprefix(before)
    assert " gossipreg.daemon.streams.node_streams\n" in after
    assert " gossipreg.daemon.sagas.local_sagas\n" in after
    assert " gossipreg.daemon.sagas.command_sender\n" not in after, "no command was sent"
    assert " h11\n" not in after
    assert not (tmp_path / "data" / "journals.db").exists(), "a stranger has shown nothing"


FOR_GATEWAYS = ("gossipreg.daemon.gateway_calls", "gossipreg.daemon.json_form")


def test_a_daemon_that_answers_dns_loads_no_dns_library(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "gossipreg.cli"]
    with sidecar_process(command, tmp_path, "--dns", "127.0.0.1:0") as errors:
        lines = errors.read_text().splitlines()
    loaded = [line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")]
    gateway = [name for name in loaded if name.startswith("gossipreg.gateway") or name in FOR_GATEWAYS]
    assert "gossipreg.gateway.dns.gateway" in gateway
    assert [name for name in loaded if NOT_IN_DAEMON.match(name) and name not in gateway] == []


def test_only_a_daemon_with_xds_loads_http_2_and_protobufs(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "gossipreg.cli"]
    loaded = {}
    for flags in ([], ["--xds", "127.0.0.1:0"]):
        folder = tmp_path / str(len(flags))
        folder.mkdir()
        with sidecar_process(command, folder, *flags) as errors:
            lines = errors.read_text().splitlines()
        names = [line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")]
        loaded[bool(flags)] = {
            name for name in names if re.match(r"(h2|hpack|google|envoy|gossipreg\.gateway)\.", name)
        }
    assert loaded[False] == set()
    assert loaded[True] >= {"gossipreg.gateway.xds.gateway", "h2.connection", "google.protobuf.message"}
    assert not any(name.startswith("gossipreg.gateway.http") for name in loaded[True])


def test_only_a_daemon_with_otlp_loads_the_exporter(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "gossipreg.cli"]
    loaded = {}
    for flags in ([], ["--otlp", "http://127.0.0.1:4318"]):
        folder = tmp_path / str(len(flags))
        folder.mkdir()
        with sidecar_process(command, folder, *flags) as errors:
            lines = errors.read_text().splitlines()
        names = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
        loaded[bool(flags)] = {name for name in names if re.match(r"gossipreg\.otlp|opentelemetry|http\.client", name)}
    assert loaded[False] == set()
    assert {"gossipreg.otlp.span_queue", "http.client"} <= loaded[True]
    assert not any(name.startswith("opentelemetry") for name in loaded[True])


def test_the_running_daemon_makes_no_tls_context(tmp_path: Path) -> None:
    program = """if True:
        import ssl, sys
        def refuse(*args, **kwargs):
            raise SystemExit("a TLS context was made")
        ssl.SSLContext.__new__ = refuse
        from gossipreg.cli import main
        sys.exit(main())
    """
    with sidecar_process([sys.executable, "-c", program], tmp_path) as errors:
        assert "TLS" not in errors.read_text()
    made = subprocess.run(
        [sys.executable, "-c", program.replace("from gossipreg.cli import main", "ssl.create_default_context()")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "a TLS context was made" in made.stderr  # the trap works


def test_aio_is_there_with_the_package_alone() -> None:
    """The first line of each example of asyncio is `import gossipreg`."""
    program = "import gossipreg; print(gossipreg.aio.__name__)"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "gossipreg.aio\n"


def is_synced(client: Client) -> bool:
    return bool(client.call("info")["synced"])


def test_only_a_daemon_with_mutual_tls_loads_its_ca(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "gossipreg.cli"]
    key = tmp_path / "key"
    key.write_text(b64encode(bytes(32)).decode())
    loaded = []
    for number, flags in enumerate(([], ["--xds-tls"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        xds = ["--key-file", str(key), "--xds", f"unix:{folder}/xds", *flags]
        with sidecar_process(command, folder, *xds) as errors, Client(str(folder / "s")) as client:
            wait_for(partial(is_synced, client), 20)
            lines = errors.read_text().splitlines()
        names = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
        loaded.append(
            {name for name in names if re.match(r"gossipreg\.gateway\.xds\.\w+\.mesh_|cryptography\.x509", name)}
        )
    assert loaded[0] == set()
    assert {"gossipreg.gateway.xds.resources.mesh_ca", "cryptography.x509"} <= loaded[1]
