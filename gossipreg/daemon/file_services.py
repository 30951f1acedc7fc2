"""The services that the services file names, and which of them are registered.

Owns the parameters of each service at the last reading, and the effect of a new reading: a changed service is
registered anew, a service that is gone from the file is deregistered, a service of the file that is no longer
registered is registered again. Never knows how to register.
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
        """The services of the last reading, by id."""

    async def follow(self, file: Sequence[Mapping[str, Any]], *, allow_empty: bool = False) -> FileChanges:
        """Follow the file as it is now. An empty one counts as a file that is being written, unless `allow_empty`.
        Raises RequestError before anything changes; later failures are logged."""
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
