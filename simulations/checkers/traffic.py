"""What members send: no more than their bound, and next to nothing at rest."""

from math import ceil, log2, sqrt
from typing import NamedTuple

from gossipreg.config import Config
from gossipreg.core.session.outbox import FLOOR_BYTES
from gossipreg.core.session.path_mtu import SizeProbeDue
from gossipreg.model import Address, NodeId
from simulations.checkers.checker import Checker
from simulations.host import Host
from simulations.world import World

IDLE_BYTES = 200
"""The most bytes that a member may send in an idle period, all headers included."""
_CALL_BYTES = 600
"""A greeting of a dead member that is answered, with the comparison that follows; the idle budget does not include
it."""
_SIZE_PROBE_BYTES = 1700
"""A size probe, the small one beside it, and an ack, all headers included."""
_LOOK_BYTES = 3000
"""The cost of a lost ping or ack: the suspect is pinged again, three helpers ping it too, and the next member on the
ring is probed; if a second datagram of those is lost, once more."""
_UNTHROTTLED_BYTES = 200_000
"""The most bytes a second of what is never throttled: pings, acks, refutations, receipts and steps of comparisons."""


class Path(NamedTuple):
    """A path that is narrow or being measured, as its sender knows it."""

    used_bytes: int
    """The largest datagram that is sent on it now. It grows as soon as a larger one arrives."""
    lost_bytes: int
    """The smallest datagram that is lost, as the last search found it; 0: no search has ended so far."""


Paths = dict[tuple[int, NodeId], Path]
"""By the number of the sender and by the receiver."""


def size_probes(config: Config, before: Paths, after: Paths) -> int:
    """Return the most size probes that these paths cost in a quiet time. One of equal width takes two, since each
    member tries to raise one in `size_raise_s`, and so does one that is not narrow any more. One that has become wider
    and is narrow still takes a whole search, and so does one that was being measured when the quiet time began and has
    been found narrow in it."""
    return sum(
        _search_probes(config, path.lost_bytes) if key in after and _wider(path, after[key]) else 2
        for key, path in before.items()
    )


def _wider(before: Path, after: Path) -> bool:
    return after.used_bytes > before.used_bytes or after.lost_bytes > before.lost_bytes


def _search_probes(config: Config, from_bytes: int) -> int:
    """Return the most size probes of a search that begins when this size arrives. The configured size, then that of
    each halving, and the last one of them once more are each lost."""
    tuning = config.session
    span_bytes = max(1, config.datagram_bytes - max(from_bytes, FLOOR_BYTES))
    return 1 + tuning.size_losses * (max(0, ceil(log2(span_bytes / tuning.size_step_bytes))) + 2)


def idle_bytes(config: Config, members: int, periods: int, lost: int, loss: float, probes: int = 0) -> float:
    """Return the bytes that each of `members` may send in a period, on average over `periods`, while `lost` dead
    members are greeted, the share `loss` of all datagrams is lost, and `probes` size probes are sent."""
    calls = min(1.0, config.lost_calls / members) if lost else 0.0
    at_the_edges = IDLE_BYTES / periods  # one more probe at the edges
    missed = 2 * loss * members * periods
    likely_missed = missed + 4 * sqrt(missed) + 4 if loss else 0.0
    measuring = probes * _SIZE_PROBE_BYTES / (members * periods)
    looks = likely_missed * _LOOK_BYTES / (members * periods)
    return IDLE_BYTES + calls * _CALL_BYTES + at_the_edges + looks + measuring


class Traffic(Checker):
    """In any second no member sends more bytes than the token bucket gives (its depth, a second's refill, and its debt)
    and what is never throttled. In a quiet time the mean over all members is within the idle budget of a period."""

    name = "traffic"
    also_for_swim = False

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._at: dict[int, tuple[float, int, int]] = {}
        self.peak_packets_s = 0.0
        self.peak_bytes_s = 0.0

    def tick(self) -> None:
        now = self.world.now
        most = 3 * self.world.config.send_bytes_s + _UNTHROTTLED_BYTES
        for host, _ in self.running():
            datagrams, size = host.sent()
            since, before, size_before = self._at.get(host.number, (now, datagrams, size))
            if host.number not in self._at or now - since >= 1.0:
                self._at[host.number] = now, datagrams, size
            if now - since < 1.0:
                continue
            self.peak_packets_s = max(self.peak_packets_s, (datagrams - before) / (now - since))
            self.peak_bytes_s = max(self.peak_bytes_s, (size - size_before) / (now - since))
            if size - size_before > most * (now - since):
                self.fail(f"{host.name} has sent {size - size_before} bytes in {now - since:.1f} s", host)

    def greeted(self, members: list[Host]) -> dict[Address, None]:
        """Return the addresses of dead members and seeds that these members greet now."""
        lost: dict[Address, None] = {}
        for host in members:
            inspection = host.node.inspect()
            lost |= dict.fromkeys(inspection.greeted.values())
            lost |= {at: None for at, id in inspection.seeds.items() if id is None or id not in host.node.ring}
        return lost

    def paths(self, members: list[Host]) -> Paths:
        """Return the paths from these members that are narrow or being measured."""
        paths: Paths = {}
        for host in members:
            inspection = host.node.inspect()
            measured = {name.peer for name in inspection.timers if isinstance(name, SizeProbeDue)}
            lost = {path.peer: path.lost_bytes for path in host.node.narrow_paths}
            for id in inspection.measured_paths:
                if id in measured or id in lost:
                    paths[host.number, id] = Path(inspection.datagram_bytes(id), lost.get(id, 0))
        return paths

    def quiet(
        self,
        before: tuple[int, int],
        after: tuple[int, int],
        periods: int,
        members: list[Host],
        greeted: dict[Address, None],
        paths: Paths | None = None,
    ) -> float:
        """Check a quiet time by the traffic of these members before and after it; return bytes a period a member.
        `greeted`: the addresses that they greeted when it began (they may have forgotten some since). `paths`:
        their paths then."""
        config = self.world.config
        mean = (after[1] - before[1]) / periods / len(members)
        lost = greeted | self.greeted(members)
        probes = size_probes(config, paths or {}, self.paths(members))
        most = idle_bytes(config, len(members), periods, len(lost), self.world.network.loss, probes)
        if mean > most and len(members) > 1:
            packets = (after[0] - before[0]) / periods / len(members)
            sends = f"at rest a member sends {mean:.0f} bytes and {packets:.1f} datagrams a period"
            self.fail(f"{sends}; the budget is {most:.0f} bytes", *members[:4])
        return mean
