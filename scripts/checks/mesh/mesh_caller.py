"""What a case asks of a client of the mesh, and the gRPC clients: each is a process of its own.

A line of JSON on their stdin, and one on their stdout:

    {"do": "calls", "count": N, "timeout_s": S, "wait": B}    N calls, one after the other; wait: for a connection
    {"do": "begin_load", "rate": N, "timeout_s": S}           call N times a second from now on
    {"do": "end_load"}                                        stop that

Calls and the end of a load are answered with the shape of `Answers`.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).parents[3]
PEERS = ROOT / ".venv" / "peers"
TIMEOUT_S = 10.0


@dataclass
class Answers:
    by: Counter[str] = field(default_factory=Counter)
    """By the id of the instance that answered."""
    errors: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    last_error_at: float = 0.0
    """Seconds since 1970."""

    @property
    def total(self) -> int:
        return sum(self.by.values()) + sum(self.errors.values())


class MeshCaller(Protocol):
    kind: str

    def calls(self, count: int, *, timeout_s: float = ..., wait: bool = ...) -> Answers: ...

    def begin_load(self, rate: float, *, timeout_s: float = ...) -> None: ...

    def end_load(self) -> Answers: ...


class ProcessCaller:
    def __init__(self, kind: str, process: "subprocess.Popen[str]") -> None:
        self.kind = kind
        self._process = process

    def calls(self, count: int, *, timeout_s: float = TIMEOUT_S, wait: bool = False) -> Answers:
        return self._answers(do="calls", count=count, timeout_s=timeout_s, wait=wait)

    def begin_calls(self, count: int, *, timeout_s: float = TIMEOUT_S, wait: bool = False) -> None:
        """Like `calls`, but `taken` returns what came of them."""
        self._tell(do="calls", count=count, timeout_s=timeout_s, wait=wait)

    def taken(self) -> Answers:
        return _answers(self._heard())

    def begin_load(self, rate: float, *, timeout_s: float = TIMEOUT_S) -> None:
        self._tell(do="begin_load", rate=rate, timeout_s=timeout_s)
        self._heard()

    def end_load(self) -> Answers:
        return self._answers(do="end_load")

    def _answers(self, **asked: Any) -> Answers:
        self._tell(**asked)
        return self.taken()

    def _tell(self, **asked: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()

    def _heard(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the {self.kind} client has ended with {self._process.wait()}")
        return json.loads(line)


def _answers(shape: Any) -> Answers:
    return Answers(Counter(shape["by"]), Counter(shape["errors"]), shape["longest_s"], shape["last_error_at"])


COMMANDS = {
    "grpcio": [sys.executable, "-m", "scripts.checks.mesh.caller"],
    "grpc-js": ["node", str(Path(__file__).with_name("caller.mjs"))],
}


@contextmanager
def grpc_caller(kind: str, name: str, bootstrap: str, log: Path) -> Iterator[ProcessCaller]:
    """A client of `xds:///NAME` with this bootstrap (JSON). `kind` is one of COMMANDS."""
    rest = [str(PEERS / "node_modules")] if kind == "grpc-js" else []
    environment = {**os.environ, "GRPC_XDS_BOOTSTRAP_CONFIG": bootstrap, "PYTHONPATH": str(ROOT)}
    with (
        log.open("ab") as errors,
        subprocess.Popen(
            [*COMMANDS[kind], f"xds:///{name}", *rest], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            env=environment, cwd=ROOT, text=True,
        ) as process,
    ):  # fmt: skip
        try:
            yield ProcessCaller(kind, process)
        finally:
            process.kill()
