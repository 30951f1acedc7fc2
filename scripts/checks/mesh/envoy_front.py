"""An Envoy in front of the services, as a client of the mesh: each call is an HTTP request to its listener."""

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.checks.mesh.mesh_caller import PEERS, TIMEOUT_S, Answers
from scripts.tools.programs import free_port, running_program
from scripts.tools.wait import wait_for

ENVOY = PEERS / "envoy" / "bin" / "envoy"


class EnvoyCaller:
    kind = "envoy"

    def __init__(self, service: str, port: int, admin_port: int) -> None:
        self._service = service
        self.port = port
        self.admin_port = admin_port
        self._loaded = Answers()
        self._stop = threading.Event()
        self._load: threading.Thread | None = None

    def calls(self, count: int, *, timeout_s: float = TIMEOUT_S, wait: bool = False) -> Answers:  # noqa: ARG002
        answers = Answers()
        for _ in range(count):
            self._call(answers, timeout_s)
        return answers

    def begin_load(self, rate: float, *, timeout_s: float = TIMEOUT_S) -> None:
        self._loaded, self._stop = Answers(), threading.Event()

        def go_on() -> None:
            self._call(self._loaded, timeout_s)  # one at least, however soon it ends
            while not self._stop.wait(1 / rate):
                self._call(self._loaded, timeout_s)

        self._load = threading.Thread(target=go_on)
        self._load.start()

    def end_load(self) -> Answers:
        assert self._load is not None
        self._stop.set()
        self._load.join()
        return self._loaded

    def _call(self, answers: Answers, timeout_s: float) -> None:
        began = time.monotonic()
        try:
            status, body = self._asked(self.port, "/", timeout_s)
        except (OSError, http.client.HTTPException) as error:
            status, body = 0, f"{type(error).__name__}: {error}"
        answers.longest_s = max(answers.longest_s, time.monotonic() - began)
        if status == 200:
            answers.by[body] += 1
        else:
            answers.errors[f"{status}: {body}"] += 1
            answers.last_error_at = time.time()

    def _asked(self, port: int, path: str, timeout_s: float = TIMEOUT_S) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        try:
            connection.request("GET", path, headers={"Host": self._service})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def is_ready(self) -> bool:
        try:
            return self._asked(self.admin_port, "/ready")[0] == 200 and self._asked(self.port, "/")[0] != 0
        except OSError:
            return False

    def statistics(self, prefix: str) -> dict[str, float]:
        """Those of Envoy's own figures that begin so, from its admin port in Prometheus' form."""
        _, text = self._asked(self.admin_port, "/stats/prometheus")
        lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith(prefix))
        return {name: float(value) for name, _, value in lines}


@contextmanager
def envoy_front(service: str, bootstrap: str, listen_port: int, folder: Path) -> Iterator[EnvoyCaller]:
    """An Envoy with this bootstrap (JSON), ready, whose listener the policy puts at this port."""
    admin_port = free_port()
    shape = json.loads(bootstrap)
    shape["admin"] = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin_port}}}
    file = folder / "envoy.json"
    file.write_text(json.dumps(shape))
    command = [str(ENVOY), "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
    with running_program(command, folder / "envoy.log"):
        caller = EnvoyCaller(service, listen_port, admin_port)
        wait_for(caller.is_ready, what=f"Envoy is not ready: {folder / 'envoy.log'}")
        yield caller


def version() -> str:
    """`envoy --version` has it between slashes."""
    out = subprocess.run([str(ENVOY), "--version"], check=True, capture_output=True, text=True).stdout
    return out.split("/")[1] if "/" in out else out.strip()
