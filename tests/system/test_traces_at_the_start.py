"""What `join --otlp` says of flags and variables that it cannot use, and of a collector that takes nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.tools.sidecars import Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.otlp.collector import Collector


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector().serving() as one:
        yield one


@pytest.mark.parametrize(
    ("flags", "variables", "code", "why"),
    [
        (["--otlp", "collector:4318"], {}, 2, "--otlp 'collector:4318' is no http:// or https:// URL: give the base"),
        (["--otlp-sample", "0.5"], {}, 2, "--otlp-sample is about traces: say where to send them with --otlp URL"),
        (["--otlp", "http://a", "--otlp-sample", "2"], {}, 2, "0<=x<=1"),
        (["--otlp", "http://a"], {"OTEL_TRACES_SAMPLER": "some"}, 2, "OTEL_TRACES_SAMPLER is 'some'"),
        (["--otlp", "https://a"], {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/none.pem"}, 5, "/none.pem"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    flags: list[str], variables: dict[str, str], code: int, why: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "gossipreg.cli", "join", "--bind", "127.0.0.1:0", "--socket", str(tmp_path / "s")]
    ended = subprocess.run(
        [*command, *flags], env={**os.environ, **variables}, capture_output=True, text=True, timeout=BOUND_S
    )
    assert (ended.returncode, ended.stdout) == (code, ""), ended.stderr
    assert why in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_collector_that_refuses_is_a_trouble_and_one_line(collector: Collector, tmp_path: Path) -> None:
    collector.status = 401
    with Sidecars() as cluster:
        one = cluster.start("m0", "--data-dir", str(tmp_path / "d"), "--otlp", collector.url).wait_ready()
        wait_for(lambda: one.call("info")["synced"])
        for _ in range(3):
            one.call("publish", type="order.created")

        def told() -> bool:
            return any("answers 401" in trouble["message"] for trouble in one.call("info")["troubles"])

        wait_for(told)
        wait_for(lambda: one.call("info")["counters"].get("drop.span_not_exported") == 3)
        one.wait_logged("spans_dropped")
        assert one.log.read_text().count("spans_dropped") == 1
        assert f"{collector.url}/v1/traces answers 401" in one.log.read_text()
        collector.status = 200
        one.call("publish", type="order.created")
        wait_for(lambda: not told())
        assert one.call("info")["counters"]["spans_exported"] == 1
        assert one.end() == 0


def test_spans_of_the_last_moment_reach_the_collector(collector: Collector, tmp_path: Path) -> None:
    with Sidecars() as cluster:
        one = cluster.start("m0", "--data-dir", str(tmp_path / "d"), "--otlp", collector.url).wait_ready()
        wait_for(lambda: one.call("info")["synced"])
        one.call("publish", type="order.created")
        assert one.end() == 0
    assert collector.named("send order.created")
