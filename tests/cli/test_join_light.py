"""`gossipreg join` as people start it: a child reads the command line, and nobody can see that."""

import marshal
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gossipreg.cli.commands import run
from gossipreg.cli.join import read_line_again
from gossipreg.cli.sidecar_line import SidecarLine, run_sidecar
from gossipreg.client import Client
from gossipreg.daemon import main
from gossipreg.daemon.settings import Settings
from scripts.tools.sidecars import COMMAND, Sidecars

USUAL = "import sys; from gossipreg.cli.commands import run; sys.exit(run())"
NO_FORK = "import os, sys\ndef fork(): raise BlockingIOError(11, 'none is left')\nos.fork = fork\n"


def ended(command: list[str], *args: str, **more: Any) -> tuple[int, str, str]:
    done = subprocess.run([*command, *args], capture_output=True, text=True, timeout=60, **more)
    return done.returncode, done.stdout, done.stderr


def handed_over(*line: str) -> SidecarLine:
    """What a child would hand over, after its way through the pipe."""
    lines: list[SidecarLine] = []

    def take(line: SidecarLine) -> int:
        lines.append(SidecarLine(*marshal.loads(marshal.dumps(tuple(line)))))
        return 0

    assert run(["join", *line], take) == 0
    return lines[0]


@pytest.mark.parametrize(
    "line",
    [
        "--json --nonsense", "--port 80", "--http 127.0.0.1:1 --dns 127.0.0.1:1", "--bind nonsense:x",
        "--bind x:y --json", "--http nonsense:x --log-format json", "--config /nonexistent", "--help",
    ],
)  # fmt: skip
def test_what_cannot_start_ends_as_if_one_process_had_read_it(line: str) -> None:
    code, out, err = ended(COMMAND, "join", *line.split())
    usual = ended([sys.executable, "-c", USUAL], "join", *line.split())
    without_time = [text.partition('"event"')[2] or text for text in (err, usual[2])]
    assert (code, out, without_time[0]) == (*usual[:2], without_time[1])
    assert code == (0 if line == "--help" else code or -1)


FULL = (
    "--seed 10.0.0.1:7940 --seed srv:_g._udp.example.org --bind 0.0.0.0:1 --label b=2 --label a=1=1 --key-file f "
    "--data-dir d --profile wan --log-format json --copies 1 --journal-space 4KiB --history-keep 2d --otlp-sample 0.1 "
    "--group mail=order.* --service web --port 80 --tag t --meta k=v --weight 7 --subscribe o.*=/o --socket s --json "
    "--dns 127.0.0.1:0 --dns-ttl 5s --http 127.0.0.1:0 --http unix:/x/h --xds 127.0.0.1:0"
)


@pytest.mark.parametrize("line", ["", FULL])
def test_the_line_is_the_same_behind_the_pipe(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Any, ...]] = []

    def take(*given_now: Any) -> int:
        given.append(given_now)
        return 0

    monkeypatch.setattr(main, "run", take)
    monkeypatch.setenv("GOSSIPREG_ZONE", "z")
    assert run(["join", *line.split()]) == 0
    handed = handed_over(*line.split())
    assert run_sidecar(handed, lambda: read_line_again(line.split(), handed.settings["config"])) == 0
    usual, light = given
    assert light[0] == usual[0]
    assert list(map(type, light[1:])) == list(map(type, usual[1:]))
    settings: Settings = light[0]
    assert settings.options == usual[0].options
    assert settings.read_options_again is not None
    assert settings.read_options_again() == settings.options
    assert settings.ignored_variables == usual[0].ignored_variables


def test_a_sidecar_reads_its_file_again(tmp_path: Path) -> None:
    file = tmp_path / "options"
    file.write_text('zone = "a"\nlog-level = "info"\n')
    with Sidecars() as sidecars:
        one = sidecars.start("one", "--config", str(file), "--label", "rack=7").wait_ready()
        file.write_text('zone = "b"\nlog-level = "debug"\n')
        assert one.call("reload")["options"] == {"applied": "log-level", "restart_needed_for": "zone"}
        shown = {option["name"]: (option["value"], option["source"]) for option in one.call("config")["options"]}
        assert shown["label"] == (["rack=7"], "flag")


def test_a_running_sidecar_has_no_click_and_no_child(tmp_path: Path) -> None:
    program = (
        "import sys; from gossipreg.cli import main; code = main(); "
        "print(*(name for name, module in sys.modules.items() if type(module).__name__ == 'module')); sys.exit(code)"
    )
    socket = str(tmp_path / "s")
    line = ["join", "--bind", "127.0.0.1:0", "--socket", socket]
    with subprocess.Popen([sys.executable, "-c", program, *line], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready ")
        with pytest.raises(ChildProcessError):
            os.waitpid(-process.pid, os.WNOHANG)
        assert Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text() == ""
        assert os.sched_getaffinity(process.pid) == os.sched_getaffinity(0), "it may run on each core"
        with Client(socket) as client:
            client.call("leave")
        loaded = process.stdout.read().split()
    assert process.returncode == 0
    assert "gossipreg.core.node" in loaded
    assert {"click", "inspect", "gossipreg.cli.commands", "gossipreg.cli.join"}.isdisjoint(loaded)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_the_child_leaves_the_core_on_which_it_began() -> None:
    program = (
        "import os; from gossipreg.cli import join_light as light; all = os.sched_getaffinity(0); one = min(all)\n"
        "os.sched_setaffinity(0, {one}); os.sched_yield(); os.sched_setaffinity(0, all)\n"
        "light.PROCESSOR = PLACE; light._leave_core(); print(all - os.sched_getaffinity(0) <= {one}, "
        "len(all) - len(os.sched_getaffinity(0)))"
    )
    assert ended([sys.executable, "-c", program.replace("PLACE", "light.PROCESSOR")]) == (0, "True 1\n", "")
    assert ended([sys.executable, "-c", program.replace("PLACE", "999")]) == (0, "True 0\n", "")


def test_child_with_one_core_stays_on_it() -> None:
    program = (
        "import os; from gossipreg.cli.join_light import _leave_core; one = {min(os.sched_getaffinity(0))}\n"
        "os.sched_setaffinity(0, one); _leave_core(); print(os.sched_getaffinity(0) == one)"
    )
    assert ended([sys.executable, "-c", program]) == (0, "True\n", "")


def test_where_no_process_is_left_it_reads_the_line_itself(tmp_path: Path) -> None:
    program = f"{NO_FORK}from gossipreg.cli import main; sys.exit(main())"
    assert ended([sys.executable, "-c", program], "join", "--nonsense")[0] == 2
    line = ["join", "--bind", "127.0.0.1:0", "--socket", str(tmp_path / "s")]
    with subprocess.Popen([sys.executable, "-c", program, *line], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready ")
        process.terminate()
    assert process.returncode == 0


@pytest.mark.parametrize("module", ["click", "gossipreg.cli.join", "trio", "gossipreg.daemon.main"])
def test_an_interrupt_while_a_sidecar_is_loaded_is_130_and_quiet(module: str) -> None:
    program = """if True:
        import os, signal, sys
        class Interrupt:
            def find_spec(self, name, path=None, target=None):
                if name == module:
                    os.killpg(0, signal.SIGINT)
        module, sys.argv = sys.argv[1], ["gossipreg", "join", "--bind", "127.0.0.1:0"]
        sys.meta_path.insert(0, Interrupt())
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from gossipreg.cli import main
        main()
    """
    code, out, err = ended([sys.executable, "-c", program, module], start_new_session=True)
    assert (code, out, err.strip()) == (130, "", "")


def test_a_child_that_is_killed_ends_the_sidecar_with_its_signal() -> None:
    program = """if True:
        import os, signal, sys
        class Kill:
            def find_spec(self, name, path=None, target=None):
                if name == "click":
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.argv = ["gossipreg", "join"]
        sys.meta_path.insert(0, Kill())
        from gossipreg.cli import main
        sys.exit(main())
    """
    assert ended([sys.executable, "-c", program])[:2] == (128 + signal.SIGKILL, "")


def test_a_fault_of_the_child_is_shown() -> None:
    program = "import sys; sys.modules['click'] = None; from gossipreg.cli import main; sys.exit(main())"
    code, out, err = ended([sys.executable, "-c", program], "join")
    assert (code, out, err.splitlines()[-1]) == (
        1, "", "ModuleNotFoundError: import of click halted; None in sys.modules",
    )  # fmt: skip
