"""A program that takes sagas at a steady rate, by code and declared, and writes down what it was told.

    python -m scripts.soaking.saga_program SOCKET NAME A_MINUTE SEED NOTES

An order reserves at the stock, pays, and mails after the commit. A fifth of them are refused by the payment, some
change their mind. SIGTERM: no new ones, and an end when all that runs have ended.
"""

import random
import signal
import sys
import threading
import time
from pathlib import Path

import gossipreg
from gossipreg.client.connection import Client
from gossipreg.errors import GossipregError
from scripts.soaking.saga_notes import SagaNotes
from scripts.soaking.sagas_judge import ToldSaga

THREADS = 8
CALL_S = 90.0
TIMEOUT_S = 60.0
AGAIN_S = 0.5
UNDO = ("DELETE", "/book/{key}")
DEFINITION = {
    "name": "declared-order", "timeout": TIMEOUT_S,
    "step": [
        {"name": name, "service": service, "method": "PUT", "path": "/book/{key}",
         "json": {"amount": "{input.amount}"}, "undo": {"method": "DELETE", "path": "/book/{key}"}}
        for name, service in (("reserve", "stock"), ("pay", "payment"))
    ],
    "after": [
        {"name": "mail", "service": "mail", "method": "PUT", "path": "/book/{key}", "json": {"amount": 0}}
    ],
}  # fmt: skip


class ChangedMind(Exception):
    pass


class SagaProgram:
    def __init__(self, socket: str, name: str, a_minute: float, seed: int, notes: SagaNotes) -> None:
        self._socket, self._name, self._notes = socket, name, notes
        self._pause_s = THREADS * 60 / a_minute
        self._seed = seed
        self.over = threading.Event()

    def run(self) -> None:
        with gossipreg.connect(self._socket) as registry:
            threads = [threading.Thread(target=self._take_all, args=(registry, number)) for number in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _take_all(self, registry: gossipreg.Registry, thread: int) -> None:
        rng = random.Random(f"{self._seed} {thread}")
        taken, due = 0, time.monotonic() + self._pause_s * thread / THREADS
        while not self.over.wait(max(0.0, due - time.monotonic())):
            id, amount = f"{self._name}-{thread}-{taken}", rng.choice((10, 20, 30, 40, 900))
            taken += 1
            began = time.monotonic()
            try:
                if rng.random() < 0.5:
                    saga, outcome = self._by_code(registry, id, amount, rng)
                else:
                    saga, outcome = self._declared(id, amount)
            except GossipregError as error:
                self._notes.write_refused(error.code)
                time.sleep(AGAIN_S)
            else:
                self._notes.write(ToldSaga(saga, outcome, round(time.monotonic() - began, 3)))
            due = max(due + self._pause_s, time.monotonic())

    def _by_code(self, registry: gossipreg.Registry, id: str, amount: int, rng: random.Random) -> tuple[str, str]:
        name = ""
        try:
            with registry.saga("order", id=id, input={"amount": amount}, timeout=TIMEOUT_S) as saga:
                name = saga.saga
                body = {"amount": "{input.amount}"}
                saga.step("reserve", "stock", "PUT", "/book/{key}", json=body, undo=UNDO)
                saga.step("pay", "payment", "PUT", "/book/{key}", json=body, undo=UNDO)
                saga.after("mail", "mail", "PUT", "/book/{key}", json={"amount": 0})
                if rng.random() < 0.1:
                    raise ChangedMind
        except (gossipreg.OutcomeUnknown, gossipreg.SagaExists):
            return name, "unknown"
        except (ChangedMind, gossipreg.StepRefused, gossipreg.StepUnknown, gossipreg.SagaAborted):
            return name, "aborted"
        except GossipregError:
            if not name:
                raise
            return name, "unknown"
        return name, "committed"

    def _declared(self, id: str, amount: int) -> tuple[str, str]:
        with Client(self._socket, timeout_s=CALL_S) as client:
            begun = client.call("saga-run", definition=DEFINITION, id=id, input={"amount": amount})
            name = str(begun["saga"])
            try:
                story = client.call("saga-wait", saga=name, until="decided", timeout_ms=int(1000 * TIMEOUT_S))
            except GossipregError:
                return name, "unknown"
        return name, {"commit": "committed", "abort": "aborted", None: "unknown"}[story["decision"]]


def main() -> None:
    socket, name, a_minute, seed, notes = sys.argv[1:]
    program = SagaProgram(socket, name, float(a_minute), int(seed), SagaNotes(Path(notes)))
    signal.signal(signal.SIGTERM, lambda *_: program.over.set())
    program.run()


if __name__ == "__main__":
    main()
