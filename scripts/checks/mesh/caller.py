"""A gRPC client that finds its service by xDS: `python -m scripts.checks.mesh.caller TARGET`, with the bootstrap in
GRPC_XDS_BOOTSTRAP_CONFIG. What it is told and what it answers stands in `mesh_caller.py`."""

import json
import sys
import threading
import time
from collections import Counter
from typing import Any

import grpc

from scripts.checks.mesh.backend import METHOD


class Tally:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._longest_s = 0.0
        self._last_error_at = 0.0

    def add(self, began: float, answer: str | None, error: str = "") -> None:
        with self._lock:
            self._longest_s = max(self._longest_s, time.monotonic() - began)
            if answer is None:
                self._errors[error] += 1
                self._last_error_at = time.time()
            else:
                self._by[answer] += 1

    def shape(self) -> dict[str, Any]:
        return {
            "by": self._by, "errors": self._errors, "longest_s": self._longest_s, "last_error_at": self._last_error_at,
        }  # fmt: skip


class GrpcCaller:
    def __init__(self, target: str) -> None:
        self._channel = grpc.insecure_channel(target)
        self._ask = self._channel.unary_unary(METHOD)
        self._load: threading.Thread | None = None
        self._loaded = Tally()
        self._stop = threading.Event()

    def call(self, tally: Tally, timeout_s: float, wait: bool) -> None:
        began = time.monotonic()
        try:
            tally.add(began, self._ask(b"", timeout=timeout_s, wait_for_ready=wait).decode())
        except grpc.RpcError as error:
            tally.add(began, None, f"{error.code().name}: {error.details()}")

    def calls(self, count: int, timeout_s: float, wait: bool) -> dict[str, Any]:
        tally = Tally()
        for _ in range(count):
            self.call(tally, timeout_s, wait)
        return tally.shape()

    def begin_load(self, rate: float, timeout_s: float) -> dict[str, Any]:
        self._loaded, self._stop = Tally(), threading.Event()
        self._load = threading.Thread(target=self._go_on, args=(rate, timeout_s))
        self._load.start()
        return {}

    def _go_on(self, rate: float, timeout_s: float) -> None:
        self.call(self._loaded, timeout_s, False)  # one at least, however soon it ends
        while not self._stop.wait(1 / rate):
            self.call(self._loaded, timeout_s, False)

    def end_load(self) -> dict[str, Any]:
        assert self._load is not None
        self._stop.set()
        self._load.join()
        return self._loaded.shape()


def main() -> None:
    caller = GrpcCaller(sys.argv[1])
    for line in sys.stdin:
        asked = json.loads(line)
        match asked.pop("do"):
            case "calls":
                answer = caller.calls(**asked)
            case "begin_load":
                answer = caller.begin_load(**asked)
            case _:
                answer = caller.end_load()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
