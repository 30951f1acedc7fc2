"""PID 1 of a container: this process reaps orphans and passes signals on, and its child runs the command.

The kernel gives PID 1 every orphan of the container, and an orphan that ended stays a zombie until PID 1 waits for it.
A process that waits for any child takes the exit codes away from parts that wait for their own children (checks,
`exec`). So a process of its own does nothing else, as in `docker run --init` and tini. The fork comes before the
command loads anything, so the two share their memory.
"""

import os
import signal
from contextlib import suppress

PASSED_ON = {
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT,
    signal.SIGWINCH,
}  # fmt: skip
SI_KERNEL = 128
"""The `si_code` of a signal from the terminal, which sends it to the child as well."""


def split_where_pid_one() -> None:
    """Return in the process that runs the command: this one, or its child if this one is PID 1. PID 1 never returns: it
    ends with the exit code of the command, or 128 + N if signal N ended the command."""
    if os.getpid() == 1:
        _split()


def _split() -> None:
    # Block them before the fork, so that no signal is lost between the fork and the first wait.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON | {signal.SIGCHLD})
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os._exit(_serve(child))


def _serve(child: int) -> int:
    """Reap and pass signals on until the child has ended; return its exit code."""
    while True:
        got = signal.sigwaitinfo(PASSED_ON | {signal.SIGCHLD})
        if got.si_signo != signal.SIGCHLD:
            if got.si_code != SI_KERNEL:
                with suppress(ProcessLookupError):
                    os.kill(child, got.si_signo)
        elif (code := _reap(child)) is not None:
            return code


def _reap(child: int) -> int | None:
    """Reap every process that has ended; return the exit code of `child` if it is one of them."""
    code = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
    return None if code is None else code if code >= 0 else 128 - code
