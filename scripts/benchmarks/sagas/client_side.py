"""What the programs that take sagas share: many threads, each with one saga after the other.

    python -m MODULE ARGUMENT... FIRST COUNT     threads FIRST to FIRST + COUNT - 1

Writes the line `ready`, then reads a line with two times, between which each thread takes sagas. At its end it writes a
JSON list of [time of the decision, milliseconds from the beginning to it], for each saga that was committed. Times are
those of `time.perf_counter`, which all processes of a machine share.
"""

import json
import sys
import threading
import time
from collections.abc import Callable

STEPS = (("reserve", "/reservations"), ("pay", "/payments"), ("ship", "/shipments"))
"""Of each saga: (name, path)."""
SERVICE = "shop"


def take_sagas(take: Callable[[str], None], first: int, count: int) -> None:
    """Call `take` with a new name in each of these threads, until the time is over. What it raises ends the program."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    begin, end = map(float, sys.stdin.readline().split())
    done: list[tuple[float, float]] = []
    failed: list[BaseException] = []

    def keep_taking(thread: int) -> None:
        time.sleep(max(0.0, begin - time.perf_counter()))
        number = 0
        while (began := time.perf_counter()) < end and not failed:
            number += 1
            try:
                take(f"{thread}-{number}")
            except BaseException as error:
                failed.append(error)
                return
            now = time.perf_counter()
            done.append((now, 1000 * (now - began)))

    threads = [threading.Thread(target=keep_taking, args=(first + at,)) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    json.dump(done, sys.stdout)
    sys.stdout.flush()
