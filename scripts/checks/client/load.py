"""The program that sends orders: `python -m scripts.checks.client.load SOCKET RECORDS STACKS RATE`.

They go to billing and stock in turn. Each is due at its time, whatever became of those before, and takes from then
until its answer. The program ends with SIGTERM.
"""

import http.client
import itertools
import signal
import sys
import threading
from time import monotonic

import gossipreg
from gossipreg.client.service import Service
from scripts.checks.client.records import FAILED, Recorder, error_text
from scripts.checks.client.stacks import tell_stacks

THREADS = 60
"""So many orders may be under way, until others begin late: a free thread takes the next one."""
DEADLINE_S = 10.0


def order(instance: gossipreg.PickedInstance) -> tuple[int, str]:
    connection = http.client.HTTPConnection(instance.address, instance.port, timeout=instance.timeout_s)
    try:
        connection.request("GET", "/order", headers=dict(instance.headers()))
        answer = connection.getresponse()
        instance.status(answer.status)
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def main(path: str, records: str, stacks: str, rate: float) -> None:
    tell_stacks(stacks)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    registry, recorder = gossipreg.connect(path, timeout=30), Recorder(records)
    services = [registry.service("billing"), registry.service("stock")]
    start, numbers = monotonic(), itertools.count()

    def send(thread: int) -> None:
        for number in numbers:
            due = start + number / rate
            if ended.wait(max(0.0, due - monotonic())):
                return
            service, other = services if number % 2 else services[::-1]
            answer, attempts = send_order(service)
            asked = f"{service.name},{other.name}"
            recorder.note(f"thread {thread}", "order", monotonic() - due, asked, answer, attempts)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def send_order(service: Service) -> tuple[str, int]:
    """The answer as records have it, and how many requests were sent."""
    sent = []

    def attempt(instance: gossipreg.PickedInstance) -> tuple[int, str]:
        sent.append(instance)
        return order(instance)

    try:
        status, text = service.call(attempt, idempotent=True, deadline=DEADLINE_S)
    except Exception as error:  # what a program gets: the judge knows what may be
        return error_text(error), len(sent)
    return (answers(text) if status == 200 else f"{FAILED}Status{status}: {text}"), len(sent)


def answers(text: str) -> str:
    """The names of both services' instances, as records have them."""
    return ",".join(f"{name.partition('-')[0]} {name}" for name in text.split())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
