"""What an adapter may do with its requests: the options of `Service.call`, for all of them or for those of a block.

ServiceTransport(registry, deadline=2.0, fallback={"billing": "billing-backup"}.get)
with request_options(key="user-7"):
    client.get("http://billing.service/")
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from typing import Any

from gossipreg.client.checks import check_bool, check_count, check_number, check_text
from gossipreg.client.picking.balancer import DEADLINE_S
from gossipreg.errors import BadParams


@dataclass(frozen=True, slots=True)
class AdapterOptions:
    deadline: float = DEADLINE_S
    """Seconds from the request to the headers of its answer: all attempts, and the fallback."""
    attempts: int = 3
    """The most requests that are sent to a service."""
    idempotent: bool | None = None
    """The request may be sent again after it was sent. None: by its method, or if it has an Idempotency-Key."""
    hedge: bool = False
    """Send a second attempt while a slow first one runs; only where the loser can be cancelled: asyncio and trio."""
    key: str | Callable[[Any], str | None] | None = None
    """The same key gets the same instance. Or a function that takes the library's request, and gives its key."""
    fallback: str | Callable[[Any], Any] | None = None
    """The name of the service that gets the request if all attempts failed. Or a function that takes the library's
    request, and returns such a name, or an answer of the library, or None: then there is no fallback. In asyncio and
    trio it may be async."""

    def key_of(self, request: Any) -> str | None:
        key = self.key(request) if callable(self.key) else self.key
        check_text("key", key, "what the same requests have in common")
        return key


NAMES = frozenset(field.name for field in fields(AdapterOptions))
_GIVEN: ContextVar[dict[str, Any]] = ContextVar("gossipreg_request_options")
"""Those of `request_options`."""


@contextmanager
def request_options(**options: Any) -> Iterator[None]:
    """Requests that are sent in this block, by any adapter, have these options of AdapterOptions. Each thread and each
    task has its own. Raises BadParams."""
    check_options(options)
    token = _GIVEN.set({**_GIVEN.get({}), **options})
    try:
        yield
    finally:
        _GIVEN.reset(token)


def split_options(options: dict[str, Any], can_cancel: bool) -> tuple[AdapterOptions, dict[str, Any]]:
    """Those of the adapter, and the rest, which is for the library. Raises BadParams."""
    own = {name: value for name, value in options.items() if name in NAMES}
    check_options(own)
    found = AdapterOptions(**own)
    check_hedge(found, can_cancel)
    return found, {name: value for name, value in options.items() if name not in NAMES}


def chosen_options(options: AdapterOptions, can_cancel: bool) -> AdapterOptions:
    """The options of a request that is sent now. Raises BadParams."""
    given = _GIVEN.get({})
    if not given:
        return options
    options = replace(options, **given)
    check_hedge(options, can_cancel)
    return options


def check_options(options: dict[str, Any]) -> None:
    if unknown := sorted(options.keys() - NAMES):
        raise BadParams(f"there is no option {unknown[0]}: there are {', '.join(sorted(NAMES))}")
    for name in ("key", "fallback"):
        if not callable(value := options.get(name)):
            check_text(name, value, "a text, a function of the request")
    for name in ("idempotent", "hedge"):
        if options.get(name) is not None:
            check_bool(name, options[name], "True or False, or leave it out")
    if "deadline" in options:
        check_number("deadline", options["deadline"], "the seconds that all attempts may take")
    if "attempts" in options:
        check_count("attempts", options["attempts"], "the most requests that are sent")


def check_hedge(options: AdapterOptions, can_cancel: bool) -> None:
    if options.hedge and not can_cancel:
        raise BadParams("hedge=True needs requests that can be cancelled: use an adapter for asyncio or trio")
