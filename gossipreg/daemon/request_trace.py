"""The trace of a request over HTTP to the local socket, for the methods that keep one."""

from gossipreg.daemon.socket_client import Params
from gossipreg.net.http_message import Head
from gossipreg.trace_context import TRACE_PARENT, TRACE_STATE, trace_context_untrusted

_OF_SAGAS = ("saga-begin", "saga-run")


def with_trace(method: str, params: Params, head: Head) -> Params:
    """These parameters, with the request's `traceparent` and `tracestate` where they name no trace: an event gets
    both as extensions."""
    if method != "publish" and method not in _OF_SAGAS:
        return params
    found = trace_context_untrusted(head.text(TRACE_PARENT.encode()), head.text(TRACE_STATE.encode()))
    if found is None:
        return params
    if method in _OF_SAGAS:
        return params if TRACE_PARENT in params else {**params, **dict(found.headers())}
    extensions = params.get("extensions", {})
    if not isinstance(extensions, dict) or TRACE_PARENT in extensions:
        return params
    return {**params, "extensions": {**dict(found.headers()), **extensions}}
