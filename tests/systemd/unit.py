"""The manual's unit, set up on a machine as the manual says, and a sidecar outside, which is another member."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import wait_for
from tests.systemd.machine import HOST, PEER, ROOT, Machine

PEER_PORT = 7941
KEY = "/etc/gossipreg/cluster.key"
SOCKET = "/run/gossipreg/gossipreg.sock"


def readme_unit() -> str:
    found = re.search(r"```ini\n(.*?)```", (ROOT / "gossipreg" / "docs" / "operations.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


class Unit:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._cluster = Sidecars()
        self.key_file = self._cluster.key_file
        """The outside sidecar's, which has the machine's key."""

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException:
            self._cluster.__exit__()
            raise
        return self

    def _set_up(self) -> None:
        machine = self.machine
        machine.sh("groupadd --system gossipreg-clients; groupadd --system gossipreg-keys; install -d /etc/gossipreg")
        machine.write("/etc/gossipreg/key.new", self.key_file.read_text() + "\n")
        machine.sh(f"install -m 0640 -g gossipreg-keys /etc/gossipreg/key.new {KEY}")
        machine.write(
            "/etc/gossipreg/environment",
            f"GOSSIPREG_SEED={PEER}:{PEER_PORT}\nGOSSIPREG_BIND={HOST}:7940\nGOSSIPREG_NAME=unit\n",
        )
        machine.write("/etc/systemd/system/gossipreg.service", readme_unit())
        command = [*machine.on_its_network(), sys.executable, "-m", "gossipreg.cli"]
        self.peer = self._cluster.start("peer", "--bind", f"{PEER}:{PEER_PORT}", seed=False, command=command)
        self.peer.wait_ready()
        machine.sh("systemctl daemon-reload; systemctl start gossipreg")
        wait_for(lambda: self.peer.states() == {"peer": "alive", "unit": "alive"})

    def __exit__(self, *_exception: object) -> None:
        self._cluster.__exit__()

    def listen(self) -> socket.socket:
        """A program on the machine's network that takes connections; its port is registered as `web`."""
        program = self._socket_there()
        port = program.getsockname()[1]
        self.cli("register", "web", "--port", str(port))
        wait_for(lambda: self.peer.lookup("web") == [f"{HOST}:{port}"])
        return program

    def _socket_there(self) -> socket.socket:
        """Only a thread of its own may enter another network, so a child makes the socket and hands it over."""
        ours, theirs = socket.socketpair()
        code = (
            "import socket, sys\n"
            f"listening = socket.create_server(({HOST!r}, 0))\n"
            "socket.send_fds(socket.socket(fileno=int(sys.argv[1])), [b'1'], [listening.fileno()])\n"
        )
        with ours, theirs:
            subprocess.run(
                [*self.machine.on_its_network(), sys.executable, "-c", code, str(theirs.fileno())],
                pass_fds=[theirs.fileno()], check=True,
            )  # fmt: skip
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        return socket.socket(fileno=descriptors[0])

    def cli(self, *args: str, check: bool = True) -> str:
        """`gossipreg` on the machine, as root."""
        return self.machine.run("gossipreg", "--socket", SOCKET, *args, check=check).stdout

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.cli("info", "--json"))
        return found

    def troubles(self) -> list[str]:
        return [one["message"] for one in self.info()["troubles"]]

    def systemctl(self, *args: str, check: bool = True) -> int:
        return self.machine.run("systemctl", *args, check=check).returncode

    def property(self, name: str) -> str:
        return self.machine.sh(f"systemctl show gossipreg -p {name} --value")

    def keys(self) -> dict[str, list[str]]:
        """Return the keys that each member accepts, as the outside sidecar knows them."""
        return {member["name"]: member["keys"] for member in self.peer.call("members") if member["state"] == "alive"}


def peer_reload(peer: Sidecar, key_file: Path, *keys: str) -> None:
    key_file.write_text("\n".join(keys) + "\n")
    peer.call("reload")
