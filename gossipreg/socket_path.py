"""Where the local socket is: one rule for the sidecar that makes it and the client that looks for it.

The folders, in this order: `gossipreg` under $XDG_RUNTIME_DIR, `/run/gossipreg`, and in the temp folder one with the
uid in its name. A sidecar takes the first that it may use; its file is NAME.sock where `--name` was given to `join`,
else gossipreg.sock. A client looks into all of them: the first folder with a living sidecar decides.

It is on the start path of every client command, where `pathlib` alone would cost a tenth of the time: clients get text,
and the sidecar's half imports `pathlib` when it is called.
"""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from gossipreg.errors import CannotStart, ChooseSocket, Unreachable, cannot_start

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "gossipreg"
SUFFIX = ".sock"
SYSTEM_FOLDER = f"/run/{FOLDER}"
"""Its owner is trusted: only root can make a folder in /run, or let systemd make one for the user of a unit."""
MAX_PATH_BYTES = 107
"""The kernel's `sun_path` less its final zero (Linux 108; other systems may have 104)."""

Probe = Literal["living", "dead", "forbidden"]
"""What a connection to a socket finds: a sidecar, nobody, or that this user may not connect."""


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
        raise CannotStart(f"{folder} is not a folder: remove it, or choose --socket PATH")
    if status.st_uid != os.getuid():
        raise CannotStart(
            f"the socket folder {folder} belongs to uid {status.st_uid}, not to {os.getuid()}: choose --socket PATH"
        )
    if status.st_mode & 0o022:
        raise CannotStart(
            f"other users may write in the socket folder {folder}: chmod 700 {folder}, or choose --socket PATH"
        )


def default_socket(name: str | None) -> "Path":
    """Where `join` puts its socket. Raises CannotStart for a name that makes no file name, or too long a path."""
    if name is not None and ("/" in name or "\0" in name or name in ("", ".", "..")):
        raise CannotStart(
            f"the name {name!r} cannot be a file name for the socket: choose another --name, or --socket PATH"
        )
    path = socket_folder() / f"{FOLDER if name is None else name}{SUFFIX}"
    if fault := path_fault(path):
        raise CannotStart(fault)
    return path


def find_socket(explicit: str | None, probe: Callable[[str], Probe], choice: str) -> str:
    """The socket for a client: the one named, else $GOSSIPREG_SOCKET, else that of the only sidecar in the first folder
    that has a living one.

    `choice`: how the user chooses one, for the error's text.

    If there is one file in all folders, it is not probed: the connection will show whether it lives. Raises
    ChooseSocket if several sidecars live in that folder or if the named path is too long, Unreachable if there is no
    sidecar that this user may use.
    """
    named = explicit or os.environ.get("GOSSIPREG_SOCKET")
    if named:
        if fault := path_fault(named):
            raise ChooseSocket(fault)
        return named
    places = [_Place(folder) for folder in client_folders()]
    if sum(len(place.paths) for place in places) == 1 and not any(place.closed for place in places):
        return next(path for place in places for path in place.paths)
    forbidden = [f"in {place.folder}" for place in places if place.closed]
    for place in places:
        found = {path: probe(path) for path in place.paths}
        living = [path for path in place.paths if found[path] == "living"]
        if len(living) > 1:
            raise ChooseSocket(f"several sidecars found, choose one with {choice}: {', '.join(living)}")
        if living:
            return living[0]
        forbidden += [path for path in place.paths if found[path] == "forbidden"]
    if forbidden:
        raise Unreachable(no_permission(", ".join(forbidden)))
    *first, last = [place.shown for place in places]
    raise Unreachable(f"no sidecar found in {', '.join(first)} or {last}: start one with `gossipreg join`")


def no_permission(path: str) -> str:
    """The error text for a socket that exists and that this user may not use."""
    return f"the socket {path} exists, but this user may not use it: see `join --socket-group`"


class _Place:
    """A folder as a client finds it that looks for a socket."""

    def __init__(self, folder: str) -> None:
        self.folder = self.shown = folder
        self.paths: tuple[str, ...] = ()
        """The paths of the sockets in it, by name."""
        self.closed = False
        """Whether there may be a socket that this user cannot see."""
        try:
            if (owner := _untrusted_owner(folder)) is not None:
                self.shown = f"{folder} (it belongs to uid {owner} and is not trusted)"
                return
            names = [name for name in os.listdir(folder) if name.endswith(SUFFIX)]
        except PermissionError:
            # A folder of mode 0711 can be entered but not listed: then the usual name is worth a try.
            names = [f"{FOLDER}{SUFFIX}"] if os.path.exists(f"{folder}/{FOLDER}{SUFFIX}") else []
            self.closed = folder == SYSTEM_FOLDER and not names
            self.shown = f"{folder} (this user may not look into it)"
        except OSError:
            names = []
        self.paths = tuple(sorted(f"{folder}/{name}" for name in names))


def _untrusted_owner(folder: str) -> int | None:
    """The owner of this folder if it is neither root nor we; None if the folder is trusted. In a temp folder anybody
    can make it first, in /run only root, unless /run was mounted writable for all."""
    if folder == SYSTEM_FOLDER and not os.stat(os.path.dirname(folder)).st_mode & 0o022:
        return None
    owner = os.lstat(folder).st_uid
    return None if owner in (os.getuid(), 0) else owner


def path_fault(path: "str | Path") -> str:
    """What is wrong with the path of a socket, in one line; empty where nothing is."""
    size_bytes = len(os.fsencode(path))
    if size_bytes <= MAX_PATH_BYTES:
        return ""
    return (
        f"the socket path {path} has {size_bytes} bytes, and the system allows {MAX_PATH_BYTES}: choose a shorter one"
    )


def client_folders() -> tuple[str, ...]:
    """The folders in which a client looks, in this order, none twice."""
    return tuple(dict.fromkeys(_folders()))


def _folder() -> str:
    """The folder for the socket of a sidecar of this user: the first one that it could make."""
    xdg = _runtime_folder()
    if xdg:
        return xdg
    return SYSTEM_FOLDER if os.access("/run", os.W_OK | os.X_OK) else _own_temp_folder()


def _folders() -> Iterator[str]:
    xdg = _runtime_folder()
    if xdg:
        yield xdg
    yield SYSTEM_FOLDER
    yield _own_temp_folder()


def _runtime_folder() -> str | None:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime):  # the XDG specification says to ignore a relative one
        return os.path.join(runtime, FOLDER)
    return None


def _own_temp_folder() -> str:
    return os.path.join(_temp_folder(), f"{FOLDER}-{os.getuid()}")


def _temp_folder() -> str:
    """As `tempfile.gettempdir` begins, without importing it and the random numbers behind it."""
    for name in ("TMPDIR", "TEMP", "TMP"):
        folder = os.environ.get(name)
        if folder and os.path.isabs(folder):
            return folder
    return "/tmp"
