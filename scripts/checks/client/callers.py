"""The programs of the first part that call by themselves: one in Python with threads and forks, one in Node.js."""

import shutil
import subprocess
import sys
from pathlib import Path

from scripts.checks.client.holdings import MayGrow, descendants
from scripts.checks.client.stacks import ask_stacks

ROOT = Path(__file__).parents[3]
END_S = 30.0


class Caller:
    def __init__(self, name: str, command: list[str], folder: Path, may_grow: MayGrow) -> None:
        self.name = name
        self.may_grow = may_grow
        self.stacks = folder / f"{name}.stacks"
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self) -> str:
        """SIGTERM: it finishes what it has begun. Returns what went wrong."""
        self.process.terminate()
        try:
            code = self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            told = ask_stacks(descendants(self.process.pid), self.stacks)
            print(f"-- {self.name}", told, sep="\n", file=sys.stderr, flush=True)
            return f"{self.name} has not ended {END_S:g} s after SIGTERM"
        return f"{self.name} ended with {code}: {self.log.read_text()[-2000:]}" if code else ""


def threaded(socket: Path, records: Path, threads: int, children: int, seed: int) -> Caller:
    name, folder = "threads-and-forks", records.parent
    arguments = [socket, records, folder / f"{name}.stacks", threads, children, seed]
    command = [sys.executable, "-m", "scripts.checks.client.threaded", *map(str, arguments)]
    return Caller(name, command, folder, MayGrow())


def in_node(socket: Path, records: Path, callers: int, instances: int) -> Caller | None:
    """None: there is no Node.js. `instances`: of all services, since its agent keeps connections to each."""
    if shutil.which("node") is None:
        return None
    script = str(Path(__file__).with_name("caller.mjs"))
    command = ["node", script, str(socket), str(records), str(callers)]
    return Caller("node", command, records.parent, MayGrow(others=instances))
