"""Run a program that the kernel kills when the process that started it ends, however that ends.

    python -P child.py PARENT ROOT -m MODULE ARGUMENTS...
    python -P child.py PARENT ROOT PROGRAM ARGUMENTS...

PARENT is the process id of the starter, ROOT the folder of the package gossipreg. The kernel sends SIGKILL when the
*thread* that started this process ends (prctl(2), PR_SET_PDEATHSIG), so that has to be the main thread. The setting
stays over exec. Nothing is imported from gossipreg before it is set.
"""

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel end this process with that parent. Exits if it has ended already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def main() -> None:
    parent, root, *command = sys.argv[1:]
    die_with(int(parent))
    if command[0] == "-m":
        sys.path.append(root)
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        os.execvp(command[0], command)


if __name__ == "__main__":
    main()
