"""The HTTP gateway as the sidecar runs it: made from what the user chose, opened, shown the registry, run, closed."""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import trio

from gossipreg.core.view import View
from gossipreg.gateway.http.api import Api
from gossipreg.gateway.http.blocking import Topic
from gossipreg.gateway.http.doors import Door, Doors
from gossipreg.gateway.http.events import Events
from gossipreg.gateway.http.guard import Guard
from gossipreg.gateway.http.message import Head
from gossipreg.gateway.http.monitoring import Monitoring
from gossipreg.gateway.http.outside import Outside
from gossipreg.gateway.http.ports import HttpListener, listen_tcp
from gossipreg.gateway.http.server import Server
from gossipreg.gateway.http.spellings import folded
from gossipreg.gateway.http.tokens import SHORT_BYTES, exposed_to_everybody, read_tokens
from gossipreg.model import Change

DEFAULT_PORT = 8500
MEMBERS_S = 1.0
"""The interval at which members' own entries are compared while a question waits: they change without a notice."""

ListenUnix = Callable[[Path], HttpListener]


class HttpGateway:
    """See `daemon.gateways.Gateway`. Not opened by its making."""

    name = "http"

    def __init__(self, tcp: Sequence[tuple[Sequence[str], int]], unix: Sequence[Path], listen_unix: ListenUnix,
                 *, names: Iterable[str] = (), token_file: str | None = None,
                 open_reads: bool = False) -> None:  # fmt: skip
        """Listens on these literal addresses, all with the same port (0: any), and on these paths. `names` are accepted
        as Host beside addresses and localhost; `open_reads` lets other machines read without a token. Raises
        BadConfig."""
        self._tcp = tcp
        self._unix = unix
        self._listen_unix = listen_unix
        self._guard = Guard(names)
        self._token_file = token_file
        self._doors = Doors(tokens=None, open_reads=open_reads)
        self._listeners: list[HttpListener] = []
        self._outside: Outside | None = None
        self._counts: Counter[str] = Counter()
        self._api: Api | None = None
        self._events: Events | None = None
        self._server: Server | None = None
        self._members: dict[object, object] = {}
        self._fingerprint = -1

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses at which it listens once it is open."""
        return tuple(listener.text for listener in self._listeners)

    def open(self) -> None:
        """Raises CannotStart: port taken, path too long, no token file where one is needed, ..."""
        self.reread()
        for hosts, port in self._tcp:
            self._doors.check_listening(hosts, port)
        for hosts, port in self._tcp:
            self._listeners += listen_tcp(hosts, port)
        for path in self._unix:
            self._listeners.append(self._listen_unix(path))

    @property
    def has_file(self) -> bool:
        """Whether there is a token file."""
        return self._token_file is not None

    def reread(self) -> dict[str, str | int | float | bool | None]:
        """Read the token file again. Returns what was read, for the log. Raises CannotStart; the tokens read before
        stay in use then."""
        if self._token_file is None:
            return {"tokens": 0}
        self._doors.tokens = tokens = read_tokens(self._token_file)
        return {"tokens": len(tokens)}

    def warnings(self) -> list[str]:
        """Faults of the token file that do not prevent its use."""
        path, tokens = self._token_file, self._doors.tokens
        if path is None or tokens is None:
            return []
        found = [f"everybody can read {path}: chmod 600 it"] if exposed_to_everybody(path) else []
        if tokens.short:
            found.append(f"{tokens.short} tokens of {path} have fewer than {SHORT_BYTES} characters and can be guessed")
        return found

    def meet(self, outside: Outside) -> None:
        """Takes the interface of the sidecar beside the registry."""
        self._outside = outside

    def attach(self, view: View, bug: Callable[[str, Exception], None]) -> None:
        """Answer from this registry as it is now, and as `changed` says later. Called again, begins anew."""
        assert self._outside is not None, "meet comes first"
        self._events = Events(view)
        monitoring = Monitoring(self._outside, self._events)
        self._api = Api(self._outside, rng=random.Random(os.urandom(16)), clock_us=_clock_us, monitoring=monitoring)
        self._server = Server(self._listeners, self._api.router.answer, self._check, counts=self._counts, bug=bug)
        self._api.answers.tell = self._server.answer
        monitoring.gauges = partial(_gauges, self._server, self._api, self._events)

    def _check(self, door: Door, head: Head) -> None:
        if not door.unix:
            self._guard.check_untrusted(head, loopback=door.loopback)
        self._doors.check_untrusted(door, head)

    def changed(self, changes: Sequence[Change]) -> None:
        assert self._api is not None, "attach comes first"
        assert self._events is not None, "attach comes first"
        self._api.changed(changes)
        names = dict.fromkeys(folded(change.instance.service.name) for change in changes)
        self._api.answers.changed([("name", name) for name in names])
        self._events.changed(changes)

    async def run(self) -> None:
        """Answer until cancelled."""
        assert self._api is not None, "attach comes first"
        assert self._events is not None, "attach comes first"
        assert self._server is not None, "attach comes first"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._api.answers.run)
            nursery.start_soon(self._events.run)
            nursery.start_soon(self._watch_members)
            nursery.start_soon(self._server.run)

    async def _watch_members(self) -> None:
        """Find changes of members' own entries (names, addresses, labels), which come without a notice. One number
        tells whether any changed; they are searched for only then, and only while a question waits."""
        assert self._api is not None, "attach comes first"
        while True:
            await trio.sleep(MEMBERS_S)
            if self._api.answers.waiting and (topics := self._changed_members()) is not None:
                self._api.answers.changed(topics)

    def _changed_members(self) -> list[Topic] | None:
        """The topics of the members that changed; None if none did."""
        assert self._outside is not None, "meet comes first"
        view = self._outside.view
        if view.fingerprint == self._fingerprint:
            return None
        self._fingerprint = view.fingerprint
        before, self._members = self._members, {id: row.member for id, row in view.replica.rows.items()}
        moved = [id for id, row in view.replica.rows.items() if before.get(id) is not row.member]
        names = {folded(one.service.name): None for id in moved for one in view.catalog.of_node(id)}
        return [("name", name) for name in names]

    def counts(self) -> dict[str, int]:
        return {f"http.{name}": count for name, count in self._counts.items()}

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()


def _clock_us() -> int:
    return time.time_ns() // 1000


def _gauges(server: Server, api: Api, events: Events) -> dict[str, float]:
    return {
        "connections": len(server), "waiting": api.answers.waiting, "woken": api.answers.woken,
        "event_streams": len(events.streams),
    }  # fmt: skip
