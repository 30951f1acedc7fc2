"""A body that is kept is the one that would be made now, within a bound of all bodies."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.gateway.http import blocking
from gossipreg.gateway.http.blocking import Question
from gossipreg.net.http_message import json_bytes
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import Client, Served, running

PATHS = (
    *("/v1/health/service/web", "/v1/health/service/web?passing", "/v1/health/service/DB?filter=Service.Port==1"),
    *("/v1/catalog/service/web", "/v1/health/checks/web", "/v1/catalog/services"),
)
IDS = st.sampled_from("abc")
CHANGES = st.one_of(
    st.tuples(
        st.just("/v1/agent/service/register"),
        st.fixed_dictionaries(
            {"Name": st.sampled_from(["web", "db"]), "ID": IDS, "Port": st.integers(1, 2)},
            optional={"Tags": st.just(["blue"]), "Check": st.just({"TTL": "1h"})},
        ),
    ),
    st.tuples(IDS.map("/v1/agent/service/deregister/{}".format), st.none()),
    st.tuples(IDS.map("/v1/agent/service/maintenance/{}?enable=true".format), st.none()),
    st.tuples(IDS.map("/v1/agent/service/maintenance/{}?enable=false".format), st.none()),
    st.tuples(IDS.map("/v1/agent/check/pass/service:{}".format), st.none()),
)


async def check_kept(client: Client, served: Served) -> None:
    """Ask twice: what is kept then equals what is made now."""
    answers = served.http.api.answers
    for path in PATHS * 2:
        reply = await client.get(path)
        if reply.status == 200:
            fresh = [json_bytes(answers._render(one)) for one in answers._records]
            assert reply.body in fresh
    for question, record in answers._records.items():
        if record.body is not None:
            assert record.body == json_bytes(answers._render(question))
    assert answers._kept_bytes == sum(len(one.body or b"") for one in answers._records.values())


@settings(max_examples=25, deadline=None)
@given(changes=st.lists(CHANGES, max_size=10))
def test_kept_bodies_are_those_that_would_be_made_now(changes: list[tuple[str, Any]]) -> None:
    async def follow() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with running(Served(Path(folder), MemoryNetwork(), "one")) as served:
                client = await served.client()
                for path, body in changes:
                    await client.put(path, body)
                    await check_kept(client, served)

    trio.run(follow)


async def test_a_large_body_is_made_once_a_change(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "FRESH_S", 1e9)
    for port in range(1, 101):
        await served.register("web", port)
    client = await served.client()
    answers, made = served.http.api.answers, list[Question]()
    render = answers._render

    def counted(question: Question) -> Any:
        made.append(question)
        return render(question)

    monkeypatch.setattr(answers, "_render", counted)
    first = await client.get("/v1/health/service/web")
    assert len(first.body) > 50_000
    for _ in range(3):
        assert (await client.get("/v1/health/service/web")).body == first.body
    assert len(made) == 1
    await served.register("web", 101)
    assert len((await client.get("/v1/health/service/web")).json) == 101
    assert len(made) == 2


@pytest.mark.parametrize("of", ["service", "sidecar"])
async def test_a_check_that_changes_no_health_is_shown_at_once(
    served: Served, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    monkeypatch.setattr(blocking, "FRESH_S", 1e9)
    client = await served.client()
    web = {"Name": "web", "ID": "w", "Port": 1, "Check": {"TTL": "1h", "Name": "first", "Status": "passing"}}
    assert (await client.put("/v1/agent/service/register", web)).status == 200
    added = {"Name": "second", "ID": "second", "TTL": "1h", "Status": "passing"}
    if of == "service":
        added["ServiceID"] = "w"

    async def names() -> set[str]:
        reply = await client.get("/v1/health/service/web")
        return {check["Name"] for check in reply.json[0]["Checks"]}

    before = await names()
    assert (await client.put("/v1/agent/check/register", added)).status == 200
    assert await names() == before | {"second"}
    assert (await client.put("/v1/agent/check/deregister/second")).status == 200
    assert await names() == before


async def test_too_many_bytes_of_bodies_are_dropped(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "KEPT_BYTES", 10_000)
    for name in ("web", "db"):
        for port in range(1, 8):
            await served.register(name, port)
    client, answers = await served.client(), served.http.api.answers
    for path in ("/v1/health/service/web", "/v1/health/service/db", *PATHS):
        await client.get(path)
        assert answers._kept_bytes <= 10_000
        assert answers._kept_bytes == sum(len(one.body or b"") for one in answers._records.values())
