"""The cluster's keys: read from the file or the variable, with errors of one line that never show a key."""

import os
import select
import stat
from errno import ENOENT
from typing import TYPE_CHECKING

from gossipreg.daemon.settings import Settings
from gossipreg.errors import BadConfig, CannotStart, cannot_start

if TYPE_CHECKING:
    from gossipreg.wire.seal import Keyring

MAX_KEY_FILE_BYTES = 64 * 1024
PIPE_S = 5.0
"""The time that a pipe may take to give the next bytes of a key."""


def read_keyring(settings: Settings) -> "Keyring | None":
    """Read the keys of the key file, else of the variable; None if neither is given. Raises CannotStart."""
    if settings.key_file is not None:
        source = f"key file {settings.key_file}"
        text = _read(settings.key_file)
    elif settings.key is not None:
        source, text = "GOSSIPREG_KEY", settings.key
    else:
        return None
    from gossipreg.wire.seal import Keyring  # a sidecar without a key seals nothing

    try:
        return Keyring.parse_untrusted(text)
    except BadConfig as error:
        raise CannotStart(f"{source}: {error}") from None


def exposed(path: str | None) -> str:
    """A fault of the key file's read permissions; empty if there is none. A group may read it: systemd's LoadCredential
    gives access by an ACL, whose mask is in the group's place."""
    try:
        mode = 0 if path is None else stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return ""
    return f"everybody can read {path} (mode {mode:04o}): chmod 600 it" if mode & 0o007 else ""


def _read_some(path: str) -> bytes:
    """Read the beginning of a file. A pipe (`--key-file <(...)`) may take its time, but one that nobody writes to must
    not delay the start for ever."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        data = b""
        while len(data) <= MAX_KEY_FILE_BYTES and select.select([fd], [], [], PIPE_S)[0]:
            more = os.read(fd, MAX_KEY_FILE_BYTES + 1 - len(data))
            if not more:
                break
            data += more
        return data
    finally:
        os.close(fd)


def _read(path: str) -> str:
    try:
        data = _read_some(path)
        if len(data) > MAX_KEY_FILE_BYTES:
            raise CannotStart(f"key file {path}: it has more than {MAX_KEY_FILE_BYTES} bytes, so it is not a key file")
        return data.decode("utf-8-sig")  # editors on Windows put a mark first
    except OSError as error:
        hint = "; make one with `gossipreg keygen`" if error.errno == ENOENT else ""
        message = f"key file {path}: {error.strerror}{hint}"
        raise cannot_start(message, error.errno) from None
    except ValueError:
        raise CannotStart(f"key file {path}: not base64; make one with `gossipreg keygen`") from None
