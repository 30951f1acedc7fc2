"""What the local socket says of the sidecar's knowledge: `state`, its notifications, and `unmet`."""

from typing import Any

import trio
import trio.testing

from gossipreg.daemon.sidecar_state import StateFollowers
from gossipreg.model import NodeId
from tests.core.speaker import Speaker
from tests.daemon.conftest import Client, Inside, Sidecar
from tests.daemon.memory_network import MemoryNetwork


async def notified(client: Client) -> tuple[str, dict[str, Any]]:
    kind, method, params = await client.next()
    assert kind == "notification"
    return method, params


async def test_the_state_says_who_the_sidecar_is_and_what_it_knows(sidecar: Sidecar) -> None:
    state = await (await sidecar.client()).call("state")
    assert state == {
        "cluster": "default", "node": sidecar.node.id.hex(), "name": "tested", "zone": "", "run": "01" * 8,
        "knowledge": "synced", "not_synced_because": "", "others": False,
    }  # fmt: skip


async def test_the_state_comes_before_the_changes_of_its_step(unsynced: Sidecar) -> None:
    client = await unsynced.client()
    state = await client.call("state")
    assert (state["knowledge"], bool(state["not_synced_because"])) == ("not_synced", True)
    assert "not_synced_because" in await client.call("watch", name="web")
    unsynced.seek()
    method, params = await notified(client)
    assert (method, params["knowledge"], params["not_synced_because"]) == ("state", "synced", "")
    method, params = await notified(client)
    assert (method, params["change"]["kind"]) == ("watch", "current")


async def test_the_state_changes_only_with_the_first_other_member(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    await client.call("state")
    await client.call("state")  # a second time it is only answered
    for number in (2, 3):
        speaker = Speaker(number, keyring=None, generation=1 << 16)
        speaker.handshake(sidecar.node, trio.current_time())
        sidecar.pump.members.publish((NodeId(bytes([number]) * 16),))
    assert (await notified(client))[1]["others"] is True
    await client.call("info")  # nothing came between: the next message is the answer


async def test_a_client_that_goes_follows_the_state_no_more(sidecar: Sidecar) -> None:
    client, other = await sidecar.client(), await sidecar.client()
    await client.call("state")
    await other.call("watch", name="a", state=True)
    assert (await notified(other))[0] == "state"
    assert len(sidecar.state) == 2
    for one in (client, other):
        await one.stream.aclose()
    with trio.fail_after(60):
        while len(sidecar.state):
            await trio.testing.wait_all_tasks_blocked(0.01)


async def test_only_members_of_which_nothing_is_known_are_unmet(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    known = Speaker(2, keyring=None, generation=1 << 16)
    known.handshake(sidecar.node, trio.current_time())
    known.send_to(sidecar.node, trio.current_time(), known.row)
    unknown = (b"\x77" * 16).hex()
    nodes = [sidecar.node.id.hex(), known.id.hex(), unknown, unknown]
    assert await client.call("unmet", nodes=nodes) == [unknown]
    assert (await client.call("unmet", nodes=["7"]))[0] == "bad_params"
    assert (await client.call("unmet"))[0] == "bad_params"


async def test_an_unchanged_state_is_not_encoded() -> None:
    inside = Inside(MemoryNetwork(), "tested")
    state = StateFollowers(inside.node, trio.current_time, cluster="a", name="b", zone="", run="")
    pushed: list[tuple[bytes, ...]] = []

    class Follower:
        form = property(lambda _: pushed.append((b"asked",)))

        def push(self, *pieces: bytes) -> None:
            pushed.append(pieces)

    state.follow(Follower())
    for _ in range(3):
        state.look()
    assert pushed == []
