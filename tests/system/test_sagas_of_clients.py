"""The clients' sagas and participants at a real sidecar: Python in threads and loops, an outbox, Node.js."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import gossipreg
from gossipreg import aio
from gossipreg.client.registry import Registry
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import BOUND_S

CLIENT = Path(gossipreg.__file__).parent / "client" / "node" / "index.mjs"
UNDO = ("DELETE", "/reservations/{key}")


class Stock:
    """A service with a database, whose participant keeps the rules."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "stock.db"
        with closing(self.connect()) as connection:
            connection.execute("CREATE TABLE reservations (key TEXT PRIMARY KEY, item TEXT)")
            gossipreg.Participant(connection).create_table()
            gossipreg.Outbox(connection).create_table()
            connection.commit()
        stock = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                item = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["item"]
                key = self.headers["Idempotency-Key"]

                def reserve() -> object:
                    if item == "coffee":
                        return gossipreg.ParticipantAnswer(422, {"why": "no coffee here"})
                    connection.execute("INSERT INTO reservations VALUES (?, ?)", (key, item))
                    return {"reserved": item}

                with closing(stock.connect()) as connection:
                    gossipreg.Participant(connection).do(key, reserve).send(self)

            def do_DELETE(self) -> None:
                key = self.headers["Gossipreg-Undoes"]
                with closing(stock.connect()) as connection:
                    participant = gossipreg.Participant(connection)
                    delete = "DELETE FROM reservations WHERE key = ?"
                    participant.undo(key, lambda: connection.execute(delete, (key,)) and None).send(self)

            def log_message(self, *_said: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=BOUND_S)

    def items(self, saga: str) -> list[str]:
        """What is held for this saga."""
        with closing(self.connect()) as connection:
            found = connection.execute("SELECT item FROM reservations WHERE key LIKE ?", (f"{saga}/%",)).fetchall()
            return sorted(item for (item,) in found)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sidecar, Stock]]:
    folder = tmp_path_factory.mktemp("shop")
    stock = Stock(folder)
    with stock.server, Sidecars() as sidecars:
        thread = threading.Thread(target=stock.server.serve_forever, args=(0.01,))
        thread.start()
        sidecar = sidecars.start("n0", "--data-dir", str(folder / "data")).wait_ready()
        sidecar.call("register", name="stock", port=stock.server.server_port, address="127.0.0.1")
        yield sidecar, stock
        stock.server.shutdown()
        thread.join(BOUND_S)


@pytest.fixture
def registry(shop: tuple[Sidecar, Stock]) -> Iterator[Registry]:
    with gossipreg.connect(str(shop[0].socket)) as registry:
        registry.service("stock").wait(1, timeout=BOUND_S)
        yield registry


def reserve(name: str, item: str) -> dict[str, Any]:
    return {
        "name": name, "service": "stock", "method": "PUT", "path": "/reservations/{key}", "json": {"item": item},
        "undo": UNDO,
    }  # fmt: skip


def test_a_saga_is_committed_or_undone_whole(shop: tuple[Sidecar, Stock], registry: Registry) -> None:
    _, stock = shop
    with registry.saga("create-order", id="o1", input={"item": "tea"}) as saga:
        assert saga.step(**reserve("first", "{input.item}")).json() == {"reserved": "tea"}
        saga.steps([gossipreg.SagaStep(**reserve(f"s{n}", "more {result.first.reserved}")) for n in range(3)])
        saga.after("mail", "stock", "PUT", "/x", json={"item": "mail"})
    story = registry.saga_of("o1").wait(BOUND_S, until="ended")
    assert (story.is_committed, stock.items(saga.saga)) == (True, ["mail", "more tea", "more tea", "more tea", "tea"])
    with pytest.raises(gossipreg.SagaExists) as known:
        registry.saga("create-order", id="o1", input={"item": "tea"}).__enter__()
    assert (known.value.decision, known.value.saga) == ("commit", saga.saga)
    with pytest.raises(gossipreg.SagaConflict):
        registry.saga("create-order", id="o1", input={"item": "cake"}).__enter__()


@pytest.mark.parametrize("item", ["coffee", "tea"])
def test_what_fails_undoes_the_steps_before(shop: tuple[Sidecar, Stock], registry: Registry, item: str) -> None:
    _, stock = shop

    def order() -> None:
        with registry.saga("create-order", id=f"fails-{item}") as saga:
            saga.step(**reserve("first", "tea"))
            saga.step(**reserve("second", item))
            raise ZeroDivisionError

    with pytest.raises(gossipreg.StepRefused if item == "coffee" else ZeroDivisionError):
        order()
    story = registry.saga_of(f"fails-{item}").wait(BOUND_S, until="ended")
    assert (story.decision, stock.items(story.saga)) == ("abort", [])


def test_a_cancelled_block_is_undone(shop: tuple[Sidecar, Stock]) -> None:
    sidecar, stock = shop

    async def program() -> None:
        async with aio.connect(str(sidecar.socket)) as registry:
            begun = asyncio.Event()

            async def order() -> None:
                async with registry.saga("create-order", id="cancelled") as saga:
                    await saga.step(**reserve("first", "tea"))
                    begun.set()
                    await asyncio.sleep(BOUND_S)

            task = asyncio.create_task(order())
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            story = await registry.saga_of("cancelled").wait(BOUND_S, until="ended")
            assert (story.decision, stock.items(story.saga)) == ("abort", [])

    asyncio.run(asyncio.wait_for(program(), BOUND_S))


def test_a_saga_of_an_outbox_is_begun_once(shop: tuple[Sidecar, Stock], registry: Registry) -> None:
    _, stock = shop
    undo = {"method": "DELETE", "path": "/reservations/{key}"}
    definition = {"name": "create-order", "step": [{**reserve("first", "{input.item}"), "undo": undo}]}
    with closing(stock.connect()) as connection:
        for _ in range(2):
            gossipreg.Outbox(connection).begin_saga(definition, {"item": "tea"}, id="of-outbox")
        connection.commit()
    assert gossipreg.relay_once(stock.connect, registry).sent == 2
    story = registry.saga_of("of-outbox").wait(BOUND_S, until="ended")
    assert (story.is_committed, stock.items(story.saga)) == (True, ["tea"])


PROGRAM = """
import { connect } from "%s";
const registry = await connect();
await registry.service("stock").wait(1);
const options = (item) => ({ json: { item }, undo: ["DELETE", "/reservations/{key}"] });
const step = (saga, name, item) => saga.step(name, "stock", "PUT", "/reservations/{key}", options(item));
const order = (id, item) => registry.saga("create-order", { id, input: { item } }, async (saga) => {
  const answer = await step(saga, "first", "tea");
  await Promise.all([step(saga, "a", item), step(saga, "b", "cake")]);
  return answer.json().reserved;
});
const held = await order("node-1", "{input.item}");
const refused = await order("node-2", "coffee").catch((error) => error.name);
const story = await registry.sagaOf("node-2").wait({ until: "ended" });
console.log(JSON.stringify([held, refused, story.decision, story.saga]));
registry.close();
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_a_saga_of_node_is_committed_or_undone(shop: tuple[Sidecar, Stock], tmp_path: Path) -> None:
    sidecar, stock = shop
    program = tmp_path / "program.mjs"
    program.write_text(PROGRAM % CLIENT.as_uri())
    env = {"GOSSIPREG_SOCKET": str(sidecar.socket), "PATH": "/usr/bin:/bin:/usr/local/bin"}
    ended = subprocess.run(
        [str(shutil.which("node")), str(program)], capture_output=True, text=True, env=env, timeout=BOUND_S
    )
    assert ended.returncode == 0, ended.stderr
    held, refused, decision, saga = json.loads(ended.stdout)
    assert (held, refused, decision, stock.items(saga)) == ("tea", "StepRefused", "abort", [])
