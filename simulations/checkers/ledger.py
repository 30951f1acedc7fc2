"""The ledger: everything that each owner has ever written, as it was at the owner right after it was written.

Owns: for each (owner, generation) the entries by key and change, and the deregistrations of each service. It is not a
checker; the checkers that need the truth share one. It reads the owner's own content after every input of its member.
So nothing from another member can enter the ledger, unless it changes the owner's own row; then `owners_bytes` fails.
"""

from dataclasses import dataclass, field

from gossipreg.core.table.content import Content
from gossipreg.model import NodeId
from simulations.host import Host
from simulations.observer import Observer

Entry = tuple[int, bytes | None]
"""Counter at the change, and the value; None if the key was removed or dropped."""


@dataclass(slots=True)
class Written:
    """What one owner wrote in one generation."""

    counter: int = 0
    changes: dict[int, list[Entry]] = field(default_factory=dict)
    """By key, oldest first. A part that a later head dropped is gone at that input's last counter."""
    live: dict[int, None] = field(default_factory=dict)
    """Keys that have a value."""
    services: dict[str, None] = field(default_factory=dict)
    """Ids of the services registered now."""
    taken_out: dict[str, list[int]] = field(default_factory=dict)
    """By service id: the counters at which it was deregistered."""
    incarnation: int = 0
    """The highest that the owner has issued."""

    def note(self, content: Content, services: dict[str, None]) -> None:
        """Add what the owner has written since the last call; `content` is its row now."""
        for key in reversed(content.entries):
            counter, value = content.entries[key]
            if counter <= self.counter:
                break
            self.changes.setdefault(key, []).append((counter, value))
        for key in [key for key in self.live if key not in content.entries]:
            self.changes[key].append((content.counter, None))
        for id in self.services:
            if id not in services:
                self.taken_out.setdefault(id, []).append(content.counter)
        self.services = services
        self.live = {key: None for key, (_, value) in content.entries.items() if value is not None}
        self.counter = content.counter


class Ledger(Observer):
    def __init__(self) -> None:
        self.written: dict[tuple[NodeId, int], Written] = {}
        self._seen: dict[NodeId, object] = {}

    def of(self, id: NodeId, generation: int) -> Written | None:
        """Return what this owner wrote in this generation; None if it never had that generation."""
        return self.written.get((id, generation))

    def after(self, host: Host) -> None:
        node = host.node
        own = node.table.own
        if own.id not in node.touched and self._seen.get(own.id) is node:
            return
        self._seen[own.id] = node
        content = own.content
        assert content is not None, "an owner has its own row"
        written = self.written.get((own.id, content.generation))
        if written is None:
            written = self.written[own.id, content.generation] = Written()
        written.incarnation = max(written.incarnation, own.liveness.incarnation)
        if content.counter != written.counter:
            written.note(content, dict.fromkeys(node.own_services))
