"""Dead members are forgotten: no row outlives its member for longer than the profile says."""

from gossipreg.config import Config
from gossipreg.core.table.row import Row, State
from gossipreg.model import NodeId
from simulations.checkers.checker import Checker
from simulations.host import Host
from simulations.world import World

_LATE_PERIODS = 2
"""A node looks for rows that are due once a period."""
_ROUNDING_S = 1e-6


def kept_s(row: Row, config: Config) -> float:
    return config.dead_row_s if row.member is not None and row.member.durable else config.dead_row_brief_s


class Forgotten(Checker):
    """A member forgets the row of a dead or left member `dead_row_s` after it learned of that (`dead_row_brief_s` if
    the other is not durable), by its own clock: not sooner, and two periods later at most. A stalled member does so
    when it runs again and its timers have fired."""

    name = "forgotten"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._gone: dict[int, tuple[object, dict[NodeId, tuple[State, float, float]]]] = {}
        """By member: the process, and for each row that is dead or left: its state, since when, and how long it is
        kept."""

    def after(self, host: Host) -> None:
        node = host.node
        if not node.touched:
            return
        process, gone = self._gone.get(host.number, (None, {}))
        if process is not node:
            gone = {}
            self._gone[host.number] = node, gone
        now = host.local(self.world.now)
        for id in node.touched:
            row, before = node.table.rows.get(id), gone.pop(id, None)
            if row is None:
                if before is not None and now - before[1] < before[2] - _ROUNDING_S:
                    self.fail(f"{host.name} forgot {self._how_long(id, before, now)}", host, *self.owner(id))
            elif row.state in (State.DEAD, State.LEFT):
                since = now if before is None or before[0] is not row.state else before[1]
                gone[id] = row.state, since, kept_s(row, node.config)

    def tick(self) -> None:
        late_s = _LATE_PERIODS * self.world.config.period_s
        for host, node in self.running():
            process, gone = self._gone.get(host.number, (None, {}))
            if process is not node or host.stalled or host.wake_at <= self.world.now:
                continue
            now = host.local(self.world.now)
            for id, held in gone.items():
                if now - held[1] > held[2] + late_s:
                    self.fail(f"{host.name} still holds {self._how_long(id, held, now)}", host, *self.owner(id))

    def _how_long(self, id: NodeId, held: tuple[State, float, float], now: float) -> str:
        state, since, keeps_s = held
        return f"{self.called(id)}, {state.value} to it for {now - since:.1f} s; it is to be kept for {keeps_s:.1f} s"
