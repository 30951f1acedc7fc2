"""`gossipreg.connect()`: the services of the cluster, followed in this process.

    registry = gossipreg.connect()
    billing = registry.service("billing", tags=["v2"])
    for instance in billing.instances:
        print(instance.hostport)

One connection to the sidecar feeds immutable snapshots, so a lookup reads memory. One thread of the process keeps the
snapshots of all registries. It starts at the first lookup, and is stopped for a fork and at the end of the program.
"""

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from gossipreg.client.checks import check_callable, check_number, check_text, checked_path, checked_tags
from gossipreg.client.service import RegistrySettings, Service, use_feed
from gossipreg.client.snapshot import Snapshot, matching
from gossipreg.client.watching.link import SidecarLink
from gossipreg.client.watching.watcher import WATCHER
from gossipreg.errors import BadParams, Refused
from gossipreg.model import fold_name

if TYPE_CHECKING:
    from gossipreg.client.events.event import HandledEvent
    from gossipreg.client.events.of_registry import RegistryEvents
    from gossipreg.client.events.published import Published
    from gossipreg.client.events.subscription import EventIterator, HandlerSubscription
    from gossipreg.client.sagas.of_registry import RegistrySagas
    from gossipreg.client.sagas.saga import Saga
    from gossipreg.client.sagas.saga_answers import BegunAnswer
    from gossipreg.client.sagas.saga_handle import SagaHandle

TIMEOUT_S = 5.0
"""A synced sidecar answers in a millisecond, one that starts in a few seconds."""
MAX_STALE_S = 900.0
"""As long as a sidecar itself serves what it knew last."""


class Registry:
    """The services as the sidecar next to this program knows them. Threads may share it, and so may forked children.

    It closes at the end of the program, with `close`, or as a context manager.
    """

    def __init__(
        self, path: str | None = None, *, timeout: float = TIMEOUT_S, max_stale: float | None = MAX_STALE_S,
        zone: str | None = None, service: str | None = None,
    ) -> None:  # fmt: skip
        """See `connect`."""
        path = checked_path(path)
        check_number("timeout", timeout, "the seconds that a first lookup may wait")
        check_text("zone", zone, "the name of a zone")
        check_text("service", service, "the name of the service that this program belongs to")
        if not timeout >= 0:
            raise BadParams(f"timeout {timeout!r} is less than 0: give the seconds that a first lookup may wait")
        if max_stale is not None:
            check_number("max_stale", max_stale, "seconds, or None for no limit")
        if max_stale is not None and not max_stale > 0:
            raise BadParams(f"max_stale {max_stale!r} is not more than 0: give seconds, or None for no limit")
        self._zone = zone
        self._settings = RegistrySettings(timeout, max_stale, service)
        self._named = path
        self._made_events: dict[None, RegistryEvents] = {}
        """Empty until an event is published or subscribed to."""
        self._made_sagas: dict[None, RegistrySagas] = {}
        self._services: dict[tuple[str, frozenset[str], str | None], Service] = {}
        self._link = SidecarLink(path, max_stale)
        WATCHER.links[self._link] = None
        self._finalizer = weakref.finalize(self, WATCHER.let_go, self._link)
        self._finalizer.atexit = False  # the watcher stops by itself then

    def service(self, name: str, tags: Iterable[str] = (), zone: str | None = None) -> Service:
        """The service of this name; names are compared in lower case. With `tags`: only instances that have all of
        them. With `zone`: only instances in it. It asks nothing yet; the first lookup does. The same arguments give the
        same object."""
        if not isinstance(name, str):
            raise BadParams(f"name is {name!r}: give text")
        if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
            raise BadParams(f"name is {name!r}: give text without half of a surrogate pair")
        check_text("zone", zone, "the name of a zone")
        key = fold_name(name), checked_tags(tags), zone
        service = self._services.get(key)
        if service is None:
            service = self._services.setdefault(key, Service(self, self._link, self._settings, name, key[1], zone))
        return service

    def services(self) -> tuple[Service, ...]:
        """Those that `service` has given out."""
        return tuple(self._services.values())

    def watch(
        self, name: str, callback: Callable[[Snapshot], object], *, tags: Iterable[str] = (), zone: str | None = None
    ) -> "ServiceWatch":
        """Call `callback` with the snapshot of this service now, if it is known, and after each change; also when the
        snapshot becomes stale, or confirmed again.

        It runs on the thread that keeps all snapshots, so it must be short; a lookup in it waits for nothing. An
        exception is logged. Returns what ends it.
        """
        service = self.service(name, tags, zone)
        check_callable("callback", callback, "a function that takes a snapshot")
        feed = self._link.feed(name)
        service.raise_refused()

        def changed(snapshot: Snapshot) -> None:
            callback(matching(snapshot, service.tags, service.zone))

        token = feed.add_callback(changed)
        use_feed(self._link, feed)
        WATCHER.do(lambda _now: feed.call_back(token))
        return ServiceWatch(lambda: feed.remove_callback(token), name)

    # -- events --------------------------------------------------------------------------------------------------------

    def publish(
        self, type: str, data: object = None, *, id: str | None = None, source: str | None = None,
        key: str | None = None, subject: str | None = None, datacontenttype: str | None = None,
        time: str | None = None, extensions: Mapping[str, str] | None = None, timeout: float = 10.0,
        keep: float | None = None,
    ) -> "Published":  # fmt: skip
        """Publish an event, and return once it is durable.

        `data`: bytes as they are, text as text/plain, anything else as JSON; None: no data. `source`: the service of
        `connect`, else the name of the sidecar. `key`: events of one key are handled in their order. `keep`: for how
        many seconds it is kept for groups that do not exist yet. In a handler, it names the handled event as its cause,
        in extensions that are not given.

        If the connection breaks, or the sidecar has no leader yet, it is sent again with the same id, until `timeout`
        seconds have passed. Raises OutcomeUnknown if the event may be published or not, with the id to publish it
        again; another RequestError if it is not published; Unreachable if no sidecar got it.
        """
        return self.event_parts.publish(
            type, data, id=id, source=source, key=key, subject=subject, datacontenttype=datacontenttype, time=time,
            extensions=extensions, timeout=timeout, keep=keep,
        )  # fmt: skip

    def subscribe(
        self, pattern: str | Iterable[str], group: str | None = None,
        handler: "Callable[[HandledEvent], object] | None" = None, *, window: int | None = None,
        on_dead: str | None = None, max_attempts: int | None = None, ack_timeout: float | None = None,
        broadcast: bool = False, past: bool = False, threads: int | None = None,
    ) -> "HandlerSubscription":  # fmt: skip
        """Have `handler` called with each event whose type the pattern means; `group` shares them with other
        processes. It runs until `close` of what this returns, until the registry is closed, or the program ends.

        A handler that returns acknowledges the event. It may raise Reject (never again: a dead letter) or Retry (again
        later); any other exception is logged, and the event is tried again, `max_attempts` times (10). The event is
        renewed while the handler runs, so it may take long.

        `window`: how many events this process has at most (64). `threads`: how many handlers run at once (8, or the
        window if that is less). `ack_timeout`: how many seconds after this process has stopped an event is given to
        another (30). `on_dead`: "go_on", or "hold": a dead letter holds up the events of its key. `broadcast`: without
        a group; every process gets each event while it lives, and nobody waits for an answer. `past`: a group that is
        new begins with the events that are kept (`publish(keep=...)`), and not with those from now on.

        If no sidecar answers, the subscription begins when one does; that is logged. Raises BadParams, or what else the
        sidecar refuses it with.
        """
        return self.event_parts.subscribe(
            pattern, group, handler, threads, self.timeout_s, window=window, on_dead=on_dead,
            max_attempts=max_attempts, ack_timeout=ack_timeout, broadcast=broadcast, past=past,
        )  # fmt: skip

    def on(
        self, pattern: str | Iterable[str], group: str | None = None, **options: Any
    ) -> "Callable[[Callable[[HandledEvent], object]], Callable[[HandledEvent], object]]":
        """A decorator: `subscribe` with the decorated function as handler, and the same options."""
        from gossipreg.client.events.of_registry import decorator

        return decorator(lambda handler: self.subscribe(pattern, group, handler, **options))

    def events(
        self, pattern: str | Iterable[str], group: str | None = None, *, window: int | None = None,
        on_dead: str | None = None, max_attempts: int | None = None, ack_timeout: float | None = None,
        broadcast: bool = False, past: bool = False,
    ) -> "EventIterator":  # fmt: skip
        """As `subscribe`, for a loop: `for event in registry.events(...):`. Each event is settled by `event.ack()`,
        `event.reject(reason)` or `event.retry(after)`, or by `with event:`, which does what a handler does."""
        return self.event_parts.events(
            pattern, group, self.timeout_s, window=window, on_dead=on_dead, max_attempts=max_attempts,
            ack_timeout=ack_timeout, broadcast=broadcast, past=past,
        )  # fmt: skip

    # -- sagas ---------------------------------------------------------------------------------------------------------

    def saga(
        self, name: str, *, id: str | None = None, input: object = None, timeout: float = 60.0, strict: bool = False,
        traceparent: str | None = None, tracestate: str | None = None,
    ) -> "Saga":  # fmt: skip
        """`with registry.saga("create-order") as saga:`: its steps are either all done, or those that may have happened
        are undone. The end of the block commits; an exception in it aborts, and is raised on.

        `id` names it in the journal of this sidecar; drawn if left out. `input`: what JSON can hold, for {input.a} in
        steps. `timeout`: the seconds until its decision; then it is aborted. `strict`: steps are undone one after the
        other. If the program ends, or is not heard for 10 s, it is aborted.

        The block raises SagaExists or SagaConflict if the id is known, SagaAborted if it was aborted meanwhile, and
        OutcomeUnknown if it cannot be learned whether it is committed: ask `saga_of(error.saga)`.
        """
        return self.saga_parts.saga(
            name, id=id, input=input, timeout=timeout, strict=strict, traceparent=traceparent, tracestate=tracestate
        )  # fmt: skip

    def run_saga(
        self, definition: Mapping[str, Any] | str, input: object = None, *, id: str | None = None,
        traceparent: str | None = None, tracestate: str | None = None, journal: str | None = None,
        timeout: float = 10.0,
    ) -> "BegunAnswer":  # fmt: skip
        """Begin a declared saga, and return once it is durable: this program is not needed any more. `definition` is a
        map, or TOML or JSON as text. The same id, name and input again is the same saga, which is not begun again:
        `exists`. Of the definition the name alone counts for that. An id is unique in its journal: to begin it again at
        another sidecar, give the `journal` of the first time, as `saga_journal` said before, or as the name of the
        saga begins. If that one has ended, with all its sagas, NotFound is raised.

        If the connection breaks, or the sidecar has no leader yet, it is sent again with the same id, until `timeout`
        seconds have passed. Raises SagaConflict if another saga has the id, OutcomeUnknown if it may be begun or not.
        """
        return self.saga_parts.run(definition, input, id, traceparent, timeout, tracestate, journal)

    def saga_journal(self, *, timeout: float = 10.0) -> str:
        """The journal in which this sidecar begins sagas, opened if there is none: for `run_saga` at another one."""
        return self.saga_parts.journal(timeout)

    def saga_of(self, saga: str) -> "SagaHandle":
        """A saga that somebody has begun, by its full name, JOURNAL.ID, or its id: `wait()` and `show()` of it."""
        return self.saga_parts.saga_of(saga)

    @property
    def saga_parts(self) -> "RegistrySagas":
        """As `event_parts`."""
        if self._link.closed:
            raise Refused("this registry is closed: make another one")
        found = self._made_sagas.get(None)
        if found is None:
            from gossipreg.client.sagas.of_registry import RegistrySagas

            found = self._made_sagas.setdefault(None, RegistrySagas(self._named))
        return found

    @property
    def timeout_s(self) -> float:
        """The `timeout` of `connect`."""
        return self._settings.timeout_s

    @property
    def event_parts(self) -> "RegistryEvents":
        """What publishes and subscribes, made at its first use. Raises Refused once the registry is closed."""
        if self._link.closed:
            raise Refused("this registry is closed: make another one")
        found = self._made_events.get(None)
        if found is None:
            from gossipreg.client.events.of_registry import RegistryEvents

            found = self._made_events.setdefault(None, RegistryEvents(self._named, self._settings.caller))
        return found

    @property
    def zone(self) -> str:
        """Where this program runs: the zone given to `connect`, else its sidecar's; empty if neither is known."""
        if self._zone is not None:
            return self._zone
        state = self._link.trust.state or self._link.trust.believed
        return "" if state is None else state.zone

    @property
    def path(self) -> str | None:
        """The socket of the sidecar that was used last; None: none was looked for yet."""
        return self._link.path

    def stats(self) -> dict[str, Any]:
        """Figures for people and metrics; new ones come with new releases.

        connected; synced (the sidecar is believed in all that it says); why_not; path, cluster, node, node_name, zone;
        services (names in use), stale and unknown ones of them; connects, losses (connections that ended), changes (of
        instances, received), snapshots (made of them); turns (how often the watcher of the process was woken).
        """
        link = self._link
        state = link.trust.state or link.trust.believed
        feeds = list(link.wanted)
        snapshots = [feed.snapshot for feed in feeds]
        why_not = link.why_not_synced if (feeds or link.closed) and not link.synced else ""
        return {
            "path": link.path,
            "connected": link.connected,
            "synced": link.synced,
            "why_not": why_not,
            "cluster": None if state is None else state.cluster,
            "node": None if state is None else state.node,
            "node_name": None if state is None else state.name,
            "zone": self.zone,
            "services": len(feeds),
            "unknown": sum(one is None for one in snapshots),
            "stale": sum(one is not None and one.stale_since is not None for one in snapshots),
            "connects": link.connects,
            "losses": link.losses,
            "changes": link.changes,
            "snapshots": sum(feed.published for feed in feeds),
            "turns": WATCHER.turns,
        }

    def close(self) -> None:
        """End the connection and the subscriptions; the thread ends with the last registry. Later lookups raise
        Refused. Handlers that run get 5 s to end."""
        if not self._link.closed:
            self._link.closed = True
            self._finalizer.detach()
            for events in self._made_events.values():
                events.close()
            for sagas in self._made_sagas.values():
                sagas.close()
            WATCHER.drop(self._link)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._link.closed:
            return "<Registry, closed>"
        how = "connected" if self._link.connected else self._link.fault or "not connected yet"
        return f"<Registry at {self.path or 'a sidecar to be found'}: {how}; {len(self._link.wanted)} services>"


class ServiceWatch:
    """Calls of a callback; see `Registry.watch`."""

    def __init__(self, end: Callable[[], None], name: str) -> None:
        self._end = end
        self._name = name

    def close(self) -> None:
        """No call of the callback begins after this; one that runs on another thread goes on."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ServiceWatch of {self._name}>"


def connect(
    path: str | None = None, *, timeout: float = TIMEOUT_S, max_stale: float | None = MAX_STALE_S,
    zone: str | None = None, service: str | None = None,
) -> Registry:  # fmt: skip
    """A registry of the services that the sidecar next to this program knows. It opens nothing yet.

    `path`: the sidecar's socket; left out: $GOSSIPREG_SOCKET, or else the only sidecar of this host, as the commands
    find it. `timeout`: for how many seconds the first lookup of a name waits for the sidecar. `max_stale`: for how many
    seconds lookups answer from memory while the sidecar is away or not synced; None: without a limit. `zone`: where
    this program runs, if that is another zone than the sidecar's. `service`: the service that this program belongs to:
    its requests then stay in its zone, as far as the instances there carry its part.
    """
    return Registry(path, timeout=timeout, max_stale=max_stale, zone=zone, service=service)
