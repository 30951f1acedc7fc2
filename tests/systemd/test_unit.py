"""The manual's unit under a real systemd: what its directives promise, seen from another sidecar."""

import base64
import time

from gossipreg.wire.seal import key_id
from scripts.tools.wait import wait_for
from tests.system.asker import Asker
from tests.systemd.unit import KEY, Unit, new_key, peer_reload

AT_ONCE_S = 10.0
"""Far above what a leave takes on a slow machine, far below the hold of 30 s."""


def test_systemctl_restart_takes_no_service_out_of_any_answer(unit: Unit) -> None:
    with unit.listen(), Asker(unit.peer):
        unit.systemctl("restart", "gossipreg")
        unit.cli("wait", "--synced", "--timeout", "30s")
    assert "leaving hold_s=30" in unit.machine.log()


def test_systemctl_stop_takes_services_out_at_once(unit: Unit) -> None:
    with unit.listen():
        start = time.monotonic()
        unit.systemctl("stop", "gossipreg")
        wait_for(lambda: unit.peer.lookup("web") == [], AT_ONCE_S)
        assert time.monotonic() - start < AT_ONCE_S
    assert unit.peer.states()["unit"] == "left"
    assert unit.property("Result") == "success"


def test_a_restart_does_not_hold_what_refuses_connections(unit: Unit) -> None:
    unit.listen().close()
    unit.systemctl("restart", "gossipreg")
    assert "service_refuses" in unit.machine.log()


def test_a_leave_by_hand_ends_the_unit_without_a_restart(unit: Unit) -> None:
    unit.cli("leave")
    wait_for(lambda: unit.property("ActiveState") == "inactive")
    assert (unit.property("Result"), unit.property("NRestarts")) == ("success", "0")


def test_a_kill_by_hand_is_no_restart(unit: Unit) -> None:
    with unit.listen():
        unit.systemctl("kill", "--signal=TERM", "gossipreg")
        wait_for(lambda: unit.peer.lookup("web") == [], AT_ONCE_S)


def test_systemctl_reload_fails_with_a_broken_key_file(unit: Unit) -> None:
    unit.systemctl("reload", "gossipreg")
    assert unit.troubles() == []
    good = unit.machine.sh(f"cat {KEY}")
    unit.machine.write(KEY, "nonsense\n")
    assert unit.systemctl("reload", "gossipreg", check=False) != 0
    assert [KEY in message for message in unit.troubles()] == [True]
    assert unit.property("ActiveState") == "active"
    unit.machine.write(KEY, good + "\n")
    unit.systemctl("reload", "gossipreg")
    assert unit.troubles() == []


def test_the_key_rotation_of_the_manual_loses_nobody(unit: Unit) -> None:
    old, new = unit.key_file.read_text().strip(), new_key()
    old_id, new_id = (key_id(base64.b64decode(key)).hex() for key in (old, new))
    both = {"unit", "peer"}
    generation = unit.info()["generation"]
    assert unit.keys() == {name: [old_id] for name in both}
    for lines, ids in (((old, new), [old_id, new_id]), ((new, old), [new_id, old_id]), ((new,), [new_id])):
        unit.machine.write(KEY, "\n".join(lines) + "\n")
        unit.systemctl("reload", "gossipreg")
        peer_reload(unit.peer, unit.key_file, *lines)
        wait_for(lambda ids=ids: unit.keys() == dict.fromkeys(both, ids))  # type: ignore[misc]
        assert unit.peer.states() == dict.fromkeys(both, "alive")
    assert unit.troubles() == []
    assert unit.info()["generation"] == generation, "it was never restarted"
    log = unit.machine.log() + unit.peer.log.read_text()
    assert "member_dead" not in log
    assert "does not accept the key of this sidecar" not in log
