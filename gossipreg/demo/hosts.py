"""A host of the demonstration: a sidecar and the programs beside it. It is killed, paused and started as a whole.

All hosts are on this machine, so `--host-id` says which host each sidecar is, and the copies of a journal lie on
several.
"""

import os
import shutil
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

from gossipreg.demo.layout import EVENT_GROUPS, HostPlan, ProgramPlan
from gossipreg.demo.link_relay import LinkRelays
from gossipreg.demo.ports import HOST, FreePorts
from gossipreg.demo.processes import DemoProcess

FIRST_PAGE_PORT = 18_501
"""The page of host-1, if the port is free; those of the others follow."""
CHECK = "interval=500ms,timeout=2s"
NODE_LEAST = 18
SHOP = "gossipreg.demo.shop"


def node_version() -> int | None:
    """The major version of Node.js on this machine; None: there is none."""
    import subprocess

    node = shutil.which("node")
    if node is None:
        return None
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
        return int(said.strip().removeprefix("v").partition(".")[0])
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def write_key(folder: Path) -> Path:
    """A new cluster key in this folder, which is of this user alone."""
    path = folder / "key"
    path.write_bytes(b64encode(os.urandom(32)) + b"\n")
    path.chmod(0o600)
    return path


class DemoHost:
    """One host. Its ports, its data directory and its identity stay while it is killed and started again."""

    def __init__(self, plan: HostPlan, number: int, folder: Path, ports: FreePorts, relays: LinkRelays) -> None:
        self.plan = plan
        self.name = plan.name
        self.is_paused = False
        self.socket = folder / f"{plan.name}.sock"
        self.page_port = ports.take(FIRST_PAGE_PORT + number)
        self._folder = folder
        self._inner_port = ports.take()
        outer_port = ports.take()
        self.advertised = f"{HOST}:{outer_port}"
        self._relays = relays
        relays.add(plan.name, self._inner_port, outer_port)
        self._program_ports = {program.name: ports.take() for program in plan.programs}
        self._sidecar: DemoProcess | None = None
        self._programs: dict[str, DemoProcess] = {}
        self._services_file = folder / f"{plan.name}.toml"
        self._services_file.write_text("".join(map(self._service, plan.programs)))

    def _service(self, program: ProgramPlan) -> str:
        port = self._program_ports[program.name]
        check = f"http://{HOST}:{port}/,{CHECK}"
        lines = (f'name = "{program.service}"', f'id = "{program.name}"', f"port = {port}", f'checks = ["{check}"]')
        return "\n".join(("[[service]]", *lines, f'meta = {{ language = "{language(program)}" }}', ""))

    @property
    def page(self) -> str:
        return f"http://{HOST}:{self.page_port}/ui/"

    @property
    def sidecar_pid(self) -> int | None:
        """None: it does not run."""
        return self._sidecar.pid if self._sidecar is not None and self._sidecar.is_running else None

    @property
    def answers(self) -> bool:
        """Whether its sidecar runs, and does not stand still."""
        return self.sidecar_pid is not None and not self.is_paused

    def runs(self, program: str) -> bool:
        process = self._programs.get(program)
        return process is not None and process.is_running

    def start(self, key: Path, seeds: Iterable[str]) -> None:
        """Start what does not run of it. Raises CannotStartYet."""
        if self.sidecar_pid is None:
            self._relays.open(self.name)
            self._sidecar = self._start_sidecar(key, seeds)
        for program in self.plan.programs:
            self.start_program(program)

    def _start_sidecar(self, key: Path, seeds: Iterable[str]) -> DemoProcess:
        arguments = {
            "name": self.name, "host-id": self.name, "zone": self.plan.zone, "cluster": "demo",
            "key-file": str(key), "data-dir": str(self._folder / self.name), "socket": str(self.socket),
            "bind": f"{HOST}:{self._inner_port}", "advertise": self.advertised, "http": f"{HOST}:{self.page_port}",
            "services": str(self._services_file), "min-copies": "3",
        }  # fmt: skip
        flags = [text for name, value in arguments.items() for text in (f"--{name}", value)]
        groups = [text for group in EVENT_GROUPS for text in ("--group", f"{group}=order.*")]
        seeded = [text for seed in seeds if seed != self.advertised for text in ("--seed", seed)]
        command = ("-m", "gossipreg", "join", "--ui-writes", *flags, *groups, *seeded)
        return DemoProcess(self.name, command, self._folder / f"{self.name}.log", {})

    def start_program(self, program: ProgramPlan) -> None:
        """Start this program unless it runs."""
        if self.runs(program.name):
            return
        port, database = self._program_ports[program.name], self._folder / f"{program.service}.db"
        if program.in_node:
            script = Path(__file__).parent / "shop" / f"{program.service}.mjs"
            command: tuple[str, ...] = ("node", str(script), str(port))
        else:
            command = ("-m", f"{SHOP}.{program.service}", str(port), str(database))
        self._programs[program.name] = DemoProcess(
            program.name, command, self._folder / f"{program.name}.log", {"GOSSIPREG_SOCKET": str(self.socket)}
        )

    def kill_program(self, program: str) -> None:
        self._programs[program].kill()

    def kill(self) -> None:
        """End all of it at once by SIGKILL."""
        for process in self._processes:
            process.kill()
        self._relays.close(self.name)
        self.is_paused = False

    def pause(self) -> None:
        """Have all of it stand still, as a virtual machine does while it is moved."""
        self.is_paused = True
        for process in self._processes:
            process.pause()

    def resume(self) -> None:
        for process in self._processes:
            process.resume()
        self.is_paused = False

    @property
    def _processes(self) -> list[DemoProcess]:
        sidecar = [] if self._sidecar is None else [self._sidecar]
        return [process for process in (*sidecar, *self._programs.values()) if process.is_running]

    @property
    def count(self) -> int:
        """How many processes of it run."""
        return len(self._processes)

    def ended_by_themselves(self) -> list[str]:
        """What ended though nobody killed it, each with its last words."""
        started = [*([self._sidecar] if self._sidecar else []), *self._programs.values()]
        ended = (process for process in started if not process.is_running and not process.was_killed)
        return [f"{process.name}: {process.last_words}" for process in ended]


def language(program: ProgramPlan) -> str:
    return "node" if program.in_node else "python"
