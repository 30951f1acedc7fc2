"""Which members should hold copies of a journal: pure decisions over a configuration.

Owns: the order of the candidates, and the next step from a configuration to the wanted one. Never knows: timers, or
how a copy is made.

Candidates are hosts, in rendezvous order (Thaler and Ravishankar 1998): by a hash of journal and host, so all members
choose alike and the journals of a lost host spread over all others. Hosts in zones that have no good copy come first,
one of each zone: two are asked at once.
"""

from collections.abc import Collection, Iterable, Sequence

from gossipreg.blake2 import blake2b
from gossipreg.journal.membership import JournalHost
from gossipreg.journal.model import Configuration, JournalId, ReplicaId, ReplicaPlace


def rendezvous(journal: JournalId, host: bytes) -> bytes:
    """The key by which hosts are ordered for this journal."""
    return blake2b(host, key=journal, digest_size=16).digest()


def candidates(
    journal: JournalId, configuration: Configuration, bad: Collection[ReplicaId], hosts: Iterable[JournalHost]
) -> list[JournalHost]:
    """Members that could take a copy, best first, one for each host that has none. `hosts` has those of the good copies
    too: their zones are taken."""
    good = [place for place in configuration.places if place.replica not in bad]
    nodes, used = {place.node for place in good}, {place.host for place in good}
    known = sorted(hosts, key=lambda host: (rendezvous(journal, host.host), host.node))
    zones = {host.zone for host in known if any(place.node == host.node for place in good)}
    found: dict[bytes, JournalHost] = {}
    for host in known:
        if host.host not in used and host.node not in nodes:
            found.setdefault(host.host, host)
    fresh: list[JournalHost] = []
    others: list[JournalHost] = []
    for host in found.values():
        (others if host.zone in zones else fresh).append(host)
        zones.add(host.zone)
    return fresh + others


def missing(configuration: Configuration, bad: Collection[ReplicaId], wanted: int) -> int:
    """How many new copies are needed, learners counted as copies already."""
    return wanted - sum(place.replica not in bad for place in configuration.places)


def next_configuration(
    configuration: Configuration, bad: Collection[ReplicaId], near: Collection[ReplicaId], wanted: int
) -> Configuration | None:
    """One step towards the wanted number of good voters; None if there is none to take now. `near` are the replicas
    that hold the log, but for one append.

    A journal has 1 or 3 voters, never 2: both new ones join at once. A voter that is bad is replaced, not removed: with
    two of three alive it can still be lost.
    """
    voters, learners = configuration.voters, configuration.learners
    ready = [place for place in learners if place.replica in near and place.replica not in bad]
    lacking = wanted - len(voters)
    if 0 < lacking <= len(ready):
        return _with(configuration, voters + tuple(ready[:lacking]))
    lost = [place for place in voters if place.replica in bad]
    if lost and ready:
        return _with(configuration, tuple(ready[0] if place == lost[0] else place for place in voters))
    kept = _worth_keeping(learners, bad, 0 if len(voters) >= wanted and not lost else None)
    return None if len(kept) == len(learners) else Configuration(voters, kept)


def _with(configuration: Configuration, voters: tuple[ReplicaPlace, ...]) -> Configuration:
    """These voters; learners that do not vote now stay."""
    return Configuration(voters, tuple(place for place in configuration.learners if place not in voters))


def _worth_keeping(
    learners: Sequence[ReplicaPlace], bad: Collection[ReplicaId], most: int | None
) -> tuple[ReplicaPlace, ...]:
    return tuple(place for place in learners if place.replica not in bad)[:most]
