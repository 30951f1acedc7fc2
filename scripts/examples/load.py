"""Send orders to the services billing and stock, 100 a second, and print how they went.

    GOSSIPREG_SOCKET=/run/gossipreg/gossipreg.sock python load.py 10

The argument is for how many seconds. An order that fails is sent again, to another instance: GET may be repeated.
"""

import http.client
import sys
import threading
from collections import Counter
from time import monotonic, sleep

import gossipreg

SECONDS = float(sys.argv[1])
RATE = 100
THREADS = 20
registry = gossipreg.connect()
services = [registry.service("billing"), registry.service("stock")]
took_ms: list[float] = []
errors: list[str] = []
answered: Counter[str] = Counter()


def order(instance: gossipreg.PickedInstance) -> tuple[int, str]:
    connection = http.client.HTTPConnection(instance.address, instance.port, timeout=instance.timeout_s)
    try:
        connection.request("GET", "/order", headers=dict(instance.headers()))
        response = connection.getresponse()
        instance.status(response.status)
        return response.status, response.read().decode()
    finally:
        connection.close()


def send(thread: int, start: float) -> None:
    """The orders of one thread, each at its time."""
    for number in range(thread, int(RATE * SECONDS), THREADS):
        sleep(max(0.0, start + number / RATE - monotonic()))
        began = monotonic()
        try:
            status, text = services[number % 2].call(order, idempotent=True)
        except (OSError, http.client.HTTPException, gossipreg.GossipregError) as error:
            errors.append(repr(error))
        else:
            if status == 200:
                answered.update(text.split())
            else:
                errors.append(f"{status} {text}")
        took_ms.append(1000 * (monotonic() - began))


def main() -> None:
    for service in services:
        service.wait(3, timeout=30)
    print("all instances are found: orders are sent", flush=True)
    threads = [threading.Thread(target=send, args=(number, monotonic())) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_ms.sort()
    p50, p99 = took_ms[len(took_ms) // 2], took_ms[len(took_ms) * 99 // 100]
    print(f"{len(took_ms)} orders, {len(errors)} failed; p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    print("answered by", ", ".join(f"{name}: {number}" for name, number in sorted(answered.items())))
    for error in errors[:5]:
        print("failed:", error)


if __name__ == "__main__":
    main()
