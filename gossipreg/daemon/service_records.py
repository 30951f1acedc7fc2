"""The records of services in the data directory.

Owns the record that a service has now, and whether it is written before or after the service changes. Never knows what
a change means.
"""

from collections.abc import Callable, Mapping, Sequence

from gossipreg.daemon.entries import Answer, Entry
from gossipreg.daemon.kept import Statement, drop_service, keep_service
from gossipreg.daemon.store import Store, Write


class ServiceRecords:
    def __init__(self, store: Store, entries: Mapping[str, Entry]) -> None:
        """`entries` are the services that are registered, by id."""
        self._store = store
        self._entries = entries

    def begin(
        self, entry: Entry, beside: Sequence[Statement], check: Callable[[], None], then: Callable[[], Answer]
    ) -> Write[Answer]:
        """Call `check`, which raises RequestError for an entry that must not be written, and may change it; write the
        record of the entry, which must be durable, together with the statements `beside`, then call `then`: see
        `Store.begin`."""

        def prepare() -> list[Statement]:
            check()
            return [keep_service(entry.kept()), *beside]

        return self._store.begin(
            [], then, name=_name(entry.id), prepare=prepare, undo=lambda: self.write_later(entry.id)
        )  # fmt: skip

    async def register_first(self, entry: Entry, then: Callable[[], Answer]) -> Answer:
        """Call `then`, and after it write the record of an entry that need not be durable. Raises what `then`
        raises."""
        answers: list[Answer] = []
        await self.apply_first(entry.id, lambda: answers.append(then())).result()
        return answers[0]

    def apply_first(self, id: str, then: Callable[[], None]) -> Write[bool]:
        """Call `then`, and after it write the record of the service: see `Store.apply_first`."""
        return self._store.apply_first(_name(id), lambda: self._now(id), then)

    def write_later(self, id: str) -> None:
        """Write the record of the service as it will be at the next write."""
        self._store.commit_later(_name(id), lambda: self._now(id))

    def _now(self, id: str) -> list[Statement]:
        entry = self._entries.get(id)
        return [drop_service(id) if entry is None or entry.source == "attached" else keep_service(entry.kept())]


def _name(id: str) -> str:
    return f"service {id}"
