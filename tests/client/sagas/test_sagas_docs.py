"""The programs of docs/sagas-clients.md run as they stand there."""

import asyncio
import re
import sys
import textwrap
import threading
from http.client import HTTPConnection
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gossipreg.client.sagas.participant_answer import TRIED_AGAIN
from gossipreg.client.sagas.participant_rules import FORGET_ROWS, KEPT, LEAST_KEPT
from gossipreg.client.sagas.program_saga import SAGA_S
from gossipreg.client.sagas.saga_call import LOST_S
from tests.client.sagas.saga_sidecar import SagaSidecar, step_answer

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
        server.shutdown()
        thread.join(30)


def test_the_program_of_fastapi_keeps_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    httpx = pytest.importorskip("httpx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "stock", SimpleNamespace(**stock_of_the_page()))
    (source,) = [block for block in blocks() if "@app.put" in block]
    names: dict[str, Any] = {}
    exec(source, names)

    async def ask() -> None:
        transport = httpx.ASGITransport(app=names["app"])
        async with httpx.AsyncClient(transport=transport, base_url="http://stock") as client:
            for item in ("tea", "coffee"):
                headers = {"Idempotency-Key": KEY}
                answer = await client.put(f"/reservations/{KEY}", json={"item": item}, headers=headers)
                assert (answer.status_code, answer.json()) == (200, {"reserved": "tea"})
            undone = await client.delete(f"/reservations/{KEY}", headers={"Gossipreg-Undoes": KEY})
            late = await client.put(f"/reservations/{KEY}", json={"item": "tea"}, headers={"Idempotency-Key": KEY})
            assert (undone.status_code, late.status_code) == (204, 410)

    asyncio.run(ask())


def test_the_page_has_the_figures_of_the_code() -> None:
    text = " ".join(PAGE.split())
    assert ", ".join(str(status) for status in sorted(TRIED_AGAIN)[:-1]) in text
    for figure in (
        f"known for {KEPT.days} days", f"at least {LEAST_KEPT.days}", f"up to {FORGET_ROWS} older", f"({SAGA_S:g})",
        f"After {LOST_S:g} s without a sidecar", f"aborted {LOST_S:g} s later",
    ):  # fmt: skip
        assert figure in text
