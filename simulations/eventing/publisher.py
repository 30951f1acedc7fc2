"""A program that publishes to the journal of its host's sidecar, as one with an outbox does: until it knows.

Owns: which events it publishes, and when it publishes one again. Never knows: what becomes of an event that is durable.

While the outcome is not known it publishes the same event again, also after a crash of its sidecar. Now and then it
publishes an event again that is durable, or another one with its id.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from gossipreg.errors import OutcomeUnknown
from gossipreg.events.effects import PublishSettled
from simulations.eventing.publication import Publication
from simulations.eventing.subscriber import POISON

if TYPE_CHECKING:
    from simulations.eventing.process import EventProcess
    from simulations.world import World

_KNOWN = ("", "conflict")
"""What settles an event: it is durable, or refused for good."""
_MAY_BE_PUBLISHED = ("", OutcomeUnknown.code)
"""With any other code the event is not published."""
_TIMEOUTS_S = (0.5, 2.0, 10.0)
_AGAIN_S = (0.2, 2.0)
_REPEATED, _CONFLICTING, _POISONOUS, _KEYED, _KEPT = 0.05, 0.02, 0.04, 0.8, 0.1
"""The shares of events that are published once more, that have the id of another one, that no handler can handle, that
have a partition key, and that are kept for groups that come later."""
_KEEP_MS = (5_000, 60_000)


class Publisher:
    def __init__(
        self, world: "World", host: int, types: tuple[str, ...], keys: tuple[str, ...], gap_s: float, rng: random.Random
    ) -> None:
        """`gap_s`: the mean time between two events."""
        self.publications: list[Publication] = []
        self.open: dict[Publication, None] = {}
        """Those whose outcome it does not know."""
        self.host = host
        """The number of the host on which it runs."""
        self.stopped = False
        """It publishes nothing new."""
        self._world = world
        self._types = types
        self._keys = keys
        self._gap_s = gap_s
        self._rng = rng
        self._process: EventProcess | None = None

    def begin(self, process: "EventProcess") -> None:
        """Its sidecar is this process now: what the one before had not answered is published again."""
        self._process = process
        for publication in [*self.open]:
            self._later(self._rng.uniform(*_AGAIN_S), lambda publication=publication: self._publish(publication))  # type: ignore[misc]

    def run(self) -> None:
        """Publish, then again after a while."""
        if self.stopped:
            return
        process = self._process
        if process is not None and process.runs:
            self._later(0.0, self._publish_next)
        self._world.after(self._rng.expovariate(1 / self._gap_s), self.run)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call this, if its sidecar is still the same process. What waits is gone with the process."""
        process = self._process
        assert process is not None, "only a program with a sidecar publishes"

        def run() -> None:
            if process.runs and process is self._process:
                call()

        self._world.after(
            seconds,
            lambda: self._world.to_process(process.host, run, network=False) if process.runs else None,
        )

    def _publish_next(self) -> None:
        rng, number = self._rng, len(self.publications)
        size = rng.choice([0, 0, 0, 300, 2000])
        data = rng.choice(POISON) if rng.random() < _POISONOUS else b"ok"
        key = rng.choice(self._keys) if rng.random() < _KEYED else ""
        publication = Publication(
            f"e{number}",
            f"publisher-{self.host}",
            rng.choice(self._types),
            key,
            data.ljust(size, b"."),
            self.host,
            rng.randint(*_KEEP_MS) if rng.random() < _KEPT else 0,
        )
        self._add(publication)

    def _add(self, publication: Publication) -> None:
        self.publications.append(publication)
        self.open[publication] = None
        self._publish(publication)

    def _publish(self, publication: Publication) -> None:
        process = self._process
        assert process is not None, "it runs"
        tokens = tuple(publication.type.split("."))
        publication.known.append(frozenset(group.name for group in process.registry.groups_for(tokens)))
        publication.times += 1
        timeout_s = self._rng.choice(_TIMEOUTS_S)
        process.publish(publication, timeout_s, lambda settled: self._settled(publication, settled))

    def _settled(self, publication: Publication, settled: PublishSettled) -> None:
        rng = self._rng
        first = publication.code not in _KNOWN
        publication.code = settled.code
        if settled.code not in _MAY_BE_PUBLISHED:
            publication.known.pop()
        if settled.code not in _KNOWN:
            self._later(rng.uniform(*_AGAIN_S), lambda: self._publish(publication))
            return
        self.open.pop(publication, None)
        if settled.code == "" and publication.acked is None:
            publication.acked = settled.journal, settled.index
        if not first or self.stopped:
            return
        if rng.random() < _REPEATED:
            self.open[publication] = None
            self._publish(publication)
        elif rng.random() < _CONFLICTING and publication.conflicts_with is None:
            data = publication.data + b"!"
            other = replace(publication, data=data, known=[], times=0, code=None, acked=None)
            other.conflicts_with = publication
            self._add(other)
