"""The HTTP gateway as the sidecar runs it: what the user chose, and the open gateway. `serving.py` is one run of it.

Each is complete once it is made: `HttpOptions.open` binds the sockets and reads the tokens, `HttpGateway.run` is given
the sidecar.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from gossipreg.gateway.http.doors import Doors
from gossipreg.gateway.http.guard import Guard
from gossipreg.gateway.http.ports import HttpListener, listen_tcp, listen_unix
from gossipreg.gateway.http.routes import is_open_untrusted
from gossipreg.gateway.http.serving import HttpRun
from gossipreg.gateway.http.tokens import SHORT_BYTES, exposed_to_everybody, read_tokens
from gossipreg.net.addresses import Bind
from gossipreg.sidecar_api import LogFields, Question, Reread, SidecarApi

DEFAULT_PORT = 8500


class HttpOptions:
    """See `sidecar_api.GatewayOptions`."""

    def __init__(
        self, tcp: Sequence[Bind], unix: Sequence[Path] = (), *, socket_group: str | None = None,
        names: Iterable[str] = (), token_file: str | None = None, open_reads: bool = False, page_writes: bool = False,
    ) -> None:  # fmt: skip
        """Listen at these addresses, and on these paths, which the group may use too. `names` are accepted as Host
        in addition to addresses and localhost; `open_reads` lets other machines read without a token; with
        `page_writes` the page at /ui/ may change things. Raises BadConfig."""
        self.tcp = tcp
        self.unix = unix
        self.socket_group = socket_group
        self.guard = Guard(names)
        self.token_file = token_file
        self.open_reads = open_reads
        self.page_writes = page_writes

    def open(self) -> "HttpGateway":
        """Raises CannotStart: port taken, path too long, no token file where one is needed, ...; or BadConfig."""
        tokens = None if self.token_file is None else read_tokens(self.token_file)
        doors = Doors(tokens=tokens, open_reads=self.open_reads, is_open=is_open_untrusted)
        for bind in self.tcp:
            doors.check_listening(bind.hosts, bind.port)
        with ExitStack() as undo:
            listeners: list[HttpListener] = []
            for bind in self.tcp:
                listeners += listen_tcp(bind.hosts, bind.port)
                for listener in listeners:
                    undo.callback(listener.close)
            for path in self.unix:
                listeners.append(listen_unix(path, self.socket_group))
                undo.callback(listeners[-1].close)
            undo.pop_all()
        return HttpGateway(listeners, self.guard, doors, self.token_file, page_writes=self.page_writes)


class HttpGateway:
    """See `sidecar_api.Gateway`."""

    name = "http"

    def __init__(
        self, listeners: Sequence[HttpListener], guard: Guard, doors: Doors, token_file: str | None, *,
        page_writes: bool,
    ) -> None:  # fmt: skip
        """`listeners` are closed with it; `doors` have the tokens of the file; `page_writes` is --ui-writes."""
        self._listeners = listeners
        self._guard = guard
        self._doors = doors
        self._token_file = token_file
        self._page_writes = page_writes
        self._counts: Counter[str] = Counter()

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(listener.text for listener in self._listeners)

    questions: Mapping[str, Question] = {}

    @property
    def rereads(self) -> Mapping[str, Reread]:
        return {} if self._token_file is None else {"http_tokens": partial(self._reread_tokens, self._token_file)}

    def _reread_tokens(self, path: str) -> LogFields:
        """Raises CannotStart; then the tokens read before stay in use."""
        self._doors.tokens = tokens = read_tokens(path)
        return {"tokens": len(tokens)}

    def warnings(self) -> list[str]:
        path, tokens = self._token_file, self._doors.tokens
        if path is None or tokens is None:
            return []
        found = [f"everybody can read {path}: chmod 600 it"] if exposed_to_everybody(path) else []
        if tokens.short:
            found.append(f"{tokens.short} tokens of {path} have fewer than {SHORT_BYTES} characters and can be guessed")
        return found

    async def run(self, api: SidecarApi) -> None:
        await self.served(api).run()

    def served(self, api: SidecarApi) -> HttpRun:
        """A run that answers from the registry as it is now."""
        return HttpRun(
            self._listeners, self._guard, self._doors, self._counts, api, page_writes=self._page_writes
        )  # fmt: skip

    def counts(self) -> dict[str, int]:
        """Reasons for a drop are counted with those of the other parts, under `drop.`."""
        return {name if name.startswith("drop.") else f"http.{name}": n for name, n in self._counts.items()}

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
