"""Where keys come from: files, pipes, and what holds nobody up."""

import os
import threading
from pathlib import Path

import pytest

from gossipreg.daemon import keys
from gossipreg.daemon.keys import exposed, read_keyring
from gossipreg.daemon.settings import Settings
from gossipreg.errors import CannotStart

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def test_a_pipe_gives_a_key_that_comes_in_pieces() -> None:
    """As in `--key-file <(vault read ...)`."""
    reading, writing = os.pipe()

    def write() -> None:
        for piece in (KEY[:10], KEY[10:] + "\n", KEY):
            os.write(writing, piece.encode())
        os.close(writing)

    os.write(writing, b"\n")
    writer = threading.Thread(target=write)
    writer.start()
    keyring = read_keyring(Settings(key_file=f"/dev/fd/{reading}"))
    writer.join()
    os.close(reading)
    assert keyring is not None
    assert len(keyring.keys) == 2  # all of it, not only what was there at once


def test_a_new_key_is_proposed_only_where_there_is_no_file(tmp_path: Path) -> None:
    for path, proposed in ((tmp_path / "none", True), (tmp_path, False)):
        with pytest.raises(CannotStart) as raised:
            read_keyring(Settings(key_file=str(path)))
        assert ("gossipreg keygen" in str(raised.value)) == proposed


def test_a_pipe_that_nobody_writes_to_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "PIPE_S", 0.05)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CannotStart, match="pipe"):
        read_keyring(Settings(key_file=str(tmp_path / "pipe")))


def test_a_file_without_end_is_no_key_file() -> None:
    with pytest.raises(CannotStart, match="is not a key file"):
        read_keyring(Settings(key_file="/dev/zero"))


@pytest.mark.parametrize(
    ("mode", "words"), [(0o600, ""), (0o440, ""), (0o640, ""), (0o644, "mode 0644"), (0o604, "chmod 600")]
)
def test_a_key_that_others_can_read_is_said(tmp_path: Path, mode: int, words: str) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(mode)
    assert words in exposed(str(path))
    assert bool(exposed(str(path))) == bool(words)
    assert exposed(None) == exposed("/nowhere") == ""
