"""Each run of a check has a span, and what it asks is told the trace."""

from collections.abc import Mapping
from random import Random

import pytest
import trio

from gossipreg.daemon.checks.check_spans import traced_runners
from gossipreg.daemon.checks.command import run as run_command
from gossipreg.daemon.checks.parse import parse_check_untrusted
from gossipreg.daemon.checks.schedule import Runner
from gossipreg.daemon.checks.spec import CheckOutcome, CheckSpec, Kind, Progress
from gossipreg.errors import BadParams
from gossipreg.model import Health
from gossipreg.tracing import NO_TRACER, FinishedSpan, Sampler, SpanKind, Tracer


def read(text: str) -> CheckSpec:
    return parse_check_untrusted("check", text)


def recorded(share: float = 1.0) -> tuple[Tracer, list[FinishedSpan]]:
    seen: list[FinishedSpan] = []
    return Tracer(Sampler(share), Random(7), seen.append), seen


def noting(seen: list[CheckSpec], health: Health = Health.PASSING) -> Mapping[Kind, Runner]:
    async def run(spec: CheckSpec, progress: Progress) -> CheckOutcome:
        del progress
        seen.append(spec)
        return CheckOutcome(health, "secret output")

    return {"http": run, "tcp": run}


async def test_a_check_is_a_span_and_its_request_has_the_trace() -> None:
    tracer, spans = recorded()
    asked: list[CheckSpec] = []
    spec = read("http://user.example:8080/health?token=secret,header=X-Key: secret,check_id=alive")
    await traced_runners(noting(asked), tracer)["http"](spec, Progress(service="web-1"))
    [span] = spans
    assert (span.name, span.kind, span.failed) == ("check http", SpanKind.CLIENT, False)
    assert asked[0].headers == (*spec.headers, ("traceparent", span.context.parent))
    assert span.attributes == {
        "gossipreg.check.kind": "http", "gossipreg.service.id": "web-1", "gossipreg.check.id": "alive",
        "http.request.method": "GET", "server.address": "user.example", "server.port": 8080,
    }  # fmt: skip


async def test_a_check_that_fails_fails_its_span_without_words() -> None:
    tracer, spans = recorded()
    for health in (Health.WARNING, Health.CRITICAL):
        run = traced_runners(noting([], health), tracer)["tcp"]
        await run(read("tcp://127.0.0.1:80"), Progress())
    assert [span.attributes["error.type"] for span in spans] == ["warning", "critical"]
    assert "secret" not in str(spans)


async def test_a_check_that_is_cut_off_ends_its_span(autojump_clock: object) -> None:
    del autojump_clock
    tracer, spans = recorded()

    async def run(spec: CheckSpec, progress: Progress) -> CheckOutcome:
        raise AssertionError(f"{spec} {progress}") from await trio.sleep_forever()

    with trio.move_on_after(5):
        await traced_runners({"tcp": run}, tracer)["tcp"](read("tcp://127.0.0.1:80"), Progress())
    assert [span.attributes["error.type"] for span in spans] == ["Cancelled"]


async def test_a_service_hears_that_nobody_wants_the_trace() -> None:
    tracer, spans = recorded(0.0)
    asked: list[CheckSpec] = []
    await traced_runners(noting(asked), tracer)["http"](read("http://127.0.0.1:1/"), Progress())
    assert spans == []
    assert dict(asked[0].headers)["traceparent"].endswith("-00")


async def test_a_trace_that_the_check_names_stays() -> None:
    tracer, _ = recorded()
    asked: list[CheckSpec] = []
    spec = read("http://127.0.0.1:1/,header=Traceparent: mine")
    await traced_runners(noting(asked), tracer)["http"](spec, Progress())
    assert asked[0].headers == spec.headers


async def test_a_command_has_the_trace_in_its_environment() -> None:
    tracer, spans = recorded()
    runners: Mapping[Kind, Runner] = {"cmd": run_command}
    outcome = await traced_runners(runners, tracer)["cmd"](read("cmd:echo $TRACEPARENT"), Progress())
    assert outcome.output == f"exit code 0: {spans[0].context.parent}"
    assert spans[0].kind is SpanKind.INTERNAL


def test_without_an_exporter_the_runners_are_the_same() -> None:
    runners = noting([])
    assert traced_runners(runners, NO_TRACER) is runners


@pytest.mark.parametrize("kind", ["grpc", "cmd"])
def test_a_user_can_give_these_checks_no_headers(kind: str) -> None:
    with pytest.raises(BadParams, match="have no header"):
        read("cmd:true,header=A: b" if kind == "cmd" else "grpc://127.0.0.1:1/a,header=A: b")
