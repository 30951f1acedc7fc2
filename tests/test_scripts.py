"""The set-up of a fresh clone, in seconds: the scripts are real, Python and pip are stand-ins that leave traces."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

import pytest

from tests import conftest

ROOT = Path(__file__).parent.parent
BASH = shutil.which("bash") or "bash"

FAKE_PYTHON = """#!{bash}
# `-m venv --clear DIR` makes a .venv whose python is this file, `-m pip` notes what it was asked for, `-c` is real.
echo "${{PWD}}: $*" >>"$TRACE"
case "$*" in
*"import sys; sys.exit(sys.version_info"*) [[ -z "$OLD" ]]; exit ;;
*"import platform"*) echo 3.9.2; exit ;;
*"import venv, ensurepip"*) [[ -z "$NO_VENV" ]]; exit ;;
*"import pip"*) exit 0 ;;
*"realpath(sys.executable)"*) echo "$SELF"; exit ;;
"-m venv --clear "*)
    rm -rf "$4"; mkdir -p "$4/bin"; ln -s "$SELF" "$4/bin/python"; exit ;;
"-m pip "*)
    [[ -z "$PIP_WAITS" ]] || read -r <"$PIP_WAITS"
    [[ -z "$PIP_FAILS" ]] || exit 1
    bin=${{0%/*}}; echo "gossipreg" >"$bin/gossipreg"; exit ;;
"-m compileall"*) exit ;;
"-m mypy"*|"-m ruff check"*|"-m ruff format"*|"-m pytest"*|"-m scripts.soaking.soak"*)
    [[ "$*" != *--version* ]] || exec "{python}" "$@"
    [[ "$2" != mypy || -z "$TYPES_WAIT" ]] || read -r <"$TYPES_WAIT"
    [[ "$2 $*" == "pytest "*--collect-only* ]] || echo "said by $2"
    case "$*" in
    *--note-failed*) [[ -z "$NOTES" ]] || {{ : >.venv/failed.json; exit "$NOTES"; }} ;;
    *--failed-again*) exit "$AGAIN" ;;
    esac
    [[ -z "$FAILS" || "$2" != "$FAILS" ]]; exit ;;
*"/bin/gossipreg"*) shift; printf 'ran in %s:' "$PWD"; printf ' <%s>' "$@"; echo; exit ;;
esac
exec "{python}" "$@"
"""


class Clone:
    """A copy of the scripts in a folder with a space in its name, and a PATH with a stand-in for python3."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a clone"
        (self.root / "gossipreg").mkdir(parents=True)
        shutil.copytree(ROOT / "scripts", self.root / "scripts")
        (self.root / "pyproject.toml").write_text("[project]\nname = 'x'\n")
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in ("env", "bash", "cat", "mv", "rm", "mkdir", "ln", "readlink", "dirname", "nproc"):
            (self.bin / tool).symlink_to(shutil.which(tool) or pytest.skip(f"no {tool}"))
        self.python = self.bin / "python3"
        self.python.write_text(FAKE_PYTHON.format(bash=BASH, python=sys.executable))
        self.python.chmod(0o755)
        self.trace = folder / "trace"
        self.environment = {
            "PATH": str(self.bin), "TRACE": str(self.trace), "SELF": str(self.python), "OLD": "", "NO_VENV": "",
            "PIP_FAILS": "", "PIP_WAITS": "", "FAILS": "", "TYPES_WAIT": "", "NOTES": "",
            "AGAIN": "",
        }  # fmt: skip

    def start(self, *args: str, script: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [script or self.root / "scripts" / "gossipreg", *args],
            env=self.environment | environment,
            cwd=self.bin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str, script: Path | None = None, **environment: str) -> tuple[int, str, str]:
        process = self.start(*args, script=script, **environment)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def traced(self, of: str = "-m ") -> list[str]:
        """What Python was asked to do since the last time, as far as it contains `of`."""
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        self.trace.unlink(missing_ok=True)
        return [line.split(": ", 1)[1] for line in lines if of in line]


def opened_by_reader(fifo: Path, process: subprocess.Popen[str]) -> BinaryIO:
    """The writing end, once somebody stands at the reading end: the process's pip. A plain `open` would wait for ever
    where the process ends before."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return open(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0)
        except OSError as error:
            if error.errno != errno.ENXIO:  # no reader yet
                raise
            time.sleep(0.01)
    process.kill()
    raise AssertionError(f"pip was not started: {process.communicate()}")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_a_fresh_clone_is_set_up_and_runs_in_the_users_folder(clone: Clone) -> None:
    code, out, err = clone.run("lookup", "a b")
    assert (code, out) == (0, f"ran in {clone.bin}: <lookup> <a b>\n"), err
    assert "setting up .venv" in err
    venv, pip, *_ = clone.traced("-m ")
    assert venv == f"-m venv --clear {clone.root}/.venv"
    assert pip.endswith(f"--editable {clone.root}")


def test_after_the_set_up_no_process_is_started_but_the_command(clone: Clone) -> None:
    clone.run("info")
    clone.traced()
    for tool in clone.bin.iterdir():
        if tool.name not in ("env", "bash", "python3"):
            tool.unlink()
    assert clone.run("info") == (0, f"ran in {clone.bin}: <info>\n", "")
    assert clone.traced("") == [f"{clone.root}/scripts/../.venv/bin/gossipreg info"]


def test_other_users_can_read_the_venv_whatever_the_umask(clone: Clone) -> None:
    before = os.umask(0o077)
    try:
        assert clone.run("info")[0] == 0
    finally:
        os.umask(before)
    assert (clone.root / ".venv" / "bin").stat().st_mode & 0o777 == 0o755
    assert (clone.root / ".venv" / "bin" / "gossipreg").stat().st_mode & 0o044 == 0o044


def test_it_works_through_links(clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "first").symlink_to("a clone/scripts/gossipreg")
    (tmp_path / "second").symlink_to(tmp_path / "first")
    assert clone.run("info", script=tmp_path / "second")[:2] == (0, f"ran in {clone.bin}: <info>\n")


def test_a_changed_pyproject_is_installed_once(clone: Clone) -> None:
    clone.run("info")
    (clone.root / "pyproject.toml").write_text("[project]\nname = 'y'\n")
    clone.traced()
    assert "updating .venv" in clone.run("info")[2]
    assert [line.split()[1] for line in clone.traced("-m ")] == ["pip", "compileall"]
    assert clone.run("info")[2] == ""


def test_a_failed_install_is_repaired_at_the_next_start(clone: Clone) -> None:
    code, out, err = clone.run("info", PIP_FAILS="1")
    assert (code, out) == (5, "")
    assert err.splitlines()[-1].startswith("gossipreg: pip could not install")
    clone.traced()
    assert clone.run("info")[0] == 0
    assert [line.split()[1] for line in clone.traced("-m ")][:2] == ["venv", "pip"]


def test_a_set_up_killed_half_way_is_repaired_at_the_next_start(clone: Clone, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    process = clone.start("info", PIP_WAITS=str(tmp_path / "gate"))
    assert process.stderr is not None
    assert "setting up" in process.stderr.readline()
    with opened_by_reader(tmp_path / "gate", process) as gate:
        process.kill()
        process.wait(60)
        gate.write(b"\n")
    process.communicate()
    clone.traced()
    assert clone.run("info")[0] == 0
    assert [line.split()[1] for line in clone.traced("-m ")][:2] == ["venv", "pip"]


def test_two_started_at_once_wait_for_each_other(clone: Clone, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    first = clone.start("one", PIP_WAITS=str(tmp_path / "gate"))
    with opened_by_reader(tmp_path / "gate", first) as gate:
        second = clone.start("two")
        assert second.stderr is not None
        assert "waiting for another set-up" in second.stderr.readline()
        gate.write(b"\n")
    assert first.communicate(timeout=60)[0].endswith("<one>\n")
    assert second.communicate(timeout=60)[0].endswith("<two>\n")
    assert len(clone.traced("-m pip")) == 1


def test_a_moved_clone_is_set_up_again(clone: Clone, tmp_path: Path) -> None:
    clone.run("info")
    clone.traced()
    clone.root = clone.root.rename(tmp_path / "moved")
    assert clone.run("info")[0] == 0
    assert clone.traced("-m pip")[0].endswith(f"--editable {clone.root}")


def test_the_tests_set_up_serves_the_command_as_well(clone: Clone) -> None:
    test = clone.root / "scripts" / "test"
    code, _, err = clone.run("--version", script=test)
    assert code == 0, err
    assert f"--editable {clone.root}[test]" in clone.traced("-m pip")[0]
    clone.run("info")
    assert clone.traced("-m ") == []


CHECKS = ["ruff check", "ruff format", "mypy", "pytest", "soak"]


def heads(err: str) -> list[str]:
    return [line.removeprefix("-- ") for line in err.splitlines() if line.startswith("-- ")]


def test_all_checks_are_run_each_under_its_name(clone: Clone) -> None:
    code, out, err = clone.run(script=clone.root / "scripts" / "test")
    assert (code, err.splitlines()[-1]) == (0, "all checks passed"), err
    assert sorted(heads(err)) == sorted(CHECKS)
    assert (out + err).count("said by mypy\n") == 1
    installed = [line.rpartition("[")[2] for line in clone.traced("-m pip")]
    assert installed == ["test]", "sim]"]


@pytest.mark.parametrize("module", ["mypy", "pytest", "scripts.soaking.soak"])
def test_the_check_that_fails_is_named_after_all_were_run(clone: Clone, module: str) -> None:
    code, _, err = clone.run(script=clone.root / "scripts" / "test", FAILS=module)
    assert (code, err.splitlines()[-1]) == (1, f"failed: {module.rpartition('.')[2]}")
    assert sorted(heads(err)) == sorted(CHECKS)


@pytest.mark.parametrize(
    ("again", "code", "last"),
    [("0", 0, "all checks passed, but see the unsteady tests"), ("1", 1, "failed: pytest"), ("4", 1, "failed: pytest")],
)
def test_what_failed_is_run_once_more_alone(clone: Clone, again: str, code: int, last: str) -> None:
    ended, _, err = clone.run(script=clone.root / "scripts" / "test", NOTES="1", AGAIN=again)
    assert (ended, err.splitlines()[-1]) == (code, last), err
    assert sorted(heads(err)) == sorted([*CHECKS, "what failed, alone"])
    first, second = [line for line in clone.traced("-m pytest") if "--collect-only" not in line and "-p tests" in line]
    note = f"{clone.root}/.venv/failed.json"
    assert f"-p tests.unsteady --note-failed={note} " in first
    assert second.endswith(f"-p tests.unsteady --failed-again={note}")


@pytest.mark.parametrize("environment", [{"FAILS": "pytest"}, {"NOTES": "2"}, {"NOTES": "3"}])
def test_what_was_not_noted_in_this_run_is_not_run_again(clone: Clone, environment: dict[str, str]) -> None:
    test = clone.root / "scripts" / "test"
    assert clone.run("--version", script=test)[0] == 0
    (clone.root / ".venv" / "failed.json").write_text("of a run before")
    code, _, err = clone.run(script=test, AGAIN="0", **environment)
    assert (code, err.splitlines()[-1]) == (1, "failed: pytest")
    assert "what failed, alone" not in heads(err)


def test_types_that_take_longer_than_the_tests_are_waited_for(clone: Clone, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    process = clone.start(script=clone.root / "scripts" / "test", FAILS="mypy", TYPES_WAIT=str(tmp_path / "gate"))
    with opened_by_reader(tmp_path / "gate", process) as gate:
        assert process.stderr is not None
        before = heads("".join(takewhile(lambda line: line != "-- pytest\n", process.stderr)))
        gate.write(b"\n")
    _, err = process.communicate(timeout=60)
    assert before == ["ruff check", "ruff format"]
    assert heads(err) == ["mypy", "soak"]
    assert (process.returncode, err.splitlines()[-1]) == (1, "failed: mypy")


def test_a_failed_install_of_a_part_ends_the_run(clone: Clone) -> None:
    test = clone.root / "scripts" / "test"
    assert clone.run("--version", script=test)[0] == 0
    code, _, err = clone.run(script=test, PIP_FAILS="1")
    assert code == 5
    assert "pip could not install" in err
    assert "pytest" not in heads(err)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"OLD": "1"}, "python3 is 3.9.2: install Python 3.11 or newer"),
        ({"NO_VENV": "1"}, "apt install python3-venv"),
    ],
)
def test_an_unfit_python_is_said_in_one_line(environment: dict[str, str], says: str, clone: Clone) -> None:
    clone.environment |= environment
    code, out, err = clone.run("info")
    assert (code, out) == (5, "")
    assert says in err.splitlines()[-1]
    assert "Traceback" not in err


def test_no_python_is_said_in_one_line(clone: Clone) -> None:
    clone.python.unlink()
    assert clone.run("info") == (
        5, "", "gossipreg: python3 is not installed: install Python 3.11 or newer\n",
    )  # fmt: skip


def test_a_newer_python_beside_an_old_python3_is_taken(clone: Clone) -> None:
    newer = clone.bin / "python3.12"
    clone.python.rename(newer)
    clone.environment["SELF"] = str(newer)
    clone.python.write_text(f"#!{BASH}\nexit 1\n")
    clone.python.chmod(0o755)
    assert clone.run("info")[0] == 0


def test_the_scripts_can_be_run_and_ci_runs_the_tests() -> None:
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix]
    assert {path.name for path in scripts} == {"gossipreg", "test", "simulate", "bench", "bench-dns", "soak", "check"}
    assert [path.name for path in [*scripts, ROOT / ".ci" / "run"] if not os.access(path, os.X_OK)] == []
    assert "exec scripts/test" in (ROOT / ".ci" / "run").read_text()


def test_tests_hear_ctrl_c_in_the_background_of_a_shell_too() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        conftest.pytest_configure()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
