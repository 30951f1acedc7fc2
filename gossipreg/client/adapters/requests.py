"""requests: an adapter that sends `http://NAME.service/...` to an instance of NAME, and all other requests on as they
are.

    session = requests.Session()
    mount_services(session, registry)

Options that are none of AdapterOptions go to requests.adapters.HTTPAdapter; its `max_retries` is for other hosts. A
`timeout` of a request still bounds each step of an attempt, and alone bounds the reading of the body.
"""

from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import rewind_body

from gossipreg.client.adapters.exchange import BodyInFlight, Exchange, make_adapter, service_name, tls_name
from gossipreg.client.current_trace import trace_headers
from gossipreg.client.picked import PickedInstance
from gossipreg.client.picking.not_sent import causes
from gossipreg.client.picking.outcomes import CONNECT_TIMED_OUT, NEVER_SENT, Outcome, OutcomeKind, exception_outcome
from gossipreg.client.registry import Registry

NOT_CONNECTED = "gossipreg_not_connected"
"""The attribute that marks an error."""


def mount_services(session: requests.Session, registry: Registry, **options: Any) -> "ServiceAdapter":
    """Have the session send requests for services to their instances; see ServiceAdapter."""
    adapter = ServiceAdapter(registry, **options)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return adapter


class ServiceAdapter(HTTPAdapter):
    def __init__(self, registry: Registry, **options: Any) -> None:
        self._adapter, options = make_adapter(registry, options, can_cancel=False)
        super().__init__(**options)
        self._instances = _InstanceAdapter(**options | {"max_retries": 0})

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        name = service_name(urlsplit(request.url or "").hostname)
        if name is None:
            return super().send(request, stream, timeout, verify, cert, proxies)
        can_resend = request.body is None or isinstance(request.body, bytes | str) or type(_position(request)) is int
        exchange = Exchange(self._adapter, name, request, request.method or "GET", request.headers, can_resend)
        sent_before = False

        def send(instance: PickedInstance, host: str | None) -> requests.Response:
            nonlocal sent_before
            if sent_before and type(_position(request)) is int:
                rewind_body(request)
            sent_before = True
            sent = _to_instance(request, instance, host)
            try:
                response = self._instances.send(sent, True, _timeout(timeout, instance), verify, cert, {})
            except Exception as error:
                instance.ended_as(_outcome(error))
                raise
            response.request = request
            body = exchange.answered(instance, host, response.status_code, response.headers)
            if body is not None:
                _count_body(response, body, _read_timeout(timeout))
            return response

        return exchange.run(send, requests.Response.close)

    def close(self) -> None:
        super().close()
        self._instances.close()


class _Connecting:
    """A connection that marks the error of a connect, that of TLS included: nothing was sent then. urllib3 gives such
    errors the same classes as those of a request that was sent."""

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except Exception as error:
            setattr(error, NOT_CONNECTED, True)
            raise


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = type("HttpConnection", (_Connecting, urllib3.HTTPConnectionPool.ConnectionCls), {})


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = type("HttpsConnection", (_Connecting, urllib3.HTTPSConnectionPool.ConnectionCls), {})


class _InstanceAdapter(HTTPAdapter):
    """Connects to the instance of the request, whatever its URL says."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host_params, pool_kwargs = super().build_connection_pool_key_attributes(request, verify, cert)
        instance, host = request.gossipreg_instance
        host_params |= {"host": instance.address, "port": instance.port or host_params["port"]}
        if host_params["scheme"] == "https":
            pool_kwargs["server_hostname"] = tls_name(instance, host)
        return host_params, pool_kwargs


def _to_instance(
    request: requests.PreparedRequest, instance: PickedInstance, host: str | None
) -> requests.PreparedRequest:  # fmt: skip
    """`host`: of the service that is the fallback; None: the URL has the name."""
    sent = request.copy()
    url = urlsplit(request.url or "")
    if host is None:
        sent.headers.setdefault("Host", url.netloc.rpartition("@")[2])
    else:
        sent.headers["Host"] = host
    sent.headers.update({**trace_headers(sent.headers), **instance.headers()})
    sent.headers.pop("Proxy-Authorization", None)
    sent.gossipreg_instance = instance, host or url.hostname
    return sent


def _position(request: requests.PreparedRequest) -> Any:
    """Where the file of the body began; anything but an int: the body is none, or cannot be read again."""
    return getattr(request, "_body_position", None)


def _timeout(given: Any, instance: PickedInstance) -> tuple[float, float]:
    """(for connecting, for each read) of one attempt."""
    if isinstance(given, urllib3.Timeout):
        given = given.connect_timeout, given.read_timeout
    connect_s, read_s = given if isinstance(given, tuple) else (given, given)
    return (
        instance.connect_timeout_s if connect_s is None else min(connect_s, instance.connect_timeout_s),
        instance.timeout_s if read_s is None else min(read_s, instance.timeout_s),
    )


def _read_timeout(given: Any) -> float | None:
    if isinstance(given, urllib3.Timeout):
        given = given.read_timeout
    seconds: float | None = given[1] if isinstance(given, tuple) else given
    return seconds


def _outcome(error: Exception) -> Outcome:
    outcome = exception_outcome(error)
    if outcome.kind is OutcomeKind.FAILURE and any(getattr(one, NOT_CONNECTED, False) for one in causes(error)):
        return CONNECT_TIMED_OUT if outcome.timed_out else NEVER_SENT
    return outcome


def _count_body(response: requests.Response, in_flight: BodyInFlight, read_timeout_s: float | None) -> None:
    """Have the body end the request: when it is drained, closed, or fails."""
    socket: Any = response.raw
    for part in ("_fp", "fp", "raw", "_sock"):  # none if the body is empty
        socket = getattr(socket, part, None)
    if socket is not None:
        socket.settimeout(read_timeout_s)
    response.raw = _CountedRaw(response.raw, in_flight)


class _CountedRaw:
    """The urllib3 response of a body; it ends the request together with it."""

    def __init__(self, raw: Any, in_flight: BodyInFlight) -> None:
        self._raw = raw
        self._in_flight = in_flight

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def read(self, *arguments: Any, **named: Any) -> Any:
        return self._ending(lambda: self._raw.read(*arguments, **named))

    def stream(self, *arguments: Any, **named: Any) -> Any:
        chunks = self._raw.stream(*arguments, **named)
        while (chunk := self._ending(lambda: next(chunks, None))) is not None:
            yield chunk
        self._in_flight.end()

    def _ending(self, read: Any) -> Any:
        try:
            data = read()
        except BaseException as error:
            self._in_flight.end(error)
            raise
        if self._raw.closed:
            self._in_flight.end()
        return data

    def close(self) -> None:
        self._in_flight.end()
        self._raw.close()

    def release_conn(self) -> None:
        self._in_flight.end()
        self._raw.release_conn()
