"""Two sidecars in two zones, and the instances of services that they know. The near sidecar serves xDS."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from scripts.checks.mesh.mesh_caller import ROOT
from scripts.tools.programs import free_port
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import wait_for

NEAR, FAR = "near", "far"
"""The zones. Clients are in the first."""


class Backends:
    """The process that serves the instances."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.checks.mesh.backend"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "done\n":
            raise AssertionError(f"the process of the instances could not {command!r}")

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


class MeshWorld:
    """A context manager. `web` is the service that cases call."""

    def __init__(self, kind: str) -> None:
        """`kind` says what instances speak: `grpc` or `http`."""
        self.kind = kind
        self.sidecars = Sidecars("local")
        self.folder: Path = self.sidecars.folder
        self.policy = self.folder / "policy.toml"
        self.xds_port, self.listen_port = free_port(), free_port()
        self._gossip_port = free_port()
        self.ports: dict[str, int] = {}
        self.backends = Backends()
        self.write_policy()
        self.near = self._start_near()
        self.far = self.sidecars.start("far", "--zone", FAR).wait_ready()
        self.wait_synced()

    def _start_near(self) -> Sidecar:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        return self.sidecars.start(
            "near", "--zone", NEAR, "--data-dir", str(data), "--bind", f"127.0.0.1:{self._gossip_port}",
            "--xds", f"127.0.0.1:{self.xds_port}", "--xds-policy", str(self.policy),
        ).wait_ready()  # fmt: skip

    def wait_synced(self) -> None:
        wait_for(lambda: all(one.call("info")["synced"] for one in (self.near, self.far)), what="both are synced")

    def restart_near(self) -> None:
        """Kill the sidecar that serves xDS, and start it again. Its registrations are on its disk."""
        self.near.kill()
        self.near = self._start_near()
        self.wait_synced()

    def write_policy(self, more: str = "") -> None:
        """The policy is this text, and where Envoy listens."""
        self.policy.write_text(f"[listen]\nport = {self.listen_port}\n{more}")

    def change_policy(self, more: str) -> None:
        self.write_policy(more)
        self.near.call("reload")

    def bootstrap(self, *flags: str) -> str:
        """What `gossipreg xds bootstrap` prints."""
        command = [*COMMAND, "--socket", str(self.near.socket), "xds", "bootstrap", *flags]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def grpc_bootstrap(self, port: int | None = None) -> str:
        """For gRPC, by this port instead of the sidecar's."""
        shape: Any = json.loads(self.bootstrap("--grpc"))
        if port is not None:
            shape["xds_servers"][0]["server_uri"] = f"127.0.0.1:{port}"
        return json.dumps(shape)

    # -- instances -----------------------------------------------------------------------------------------------------

    def serve(self, id: str) -> int:
        """Let an instance listen, which is not registered yet."""
        port = self.ports[id] = free_port()
        self.backends.tell(f"open {self.kind} {id} {port}")
        return port

    def add(
        self, id: str, *, at: Sidecar | None = None, tags: Sequence[str] = (), weight: int = 1, name: str = "web"
    ) -> None:
        """Serve and register an instance, at the near sidecar unless another is given."""
        port = self.ports.get(id) or self.serve(id)
        (at or self.near).call(
            "register", name=name, id=id, port=port, address="127.0.0.1", tags=list(tags), weight=weight
        )

    def remove(self, id: str, *, at: Sidecar | None = None) -> None:
        """Deregister it; it goes on listening."""
        (at or self.near).call("deregister", id=id)

    def kill(self, id: str) -> None:
        """Stop listening; the registration stays."""
        self.backends.tell(f"close {self.ports.pop(id)}")

    def drain(self, id: str, on: bool = True) -> None:
        self.near.call("maint", service=id, off=not on, reason="deploy")

    def clear(self) -> None:
        """No instance, and no policy: for the next case."""
        for sidecar in (self.near, self.far):
            for service in sidecar.call("lookup", name="web", all=True):
                if service["node_name"] == sidecar.name:
                    sidecar.call("deregister", id=service["id"])
        for id in list(self.ports):
            self.kill(id)
        self.change_policy("")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.backends.close()
        self.sidecars.__exit__()


@contextmanager
def mesh_world(kind: str) -> Iterator[MeshWorld]:
    with MeshWorld(kind) as world:
        yield world
