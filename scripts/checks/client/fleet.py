"""The services that the programs call, and their instances, which come and go while they are called.

Owns: which instances were ever registered, which is what an answer is judged by. Never knows: who calls them.
"""

import subprocess
import sys
import threading
from random import Random
from typing import Self

from scripts.tools.programs import free_port
from scripts.tools.sidecars import Sidecar

SERVICES = ("billing", "stock", "mail")
INSTANCES = 3
"""Of each service. One of them at a time may be away."""
LINGER_S = 3.0
"""So long an instance goes on listening after it was taken out: a program whose sidecar is being restarted still knows
it."""
AWAY_S = 1.0
BETWEEN_S = 2.0


class Fleet:
    """A context manager: the process of the instances, and the thread that takes them out and brings them back."""

    def __init__(self, sidecars: list[Sidecar], rng: Random) -> None:
        """The instances are registered at these sidecars, which stay."""
        self.registered: dict[str, set[str]] = {name: set() for name in SERVICES}
        """By service: the ids that were registered at some time."""
        self.changes = 0
        self.faults: list[str] = []
        self._sidecars = sidecars
        self._rng = rng
        self._places = [(name, number, free_port()) for name in SERVICES for number in range(INSTANCES)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.checks.client.instances"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._come_and_go, daemon=True)

    @property
    def size(self) -> int:
        return len(self._places)

    def __enter__(self) -> Self:
        for service, number, port in self._places:
            self._open(service, f"{service}-{number}.0", port, number)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self._process.terminate()
        self._process.communicate()

    def _come_and_go(self) -> None:
        """One instance after the other is taken out, ends, and comes back with another id on the same port."""
        generation = 0
        try:
            while not self._stop.wait(BETWEEN_S):
                service, number, port = self._rng.choice(self._places)
                generation += 1
                self._sidecar(number).call("deregister", id=f"{service}-{number}")
                if self._stop.wait(LINGER_S):
                    return
                self._command(f"close {port}")
                if self._stop.wait(AWAY_S):
                    return
                self._open(service, f"{service}-{number}.{generation}", port, number)
                self.changes += 1
        except Exception as error:  # the check has to end, and to say so
            self.faults.append(f"the services cannot be changed: {type(error).__name__}: {error}")

    def _open(self, service: str, answer: str, port: int, number: int) -> None:
        self._command(f"open {service} {answer} {port}")
        self.registered[service] |= {answer, f"{service}-{number}"}
        self._sidecar(number).call(
            "register", name=service, port=port, address="127.0.0.1", id=f"{service}-{number}", meta={"answer": answer}
        )

    def _sidecar(self, number: int) -> Sidecar:
        return self._sidecars[number % len(self._sidecars)]

    def _command(self, line: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n", "the process of the instances has ended"
