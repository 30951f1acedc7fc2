"""How commands end when something is wrong: exit codes, one line on stderr, JSON where it was asked for."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gossipreg
from gossipreg.cli import exit_codes
from gossipreg.cli.options import ALIVE_S, Chosen
from gossipreg.client import Client
from gossipreg.daemon.finishing import NOT_FINISHED
from gossipreg.errors import BadConfig, BadParams, CannotStart, GossipregError, NotFound
from scripts.tools.wait import BOUND_S
from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar, instance


def start(*args: str, **options: Any) -> subprocess.Popen[str]:
    """`gossipreg ARGS` as a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "gossipreg.cli", *args], text=True, **options)


def test_no_sidecar_is_3_in_one_line(tmp_path: Path, command: Command) -> None:
    ended = command("lookup", "web")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err == (
        f"Error: no sidecar found in {tmp_path}/run/gossipreg, {tmp_path}/system or "
        f"{tmp_path}/gossipreg-{os.getuid()}: start one with `gossipreg join`\n"
    )


@pytest.mark.parametrize("args", [("--json", "lookup", "web"), ("lookup", "web", "--json")])
def test_with_json_an_error_is_one_object_alone_on_stderr(args: tuple[str, ...], command: Command) -> None:
    ended = command(*args)
    error = json.loads(ended.err)["error"]
    assert (ended.code, ended.out, error["code"]) == (3, "", "unreachable")
    assert error["message"].startswith("no sidecar found in")


def test_json_behind_two_dashes_belongs_to_the_program(command: Command) -> None:
    ended = command("exec", "--service", "web", "--port", "65536", "--", "program", "--json")
    assert ended.code == 2
    assert "Error: Invalid value for '--port'" in ended.err


def test_what_the_sidecar_refuses_is_4_with_its_reason(sidecar: FakeSidecar, command: Command) -> None:
    def refuse(params: dict[str, Any]) -> None:
        raise NotFound(f"no service {params['id']} here")

    sidecar.answers["deregister"] = refuse
    assert command("deregister", "web-1") == (4, "", "Error: no service web-1 here\n")
    ended = command("--json", "deregister", "web-1")
    assert json.loads(ended.err)["error"] == {"code": "not_found", "message": "no service web-1 here"}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("checks is 'x': give http://...", "--check is 'x': give http://..."), ("tags has 70", "--tag has 70"),
        ("checks[1] is 5", "checks[1] is 5"), ("a row with checks is full", "a row with checks is full"),
    ],
)  # fmt: skip
def test_a_refused_parameter_exits_2_and_is_named_as_its_flag(
    said: str, shown: str, sidecar: FakeSidecar, command: Command
) -> None:
    def refuse(_: Any) -> Any:
        raise BadParams(said)

    sidecar.answers["register"] = refuse
    assert command("register", "web", "--port", "80") == (2, "", f"Error: {shown}\n")


def test_several_sidecars_are_2_and_are_listed(sidecar: FakeSidecar, tmp_path: Path, command: Command) -> None:
    other = tmp_path / "run" / "gossipreg" / "web-2.sock"
    with FakeSidecar(other):
        ended = command("lookup", "web", "--json")
    assert (ended.code, ended.out) == (2, "")
    assert f"{sidecar.path}, {other}" in ended.err
    assert json.loads(ended.err)["error"]["code"] == "usage"


def test_a_socket_that_a_crashed_sidecar_left_is_no_choice(
    sidecar: FakeSidecar, tmp_path: Path, command: Command
) -> None:
    with FakeSidecar(tmp_path / "run" / "gossipreg" / "crashed.sock"):
        pass
    sidecar.answers["lookup"] = lambda _: [instance()]
    assert command("lookup", "web").code == 0


@pytest.mark.parametrize("place", ["before", "after", "environment"])
def test_the_socket_can_be_named(
    place: str, sidecar: FakeSidecar, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeSidecar(tmp_path / "run" / "gossipreg" / "other.sock"):
        sidecar.answers["lookup"] = lambda _: [instance()]
        option = ["--socket", str(sidecar.path)]
        if place == "environment":
            monkeypatch.setenv("GOSSIPREG_SOCKET", str(sidecar.path))
            ended = command("lookup", "web")
        elif place == "before":
            monkeypatch.setenv("GOSSIPREG_SOCKET", "/nowhere.sock")
            ended = command(*option, "lookup", "web")
        else:
            ended = command("lookup", "web", *option)
    assert ended.out == "10.0.0.1:8080\n"


@pytest.mark.parametrize(
    "args",
    [
        ["lookup"], ["lookup", "a", "b"], ["register", "web"], ["register", "web", "--port", "-1"],
        ["register", "web", "--port", "65536"], ["register", "web", "--port", "80", "--meta", "novalue"],
        ["frobnicate"], ["lookup", "web", "--frobnicate"], ["--socket", "", "lookup", "web"],
        ["wait", "web", "--timeout", "nan"],
        ["wait", "web", "--count", "0"], ["join", "--service", "web"], ["join", "--port", "80"],
        ["join", "--tag", "a"], ["join", "--profile", "moon"], ["join", "--label", "x"], [],
    ],
)  # fmt: skip
def test_wrong_usage_is_2_and_nothing_on_stdout(args: list[str], sidecar: FakeSidecar, command: Command) -> None:
    ended = command(*args)
    assert (ended.code, ended.out) == (2, "")
    assert "Usage: gossipreg" in ended.err
    assert sidecar.seen == []


@pytest.mark.parametrize(
    "args",
    [
        ["leave"], ["reload"], ["drain", "--timeout", "1h"], ["history", "--everywhere"],
        ["events", "publish", "a.b", "--timeout", "1h"], ["events", "publish", "a.b", "--timeout", "1s"],
    ],
)  # fmt: skip
def test_what_may_take_long_asks_first_whether_the_sidecar_answers(
    args: list[str], sidecar: FakeSidecar, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def client(_chosen: Chosen, timeout_s: float = ALIVE_S) -> Client:
        return Client(str(sidecar.path), timeout_s=0.05 if timeout_s in (ALIVE_S, 1) else BOUND_S)

    monkeypatch.setattr(Chosen, "client", client)
    no_answer = b"\x94"  # the first byte of an answer whose end never comes
    methods = ("registered", "leave", "reload", "drain", "history-everywhere", "publish")
    sidecar.answers |= {method: lambda _: no_answer for method in methods}
    ended = command(*args)
    assert (ended.code, ended.out, ended.err.count("\n"), sidecar.seen) == (3, "", 1, [("registered", {})])
    assert ended.err.startswith(f"Error: the sidecar on {sidecar.path} did not answer within 0.05 s")


def test_wrong_usage_with_json_is_one_object_alone(command: Command) -> None:
    error = json.loads(command("lookup", "--json").err)["error"]
    assert error["code"] == "usage"
    assert "NAME" in error["message"]


def test_text_that_cannot_be_sent_is_an_error_not_a_traceback(sidecar: FakeSidecar, command: Command) -> None:
    ended = command("lookup", "\udcff")  # how Python reads an argument that is not UTF-8
    assert ended.code == 2
    assert "cannot be sent" in ended.err
    assert sidecar.seen == []


@pytest.mark.parametrize(("error", "code"), [(CannotStart("port 7940 is taken"), 5), (BadConfig("period_s is 0"), 2)])
def test_join_that_cannot_start_is_5_and_a_wrong_value_is_2(
    error: GossipregError, code: int, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gossipreg.daemon import main

    def fail(_settings: object) -> int:
        raise error

    monkeypatch.setattr(main, "run", fail)
    assert command("join") == (code, "", f"Error: {error}\n")
    ended = command("join", "--log-format", "json")
    assert (ended.code, ended.out) == (code, "")
    line = json.loads(ended.err)  # and nothing else
    assert (line["level"], line["event"], line["message"]) == ("error", error.code, str(error))


def test_an_interrupted_client_is_130_and_quiet(sidecar: FakeSidecar) -> None:
    sidecar.changes = [{"kind": "current", "instances": [instance()]}]
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # it may be ignored here, as in the background of a shell
    try:
        process = start("watch", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline()  # it is flushed, though nobody knows whether more will come
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == ""


@pytest.mark.parametrize("command_line", [["watch"], ["services"]])
def test_a_reader_that_goes_away_ends_a_command_quietly(command_line: list[str], sidecar: FakeSidecar) -> None:
    sidecar.changes = [{"kind": "current", "instances": [instance(port) for port in range(1, 20_000)]}]
    rows = [{"name": f"{number:06}", "instances": 1, "passing": 1, "tags": []} for number in range(20_000)]
    sidecar.answers["services"] = lambda params: [] if "after" in params else rows
    reader, writer = os.pipe()
    os.close(reader)
    with start(*command_line, stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, "")


def test_a_reader_that_goes_away_early_is_no_error(sidecar: FakeSidecar) -> None:
    sidecar.answers["lookup"] = lambda _: [instance()]
    reader, writer = os.pipe()
    os.close(reader)
    with start("lookup", "web", stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_and_not_taken_for_success(sidecar: FakeSidecar) -> None:
    sidecar.answers["lookup"] = lambda _: [instance()]
    with open("/dev/full", "w") as full, start("lookup", "web", stdout=full, stderr=subprocess.PIPE) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 7, "1 would be: there is none"
    assert err == "Error: cannot write the result: No space left on device\n"


def test_closed_output_is_no_traceback(sidecar: FakeSidecar) -> None:
    sidecar.answers["lookup"] = lambda _: [instance()]
    shell = f'"{sys.executable}" -m gossipreg.cli lookup web >&-'
    ended = subprocess.run(["sh", "-c", shell], stderr=subprocess.PIPE, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (7, "Error: cannot write the result: stdout is closed\n")


def test_a_result_reaches_a_pipe_whole(sidecar: FakeSidecar) -> None:
    sidecar.answers["lookup"] = lambda _: [instance(port) for port in range(1, 20_001)]
    with start("lookup", "web", "--sorted", stdout=subprocess.PIPE) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == "".join(f"10.0.0.1:{port}\n" for port in range(1, 20_001))


def test_names_beyond_the_encoding_of_the_terminal_are_escaped(sidecar: FakeSidecar) -> None:
    sidecar.answers["services"] = lambda params: (
        [] if "after" in params else [{"name": "größe", "instances": 1, "passing": 1, "tags": []}]
    )
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    with start("services", stdout=subprocess.PIPE, env=environment) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "gr\\xf6\\xdfe" in out


def test_a_socket_that_this_user_may_not_use_is_3_and_says_so(
    sidecar: FakeSidecar, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:  # root, who runs these tests in many places, is refused nothing
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket.connect", refuse)
    ended = command("--socket", str(sidecar.path), "lookup", "web")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err == (
        f"Error: the socket {sidecar.path} exists, but this user may not use it: see `join --socket-group`\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("args", [["--help"], ["lookup", "--help"], ["--version"], ["help"], ["help", "join"]])
def test_unwritable_help_is_an_error_without_a_traceback(args: list[str]) -> None:
    with open("/dev/full", "w") as full, start(*args, stdout=full, stderr=subprocess.PIPE) as process:
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (7, "Error: cannot write the result: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(("args", "code"), [(["lookup"], 2), (["lookup", "web", "--socket", "/none"], 3)])
def test_an_error_that_cannot_be_written_is_its_exit_code_alone(args: list[str], code: int) -> None:
    with open("/dev/full", "w") as full, start(*args, stdout=subprocess.PIPE, stderr=full) as process:
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")


def test_every_exit_code_has_a_row_in_the_manual() -> None:
    page = (Path(gossipreg.__file__).parent / "docs" / "operations.md").read_text()
    rows = [int(code) for code in re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE)]
    codes = {code for code in vars(exit_codes).values() if isinstance(code, int)}
    assert rows == sorted({0, 1, NOT_FINISHED} | codes)


@pytest.mark.parametrize("args", [["--help"], ["join", "--help"], ["help", "join"]])
def test_help_whose_reader_goes_away_is_quiet(args: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with start(*args, stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, "")


@pytest.mark.parametrize("module", ["click", "msgpack", "gossipreg.cli.lookup"])
def test_an_interrupt_while_modules_are_loaded_is_130_and_quiet(module: str) -> None:
    program = """if True:
        import os, signal, sys
        class Interrupt:
            def find_spec(self, name, path=None, target=None):
                if name == module:
                    os.kill(os.getpid(), signal.SIGINT)
        module, sys.argv = sys.argv[1], ["gossipreg", "lookup", "web"]
        sys.meta_path.insert(0, Interrupt())
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from gossipreg.cli import main
        main()
    """
    ended = subprocess.run([sys.executable, "-c", program, module], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr.strip()) == (130, "", "")
