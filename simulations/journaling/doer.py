"""Carries out the faults of journals: of processes, disks and streams.

Owns: what each of these actions does, how it ends, and when a disk may be lost: only while every journal has three
voters, and the disk of each, since two lost disks of three may lose anything. Never knows: how the plan was made
(`faults.py`), or which invariants are checked.
"""

from collections.abc import Callable, Mapping
from functools import partial

from gossipreg.journal.effects import AppliedEntry, ClaimLeadership, JournalEffect, SendMessage, WriteJournal
from simulations.disk import LATENCY_S
from simulations.doer import Doer
from simulations.host import Host
from simulations.journaling.journaling import Journaling
from simulations.journaling.observer import JournalObserver
from simulations.journaling.process import JournalProcess
from simulations.network import Rule, between, into, out_of
from simulations.plan import Action

_KINDS: dict[str, type[object]] = {
    "send": SendMessage,
    "write": WriteJournal,
    "apply": AppliedEntry,
    "claim": ClaimLeadership,
}
"""The effects at which a trap may end a process."""


_LOSE_AGAIN_S = 0.3
_LOSE_TRIES = 150
"""A disk that may not be lost now is lost when it may, within 45 s."""


class _Traps(JournalObserver):
    """Ends processes at a certain step."""

    def __init__(self) -> None:
        self.set: dict[int, tuple[str, int, Callable[[], None]]] = {}
        """By host: (what it is about to do, how often it may, the end)."""

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        trap = self.set.get(process.host.number)
        if trap is not None and trap[0] in _KINDS and isinstance(effect, _KINDS[trap[0]]):
            self._step(process.host)

    def on_durable(self, process: JournalProcess, write: object) -> None:  # noqa: ARG002  whatever was written
        trap = self.set.get(process.host.number)
        if trap is not None and trap[0] == "durable":
            self._step(process.host)

    def _step(self, host: Host) -> None:
        what, left, end = self.set[host.number]
        if left > 1:
            self.set[host.number] = what, left - 1, end
        else:
            del self.set[host.number]
            end()


class JournalDoer(Doer):
    def __init__(self, journaling: Journaling, hosts: Mapping[int, Host], base_loss: float) -> None:
        super().__init__(journaling.world, hosts, base_loss)
        self.journaling = journaling
        self.lost = 0
        """Disks lost so far."""
        self._losing: dict[int, None] = {}
        """Hosts that have lost their disk, and whose process has not started again yet."""
        self._healed = False
        self._traps = _Traps()
        journaling.observers.all.append(self._traps)
        self._actions: dict[str, Callable[[Action], None]] = {
            "crash": self._crash,
            "loop": self._loop,
            "trap": self._trap,
            "hang": self._hang,
            "full": self._fill,
            "eio": self._fail_fsync,
            "slow disk": self._slow_disk,
            "lose": self._lose,
            "firewall": self._firewall,
            "break": self._break,
            "break one end": self._break_one_end,
        }

    def perform(self, action: Action) -> None:
        if (own := self._actions.get(action.what)) is not None:
            own(action)
        else:
            super().perform(action)

    def start(self, host: Host, seeds: tuple[int, ...]) -> None:
        super().start(host, seeds)
        self.journaling.start(host)
        self._losing.pop(host.number, None)

    def heal(self) -> None:
        """End all faults, and start every member that is down."""
        streams = self.world.connections
        streams.rules.clear()
        streams.rejecting.clear()
        self._traps.set.clear()
        for host in self.hosts.values():
            disk = self.world.disk(host)
            disk.full, disk.latency_s = False, LATENCY_S
            disk.resume()
        super().heal()
        self._healed = True
        for host in self.hosts.values():
            if not host.up:
                self.start(host, tuple(number for number in self.hosts if number != host.number))

    # -- processes ---------------------------------------------------------------------------------------------------

    def _of(self, action: Action) -> list[Host]:
        return [self.hosts[number] for number in action.hosts]

    def _crash(self, action: Action) -> None:
        self._kill(action, self._of(action)[0], action.flags[0])

    def _kill(self, action: Action, host: Host, how: str) -> None:
        """End the process of this host, and start it again when the action is over."""
        if not host.up:
            return
        if how == "power":
            self.world.lose_power(host)
        else:
            self.world.crash(host, refuses=how == "refused")
        starts = host.starts
        self.world.after(action.for_s, lambda: self._start_again(host, starts, action.seeds))

    def _start_again(self, host: Host, starts: int, seeds: tuple[int, ...]) -> None:
        if host.starts == starts and not host.up:
            self.start(host, seeds or tuple(number for number in self.hosts if number != host.number))

    def _loop(self, action: Action) -> None:
        host = self._of(action)[0]
        end = self.world.now + action.for_s

        def crash() -> None:
            if self.world.now < end and not self._healed:
                if host.up:
                    self.world.crash(host)
                    self.world.after(0.5, partial(self._start_again, host, host.starts, ()))
                self.world.after(0.5 + action.value, crash)

        crash()

    def _trap(self, action: Action) -> None:
        host = self._of(action)[0]
        what, how = action.flags
        end = partial(self._kill, action, host, how)
        self._traps.set[host.number] = what, int(action.value), end
        self._end(action, lambda: self._traps.set.pop(host.number, None) and None)

    # -- disks -------------------------------------------------------------------------------------------------------

    def _hang(self, action: Action) -> None:
        for host in self._of(action):
            self.world.disk(host).hang()
            self._end(action, self.world.disk(host).resume)
        self.world.fault(str(action), *self._of(action))

    def _fill(self, action: Action) -> None:
        def fill(full: bool) -> None:
            for host in self._of(action):
                self.world.disk(host).full = full

        fill(True)
        self._end(action, lambda: fill(False))
        self.world.fault(str(action), *self._of(action))

    def _fail_fsync(self, action: Action) -> None:
        for host in self._of(action):
            self.world.disk(host).fail_fsync()
        self.world.fault(str(action), *self._of(action))

    def _slow_disk(self, action: Action) -> None:
        def set_latency(low: float, high: float) -> None:
            for host in self._of(action):
                self.world.disk(host).latency_s = low, high

        set_latency(action.value / 10, action.value)
        self._end(action, lambda: set_latency(*LATENCY_S))
        self.world.fault(str(action), *self._of(action))

    def may_lose(self) -> bool:
        """Return whether one disk may be lost now."""
        ids = self.journaling.ids
        losing = self._losing or self.journaling.restored
        return not losing and bool(ids) and all(self.journaling.has_all_disks(journal) for journal in ids)

    def _lose(self, action: Action) -> None:
        host, how = self._of(action)[0], action.flags[0]
        if how == "back in time":
            backup = self.world.disk(host).backup()
            self.world.after(action.value, lambda: self._lose_now(action, host, partial(self._restore, host, backup)))
        elif how == "unlinked":
            self._lose_now(action, host, self.world.disk(host).unlink)
        else:
            self._lose_now(action, host, self.world.disk(host).lose)

    def _restore(self, host: Host, backup: object) -> None:
        self.world.disk(host).restore(backup)  # type: ignore[arg-type]  # the disk's own backup
        self.journaling.restored[host.number] = None

    def _lose_now(self, action: Action, host: Host, lose: Callable[[], None], tries: int = _LOSE_TRIES) -> None:
        """Lose the disk once it may be lost, if that is soon."""
        if self._healed:
            return
        if not host.up or not self.may_lose():
            if tries:
                self.world.after(_LOSE_AGAIN_S, lambda: self._lose_now(action, host, lose, tries - 1))
            return
        self._losing[host.number] = None
        self.lost += 1
        lose()
        self.world.fault(str(action), host)
        if action.flags[0] != "unlinked":
            self._kill(action, host, "silent")
        else:
            starts = host.starts

            def end() -> None:
                if host.starts == starts and not self._healed:
                    self._kill(action, host, "refused")

            self._end(action, end)

    # -- streams -----------------------------------------------------------------------------------------------------

    def _firewall(self, action: Action) -> None:
        numbers = frozenset(action.hosts)
        how, way = action.flags
        rule: Rule = between(lambda end: end.number in numbers)
        if way != "both":
            rule = into(numbers) if way == "into" else out_of(numbers)
        streams = self.world.connections
        self._rule(action, streams.rejecting if how == "reset" else streams.rules, rule)

    def _break_one_end(self, action: Action) -> None:
        hosts = self._of(action)
        if len(hosts) == 2:
            self.world.connections.reset_next(*hosts)
            self.world.fault(str(action), *hosts)

    def _break(self, action: Action) -> None:
        hosts = self._of(action)
        if len(hosts) == 2:
            self.world.connections.break_(*hosts)
            self.world.fault(str(action), *hosts)
