"""A collector of spans: an HTTP server that reads requests with the protobuf modules of the package
opentelemetry-proto, and answers as a test says."""

import gzip
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

try:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTracePartialSuccess,
        ExportTraceServiceRequest,
        ExportTraceServiceResponse,
    )
except ImportError as error:  # findings/xds-protos-and-opentelemetry-proto-overwrite-each-other.sh
    raise ImportError(
        "xds-protos was installed over opentelemetry-proto: pip install --force-reinstall --no-deps opentelemetry-proto"
    ) from error

from scripts.tools.wait import wait_for


def value_of(value: Any) -> Any:
    """Of an AnyValue."""
    return getattr(value, value.WhichOneof("value"))


class Seen:
    """A span as it came, with the resource that it is of."""

    def __init__(self, span: Any, resource: Any) -> None:
        self.name: str = span.name
        self.kind: int = span.kind
        self.trace: str = span.trace_id.hex()
        self.id: str = span.span_id.hex()
        self.parent: str = span.parent_span_id.hex()
        self.state: str = span.trace_state
        self.flags: int = span.flags
        self.began_ns: int = span.start_time_unix_nano
        self.ended_ns: int = span.end_time_unix_nano
        self.links: list[str] = [link.span_id.hex() for link in span.links]
        self.failed: bool = span.status.code == 2
        self.attributes: dict[str, Any] = {one.key: value_of(one.value) for one in span.attributes}
        self.resource: dict[str, Any] = {one.key: value_of(one.value) for one in resource.attributes}

    def __repr__(self) -> str:
        return f"<{self.name} {self.attributes}>"


class Collector:
    def __init__(self) -> None:
        self.status = 200
        self.rejects = 0
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.holds = threading.Event()
        """While it is not set, requests are read and have no answer."""
        self.holds.set()
        self.asked = threading.Event()
        self.url = ""
        self.closes = False
        """Close each connection behind its first answer, without a word."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = collector.take(self.path, dict(self.headers), body)
                self.send_response(collector.status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                self.close_connection = self.close_connection or collector.closes

            def log_message(self, *_said: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def take(self, path: str, headers: dict[str, str], body: bytes) -> bytes:
        self.asked.set()
        self.holds.wait()
        self.paths.append(path)
        self.headers.append({name.lower(): value for name, value in headers.items()})
        if self.status == 200:
            self.bodies.append(gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body)
        partial = ExportTracePartialSuccess(rejected_spans=self.rejects, error_message="too old")
        answer: bytes = ExportTraceServiceResponse(
            partial_success=partial if self.rejects else None
        ).SerializeToString()
        return answer

    @contextmanager
    def serving(self) -> Iterator["Collector"]:
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.holds.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http://", "https://")

    @property
    def spans(self) -> list[Seen]:
        return [seen for body in list(self.bodies) for seen in spans_of(body)]

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]

    def wait_for(self, *names: str) -> list[Seen]:
        """The first span of each of these names, once all are there."""
        wait_for(lambda: all(map(self.named, names)), what=f"{names}, and there are {[s.name for s in self.spans]}")
        return [self.named(name)[0] for name in names]


def spans_of(body: bytes) -> list[Seen]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Seen(span, one.resource) for one in request.resource_spans for scope in one.scope_spans for span in scope.spans
    ]
