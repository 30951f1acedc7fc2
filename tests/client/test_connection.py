"""The synchronous client against a real unix socket."""

import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import gossipreg
from gossipreg.client import Client, stream
from gossipreg.client.stream import SidecarStream, probe
from gossipreg.errors import Busy, NotFound, RequestError, TooLarge, Unreachable
from gossipreg.wire import rpc
from tests.client.fake_sidecar import FakeSidecar, instance


def test_a_call_returns_the_result_and_sends_the_parameters(sidecar: FakeSidecar) -> None:
    sidecar.answers["lookup"] = lambda _: [instance()]
    with Client(str(sidecar.path)) as client:
        assert client.call("lookup", name="web", tags=["a"]) == [instance()]
    assert sidecar.seen == [("lookup", {"name": "web", "tags": ["a"]})]


def test_calls_share_one_connection(sidecar: FakeSidecar) -> None:
    sidecar.answers["info"] = lambda _: {}
    with Client(str(sidecar.path)) as client:
        assert [client.call("info") for _ in range(3)] == [{}, {}, {}]
    assert len(sidecar.open) == 1


def refuse(error: Exception) -> Any:
    def answer(_: object) -> None:
        raise error

    return answer


@pytest.mark.parametrize("error", [NotFound("no web-1"), Busy("full"), TooLarge("65537 bytes")])
def test_an_answered_error_leaves_the_connection_usable(error: RequestError, sidecar: FakeSidecar) -> None:
    sidecar.answers |= {"deregister": refuse(error), "info": lambda _: {}}
    with Client(str(sidecar.path)) as client:
        with pytest.raises(type(error), match=str(error)):
            client.call("deregister", id="web-1")
        assert client.call("info") == {}
    assert len(sidecar.open) == 1


def test_an_error_of_a_code_from_the_future_is_a_request_error(sidecar: FakeSidecar) -> None:
    sidecar.answers["info"] = lambda _: lambda own: rpc.encode_error(own, "too_late", "come back tomorrow")
    with Client(str(sidecar.path)) as client, pytest.raises(RequestError, match="come back tomorrow") as caught:
        client.call("info")
    assert caught.value.code == "too_late"


def test_nobody_listening_is_unreachable_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="gossipreg join"):
        Client(str(tmp_path / "none.sock")).call("info")


def test_a_socket_file_left_behind_is_unreachable(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "left.sock"))
    with pytest.raises(Unreachable, match="no sidecar answers"):
        Client(str(tmp_path / "left.sock")).call("info")
    assert probe(str(tmp_path / "left.sock")) == "dead"


def test_a_probe_tells_a_living_sidecar_from_none(sidecar: FakeSidecar, tmp_path: Path) -> None:
    assert probe(str(sidecar.path)) == "living"
    assert probe(str(tmp_path / "none.sock")) == "dead"
    (tmp_path / "file").touch()
    assert probe(str(tmp_path / "file" / "none.sock")) == "dead"


def test_a_silent_sidecar_is_unreachable_after_the_timeout(tmp_path: Path) -> None:
    path = str(tmp_path / "silent.sock")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(path)
        silent.listen()
        with pytest.raises(Unreachable, match=r"did not answer info within 0.05 s"):
            Client(path, timeout_s=0.05).call("info")


def test_a_call_after_a_missed_answer_uses_a_new_connection(sidecar: FakeSidecar) -> None:
    late = iter([b"\xc0"[:0], {"synced": True}])
    sidecar.answers["info"] = lambda _: next(late)  # the first closes without an answer
    with Client(str(sidecar.path)) as client:
        with pytest.raises(Unreachable, match="closed the connection"):
            client.call("info")
        assert client.call("info") == {"synced": True}
    assert len(sidecar.open) == 2


@pytest.mark.parametrize(
    "junk", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xc1", rpc.encode_reply(99, "for somebody else")]
)
def test_a_socket_of_another_program_is_reported_as_no_sidecar(junk: bytes, sidecar: FakeSidecar) -> None:
    sidecar.answers["info"] = lambda _: junk
    with Client(str(sidecar.path)) as client, pytest.raises(Unreachable, match="is not a sidecar"):
        client.call("info")


def test_an_error_without_a_request_ends_the_connection(sidecar: FakeSidecar) -> None:
    sidecar.answers["info"] = lambda _: rpc.encode_error(None, "busy", "too many requests")
    with Client(str(sidecar.path)) as client:
        for _ in range(2):
            with pytest.raises(Busy, match="too many requests"):
                client.call("info")
    assert len(sidecar.open) == 2


def test_pages_are_fetched_until_one_is_empty(sidecar: FakeSidecar) -> None:
    names = ["a", "b", "c", "d", "e"]

    def services(params: dict[str, Any]) -> list[dict[str, str]]:
        return [{"name": name} for name in names if name > params.get("after", "")][:2]

    sidecar.answers["services"] = services
    with Client(str(sidecar.path)) as client:
        assert [one["name"] for one in client.call_paged("services", "name")] == names


def test_the_same_page_again_and_again_is_no_endless_loop(sidecar: FakeSidecar) -> None:
    sidecar.answers["services"] = lambda _: [{"name": "a"}]
    with Client(str(sidecar.path)) as client, pytest.raises(Unreachable, match="same page"):
        client.call_paged("services", "name")


def changes_of(count: int) -> list[dict[str, Any]]:
    added: list[dict[str, Any]] = [{"kind": "added", "instance": instance(port)} for port in range(1, count + 1)]
    return [{"kind": "current", "instances": []}, *added]


def test_a_watch_gives_changes_in_order_until_the_sidecar_ends(sidecar: FakeSidecar) -> None:
    sidecar.changes = [*changes_of(100), None]
    with Client(str(sidecar.path)) as client, client.watch("web") as watch:
        assert [next(watch) for _ in range(101)] == changes_of(100)
        with pytest.raises(Unreachable, match="closed the connection"):
            next(watch)
    assert sidecar.seen == [("watch", {"name": "web"})]


def test_a_watch_goes_on_after_a_wait_that_timed_out(sidecar: FakeSidecar) -> None:
    sidecar.changes = [*changes_of(1)]
    with Client(str(sidecar.path)) as client, client.watch() as watch:
        assert [watch.next_within(30), watch.next_within(30)] == changes_of(1)
        assert watch.next_within(0.01) is None
        update = {"kind": "updated", "instance": instance(1)}
        sidecar.open[-1].sendall(rpc.encode_notification("watch", {"watch": 7, "change": update}))
        assert watch.next_within(30) == update
    assert sidecar.seen == [("watch", {})]


def test_what_a_newer_sidecar_says_beside_is_skipped(sidecar: FakeSidecar) -> None:
    with Client(str(sidecar.path)) as client, client.watch() as watch:
        connection = sidecar.open[-1]
        connection.sendall(rpc.encode_notification("weather", {"sun": True}))
        connection.sendall(rpc.encode_notification("watch", {"watch": 8, "change": changes_of(1)[0]}))
        connection.sendall(rpc.encode_notification("watch", {"watch": 7, "change": changes_of(1)[1]}))
        assert watch.next_within(30) == changes_of(1)[1]


def test_a_watcher_that_is_cut_off_learns_why(sidecar: FakeSidecar) -> None:
    with Client(str(sidecar.path)) as client, client.watch() as watch:
        sidecar.open[-1].sendall(rpc.encode_error(None, "busy", "you read too slowly"))
        with pytest.raises(Busy, match="too slowly"):
            watch.next_within(30)


def test_a_call_goes_through_while_a_watch_is_open(sidecar: FakeSidecar) -> None:
    sidecar.changes = [*changes_of(50)]
    sidecar.answers["info"] = lambda _: {"synced": True}
    with Client(str(sidecar.path)) as client, client.watch() as watch:
        assert client.call("info") == {"synced": True}
        assert watch.next_within(30) == changes_of(0)[0]


def test_the_package_gives_out_the_client_and_loads_it_only_then() -> None:
    assert gossipreg.Client is Client
    with pytest.raises(AttributeError, match="Clinet"):
        _ = gossipreg.Clinet
    program = "import sys, gossipreg; assert 'gossipreg.client' not in sys.modules; gossipreg.Client; gossipreg.Watch"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_an_idle_connection_that_the_sidecar_closed_is_replaced(sidecar: FakeSidecar) -> None:
    sidecar.answers["info"] = lambda _: 1
    with Client(str(sidecar.path)) as client:
        assert client.call("info") == 1
        sidecar.open[0].shutdown(socket.SHUT_RDWR)
        assert client.call("info") == 1
    assert len(sidecar.open) == 2


def test_a_crowd_before_the_door_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "s"))
        door.listen(0)
        crowd = []
        with suppress(BlockingIOError):
            while True:
                crowd.append(socket.socket(socket.AF_UNIX))
                crowd[-1].setblocking(False)
                crowd[-1].connect(str(tmp_path / "s"))
        let_in = []
        monkeypatch.setattr(stream, "sleep", lambda _: let_in.append(door.accept()[0]))
        SidecarStream(str(tmp_path / "s"), time.monotonic() + 30, "Client(PATH)").close()
        assert len(let_in) == 1
        let_nobody_in: list[float] = []
        monkeypatch.setattr(stream, "sleep", let_nobody_in.append)
        with suppress(BlockingIOError):
            while True:
                crowd.append(socket.socket(socket.AF_UNIX))
                crowd[-1].setblocking(False)
                crowd[-1].connect(str(tmp_path / "s"))
        with pytest.raises(Unreachable, match="does not accept connections"):
            SidecarStream(str(tmp_path / "s"), time.monotonic() + 0.02, "Client(PATH)")
        assert let_nobody_in
        for sock in (*crowd, *let_in):
            sock.close()
