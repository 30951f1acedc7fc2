"""gRPC servers and clients as processes of their own (`grpc_child.py`), and a client that asks a real sidecar."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from scripts.tools.sidecars import Sidecar
from scripts.tools.wait import BOUND_S

CHILD = Path(__file__).parent / "grpc_child.py"


class GrpcProgram:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in: IO[str] = process.stdin
        self._out: IO[str] = process.stdout

    def read(self) -> Any:
        return json.loads(self._out.readline())

    def tell(self, **wanted: Any) -> dict[str, int]:
        self._in.write(json.dumps(wanted) + "\n")
        self._in.flush()
        found: dict[str, int] = self.read()
        return found

    def answers(self, **wanted: Any) -> set[str]:
        """The answers of ten calls."""
        return set(self.tell(calls=10, **wanted))


@contextmanager
def child(*arguments: str, **environment: str) -> Iterator[GrpcProgram]:
    with subprocess.Popen(
        [sys.executable, str(CHILD), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "GRPC_VERBOSITY": "NONE", **environment},
    ) as process:  # fmt: skip
        try:
            yield GrpcProgram(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(BOUND_S)
            finally:
                process.kill()


@contextmanager
def client(sidecar: Sidecar, target: str, *, zone: str = "") -> Iterator[GrpcProgram]:
    bootstrap = {
        "xds_servers": [{"server_uri": sidecar.ready["xds"], "channel_creds": [{"type": "insecure"}]}],
        "node": {"id": "test", "locality": {"zone": zone}},
    }
    with child("ask", target, GRPC_XDS_BOOTSTRAP_CONFIG=json.dumps(bootstrap)) as one:
        yield one


@contextmanager
def servers(*names: str) -> Iterator[dict[str, int]]:
    """The ports of servers with these names; each answers with its name."""
    with child("serve", *names) as running:
        yield running.read()
