"""Mutual TLS between two real Envoys, and who gets certificates over the unix socket of a real sidecar."""

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from gossipreg.daemon.mesh_keys import mesh_secret
from gossipreg.gateway.xds.mesh_ca import MeshCa
from gossipreg.wire.seal import Keyring
from scripts.checks.mesh.envoy_front import EnvoyCaller
from scripts.tools.programs import free_port, running_program
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.system.test_xds_bootstrap import ENVOY, needs_envoy, shown

SHORT = "from gossipreg.gateway.xds import mesh_secrets; from datetime import timedelta; mesh_secrets.LIFE = "
RUN = "import sys; from gossipreg.cli.commands import run; sys.exit(run(sys.argv[1:]))"


class Application:
    """A web server that answers with the SPIFFE id of its caller, as its Envoy says it."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = (self.headers.get("x-forwarded-client-cert") or "nobody").encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        self.port = self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class TlsMesh:
    """Two sidecars with a service and an Envoy each: `shop` calls `web`."""

    def __init__(self, cluster: Sidecars, stack: ExitStack, *flags: str, command: list[str] | None = None) -> None:
        self.cluster = cluster
        self._stack = stack
        self._flags = flags
        self._command = command
        self.application = Application()
        stack.callback(self.application.close)
        self.tls_port = free_port()
        self.shop = self._sidecar("shop")
        self.web = self._sidecar("web")
        self.shop.call("register", name="shop", id="s", port=1, address="127.0.0.1")
        tls = {"xds-tls-port": str(self.tls_port)}
        self.web.call("register", name="web", id="w", port=self.application.port, address="127.0.0.1", meta=tls)
        self.web_envoy = self._envoy(self.web, "web")
        self.envoy = self._envoy(self.shop, "shop")

    def _sidecar(self, name: str) -> Sidecar:
        folder = self.cluster.folder
        (folder / f"{name}.toml").write_text(f"[listen]\nport = {free_port()}\n")
        flags = ("--xds", f"unix:{folder}/{name}.xds", "--xds-tls", "--xds-policy", f"{folder}/{name}.toml")
        return self.cluster.start(name, *flags, command=self._command).wait_ready()

    def _envoy(self, sidecar: Sidecar, service: str) -> EnvoyCaller:
        admin, folder = free_port(), self.cluster.folder
        listen = int((folder / f"{service}.toml").read_text().rpartition("=")[2])
        flags = ["--service", service, "--node-id", service, "--admin-port", str(admin), *self._flags]
        line = [*COMMAND, "--socket", str(sidecar.socket), "xds", "bootstrap", "--envoy", *flags]
        made = subprocess.run(line, capture_output=True, text=True, timeout=BOUND_S, check=True).stdout
        config = folder / f"envoy-{service}.json"
        config.write_text(made)
        assert ENVOY is not None
        run = [ENVOY, "-c", str(config), "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
        self._stack.enter_context(running_program(run, folder / f"envoy-{service}.log"))
        caller = EnvoyCaller("web", listen, admin)
        wait_for(caller.is_ready)
        return caller

    def tls_of(self, caller: EnvoyCaller, name: str) -> float:
        return sum(caller.statistics(f"envoy_{name}").values())

    def keys(self, *keys: bytes) -> None:
        """Let both sidecars have this ring."""
        self.cluster.key_file.write_text("\n".join(base64.b64encode(key).decode() for key in keys))
        for one in (self.shop, self.web):
            one.process.send_signal(signal.SIGHUP)
        wanted = Keyring(keys).fingerprints()
        wait_for(lambda: all(one.call("info")["keys"] == wanted for one in (self.shop, self.web)))

    def secrets_are_taken(self, before: dict[str, str]) -> bool:
        """Whether both Envoys have acknowledged other secrets than these."""
        now = self.secrets()
        return all(now[name] not in ("", version) for name, version in before.items())

    def secrets(self) -> dict[str, str]:
        """What each Envoy has acknowledged; empty while it has not answered yet."""
        found = {}
        for one in (self.shop, self.web):
            [secret] = [each for each in shown(one)[0]["types"] if each["type"] == "secret"]
            assert not secret["refused"]
            found[one.name] = secret["acked"] if secret["acked"] == secret["sent"] else ""
        return found


@contextmanager
def tls_mesh(*flags: str, command: list[str] | None = None) -> Iterator[TlsMesh]:
    with Sidecars("local") as cluster, ExitStack() as stack:
        mesh = TlsMesh(cluster, stack, *flags, command=command)
        wait_for(lambda: bool(mesh.envoy.calls(1).by))
        yield mesh


def ask(port: int, context: ssl.SSLContext | None) -> int:
    """The status of a call, over TLS with a context; 0 if the other end ends the connection."""
    if context is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=BOUND_S)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=BOUND_S, context=context)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except (ssl.SSLError, ConnectionError):  # with an alert, or a reset that overtakes it
        return 0
    finally:
        connection.close()


def context_of(folder: Path, ca: MeshCa | None, id: str = "spiffe://default/svc/web") -> ssl.SSLContext:
    """A client's, with a certificate of this CA, or without one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if ca is not None:
        leaf = ca.leaf(id, datetime.now(UTC), timedelta(hours=1))
        (folder / "leaf").write_bytes(leaf.certificate + leaf.key)
        context.load_cert_chain(folder / "leaf")
    return context


def ring(mesh: TlsMesh) -> bytes:
    return base64.b64decode(mesh.cluster.key_file.read_text())


@pytest.mark.wide
@needs_envoy
@pytest.mark.parametrize("flags", [(), ("--delta",)], ids=" ".join)
def test_an_envoy_calls_another_by_mutual_tls_and_others_cannot(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with tls_mesh(*flags) as mesh:
        answers = mesh.envoy.calls(20)
        assert not answers.errors
        assert [who.endswith("URI=spiffe://default/svc/shop") for who in answers.by] == [True]
        assert mesh.tls_of(mesh.envoy, 'cluster_ssl_handshake{envoy_cluster_name="web"') >= 1
        own = MeshCa(mesh_secret(ring(mesh), "default"))
        assert ask(mesh.tls_port, context_of(tmp_path, own)) == 200
        for refused in (
            None,  # no certificate
            MeshCa(mesh_secret(os.urandom(32), "default")),  # of another key
            MeshCa(mesh_secret(ring(mesh), "other")),  # of another cluster with the same key
        ):
            assert ask(mesh.tls_port, context_of(tmp_path, refused)) == 0
        assert ask(mesh.tls_port, context_of(tmp_path, own, "spiffe://other/svc/web")) == 0
        assert ask(mesh.tls_port, None) == 0  # clear text
        assert ask(mesh.tls_port, context_of(tmp_path, own)) == 200


@pytest.mark.wide
@needs_envoy
def test_an_envoy_refuses_a_service_that_is_not_the_one_it_calls() -> None:
    """An instance of `web` that shows the certificate of another service of the mesh gets no calls."""
    with tls_mesh() as mesh:
        tls = {"xds-tls-port": str(mesh.tls_port)}  # where the Envoy of `web` answers
        mesh.shop.call("register", name="bank", id="b", port=2, address="127.0.0.1", meta=tls)
        bank = EnvoyCaller("bank", mesh.envoy.port, mesh.envoy.admin_port)
        wait_for(lambda: "503" in str([*bank.calls(1).errors]))
        assert not bank.calls(5).by
        wait_for(lambda: mesh.tls_of(mesh.envoy, 'cluster_ssl_fail_verify_san{envoy_cluster_name="bank"') >= 1)
        assert not mesh.envoy.calls(5).errors


@pytest.mark.wide
@needs_envoy
@pytest.mark.parametrize("flags", [(), ("--delta",)], ids=" ".join)
def test_no_call_fails_while_the_key_of_the_cluster_is_replaced(flags: tuple[str, ...], tmp_path: Path) -> None:
    with tls_mesh(*flags) as mesh:
        old, new = ring(mesh), os.urandom(32)
        mesh.envoy.begin_load(50)
        for keys in ([old, new], [new, old], [new]):
            before = mesh.secrets()
            mesh.keys(*keys)
            wait_for(partial(mesh.secrets_are_taken, before))
            assert ask(mesh.tls_port, context_of(tmp_path, MeshCa(mesh_secret(keys[0], "default")))) == 200
        answers = mesh.envoy.end_load()
        assert (dict(answers.errors), answers.total > 0) == ({}, True)
        assert ask(mesh.tls_port, context_of(tmp_path, MeshCa(mesh_secret(old, "default")))) == 0
        assert not mesh.envoy.calls(20).errors


@pytest.mark.wide
@needs_envoy
@pytest.mark.parametrize("flags", [(), ("--delta",)], ids=" ".join)
def test_an_envoy_follows_again_once_its_service_is_back(flags: tuple[str, ...]) -> None:
    """Without an instance of its own service here it gets nothing new, and keeps what it has."""
    with tls_mesh(*flags) as mesh:
        mesh.shop.call("deregister", id="s")
        mesh.shop.call("register", name="api", id="a", port=mesh.application.port, address="127.0.0.1")
        wait_for(lambda: any("no instance of shop" in why for why in reasons(mesh.shop)))
        assert not mesh.envoy.calls(20).errors
        mesh.shop.call("register", name="shop", id="s2", port=1, address="127.0.0.1")
        api = EnvoyCaller("api", mesh.envoy.port, mesh.envoy.admin_port)
        wait_for(lambda: bool(api.calls(1).by))
        assert api.calls(5).by == {"nobody": 5}  # in clear text: it has no `xds-tls-port`
        assert reasons(mesh.shop) == set()
        assert not mesh.envoy.calls(20).errors


@pytest.mark.wide
@needs_envoy
def test_no_call_fails_while_certificates_are_made_anew() -> None:
    """With certificates that are good for 8 s."""
    with tls_mesh(command=[sys.executable, "-c", f"{SHORT}timedelta(seconds=8); {RUN}"]) as mesh:
        mesh.envoy.begin_load(50)
        for _ in range(3):
            before = mesh.secrets()
            wait_for(partial(mesh.secrets_are_taken, before))
        answers = mesh.envoy.end_load()
        assert (dict(answers.errors), answers.total > 0) == ({}, True)
        assert mesh.tls_of(mesh.envoy, 'cluster_ssl_handshake{envoy_cluster_name="web"') >= 2


SDS = """
import os, queue, sys, grpc
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse
from gossipreg.gateway.xds.model import ResourceType
address, user, *names = sys.argv[1:]
os.setgroups([])
os.setresuid(int(user), int(user), int(user))
channel = grpc.insecure_channel(address)
ads = channel.stream_stream("/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
    request_serializer=DiscoveryRequest.SerializeToString, response_deserializer=DiscoveryResponse.FromString)
asked = queue.SimpleQueue()
asked.put(DiscoveryRequest(type_url=ResourceType.SECRET.value, resource_names=names))
print("ready", flush=True)
for response in ads(iter(asked.get, None)):
    print(len(response.resources), flush=True)
"""
CA, WEB = "gossipreg-mesh-ca", "spiffe://default/svc/web"


@contextmanager
def asking(address: str, user: int, *names: str) -> Iterator["subprocess.Popen[str]"]:
    """A client of this user that asks for these secrets."""
    line = [sys.executable, "-c", SDS, address, str(user), *names]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as client:
        try:
            yield client
        finally:
            client.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_only_the_user_who_registered_a_service_gets_its_certificate() -> None:
    with Sidecars() as cluster:
        cluster.folder.chmod(0o755)
        flags = ("--xds", f"unix:{cluster.folder}/xds", "--xds", "127.0.0.1:0", "--xds-tls", "--socket-group", "root")
        one = cluster.start("one", *flags).wait_ready()
        one.call("register", name="web", id="w", port=1, address="127.0.0.1")
        unix, tcp = f"unix:{cluster.folder}/xds", f"127.0.0.1:{port_of(one)}"
        with asking(unix, os.geteuid(), WEB) as own, asking(unix, 65534, WEB, CA) as other, asking(tcp, 0, CA) as far:
            assert [own.stdout.readline() for _ in range(2)] == ["ready\n", "1\n"]  # type: ignore[union-attr]
            assert [other.stdout.readline() for _ in range(2)] == ["ready\n", "1\n"]  # type: ignore[union-attr]
            assert far.stdout.readline() == "ready\n"  # type: ignore[union-attr]
            wait_for(lambda: len(reasons(one)) == 2)
            assert reasons(one) == {
                "web is registered here, but not by user 65534: run its Envoy as the user who registers it",
                "certificates are handed out on `--xds unix:PATH` alone: give the Envoy a bootstrap with that address",
            }
        assert one.log.read_text().count("is withheld") == 2
        assert one.end() == 0


def reasons(sidecar: Sidecar) -> set[str]:
    return {why for client in shown(sidecar) for why in client["withheld"]}


def port_of(sidecar: Sidecar) -> int:
    addresses: Any = json.loads(json.dumps(sidecar.call("xds-show", limit=1)["addresses"]))
    [tcp] = [one for one in addresses if not one.startswith("unix:")]
    return int(tcp.rpartition(":")[2])
