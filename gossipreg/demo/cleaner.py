"""Delete the folder of the demonstration when the demonstration ends, however it ends.

    python -P cleaner.py WHERE

It makes a folder in WHERE and prints its path. The end of its stdin, which the demonstration holds, means that the
demonstration has ended or was killed. Its processes die then too, and may still write for a moment, so it tries again
until the folder is gone. It has a session of its own and ignores signals: what ends the demonstration must not end it.
"""

import os
import shutil
import signal
import sys
import tempfile
import time

BOUND_S = 30.0
"""A folder that is still there by then cannot be deleted."""
PAUSE_S = 0.05


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    folder = tempfile.mkdtemp(prefix="gossipreg-demo-", dir=sys.argv[1])
    try:
        print(folder, flush=True)  # noqa: T201  # the demonstration reads it
        while os.read(0, 4096):
            pass
    finally:
        gone = delete(folder)
    return 0 if gone else 1


def delete(folder: str) -> bool:
    """Whether the folder is gone."""
    bound = time.monotonic() + BOUND_S
    while os.path.exists(folder) and time.monotonic() < bound:
        shutil.rmtree(folder, ignore_errors=True)
        if os.path.exists(folder):
            time.sleep(PAUSE_S)
    return not os.path.exists(folder)


if __name__ == "__main__":
    sys.exit(main())
