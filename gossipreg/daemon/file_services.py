"""The services of the services file: what stands in it, and what of that is registered.

Owns the parameters of each service as the file was read last, and what follows from reading it again: what changed
changes, what is gone is deregistered, what is not registered any more comes back. Never knows how that is done.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from gossipreg.daemon.entries import Entry, FileChanges
from gossipreg.daemon.logs import Log
from gossipreg.daemon.params import Registration
from gossipreg.errors import Refused, RequestError


class FileServices:
    def __init__(
        self, log: Log, entries: Mapping[str, Entry], *, read: Callable[[Mapping[str, Any]], Registration],
        take: Callable[[Registration], Awaitable[object]], deregister: Callable[[str], Awaitable[object]],
    ) -> None:  # fmt: skip
        """`entries` is what is registered, by id; the others read, register and deregister as the sidecar itself."""
        self._log = log
        self._entries = entries
        self._read = read
        self._take = take
        self._deregister = deregister
        self.params: dict[str, bytes] = {}
        """As the file was read last, by id."""

    async def follow(self, file: Sequence[Mapping[str, Any]], *, allow_empty: bool = False) -> FileChanges:
        """Do what the file says now. An empty one is taken for a file that is just being written, unless `allow_empty`.
        Raises RequestError before anything is done; what cannot be done later is said in the log."""
        if self.params and not file and not allow_empty:
            raise Refused(f"it names no service, and {len(self.params)} were registered from it: `gossipreg reload "
                          "--allow-empty` takes them out")  # fmt: skip
        wanted = {one.service.id: one for one in map(self._read, file)}
        done = FileChanges()
        for id in dict.fromkeys([*self.params, *wanted]):
            try:
                one = await self._follow_one(id, wanted.get(id))
            except RequestError as error:  # the next reading tries again
                self._log.error("service_not_followed", id=id, message=str(error))
                one = FileChanges(failed=1)
            done = FileChanges(*map(sum, zip(done, one, strict=True)))
        return done

    async def _follow_one(self, id: str, wanted: Registration | None) -> FileChanges:
        if wanted is None:
            ours = id in self._entries and self._entries[id].source == "file"
            if ours:
                await self._deregister(id)
            self.params.pop(id, None)
            return FileChanges(deregistered=int(ours))
        if id in self._entries and self.params.get(id) == wanted.params:
            return FileChanges()
        await self._take(wanted)
        self.params[id] = wanted.params
        return FileChanges(registered=1)
