"""Sagas as DBOS workflows of three steps; the steps are requests over kept connections.

python -m scripts.benchmarks.sagas.dbos_sagas PORT DATABASE FIRST COUNT
"""

import http.client
import json
import sys
import threading

from dbos import DBOS, SetWorkflowID

from scripts.benchmarks.sagas.client_side import STEPS, take_sagas

TIMEOUT_S = 5.0
_threads = threading.local()


def send(port: int, path: str, body: object) -> object:
    connection = getattr(_threads, "connection", None)
    if connection is None:
        connection = _threads.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.request("PUT", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"status {answer.status}")
    return json.loads(data)


@DBOS.step()  # type: ignore[untyped-decorator]
def step(port: int, path: str) -> object:
    return send(port, path, {"item": "tea"})


@DBOS.workflow()  # type: ignore[untyped-decorator]
def order(port: int, name: str) -> None:
    for _, path in STEPS:
        step(port, f"{path}/{name}")


def main(port: int, database: str, first: int, count: int) -> None:
    DBOS(config={
        "name": "bench", "system_database_url": f"sqlite:///{database}", "run_admin_server": False,
        "log_level": "ERROR",
    })  # fmt: skip
    DBOS.launch()

    def take(name: str) -> None:
        with SetWorkflowID(name):
            order(port, name)

    try:
        take_sagas(take, first, count)
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
