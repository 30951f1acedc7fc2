"""Writes and the disk: what is on it, what is marked when it is full, and what is never shown."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from gossipreg.daemon.data_directory import DataDirectory
from gossipreg.errors import CannotKeep
from gossipreg.model import Health
from tests.daemon.conftest import close_once_written
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import Served
from tests.gateway.http.consul import WEB, health_of, register


@pytest.fixture
async def kept() -> AsyncIterator[list[Served]]:
    """A sidecar with a data directory; the second life is made by the test."""
    lives: list[Served] = []
    yield lives
    for one in lives:
        one.close()


async def test_a_write_is_on_the_disk_before_it_is_answered(tmp_path: Path, kept: list[Served]) -> None:
    folder = tmp_path / "data"
    data = DataDirectory(str(folder))
    served = Served(tmp_path, MemoryNetwork(), "one", database=data)
    kept.append(served)
    async with trio.open_nursery() as nursery:
        await nursery.start(served.run)
        nursery.start_soon(served.store.run)
        await register(served, Check={"TTL": "10s", "Name": "n", "Status": "passing"})
        await served.put("/v1/agent/service/maintenance/web?enable=true&reason=why")
        await served.put("/v1/agent/maintenance?enable=true&reason=all")
        assert [one.id for one in data.services()] == ["web"]
        assert data.maintenance() == {"web": "why", "": "all"}
        again = Served(tmp_path / "data", MemoryNetwork(), "one")
        kept.append(again)
        again.services.start(data.kept(), None, ())
        assert health_of(again) is Health.MAINTENANCE
        assert again.services.maintenance(None) == "all"
        assert again.services.report("web")[0]["name"] == "n"
        await served.put("/v1/agent/maintenance?enable=false")
        await served.put("/v1/agent/service/deregister/web")
        assert data.services() == []
        await served.store.flushed()
        assert data.maintenance() == {}
        nursery.cancel_scope.cancel()
    close_once_written(data)


async def test_header_values_and_bodies_are_in_no_answer_and_no_log(served: Served) -> None:
    check = {"HTTP": "http://127.0.0.1:9/", "Interval": "1h", "Method": "POST", "Body": "B0DY-SECRET",
             "Header": {"Authorization": ["Bearer T0KEN-SECRET"]}}  # fmt: skip
    await register(served, Check=check)
    await register(served, Tags=["v2"])  # the check stays, as it was asked
    assert (await served.put("/v1/agent/check/register", {"Name": "node", **check})).status == 200
    bad = [{**check, "Timeout": "soon"}, {**check, "Header": {"X Y": ["T0KEN-SECRET"]}}, {**check, "Method": "B A D"},
           {**check, "TCP": "h:1"}, {**check, "Interval": "1ns"}]  # fmt: skip
    shown = [(await served.put("/v1/agent/service/register", {**WEB, "Check": one})) for one in bad]
    assert {reply.status for reply in shown} == {400}
    paths = ("agent/checks", "agent/services", "agent/service/web", "agent/health/service/id/web?format=json",
             "health/service/web", "health/checks/web", "catalog/service/web", "health/state/any")  # fmt: skip
    shown += [await served.get(f"/v1/{path}") for path in paths]
    said = "".join(reply.body.decode() for reply in shown)
    said += json.dumps([served.services.report("web"), served.services.report(""), served.services.health.failing()])
    said += json.dumps(await served.methods.info.figures()) + served.log.getvalue()
    assert "SECRET" not in said
    assert "header=Authorization:***" in said
    [spec] = [status.spec for status in served.services.health.checks.statuses("web")]
    assert spec.headers == (("Authorization", "Bearer T0KEN-SECRET"),)


async def test_a_write_that_the_disk_refuses_is_marked_or_refused(tmp_path: Path) -> None:
    data = DataDirectory(str(tmp_path / "data"))
    served = Served(tmp_path, MemoryNetwork(), "one", database=data)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(served.run)
            nursery.start_soon(served.store.run)
            for number in range(5):
                await register(served, ID=f"w{number}", Check={"TTL": "1h", "Status": "passing"})
            written = data.write
            data.write = full  # type: ignore[method-assign, assignment]
            client = await served.client()
            for path in ("service/deregister/w0", "service/maintenance/w1?enable=true", "check/deregister/service:w2",
                         "maintenance?enable=true", "maintenance?enable=false"):  # fmt: skip
                reply = await client.put(f"/v1/agent/{path}")
                assert (reply.status, reply.headers.get("x-gossipreg-durable")) == (200, "false"), path
            assert [one.service.id for one in served.instances("web")] == ["w1", "w2", "w3", "w4"]
            assert health_of(served, "w1") is Health.MAINTENANCE
            for path, body in (("service/register", WEB), ("check/register", {"Name": "c", "TTL": "1s"}),
                               ("check/register", {"Name": "c", "TTL": "1s", "ServiceID": "w3"})):  # fmt: skip
                reply = await client.put(f"/v1/agent/{path}", body)
                assert reply.status == 507
                assert "disk is full" in reply.error
            data.write = written  # type: ignore[method-assign]
            reply = await client.put("/v1/agent/service/deregister/w4")
            assert (reply.status, reply.headers.get("x-gossipreg-durable")) == (200, None)
            assert [one.id for one in data.services()] == ["w1", "w2", "w3"]
            served.services.close()
            assert (await client.put("/v1/agent/service/register", WEB)).status == 503
            nursery.cancel_scope.cancel()
    finally:
        served.close()
        close_once_written(data)


def full(*_: object) -> None:
    raise CannotKeep("cannot write gossipreg.db: database or disk is full; nothing was changed")
