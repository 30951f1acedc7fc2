"""Where the local socket is."""

import os
import socket
from pathlib import Path

import pytest

from gossipreg import socket_path
from gossipreg.errors import BadParams, CannotStart, Unreachable


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run-time folder of this test's own; gives the socket folder in it, not yet made."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("GOSSIPREG_SOCKET", raising=False)
    return tmp_path / "gossipreg"


def test_the_folder_is_in_the_users_run_time_folder(runtime: Path) -> None:
    assert socket_path.socket_folder() == runtime


@pytest.mark.parametrize("value", [None, "", "relative/folder"])
def test_without_a_usable_one_it_is_in_run_where_that_is_writable(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_prepared_folder_is_private_and_preparing_twice_is_fine(runtime: Path) -> None:
    socket_path.prepare_folder(runtime)
    socket_path.prepare_folder(runtime)
    assert runtime.stat().st_mode & 0o777 == 0o700


def test_a_folder_where_others_may_write_is_refused(runtime: Path) -> None:
    runtime.mkdir()
    runtime.chmod(0o777)
    with pytest.raises(CannotStart, match="others may write"):
        socket_path.prepare_folder(runtime)


def test_a_folder_of_somebody_else_is_refused_by_both_sides(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.mkdir(0o700)
    (runtime / "gossipreg.sock").touch()
    monkeypatch.setattr(os, "getuid", lambda: runtime.stat().st_uid + 1)
    monkeypatch.setattr(socket_path, "_owner_uid", lambda _folder: 4242)
    with pytest.raises(CannotStart, match="belongs to uid"):
        socket_path.prepare_folder(runtime)
    with pytest.raises(Unreachable, match="belongs to uid 4242"):
        socket_path.find_socket()


def test_a_link_in_place_of_the_folder_is_refused(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    runtime.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotStart, match="no folder"):
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
    with pytest.raises(CannotStart, match="makes no file name"):
        socket_path.default_socket(name)


def test_a_path_too_long_is_refused_by_both_sides_with_its_length(runtime: Path) -> None:
    with pytest.raises(CannotStart, match=str(len(os.fsencode(runtime)) + 206)):
        socket_path.default_socket("x" * 200)
    with pytest.raises(BadParams, match="takes 108 bytes"):
        socket_path.find_socket("x" * 108)


def test_the_longest_path_allowed_can_be_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = "x" * socket_path.MAX_PATH_BYTES
    assert socket_path.path_fault(path) == ""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path)


def test_a_named_socket_wins_over_the_environment_and_that_over_the_folder(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.mkdir()
    (runtime / "only.sock").touch()
    assert socket_path.find_socket() == str(runtime / "only.sock")
    monkeypatch.setenv("GOSSIPREG_SOCKET", "/env.sock")
    assert socket_path.find_socket() == "/env.sock"
    assert socket_path.find_socket("/named.sock") == "/named.sock"


@pytest.mark.parametrize("exists", [True, False])
def test_no_socket_is_unreachable_and_says_what_to_do(exists: bool, runtime: Path) -> None:
    if exists:
        runtime.mkdir()
        (runtime / "web.lock").touch()
    with pytest.raises(Unreachable, match="gossipreg join"):
        socket_path.find_socket()


def test_several_sockets_are_the_users_to_choose_from(runtime: Path) -> None:
    runtime.mkdir()
    for name in ("b.sock", "a.sock"):
        (runtime / name).touch()
    with pytest.raises(BadParams) as caught:
        socket_path.find_socket(answers=lambda _path: True)
    assert f"{runtime}/a.sock, {runtime}/b.sock" in str(caught.value)


def test_among_several_what_crashed_sidecars_left_does_not_count(runtime: Path) -> None:
    runtime.mkdir()
    for name in ("a.sock", "b.sock"):
        (runtime / name).touch()
    assert socket_path.find_socket(answers=lambda path: path.endswith("b.sock")) == str(runtime / "b.sock")
    with pytest.raises(Unreachable, match="no sidecar found"):
        socket_path.find_socket(answers=lambda _path: False)
