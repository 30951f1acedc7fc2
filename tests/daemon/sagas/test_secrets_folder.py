"""Which files are used as secrets."""

import os
from pathlib import Path

import pytest

from gossipreg.daemon.sagas.secrets_folder import MAX_SECRET_BYTES, SecretMissing, SecretsFolder


def written(folder: Path, name: str, data: bytes, mode: int = 0o600) -> SecretsFolder:
    (folder / name).write_bytes(data)
    (folder / name).chmod(mode)
    return SecretsFolder(str(folder))


def refused(folder: SecretsFolder, name: str = "token") -> str:
    with pytest.raises(SecretMissing) as caught:
        folder.read(name)
    assert caught.value.name == name
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("data", [b"s3cr3t", b"s3cr3t\n", b"s3cr3t\r\n", b"\xef\xbb\xbfs3cr3t\n"])
def test_one_newline_at_the_end_is_no_part_of_a_secret(tmp_path: Path, data: bytes) -> None:
    folder = written(tmp_path, "token", data)
    headers = (("authorization", "Bearer secret:token"), ("x-key", "secret:token"), ("x-other", "nosecret:token"))
    assert folder.filled_in(headers) == (
        ("authorization", "Bearer s3cr3t"), ("x-key", "s3cr3t"), ("x-other", "nosecret:token"),
    )  # fmt: skip


def test_secret_is_read_anew_at_each_use(tmp_path: Path) -> None:
    folder = written(tmp_path, "token", b"one")
    assert folder.read("token") == "one"
    written(tmp_path, "token", b"two")
    assert folder.read("token") == "two"


def test_secret_may_be_a_link_as_in_a_pod(tmp_path: Path) -> None:
    folder = written(tmp_path, "..data", b"one")
    (tmp_path / "token").symlink_to("..data")
    assert folder.read("token") == "one"


@pytest.mark.parametrize("mode", [0o644, 0o606, 0o601])
def test_file_that_everybody_may_use_is_no_secret(tmp_path: Path, mode: int) -> None:
    folder = written(tmp_path, "token", b"s3cr3t", mode)
    assert refused(folder).endswith(f"can be read by everybody (mode {mode:04o}): chmod 600 it")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "has nothing in it"), (b"\n", "has nothing in it"), (b"a\nb", "has control characters"),
        (b"a" * (MAX_SECRET_BYTES + 1), f"has more than {MAX_SECRET_BYTES} bytes"), (b"\xff", "is no text in UTF-8"),
    ],
)  # fmt: skip
def test_what_cannot_stand_in_a_header_is_no_secret(tmp_path: Path, data: bytes, why: str) -> None:
    text = refused(written(tmp_path, "token", data))
    assert why in text
    assert "aaaa" not in text


def test_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    assert refused(SecretsFolder(str(tmp_path))) == (
        f"the secret 'token' cannot be read: {tmp_path}/token: No such file or directory; put it there, with mode 600"
    )


def test_sidecar_without_the_flag_says_which_one() -> None:
    assert refused(SecretsFolder(None)).endswith("start this sidecar with --secrets DIR")


def test_folder_and_pipe_are_no_secrets_and_block_nobody(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe", 0o600)
    folder = SecretsFolder(str(tmp_path))
    assert refused(folder, "folder").endswith("is no file")
    assert refused(folder, "pipe").endswith("is no file")
