"""Asking systemd why it stops us: only a restart brings this sidecar back, so only then may its services be held.

SIGTERM is the same for restart, stop, poweroff and scale-in. What tells them apart is the job that systemd runs for the
unit: `restart` until the process has ended, `stop` otherwise. It is asked with `systemctl list-jobs`, which goes over
the system bus where the sidecar is not root. Whatever goes wrong (no systemd, no bus, no answer in time) counts as no
restart: a service that is not held is gone for a second, one that is held wrongly answers nobody for half a minute.
"""

import os
from subprocess import DEVNULL

import trio

ASK_S = 2.0
"""systemctl answers within 50 ms; during a shutdown the bus may be gone already."""


def run_by_systemd() -> bool:
    """Whether a unit of systemd started this process."""
    return "INVOCATION_ID" in os.environ


def unit_of(cgroups: str) -> tuple[str, bool] | None:
    """The unit's name, and whether it is one of a user's manager, from the text of /proc/self/cgroup."""
    for line in cgroups.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers not in ("", "name=systemd"):
            continue
        units = [part for part in path.split("/") if part.endswith(".service")]
        if units and not units[-1].startswith("user@"):
            return units[-1], any(part.startswith("user@") for part in units)
    return None


def is_restarted(unit: str, jobs: str) -> bool:
    """Whether `systemctl list-jobs` has a restart job of the unit: lines of id, unit, type, state."""
    return any(fields[1:3] == [unit, "restart"] for fields in map(str.split, jobs.splitlines()))


async def restart_job() -> str:
    """The name of our unit where systemd is restarting it; empty where not, or where that cannot be found out."""
    try:
        with open("/proc/self/cgroup") as file:
            found = unit_of(file.read())
    except OSError:
        return ""
    if not run_by_systemd() or found is None:
        return ""
    unit, of_user = found
    manager = ["--user"] if of_user else []
    command = ["systemctl", *manager, "list-jobs", "--no-legend", "--plain", "--no-pager", unit]
    with trio.move_on_after(ASK_S):
        try:
            ended = await trio.run_process(
                command, stdin=DEVNULL, capture_stdout=True, stderr=DEVNULL, check=False,
                env={**os.environ, "SYSTEMD_COLORS": "0"},
            )  # fmt: skip
        except OSError:
            return ""
        return unit if is_restarted(unit, ended.stdout.decode(errors="replace")) else ""
    return ""
