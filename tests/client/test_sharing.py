"""One client shared by threads and signal handlers: every caller gets its own answer."""

import select
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gossipreg.client import Client, pool
from gossipreg.errors import NotFound, Unreachable
from gossipreg.wire import rpc
from tests.client.fake_sidecar import FakeSidecar, echo, instance

THREADS = 32


def test_32_threads_on_one_client_each_get_their_own_answers(sidecar: FakeSidecar) -> None:
    echo(sidecar)
    begin = threading.Barrier(THREADS)
    with Client(str(sidecar.path), timeout_s=60) as client:

        def ask(thread: int) -> None:
            begin.wait(60)
            for number in range(50):
                name = f"service-{thread}-{number}"
                assert client.call("lookup", name=name)[0]["service"] == name
                with pytest.raises(NotFound, match=f"^no-{name}$"):
                    client.call("lookup", name=f"no-{name}")

        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(ask, range(THREADS)))
    assert len(sidecar.open) < 50 * THREADS  # connections are used again


def test_more_threads_than_connections_wait_for_their_turn(
    sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "OPEN_MAX", 2)
    echo(sidecar)
    with Client(str(sidecar.path), timeout_s=60) as client, ThreadPoolExecutor(8) as threads:
        names = [str(number) for number in range(200)]
        found = threads.map(lambda name: client.call("lookup", name=name)[0]["service"], names)
        assert list(found) == names
        assert max(1, len(client._pool._share().idle)) <= 2


def test_a_call_that_finds_no_free_connection_in_time_says_so(
    sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "OPEN_MAX", 1)
    asked, over = threading.Event(), threading.Event()

    def slow(_: dict[str, Any]) -> int:
        asked.set()
        over.wait(60)
        return 1

    sidecar.answers["info"] = slow
    client = Client(str(sidecar.path), timeout_s=60)
    first = threading.Thread(target=client.call, args=("info",))
    first.start()
    try:
        assert asked.wait(60)
        client.timeout_s = 0.02
        with pytest.raises(Unreachable, match="1 calls of this client wait for the sidecar already"):
            client.call("info")
    finally:
        over.set()
        first.join(60)
        client.close()


def test_a_late_answer_is_never_given_to_the_next_call(sidecar: FakeSidecar) -> None:
    late = threading.Event()

    def lookup(params: dict[str, Any]) -> list[dict[str, Any]]:
        if params["name"] == "slow":
            late.wait(60)
        return [instance(service=params["name"])]

    sidecar.answers["lookup"] = lookup
    with Client(str(sidecar.path), timeout_s=0.05) as client:
        with pytest.raises(Unreachable, match="did not answer lookup"):
            client.call("lookup", name="slow")
        client.timeout_s = 60
        late.set()
        assert client.call("lookup", name="fast")[0]["service"] == "fast"
    assert len(sidecar.open) == 2


def test_a_connection_with_unasked_bytes_is_not_used_again(sidecar: FakeSidecar) -> None:
    sidecar.answers["info"] = lambda _: lambda own: rpc.encode_reply(own, 1) + rpc.encode_reply(own + 1, "stray")
    with Client(str(sidecar.path)) as client:
        assert [client.call("info"), client.call("info")] == [1, 1]
    assert len(sidecar.open) == 2


def test_an_interrupted_call_leaves_nothing_for_the_next(sidecar: FakeSidecar) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt(_: dict[str, Any]) -> str:
        signal.pthread_kill(main, signal.SIGUSR1)
        return "the answer of the one that was interrupted"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    sidecar.answers |= {"info": interrupt, "lookup": lambda _: "its own answer"}
    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with Client(str(sidecar.path)) as client:
            with pytest.raises(KeyboardInterrupt):
                client.call("info")
            assert client.call("lookup", name="web") == "its own answer"
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_handler_may_call_in_the_middle_of_a_call(sidecar: FakeSidecar) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def lookup(params: dict[str, Any]) -> str:
        if params["name"] == "outer":
            signal.pthread_kill(main, signal.SIGUSR1)
        return str(params["name"])

    sidecar.answers["lookup"] = lookup
    inner = []
    with Client(str(sidecar.path)) as client:
        before = signal.signal(signal.SIGUSR1, lambda *_: inner.append(client.call("lookup", name="inner")))
        try:
            assert [client.call("lookup", name="outer") for _ in range(20)] == ["outer"] * 20
        finally:
            signal.signal(signal.SIGUSR1, before)
    assert inner == ["inner"] * 20


def test_closing_while_others_call_ends_no_call(sidecar: FakeSidecar) -> None:
    echo(sidecar)
    client = Client(str(sidecar.path), timeout_s=60)
    with ThreadPoolExecutor(8) as threads:
        names = [str(number) for number in range(400)]

        def ask(name: str) -> str:
            if int(name) % 10 == 0:
                client.close()
            return str(client.call("lookup", name=name)[0]["service"])

        assert list(threads.map(ask, names)) == names
    client.close()


def test_a_client_without_a_sidecar_fails_at_its_first_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("gossipreg.socket_path.SYSTEM_FOLDER", str(tmp_path / "system"))
    monkeypatch.delenv("GOSSIPREG_SOCKET", raising=False)
    named, unnamed = Client(str(tmp_path / "gossipreg" / "late.sock")), Client()
    for client in (named, unnamed):
        with pytest.raises(Unreachable, match="gossipreg join"):
            client.call("info")
        with pytest.raises(Unreachable, match="gossipreg join"):
            client.watch()
    (tmp_path / "gossipreg").mkdir()
    with FakeSidecar(tmp_path / "gossipreg" / "late.sock", {"info": lambda _: 1}):
        assert [named.call("info"), unnamed.call("info")] == [1, 1]
        assert named.path == unnamed.path
        named.close()
        unnamed.close()


def test_threads_that_share_a_watch_get_each_change_once(sidecar: FakeSidecar) -> None:
    changes = [{"kind": "added", "instance": instance(port)} for port in range(1, 401)]
    sidecar.changes = [*changes]
    with Client(str(sidecar.path)) as client, client.watch() as watch, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: watch.next_within(60), range(400)))
    ports = [change["instance"]["port"] for change in found if change is not None]
    assert sorted(ports) == list(range(1, 401))


def test_closing_a_watch_ends_the_iteration_of_another_thread(sidecar: FakeSidecar) -> None:
    sidecar.changes = [{"kind": "current", "instances": []}]
    first = threading.Event()
    seen = []
    with Client(str(sidecar.path)) as client:
        watch = client.watch()

        def follow() -> None:
            for change in watch:
                seen.append(change)
                first.set()

        thread = threading.Thread(target=follow)
        thread.start()
        assert first.wait(60)
        watch.close()
        thread.join(60)
        assert not thread.is_alive()
    assert seen == [{"kind": "current", "instances": []}]
    assert watch.next_within(0) is None


def test_a_signal_handler_may_close_the_watch_that_it_interrupts(sidecar: FakeSidecar) -> None:
    main = threading.main_thread().ident
    assert main is not None
    sidecar.changes = [{"kind": "current", "instances": []}]
    with Client(str(sidecar.path)) as client:
        watch = client.watch()
        assert next(watch) == {"kind": "current", "instances": []}
        before = signal.signal(signal.SIGUSR1, lambda *_: watch.close())
        timer = threading.Timer(0.05, lambda: signal.pthread_kill(main, signal.SIGUSR1))
        timer.start()
        try:
            assert list(watch) == []  # it ends
        finally:
            timer.join(60)
            signal.signal(signal.SIGUSR1, before)


def test_a_watch_can_be_selected_on(sidecar: FakeSidecar) -> None:
    sidecar.changes = [{"kind": "current", "instances": []}]
    with Client(str(sidecar.path)) as client, client.watch() as watch:
        assert watch.next_within(60) is not None
        assert select.select([watch], [], [], 0)[0] == []
        update = {"kind": "added", "instance": instance(1)}
        sidecar.open[-1].sendall(rpc.encode_notification("watch", {"watch": 7, "change": update}))
        assert select.select([watch], [], [], 60)[0] == [watch]
        assert watch.next_within(0) == update


def test_an_attached_registration_lasts_until_it_is_closed(sidecar: FakeSidecar) -> None:
    sidecar.answers["register"] = lambda _: {"id": "web-80"}
    client = Client(str(sidecar.path))
    attachment = client.attach(name="web", port=80)
    assert (attachment.result, attachment.open, attachment.notified()) == ({"id": "web-80"}, True, None)
    assert client.call("register", name="web", port=81, attach=True) == {"id": "web-80"}
    assert sidecar.seen[0] == ("register", {"name": "web", "port": 80, "attach": True})
    attachment.close()
    assert not attachment.open
    client.close()
    for connection in sidecar.open:  # both are ended by now, or soon
        deadline = time.monotonic() + 60
        while connection.fileno() >= 0:
            assert time.monotonic() < deadline
            time.sleep(0.001)
