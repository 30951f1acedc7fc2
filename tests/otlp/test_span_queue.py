"""Spans on their way to a collector: in batches, and lost before anything else is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gossipreg.errors import CannotStart
from gossipreg.otlp import otlp_post, span_queue
from gossipreg.otlp.otlp_post import Collector as Client
from gossipreg.otlp.otlp_post import Posted, rejected_untrusted
from gossipreg.otlp.otlp_settings import otlp_settings
from gossipreg.otlp.span_queue import BATCH_MAX, SpanQueue, SpanReceiver
from gossipreg.trace_context import TraceContext
from gossipreg.tracing import FinishedSpan, SpanKind
from scripts.tools.programs import free_port
from scripts.tools.wait import wait_for
from tests.daemon.checks.test_runners import self_signed
from tests.otlp.collector import Collector


def span(number: int) -> FinishedSpan:
    context = TraceContext("1" * 32, f"{number + 1:016x}", 1)
    return FinishedSpan(f"s{number}", SpanKind.INTERNAL, context, "", (), 1, 2, {}, False)


@contextmanager
def queue_to(receiver: SpanReceiver, **more: Any) -> Iterator[SpanQueue]:
    queue = SpanQueue(receiver, resource={"service.name": "t"}, scope=("gossipreg", "0"), **more)
    queue.start()
    try:
        yield queue
    finally:
        queue.close(10.0)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector().serving() as one:
        yield one


def client_of(collector: Collector, **environment: str) -> Client:
    return Client(otlp_settings(collector.url, None, environment), "gossipreg/0")


def test_all_spans_come_in_batches_and_in_order(collector: Collector) -> None:
    with queue_to(client_of(collector)) as queue:
        for number in range(2 * BATCH_MAX + 1):
            queue.put(span(number))
        wait_for(lambda: queue.exported == 2 * BATCH_MAX + 1)
    assert [one.name for one in collector.spans] == [f"s{number}" for number in range(2 * BATCH_MAX + 1)]
    assert 3 <= len(collector.bodies) <= 5
    assert {*collector.paths} == {"/v1/traces"}
    assert collector.headers[0]["content-type"] == "application/x-protobuf"
    assert collector.headers[0]["user-agent"] == "gossipreg/0"


def test_headers_and_gzip_of_the_variables_are_used(collector: Collector) -> None:
    client = client_of(collector, OTEL_EXPORTER_OTLP_HEADERS="x-key=s%20t", OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
    with queue_to(client) as queue:
        queue.put(span(1))
        wait_for(lambda: queue.exported == 1)
    assert collector.headers[0]["x-key"] == "s t"
    assert collector.headers[0]["content-encoding"] == "gzip"
    assert [one.name for one in collector.spans] == ["s1"]


def test_a_slow_collector_costs_spans_and_nothing_else(collector: Collector) -> None:
    collector.holds.clear()
    with queue_to(client_of(collector), queue_max=10) as queue:
        queue.put(span(0))
        assert collector.asked.wait(30.0)
        for number in range(1, 31):
            queue.put(span(number))
        assert (len(queue), queue.dropped["span_queue_full"]) == (10, 20)
        collector.holds.set()
        wait_for(lambda: queue.exported == 11)
    assert [one.name for one in collector.spans] == [f"s{number}" for number in range(11)]


def test_a_busy_collector_gets_the_batch_again(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_queue, "FIRST_WAIT_S", 0.01)
    collector.status = 503
    with queue_to(client_of(collector)) as queue:
        queue.put(span(1))
        wait_for(lambda: len(collector.paths) >= 2)
        assert queue.failure == f"{collector.url}/v1/traces answers 503"
        collector.status = 200
        wait_for(lambda: queue.exported == 1)
        assert queue.failure == ""
    assert not queue.dropped


def test_a_longer_pause_that_a_collector_asks_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pause_s = 0.2
    monkeypatch.setattr(span_queue, "AGAIN_S", 0.0)
    posted_at: list[float] = []

    class Throttled:
        def post(self, body: bytes) -> Posted:
            assert body
            posted_at.append(time.monotonic())
            return Posted("answers 429", again=True, after_s=pause_s)

        def close(self) -> None:
            pass

    with queue_to(Throttled()) as queue:
        for number in range(BATCH_MAX + 1):
            queue.put(span(number))
        wait_for(lambda: queue.dropped["span_not_exported"] == BATCH_MAX + 1)
    assert posted_at[1] - posted_at[0] >= pause_s


def test_what_a_collector_refuses_for_good_is_counted(collector: Collector) -> None:
    collector.status = 401
    with queue_to(client_of(collector)) as queue:
        queue.put(span(1))
        wait_for(lambda: queue.dropped["span_not_exported"] == 1)
        assert "answers 401" in queue.failure
        assert len(collector.paths) == 1


def test_rejected_spans_of_a_taken_request_are_counted(collector: Collector) -> None:
    collector.rejects = 2
    with queue_to(client_of(collector)) as queue:
        for number in range(5):
            queue.put(span(number))
        wait_for(lambda: queue.exported + queue.dropped.total() == 5)
    assert queue.dropped["span_rejected"] >= 2


def test_a_collector_that_is_not_there_is_named() -> None:
    port = free_port()
    posted = Client(otlp_settings(f"http://127.0.0.1:{port}", None, {}), "g").post(b"")
    assert posted == Posted(f"http://127.0.0.1:{port}/v1/traces: Connection refused", again=True)


def test_an_error_of_the_poster_does_not_end_the_thread() -> None:
    answers: list[Posted | None] = [None, Posted()]

    class Broken:
        def post(self, body: bytes) -> Posted:
            assert body
            answer = answers.pop(0)
            if answer is None:
                raise RuntimeError("broken")
            return answer

        def close(self) -> None:
            pass

    with queue_to(Broken()) as queue:
        queue.put(span(1))
        wait_for(lambda: queue.dropped["span_not_exported"] == 1)
        assert queue.failure == "RuntimeError: broken"
        queue.put(span(2))
        wait_for(lambda: queue.exported == 1)


def test_what_waits_at_the_end_is_sent(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_queue, "GATHER_S", 30.0)
    with queue_to(client_of(collector)) as queue:
        queue.put(span(1))
    assert [one.name for one in collector.spans] == ["s1"]


def test_what_has_no_answer_at_the_end_is_counted(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_queue, "BATCH_MAX", 2)
    collector.holds.clear()
    with queue_to(client_of(collector)) as queue:
        for number in range(5):
            queue.put(span(number))
        assert collector.asked.wait(30.0)  # two are on their way, and three wait
        assert queue.close(0.0) == 5
        assert queue.dropped["span_not_exported"] == 5
        collector.holds.set()


def test_tls_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    settings = otlp_settings("https://a", None, {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem")})
    with pytest.raises(CannotStart, match=r"ca\.pem.*No such file"):
        Client(settings, "g")
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(CannotStart, match=r"ca\.pem.*no certificate or crl found"):
        Client(settings, "g")


@pytest.mark.parametrize(
    "answer", [b"", b"\x0a\x02\x08\x07", b"\x0a\x05\x08\x07\x12\x01x", b"\x0a\x02\x08", b"\xff" * 99]
)
def test_a_partial_success_is_read_and_no_answer_harms(answer: bytes) -> None:
    assert rejected_untrusted(answer) == (7 if answer[:4] in (b"\x0a\x02\x08\x07", b"\x0a\x05\x08\x07") else 0)


def test_the_text_of_a_failure_shows_no_header(collector: Collector) -> None:
    collector.status = 403
    client = client_of(collector, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20abc")
    posted = client.post(b"x")
    client.close()
    assert "abc" not in posted.error
    assert otlp_post.AGAIN == (429, 502, 503, 504)


def test_a_collector_behind_tls_is_verified(collector: Collector, tmp_path: Path) -> None:
    collector.secure(self_signed(tmp_path, "localhost"))
    url = collector.url.replace("127.0.0.1", "localhost")
    stranger = Client(otlp_settings(url, None, {}), "g")
    posted = stranger.post(b"")
    stranger.close()
    assert posted.again
    assert "certificate verify failed" in posted.error
    known = Client(otlp_settings(url, None, {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "pem")}), "g")
    with queue_to(known) as queue:
        queue.put(span(1))
        wait_for(lambda: queue.exported == 1)
    assert collector.named("s1")


def test_a_kept_connection_that_was_closed_is_opened_anew(collector: Collector) -> None:
    collector.closes = True
    client = client_of(collector)
    assert [client.post(b"") for _ in range(3)] == [Posted()] * 3
    client.close()
    assert len(collector.paths) == 3
