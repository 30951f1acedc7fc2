"""Order at the shop: at a steady rate, and single orders.

    python -m gossipreg.demo.shop.customers

Each line of stdin is JSON: `{"rate": 5}` orders 5 times a second from now on; `{"order", "card"}` is one order more, by
its name; `{"finish": true}` stops, and prints `{"idle": true}` once every order has its answer. A line of stdout is
what came of one order: `{"order", "status", "why", "ms"}`. Status null: there was no answer, so the customer does not
know. Status 0: nobody was asked. An order that was never sent (nobody listened) is sent to another instance; one that
was sent is not repeated, since it could count twice.
"""

import http.client
import itertools
import json
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from time import monotonic
from typing import Any

import gossipreg
from gossipreg.demo.shop.stock import ITEM

CENTS = 450
ANSWER_S = 60.0
"""A saga has so long until it is decided."""
AT_ONCE = 64
"""Orders that wait for their answers at the same time; of more, the next one is late."""
CUSTOMERS = 9

registry = gossipreg.connect()
api = registry.service("api")
said = threading.Lock()


def new_order(name: str, customer: int = 0, card: str = "4242") -> dict[str, object]:
    return {"order": name, "customer": f"customer-{customer}", "item": ITEM, "cents": CENTS, "card": card}


def post(instance: gossipreg.PickedInstance, body: bytes) -> tuple[int, str]:
    connection = http.client.HTTPConnection(instance.address, instance.port, timeout=instance.timeout_s)
    try:
        headers = {"Content-Type": "application/json", **instance.headers()}
        connection.request("POST", "/orders", body, headers)
        response = connection.getresponse()
        instance.status(response.status)
        return response.status, json.loads(response.read()).get("why", "")
    finally:
        connection.close()


def send(one: dict[str, object]) -> None:
    """Order, and say what came of it."""
    body, begun = json.dumps(one).encode(), monotonic()
    status: int | None = None
    try:
        status, why = api.call(lambda instance: post(instance, body), deadline=ANSWER_S)
    except (gossipreg.NotSynced, gossipreg.NoInstance, gossipreg.BreakerOpen) as error:
        status, why = 0, str(error)  # nobody was asked
    except (OSError, http.client.HTTPException, gossipreg.GossipregError) as error:
        why = str(error) or type(error).__name__
    say({"order": one["order"], "status": status, "why": why, "ms": round(1000 * (monotonic() - begun), 1)})


def say(line: dict[str, object]) -> None:
    with said:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


class Customers:
    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._open: set[Future[None]] = set()
        """Orders without an answer yet."""
        self._rate = 0.0
        self._changed = threading.Condition()

    def listen(self) -> None:
        """Do what stdin says, until it ends."""
        threading.Thread(target=self._order_steadily, daemon=True).start()
        for line in sys.stdin:
            asked: dict[str, Any] = json.loads(line)
            if "order" in asked:
                self._submit(new_order(asked["order"], card=asked["card"]))
                continue
            with self._changed:
                self._rate = asked.get("rate", 0.0)
                self._changed.notify()
            if "finish" in asked:
                wait(self._open.copy())
                say({"idle": True})

    def _submit(self, one: dict[str, object]) -> None:
        future = self._pool.submit(send, one)
        self._open.add(future)
        future.add_done_callback(self._open.discard)

    def _order_steadily(self) -> None:
        with self._changed:
            due = monotonic()
            while True:
                changed = self._changed.wait(None if self._rate == 0 else max(0.0, due - monotonic()))
                if changed:
                    due = monotonic()  # another rate
                if self._rate:
                    number = next(self._numbers)
                    self._submit(new_order(f"order-{number}", number % CUSTOMERS))
                    due += 1 / self._rate


if __name__ == "__main__":
    Customers().listen()
