"""What a program knows of one service at one moment. A snapshot never changes: the next one takes its place."""

from dataclasses import dataclass
from time import CLOCK_BOOTTIME, clock_gettime

from gossipreg.client.instance import Instance


def boot_clock() -> float:
    """Seconds since the host was booted, its sleep included: a laptop's nap makes a snapshot older too."""
    return clock_gettime(CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The instances of one service, in the order of (node, id)."""

    name: str
    all: tuple[Instance, ...]
    """Of any health."""
    instances: tuple[Instance, ...]
    """Those that pass: what a lookup gives."""
    stale_since: float | None = None
    """Since when nobody confirms it, on `boot_clock`. None: it is what the sidecar knows now."""
    complete: bool = True
    """False: there may be more, since the sidecar has not been synced since this name was first used."""

    @property
    def stale_s(self) -> float:
        """For how many seconds nobody has confirmed it; 0 if it is what the sidecar knows now."""
        return 0.0 if self.stale_since is None else max(0.0, boot_clock() - self.stale_since)

    def __repr__(self) -> str:
        stale = "" if self.stale_since is None else f", stale for {self.stale_s:.1f} s"
        partial = "" if self.complete else ", partial"
        return f"<Snapshot of {self.name}: {len(self.instances)} of {len(self.all)} passing{stale}{partial}>"


def matching(snapshot: Snapshot, tags: frozenset[str], zone: str | None) -> Snapshot:
    """The snapshot of those instances that have all of `tags` and, if a zone is given, are in it."""
    if not tags and zone is None:
        return snapshot

    def chosen(instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
        return tuple(one for one in instances if tags.issubset(one.tags) and (zone is None or one.zone == zone))

    all = chosen(snapshot.all)
    instances = tuple(one for one in all if one.health == "passing")
    return Snapshot(snapshot.name, all, instances, snapshot.stale_since, snapshot.complete)
