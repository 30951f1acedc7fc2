"""What must hold for every client of the mesh, one function a case. Each raises AssertionError with what did not hold.

A case begins with no instance and no policy. Of times only bounds are asserted that nothing that works comes near,
and that what must fail at once does not wait for its timeout.
"""

import json
import subprocess
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from scripts.checks.mesh.envoy_front import EnvoyCaller
from scripts.checks.mesh.mesh_caller import Answers, MeshCaller, ProcessCaller
from scripts.checks.mesh.mesh_world import MeshWorld
from scripts.tools.sidecars import COMMAND
from scripts.tools.wait import wait_for

Case = Callable[[MeshWorld, MeshCaller], None]

BACK_S = 60.0
"""A client's connection back-off after an address had nobody: 10 to 15 s with gRPC."""
AT_ONCE_S = 3.0


def answered_by(caller: MeshCaller, ids: set[str], calls: int = 20) -> None:
    """Wait until exactly these answer, and no call fails."""
    seen = Answers()

    def holds() -> bool:
        nonlocal seen
        seen = caller.calls(calls)
        return set(seen.by) == ids and not seen.errors

    wait_for(holds, BACK_S, what=f"{sorted(ids)} answer; at last {dict(seen.by)} {dict(seen.errors)}")


def nothing_failed(answers: Answers) -> None:
    assert not answers.errors, f"{sum(answers.errors.values())} of {answers.total} calls failed: {dict(answers.errors)}"
    assert answers.total, "no call was made"


def adding(world: MeshWorld, caller: MeshCaller) -> None:
    """Instances that are registered are called."""
    for number, id in enumerate(ids := ["a", "b", "c"], 1):
        world.add(id)
        answered_by(caller, set(ids[:number]))


def removing(world: MeshWorld, caller: MeshCaller) -> None:
    """What is deregistered is not called any more, and no call fails."""
    for id in ("a", "b"):
        world.add(id)
    answered_by(caller, {"a", "b"})
    caller.begin_load(50)
    world.remove("a")
    answered_by(caller, {"b"})
    nothing_failed(caller.end_load())


def draining(world: MeshWorld, caller: MeshCaller) -> None:
    """An instance in maintenance is not called, no call fails, and it comes back."""
    for id in ("a", "b"):
        world.add(id)
    answered_by(caller, {"a", "b"})
    caller.begin_load(50)
    world.drain("a")
    answered_by(caller, {"b"})
    world.drain("a", on=False)
    answered_by(caller, {"a", "b"})
    nothing_failed(caller.end_load())


def emptied(world: MeshWorld, caller: MeshCaller) -> None:
    """Without an instance a call fails at once; with one again it is served."""
    world.add("a")
    answered_by(caller, {"a"})
    for _ in range(3):
        world.remove("a")
        wait_for(lambda: not caller.calls(1).by, BACK_S, what="nobody answers")
        failed = caller.calls(3, timeout_s=20.0)
        assert not failed.by
        assert failed.longest_s < AT_ONCE_S, f"a call to nobody took {failed.longest_s:.1f} s to fail"
        world.add("a")
        answered_by(caller, {"a"})


def waiting(world: MeshWorld, caller: MeshCaller) -> None:
    """A call that waits for a connection is sent when the first instance comes. Envoy has no such calls."""
    if not isinstance(caller, ProcessCaller):
        return
    assert not caller.calls(1).by
    caller.begin_calls(5, timeout_s=30.0, wait=True)
    world.add("a")
    nothing_failed(caller.taken())


def restarting(world: MeshWorld, caller: MeshCaller) -> None:
    """The sidecar is killed and comes back, twice, and no call fails. Then changes are followed again."""
    for id in ("a", "b"):
        world.add(id)
    answered_by(caller, {"a", "b"})
    caller.begin_load(50)
    for _ in range(2):
        world.restart_near()
        time.sleep(3.0)  # the client has its back-off; there is nothing to wait for
    world.add("c")
    answered_by(caller, {"a", "b", "c"})
    nothing_failed(caller.end_load())


def zones(world: MeshWorld, caller: MeshCaller) -> None:
    """The own zone is called alone while it has instances, then the other."""
    world.add("n1")
    world.add("n2")
    world.add("f1", at=world.far)
    world.add("f2", at=world.far)
    answered_by(caller, {"n1", "n2"})
    world.remove("n1")
    world.remove("n2")
    answered_by(caller, {"f1", "f2"})
    world.add("n1")
    world.add("n2")
    answered_by(caller, {"n1", "n2"})


def weights(world: MeshWorld, caller: MeshCaller) -> None:
    """An instance of weight 9 gets nine times as much as one of weight 1."""
    world.add("light", weight=1)
    world.add("heavy", weight=9)
    answered_by(caller, {"light", "heavy"}, calls=40)
    answers = caller.calls(400)
    nothing_failed(answers)
    assert 0.8 < answers.by["heavy"] / answers.total < 0.97, f"of weight 9: {answers.by['heavy']} of {answers.total}"


def splitting(world: MeshWorld, caller: MeshCaller) -> None:
    """The policy sends nine tenths to v1 and a tenth to v2, and then all to v2, and no call fails."""
    world.add("one", tags=["v1"])
    world.add("two", tags=["v2"])
    answered_by(caller, {"one", "two"})
    caller.begin_load(50)
    world.change_policy("[service.web.split]\nv1 = 90\nv2 = 10\n")

    def is_split() -> bool:
        part = caller.calls(100).by["two"] / 100
        return 0.01 <= part <= 0.25

    wait_for(is_split, BACK_S, what="a tenth goes to v2")
    answers = caller.calls(400)
    assert 0.04 < answers.by["two"] / answers.total < 0.18, f"of v2: {answers.by['two']} of {answers.total}"
    world.change_policy("[service.web.split]\nv2 = 100\n")
    answered_by(caller, {"two"})
    nothing_failed(caller.end_load())


def many(world: MeshWorld, caller: MeshCaller) -> None:
    """A thousand instances, each at an address of its own, and one of them less, and one more."""
    port = world.serve("all") if "all" not in world.ports else world.ports["all"]
    world.kill("all")
    world.backends.tell(f"open {world.kind} all {port} 0.0.0.0")
    world.ports["all"] = port
    hosts = [f"127.1.{high}.{low}" for high in range(4) for low in range(1, 251)]
    for host in hosts:
        world.near.call("register", name="web", id=host, port=port, address=host)
    answered_by(caller, {"all"})
    caller.begin_load(50)
    world.near.call("deregister", id=hosts[0])
    world.add("last")
    wait_for(lambda: "last" in caller.calls(500).by, BACK_S, what="the newest of a thousand answers")
    nothing_failed(caller.end_load())


def shown(world: MeshWorld) -> list[dict[str, Any]]:
    """What `gossipreg xds show` says of each type of each client."""
    command = [*COMMAND, "--socket", str(world.near.socket), "xds", "show", "--json"]
    clients = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [one for client in clients for one in client["types"]]


def taken(world: MeshWorld, caller: MeshCaller) -> None:
    """`xds show` says that the client has acknowledged what it was sent last, and refused nothing."""
    world.add("a")
    answered_by(caller, {"a"})
    wait_for(lambda: {one["type"] for one in shown(world)} >= {"cluster", "endpoints", "listener"})
    wait_for(lambda: all(one["acked"] == one["sent"] for one in shown(world)), what="everything is acknowledged")
    assert not [one["refused"] for one in shown(world) if one["refused"]]


def refused(world: MeshWorld, caller: MeshCaller) -> None:
    """Envoy refuses a listener at a port that is taken: `xds show` and the troubles say so, calls go on at the old one,
    and the next policy mends it. A gRPC client has nothing that an operator's policy could make it refuse."""
    if not isinstance(caller, EnvoyCaller):
        return
    world.add("a")
    answered_by(caller, {"a"})
    caller.begin_load(50)
    world.policy.write_text(f"[listen]\nport = {world.ports['a']}\n")
    world.near.call("reload")
    wait_for(
        lambda: any("bind" in one["why"] for each in shown(world) for one in each["refused"]), what="it is refused"
    )
    wait_for(lambda: "xds" in json.dumps(world.near.call("info")["troubles"]), what="a trouble says so")
    world.change_policy("")
    wait_for(lambda: not any(each["refused"] for each in shown(world)), what="nothing is refused any more")
    answered_by(caller, {"a"})
    nothing_failed(caller.end_load())


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        adding, removing, draining, emptied, waiting, zones, weights, splitting, taken, refused, many, restarting,
    )
}  # fmt: skip


def cut_everywhere(world: MeshWorld, begin: Callable[[int | None], MeshCaller], most: int = 12) -> int:
    """The way to the sidecar is cut after each of its first pieces: the client ends up with what is there every time.
    `begin(n)` starts a client whose way is cut after n pieces; returns at how many places it was cut."""
    for number in count():
        if number == most:
            return number
        world.clear()
        world.add("a")
        caller = begin(number)
        answered_by(caller, {"a"})
        world.add("b")
        answered_by(caller, {"a", "b"})
    raise AssertionError
