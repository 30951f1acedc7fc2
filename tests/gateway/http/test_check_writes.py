"""Checks in the words of Consul's clients: of services and of the node."""

import shlex
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossipreg.callers import Caller
from gossipreg.daemon.checks.parse import parse_check_untrusted
from gossipreg.daemon.checks.spec import DEFAULT_TIMEOUT_S
from gossipreg.gateway.http.ask import duration_untrusted
from gossipreg.gateway.http.check_definitions import check_untrusted
from gossipreg.gateway.http.definitions import keys
from gossipreg.model import Health
from tests.gateway.http.conftest import Served
from tests.gateway.http.consul import health_of, register, texts


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
    await register(served, Check={"TTL": "10s"})
    await register(served, Name="two", Checks=[{"TTL": "10s"}, {"TTL": "20s"}, {"TTL": "5s", "CheckID": "mine"}])
    checks = (await served.get("/v1/agent/checks")).json
    assert list(checks) == ["service:two:1", "service:two:2", "mine", "service:web"]
    assert checks["service:web"]["Name"] == "Service 'web' check"
    assert checks["service:web"]["Type"] == "ttl"


async def test_each_ttl_check_is_answered_by_itself(served: Served) -> None:
    await register(served, Tags=["t"], Checks=[{"TTL": "10s"}, {"TTL": "20s"}])
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
    await register(served, Check={"TTL": "10s"})
    note = quote("all is well\nand \U0001f468\u200d\U0001f469 too")
    assert (await served.put(f"/v1/agent/check/pass/service:web?note={note}")).status == 200
    assert "all is well and" in (await served.get("/v1/agent/checks")).json["service:web"]["Output"]


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
    await register(served, Check={"TTL": "10s"})
    await register(served, Name="tcp", Check={"TCP": "127.0.0.1:9", "Interval": "1h"})
    reply = await served.put(f"/v1/agent/check/{path}", body)
    assert reply.status == status
    assert reply.error


async def test_a_check_is_added_to_a_service_and_taken_away_again(served: Served) -> None:
    await register(served, Check={"TTL": "10s", "Status": "passing"})
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
    await register(served, Check={"TTL": "10s", "Status": "passing"})
    assert health_of(served) is Health.PASSING
    await register(served, Name="ill", Checks=[{"TTL": "10s", "Status": "passing"}, {"TTL": "10s"}])
    assert health_of(served, "ill") is Health.CRITICAL


async def test_a_check_of_the_node_takes_all_services_with_it(served: Served) -> None:
    await register(served)
    await register(served, Name="two", ID="two")
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
    await register(served, Name="three", ID="three")
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
