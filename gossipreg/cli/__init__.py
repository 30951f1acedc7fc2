"""The commands of `gossipreg`: parse, call, print. Each has a file, which is imported only when the command is run.

A client command loads click, msgpack and the client, and nothing else that takes time: no trio, no cryptography.
`join` alone is started by `join_light.py`, which keeps click out of the sidecar.
`commands.py` is the group and the way from exceptions to exit codes; `options.py`, `output.py` and `units.py` are what
the commands share.
"""

import os
import sys
from contextlib import suppress


def _occupy_standard_streams() -> None:
    """Open the null device in place of standard streams that are closed (`2>&-`). Otherwise the next file or socket
    would get that number, and a library that writes to stderr would write into it. `sys.stderr` stays None."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


def _is_light() -> bool:
    """Whether the command line is that of a sidecar, as far as one can see without click. All others are run in the
    usual way, among them a `join` behind options of the group, and one that asks for help."""
    return sys.argv[1:2] == ["join"] and not {"--help", "-h"}.intersection(sys.argv)


def main() -> int:
    """The console script: runs the command of `sys.argv`; the exit code is returned, or the process ends with it."""
    try:
        return _main()
    except KeyboardInterrupt:  # before `run` could turn it into an exit code, or after `run` had ended
        os._exit(130)


def _main() -> int:
    import signal

    _occupy_standard_streams()
    # Ctrl-C would print a traceback until `run` can turn it into an exit code. If SIGINT is ignored, as in the
    # background of a shell, it stays ignored.
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    if _is_light():
        from gossipreg.cli.join_light import run_light as run
    else:
        from gossipreg.cli.commands import run

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = run()
    if "gossipreg.daemon.main" not in sys.modules:
        # Taking the interpreter apart would be a tenth of the time of a lookup, and a client command has nothing that
        # needs it: `run` has written the result out, connections end with the process.
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()
        os._exit(code)
    return code
