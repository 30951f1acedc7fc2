"""The methods about sagas at one real sidecar: over HTTP, with secrets, by hand, and what people see of them."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gossipreg.errors import OutcomeUnknown, RequestError
from gossipreg.wire.rpc import Decoder, encode_request
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.system.participants import Participant
from tests.system.test_events import durable
from tests.system.test_maintenance import cli
from tests.system.test_sagas import HARMLESS, RESERVE, client, code_of, story


@pytest.fixture(scope="module")
def stock() -> Iterator[Participant]:
    participant = Participant()
    with participant.serving():
        yield participant


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secrets")


@pytest.fixture(scope="module")
def sidecar(stock: Participant, secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    data = tmp_path_factory.mktemp("data")
    with Sidecars("local") as cluster:
        one = cluster.start("m0", "--data-dir", str(data), "--secrets", str(secrets)).wait_ready()
        wait_for(lambda: one.call("info")["synced"])
        stock.register(one, "stock")
        yield one


def asked(sidecar: Sidecar, method: str, body: bytes) -> tuple[int, Any]:
    """The status and the answer of a request as curl sends it."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(BOUND_S)
        sock.connect(str(sidecar.socket))
        head = f"POST /rpc/{method} HTTP/1.0\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body)
        data = b""
        while more := sock.recv(65536):
            data += more
    answered, _, rest = data.partition(b"\r\n\r\n")
    return int(answered.split()[1]), json.loads(rest)


def over_http(sidecar: Sidecar, method: str, **params: Any) -> tuple[int, Any]:
    return asked(sidecar, method, json.dumps(params).encode())


def test_saga_goes_over_http_with_a_connection_for_each_call(sidecar: Sidecar) -> None:
    status, begun = over_http(sidecar, "saga-begin", name="create-order", input={"item": "book"})
    assert (status, begun["exists"]) == (200, False)
    saga = begun["saga"]
    status, answer = over_http(sidecar, "saga-step", saga=saga, step=RESERVE)
    assert (status, answer["state"], answer["body"]) == (200, "done", '{"room": 17}')
    assert over_http(sidecar, "saga-commit", saga=saga) == (200, {"state": "committed"})
    status, refused = over_http(sidecar, "saga-step", saga=saga, step={**RESERVE, "name": "more"})
    assert (status, refused["error"]["code"]) == (409, "decided")
    status, told = over_http(sidecar, "saga-show", saga=saga)
    assert (status, told["state"], told["input"]) == (200, "ended", '{"item":"book"}')
    assert over_http(sidecar, "saga-show", saga="unheard")[0] == 404


def test_secret_that_is_missing_is_a_trouble_until_it_is_there(
    sidecar: Sidecar, secrets: Path, stock: Participant
) -> None:
    step = {**HARMLESS, "headers": {"authorization": "Bearer secret:stock-token"}}
    saga = sidecar.call("saga-run", definition={"name": "look", "step": [step]})["saga"]
    wait_for(lambda: "stock-token" in cli(sidecar, "info"))
    assert "a step of a saga is not sent: the secret 'stock-token' cannot be read" in cli(sidecar, "info")
    assert stock.ledger.done.get(f"{saga}/look") is None
    file = secrets / "stock-token"
    file.touch(0o600)
    file.write_text("s3cr3t\n")
    wait_for(lambda: story(sidecar, saga)["state"] == "ended")
    assert story(sidecar, saga)["decision"] == "commit"
    assert "stock-token" not in cli(sidecar, "info")
    assert "s3cr3t" not in sidecar.log.read_text()
    assert "Bearer s3cr3t" in stock.authorizations


def test_saga_that_a_person_gives_up_says_who_and_why(sidecar: Sidecar, stock: Participant) -> None:
    with client(sidecar) as program:
        saga = program.call("saga-begin", name="create-order", input={"item": "book"})["saga"]
        program.call("saga-step", saga=saga, step=RESERVE)
        stock.broken = True
        try:
            assert code_of(program, "saga-skip", saga=saga, step="reserve", why="it runs") == "refused"
            program.call("saga-abort", saga=saga, reason="changed my mind")
            wait_for(lambda: story(sidecar, saga)["steps"][0]["undo"] is not None)
            figures = sidecar.call("info")["sagas"]
            assert (figures["undoing"], figures["running"]) == (1, 0)
            program.call("saga-skip", saga=saga, step="reserve", why="stock is gone for good")
        finally:
            stock.broken = False
    told = story(sidecar, saga)
    assert told["state"] == "ended"
    [note] = told["steps"][0]["by_hand"]
    assert (note["decision"], note["who"], note["why"]) == ("skip", "user 0 at m0", "stock is gone for good")
    sidecar.wait_logged("saga_decided_here decision=skip")
    counters = sidecar.call("info")["counters"]
    assert counters["sagas.commands_answered"] > 0
    assert counters["sagas.decided_by_hand"] == 1


def test_slow_participant_and_large_bodies_block_nobody(sidecar: Sidecar, stock: Participant) -> None:
    stock.slow.clear()
    large = {**HARMLESS, "body": "x" * 60_000, "timeout_ms": 60_000, "attempt_timeout_ms": 30_000}
    definition = {"name": "slow", "step": [large]}
    try:
        sagas = [sidecar.call("saga-run", definition=definition)["saga"] for _ in range(20)]
        wait_for(lambda: sidecar.call("info")["sagas"]["commands"] == len(sagas))
        with client(sidecar) as other:
            for _ in range(20):
                other.call("lookup", name="stock")
        assert sidecar.call("info")["sagas"]["running"] == len(sagas)
    finally:
        stock.slow.set()
    for saga in sagas:
        wait_for(lambda saga=saga: story(sidecar, saga)["state"] == "ended")  # type: ignore[misc]


def test_idle_connection_of_a_program_stays(sidecar: Sidecar) -> None:
    with client(sidecar) as program:
        saga = program.call("saga-begin", name="create-order")["saga"]
        wait_for(lambda: sidecar.call("info")["sagas"]["programs"] == 1)
        program.call("saga-abort", saga=saga)
        wait_for(lambda: sidecar.call("info")["sagas"]["programs"] == 0)


def test_sidecar_without_a_disk_says_so(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    with client(one) as program, pytest.raises(RequestError, match="start it with --data-dir") as caught:
        program.call("saga-begin", name="create-order")
    assert caught.value.code == "no_data_directory"


def test_sidecar_that_leaves_hands_a_saga_over(cluster: Sidecars, tmp_path: Path, stock: Participant) -> None:
    one, two, three = durable(cluster, tmp_path)
    stock.register(two, "stock")
    for member in (one, three):
        wait_for(lambda member=member: bool(member.lookup("stock")))  # type: ignore[misc]
    with client(one) as program:
        run = {"name": "first", "step": [HARMLESS]}
        wait_for(lambda: program.call("saga-run", definition=run)["takeover"])
        stock.asked.clear()
        stock.slow.clear()
        saga = program.call("saga-run", definition=run)["saga"]
        assert stock.asked.wait(BOUND_S)
    assert one.end() == 0
    stock.slow.set()
    wait_for(lambda: _ended(two, saga))
    assert "journals_not_handed_over" not in one.log.read_text()


def _ended(sidecar: Sidecar, saga: str) -> bool:
    try:
        return bool(story(sidecar, saga)["decision"] == "commit")
    except (RequestError, OutcomeUnknown):
        return False


def test_program_that_hangs_up_in_a_step_is_noticed_at_once(sidecar: Sidecar, stock: Participant) -> None:
    """Also where it has sent further requests, which nobody has read."""
    stock.slow.clear()
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(BOUND_S)
            sock.connect(str(sidecar.socket))
            sock.sendall(encode_request(1, "saga-begin", {"name": "create-order", "input": {"item": "book"}}))
            [(_, _, _, begun)] = Decoder().feed_untrusted(sock.recv(65536))
            sock.sendall(encode_request(2, "saga-step", {"saga": begun["saga"], "step": RESERVE}))
            sock.sendall(encode_request(3, "lookup", {"name": "stock"}))
            wait_for(lambda: sidecar.call("info")["sagas"]["commands"] == 1)
            assert sidecar.call("info")["sagas"]["programs"] == 1
        wait_for(lambda: sidecar.call("info")["sagas"]["programs"] == 0, 10.0)
        assert story(sidecar, begun["saga"])["state"] == "running"
    finally:
        stock.slow.set()


def test_answer_is_waited_for_as_long_as_somebody_reads(sidecar: Sidecar, stock: Participant) -> None:
    """A client that closed its side alone gets its answer; one that is gone leaves nothing that waits."""
    stock.slow.clear()
    try:
        saga = sidecar.call("saga-run", definition={"name": "slow", "step": [HARMLESS]})["saga"]
        wait = encode_request(1, "saga-wait", {"saga": saga, "until": "ended", "timeout_ms": 600_000})
        with socket.socket(socket.AF_UNIX) as half, socket.socket(socket.AF_UNIX) as gone:
            for sock in (half, gone):
                sock.settimeout(BOUND_S)
                sock.connect(str(sidecar.socket))
                sock.sendall(wait)
            half.shutdown(socket.SHUT_WR)
            wait_for(lambda: sidecar.call("info")["sagas"]["calls"] == 2)
            gone.close()
            wait_for(lambda: sidecar.call("info")["sagas"]["calls"] == 1)
            stock.slow.set()
            [(_, _, _, told)] = Decoder().feed_untrusted(half.recv(65536))
        assert (told["saga"], told["decision"]) == (saga, "commit")
        assert sidecar.call("info")["sagas"]["calls"] == 0
    finally:
        stock.slow.set()
