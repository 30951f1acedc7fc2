"""Calls that fail because the policy sends them to a tag that no instance has, for `gossipreg info`.

Clients are sent what the policy says also then, since the instances may come. Whoever mistypes a tag, or ends the last
instance of one that still has a share, learns from this which calls fail. What may be otherwise is marked when it
changes and looked at when somebody asks: a look costs as much as the service has instances and tags.
"""

from collections.abc import Callable, Iterable, Iterator

import trio

from gossipreg.gateway.xds.resources.policy import ServicePolicy, XdsPolicy
from gossipreg.gateway.xds.resources.routes import tag_cluster

SHOWN = 5
"""Names in the text; it counts the rest."""


class UnmetTags:
    def __init__(self, policy: XdsPolicy, has_endpoints: Callable[[str], bool]) -> None:
        """`has_endpoints(name)`: whether a client that asks for this name gets any."""
        self._has_endpoints = has_endpoints
        self._marked = trio.Event()
        self.take_policy(policy)

    def take_policy(self, policy: XdsPolicy) -> None:
        self._settings = {service: settings for service, settings in policy.services.items() if settings.tags}
        self._concerned: dict[str, list[str]] = {}
        """By the name of a service, those whose calls may fail for it: a service may be named TAG.NAME, too."""
        for service, settings in self._settings.items():
            for name in (service, *(tag_cluster(tag, service) for tag in settings.tags)):
                self._concerned.setdefault(name, []).append(service)
        self._unmet: dict[str, list[str]] = {}
        """By service, what of its calls fails."""
        self._due: dict[str, None] = {}
        self.all_changed()

    def all_changed(self) -> None:
        self._due = dict.fromkeys(self._settings)
        self._marked.set()

    def changed(self, services: Iterable[str]) -> None:
        """These services have other instances now."""
        due = [one for name in services for one in self._concerned.get(name, ())]
        if due:
            self._due.update(dict.fromkeys(due))
            self._marked.set()

    async def wait_marked(self) -> None:
        """Return when there is something to look at."""
        await self._marked.wait()

    def look(self) -> str | None:
        """The names that get calls and have no instance now, each with its share of the calls. None: there is none."""
        self._marked = trio.Event()
        due, self._due = self._due, {}
        for service in due:
            self._unmet.pop(service, None)
            if unmet := list(self._unmet_of(service, self._settings[service])):
                self._unmet[service] = unmet
        found = [text for service in sorted(self._unmet) for text in self._unmet[service]]
        if not found:
            return None
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        return ", ".join(found[:SHOWN]) + more

    def _unmet_of(self, service: str, settings: ServicePolicy) -> Iterator[str]:
        """Nothing where the service has no instance at all: that is no fault of the policy."""
        if not self._has_endpoints(service):
            return
        shares = dict(settings.split)
        total = sum(shares.values())
        for tag in settings.tags:
            name = tag_cluster(tag, service)
            if not self._has_endpoints(name):
                yield f"{name} ({100 * shares[tag] / total:.3g}%)" if tag in shares else f"{name} (by header)"
