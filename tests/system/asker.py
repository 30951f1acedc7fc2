"""A client that looks up a service all the time, while a test acts on the sidecar."""

import threading
from collections import Counter
from typing import Self

from gossipreg.client.connection import Client
from scripts.tools.sidecars import Sidecar
from scripts.tools.wait import BOUND_S


class Asker(threading.Thread):
    """Looks up `web` all the time; every answer must have one instance."""

    def __init__(self, sidecar: Sidecar) -> None:
        super().__init__()
        self._socket = str(sidecar.socket)
        self._over = threading.Event()
        self._answers: Counter[int] = Counter()
        """The number of answers by their number of instances."""

    def run(self) -> None:
        with Client(self._socket, timeout_s=BOUND_S) as client:
            while not self._over.wait(0.002):
                self._answers[len(client.call("lookup", name="web"))] += 1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self.join()
        assert set(self._answers) == {1}, self._answers
        assert self._answers[1] > 10
