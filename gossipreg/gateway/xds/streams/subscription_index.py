"""Which streams are subscribed to which names: a change wakes these alone."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

from gossipreg.gateway.xds.model import ResourceKey, ResourceType


class Subscriber(Protocol):
    def changed(self, key: ResourceKey) -> None:
        """The resource may be otherwise now."""


class SubscriptionIndex:
    def __init__(self, forget: Callable[[ResourceKey], None]) -> None:
        """`forget` is called with a name that nobody is subscribed to any more."""
        self._forget = forget
        self._subscribers: dict[ResourceKey, dict[Subscriber, bool]] = {}
        """Whether each asked for it by name."""
        self._held: Counter[Subscriber] = Counter()
        self.characters = 0
        """Of all these names."""

    def __len__(self) -> int:
        """How many names somebody is subscribed to."""
        return len(self._subscribers)

    def __contains__(self, key: ResourceKey) -> bool:
        return key in self._subscribers

    def held_by(self, subscriber: Subscriber) -> int:
        """What the end of this one would free: the cost of the names that it asked for and nobody else has."""
        return self._held[subscriber]

    def add(self, subscriber: Subscriber, type: ResourceType, names: Iterable[str], *, by_name: bool = True) -> None:
        """`by_name`: it asked for them. Names of a wildcard are services that there are, and no client's choice."""
        for name in names:
            key = ResourceKey(type, name)
            known = self._subscribers.setdefault(key, {})
            if not known:
                self.characters += len(name)
            self._hold(known, name, -1)
            known[subscriber] = by_name
            self._hold(known, name, 1)

    def remove(self, subscriber: Subscriber, type: ResourceType, names: Iterable[str]) -> None:
        for name in names:
            key = ResourceKey(type, name)
            left = self._subscribers.get(key, {})
            self._hold(left, name, -1)
            left.pop(subscriber, None)
            self._hold(left, name, 1)
            if not left and self._subscribers.pop(key, None) is not None:
                self.characters -= len(name)
                self._forget(key)

    def _hold(self, subscribers: dict[Subscriber, bool], name: str, sign: int) -> None:
        """Count (1) or no longer count (-1) this name as held, if one alone has it and asked for it."""
        if len(subscribers) == 1:
            ((one, by_name),) = subscribers.items()
            if by_name:
                self._held[one] += sign * cost_of(name)
                if not self._held[one]:
                    del self._held[one]

    def changed(self, keys: Iterable[ResourceKey]) -> None:
        for key in keys:
            for subscriber in self._subscribers.get(key, ()):
                subscriber.changed(key)


CHARACTERS_A_NAME = 256
"""A name takes as much of what all may have as so many characters of it."""


def cost_of(name: str) -> int:
    """What a name takes of both bounds, that of names and that of characters."""
    return CHARACTERS_A_NAME + len(name)
