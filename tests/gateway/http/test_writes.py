"""Registering, checks, maintenance, joining, leaving; and what cannot be had."""

import json
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st

from gossipreg.callers import Caller
from gossipreg.daemon.checks.parse import parse_check_untrusted
from gossipreg.daemon.checks.spec import DEFAULT_TIMEOUT_S
from gossipreg.daemon.data_directory import DataDirectory
from gossipreg.errors import CannotKeep
from gossipreg.gateway.http.ask import duration_untrusted
from gossipreg.gateway.http.check_definitions import check_untrusted
from gossipreg.gateway.http.definitions import keys
from gossipreg.model import Health
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import Served, request_bytes

WEB = {"Name": "web", "Port": 80}


async def registered(served: Served, **more: Any) -> None:
    reply = await served.put("/v1/agent/service/register", {**WEB, **more})
    assert reply.status == 200, reply.body


def health_of(served: Served, id: str = "web") -> Health:
    return next(one.health for one in served.node.catalog.of_node(served.node.id) if one.service.id == id)


def texts(served: Served, id: str = "web") -> list[str]:
    return [said["check"] for said in served.services.report(id)]


# -- services ----------------------------------------------------------------------------------------------------------


async def test_a_registered_service_is_found_as_it_was_registered(served: Served) -> None:
    await registered(served, ID="w1", Address="10.1.1.1", Tags=["b", "a"], Meta={"k": "v"},
                     Weights={"Passing": 7, "Warning": 1})  # fmt: skip
    (entry,) = (await served.get("/v1/health/service/web?passing")).json
    service = entry["Service"]
    assert (service["ID"], service["Address"], service["Port"], service["Meta"]) == ("w1", "10.1.1.1", 80, {"k": "v"})
    assert (service["Tags"], service["Weights"]["Passing"]) == (["b", "a"], 7)
    assert [check["CheckID"] for check in entry["Checks"]] == ["serfHealth", "service:w1"]
    assert entry["Checks"][1]["ServiceTags"] == ["b", "a"]


async def test_the_id_defaults_to_the_name_and_the_address_to_ours(served: Served) -> None:
    await registered(served)
    assert (await served.get("/v1/agent/service/web")).json["Address"] == "10.0.0.1"


@pytest.mark.parametrize(
    "body",
    [
        {"Name": "web", "Port": 80, "Check": {"TTL": "10s", "DeregisterCriticalServiceAfter": "1h"}},
        {"name": "web", "port": 80, "check": {"ttl": "10s", "deregister_critical_service_after": "1h"}},
        {"NAME": "web", "PORT": 80, "checks": [{"Ttl": "10s", "deregistercriticalserviceafter": "3600s"}]},
        {"name": "web", "port": 80, "check": {"ttl": 10**10, "DeregisterCriticalServiceAfter": "60m"}},
    ],
)
async def test_keys_are_taken_in_any_case_and_with_underscores(served: Served, body: Any) -> None:
    assert (await served.put("/v1/agent/service/register", body)).status == 200
    assert texts(served) == ["ttl:10s,deregister_after=3600s,check_id=service:web"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"Name": ""}, "Missing service name"), ({"Port": 70000}, "0 to 65535"),
        ({"Port": "80"}, "0 to 65535"), ({"Name": "a/b"}, "slash"), ({"Name": "a b"}, "spaces"),
        ({"Tags": "x"}, "list"),
        ({"Address": "0.0.0.0"}, "address"),
        ({"Connect": {"sidecar_service": {"x": 1}}}, "service mesh"), ({"Kind": "connect-proxy"}, "service mesh"),
        ({"Connect": {"SidecarService": {}}}, "service mesh"), ({"Connect": "native"}, "Connect is no JSON object"),
        ({"Check": {}}, ""), ({"Check": {"Interval": "1s"}}, "this one: none"),
        ({"Check": {"TTL": "1s", "HTTP": "http://x/"}}, "ttl and http"), ({"Check": {"TTL": "soon"}}, "duration"),
        ({"Check": {"HTTP": "http://x/", "Header": ["a"]}}, "no JSON object"), ({"Check": {"GRPC": "x"}}, "host:port"),
        ({"Check": {"HTTP": "http://x/", "Header": {"a b": ["c"]}}}, "NAME:VALUE"),
        ({"Check": {"HTTP": "http://x/", "Method": "HEAD", "Body": "x"}}, "no body"), ({"Check": {"HTTP": "x"}}, "http://"),
        ({"Check": {"AliasService": "web"}}, "leads back to 'web'"), ({"Check": {"UDP": "h:1"}}, "udp"),
        ({"Check": {"DockerContainerID": "x", "Args": ["x"]}}, "docker"),
        ({"Check": {"TTL": "10s", "Status": "well"}}, "passing, warning or critical"), ({"Check": []}, ""),
        ({"Check": {"Args": ["true"]}}, "--allow-cmd-checks"),
        ({"Checks": [{"TTL": "1s", "ID": "a"}] * 2}, "two checks"),
        ({"Checks": {"a": 1}}, "no list"), ({"Checks": [1]}, "no JSON object"), ({"name": "twice"}, "twice"),
        ({"Check": {"TCP": "x"}}, "tcp"), ({"Check": {"TCP": "h:1,passes=2"}}, "no number from 1"),
        ({"Check": {"TTL": 10**400}}, "nanoseconds"), ({"Check": {"TTL": -1.5}}, "nanoseconds"),
        ({"Check": {"TTL": "0"}}, "above 0"), ({"Check": {"TTL": "0s"}}, "above 0"),
        ({"Check": {"TTL": "10s", "Notes": "\ud800"}}, "UTF-8"), ({"Meta": {"a": 1}}, "meta"),
    ],
    ids=str,
)  # fmt: skip
async def test_an_unsupported_registration_is_a_400_with_one_sentence(served: Served, more: Any, why: str) -> None:
    reply = await served.put("/v1/agent/service/register", {**WEB, **more})
    if not why:  # what says nothing
        assert reply.status == 200
        return
    assert reply.status == 400
    assert why in reply.error
    assert "\n" not in reply.error
    assert not served.services.report("web")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"1", b"null", b'"x"', b"{}", b"[" * 100_000, b"\xff", b'{"a":1e999}']
)
async def test_a_body_that_is_no_service_is_a_400(served: Served, body: bytes) -> None:
    for path in ("service/register", "check/register", "check/update/x"):
        assert (await served.put(f"/v1/agent/{path}", body)).status == 400


async def test_a_service_is_taken_out_and_an_unknown_one_is_not_found(served: Served) -> None:
    await registered(served, ID="with/slash")
    assert (await served.put("/v1/agent/service/deregister/with%2Fslash")).status == 200
    assert (await served.put("/v1/agent/service/deregister/with/slash")).status == 404
    assert (await served.get("/v1/agent/services")).json == {}


async def test_registering_again_keeps_checks_unless_asked_to_replace(served: Served) -> None:
    await registered(served, Check={"CheckID": "a", "TTL": "10s"})
    await registered(served, Check={"CheckID": "b", "TTL": "20s"})
    assert texts(served) == ["ttl:10s,check_id=a", "ttl:20s,check_id=b"]
    await registered(served, Check={"CheckID": "a", "TTL": "30s"})
    assert sorted(texts(served)) == ["ttl:20s,check_id=b", "ttl:30s,check_id=a"]
    reply = await served.put("/v1/agent/service/register?replace-existing-checks=true", WEB)
    assert (reply.status, texts(served)) == (200, [])


# -- checks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "table"),
    [
        ({"TTL": "1m30s"}, {"check": "ttl:90s"}),
        ({"TTL": "10s", "Timeout": "0s", "DeregisterCriticalServiceAfter": "0s"}, {"check": "ttl:10s"}),
        ({"HTTP": "http://h:1/x?a=b,c", "Interval": "250ms", "Timeout": "100ms"},
         {"check": "http://h:1/x?a=b,c", "interval": "0.25s", "timeout": "0.1s"}),
        ({"HTTP": "https://h/", "TLSSkipVerify": True, "TLSServerName": "n", "SuccessBeforePassing": 3,
          "FailuresBeforeCritical": 2, "FailuresBeforeWarning": 1, "DisableRedirects": True},
         {"check": "https://h/", "passes": 3, "fails": 2, "verify": False, "server_name": "n"}),
        ({"HTTP": "http://h/", "Method": "head", "Header": {"X-A": ["b, c", "d"]}},
         {"check": "http://h/", "method": "head", "header": {"X-A": ["b, c", "d"]}}),
        ({"HTTP": "http://h/", "Method": "POST", "Body": '{"a": 1,\n}', "Header": {"X-A": "b"}},
         {"check": "http://h/", "method": "POST", "body": '{"a": 1,\n}', "header": {"X-A": "b"}}),
        ({"TCP": "[::1]:5", "Interval": "10s", "SuccessBeforePassing": 1},
         {"check": "tcp://[::1]:5", "interval": "10s"}),
        ({"GRPC": "h:5/a.B", "Interval": "10s"}, {"check": "grpc://h:5/a.B", "interval": "10s"}),
        ({"GRPC": "h:5", "GRPCUseTLS": True, "TLSSkipVerify": True}, {"check": "grpcs://h:5", "verify": False}),
        ({"AliasService": "db"}, {"check": "alias:db"}),
        ({"AliasService": "db", "AliasNode": "n"}, {"check": "alias:db", "node": "n"}),
        ({"AliasNode": "n"}, {"check": "alias:", "node": "n"}),
        ({"Args": ["sh", "-c", "exit 1"], "Interval": "1h"}, {"check": "cmd:sh -c 'exit 1'", "interval": "3600s"}),
        ({"HTTP": "http://h/?a=1,timeout=2s,b=3", "Interval": "5s"},
         {"check": "http://h/?a=1,timeout=2s,b=3", "interval": "5s"}),
        ({"Args": ["x", "a,timeout=1s", "b c,fails=2"]}, {"check": "cmd:x a,timeout=1s 'b c,fails=2'"}),
        ({"TTL": "10s", "Notes": "two\n  lines"}, {"check": "ttl:10s", "check_notes": "two lines"}),
        ({"ScriptArgs": ["x"], "Name": "a, b", "Notes": "100%"},
         {"check": "cmd:x", "check_name": "a, b", "check_notes": "100%"}),
        ({"Definition": {"TCP": "h:1", "Interval": "5s"}, "Status": "passing"},
         {"check": "tcp://h:1", "interval": "5s"}),
    ],
)  # fmt: skip
def test_a_check_in_consuls_words_is_put_in_ours(check: Any, table: Any) -> None:
    assert check_untrusted(keys(check), "") == table
    parse_check_untrusted("checks", table)


@given(st.lists(st.text(min_size=1).filter(str.isprintable), min_size=1, max_size=4))
@example(["x", "a,timeout=1s", "it's, b,fails=2"])
def test_a_command_gets_its_arguments_unchanged(args: list[str]) -> None:
    spec = parse_check_untrusted("check", check_untrusted({"args": args}, "id"))
    assert shlex.split(spec.target) == args
    assert (spec.id, spec.timeout_s, spec.fails) == ("id", DEFAULT_TIMEOUT_S, 1)


@pytest.mark.parametrize(("text", "seconds"), [("10s", 10), ("1h2m3s", 3723), ("1.5m", 90), ("0", 0), ("250ms", 0.25)])
def test_durations_are_read_as_go_writes_them(text: str, seconds: float) -> None:
    assert duration_untrusted("x", text) == pytest.approx(seconds)


async def test_checks_have_the_ids_that_consul_gives_them(served: Served) -> None:
    await registered(served, Check={"TTL": "10s"})
    await registered(served, Name="two", Checks=[{"TTL": "10s"}, {"TTL": "20s"}, {"TTL": "5s", "CheckID": "mine"}])
    checks = (await served.get("/v1/agent/checks")).json
    assert list(checks) == ["service:two:1", "service:two:2", "mine", "service:web"]
    assert checks["service:web"]["Name"] == "Service 'web' check"
    assert checks["service:web"]["Type"] == "ttl"


async def test_each_ttl_check_is_answered_by_itself(served: Served) -> None:
    await registered(served, Tags=["t"], Checks=[{"TTL": "10s"}, {"TTL": "20s"}])
    assert (await served.put("/v1/agent/check/pass/service:web:1?note=fine")).status == 200
    assert health_of(served) is Health.CRITICAL
    assert (await served.put("/v1/agent/check/warn/service:web:2")).status == 200
    assert health_of(served) is Health.WARNING
    body = {"Status": "passing", "Output": "all is well"}
    assert (await served.put("/v1/agent/check/update/service:web:2", body)).status == 200
    assert health_of(served) is Health.PASSING
    shown = (await served.get("/v1/agent/checks?filter=Status==passing")).json
    assert [one["Output"] for one in shown.values()] == ["fine", "all is well"]
    assert shown["service:web:1"]["ServiceTags"] == ["t"]
    assert (await served.put("/v1/agent/check/fail/service:web:1")).status == 200
    assert health_of(served) is Health.CRITICAL


async def test_the_note_of_a_check_may_have_lines(served: Served) -> None:
    await registered(served, Check={"TTL": "10s"})
    note = quote("all is well\nand \U0001f468\u200d\U0001f469 too")
    assert (await served.put(f"/v1/agent/check/pass/service:web?note={note}")).status == 200
    assert "all is well and" in (await served.get("/v1/agent/checks")).json["service:web"]["Output"]
    assert (await served.put(f"/v1/agent/service/maintenance/web?enable=true&reason={note}")).status == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("pass/none", None, 404), ("warn/web", None, 404), ("update/none", {"Status": "passing"}, 404),
        ("update/service:web", {"Status": "well"}, 400), ("update/service:web", {}, 400),
        ("deregister/none", None, 404),
        ("pass/service:tcp", None, 400), ("register", {"Name": "c", "TTL": "soon"}, 400),
        ("register", {"TTL": "1s", "ServiceID": "web"}, 400), ("register", {"Name": "c", "ServiceID": "web"}, 400),
        ("register", {"Name": "c", "TTL": "1s", "ServiceID": "none"}, 404),
        ("register", {"Name": "service:tcp", "TTL": "1s", "ServiceID": "web"}, 400),
    ],
)  # fmt: skip
async def test_a_check_that_is_not_there_or_not_to_be_said_is_an_error(
    served: Served, path: str, body: Any, status: int
) -> None:
    await registered(served, Check={"TTL": "10s"})
    await registered(served, Name="tcp", Check={"TCP": "127.0.0.1:9", "Interval": "1h"})
    reply = await served.put(f"/v1/agent/check/{path}", body)
    assert reply.status == status
    assert reply.error


async def test_a_check_is_added_to_a_service_and_taken_away_again(served: Served) -> None:
    await registered(served, Check={"TTL": "10s", "Status": "passing"})
    check = {"Name": "disk", "ServiceID": "web", "TTL": "1h", "Notes": "of /var"}
    assert (await served.put("/v1/agent/check/register", check)).status == 200
    assert health_of(served) is Health.PASSING  # until the new check fails
    assert (await served.get("/v1/agent/checks")).json["disk"]["Notes"] == "of /var"
    assert (await served.put("/v1/agent/check/fail/disk")).status == 200
    assert health_of(served) is Health.CRITICAL
    assert (await served.put("/v1/agent/check/register", {**check, "TTL": "2h"})).status == 200
    assert health_of(served) is Health.CRITICAL
    assert (await served.put("/v1/agent/check/pass/disk")).status == 200
    assert health_of(served) is Health.PASSING
    assert (await served.put("/v1/agent/check/fail/disk")).status == 200
    assert (await served.put("/v1/agent/check/deregister/disk")).status == 200
    assert health_of(served) is Health.PASSING
    assert texts(served) == ["ttl:10s,check_id=service:web"]


async def test_a_status_given_with_a_check_is_where_it_begins(served: Served) -> None:
    await registered(served, Check={"TTL": "10s", "Status": "passing"})
    assert health_of(served) is Health.PASSING
    await registered(served, Name="ill", Checks=[{"TTL": "10s", "Status": "passing"}, {"TTL": "10s"}])
    assert health_of(served, "ill") is Health.CRITICAL


# -- maintenance -------------------------------------------------------------------------------------------------------


async def test_maintenance_stays_whatever_the_checks_of_a_service_say(served: Served) -> None:
    await registered(served, Check={"TTL": "10s"})
    assert (await served.put("/v1/agent/service/maintenance/web?enable=true&reason=new+disk")).status == 200
    await served.put("/v1/agent/check/pass/service:web")
    assert health_of(served) is Health.MAINTENANCE
    shown = (await served.get("/v1/agent/checks")).json["_service_maintenance:web"]
    assert (shown["Status"], shown["Notes"]) == ("critical", "new disk")
    assert (await served.get("/v1/health/service/web?passing")).json == []
    await registered(served)  # again
    assert health_of(served) is Health.MAINTENANCE
    assert (await served.put("/v1/agent/service/maintenance/web?enable=false")).status == 200
    assert health_of(served) is Health.PASSING


async def test_maintenance_wants_a_known_service_and_a_clear_word(served: Served) -> None:
    await registered(served)
    assert (await served.put("/v1/agent/service/maintenance/none?enable=true")).status == 404
    for query in ("", "?enable=", "?enable=perhaps", "?enable=true&enable=false"):
        status = (await served.put(f"/v1/agent/service/maintenance/web{query}")).status
        assert status == 400
    assert served.services.maintenance("web") is None


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
        await registered(served, Check={"TTL": "10s", "Name": "n", "Status": "passing"})
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
    data.close()


# -- what is hidden, and what is not durable ---------------------------------------------------------------------------


async def test_header_values_and_bodies_are_in_no_answer_and_no_log(served: Served) -> None:
    check = {"HTTP": "http://127.0.0.1:9/", "Interval": "1h", "Method": "POST", "Body": "B0DY-SECRET",
             "Header": {"Authorization": ["Bearer T0KEN-SECRET"]}}  # fmt: skip
    await registered(served, Check=check)
    await registered(served, Tags=["v2"])  # the check stays, as it was asked
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
    said += json.dumps(await served.methods.figures()) + served.log.getvalue()
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
                await registered(served, ID=f"w{number}", Check={"TTL": "1h", "Status": "passing"})
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
        data.close()


def full(*_: object) -> None:
    raise CannotKeep("cannot write gossipreg.db: database or disk is full; nothing was changed")


# -- checks of the node, and services without a port -------------------------------------------------------------------


async def test_a_check_of_the_node_takes_all_services_with_it(served: Served) -> None:
    await registered(served)
    await registered(served, Name="two", ID="two")
    check = {"Name": "disk", "TTL": "1h", "Notes": "of /var"}
    assert (await served.put("/v1/agent/check/register", check)).status == 200
    assert {health_of(served, id) for id in ("web", "two")} == {Health.CRITICAL}
    shown = (await served.get("/v1/agent/checks")).json["disk"]
    assert (shown["ServiceID"], shown["Status"], shown["Notes"]) == ("", "critical", "of /var")
    assert (await served.put("/v1/agent/check/pass/disk?note=fine")).status == 200
    assert {health_of(served, id) for id in ("web", "two")} == {Health.PASSING}
    assert (await served.put("/v1/agent/check/warn/disk")).status == 200
    assert {health_of(served, id) for id in ("web", "two")} == {Health.WARNING}
    assert (await served.put("/v1/agent/check/register", {**check, "TTL": "2h"})).status == 200
    assert health_of(served) is Health.WARNING  # an edit changes no health
    await registered(served, Name="three", ID="three")
    assert health_of(served, "three") is Health.WARNING
    assert (await served.put("/v1/agent/check/register", {**check, "ServiceID": "web"})).status == 400
    assert (await served.put("/v1/agent/check/deregister/disk")).status == 200
    assert {health_of(served, id) for id in ("web", "two", "three")} == {Health.PASSING}


async def test_a_check_of_the_node_keeps_its_question_when_renamed(served: Served) -> None:
    check = {"HTTP": "http://127.0.0.1:9/?a=1,timeout=2s", "Header": {"A": ["b,c"]}, "Interval": "1h"}
    assert (await served.put("/v1/agent/check/register", {"Name": "n", **check})).status == 200
    await served.services.describe_check(None, "n", "new", "notes, too", by=Caller(door="tcp"))
    [status] = served.services.health.checks.statuses("")
    assert (status.spec.name, status.spec.notes, status.spec.id) == ("new", "notes, too", "n")
    assert (status.spec.target, status.spec.headers) == (check["HTTP"], (("A", "b,c"),))


async def test_a_service_without_a_port_is_registered_as_with_consul(served: Served) -> None:
    assert (await served.put("/v1/agent/service/register", {"Name": "batch"})).status == 200
    assert (await served.get("/v1/agent/service/batch")).json["Port"] == 0
    assert [one["targets"] for one in (await served.get("/sd/prometheus")).json] == [["10.0.0.1"]]


# -- the sidecar -------------------------------------------------------------------------------------------------------


async def test_join_calls_and_leave_answers_when_it_is_done(served: Served) -> None:
    assert (await served.put("/v1/agent/join/10.0.0.2:7940")).status == 200
    assert served.called == ["10.0.0.2:7940"]
    assert (await served.put("/v1/agent/join/10.0.0.2:7940?wan=1")).status == 400
    client = await served.client()
    await client.send(request_bytes("PUT", "/v1/agent/leave"))
    while not served.left:
        await trio.lowlevel.checkpoint()
    served.may_leave.set()
    assert (await client.reply("PUT")).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "kv/a"), ("DELETE", "kv/a"), ("PUT", "session/create"), ("PUT", "txn"),
     ("GET", "acl/tokens"), ("PUT", "acl/bootstrap"), ("GET", "connect/ca/roots"), ("GET", "agent/connect/ca/leaf/web"),
     ("PUT", "config"), ("GET", "config/proxy-defaults"),
     ("PUT", "query"), ("PUT", "event/fire/x"), ("GET", "operator/raft/configuration"),
     ("GET", "namespaces"), ("GET", "peerings"), ("PUT", "agent/token/default"), ("GET", "agent/metrics")],
)  # fmt: skip
async def test_an_unsupported_path_says_so_in_one_sentence(served: Served, method: str, path: str) -> None:
    reply = await (await served.client()).request(method, f"/v1/{path}")
    assert reply.status == 501
    assert len(reply.error) > 15
    assert "\n" not in reply.error


async def test_a_page_that_is_rebound_changes_nothing(served: Served) -> None:
    client = await served.client()
    reply = await client.put("/v1/agent/service/register", WEB, Host="evil.example:8500")
    assert reply.status == 403
    reply = await (await served.client()).put("/v1/agent/service/register", WEB, Origin="http://evil.example")
    assert reply.status == 403
    assert not served.node.catalog.services()
