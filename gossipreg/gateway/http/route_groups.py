"""Functions that make routes with much in common: each adds to its routes what the whole group shares."""

from collections.abc import Callable
from typing import Any, Concatenate

from gossipreg.gateway.http.agent import AgentReads
from gossipreg.gateway.http.catalog import CatalogReads
from gossipreg.gateway.http.client import Answer
from gossipreg.gateway.http.monitoring import Monitoring
from gossipreg.gateway.http.params import BLOCKING, FILTER, FORMAT, PRETTY, SHOWN, Param
from gossipreg.gateway.http.route import WRITE, About, Route
from gossipreg.gateway.http.writes import Writes
from gossipreg.net.http_message import READ, Request


def catalog_read(
    path: str,
    operation: str,
    about: About,
    summary: str,
    render: Callable[Concatenate[CatalogReads, ...], Any],
    *params: Param,
    gives: str,
    filter: str = "",
    choices: tuple[str, ...] = (),
    missing: int = 200,
) -> Route:
    """A read of what all members know. It may wait for a change."""
    return Route(
        path,
        operation,
        summary,
        gives,
        params=(*params, *_filter(filter), *BLOCKING, *SHOWN),
        render=lambda parts, *args: render(parts.catalog, *args),
        about=about,
        filter=filter,
        choices=choices,
        missing=missing,
        statuses=(500,) if missing == 200 else (missing, 500),
    )


def agent_read(
    path: str,
    operation: str,
    summary: str,
    render: Callable[Concatenate[AgentReads, ...], Any],
    *,
    gives: str,
    filter: str = "",
    statuses: tuple[int, ...] = (),
) -> Route:
    """A read of what is registered here. It answers at once, as it does with Consul."""
    return Route(
        path,
        operation,
        summary,
        gives,
        params=(*_filter(filter), PRETTY),
        render=lambda parts, *args: render(parts.agent, *args),
        filter=filter,
        statuses=statuses,
    )


def health_status(
    path: str, summary: str, handle: Callable[[AgentReads, Request, str], Answer], *, gives: str
) -> Route:
    """The health of services that are registered here, also as the status, for load balancers."""
    return Route(
        path,
        "registered",
        summary,
        gives,
        params=(FORMAT, PRETTY),
        handle=lambda parts, *args: handle(parts.agent, *args),
        statuses=(404, 429, 503),
    )


def write(
    path: str,
    operation: str,
    summary: str,
    handle: Callable[Concatenate[Writes, Request, ...], Answer],
    *params: Param,
    body: str | None = None,
) -> Route:
    """A change of what is registered here, or of the sidecar."""
    return Route(
        path,
        operation,
        summary,
        "nothing",
        WRITE,
        params,
        body=body,
        handle=lambda parts, *args: handle(parts.writes, *args),
        statuses=(404, 413, 500, 503),
    )


def monitoring(
    path: str,
    operation: str,
    summary: str,
    handle: Callable[[Monitoring, Request], Answer],
    *params: Param,
    gives: str = "text",
    media: str = "text/plain",
    statuses: tuple[int, ...] = (),
    methods: tuple[str, ...] = READ,
    open: bool = False,
) -> Route:
    """A path for those who look after the sidecar."""
    return Route(
        path,
        operation,
        summary,
        gives,
        methods,
        params,
        handle=lambda parts, *args: handle(parts.monitoring, *args),
        media=media,
        statuses=statuses,
        open=open,
    )


def _filter(kind: str) -> tuple[Param, ...]:
    return (FILTER,) if kind else ()
