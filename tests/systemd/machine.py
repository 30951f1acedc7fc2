"""A machine with Debian's systemd as its first process, made of namespaces: this one's files under an overlay.

It has a network of its own with one address, a cgroup of its own, an empty /run and /tmp, and of systemd's units only
what a service needs. Nothing of it outlives `close`: the overlay's upper layer is in memory, and with its first process
all others end.
"""

import os
import shutil
import site
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
HOST, PEER = "10.88.0.1", "10.88.0.2"
"""Its address, and one in the same network for a sidecar that is not part of the machine."""
BOUND_S = 60.0
SYSTEMD = "/lib/systemd/systemd"

_BOOT = r"""
set -e
D=$1; R=$D/root
mount --make-rprivate /
mount -t tmpfs tmpfs $D
mkdir $D/up $D/work $R
mount -t overlay overlay -o lowerdir=/,upperdir=$D/up,workdir=$D/work $R
mount -t proc proc $R/proc
mount -t sysfs sysfs $R/sys
mount -t tmpfs -o mode=755 tmpfs $R/dev
for name in null zero full random urandom tty; do touch $R/dev/$name; mount --bind /dev/$name $R/dev/$name; done
mkdir $R/dev/pts $R/dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts $R/dev/pts
ln -s pts/ptmx $R/dev/ptmx; ln -s /proc/self/fd $R/dev/fd
mount -t tmpfs -o mode=755 tmpfs $R/run
mount -t cgroup2 cgroup2 $R/sys/fs/cgroup
mkdir -p $R/opt/gossipreg/project $R/opt/gossipreg/python $R/opt/gossipreg/packages
mount --bind "$2" $R/opt/gossipreg/project
mount --bind "$3" $R/opt/gossipreg/python
mount --bind "$4" $R/opt/gossipreg/packages
mount -t tmpfs tmpfs $R/tmp
rm -rf $R/etc/systemd/system; mkdir -p $R/etc/systemd/system
for unit in systemd-udevd systemd-udev-trigger systemd-journal-flush systemd-resolved systemd-timesyncd \
    systemd-networkd networking systemd-modules-load systemd-sysctl systemd-random-seed apparmor e2scrub_reap \
    systemd-binfmt systemd-update-utmp; do ln -sf /dev/null $R/etc/systemd/system/$unit.service; done
printf '[Unit]\nRequires=basic.target dbus.socket\nAfter=basic.target\nAllowIsolate=yes\n' \
    >$R/etc/systemd/system/trial.target
: >$R/etc/fstab
rm -f $R/usr/local/bin/gossipreg
cat >$R/usr/local/bin/gossipreg <<X
#!/bin/sh
export PYTHONPATH=/opt/gossipreg/project:/opt/gossipreg/packages PYTHONDONTWRITEBYTECODE=1
export LD_LIBRARY_PATH=/opt/gossipreg/python/lib
exec /opt/gossipreg/python/bin/python3 -m gossipreg.cli "\$@"
X
chmod 755 $R/usr/local/bin/gossipreg
ip link set lo up
ip link add lan0 type veth peer name lan1; ip link set lan0 up; ip link set lan1 up
ip addr add $5/24 dev lan0; ip addr add $6/24 dev lan0; ip route add default dev lan0
mkdir $R/.outside; cd $R; pivot_root . .outside; cd /; umount -l /.outside
exec env -i container=gossipreg PATH=/usr/sbin:/usr/bin:/sbin:/bin $7 --unit=trial.target </dev/null >/dev/null 2>&1
"""


def why_not() -> str:
    """Return why no such machine can be made here; empty if one can."""
    missing = [name for name in ("unshare", "nsenter", "pivot_root", "ip", "mount") if shutil.which(name) is None]
    if os.geteuid() != 0:
        return "namespaces with a systemd of their own need root"
    if not os.access(SYSTEMD, os.X_OK) or not os.access("/usr/bin/dbus-daemon", os.X_OK):
        return "systemd and dbus are not installed"
    if missing:
        return f"not installed: {', '.join(missing)}"
    if _cgroups() is None:
        return "no cgroup2 file system is mounted"
    if not os.access(_cgroups() or "", os.W_OK):
        return "cgroups cannot be made here"
    return ""


def _cgroups() -> Path | None:
    """Where the unified hierarchy of cgroups is mounted."""
    for path in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
        if (path / "cgroup.procs").exists():
            return path
    return None


class CannotBoot(Exception):
    """This machine does not permit such a machine; the text says what failed."""


class Machine:
    """Runs from `__enter__` to `close`. Raises CannotBoot."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="gossipreg-machine-")
        hierarchy = _cgroups()
        assert hierarchy is not None, "why_not() says so"
        self._cgroup = hierarchy / Path(self._folder.name).name
        self._cgroup.mkdir()
        folders = [self._folder.name, str(ROOT), sys.base_prefix, site.getsitepackages()[0]]
        enter = f'echo $$ >{self._cgroup}/cgroup.procs; exec "$@"'
        namespaces = ["--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "--cgroup", "--kill-child"]
        self._said = open(Path(self._folder.name).with_suffix(".log"), "w+")  # closed in `close`
        boot = ["bash", "-c", _BOOT, "boot", *folders, HOST, PEER, SYSTEMD]
        self._process = subprocess.Popen(
            ["bash", "-c", enter, "bash", "unshare", *namespaces, *boot],
            stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said,
        )  # fmt: skip
        try:
            self._wait_up()
        except BaseException:
            self.close()
            raise
        return self

    def _wait_up(self) -> None:
        end = time.monotonic() + BOUND_S
        while time.monotonic() < end and self._process.poll() is None:
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            if children:
                self.pid = int(children[0])
                said = self.run("systemctl", "is-system-running", check=False).stdout.strip()
                if said in ("running", "degraded"):
                    return
            time.sleep(0.1)
        self._said.seek(0)
        raise CannotBoot(self._said.read()[-500:] or "systemd did not come up")

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def run(self, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command within the machine, as root."""
        ended = subprocess.run(
            ["nsenter", "-t", str(self.pid), "--all", "--", *command], capture_output=True, text=True, timeout=BOUND_S
        )
        assert ended.returncode == 0 or not check, f"{command}: {ended.stdout}{ended.stderr}\n{self.log()}"
        return ended

    def sh(self, line: str, check: bool = True) -> str:
        return self.run("bash", "-c", line, check=check).stdout.strip()

    def write(self, path: str, text: str) -> None:
        subprocess.run(
            ["nsenter", "-t", str(self.pid), "--all", "--", "tee", path], input=text, text=True, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def on_its_network(self) -> list[str]:
        """The beginning of a command that runs on the machine's network and is not part of it."""
        return ["nsenter", "-t", str(self.pid), "--net", "--"]

    def log(self) -> str:
        """Return the last output of the unit's processes."""
        command = [
            "nsenter",
            "-t",
            str(self.pid),
            "--all",
            "--",
            "journalctl",
            "-u",
            "gossipreg",
            "-n",
            "40",
            "--no-pager",
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=BOUND_S).stdout

    def wait(self, bound_s: float = BOUND_S) -> None:
        """Wait until its first process has ended, as after poweroff."""
        self._process.wait(bound_s)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()  # with it its first process, and with that all others
        self._process.wait()
        self._said.close()
        Path(self._said.name).unlink()
        self._folder.cleanup()
        end = time.monotonic() + BOUND_S
        while self._cgroup.exists() and time.monotonic() < end:
            for folder, _, _ in os.walk(self._cgroup, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:  # the kernel is not done with its processes
                    time.sleep(0.05)

    def __exit__(self, *_exception: object) -> None:
        self.close()
