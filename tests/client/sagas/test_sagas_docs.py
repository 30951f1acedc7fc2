"""The programs of docs/sagas-clients.md run as they stand there."""

import asyncio
import re
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gossipreg import Participant, Refused
from gossipreg.client.sagas.participant_answer import TRIED_AGAIN
from gossipreg.client.sagas.participant_rules import FORGET_ROWS, KEPT, LEAST_KEPT
from gossipreg.client.sagas.program_saga import SAGA_S
from gossipreg.client.sagas.saga_call import LOST_S
from tests.client.outbox.conftest import MakeDatabase, postgres  # noqa: F401  # a fixture
from tests.client.sagas.saga_sidecar import SagaSidecar, step_answer
from tests.client.sagas.test_participant import with_table

PAGE = (Path(__file__).parents[3] / "gossipreg" / "docs" / "sagas-clients.md").read_text()
KEY = f"{'ab' * 16}.s1/reserve"


def blocks() -> list[str]:
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE, re.MULTILINE)
    return [textwrap.dedent(block).strip() for block in found]


def test_the_order_of_the_page_runs(sagas: SagaSidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIPREG_SOCKET", str(sagas.path))
    sagas.usual["saga-step"] = lambda _: step_answer(body=b'{"card":"visa"}')
    names: dict[str, Any] = {}
    exec(blocks()[0], names)
    names["order"](7, "tea")
    names["registry"].close()
    assert sagas.methods == ["begin", "step", "step", "after", "commit"]
    assert sagas.params("saga-after")[0]["step"]["json"] == {"text": "paid with visa"}


def stock_of_the_page() -> dict[str, Any]:
    """The names of the page's `stock.py`, with its tables made."""
    (source,) = re.findall(r"^`stock.py`[^\n]*:\n\n((?:    .*\n|\n(?=    ))+)", PAGE, re.MULTILINE)
    names: dict[str, Any] = {"__name__": "stock"}
    exec(textwrap.dedent(source), names)
    names["prepare"]()
    return names


@contextmanager
def stock_over(postgres: MakeDatabase) -> Iterator[SimpleNamespace]:  # noqa: F811
    """The page's `stock.py` with a pool, in a database of its own."""
    (source,) = [block for block in blocks() if "import ConnectionPool" in block]
    names: dict[str, Any] = {}
    exec(source.replace('"dbname=stock"', repr(postgres().address)), names)
    with names["pool"]:
        names["prepare"]()
        yield SimpleNamespace(**names)


def test_the_participant_of_the_page_keeps_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = stock_of_the_page()
    names["Stock"].log_message = lambda *_: None
    with ThreadingHTTPServer(("127.0.0.1", 0), names["Stock"]) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()

        def ask(method: str, key: str, item: str = "tea") -> tuple[int, bytes]:
            connection = HTTPConnection("127.0.0.1", server.server_port, timeout=30)
            header = "Idempotency-Key" if method == "PUT" else "Gossipreg-Undoes"
            connection.request(method, "/reservations/x", f'{{"item": "{item}"}}', {header: key})
            answer = connection.getresponse()
            found = answer.status, answer.read()
            connection.close()
            return found

        assert [ask("PUT", KEY), ask("PUT", KEY)] == [(200, b'{"reserved":"tea"}')] * 2
        assert [ask("DELETE", KEY)[0], ask("DELETE", KEY)[0], ask("PUT", KEY)[0]] == [204, 204, 410]
        assert [ask("PUT", "other", "coffee")[0], ask("DELETE", "other")[0]] == [422, 204]
        with names["connect"]() as connection:
            connection.execute("ALTER TABLE reservations RENAME TO elsewhere")
        assert ask("PUT", "third")[0] == 500, "an exception is an answer, so the step is sent again"
        with names["connect"]() as connection:
            connection.execute("ALTER TABLE elsewhere RENAME TO reservations")
        assert ask("PUT", "third")[0] == 200
        server.shutdown()
        thread.join(30)


def test_the_program_of_fastapi_keeps_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "stock", SimpleNamespace(**stock_of_the_page()))
    asyncio.run(ask_app(app_of_the_page("from stock import")))


def test_the_program_of_fastapi_runs_over_a_pool(postgres: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    for module in ("fastapi", "httpx", "psycopg_pool"):
        pytest.importorskip(module)
    with stock_over(postgres) as stock:
        monkeypatch.setitem(sys.modules, "stock", stock)
        asyncio.run(ask_app(app_of_the_page("from stock import")))


def test_the_program_of_asyncio_keeps_the_rules(postgres: MakeDatabase) -> None:  # noqa: F811
    for module in ("fastapi", "httpx", "psycopg_pool"):
        pytest.importorskip(module)

    async def run() -> None:
        app = app_of_the_page("AsyncConnectionPool", postgres().address)
        async with app.router.lifespan_context(app):
            await ask_app(app)

    asyncio.run(run())


def test_what_the_page_says_of_psycopg_holds(postgres: MakeDatabase) -> None:  # noqa: F811
    psycopg: Any = pytest.importorskip("psycopg")
    database = with_table(postgres())
    with closing(database.connect()) as connection:
        participant = Participant(connection)
        with pytest.raises(psycopg.ProgrammingError, match="commit"):
            participant.do(KEY, connection.commit)
        assert participant.do(KEY, lambda: "now").body == b"now"
        connection.execute("SELECT 1")
        with pytest.raises(Refused, match="a transaction is open"):
            participant.do("other", lambda: None)
        connection.rollback()
        connection.autocommit = True
        connection.execute("SELECT 1")
        assert participant.do("other", lambda: None).status == 204
        with connection.transaction():
            assert participant.do("third", lambda: None, commit=False).status == 204
    assert len(database.query("SELECT key FROM gossipreg_participant")) == 3


def app_of_the_page(which: str, address: str = "") -> Any:
    """The application of the program that has this in it."""
    (source,) = [block for block in blocks() if "@app.put" in block and which in block]
    names: dict[str, Any] = {"__name__": "app_of_the_page"}
    exec(source.replace('"dbname=stock"', repr(address)), names)
    return names["app"]


async def ask_app(app: Any) -> None:
    """Do a step, do it again, let one fail, undo it, do it too late."""
    import httpx

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://stock") as client:

        async def put(key: str, **body: str) -> httpx.Response:
            return await client.put(f"/reservations/{key}", json=body, headers={"Idempotency-Key": key})

        for item in ("tea", "coffee"):
            answer = await put(KEY, item=item)
            assert (answer.status_code, answer.json()) == (200, {"reserved": "tea"})
        assert (await put("other", thing="tea")).status_code == 500, "the step is sent again"
        undone = await client.delete(f"/reservations/{KEY}", headers={"Gossipreg-Undoes": KEY})
        assert (undone.status_code, (await put(KEY, item="tea")).status_code) == (204, 410)


def test_the_page_has_the_figures_of_the_code() -> None:
    text = " ".join(PAGE.split())
    assert ", ".join(str(status) for status in sorted(TRIED_AGAIN)[:-1]) in text
    for figure in (
        f"known for {KEPT.days} days", f"at least {LEAST_KEPT.days}", f"up to {FORGET_ROWS} older", f"({SAGA_S:g})",
        f"After {LOST_S:g} s without a sidecar", f"aborted {LOST_S:g} s later",
    ):  # fmt: skip
        assert figure in text
