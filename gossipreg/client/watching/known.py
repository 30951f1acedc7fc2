"""What is known of one service: how a snapshot follows what the sidecar says, and what stays if the sidecar knows less.

Owns: the instances that the sidecar lists now, those that are only kept, and since when the whole is stale. Never
knows: sockets, threads, clocks (`now` is an argument, in seconds that go on while the host sleeps), why a sidecar is
believed or not (`state.py`).

An instance that the sidecar lists is always taken. What it leaves out, or takes out, is dropped only if the sidecar is
believed in all. Otherwise it is kept, and marked stale: a sidecar that has just restarted, or whose link is down, must
not empty the answers of programs. After a restart of the sidecar, instances of members that it has not met yet are
kept for `UNMET_S`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from math import inf

from gossipreg.client.instance import Instance, InstanceKey
from gossipreg.client.snapshot import Snapshot
from gossipreg.client.watching.ordered import OrderedInstances

UNMET_S = 10.0
"""How long instances of members are kept that a restarted sidecar has not met. Gossip reaches it in a few seconds."""


@dataclass(frozen=True, slots=True)
class KeptInstance:
    """An instance that the sidecar does not list now."""

    instance: Instance
    until: float
    """When it is dropped; `inf`: not before the sidecar is believed in all."""


class KnownService:
    def __init__(self, name: str) -> None:
        self.name = name
        self.settled = False
        """Whether the sidecar has listed the whole service on this connection, was believed in all, and nothing was
        kept from it since."""
        self.stale_since: float | None = None
        self._complete = False
        self._heard = False
        self._listed = OrderedInstances()
        self._passing = OrderedInstances()
        self._kept: dict[InstanceKey, KeptInstance] = {}

    # -- what happens --------------------------------------------------------------------------------------------------

    def current(self, instances: Iterable[Instance]) -> None:
        """The sidecar lists these now. All others that were known are kept until `settle`."""
        before = self._listed.all()
        self._listed = OrderedInstances(instances)
        self._passing = OrderedInstances(one for one in self._listed.all() if one.health == "passing")
        self._heard = self._heard or len(self._listed) > 0
        for one in before:
            if self._listed.get(one.key) is None:
                self._keep(one)
        for key in [key for key in self._kept if self._listed.get(key) is not None]:
            del self._kept[key]
        self.settled = False

    def settle(self, unmet: Collection[str], now: float) -> None:
        """The last `current` was the whole service, and the sidecar is believed in all, but for these members, which it
        has not met."""
        self._drop_replaced()
        for key, kept in list(self._kept.items()):
            if key.node in unmet:
                self._kept[key] = KeptInstance(kept.instance, min(kept.until, now + UNMET_S))
            else:
                del self._kept[key]
        self.settled = self._complete = self._heard = True

    def put(self, instance: Instance) -> None:
        """The sidecar added or updated this instance."""
        self._heard = True
        self._listed.put(instance)
        if instance.health == "passing":
            self._passing.put(instance)
        else:
            self._passing.pop(instance.key)
        self._kept.pop(instance.key, None)

    def remove(self, instance: Instance, believed: bool) -> None:
        """The sidecar removed this instance, which was so at last. A removal of an older one than is held is void: the
        service has come back under the same id."""
        key = instance.key
        held = self._listed.get(key)
        if held is not None:
            if held.version > instance.version:
                return
            self._listed.pop(key)
            self._passing.pop(key)
            if not believed:
                self._keep(held)
                self.settled = False
        elif believed:
            self._kept.pop(key, None)

    def stale(self, now: float) -> None:
        """From now on nobody confirms what is known: the connection has ended, or the sidecar is believed less."""
        if self.stale_since is None:
            self.stale_since = now

    def disconnected(self, now: float) -> None:
        self.stale(now)
        self.settled = False
        self.hold()

    def hold(self) -> None:
        """The sidecar is not believed in all any more: keep what is kept until it is, and has listed all again."""
        for key, kept in self._kept.items():
            self._kept[key] = KeptInstance(kept.instance, inf)
            self.settled = False

    def fresh(self) -> None:
        """From now on the sidecar confirms what is known."""
        self.stale_since = None

    def pass_time(self, now: float) -> bool:
        """Drop what was kept until now; return whether there was anything."""
        over = [key for key, kept in self._kept.items() if kept.until <= now]
        for key in over:
            del self._kept[key]
        return bool(over)

    # -- what is known -------------------------------------------------------------------------------------------------

    def due(self) -> float:
        """When the next kept instance is dropped; `inf`: never."""
        return min((kept.until for kept in self._kept.values()), default=inf)

    def unconfirmed(self) -> set[str]:
        """The members whose instances are kept."""
        return {key.node for key in self._kept}

    def members(self) -> set[str]:
        """The members with any instance."""
        return {one.node for one in self._listed.all()} | self.unconfirmed()

    def snapshot(self) -> Snapshot | None:
        """None: nothing is known yet."""
        if not self._heard:
            return None
        all, passing = self._listed, self._passing
        if self._kept:
            self._drop_replaced()
            kept = [one.instance for one in self._kept.values()]
            all = OrderedInstances([*all.all(), *kept])
            passing = OrderedInstances([*passing.all(), *(one for one in kept if one.health == "passing")])
        return Snapshot(self.name, all.all(), passing.all(), self.stale_since, self._complete)

    def _keep(self, instance: Instance) -> None:
        held = instance if instance.stale else replace(instance, stale=True)
        self._kept.setdefault(instance.key, KeptInstance(held, inf))

    def _drop_replaced(self) -> None:
        """Drop what is kept if the sidecar lists another instance at the same address: that is the same program,
        registered anew by a sidecar that is another member since its restart."""
        listed = {(one.address, one.port) for one in self._listed.all() if one.port}
        for key, kept in list(self._kept.items()):
            if (kept.instance.address, kept.instance.port) in listed:
                del self._kept[key]
