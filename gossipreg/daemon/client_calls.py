"""The calls of one client on the local socket: from a method's name and parameters to its packed result.

Owns the watches of the client and its rights to call. Never knows how requests and answers are written: `rpc_speaker`
and `http_speaker` do.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import field
from typing import TYPE_CHECKING, Any

from gossipreg.daemon import params as check
from gossipreg.daemon.methods import Methods
from gossipreg.daemon.params import Check, take_untrusted
from gossipreg.daemon.sidecar_state import StateFollowers
from gossipreg.daemon.socket_client import Params, SocketClient, pack
from gossipreg.daemon.watches import LocalWatch, Watches, WatchReader, watched_name
from gossipreg.errors import BadParams, Busy, GossipregError, NotFound, Refused, UnknownMethod
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.rpc import MAX_WATCHES

if TYPE_CHECKING:
    from gossipreg.daemon.events.event_client import EventClient
    from gossipreg.daemon.events.local_events import LocalEvents
    from gossipreg.daemon.history.history import History
    from gossipreg.daemon.history.history_follow import HistoryFollows

MAX_WATCHES_IN_ALL = 131_072
"""Each takes about 0.5 KiB."""
MAX_WATCHES_A_USER = MAX_WATCHES_IN_ALL * 3 // 4
"""So that no user takes those of all others."""
WATCH: dict[str, Check] = {"name": check.service_name, "names": check.service_names, "state": check.boolean}


@dataclass(frozen=True, slots=True)
class LocalApi:
    """The methods, watches and notifications for clients of the local socket."""

    methods: Methods
    watches: Watches
    state: StateFollowers
    bug: Callable[[str, Exception], None]
    """`bug(where, error)` reports an exception that should not be."""
    events: "Callable[[], Awaitable[LocalEvents]]"
    """The events of this sidecar, loaded at their first use."""
    history: "History | None" = None
    watches_of: Counter[int] = field(default_factory=Counter)
    """The watches of each user."""


class ClientCalls:
    __slots__ = ("_api", "_client", "_events", "_history", "_next_watch", "_opening", "_reader", "_watching")

    def __init__(self, api: LocalApi, client: SocketClient, reader: WatchReader) -> None:
        """`reader` takes the notifications."""
        self._api = api
        self._client = client
        self._reader = reader
        self._watching: dict[int, LocalWatch] = {}
        self._next_watch = 1
        self._opening: list[bytes] = []
        self._history: HistoryFollows | None = None
        self._events: EventClient | None = None
        """From its first subscription on."""

    @property
    def stays(self) -> bool:
        """Whether the client would lose something if the connection ended: a watch, a subscription, or a service or a
        saga that it holds."""
        client = self._client
        holds = client.attached or client.sagas > 0 or bool(self._history)
        return bool(self._watching) or holds or (self._events is not None and self._events.busy)

    def call(self, method: str, params: Params) -> bytes | Awaitable[bytes]:
        """The packed result, or an awaitable of it. Raises GossipregError for the client; anything else is a bug."""
        api = self._api
        own = _OWN.get(method)
        handler, command = api.methods.handlers.get(method), api.methods.commands.get(method)
        if own is None and handler is None and command is None:
            names = sorted({*api.methods.handlers, *api.methods.commands, *_OWN})
            raise UnknownMethod(f"no method {method[:80]!r}: the methods are {', '.join(names)}")
        api.methods.rights.check(method, self._client.caller, params)
        if own is not None:
            return own(self, params)
        if command is not None:
            return command(params, self._client)
        assert handler is not None
        return handler(params)

    def fault(self, method: str, error: Exception) -> GossipregError:
        """The error for the client of a call that failed. Anything that is not meant for clients is a bug."""
        if isinstance(error, GossipregError):
            return error
        self._api.bug(f"method {method[:80]}", error)
        return Refused("this failed inside the sidecar, and its log says how: please report it")

    def take_opening(self) -> list[bytes]:
        """The notifications that follow the reply to the last call at once, in pieces.

        Nothing can change before both are pushed, since changes come between two calls only."""
        opening, self._opening = self._opening, []
        return opening

    def end(self) -> None:
        """The client is gone. It may be called again."""
        self._drop(self._watching.values())
        self._watching.clear()
        if self._history is not None:
            self._history.end_all()
        if self._events is not None:
            self._events.end()
            self._events = None
        self._api.state.leave(self._reader)

    # -- methods that belong to a connection ---------------------------------------------------------------------------

    def _state(self, params: Params) -> bytes:
        take_untrusted("state", params, {})
        self._api.state.follow(self._reader)
        return pack(self._api.state.shape())

    def _watch(self, params: Params) -> bytes:
        given = take_untrusted("watch", params, WATCH)
        if "name" in given and "names" in given:
            raise BadParams("watch has name and names: give one of them")
        names = given.get("names", (given.get("name"),))
        self._check_room(len(names))
        if given.get("state", False):
            self._api.state.follow(self._reader)
            form = self._reader.form
            self._opening += form.notification("state", form.body(self._api.state.shape()))
        numbers, waiting = [], False
        for name in names:
            number, self._next_watch = self._next_watch, self._next_watch + 1
            watch = self._watching[number] = LocalWatch(number, watched_name(name), self._reader)
            first = self._api.watches.add(watch)
            numbers.append(number)
            self._opening += first
            waiting = waiting or not first
        self._api.watches_of[self._client.uid] += len(numbers)
        result: dict[str, Any] = {"watches": numbers} if "names" in given else {"watch": numbers[0]}
        if waiting:
            result["not_synced_because"] = self._api.methods.why_not_synced()
        return pack(result)

    def _check_room(self, more: int) -> None:
        if len(self._watching) + more > MAX_WATCHES:
            raise Busy(
                f"this connection has {len(self._watching)} watches, and may have {MAX_WATCHES}: end some with "
                "unwatch, or open another connection"
            )
        of_user, in_all = self._api.watches_of[self._client.uid], len(self._api.watches)
        if of_user + more > MAX_WATCHES_A_USER or in_all + more > MAX_WATCHES_IN_ALL:
            raise Busy(
                f"this user has {of_user} watches of {in_all}, and may have {MAX_WATCHES_A_USER} of "
                f"{MAX_WATCHES_IN_ALL}: end some"
            )

    def _unwatch(self, params: Params) -> bytes:
        number = take_untrusted("unwatch", params, {"watch": check.Whole(1, 1 << 62)}, "watch")["watch"]
        watch = self._watching.pop(number, None)
        if watch is None:
            raise NotFound(f"this connection has no watch {number}")
        self._drop([watch])
        return pack({})

    def _drop(self, watches: Collection[LocalWatch]) -> None:
        for watch in watches:
            self._api.watches.remove(watch)
        self._api.watches_of[self._client.uid] -= len(watches)

    @property
    def settles(self) -> bool:
        """Whether events come for which somebody waits: those of a group."""
        return self._events is not None and self._events.settles

    # -- the history ---------------------------------------------------------------------------------------------------

    async def _history_page(self, params: Params) -> bytes:
        """{..., follow}: with `follow` further lines come as notifications."""
        history = self._api.history
        if history is None:
            raise Refused("this sidecar keeps no history")
        follow = check.boolean("follow", params.get("follow") or False)
        params = {name: value for name, value in params.items() if name != "follow"}
        if not follow:
            return await history.method(params)
        if self._history is None:
            from gossipreg.daemon.history.history_follow import HistoryFollows  # few clients follow

            self._history = HistoryFollows(history, self._notify_history)
        page, first = await self._history.begin(params)
        if first is not None:
            form = self._reader.form
            self._opening += form.notification("history", form.body(first))
        return pack(page)

    def _notify_history(self, lines: dict[str, Any]) -> None:
        form = self._reader.form
        self._reader.push(*form.notification("history", form.body(lines)))

    def _history_end(self, params: Params) -> bytes:
        number = take_untrusted("history-end", params, {"follow": check.Whole(1, 1 << 62)}, "follow")["follow"]
        if self._history is None:
            raise NotFound("this connection does not follow the history")
        self._history.end(number)
        return pack({})

    # -- events --------------------------------------------------------------------------------------------------------

    async def _subscribe(self, params: Params) -> bytes:
        events = await self._api.events()
        if self._client.gone:
            raise NotFound("this connection has ended")
        if self._events is None:
            from gossipreg.daemon.events.event_client import EventClient  # loaded with the events

            self._events = EventClient(events, self._reader)
        reply = self._events.subscribe(params, self._api.methods.why_not_synced())
        self._opening += self._events.take_opening()
        return reply

    def _on_events(self, method: str, params: Params) -> bytes:
        """A method about deliveries: they belong to the connection that has the subscription."""
        if self._events is None:
            raise NotFound(f"this connection has no subscription, so {method} has nothing to settle: subscribe first")
        return self._events.call(method, params)


_OWN: dict[str, Callable[[ClientCalls, Params], bytes | Awaitable[bytes]]] = {
    "state": ClientCalls._state, "watch": ClientCalls._watch, "unwatch": ClientCalls._unwatch,
    "subscribe": ClientCalls._subscribe, "history": ClientCalls._history_page, "history-end": ClientCalls._history_end,
    **{
        method: lambda calls, params, method=method: calls._on_events(method, params)  # type: ignore[misc]
        for method in ("unsubscribe", "ack", "reject", "retry", "renew", "give_back")
    },
}  # fmt: skip
