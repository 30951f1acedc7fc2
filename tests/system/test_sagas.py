"""Sagas between three real sidecars and real participants, whoever dies."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import gossipreg
from gossipreg.client import Client
from gossipreg.errors import GossipregError, RequestError
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.system.participants import Participant
from tests.system.test_events import durable

RESERVE = {
    "name": "reserve", "service": "stock", "method": "PUT", "path": "/reservations/{key}",
    "json": {"item": "{input.item}"},
    "undo": {"method": "DELETE", "path": "/reservations/{key}"},
}  # fmt: skip
PAY = {
    "name": "pay", "service": "payment", "method": "PUT", "path": "/payments/{key}",
    "json": {"room": "{result.reserve.room}"},
    "undo": {"method": "DELETE", "path": "/payments/{key}"},
}  # fmt: skip
HARMLESS = {"name": "look", "service": "stock", "method": "PUT", "path": "/looks", "undo": None, "harmless": True}
MAIL = {"name": "mail", "service": "stock", "method": "POST", "path": "/mails"}
ORDER = {"name": "create-order", "timeout": 60, "step": [RESERVE, PAY], "after": [MAIL]}
INPUT = {"item": "book"}


@dataclass
class Shop:
    """Three sidecars, the first of which has the sagas, and two services that the others have."""

    folder: Path
    members: list[Sidecar]
    stock: Participant
    payment: Participant

    def held(self, saga: str) -> set[str]:
        """What has an effect of this saga."""
        keys = self.stock.ledger.holds | self.payment.ledger.holds
        return {key for key in keys if key.startswith(f"{saga}/")}


@contextmanager
def a_shop(folder: Path) -> Iterator[Shop]:
    with ExitStack() as stack:
        cluster = stack.enter_context(Sidecars())
        stock, payment = Participant(), Participant()
        stack.enter_context(stock.serving())
        stack.enter_context(payment.serving())
        members = durable(cluster, folder)
        stock.register(members[1], "stock")
        payment.register(members[2], "payment")
        for one in members:
            wait_for(lambda one=one: one.lookup("stock") and one.lookup("payment"))  # type: ignore[misc]
        with client(members[0]) as first:
            wait_for(lambda: first.call("saga-run", definition={**ORDER, "step": [HARMLESS], "after": []})["takeover"])
        yield Shop(folder, members, stock, payment)


@pytest.fixture(scope="module")
def whole_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """For tests after which all are still there."""
    with a_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def shop(whole_shop: Shop) -> Iterator[Shop]:
    yield whole_shop
    for one in (whole_shop.stock, whole_shop.payment):
        one.refuses = False
        one.slow.set()
        one.asked.clear()


def client(sidecar: Sidecar) -> Client:
    return Client(str(sidecar.socket), timeout_s=BOUND_S)


def code_of(one: Client, method: str, **params: Any) -> str:
    with pytest.raises(RequestError) as caught:
        one.call(method, **params)
    return caught.value.code


def story(sidecar: Sidecar, saga: str) -> dict[str, Any]:
    found: dict[str, Any] = sidecar.call("saga-show", saga=saga)
    return found


def has_ended(sidecar: Sidecar, saga: str) -> bool:
    """As this sidecar says; not while nobody leads its journal."""
    try:
        return bool(story(sidecar, saga)["state"] == "ended")
    except RequestError:
        return False


def ended(shop: Shop, saga: str) -> dict[str, Any]:
    """The story, once the saga has ended, as a member says that is left. How soon that is, virtual time tests."""
    left = next(one for one in shop.members if one.process.poll() is None)
    wait_for(lambda: has_ended(left, saga), 4 * BOUND_S)
    return story(left, saga)


def test_steps_are_done_once_and_every_sidecar_tells_the_same(shop: Shop) -> None:
    one, two, three = shop.members
    with client(one) as program:
        begun = program.call("saga-begin", name="create-order", id="order-7", input=INPUT)
        saga = begun["saga"]
        assert (begun["state"], begun["exists"], begun["takeover"]) == ("running", False, True)
        reserved = program.call("saga-step", saga=saga, step=RESERVE)
        assert (reserved["state"], reserved["status"], json.loads(reserved["body"])) == ("done", 200, {"room": 17})
        assert program.call("saga-step", saga=saga, step=RESERVE) == reserved, "the same step again"
        assert code_of(program, "saga-step", saga=saga, step={**RESERVE, "path": "/other"}) == "conflict"
        program.call("saga-step", saga=saga, step=PAY)
        program.call("saga-after", saga=saga, step=MAIL)
        assert f"{saga}/mail" not in shop.stock.ledger.after
        assert [program.call("saga-commit", saga=saga)["state"] for _ in range(2)] == ["committed"] * 2
        assert code_of(program, "saga-abort", saga=saga) == "committed"
        assert code_of(program, "saga-step", saga=saga, step={**PAY, "name": "more"}) == "decided"
        again = program.call("saga-begin", name="create-order", id="order-7", input=INPUT)
        assert (again["exists"], again["decision"]) == (True, "commit")
        assert code_of(program, "saga-begin", name="create-order", id="order-7", input={"item": "pen"}) == "conflict"
    wait_for(lambda: story(one, saga)["state"] == "ended")
    assert shop.held(saga) == {f"{saga}/reserve", f"{saga}/pay", f"{saga}/mail"}
    assert {shop.stock.ledger.done[f"{saga}/{step}"] for step in ("reserve", "mail")} == {1}
    assert story(one, saga) == story(two, saga) == story(three, "order-7")
    assert [step["state"] for step in story(one, saga)["steps"]] == ["done", "done", "after_done"]


def test_refused_step_has_the_others_undone(shop: Shop) -> None:
    one, two, _ = shop.members
    shop.payment.refuses = True
    with client(one) as program:
        saga = program.call("saga-begin", name="create-order", input=INPUT)["saga"]
        program.call("saga-step", saga=saga, step=RESERVE)
        assert program.call("saga-step", saga=saga, step=PAY)["state"] == "refused"
        assert code_of(program, "saga-commit", saga=saga) == "not_done"
        assert program.call("saga-abort", saga=saga, reason="no money")["state"] == "aborted"
        assert code_of(program, "saga-commit", saga=saga) == "aborted"
    wait_for(lambda: story(two, saga)["state"] == "ended")
    assert (story(two, saga)["decision"], story(two, saga)["reason"]) == ("abort", "no money")
    assert f"{saga}/reserve" in shop.stock.ledger.undone
    assert f"{saga}/pay" not in shop.payment.ledger.undone, "it was refused"
    assert shop.held(saga) == set()


class Killed(BaseException):
    """The process of the relay ends here."""


class DyingRegistry:
    """Begins sagas at this sidecar, and dies before it learns that."""

    def __init__(self, registry: gossipreg.Registry) -> None:
        self._registry = registry
        self.publish, self.saga_journal = registry.publish, registry.saga_journal

    def run_saga(self, definition: Any, input: object = None, **named: Any) -> object:
        self._registry.run_saga(definition, input, **named)
        raise Killed


def test_a_saga_of_an_outbox_runs_once_at_two_sidecars(shop: Shop, tmp_path: Path) -> None:
    """The relay ends between the beginning and the mark, and another one, at another sidecar, sends the row again."""
    one, two, three = shop.members

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(tmp_path / "shop.db", timeout=BOUND_S)

    with closing(connect()) as connection:
        gossipreg.Outbox(connection).create_table()
        gossipreg.Outbox(connection).begin_saga(ORDER, INPUT, id="of-outbox")
        connection.commit()
    with gossipreg.connect(str(one.socket)) as registry, pytest.raises(Killed):
        gossipreg.relay_once(connect, DyingRegistry(registry))
    with gossipreg.connect(str(two.socket)) as registry:
        assert gossipreg.relay_once(connect, registry).sent == 1
        assert registry.saga_of("of-outbox").wait(BOUND_S, until="ended").is_committed
    named = [saga["saga"] for saga in three.call("saga-list")["sagas"] if saga["saga"].endswith(".of-outbox")]
    assert len(named) == 1
    assert named[0].startswith(f"{one.call('saga-journal')['journal']}.")
    assert {shop.stock.ledger.done[f"{named[0]}/{step}"] for step in ("reserve", "mail")} == {1}


def test_saga_goes_on_or_is_undone_where_its_host_burns(tmp_path: Path) -> None:
    """SIGKILL in the middle of a step, and the disk is gone: a declared one goes on, one by code is undone."""
    with a_shop(tmp_path) as shop, client(shop.members[0]) as program, client(shop.members[0]) as other:
        by_code = program.call("saga-begin", name="create-order", input=INPUT)["saga"]
        program.call("saga-step", saga=by_code, step=RESERVE)
        shop.payment.slow.clear()
        paying = threading.Thread(target=lambda: _ignoring(program, "saga-step", saga=by_code, step=PAY))
        paying.start()
        assert shop.payment.asked.wait(BOUND_S)
        shop.payment.asked.clear()
        declared = other.call("saga-run", definition=ORDER, input=INPUT)["saga"]
        assert shop.payment.asked.wait(BOUND_S)
        shop.members[0].kill()
        shutil.rmtree(shop.folder / "data0")
        shop.payment.slow.set()
        told = ended(shop, declared)
        assert (told["decision"], [step["state"] for step in told["steps"]]) == (
            "commit",
            ["done", "done", "after_done"],
        )
        told = ended(shop, by_code)
        assert told["decision"] == "abort"
        assert shop.held(by_code) == set()
        assert shop.held(declared) == {f"{declared}/reserve", f"{declared}/pay", f"{declared}/mail"}
        assert f"{by_code}/pay" in shop.payment.ledger.undone
        paying.join()


def _ignoring(program: Client, method: str, **params: Any) -> None:
    with suppress(GossipregError):  # its sidecar was killed
        program.call(method, **params)


PROGRAM = """if True:
    import sys
    from gossipreg.client import Client
    with Client(sys.argv[1]) as client:
        saga = client.call("saga-begin", name="create-order", input={"item": "book"})["saga"]
        print(saga, flush=True)
        client.call("saga-step", saga=saga, step=eval(sys.argv[2]))
        print("reserved", flush=True)
        client.call("saga-step", saga=saga, step=eval(sys.argv[3]))
"""


def test_saga_of_a_program_that_is_killed_in_a_step_is_undone(shop: Shop) -> None:
    shop.payment.slow.clear()
    command = [sys.executable, "-c", PROGRAM, str(shop.members[0].socket), repr(RESERVE), repr(PAY)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        saga = program.stdout.readline().strip()
        assert program.stdout.readline() == "reserved\n"
        assert shop.payment.asked.wait(BOUND_S)
        program.send_signal(signal.SIGKILL)
    shop.payment.slow.set()
    told = ended(shop, saga)
    assert (told["decision"], told["reason"], shop.held(saga)) == ("abort", "its program was lost", set())
