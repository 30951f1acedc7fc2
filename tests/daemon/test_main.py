"""Real processes from start to end: what cannot start says why, and what runs ends as it is told."""

import base64
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from gossipreg.daemon.settings import Settings
from gossipreg.daemon.start import opened
from gossipreg.errors import BadConfig, CannotStart, CannotStartYet
from gossipreg.wire.rpc import Decoder, encode_request

GENEROUS_S = 60
KEY = base64.b64encode(bytes(range(32))).decode()

SCRIPT = """
import json, sys
from gossipreg.daemon.main import run
from gossipreg.daemon.settings import Settings
from gossipreg.cli.exit_codes import of_start
from gossipreg.errors import CannotStart
try:
    code = run(Settings(**json.loads(sys.argv[1])))
except CannotStart as error:
    print("cannot start:", error)
    code = of_start(error)
print(json.dumps(sorted(sys.modules)))
sys.exit(code)
"""


class Process:
    script = SCRIPT

    def __init__(self, folder: Path, name: str = "a", **settings: Any) -> None:
        self.socket = folder / f"{name}.sock"
        chosen = {"name": name, "bind": "127.0.0.1:0", "socket": str(self.socket), **settings}
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.script, json.dumps(chosen)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._watchdog = Timer(GENEROUS_S, self.process.kill)  # so that waiting for a line ends
        self._watchdog.start()
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline().rstrip("\n")

    @property
    def gossip(self) -> str:
        return self.ready.split(" gossip=")[1].split()[0]

    def call(self, method: str, **params: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(GENEROUS_S)
            client.connect(str(self.socket))
            client.sendall(encode_request(1, method, params))
            decoder = Decoder()
            while True:
                for _, _, error, result in decoder.feed_untrusted(client.recv(65536)):
                    return result if error is None else error

    def wait_log(self, words: str) -> str:
        """The next line of the log with these words in it, as soon as there is one."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if words in line:
                return line
        raise AssertionError(f"{words!r} is nowhere in the log")

    def end(self, signal_number: int | None = None) -> tuple[int, str]:
        """The exit code, and what it said on stdout after its ready line."""
        if signal_number is not None:
            self.process.send_signal(signal_number)
        out, _ = self.process.communicate(timeout=GENEROUS_S)
        return self.process.returncode, out

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self._watchdog.cancel()
        self.process.communicate()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Any]:
    started: list[Process] = []

    def start(*args: Any, **settings: Any) -> Process:
        started.append(Process(tmp_path, *args, **settings))
        return started[-1]

    yield start
    for process in started:
        process.close()


# -- running -----------------------------------------------------------------------------------------------------------


def test_the_ready_line_names_a_socket_that_answers(processes: Any, tmp_path: Path) -> None:
    sidecar = processes(service=None)
    pattern = rf"ready name=a id=[0-9a-f]{{32}} gossip=127\.0\.0\.1:\d+ socket={re.escape(str(tmp_path))}/a\.sock"
    assert re.fullmatch(pattern, sidecar.ready)
    info = sidecar.call("info")
    assert f"id={info['id']} gossip={info['address']}" in sidecar.ready
    assert info["synced"] is True


def test_the_ready_line_is_json_where_the_log_is(processes: Any) -> None:
    ready = json.loads(processes(log_format="json").ready)
    assert set(ready) == {"event", "name", "id", "gossip", "socket"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_gracefully_and_leaves_no_socket(processes: Any, number: int) -> None:
    sidecar = processes()
    assert sidecar.end(number)[0] == 0
    assert not sidecar.socket.exists()


def test_leave_is_answered_before_the_socket_closes(processes: Any) -> None:
    sidecar = processes()
    assert sidecar.call("leave") == {}
    assert sidecar.end()[0] == 0


def test_two_sealed_sidecars_find_each_other_and_one_takes_leave(processes: Any, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    a = processes("a", key_file=str(tmp_path / "key"))
    b = processes("b", key=KEY, seeds=[a.gossip])
    a.wait_log("member_alive")
    assert b.call("register", name="web", port=80)["id"] == "web-80"
    assert b.end(signal.SIGTERM)[0] == 0
    assert "name=b" in a.wait_log("member_left")
    assert a.call("info")["members"] == {"alive": 1, "suspect": 0, "dead": 0, "left": 1}
    assert a.call("lookup", name="web") == []


def test_another_cluster_and_another_key_are_told_in_words(processes: Any) -> None:
    a = processes("a", cluster="x", key=KEY)
    b = processes("b", cluster="y", key=KEY, seeds=[a.gossip])
    b.wait_log("belongs to cluster 'x', not 'y'")
    assert "belongs to cluster 'x', not 'y'" in b.call("info")["troubles"][0]["message"]
    other_key = base64.b64encode(bytes(32)).decode()
    processes("c", cluster="x", key=other_key, seeds=[a.gossip]).wait_log(
        f"{a.gossip} does not accept the key of this sidecar"
    )


def test_sighup_reads_keys_again_unless_the_file_is_bad(processes: Any, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(KEY)
    sidecar = processes(key_file=str(key_file))
    key_file.write_text(base64.b64encode(bytes(32)).decode() + "\n" + KEY)
    sidecar.process.send_signal(signal.SIGHUP)
    assert "keys=2" in sidecar.wait_log("keys_read")
    key_file.write_text("nonsense")
    sidecar.process.send_signal(signal.SIGHUP)
    assert "stays in use" in sidecar.wait_log("keys_not_read")
    assert sidecar.call("info")["sealed"] is True


def test_a_key_file_that_takes_its_time_holds_up_nobody_who_asks(processes: Any, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(KEY)
    sidecar = processes(key_file=str(key_file))
    key_file.unlink()
    os.mkfifo(key_file)
    writer = os.open(key_file, os.O_RDWR)
    sidecar.process.send_signal(signal.SIGHUP)
    os.write(writer, KEY[:10].encode())
    with selectors.DefaultSelector() as selector:
        selector.register(writer, selectors.EVENT_READ)
        while selector.select(0):  # until it has taken what there is: then it waits for the rest
            sidecar.call("info")
    assert sidecar.call("info")["sealed"] is True
    os.write(writer, KEY[10:].encode())
    os.close(writer)
    assert sidecar.wait_log("info keys_read ")


def test_systemd_gets_ready_when_synced_and_stopping_at_the_end(
    processes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(GENEROUS_S)
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        sidecar = processes()
        assert manager.recv(100) == b"READY=1"
        assert sidecar.end(signal.SIGTERM)[0] == 0
        assert manager.recv(100) == b"STOPPING=1"


def test_the_identity_outlives_the_process(processes: Any, tmp_path: Path) -> None:
    data_dir = str(tmp_path / "data")
    infos = []
    for _ in range(2):
        sidecar = processes(data_dir=data_dir)
        infos.append(sidecar.call("info"))
        sidecar.end(signal.SIGKILL)
    assert infos[0]["id"] == infos[1]["id"]
    assert int(infos[0]["generation"]) < int(infos[1]["generation"])


def test_each_start_warns_of_a_damaged_database_that_is_kept(processes: Any, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "gossipreg.db").write_bytes(os.urandom(4096))
    assert "set aside as gossipreg.db.damaged-" in start_error(tmp_path, data_dir=str(data_dir))
    for _ in range(2):
        sidecar = processes(data_dir=str(data_dir))
        assert "gossipreg.db.damaged-" in sidecar.wait_log("warning data_set_aside")
        sidecar.end(signal.SIGKILL)


def test_a_plain_sidecar_loads_nothing_that_only_others_need(processes: Any) -> None:
    sidecar = processes()
    sidecar.call("register", name="web", port=80)
    sidecar.call("lookup", name="web")
    code, out = sidecar.end(signal.SIGTERM)
    loaded = set(json.loads(out.splitlines()[-1]))
    assert code == 0
    assert "trio" in loaded
    never = {"asyncio", "sqlite3", "dns", "http", "http.client", "email", "urllib.request", "click", "gossipreg.client"}
    assert not loaded & never


# -- not starting ------------------------------------------------------------------------------------------------------


def start_error(tmp_path: Path, **settings: Any) -> str:
    chosen = {"name": "x", "bind": "127.0.0.1:0", "socket": str(tmp_path / "x.sock"), **settings}
    with pytest.raises((CannotStart, BadConfig)) as raised, opened(Settings(**chosen)):
        pass
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "x.sock").exists()
    return str(raised.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bind": "0.0.0.0:0"}, "gossipreg keygen"),
        ({"seeds": ("10.0.0.1:7940",)}, "gossipreg keygen"),
        ({"seeds": ("no host",)}, "'no host'"),
        ({"seeds": ("srv:_g._udp.example.org",)}, "gossipreg keygen"),
        ({"profile": "moon"}, "'moon'"),
        ({"cluster": ""}, "cluster name ''"),
        ({"name": "a\nb"}, "--name"),
        ({"name": "x" * 256}, "--name"),
        ({"labels": (("", "v"),)}, "--label"),
        ({"cluster": "prod\u200b"}, "--cluster is 'prod\\u200b': give text without control characters"),
        ({"host_id": "rack\u202e7"}, "--host-id is 'rack\\u202e7': give text without control characters"),
        ({"key": "AAAA"}, "GOSSIPREG_KEY"),
        ({"key": ""}, "GOSSIPREG_KEY"),
        ({"key_file": "/nowhere/key"}, "/nowhere/key"),
        ({"key_file": "/"}, "key file /"),
        ({"on_sigterm": "hold"}, "--data-dir"),
        ({"on_sigterm": "dance"}, "'dance'"),
        ({"name": " "}, "text that is not blank"),
        ({"data_dir": ""}, "--data-dir is empty"),
        ({"bind": "", "key": KEY}, "--bind is empty"),
        ({"socket_group": ""}, "--socket-group is empty"),
        ({"socket_admin_group": " "}, "--socket-admin-group is empty"),
        ({"socket_group": "4294967295"}, "at most 4294967294"),
        ({"socket_group": "9" * 5000}, "at most 4294967294"),
        ({"socket": "/"}, "--socket '/': that is a folder"),
        ({"socket": "."}, "--socket '.': that is a folder"),
        ({"socket": ".."}, ".. exists and is not a socket"),
        ({"bind": "::1:7940"}, "write [::1]:7940 or [::1:7940]"),
        ({"bind": "127.0.0.1:" + "9" * 5000}, "0 to 65535"),
        ({"seeds": ("127.0.0.1:0",)}, "'127.0.0.1:0'"),
        ({"services": "/nowhere/f"}, "/nowhere/f: No such file"),
        ({"services": "/"}, "not a regular file"),
        ({"socket_group": "no-such-group"}, "no-such-group"),
        ({"socket": "/tmp/" + "x" * 120}, "107"),
        ({"advertise": "0.0.0.0"}, "--advertise"),
        ({"bind": "192.0.2.1:0", "key": KEY}, "not an address of this machine"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    assert words in start_error(tmp_path, **settings)


MAY_MEND: list[tuple[dict[str, Any], str]] = [
    ({"bind": "192.0.2.1:0", "key": KEY}, "not an address of this machine, or not yet"),
    ({"socket_group": "no-such-group"}, "no-such-group"),
    ({"bind": "later.example:0", "key": KEY}, "later.example"),
    ({"advertise": "later.example:1"}, "later.example"),
]
NEEDS_A_PERSON: list[tuple[dict[str, Any], str]] = [
    ({"bind": "never.example:0", "key": KEY}, "never.example"),
    ({"key_file": "/nowhere/key"}, "/nowhere/key"),
    ({"services": "/nowhere/f"}, "/nowhere/f"),
    ({"socket": "/nowhere/s"}, "/nowhere/s"),
    ({"data_dir": "/proc/nowhere"}, "/proc/nowhere"),
]


@pytest.mark.parametrize(
    ("settings", "words", "cls"),
    [*((*one, CannotStartYet) for one in MAY_MEND), *((*one, CannotStart) for one in NEEDS_A_PERSON)],
)
def test_only_what_may_mend_itself_is_to_be_tried_again(
    settings: dict[str, Any], words: str, cls: type[CannotStart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(host: str, *_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN if "later" in host else socket.EAI_NONAME, "not now")

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    chosen = {"name": "x", "bind": "127.0.0.1:0", "socket": str(tmp_path / "x.sock"), **settings}
    with pytest.raises(CannotStart, match=words) as raised, opened(Settings(**chosen)):
        pass
    assert type(raised.value) is cls


def test_a_taken_port_lock_or_socket_may_be_tried_again(tmp_path: Path) -> None:
    first = Settings(bind="127.0.0.1:0", socket=str(tmp_path / "a"), data_dir=str(tmp_path / "data"))
    with opened(first) as running:
        taken = str(running.transport.local_addresses[0])
        for second in (
            Settings(bind=taken, socket=str(tmp_path / "b")),
            Settings(bind="127.0.0.1:0", socket=str(tmp_path / "a")),
            Settings(bind="127.0.0.1:0", socket=str(tmp_path / "b"), data_dir=str(tmp_path / "data")),
        ):
            with pytest.raises(CannotStartYet), opened(second):
                pass


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", KEY[:-8], KEY + "\n" + KEY[4:], "\x00\xff" * 100])
def test_a_bad_key_file_is_named_and_its_content_never_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cluster.key"
    path.write_bytes(text.encode("latin-1"))
    message = start_error(tmp_path, key_file=str(path))
    assert str(path) in message
    for line in text.split("\n"):
        assert not line or line not in message


def test_what_was_opened_before_a_failure_is_closed_again(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        assert taken in start_error(tmp_path, bind=taken, data_dir=str(tmp_path / "data"))
    with opened(Settings(bind=taken, socket=str(tmp_path / "x.sock"), data_dir=str(tmp_path / "data"))):
        assert (tmp_path / "x.sock").exists()


def test_the_socket_of_a_live_sidecar_stops_a_second_one(processes: Any) -> None:
    first = processes()
    second = processes()
    assert "already answers" in second.ready
    assert second.end()[0] == 6
    assert first.call("info")["name"] == "a"


def test_a_flag_service_that_cannot_be_registered_is_an_error(tmp_path: Path) -> None:
    from gossipreg.daemon.logs import Log
    from gossipreg.daemon.sidecar import Sidecar

    settings = Settings(bind="127.0.0.1:0", socket=str(tmp_path / "s"), service={"name": "web", "port": -1}, name="x")
    with opened(settings) as open_things, pytest.raises(BadConfig, match="port is -1"):
        Sidecar(open_things, Log())


def test_the_default_socket_is_in_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with opened(Settings(bind="127.0.0.1:0", socket_group=str(os.getgid()))) as open_things:
        assert open_things.local_socket.path == tmp_path / "gossipreg" / "gossipreg.sock"
        assert open_things.member.name == socket.gethostname()
        assert (tmp_path / "gossipreg").stat().st_mode & 0o777 == 0o710


def test_the_admin_group_alone_gets_the_socket(tmp_path: Path) -> None:
    socket = str(tmp_path / "s")
    alone = Settings(bind="127.0.0.1:0", socket=socket, socket_admin_group="64002")
    for settings, gid in ((alone, 64_002), (replace(alone, socket_group="64001"), 64_001)):
        with opened(settings) as open_things:
            status = open_things.local_socket.path.stat()
            assert (status.st_gid, status.st_mode & 0o777) == (gid, 0o660)
            assert open_things.rights.admin_group == 64_002
