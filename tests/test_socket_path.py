"""Where the local socket is."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from gossipreg import socket_path
from gossipreg.errors import CannotStart, ChooseSocket, Unreachable
from gossipreg.socket_path import Probe, find_socket


def found(explicit: str | None, probe: Callable[[str], Probe]) -> str:
    return find_socket(explicit, probe, "--socket")


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run-time folder of this test's own; gives the socket folder in it, not yet made. No other folder of this
    machine is looked into."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(socket_path, "SYSTEM_FOLDER", str(tmp_path / "run" / "gossipreg"))
    monkeypatch.delenv("GOSSIPREG_SOCKET", raising=False)
    return tmp_path / "gossipreg"


def test_the_folder_is_in_the_users_run_time_folder(runtime: Path) -> None:
    assert socket_path.socket_folder() == runtime


@pytest.mark.parametrize("value", [None, "", "relative/folder"])
def test_without_a_runtime_folder_the_socket_is_in_run(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is None:
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    else:
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    monkeypatch.setattr(os, "access", lambda path, _mode: path == "/run")
    assert socket_path.socket_folder() == Path("/run/gossipreg")


def test_else_it_is_in_the_temp_folder_with_the_uid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert socket_path.socket_folder() == tmp_path / f"gossipreg-{os.getuid()}"


def test_a_prepared_folder_is_private_also_the_second_time(runtime: Path) -> None:
    socket_path.prepare_folder(runtime)
    socket_path.prepare_folder(runtime)
    assert runtime.stat().st_mode & 0o777 == 0o700


def test_a_folder_where_others_may_write_is_refused(runtime: Path) -> None:
    runtime.mkdir()
    runtime.chmod(0o777)
    with pytest.raises(CannotStart, match="other users may write"):
        socket_path.prepare_folder(runtime)


def test_a_folder_of_somebody_else_is_refused_for_a_new_socket(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.mkdir(0o700)
    monkeypatch.setattr(os, "getuid", lambda: runtime.stat().st_uid + 1)
    with pytest.raises(CannotStart, match="belongs to uid"):
        socket_path.prepare_folder(runtime)


def test_a_link_in_place_of_the_folder_is_refused(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    runtime.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotStart, match="is not a folder"):
        socket_path.prepare_folder(runtime)


def test_a_file_in_place_of_the_folder_is_refused(runtime: Path) -> None:
    runtime.touch()
    with pytest.raises(CannotStart, match="--socket"):
        socket_path.prepare_folder(runtime)


def test_the_socket_has_the_name_given_to_join(runtime: Path) -> None:
    assert socket_path.default_socket("web-1") == runtime / "web-1.sock"
    assert socket_path.default_socket(None) == runtime / "gossipreg.sock"


@pytest.mark.parametrize("name", ["", ".", "..", "../web", "a/b", "a\0b"])
def test_a_name_that_makes_no_file_name_is_refused(name: str, runtime: Path) -> None:
    assert runtime.parent.exists()
    with pytest.raises(CannotStart, match="cannot be a file name"):
        socket_path.default_socket(name)


def test_a_path_too_long_is_refused_by_both_sides(runtime: Path) -> None:
    with pytest.raises(CannotStart, match=str(len(os.fsencode(runtime)) + 206)):
        socket_path.default_socket("x" * 200)
    with pytest.raises(ChooseSocket, match="has 108 bytes"):
        found("x" * 108, living)


def test_the_longest_path_allowed_can_be_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = "x" * socket_path.MAX_PATH_BYTES
    assert socket_path.path_fault(path) == ""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path)


# -- the client's side -------------------------------------------------------------------------------------------------


def living(_path: str) -> Probe:
    return "living"


def probes(found: dict[Path, Probe]) -> Callable[[str], Probe]:
    """What connecting to these would meet; nothing else may be probed."""
    return lambda path: found[Path(path)]


@pytest.fixture
def run(runtime: Path) -> Path:
    """In place of /run/gossipreg, not yet made."""
    folder = runtime.parent / "run" / "gossipreg"
    folder.parent.mkdir(0o755)
    return folder


def socket_in(folder: Path, name: str = "gossipreg.sock") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).touch()
    return folder / name


def test_a_named_socket_wins_over_environment_and_folder(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only = socket_in(runtime, "only.sock")
    assert found(None, living) == str(only)
    monkeypatch.setenv("GOSSIPREG_SOCKET", "/env.sock")
    assert found(None, living) == "/env.sock"
    assert found("/named.sock", living) == "/named.sock"


def test_the_only_socket_anywhere_is_taken_without_a_probe(runtime: Path, run: Path) -> None:
    runtime.mkdir()
    only = socket_in(run)
    assert found(None, probes({})) == str(only)


@pytest.mark.parametrize("exists", [True, False])
def test_a_missing_socket_error_lists_the_paths_and_what_to_do(exists: bool, runtime: Path) -> None:
    if exists:
        runtime.mkdir()
        (runtime / "web.lock").touch()
    with pytest.raises(Unreachable) as caught:
        found(None, living)
    base = runtime.parent
    assert str(caught.value) == (
        f"no sidecar found in {runtime}, {base}/run/gossipreg or {base}/tmp/gossipreg-{os.getuid()}: "
        "start one with `gossipreg join`"
    )


def test_the_first_folder_with_a_living_socket_decides(runtime: Path, run: Path, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    own, system = socket_in(runtime), socket_in(run)
    temp = socket_in(tmp_path / "tmp" / f"gossipreg-{os.getuid()}")
    assert found(None, probes({own: "living"})) == str(own)
    assert found(None, probes({own: "dead", system: "living"})) == str(system)
    assert found(None, probes({own: "dead", system: "forbidden", temp: "living"})) == str(temp)


def test_the_user_must_choose_among_several_sockets(runtime: Path, run: Path) -> None:
    a, b, other = socket_in(runtime, "a.sock"), socket_in(runtime, "b.sock"), socket_in(run)
    with pytest.raises(ChooseSocket) as caught:
        found(None, living)
    assert str(caught.value) == f"several sidecars found, choose one with --socket: {a}, {b}"
    assert found(None, probes({a: "dead", b: "living", other: "living"})) == str(b)
    assert found(None, probes({a: "forbidden", b: "living", other: "living"})) == str(b)
    with pytest.raises(Unreachable, match="no sidecar found"):
        found(None, lambda _path: "dead")


def test_a_forbidden_socket_error_names_it_and_the_remedy(runtime: Path, run: Path) -> None:
    own, system = socket_in(runtime), socket_in(run)
    with pytest.raises(Unreachable) as caught:
        found(None, probes({own: "dead", system: "forbidden"}))
    assert str(caught.value) == (f"the socket {system} exists, but this user may not use it: see `join --socket-group`")


# A sidecar that systemd runs: /run/gossipreg belongs to the user of the unit.


@pytest.fixture
def of_the_unit(monkeypatch: pytest.MonkeyPatch) -> int:
    """The uid of the unit, which owns all folders; we are another user."""
    uid = os.getuid() + 1
    stat = os.lstat

    def lstat(path: str) -> os.stat_result:
        return os.stat_result((*stat(path)[:4], uid, *stat(path)[5:10]))

    monkeypatch.setattr(os, "lstat", lstat)
    return uid


def test_a_user_of_the_units_group_finds_its_socket(
    run: Path, of_the_unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert of_the_unit != os.getuid()
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    system = socket_in(run)
    assert found(None, living) == str(system)


def test_a_login_with_a_run_time_folder_finds_the_units_socket(run: Path, of_the_unit: int) -> None:
    assert of_the_unit != os.getuid()
    system = socket_in(run)
    assert found(None, living) == str(system)


def test_root_finds_the_socket_in_the_folder_of_the_unit(
    run: Path, of_the_unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert of_the_unit != 0
    system = socket_in(run)
    assert found(None, living) == str(system)


def test_a_strangers_folder_in_the_temp_folder_is_not_trusted(
    runtime: Path, run: Path, of_the_unit: int, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    temp = tmp_path / "tmp" / f"gossipreg-{os.getuid()}"
    for folder in (runtime, temp, run):
        socket_in(folder)
    run.parent.chmod(0o777)  # /run of a container that was mounted for everybody to write
    with pytest.raises(Unreachable) as caught:
        found(None, living)
    for folder in (runtime, temp, run):
        assert f"{folder} (it belongs to uid {of_the_unit} and is not trusted)" in str(caught.value)


def test_in_a_folder_that_cannot_be_read_the_usual_name_is_tried(
    runtime: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runtime.parent.exists()
    system, listdir = socket_in(run), os.listdir

    def refuse(folder: str) -> list[str]:
        if folder == str(run):
            raise PermissionError(13, "Permission denied")
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", refuse)
    assert found(None, living) == str(system)
    system.unlink()
    with pytest.raises(Unreachable, match=f"the socket in {run} exists, but this user may not use it"):
        found(None, living)


def test_a_client_looks_where_its_users_sidecar_puts_the_socket(
    runtime: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert str(socket_path.socket_folder()) == str(runtime) == socket_path.client_folders()[0]
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    for writable, folder in ((True, run), (False, runtime.parent / "tmp" / f"gossipreg-{os.getuid()}")):
        monkeypatch.setattr(os, "access", lambda _path, _mode, writable=writable: writable)
        assert socket_path.socket_folder() == folder
        assert str(folder) in socket_path.client_folders()
