"""The slow tests of the manual's unit: `scripts/check --systemd` runs them, the test suite does not."""

from scripts.tools.wait import wait_for
from tests.systemd.machine import HOST
from tests.systemd.unit import KEY, SOCKET, Unit

STATE = "/var/lib/private/gossipreg"
AT_ONCE_S = 10.0
"""Far above what a leave takes on a slow machine, far below the hold of 30 s."""


def test_poweroff_takes_services_out_at_once(unit: Unit) -> None:
    with unit.listen():
        unit.systemctl("poweroff")
        wait_for(lambda: unit.peer.lookup("web") == [], AT_ONCE_S)
        unit.machine.wait()
    assert unit.peer.states()["unit"] == "left"


def test_a_crash_loop_is_never_given_up(unit: Unit) -> None:
    killed = "0"
    for _ in range(8):  # each as soon as it is started: more often than systemd's usual 5 times in 10 s
        wait_for(lambda before=killed: unit.property("MainPID") not in ("0", before))  # type: ignore[misc]
        killed = unit.property("MainPID")
        unit.machine.sh(f"kill -9 {killed}")
    wait_for(lambda: unit.peer.states()["unit"] == "alive")


def test_a_port_in_use_is_tried_again_until_it_is_free(unit: Unit) -> None:
    unit.systemctl("stop", "gossipreg")
    unit.machine.sh(
        'systemd-run --unit=taker /opt/gossipreg/python/bin/python3 -c "import socket, time; '
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('10.88.0.1', 7940)); time.sleep(600)\""
    )
    unit.systemctl("start", "--no-block", "gossipreg")
    wait_for(lambda: unit.property("ExecMainStatus") == "6")
    wait_for(lambda: int(unit.property("NRestarts")) >= 2)
    unit.systemctl("stop", "taker")
    wait_for(lambda: unit.property("ActiveState") == "active")


def test_an_error_of_configuration_is_not_tried_again(unit: Unit) -> None:
    unit.systemctl("stop", "gossipreg")
    unit.machine.write(KEY, "nonsense\n")
    assert unit.systemctl("start", "gossipreg", check=False) != 0
    wait_for(lambda: unit.property("ActiveState") == "failed")
    assert (unit.property("ExecMainStatus"), unit.property("NRestarts")) == ("5", "0")


def small_disk(unit: Unit) -> None:
    """Move the unit's data directory with its files to a small disk."""
    unit.machine.sh(
        f"cp -a {STATE} /var/lib/kept; mount -t tmpfs -o size=200k,mode=0700 tmpfs {STATE}; "
        f"cp -a /var/lib/kept/. {STATE}; chown --reference=/var/lib/kept {STATE}"
    )


def fill(unit: Unit) -> None:
    unit.machine.sh(f"dd if=/dev/zero of={STATE}/filler bs=4k", check=False)


def test_a_full_disk_keeps_no_killed_sidecar_from_coming_back(unit: Unit) -> None:
    unit.systemctl("stop", "gossipreg")
    small_disk(unit)
    unit.systemctl("start", "gossipreg")
    fill(unit)
    unit.systemctl("kill", "--signal=KILL", "gossipreg")
    wait_for(lambda: unit.property("NRestarts") == "1" and unit.property("ActiveState") == "active")
    wait_for(lambda: unit.peer.states()["unit"] == "alive")
    assert any("full" in message for message in unit.troubles())
    unit.machine.sh(f"rm {STATE}/filler")
    wait_for(lambda: unit.troubles() == [])


def test_a_first_start_on_a_full_disk_is_retried(unit: Unit) -> None:
    unit.systemctl("stop", "gossipreg")
    small_disk(unit)
    unit.machine.sh(f"rm {STATE}/*")
    fill(unit)
    unit.systemctl("start", "--no-block", "gossipreg")
    wait_for(lambda: unit.property("ExecMainStatus") == "6")
    wait_for(lambda: int(unit.property("NRestarts")) >= 2)
    unit.machine.sh(f"rm {STATE}/filler")
    wait_for(lambda: unit.property("ActiveState") == "active")


def test_the_units_socket_is_found_without_naming_it(unit: Unit) -> None:
    unit.machine.sh("useradd --system --groups gossipreg-clients app")
    as_app = "setpriv --reuid=app --regid=app --init-groups"
    with unit.listen() as program:
        for before in ("", as_app, "env XDG_RUNTIME_DIR=/root"):
            found = unit.machine.sh(f"{before} gossipreg lookup web")
            assert found == f"{HOST}:{program.getsockname()[1]}", before
    assert SOCKET in unit.machine.sh("gossipreg config --all")
