"""Three hosts on one machine, each with a sidecar, an instance of `billing` (Python) and one of `stock` (Node.js).

The programs are those of scripts/examples. `exec` registers billing; stock registers itself. Owns: how programs and
sidecars are started and hurt. Never knows: what is right.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.checks.client.holdings import descendants
from scripts.tools.programs import free_port
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import wait_for

EXAMPLES = Path(__file__).parents[2] / "examples"
HOSTS = 3
END_S = 20.0


class Program:
    """An instance of a service, over all its processes."""

    def __init__(self, service: str, host: "Host") -> None:
        self.service = service
        self.port = free_port()
        self.id = f"{service}-{self.port}"
        self._host = host
        self._log = host.sidecars.folder / f"{self.id}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        port = str(self.port)
        check = f"http://127.0.0.1:{port}/,interval=1s,timeout=500ms"
        command = ["node", str(EXAMPLES / "stock.mjs"), port]
        if self.service == "billing":
            given = ["--service", self.service, "--port", port, "--address", "127.0.0.1", "--check", check]
            command = [*COMMAND, "exec", *given, "--", sys.executable, str(EXAMPLES / "billing.py"), port]
        environment = {**os.environ, "GOSSIPREG_SOCKET": str(self._host.sidecar.socket)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        """Of the program itself: that of billing is a child of `exec`."""
        assert self._process is not None
        return descendants(self._process.pid)[-1]

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """As a deploy does it: it leaves the answers first."""
        assert self._process is not None
        self._process.terminate()
        self._wait()

    def hang(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                for pid in reversed(descendants(self._process.pid)):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()

    def log(self) -> str:
        return self._log.read_text()

    def _wait(self) -> None:
        assert self._process is not None
        self._process.wait(END_S)


class Host:
    def __init__(self, number: int, sidecars: Sidecars, ports: list[int]) -> None:
        """`ports`: on which the sidecars of all hosts gossip."""
        self.name = f"host{number}"
        self.sidecars = sidecars
        self._port = ports[number]
        self._seeds = [f"--seed=127.0.0.1:{port}" for port in ports if port != self._port]
        self.sidecar = self._start()
        self.programs = [Program("billing", self), Program("stock", self)]

    def _start(self) -> Sidecar:
        bind = ("--bind", f"127.0.0.1:{self._port}")
        return self.sidecars.start(self.name, *bind, *self._seeds, seed=False)

    def kill_sidecar(self) -> None:
        self.sidecar.kill()
        self._start_again()

    def stop_sidecar(self) -> None:
        self.sidecar.end()
        self._start_again()

    def _start_again(self) -> None:
        self.sidecars.all.remove(self.sidecar)
        self.sidecar.close()
        self.sidecar = self._start().wait_ready()


class World:
    """All hosts: a context manager that leaves nothing behind."""

    def __init__(self) -> None:
        self._sidecars = Sidecars()
        self.folder = self._sidecars.folder
        ports = [free_port() for _ in range(HOSTS)]
        self.hosts = [Host(number, self._sidecars, ports) for number in range(HOSTS)]
        self.programs = [program for host in self.hosts for program in host.programs]

    def __enter__(self) -> "World":
        for host in self.hosts:
            host.sidecar.wait_ready()
        for program in self.programs:
            program.start()
        self.wait_whole()
        return self

    def __exit__(self, *_exception: object) -> None:
        for program in self.programs:
            program.close()
        self._sidecars.__exit__()

    def wait_whole(self) -> None:
        """Wait until each sidecar is synced, and lists every instance."""
        wait_for(lambda: all(host.sidecar.call("info")["synced"] for host in self.hosts))
        for service, ports in self._ports():
            wait_for(
                lambda service=service, ports=ports: all(  # type: ignore[misc]
                    {one["port"] for one in host.sidecar.call("lookup", name=service)} == ports for host in self.hosts
                ),
                what=f"every host lists all instances of {service}",
            )

    def registered(self) -> dict[str, set[str]]:
        """The ids of the instances, by service."""
        return {service: {f"{service}-{port}" for port in ports} for service, ports in self._ports()}

    def _ports(self) -> Iterator[tuple[str, set[int]]]:
        for service in ("billing", "stock"):
            yield service, {program.port for program in self.programs if program.service == service}
