"""The end of a sidecar with --otlp: a collector that hangs does not hold it up, and what was lost is said."""

import io
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gossipreg.daemon import traces
from gossipreg.daemon.logs import Log
from gossipreg.daemon.troubles import Troubles
from gossipreg.otlp import otlp_post
from gossipreg.otlp.otlp_settings import otlp_settings
from gossipreg.tracing import SpanKind
from tests.otlp.collector import Collector


async def test_spans_without_an_answer_at_the_end_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "LAST_SPANS_S", 0.01)
    written = io.StringIO()
    with Collector().serving() as collector:
        settings = otlp_settings(collector.url, None, {})
        opened: Any = SimpleNamespace(
            otlp=SimpleNamespace(settings=settings, collector=otlp_post.Collector(settings, "gossipreg/0")),
            member=SimpleNamespace(name="one"), identity=SimpleNamespace(id=b"id"),
            settings=SimpleNamespace(cluster="c"),
        )  # fmt: skip
        ours = traces.Traces(opened, Log("json", stream=cast(Any, written)), Troubles(lambda: 0.0))
        collector.holds.clear()
        ours.start()
        ours.tracer.begin("last", SpanKind.INTERNAL, None, {}).end()
        await ours.end()
        collector.holds.set()
    (line,) = map(json.loads, written.getvalue().splitlines())
    assert (line["event"], line["lost"]) == ("spans_dropped", 1)
    assert line["message"].startswith("1 spans were not exported since the start: ")
