"""Which services of this sidecar take events over HTTP, and whether they take them now.

Two kinds: a service that was registered with `--subscribe PATTERN=/path`, whose group has its name, and the app of
`--dapr-app`, which is asked. A service takes events while it is passing: not while its check fails, not in maintenance
and not while this sidecar is drained. Nothing of events is loaded before there is such a service.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import trio

from gossipreg.daemon.entries import Entry
from gossipreg.errors import RequestError
from gossipreg.feed import Feed
from gossipreg.model import CatalogInstance, Change, Health, fold_name
from gossipreg.quick_dataclass import dataclass

if TYPE_CHECKING:
    from gossipreg.core.node import Node
    from gossipreg.daemon.deliveries.dapr_app import DaprApp
    from gossipreg.daemon.deliveries.http_subscriber import HttpSubscriber
    from gossipreg.daemon.events.local_events import LocalEvents
    from gossipreg.daemon.logs import Log
    from gossipreg.daemon.pump import Pump
    from gossipreg.net.http_client import HttpClient


@dataclass(slots=True)
class _Subscribed:
    entry: Entry
    subscriber: "HttpSubscriber | None"
    """None: its subscription was refused."""


class DeliveriesToServices:
    def __init__(
        self, node: "Node", pump: "Pump", entries: Mapping[str, Entry], registered: Feed[str], log: "Log",
        *, wanted: "Callable[[], Awaitable[LocalEvents]]", dapr_app: str | None,
    ) -> None:  # fmt: skip
        """`registered` has the ids of services that were registered, changed or taken out; `wanted` loads the events;
        `dapr_app` is the service of that name."""
        self._node = node
        self._pump = pump
        self._entries = entries
        self._registered = registered
        self._log = log
        self._wanted = wanted
        self._app_name = dapr_app
        self._app: DaprApp | None = None
        self._app_entry: Entry | None = None
        self._client: HttpClient | None = None
        self._subscribed: dict[str, _Subscribed] = {}
        self._woken = trio.Event()

    def dapr_subscriptions(self) -> list[dict[str, Any]]:
        return [] if self._app is None else self._app.shapes()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._run()
        finally:
            if self._client is not None:
                self._client.close()

    async def _run(self) -> None:
        with (
            self._registered.following("deliveries", lambda _id: self._woken.set()),
            self._pump.changes.following("deliveries", self._changed),
        ):
            async with trio.open_nursery() as nursery:
                while True:
                    self._woken = trio.Event()
                    if self._app_name is not None or self._subscribed or any(map(_routes, self._entries.values())):
                        self._follow(await self._wanted(), nursery)
                    await self._woken.wait()

    def _changed(self, changes: Iterable[Change]) -> None:
        if any(change.instance.node == self._node.id for change in changes):
            self._woken.set()

    def _follow(self, events: "LocalEvents", nursery: trio.Nursery) -> None:
        instances = {one.service.id: one for one in self._node.catalog.of_node(self._node.id)}
        for id, known in list(self._subscribed.items()):
            entry = self._entries.get(id)
            if entry is None or not _same(entry, known.entry):
                del self._subscribed[id]
                if known.subscriber is not None:
                    known.subscriber.end()
        for id, entry in list(self._entries.items()):
            if _routes(entry):
                self._follow_one(events, nursery, entry, instances.get(id))
        if self._app_name is not None:
            self._follow_app(events, nursery, self._app_name, instances)

    def _follow_one(
        self, events: "LocalEvents", nursery: trio.Nursery, entry: Entry, instance: CatalogInstance | None
    ) -> None:
        takes, service = _takes(instance), entry.registration.service
        known = self._subscribed.get(entry.id)
        if known is not None:
            if known.subscriber is not None:
                known.subscriber.place = service.address, service.port
                known.subscriber.take(takes)
            return
        from gossipreg.daemon.deliveries.http_subscriber import HttpSubscriber
        from gossipreg.daemon.deliveries.service_routes import ServiceRoutes

        routes = ServiceRoutes(entry.registration.subscribe)
        place = service.address, service.port
        subscriber = HttpSubscriber(events, routes, place, self._http_client(), nursery, self._pump.bug)
        try:
            subscriber.begin(service.name, takes=takes)
        except RequestError as error:
            self._log.error("subscription_refused", id=entry.id, message=str(error))
            self._subscribed[entry.id] = _Subscribed(entry, None)
            return
        self._log.info("service_subscribed", id=entry.id, patterns=" ".join(routes.patterns)[:1000])
        self._subscribed[entry.id] = _Subscribed(entry, subscriber)

    def _follow_app(
        self, events: "LocalEvents", nursery: trio.Nursery, name: str, instances: Mapping[str, CatalogInstance]
    ) -> None:
        if self._app is None:
            from gossipreg.daemon.deliveries.dapr_app import DaprApp

            self._app = DaprApp(name, events, self._http_client(), nursery, self._log, self._pump.bug)
            nursery.start_soon(self._app.run)
        entry = next((one for one in self._entries.values() if _is_called(one, name)), None)
        is_new, self._app_entry = entry is not self._app_entry, entry
        if entry is None:
            self._app.follow(None, takes=False, is_new=is_new)
            return
        service = entry.registration.service
        place = service.address, service.port
        self._app.follow(place, takes=_takes(instances.get(entry.id)), is_new=is_new)

    def _http_client(self) -> "HttpClient":
        if self._client is None:
            from gossipreg.net.http_client import HttpClient

            self._client = HttpClient()
        return self._client


def _routes(entry: Entry) -> tuple[tuple[str, str], ...]:
    return entry.registration.subscribe


def _same(one: Entry, other: Entry) -> bool:
    """Whether both have the same subscription: the same routes, in the same group."""
    ours, theirs = one.registration, other.registration
    return (ours.subscribe, ours.service.name) == (theirs.subscribe, theirs.service.name)


def _takes(instance: CatalogInstance | None) -> bool:
    return instance is not None and instance.health is Health.PASSING


def _is_called(entry: Entry, name: str) -> bool:
    service = entry.registration.service
    return service.port > 0 and fold_name(service.name) == fold_name(name)
