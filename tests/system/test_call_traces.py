"""The trace that a command is a part of goes on: `call`, `events publish` and `saga run` beside a real sidecar."""

import os
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.otlp.collector import Collector
from tests.system.test_call import register, server

TRACE, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{PARENT_ID}-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector().serving() as one:
        yield one


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with Sidecars() as cluster:
        one = cluster.start("n0", "--data-dir", str(tmp_path_factory.mktemp("d"))).wait_ready()
        wait_for(lambda: one.call("info")["synced"])
        yield one


def command(sidecar: Sidecar, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TRACEPARENT": PARENT, "TRACESTATE": "a=1", **variables}
    line = [*COMMAND, "--socket", str(sidecar.socket), *arguments]
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=2 * BOUND_S)


def test_a_call_hands_on_the_trace_of_the_shell(sidecar: Sidecar) -> None:
    with server(200) as web:
        register(sidecar, "plain", web)
        assert command(sidecar, "call", "plain", "/").returncode == 0
        assert command(sidecar, "call", "plain", "/", "--header", "Traceparent: mine").returncode == 0
    first, second = ({name.lower(): value for name, value in headers.items()} for _, _, headers, _ in web.asked)
    assert (first["traceparent"], first["tracestate"]) == (PARENT, "a=1")
    assert second["traceparent"] == "mine"


def test_each_attempt_of_a_call_is_a_span(sidecar: Sidecar, collector: Collector) -> None:
    with server(503) as one, server(503) as other:
        register(sidecar, "traced", one, other)
        ended = command(sidecar, "call", "traced", "/secret?card=secret", "--otlp", collector.url)
        assert ended.returncode == 1
    spans = collector.spans
    assert len(spans) >= 2
    assert {(span.name, span.trace, span.parent, span.kind) for span in spans} == {("GET traced", TRACE, PARENT_ID, 3)}
    assert {span.attributes["error.type"] for span in spans} == {"503"}
    sent = [headers for web in (one, other) for _, _, headers, _ in web.asked]
    assert {headers["traceparent"] for headers in sent} == {f"00-{TRACE}-{span.id}-01" for span in spans}
    assert spans[0].resource["service.name"] == "gossipreg-call"
    assert b"secret" not in b"".join(collector.bodies)


def test_a_call_is_no_worse_without_its_collector(sidecar: Sidecar, collector: Collector) -> None:
    collector.status = 401
    with server(200) as web:
        register(sidecar, "fine", web)
        ended = command(sidecar, "call", "fine", "/", GOSSIPREG_OTLP=collector.url)
        bad = command(sidecar, "call", "fine", "/", "--otlp", "collector:4318")
        collector.holds.clear()  # it takes the request, and never answers
        hanging = command(sidecar, "call", "fine", "/", "--otlp", collector.url)
    where = f"Warning: the trace was not delivered: {collector.url}/v1/traces"
    assert (ended.returncode, ended.stderr) == (0, f"{where} answers 401\n")
    assert (hanging.returncode, hanging.stderr) == (0, f"{where} did not answer within 1 s\n")
    assert hanging.stdout == ended.stdout
    assert bad.returncode == 2
    assert "--otlp 'collector:4318' is no http:// or https:// URL" in bad.stderr


def handled(sidecar: Sidecar, type: str, *more: str) -> dict[str, str]:
    """Publish an event in a traced shell; returns the variables of the command that handles it."""
    tail = subprocess.Popen(
        [*COMMAND, "--socket", str(sidecar.socket), "events", "subscribe", type, "--group", type.replace(".", "-"),
         "--count", "1", "--exec", "env"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "TRACEPARENT": "of the subscription"},
    )  # fmt: skip
    group = type.replace(".", "-")
    try:
        wait_for(lambda: any(one["group"] == group for one in sidecar.call("events-groups")["groups"]))
        assert command(sidecar, "events", "publish", type, "{}", *more).returncode == 0
        out, _ = tail.communicate(timeout=BOUND_S)
    finally:
        tail.kill()
        tail.communicate()
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def test_an_event_has_the_trace_of_the_shell_and_hands_it_on(sidecar: Sidecar) -> None:
    variables = handled(sidecar, "order.created")
    assert (variables["TRACEPARENT"], variables["TRACESTATE"]) == (PARENT, "a=1")
    assert variables["EVENT_EXTENSION_TRACEPARENT"] == PARENT


def test_an_event_with_a_trace_of_its_own_keeps_that(sidecar: Sidecar) -> None:
    own = f"00-{'1' * 32}-{PARENT_ID}-00"
    variables = handled(sidecar, "order.paid", "--extension", f"traceparent={own}")
    assert (variables["TRACEPARENT"], "TRACESTATE" in variables) == (own, False)


def test_a_saga_has_the_trace_of_the_shell(sidecar: Sidecar, tmp_path: Path) -> None:
    definition = tmp_path / "order.toml"
    definition.write_text(
        'name = "order"\n[[step]]\nname = "look"\nservice = "looked"\nmethod = "GET"\npath = "/a"\nharmless = true\n'
    )
    assert tomllib.loads(definition.read_text())
    with server(200) as web:
        register(sidecar, "looked", web)
        ended = command(sidecar, "saga", "run", str(definition), "--wait")
        assert ended.returncode == 0, ended.stderr
    assert web.asked[0][2]["traceparent"] == PARENT
