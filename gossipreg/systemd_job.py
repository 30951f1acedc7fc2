"""The systemd job that stops us: only a restart brings a sidecar back, so only then may its services be held.

SIGTERM is the same for restart, stop, poweroff and scale-in. The job that systemd runs for the unit tells them apart:
`restart` until the process has ended, `stop` otherwise. `systemctl list-jobs` shows it. Root needs no message bus for
that, so it works during a shutdown: a unit asks in its `ExecStop=+`. Another user needs the system bus, which does not
know the users of DynamicUser= everywhere. Every failure counts as no restart: a service that is not held is gone for a
second, but a dead service that is held stays in the answers for half a minute.
"""

import os

ASK_S = 2.0
"""The longest wait for systemctl. It answers within 50 ms, but during a shutdown the bus may be gone already."""


def run_by_systemd() -> bool:
    """Whether a unit of systemd started this process."""
    return "INVOCATION_ID" in os.environ


def unit_of(cgroups: str) -> tuple[str, bool] | None:
    """The unit's name and whether a user's manager runs it, from the text of /proc/self/cgroup. None: no unit."""
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


def restart_job() -> str:
    """The name of our unit if systemd is restarting it; empty if it is not, or if that cannot be found out. Blocks for
    ASK_S at most."""
    import subprocess  # needed only at the end

    try:
        with open("/proc/self/cgroup") as file:
            found = unit_of(file.read())
        if not run_by_systemd() or found is None:
            return ""
        unit, of_user = found
        manager = ["--user"] if of_user else []
        # systemctl would write to NOTIFY_SOCKET, which systemd refuses with a line in the journal. And it needs none of
        # our keys.
        environment = {
            name: value
            for name, value in os.environ.items()
            if name != "NOTIFY_SOCKET" and not name.startswith("GOSSIPREG_")
        }
        ended = subprocess.run(
            ["systemctl", *manager, "list-jobs", "--no-legend", "--plain", "--no-pager", unit],
            stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=ASK_S,
            env={**environment, "SYSTEMD_COLORS": "0"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return unit if is_restarted(unit, ended.stdout.decode(errors="replace")) else ""
