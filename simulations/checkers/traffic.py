"""What members send: no more than their bound, and next to nothing at rest."""

from math import sqrt

from gossipreg.config import Config
from gossipreg.model import Address
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


def idle_bytes(config: Config, members: int, periods: int, lost: int, loss: float, narrow: int = 0) -> float:
    """Return the bytes that each of `members` may send in a period, on average over `periods`, while `lost` dead
    members are greeted, the share `loss` of all datagrams is lost, and `narrow` paths are narrow."""
    calls = min(1.0, config.lost_calls / members) if lost else 0.0
    at_the_edges = IDLE_BYTES / periods  # one more probe at the edges
    missed = 2 * loss * members * periods
    likely_missed = missed + 4 * sqrt(missed) + 4 if loss else 0.0
    raises = 2 * narrow  # if all become wide again; otherwise each member tries to raise one in RAISE_S
    measuring = raises * _SIZE_PROBE_BYTES / (members * periods)
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

    def narrow(self, members: list[Host]) -> int:
        """Return the number of paths from these members that they have measured as narrow."""
        return sum(len(host.node.narrow_paths) for host in members)

    def quiet(
        self,
        before: tuple[int, int],
        after: tuple[int, int],
        periods: int,
        members: list[Host],
        greeted: dict[Address, None],
        narrow: int = 0,
    ) -> float:
        """Check a quiet time by the traffic of these members before and after it; return bytes a period a member.
        `greeted`: the addresses that they greeted when it began (they may have forgotten some since). `narrow`: the
        number of their narrow paths when it began."""
        mean = (after[1] - before[1]) / periods / len(members)
        lost = greeted | self.greeted(members)
        most = idle_bytes(self.world.config, len(members), periods, len(lost), self.world.network.loss, narrow)
        if mean > most and len(members) > 1:
            packets = (after[0] - before[0]) / periods / len(members)
            sends = f"at rest a member sends {mean:.0f} bytes and {packets:.1f} datagrams a period"
            self.fail(f"{sends}; the budget is {most:.0f} bytes", *members[:4])
        return mean
