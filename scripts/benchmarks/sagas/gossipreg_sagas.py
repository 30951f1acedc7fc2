"""Sagas of gossipreg: by code, or declared.

python -m scripts.benchmarks.sagas.gossipreg_sagas by_code|declared SOCKET FIRST COUNT
"""

import sys

import gossipreg
from gossipreg.client import Client
from gossipreg.sagas.saga_definition import definition_untrusted, encode_definition
from scripts.benchmarks.sagas.client_side import SERVICE, STEPS, take_sagas

TIMEOUT_S = 60.0
DEFINITION = {
    "name": "order",
    "step": [
        {"name": name, "service": SERVICE, "method": "PUT", "path": path + "/{key}", "json": {"item": "tea"},
         "undo": {"method": "DELETE", "path": path + "/{key}"}}
        for name, path in STEPS
    ],
}  # fmt: skip


def by_code(socket: str, first: int, count: int) -> None:
    with gossipreg.connect(socket) as registry:

        def take(name: str) -> None:
            with registry.saga("order", id=name, timeout=TIMEOUT_S) as saga:
                for step, path in STEPS:
                    saga.step(
                        step, SERVICE, "PUT", path + "/{key}", json={"item": "tea"}, undo=("DELETE", path + "/{key}")
                    )

        take_sagas(take, first, count)


def declared(socket: str, first: int, count: int) -> None:
    definition = encode_definition(definition_untrusted(DEFINITION))
    client = Client(socket, timeout_s=TIMEOUT_S)

    def take(name: str) -> None:
        begun = client.call("saga-run", definition=definition, id=name, input=b"null")
        story = client.call("saga-wait", saga=begun["saga"], until="decided", timeout_ms=int(1000 * TIMEOUT_S))
        if story["decision"] != "commit":
            raise RuntimeError(f"saga {name} was not committed: {story['reason']}")

    take_sagas(take, first, count)


if __name__ == "__main__":
    take = {"by_code": by_code, "declared": declared}[sys.argv[1]]
    take(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
