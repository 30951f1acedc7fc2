"""Two sidecars with a service and an Envoy each, `shop` that calls `web`, for the cases of mutual TLS."""

import base64
import http.client
import json
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from gossipreg.daemon.mesh_keys import mesh_secret
from gossipreg.gateway.xds.resources.mesh_ca import MeshCa
from gossipreg.wire.seal import Keyring
from scripts.checks.mesh.envoy_front import ENVOY, EnvoyCaller
from scripts.tools.programs import free_port, running_program
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for

WEB = "spiffe://default/svc/web"


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
    def __init__(self, cluster: Sidecars, stack: ExitStack, *, delta: bool, command: list[str] | None) -> None:
        self.folder: Path = cluster.folder
        self._cluster = cluster
        self._stack = stack
        self._flags = ["--delta"] if delta else []
        self._command = command
        self.application = Application()
        stack.callback(self.application.close)
        self.tls_port = free_port()
        self.shop = self._sidecar("shop")
        self.web = self._sidecar("web")
        self.shop.call("register", name="shop", id="s", port=1, address="127.0.0.1")
        tls = {"xds-tls-port": str(self.tls_port)}
        self.web.call("register", name="web", id="w", port=self.application.port, address="127.0.0.1", meta=tls)
        self._envoy(self.web, "web")
        self.envoy = self._envoy(self.shop, "shop")
        """That of `shop`, as a caller of `web`."""
        wait_for(lambda: bool(self.envoy.calls(1).by), what="shop calls web")

    def _sidecar(self, name: str) -> Sidecar:
        (self.folder / f"{name}.toml").write_text(f"[listen]\nport = {free_port()}\n")
        flags = ("--xds", f"unix:{self.folder}/{name}.xds", "--xds-tls", "--xds-policy", f"{self.folder}/{name}.toml")
        return self._cluster.start(name, *flags, command=self._command).wait_ready()

    def _envoy(self, sidecar: Sidecar, service: str) -> EnvoyCaller:
        admin = free_port()
        listen = int((self.folder / f"{service}.toml").read_text().rpartition("=")[2])
        flags = ["--service", service, "--node-id", service, "--admin-port", str(admin), *self._flags]
        config = self.folder / f"envoy-{service}.json"
        config.write_text(printed(sidecar, "bootstrap", "--envoy", *flags))
        run = [str(ENVOY), "-c", str(config), "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
        self._stack.enter_context(running_program(run, self.folder / f"envoy-{service}.log"))
        caller = EnvoyCaller("web", listen, admin)
        wait_for(caller.is_ready, what=f"the Envoy of {service} is ready")
        return caller

    # -- keys and certificates -----------------------------------------------------------------------------------------

    @property
    def key(self) -> bytes:
        """The one key of the ring."""
        return base64.b64decode(self._cluster.key_file.read_text())

    def change_keys(self, *keys: bytes) -> None:
        """Let both sidecars have this ring."""
        self._cluster.key_file.write_text("\n".join(base64.b64encode(key).decode() for key in keys))
        for one in (self.shop, self.web):
            one.process.send_signal(signal.SIGHUP)
        wanted = Keyring(keys).fingerprints()
        wait_for(lambda: all(one.call("info")["keys"] == wanted for one in (self.shop, self.web)))

    def secrets(self) -> dict[str, str]:
        """The version of the secrets that each Envoy has acknowledged; empty while it has not answered yet."""
        found = {}
        for one in (self.shop, self.web):
            [secret] = [each for each in shown(one)[0]["types"] if each["type"] == "secret"]
            assert not secret["refused"], secret["refused"]
            found[one.name] = secret["acked"] if secret["acked"] == secret["sent"] else ""
        return found

    def wait_for_other_secrets(self, before: dict[str, str]) -> None:
        """Until both Envoys have acknowledged others than these."""

        def taken() -> bool:
            now = self.secrets()
            return all(now[name] not in ("", version) for name, version in before.items())

        wait_for(taken, what="both Envoys have taken other secrets")

    def ask(self, key: bytes | None, *, cluster: str = "default", id: str = WEB) -> int:
        """The status of a call to the Envoy of `web` with a certificate for `id` that the CA of this key and cluster
        signed, or without one; 0 if the connection is ended instead."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if key is not None:
            leaf = MeshCa(mesh_secret(key, cluster)).leaf(id, datetime.now(UTC), timedelta(hours=1))
            (self.folder / "leaf").write_bytes(leaf.certificate + leaf.key)
            context.load_cert_chain(self.folder / "leaf")
        return _status(http.client.HTTPSConnection("127.0.0.1", self.tls_port, timeout=BOUND_S, context=context))

    def ask_in_clear_text(self) -> int:
        return _status(http.client.HTTPConnection("127.0.0.1", self.tls_port, timeout=BOUND_S))

    def tls_of(self, figure: str, service: str) -> float:
        """One of Envoy's figures of TLS, of `shop` as a caller of this service."""
        return sum(self.envoy.statistics(f'envoy_cluster_ssl_{figure}{{envoy_cluster_name="{service}"').values())


def _status(connection: http.client.HTTPConnection) -> int:
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except (ssl.SSLError, ConnectionError):  # with an alert, or a reset that overtakes it
        return 0
    finally:
        connection.close()


def printed(sidecar: Sidecar, *arguments: str) -> str:
    """What `gossipreg xds` prints."""
    line = [*COMMAND, "--socket", str(sidecar.socket), "xds", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=BOUND_S, check=True).stdout


def shown(sidecar: Sidecar) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(printed(sidecar, "show", "--json"))
    return found


def reasons(sidecar: Sidecar) -> set[str]:
    """Why its clients do not get what they ask for."""
    return {why for client in shown(sidecar) for why in client["withheld"]}


@contextmanager
def tls_mesh(*, delta: bool, command: list[str] | None = None) -> Iterator[TlsMesh]:
    """`command` runs the sidecars in place of `gossipreg`."""
    with Sidecars("local") as cluster, ExitStack() as stack:
        yield TlsMesh(cluster, stack, delta=delta, command=command)
