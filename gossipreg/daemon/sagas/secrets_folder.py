"""The files of `--secrets DIR`: what stands for `secret:NAME` in the headers of a command, read whenever one is sent.

Owns: which files are used. Never knows: what a secret is for (`sagas/saga_secrets.py` has the form). A secret is on the
disk of whoever sends, and never in a journal, a log line or an error.

A file that others may read or write is not used: so a secret that is laid open is noticed at once.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from gossipreg.errors import GossipregError
from gossipreg.sagas.saga_secrets import fill_secrets, secret_names

MAX_SECRET_BYTES = 4096
"""As long as a header may be."""


class SecretMissing(GossipregError):
    """A secret cannot be read, or not used. The operator of this sidecar is at fault; nothing was sent."""

    code = "secret_missing"

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def secrets_in(headers: Iterable[tuple[str, str]]) -> set[str]:
    """The names of the secrets that these headers need."""
    return {name for _, value in headers for name in secret_names(value)}


class SecretsFolder:
    def __init__(self, path: str | None) -> None:
        """None: this sidecar has none."""
        self._path = path

    def filled_in(self, headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """The headers with their secrets. It reads files, so call it in a thread. Raises SecretMissing."""
        return tuple((name, fill_secrets(value, self.read)) for name, value in headers)

    def read(self, name: str) -> str:
        """The secret of this name, without the newline at its end. Raises SecretMissing."""
        if self._path is None:
            raise SecretMissing(name, f"the secret {name!r} is needed here: start this sidecar with --secrets DIR")
        path = Path(self._path, name)
        try:
            data = _content(path)
        except OSError as error:
            why = f"the secret {name!r} cannot be read: {path}: {error.strerror}"
            raise SecretMissing(name, f"{why}; put it there, with mode 600") from None
        except ValueError as fault:
            raise SecretMissing(name, f"the secret {name!r} is not used: {path} {fault}") from None
        return data


def _content(path: Path) -> str:
    """Raises OSError, or ValueError that says what is wrong with the file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("is no file")
        if found.st_mode & 0o007:
            raise ValueError(f"can be read by everybody (mode {stat.S_IMODE(found.st_mode):04o}): chmod 600 it")
        data = os.read(fd, MAX_SECRET_BYTES + 2)
    finally:
        os.close(fd)
    try:
        text = data.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError("is no text in UTF-8") from None
    if not text or len(text.encode()) > MAX_SECRET_BYTES:
        how_many = f"more than {MAX_SECRET_BYTES} bytes" if text else "nothing in it"
        raise ValueError(f"has {how_many}: it needs 1 to {MAX_SECRET_BYTES}")
    if not text.isprintable():
        raise ValueError("has control characters: a header is one line")
    return text
