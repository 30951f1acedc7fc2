"""Whoever forgets a group is answered once the disk has that: a crash after the answer does not bring it back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing
from msgpack import packb, unpackb

from gossipreg.daemon.events.kept_groups import NOT_KEPT, KeptGroups
from gossipreg.daemon.kept import keep_event_groups
from gossipreg.daemon.store import Store
from gossipreg.errors import Unavailable
from gossipreg.events.messages import EventsCall, EventsReply
from gossipreg.model import NodeId
from tests.daemon.test_store import Disk

WEB = NodeId(b"w" * 16)
REPLY = EventsReply(number=7, code="", result=packb({"count": 1}))


@asynccontextmanager
async def keeping(disk: Disk) -> AsyncIterator[tuple[KeptGroups, list[EventsReply]]]:
    """With the answers that were sent to another member."""
    sent: list[EventsReply] = []
    store = Store(disk, lambda _: None)

    def send(node: NodeId, reply: EventsReply) -> None:
        assert node == WEB
        sent.append(reply)

    kept = KeptGroups(
        lambda groups: store.apply_first("event_groups", lambda: keep_event_groups(groups), lambda: None), send
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        nursery.start_soon(kept.run)
        await trio.testing.wait_all_tasks_blocked()
        yield kept, sent
        nursery.cancel_scope.cancel()


async def until_sent(sent: list[EventsReply]) -> EventsReply:
    with trio.fail_after(60):
        while not sent:
            await trio.testing.wait_all_tasks_blocked(0.001)
    return sent[0]


async def test_another_member_is_answered_once_the_disk_has_it() -> None:
    disk = Disk()
    async with keeping(disk) as (kept, sent):
        kept.received(WEB, EventsCall(number=7, method="forget", params=packb({"group": "mail"})))
        kept.keep(())
        assert kept.answers(WEB, REPLY)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert (sent, disk.commits) == ([], [])
        disk.gate.set()
        assert await until_sent(sent) == REPLY
        assert disk.commits
        assert await kept.on_disk()


async def test_a_disk_that_does_not_take_it_is_said() -> None:
    disk = Disk()
    disk.fails = True
    disk.gate.set()
    async with keeping(disk) as (kept, sent):
        kept.received(WEB, EventsCall(number=7, method="forget", params=packb({"group": "mail"})))
        kept.keep(())
        assert kept.answers(WEB, REPLY)
        reply = await until_sent(sent)
        assert (reply.number, reply.code, unpackb(reply.result)) == (7, Unavailable.code, NOT_KEPT)
        assert not await kept.on_disk()


async def test_other_answers_wait_for_no_disk() -> None:
    disk = Disk()
    async with keeping(disk) as (kept, _):
        kept.keep(())
        kept.received(WEB, EventsCall(number=7, method="groups", params=packb({})))
        assert not kept.answers(WEB, REPLY)
        kept.received(WEB, EventsCall(number=8, method="forget", params=packb({"group": "mail"})))
        assert not kept.answers(WEB, EventsReply(number=8, code="bad_params", result=packb("why")))
        kept.received(WEB, EventsCall(number=9, method="forget", params=packb({"group": "mail"})))
        kept.gone(WEB)
        assert not kept.answers(WEB, EventsReply(number=9, code="", result=packb({"count": 1})))
