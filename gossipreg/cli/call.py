"""`gossipreg call NAME PATH`: one HTTP request to a service, as the client library sends it."""

import sys
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

import click

from gossipreg.cli.call_spans import CallSpans, end_with_status
from gossipreg.cli.complete import complete_service, complete_zone
from gossipreg.cli.empty import why_empty
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import CannotWrite, lost, print_json, printable, say, say_error
from gossipreg.cli.units import Duration
from gossipreg.errors import BreakerOpen, DeadlineExceeded, NoInstance

if TYPE_CHECKING:
    from gossipreg.cli.http_exchange import HttpCall, HttpReply
    from gossipreg.client.picked import PickedInstance

REDIRECTED_FROM = 300
FAILED_FROM = 400
SIDECAR_S = 10.0
"""The longest wait for the sidecar's first answer; `--timeout` bounds it, too."""
SHORTEST_S = 0.01
DATA_MAX_BYTES = 64 << 20
"""As of a response: a body without an end, such as that of a device, must not fill the memory."""
TOKEN_MARKS = frozenset("!#$%&'*+-.^_`|~")
OWN_HEADERS = ("host", "content-length", "connection", "transfer-encoding")


@click.command(
    epilog="""\b
    Example:
      gossipreg call billing /health
      gossipreg call billing /charge --data '{"user": 7}' --header Content-Type:application/json
    """
)
@click.argument("name", shell_complete=complete_service)
@click.argument("path")
@click.option("--method", "-X", metavar="M", help="The method (GET, or POST with --data).")
@click.option("--data", "-d", metavar="D", help="The body: text, @FILE, or @- for stdin.")
@click.option("--header", "-H", "headers", metavar="NAME:VALUE", multiple=True, help="A header; repeatable.")
@click.option("--tag", "tags", metavar="T", multiple=True, help="Only instances with this tag; repeatable.")
@click.option("--zone", metavar="Z", shell_complete=complete_zone, help="Only instances in this zone.")
@click.option("--key", metavar="KEY", help="The same instance for the same key, as far as possible.")
@click.option("--https", is_flag=True, help="Over TLS; the certificate has the name of meta tls_name, else NAME.")
@click.option("--ca-file", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="Trust these alone.")
@click.option("--timeout", metavar="DURATION", type=Duration(), default="10s", help="For all attempts together (10s).")
@click.option("--otlp", metavar="URL", envvar="GOSSIPREG_OTLP", help="Send a span of each attempt, as join --otlp.")
@client_options
@pass_chosen
def call(
    chosen: Chosen, name: str, path: str, method: str | None, data: str | None, headers: tuple[str, ...],
    tags: tuple[str, ...], zone: str | None, key: str | None, https: bool, ca_file: str | None, timeout: float,
    otlp: str | None,
) -> int:  # fmt: skip
    """Send one HTTP request to an instance of NAME, and print the body of the response.

    The instance is picked as the client library does. A request that failed is sent to another instance if nothing was
    sent, or if its method (or an Idempotency-Key header) allows to send it twice; each failed attempt is a line on
    stderr. Exit code 1 if no instance passes or answers, or if the status is 400 or more.
    """
    from gossipreg.cli.http_exchange import HttpCall

    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise click.UsageError(
            f"PATH {path!r} is no path of a URL: begin it with a slash, and escape what is not ASCII."
        )
    if ca_file is not None:
        _check_ca_file(ca_file, https)
    if "#" in path:
        raise click.UsageError(f"PATH {path!r} has a fragment, which no server gets: leave it out, or write # as %23.")
    body = b"" if data is None else _body(data)
    given = _headers(headers)
    method = (("GET" if data is None else "POST") if method is None else method).upper()
    if not _is_token(method):
        raise click.UsageError(f"--method {method!r} is no method of HTTP.")
    if data is not None:
        given.append(("Content-Length", str(len(body))))
    request = HttpCall(
        method, path, [("Host", f"{_in_ascii(name)}.service"), ("Connection", "close"), *given], body,
        tls_name=name if https else None, ca_file=ca_file,
    )  # fmt: skip
    named = any(header.lower() == "traceparent" for header, _ in given)
    spans = CallSpans(otlp or None, name, method, named=named)
    code = _Calling(chosen, name, request, spans).run(tags, zone, key, timeout)
    if fault := spans.export():
        say(f"Warning: the trace was not delivered: {printable(fault)}")
    return code


class _Calling:
    def __init__(self, chosen: Chosen, name: str, request: "HttpCall", spans: CallSpans) -> None:
        self._chosen = chosen
        self._name = name
        self._request = request
        self._spans = spans
        self._attempts: list[str] = []
        """host:port of each instance that was tried."""
        self._last = ""
        """The last one of them, with the name of its node, for people."""

    def run(self, tags: tuple[str, ...], zone: str | None, key: str | None, timeout_s: float) -> int:
        """Returns the exit code."""
        from gossipreg.cli.http_exchange import ResponseTooLarge
        from gossipreg.client.picking.headers import is_idempotent
        from gossipreg.client.registry import connect

        with self._chosen.client(min(SIDECAR_S, max(SHORTEST_S, timeout_s))) as client:
            client.call("state")  # raises Unreachable at once, where the registry would wait
            path = client.path
        with connect(path, timeout=timeout_s) as registry:
            service = registry.service(self._name, tags=list(tags), zone=zone)
            try:
                reply = service.call(
                    self._attempt, key=key, deadline=timeout_s,
                    idempotent=is_idempotent(self._request.method, dict(self._request.headers)),
                )  # fmt: skip
            except NoInstance:
                with self._chosen.client() as client:
                    return self._failed("no_instance", why_empty(client, self._name, tags, zone, False))
            except (OSError, DeadlineExceeded, BreakerOpen) as error:
                return self._failed("no_answer", f"no instance of {printable(self._name)} answered: {printable(error)}")
            except ResponseTooLarge as error:
                return self._failed("too_large", f"{self._last}: {error}: ask for less at a time")
        return self._show(reply)

    def _attempt(self, instance: "PickedInstance") -> "HttpReply":
        from dataclasses import replace

        from gossipreg.cli.http_exchange import exchange
        from gossipreg.client.picking.headers import DATE, LOAD, RETRY_AFTER, load_untrusted
        from gossipreg.client.picking.retry_after import retry_after_untrusted

        request = self._request
        if request.tls_name is not None:
            request = replace(request, tls_name=instance.meta.get("tls_name", request.tls_name))
        self._attempts.append(instance.hostport)
        self._last = f"{printable(instance.hostport)} of {printable(instance.node_name)}"
        span, traced = self._spans.begin(instance.address, instance.port)
        try:
            with span:
                reply = exchange(
                    request, instance.address, instance.port, [*instance.headers().items(), *traced],
                    instance.timeout_s, instance.connect_timeout_s,
                )  # fmt: skip
                end_with_status(span, reply.status)
        except OSError as error:
            self._say_failed(str(error) or type(error).__name__)
            raise
        instance.status(reply.status, retry_after_untrusted(reply.header(RETRY_AFTER), reply.header(DATE), time()))
        if (load := load_untrusted(reply.header(LOAD))) is not None:
            instance.server_load(load)
        if reply.status >= FAILED_FROM:
            self._say_failed(f"status {reply.status}")
        return reply

    def _say_failed(self, why: str) -> None:
        """Of one attempt."""
        if not self._chosen.json:
            say(f"{self._last}: {printable(why)}")

    def _failed(self, code: str, message: str) -> int:
        """Say why the call has no response, and return the exit code."""
        if self._chosen.json:
            say_error(code, message, json=True)
        else:
            say(message)
        return 1

    def _say_redirected(self, reply: "HttpReply") -> None:
        location = reply.header("location")
        where = "" if location is None else f", Location: {printable(location)} (not followed)"
        say(f"{self._last}: status {reply.status}{where}")

    def _show(self, reply: "HttpReply") -> int:
        if self._chosen.json:
            shown: dict[str, Any] = {
                "status": reply.status, "attempts": self._attempts, "headers": [list(pair) for pair in reply.headers],
                **_body_in_json(reply.body),
            }  # fmt: skip
            print_json(shown)
        else:
            if REDIRECTED_FROM <= reply.status < FAILED_FROM:
                self._say_redirected(reply)
            _print_bytes(reply.body)
        return 0 if reply.status < FAILED_FROM else 1


def _body_in_json(body: bytes) -> dict[str, str]:
    """The body as text, or in base64 if it is none: a text with replaced characters would be another body."""
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        from base64 import b64encode

        return {"body_base64": b64encode(body).decode()}


def _check_ca_file(ca_file: str, https: bool) -> None:
    """Raise UsageError if it is not needed, or has no certificate: no instance is at fault then."""
    if not https:
        raise click.UsageError("--ca-file is for --https: give both.")
    import ssl

    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        why = "it has no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise click.UsageError(f"--ca-file {ca_file}: {why}.") from None


def _is_token(text: str) -> bool:
    """Whether it can be a method or the name of a header (RFC 9110, section 5.6.2)."""
    return bool(text) and text.isascii() and all(one.isalnum() or one in TOKEN_MARKS for one in text)


def _in_ascii(name: str) -> str:
    """The name of a service for the Host header: letters beyond ASCII are written in Punycode, as in a URL."""
    labels = (part if part.isascii() else f"xn--{part.lower().encode('punycode').decode()}" for part in name.split("."))
    return ".".join(labels)


def _headers(given: tuple[str, ...]) -> list[tuple[str, str]]:
    found = []
    for text in given:
        name, colon, value = text.partition(":")
        name, value = name.strip(), value.strip()
        if not colon or not _is_token(name):
            raise click.UsageError(f"--header {text!r} is not of the form NAME:VALUE.")
        if not value.isprintable() or not value.isascii():
            raise click.UsageError(f"--header {text!r}: give a value of printable ASCII.")
        if name.lower() in OWN_HEADERS:
            raise click.UsageError(f"--header {name} is set by `call` itself: leave it out.")
        found.append((name, value))
    return found


def _body(data: str) -> bytes:
    if not data.startswith("@"):
        return data.encode("utf-8", "surrogateescape")
    try:
        if data == "@-":
            body = sys.stdin.buffer.read(DATA_MAX_BYTES + 1)
        else:
            with Path(data[1:]).open("rb") as file:
                body = file.read(DATA_MAX_BYTES + 1)
    except OSError as error:
        raise click.UsageError(f"--data {data}: {error.strerror}.") from None
    if len(body) > DATA_MAX_BYTES:
        raise click.UsageError(f"--data {data}: it passes {DATA_MAX_BYTES >> 20} MiB: give less at a time.")
    return body


def _print_bytes(body: bytes) -> None:
    """The body as it came; a line end after it on a terminal that shows none."""
    if sys.stdout is None:
        raise CannotWrite("stdout is closed")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(body)
        if body and sys.stdout.isatty() and not body.endswith(b"\n"):
            sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()
    except OSError as error:
        raise lost(error) from None
