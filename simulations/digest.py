"""Digests of whole runs: does a change of the code change a decision of the protocol?

Owns: the fixed table of runs, what of them is hashed, and the file in which the hashes are kept. Never knows: the
subject of a run.

Each run has two hashes. `datagrams` covers every datagram that any member sends: its bytes, its time and its
destination. `changes` covers the contents of every change of instances at every member, with the time. Neither covers
log events, kinds of effects and names of types. So a renaming or a move keeps both hashes, and a commit that changes
one of them has changed what the protocol does.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gossipreg.core.effects import Changed, Effect, Send
from gossipreg.model import Change
from gossipreg.wire.shapes import HEALTH_NAMES
from simulations import sweeps
from simulations.host import Host
from simulations.scenario import Case, DetectorName
from simulations.scenarios import all_scenarios
from simulations.world import World

KEPT = Path(__file__).with_name("digests.txt")
"""The hashes of the code in this checkout."""
HEX_DIGITS = 16
_TIME = struct.Struct(">d")


class Named(NamedTuple):
    """One run of the table."""

    scenario: str
    case: Case

    @property
    def name(self) -> str:
        """For people, and the first column of the file."""
        detector = "" if self.case.detector == "ours" else f" detector={self.case.detector}"
        label = f" {self.case.label}" if self.case.label else ""
        case = self.case
        return f"{self.scenario} nodes={case.nodes} seed={case.seed} s={case.duration_s:g}{detector}{label}"


class Digests(NamedTuple):
    datagrams: str
    changes: str


def table() -> list[Named]:
    """Return the runs, which take less than a minute on two cores. The clusters are small and the times short: a
    changed decision shows in the first seconds of a small cluster too."""
    swarm = all_scenarios()["swarm"].defaults
    return [
        *(Named("swarm", _of(swarm, seed=seed, duration_s=40.0)) for seed in range(1, 21)),
        *(Named("crash", _of("crash", nodes=64, seed=seed, duration_s=60.0)) for seed in (1, 2)),
        Named("partition", _of("partition", nodes=32, label="shape=halves for=60")),
        Named("partition", _of("partition", nodes=32, label="shape=bridge for=60")),
        Named("massjoin", _of("massjoin", nodes=200)),
        Named("churn", _of("churn", nodes=32, duration_s=20.0)),
        Named("restart", _of("restart", nodes=50)),
        Named("oneway", _of("oneway", nodes=200, duration_s=120.0, label="way=in")),
        Named("oneway", _of("oneway", nodes=200, duration_s=120.0, label="way=out")),
        *(run for detector in _BASELINES for run in _with(detector)),
    ]


_BASELINES: tuple[DetectorName, ...] = "swim", "lifeguard"


def _with(detector: DetectorName) -> list[Named]:
    """A few runs of a detector that we only compare with."""
    slow = "c=4 d=4.096 i=0.256 model=blocked"
    return [
        Named("crash", _of("crash", nodes=24, duration_s=40.0, loss=0.1, detector=detector)),
        Named("swarm", _of("swarm", seed=103, duration_s=20.0, detector=detector)),
        Named("lifeguard", _of("lifeguard", nodes=24, seed=5, duration_s=24.0, label=slow, detector=detector)),
    ]


def _of(base: str | Case, **fields: object) -> Case:
    case = all_scenarios()[base].defaults if isinstance(base, str) else base
    return replace(case, **fields)  # type: ignore[arg-type]


class DigestTap:
    """A tap that hashes everything that a world sends and answers."""

    def __init__(self) -> None:
        self._datagrams = hashlib.blake2b(digest_size=HEX_DIGITS // 2)
        self._changes = hashlib.blake2b(digest_size=HEX_DIGITS // 2)

    def on_send(self, now: float, send: Send) -> None:
        self._datagrams.update(_TIME.pack(now))
        self._datagrams.update(str(send.destination).encode())
        self._datagrams.update(send.datagram)

    def on_effect(self, now: float, host: Host, effect: Effect) -> None:
        if type(effect) is Changed:
            self._changes.update(_TIME.pack(now))
            for change in effect.changes:
                self._changes.update(repr((host.number, *_contents(change))).encode())

    def digests(self) -> Digests:
        return Digests(self._datagrams.hexdigest(), self._changes.hexdigest())


def _contents(change: Change) -> tuple[object, ...]:
    """List the fields by name, so that a field that is added later does not count as a changed decision."""
    one = change.instance
    service = one.service
    return (
        change.kind.name,
        service.id,
        service.name,
        service.address,
        service.port,
        service.tags,
        service.meta,
        service.weight,
        HEALTH_NAMES[one.health],
        one.node,
        one.node_name,
        one.zone,
        tuple(one.version),
        one.stale,
    )


@contextmanager
def tapped() -> Iterator[DigestTap]:
    """Hash all worlds that run in the block, together."""
    World.tap = tap = DigestTap()
    try:
        yield tap
    finally:
        World.tap = None


def digests_of(scenario: str, case: Case) -> Digests:
    """Run the case and hash what happens. Raises whatever the run raises, CheckFailed included."""
    with tapped() as tap:
        all_scenarios()[scenario].run(case)
    return tap.digests()


def all_digests(runs: Sequence[Named], jobs: int) -> Iterator[tuple[Named, Digests]]:
    """Yield the digests in the order of the runs, each as soon as it and those before it are done."""
    if jobs == 1:
        yield from ((run, digests_of(run.scenario, run.case)) for run in runs)
        return
    with sweeps.cores(jobs) as workers:
        futures = [workers.executor.submit(digests_of, run.scenario, run.case) for run in runs]
        for run, future in zip(runs, futures, strict=True):
            yield run, future.result()


# -- the file ---------------------------------------------------------------------------------------------------------


def lines(found: Iterable[tuple[Named, Digests]]) -> Iterator[str]:
    for run, digests in found:
        yield f"{digests.datagrams}  {digests.changes}  {run.name}"


def kept() -> dict[str, Digests]:
    """Read the file: the digests by the name of the run."""
    found: dict[str, Digests] = {}
    for line in KEPT.read_text().splitlines():
        if line and not line.startswith("#"):
            datagrams, changes, name = line.split("  ", 2)
            found[name] = Digests(datagrams, changes)
    return found


def write(found: Iterable[tuple[Named, Digests]]) -> None:
    head = "# scripts/simulate digest --update: hash of the datagrams, hash of the changes, run\n"
    KEPT.write_text(head + "".join(f"{line}\n" for line in lines(found)))


def differences(run: Named, digests: Digests, before: dict[str, Digests]) -> str:
    """Name the hashes that differ from those in the file; "" if none does."""
    was = before.get(run.name)
    if was is None:
        return "is not in the file"
    what = [name for name, old, new in zip(Digests._fields, was, digests, strict=True) if old != new]
    return f"other {' and '.join(what)}" if what else ""
