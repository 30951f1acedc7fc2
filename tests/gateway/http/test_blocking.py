"""Questions that wait: indexes, what wakes whom, how long, and what ten thousand of them weigh."""

import gc
import os
import socket
import tracemalloc
from itertools import pairwise
from math import inf
from typing import Any
from urllib.parse import quote

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gossipreg.gateway.http import blocking
from gossipreg.gateway.http.ask import WAIT_DEFAULT_S, WAIT_MAX_S
from gossipreg.gateway.http.blocking import ALL, Answers, Question
from gossipreg.gateway.http.indexes import MAX_INDEX
from gossipreg.gateway.http.routes import ROUTES
from gossipreg.model import Address, Health, Status
from gossipreg.net.http_message import Response
from tests.gateway.http.conftest import Client, Served, request_bytes

MANY = 150


def nobody(_connection: Any, _waiting: Any, _response: Response) -> None:
    """Answers nobody."""


async def waits(served: Served, number: int = 1) -> None:
    """Return when so many wait, whatever the test's clock says."""
    for _ in range(2000):
        if served.http.api.answers.waiting == number:
            return
        await wait_all_tasks_blocked(0.005)
    raise AssertionError(f"{served.http.api.answers.waiting} wait, not {number}")


async def test_a_change_of_the_answer_wakes_who_waits(served: Served) -> None:
    client = await served.client()
    empty = await client.get("/v1/health/service/web")
    assert empty.json == []
    await client.send(request_bytes("GET", f"/v1/health/service/web?index={empty.index}&wait=60s"))
    await waits(served)
    await served.register("web", 80)
    reply = await client.reply()
    assert [one["Service"]["ID"] for one in reply.json] == ["web-80"]
    assert reply.index > empty.index


async def test_only_who_has_another_answer_is_woken(served: Served) -> None:
    await served.register("web", 80)
    same = {
        "other service": "/v1/health/service/other?",
        "passing": "/v1/health/service/web?passing&",
        "tag": "/v1/health/service/web?tag=none&",
        "filter": "/v1/health/service/web?filter=Service.ID==web-80&",
        "names": "/v1/catalog/services?",
        "nodes": "/v1/catalog/nodes?",
        "kv": "/v1/kv/some/key?",
    }
    other = {"all": "/v1/health/service/web?", "checks": "/v1/health/checks/web?", "node": "/v1/catalog/node/one?"}
    clients: dict[str, Client] = {}
    for name, path in (same | other).items():
        clients[name] = await served.client()
        index = (await clients[name].get(path)).index
        await clients[name].send(request_bytes("GET", f"{path}index={index}"))
    await waits(served, len(same) + len(other))
    await served.put("/v1/agent/service/register", {"Name": "web", "ID": "ill", "Port": 81, "Check": {"TTL": "1m"}})
    for name in other:
        assert b"ill" in (await clients[name].reply()).body
    await wait_all_tasks_blocked(0.2)
    assert served.http.api.answers.waiting == len(same)
    assert served.http.api.answers.woken == len(other)


async def test_a_wait_ends_when_its_filter_becomes_too_much_work(served: Served) -> None:
    path = "/v1/health/service/web?filter=" + quote('Service.ID matches "([ab]{20}){30}$"')
    client = await served.client()
    index = (await client.get(path)).index
    await client.send(request_bytes("GET", f"{path}&index={index}"))
    await waits(served)
    await served.put("/v1/agent/service/register", {"Name": "web", "ID": "ab" * 127, "Port": 80})
    reply = await client.reply()
    assert (reply.status, "takes too long" in reply.error) == (400, True)


async def test_unrelated_changes_and_reads_leave_an_index_alone(served: Served) -> None:
    await served.register("web", 80)
    before = (await served.get("/v1/health/service/web")).index
    for number in range(3):
        await served.register("other", 90 + number)
        assert (await served.get("/v1/health/service/web")).index == before
    await served.register("web", 81)
    after = (await served.get("/v1/health/service/web")).index
    assert before < after <= MAX_INDEX
    assert (await served.get("/v1/health/service/web?pretty")).index == after


async def test_an_index_below_one_does_not_wait_and_nonsense_is_400(served: Served) -> None:
    for index in ("0", "-1", "-99999999999", ""):
        assert (await served.get(f"/v1/catalog/nodes?index={index}")).status == 200
    for index in ("x", "1.5", "1" * 30, "0x1"):
        assert (await served.get(f"/v1/catalog/nodes?index={index}")).status == 400


async def test_an_index_of_another_life_or_sidecar_is_answered_at_once(served: Served) -> None:
    now = (await served.get("/v1/catalog/nodes")).index
    for index in (1, now - 1, now + 1, MAX_INDEX, MAX_INDEX + 1):
        assert (await served.get(f"/v1/catalog/nodes?index={index}")).index == now


async def test_indexes_go_on_above_those_of_the_life_before() -> None:
    def answers(clock_us: int) -> tuple[Answers, dict[str, Any]]:
        said: dict[str, Any] = {"answer": 0}
        made = Answers(
            lambda _: said["answer"], lambda _: (), basis=lambda: None, send=nobody, clock_us=lambda: clock_us,
            bug=lambda *_: None,
        )  # fmt: skip
        return made, said

    question = Question(ROUTES[0], ("q",))
    first, said = answers(1_000_000)
    seen = []
    for number in range(50):
        said["answer"] = number
        seen.append(first.ask(question).index)
    assert seen == sorted(set(seen))
    second, _ = answers(2_000_000)  # a second later: more than a change a microsecond would be needed to meet it
    assert second.ask(question).index > seen[-1]


async def test_a_wait_ends_with_the_same_answer_and_some_jitter(served: Served, mock_clock: MockClock) -> None:
    given = {"": WAIT_DEFAULT_S, "&wait=2m": 120.0, "&wait=90m": WAIT_MAX_S, "&wait=0": WAIT_DEFAULT_S}
    for wait, least in given.items():
        client = await served.client()
        first = await client.get("/v1/kv/a")
        assert (first.status, first.body) == (404, b"")
        await client.send(request_bytes("GET", f"/v1/kv/a?index={first.index}{wait}"))
        await waits(served)
        mock_clock.jump(least - 0.1)
        await wait_all_tasks_blocked(0.02)
        await waits(served)
        mock_clock.jump(least / 16 + 0.2)
        reply = await client.reply()
        assert (reply.status, reply.index) == (404, first.index)


async def test_a_wait_that_is_no_duration_is_a_400(served: Served) -> None:
    index = (await served.get("/v1/catalog/nodes")).index
    for wait in ("5", "x", "1d", "-", "5 m", "1e9s"):
        assert (await served.get(f"/v1/catalog/nodes?wait={wait.replace(' ', '%20')}")).status == 400  # at once, too
        assert (await served.get(f"/v1/catalog/nodes?index={index}&wait={wait.replace(' ', '%20')}")).status == 400


async def test_a_client_that_goes_away_waits_no_longer(served: Served) -> None:
    client = await served.client()
    index = (await client.get("/v1/health/service/web")).index
    await client.send(request_bytes("GET", f"/v1/health/service/web?index={index}"))
    await waits(served)
    assert served.http.api.answers.waiting == 1
    await client.stream.aclose()
    await waits(served, 0)
    await served.register("web", 80)


async def test_a_request_behind_a_wait_is_answered_after_it(served: Served) -> None:
    client = await served.client()
    index = (await client.get("/v1/health/service/web")).index
    await client.send(request_bytes("GET", f"/v1/health/service/web?index={index}") + request_bytes("GET", "/healthz"))
    await wait_all_tasks_blocked(0.05)
    await served.register("web", 80)
    assert (await client.reply()).json[0]["Service"]["Port"] == 80
    assert (await client.reply()).body == b"ok\n"


async def test_a_change_of_a_members_own_entry_wakes_its_readers(served: Served, mock_clock: MockClock) -> None:
    await served.register("web", 80)
    client = await served.client()
    first = await client.get("/v1/health/service/web")
    await client.send(request_bytes("GET", f"/v1/health/service/web?index={first.index}"))
    await waits(served)
    mock_clock.jump(1.1)
    await wait_all_tasks_blocked(0.05)
    assert served.http.api.answers.waiting == 1  # nothing has changed
    moved = served.transport.local_addresses[0]._replace(host="10.9.9.9")
    served.pump.order(lambda now: served.node.reachable_at((moved,), now))
    mock_clock.jump(1.1)
    assert (await client.reply()).json[0]["Node"]["Address"] == "10.9.9.9"


async def test_questions_that_nobody_asks_are_forgotten_at_the_bound(served: Served, monkeypatch: Any) -> None:
    monkeypatch.setattr(blocking, "KEPT_MAX", 20)
    client = await served.client()
    index = (await client.get("/v1/health/service/kept")).index
    await client.send(request_bytes("GET", f"/v1/health/service/kept?index={index}"))
    asker = await served.client()
    for number in range(100):
        await asker.get(f"/v1/health/service/s{number}")
    answers = served.http.api.answers
    assert len(answers._records) <= 21
    assert len(answers._by_topic) <= 21
    assert answers.waiting == 1
    again = await served.get(f"/v1/health/service/s0?index={(await served.get('/v1/health/service/s99')).index - 1}")
    assert again.status == 200


async def test_a_question_of_too_much_text_is_a_400_and_is_not_kept(served: Served) -> None:
    long = "x" * 3000
    for path in (f"health/service/{long}", f"health/service/web?tag={long}", f"catalog/nodes?node-meta=a:{long}",
                 f"kv/{long}", f"agent/service/{long}"):  # fmt: skip
        reply = await served.get(f"/v1/{path}")
        assert (reply.status, "at most 2048" in reply.error) == (400, True)
    assert not any("x" in str(question[1:]) for question in served.http.api.answers._records)


async def test_answers_about_everything_keep_to_their_share_of_time(
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,  # noqa: ARG001  # sleeping takes no time with it
) -> None:
    answers = Answers(
        lambda _: 0, lambda _: (ALL,), basis=lambda: None, send=nobody, clock_us=lambda: 1, bug=lambda *_: None
    )  # fmt: skip
    answers.ask(Question(ROUTES[0], ()))
    answers.wait(Question(ROUTES[0], ()), lambda _: Response(200, b""), inf).park("somebody")
    looked: list[float] = []

    async def look_at(records: Any) -> None:
        if records:
            looked.append(trio.current_time())
            await trio.sleep(1.0)

    monkeypatch.setattr(answers, "_look_at", look_at)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answers.run)
        for _ in range(60):
            answers.changed([])
            await trio.sleep(0.5)
        nursery.cancel_scope.cancel()
    between = [later - before for before, later in pairwise(looked)]
    assert between
    assert min(between) >= 1.0 / blocking.BROAD_SHARE


async def test_maintenance_of_the_sidecar_is_a_change_of_its_services(served: Served) -> None:
    await served.register("web", 80)
    client = await served.client()
    index = (await client.get("/v1/health/service/web?passing")).index
    await client.send(request_bytes("GET", f"/v1/health/service/web?passing&index={index}"))
    await waits(served)
    assert (await served.put("/v1/agent/maintenance?enable=true&reason=oil")).status == 200
    assert (await client.reply()).json == []
    assert served.node.inspect().own_member.status is Status.DRAINING
    assert served.node.catalog.lookup("web", all=True)[0].health is Health.MAINTENANCE


@pytest.mark.parametrize("path", ["/v1/health/service/web", "/v1/catalog/nodes"])
async def test_a_change_of_a_member_wakes_who_waits_at_once(mock_clock: MockClock, served: Served, path: str) -> None:
    """The clock stands still, so nothing that looks from time to time answers."""
    await served.register("web", 80)
    client = await served.client()
    index = (await client.get(path)).index
    await client.send(request_bytes("GET", f"{path}?index={index}&wait=60s"))
    await waits(served)
    begun = mock_clock.current_time()
    served.pump.order(lambda now: served.node.reachable_at((Address("10.0.0.77", 7946),), now))
    assert b'"Address":"10.0.0.77"' in (await client.reply()).body
    assert mock_clock.current_time() == begun


async def test_a_waiting_question_weighs_no_more_than_6_kib(served: Served) -> None:
    """The heap, without the kernel's part: some clients wait for answers of their own, some for the same one."""
    for same in (True, False):
        await served.get("/healthz")
        socks = []
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        client = await served.client()
        for number in range(MANY):
            path = f"/v1/health/service/{'web' if same else f's{number}'}?passing&tag=t"
            index = (await client.get(path)).index
            sock = socket.create_connection(("127.0.0.1", served.port))
            socks.append(sock.detach())
            os.write(socks[-1], request_bytes("GET", f"{path}&index={index}"))
            await trio.lowlevel.checkpoint()
        await waits(served, MANY)
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / MANY
        tracemalloc.stop()
        for fd in socks:
            os.close(fd)
        await waits(served, 0)
        assert each < 6 * 1024, each
