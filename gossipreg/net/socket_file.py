"""The file of the local socket: made, taken over from a dead sidecar, never from a live one, and removed at the end.

Owns the listening socket, its file and the lock beside it. Never knows who connects. The lock is held for life: two
that start at once would else both find that nobody answers, and the second would take away the first one's socket
between its bind and its listen.
"""

import errno
import fcntl
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from gossipreg.errors import CannotStart, CannotStartYet, cannot_start

BACKLOG = 1024
"""Clients that may connect while the sidecar is busy: all of a machine at once, after a restart. Further ones wait;
those that connect without blocking, as gRPC does, get EAGAIN and try again a second later."""

_LIVE = "a sidecar already answers at {path}: stop that one, or choose another {flag}"


class SocketFile:
    """Made by `bind_socket_file`."""

    def __init__(self, listener: socket.socket, path: Path, lock_fd: int) -> None:
        self.listener = listener
        self.path = path
        self._lock_fd = lock_fd
        self._file = _identity_of(path)

    def close(self) -> None:
        """Stop listening; remove the file, if it is still ours."""
        self.listener.close()
        with suppress(OSError):
            if _identity_of(self.path) == self._file:
                self.path.unlink()
        _unlock(self._lock_fd, self.path)


def bind_socket_file(path: Path, *, group: int | None, flag: str = "--name or --socket") -> SocketFile:
    """Listen at `path`, mode 0600, or 0660 with that group. A dead sidecar's socket is taken over; raises CannotStart
    where a live one answers there, or the file is none of ours."""
    lock_fd = _lock(path, flag)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        _bind(listener, path, flag)
        if group is not None:
            os.chown(path, -1, group)
            path.chmod(0o660)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        return SocketFile(listener, path, lock_fd)
    except BaseException as error:
        listener.close()
        _unlock(lock_fd, path)
        if isinstance(error, OSError):
            raise _cannot_listen(path, error, flag) from None
        raise


def _cannot_listen(path: Path, error: OSError, flag: str) -> CannotStart:
    return cannot_start(f"cannot listen on {path}: {error.strerror or error}; choose another {flag}", error.errno)


def _lock_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _lock(path: Path, flag: str) -> int:
    lock_path = _lock_path(path)
    while True:
        try:
            fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _cannot_listen(path, error, flag) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise CannotStartYet(_LIVE.format(path=path, flag=flag)) from None
        with suppress(OSError):
            if os.fstat(fd).st_ino == lock_path.stat().st_ino:
                return fd
        os.close(fd)  # its last holder took the file away while we waited for it


def _unlock(fd: int, path: Path) -> None:
    with suppress(OSError):
        _lock_path(path).unlink()
    os.close(fd)


def _bind(listener: socket.socket, path: Path, flag: str) -> None:
    before = os.umask(0o177)  # from the first moment nobody else can connect
    try:
        try:
            listener.bind(os.fspath(path))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            _remove_dead(path, flag)
            listener.bind(os.fspath(path))
    finally:
        os.umask(before)


def _remove_dead(path: Path, flag: str) -> None:
    """Unlink a socket at which nobody listens."""
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise CannotStart(f"{path} exists and is not a socket: remove it, or choose another {flag}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its backlog is full: somebody is there
    raise CannotStartYet(_LIVE.format(path=path, flag=flag))


def _identity_of(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino
