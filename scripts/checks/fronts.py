"""A resolver or a proxy in front of a sidecar: its place, its start, and the blocks of gossipreg/docs/dns.md.

Owns how such a program is run: those of Debian are not installed but unpacked (`need_peers` in scripts/setup.sh), and
run in a mount namespace in which they seem to be installed; that needs root. Never knows how any one is configured:
`front_configs.py` does.
"""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.tools.programs import free_port, running_program
from scripts.tools.wait import wait_for

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "gossipreg" / "docs" / "dns.md"
PEERS = ROOT / ".venv" / "peers"
DOCUMENTED = {"8600": "dns", "8080": "backend"}
"""The ports in the documented blocks, and the servers that they stand for."""
READY_S = 20.0


class Missing(Exception):
    """This machine cannot run the program; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place where a front runs: its folder, its port, and the block with the real ports."""

    folder: Path
    port: int
    blocks: dict[str, str]

    def block(self, name: str) -> str:
        return self.blocks[name]

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def etc(self, name: str, text: str) -> None:
        """A file below /etc, as the front sees it."""
        self.write(f"etc/{name}", text)


Start = Callable[[Place], list[str]]


@dataclass(frozen=True, slots=True)
class Front:
    name: str
    program: str
    start: Start
    """Writes the configuration; returns the command."""
    kind: str = "dns"
    bound_s: float = 2.5
    """The bound on the time until a change is seen: the documented delay of the program, and a margin."""


def blocks_of_page(ports: dict[str, int]) -> dict[str, str]:
    """The named blocks of the page, by name, with these ports in the place of the documented ones."""
    found: dict[str, str] = {}
    for name, text in re.findall(r"^```\w+ ([\w-]+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for documented, what in DOCUMENTED.items():
            text = re.sub(rf"\b{documented}\b", str(ports[what]), text)
        found[name] = text
    return found


@contextmanager
def running(front: Front, folder: Path, ports: dict[str, int], *, name: str = "web") -> Iterator[int]:
    """Start the front and wait until it answers; yields its port. `name` is the service behind a proxy. Raises Missing,
    or RuntimeError with its output if it did not start."""
    blocks = {key: re.sub(r"(?<![a-z])web(?![a-z])", name, text) for key, text in blocks_of_page(ports).items()}
    place = Place(folder, free_port(), blocks)
    command = _placed(front, place, front.start(place))
    log = folder / "log"
    with running_program(command, log) as process:
        _wait_until_open(front, process, place.port, log)
        yield place.port


def _placed(front: Front, place: Place, command: list[str]) -> list[str]:
    """The command: of the installed program, or of the unpacked one in a mount namespace."""
    program = command[0]
    if Path(program).exists() or (shutil.which(program) and not (place.folder / "etc").exists()):
        return command
    if os.geteuid() != 0:
        raise Missing("only root can run what is unpacked and not installed: install it, or be root")
    unpacked = PEERS / "usr"
    if not shutil.which(program) and not any(unpacked.glob(f"*bin/{program}")) and not program.startswith("/"):
        raise Missing(f"{program} is in no package here")
    layers = f"mount -t overlay overlay -o ro,lowerdir={unpacked}:/usr /usr"
    if (place.folder / "etc").exists():
        layers += f" && mount -t overlay overlay -o ro,lowerdir={place.folder}/etc:/etc /etc"
    if front.program == "systemd-resolved":
        layers += " && mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd"
    return ["unshare", "--mount", "sh", "-c", f'{layers} && exec "$@"', "sh", *command]


def _wait_until_open(front: Front, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    with suppress(AssertionError):
        wait_for(lambda: process.poll() is not None or _is_open(port), READY_S)
    if process.poll() is None and _is_open(port):
        return
    said = log.read_text(errors="replace").strip().splitlines()[-5:]
    if any("mount: " in line or "unshare: " in line for line in said):
        raise Missing(f"no mount namespace can be made here: {said[-1]}")
    raise RuntimeError(f"{front.name} did not start: {' | '.join(said) or 'no output'}")


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(0.5)
        return client.connect_ex(("127.0.0.1", port)) == 0
