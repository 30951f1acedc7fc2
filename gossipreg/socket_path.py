"""Where the local socket is: one rule for the sidecar that makes it and the client that looks for it.

The folder is `gossipreg` under $XDG_RUNTIME_DIR, else under /run where that is writable, else in the temp folder with
the uid in its name. The file is NAME.sock where `--name` was given to `join`, else gossipreg.sock. A client that is
told no socket takes the only one there is.

It is on the start path of every client command, where `pathlib` alone would cost a tenth of the time: clients get text,
and the sidecar's half imports `pathlib` when it is called.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipreg.errors import BadParams, CannotStart, Unreachable, cannot_start

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "gossipreg"
SUFFIX = ".sock"
MAX_PATH_BYTES = 107
"""The kernel's `sun_path` less its final zero (Linux 108; other systems may have 104)."""


def socket_folder() -> "Path":
    """The folder for this user's sockets; it may not exist yet."""
    from pathlib import Path

    return Path(_folder())


def prepare_folder(folder: "Path") -> None:
    """Make the folder, mode 0700, where it is missing. Raises CannotStart where it is, or could be, somebody else's."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()  # lstat: a link that another user put into the temp folder is not followed
    except OSError as error:
        message = f"cannot make the socket folder {folder}: {error.strerror}; choose --socket PATH"
        raise cannot_start(message, error.errno) from None
    if not folder.is_dir() or folder.is_symlink():
        raise CannotStart(f"{folder} is no folder: take it away, or choose --socket PATH")
    if status.st_uid != os.getuid():
        raise CannotStart(
            f"the socket folder {folder} belongs to uid {status.st_uid}, not to {os.getuid()}: choose --socket PATH"
        )
    if status.st_mode & 0o022:
        raise CannotStart(
            f"others may write in the socket folder {folder}: chmod 700 {folder}, or choose --socket PATH"
        )


def default_socket(name: str | None) -> "Path":
    """Where `join` puts its socket. Raises CannotStart for a name that makes no file name, or too long a path."""
    if name is not None and ("/" in name or "\0" in name or name in ("", ".", "..")):
        raise CannotStart(
            f"the name {name!r} makes no file name for the socket: choose another --name, or --socket PATH"
        )
    path = socket_folder() / f"{FOLDER if name is None else name}{SUFFIX}"
    if fault := path_fault(path):
        raise CannotStart(fault)
    return path


def find_socket(explicit: str | None = None, answers: Callable[[str], bool] | None = None) -> str:
    """Which socket a client means: the one named, else $GOSSIPREG_SOCKET, else the only one there is.

    Where there are several files, those that `answers` says no to are what crashed sidecars left behind: they do not
    count. Raises Unreachable where there is none, BadParams (the user has to choose) where several are left or the
    path is too long.
    """
    named = explicit or os.environ.get("GOSSIPREG_SOCKET")
    if named:
        if fault := path_fault(named):
            raise BadParams(fault)
        return named
    folder = _folder()
    try:
        if (uid := _owner_uid(folder)) not in (os.getuid(), 0):  # in a temp folder anybody can be first
            raise Unreachable(f"the socket folder {folder} belongs to uid {uid}: choose a socket with --socket")
        paths = sorted(f"{folder}/{name}" for name in os.listdir(folder) if name.endswith(SUFFIX))
    except OSError:
        paths = []
    if len(paths) > 1 and answers is not None:
        paths = [path for path in paths if answers(path)]
    if not paths:
        raise Unreachable(f"no sidecar found in {folder}: start one with `gossipreg join`")
    if len(paths) > 1:
        raise BadParams(f"several sidecars found, choose one with --socket: {', '.join(paths)}")
    return paths[0]


def path_fault(path: "str | Path") -> str:
    """What is wrong with the path of a socket, in one line; empty where nothing is."""
    size_bytes = len(os.fsencode(path))
    if size_bytes <= MAX_PATH_BYTES:
        return ""
    return f"the socket path {path} takes {size_bytes} bytes, the system allows {MAX_PATH_BYTES}: choose a shorter one"


def _owner_uid(folder: str) -> int:
    return os.stat(folder).st_uid


def _folder() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime):  # the XDG specification says to ignore a relative one
        return os.path.join(runtime, FOLDER)
    if os.access("/run", os.W_OK | os.X_OK):
        return f"/run/{FOLDER}"
    return os.path.join(_temp_folder(), f"{FOLDER}-{os.getuid()}")


def _temp_folder() -> str:
    """As `tempfile.gettempdir` begins, without importing it and the random numbers behind it."""
    for name in ("TMPDIR", "TEMP", "TMP"):
        folder = os.environ.get(name)
        if folder and os.path.isabs(folder):
            return folder
    return "/tmp"
