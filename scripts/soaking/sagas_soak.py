"""`scripts/soak --sagas`: sagas between real sidecars under faults; at the end every service's books balance.

Six sidecars, each a host of its own with a disk of its own; three services of two instances, each with a ledger in
SQLite; programs beside four sidecars, 50 sagas a minute each, half of them by code and half declared. Round after round
some faults hold for a while (`fault_rounds.py`), among them killed and paused services and programs. Then all is
mended, the programs end, the sagas end, and the books are held against the journals' list of sagas and against what
programs were told: no saga open, none half done, no reservation left, no mail sent for an order that was undone.
"""

import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from gossipreg.errors import GossipregError
from scripts.soaking.fault_rounds import FaultRounds
from scripts.soaking.saga_notes import read_history, read_told
from scripts.soaking.sagas_judge import SagaHistory, saga_faults
from scripts.soaking.sagas_world import SagasWorld
from scripts.tools.figures import percentile
from scripts.tools.wait import wait_for

TAKEN_S = 150.0
"""After the faults, for sagas that programs have begun."""
ENDED_S = 240.0
"""Sagas that are open then never end: an undo is tried every 60 s at least."""


class SagasSoak(FaultRounds):
    program_kinds = ("service killed", "service paused", "program killed", "program paused")

    def __init__(self, world: SagasWorld, seconds: float, rng: random.Random) -> None:
        super().__init__(world, seconds, rng)
        self._world = world

    def run(self) -> int:
        world = self._world
        world.start_programs()
        self.run_rounds()
        late = world.end_takers(TAKEN_S)
        if late:
            self.wrong.append(f"{late} programs had sagas without an end {TAKEN_S:g} s after the faults")
        history = self._ended_history()
        self.wrong += saga_faults(history)
        self.wrong += [f"a bug: {line}" for line in world.bugs()[:3]]
        self._report(history)
        return self.report_end()

    def hurt_program(self, kind: str) -> Callable[[], None]:
        world = self._world
        one = self.rng.choice(world.services if kind.startswith("service") else world.takers)
        if kind.endswith("killed"):
            world.kill_program(one)
            return lambda: world.restart_program(one)
        world.hang_program(one)
        return lambda: world.resume_program(one)

    def _ended_history(self) -> SagaHistory:
        """Once no saga is open, or ENDED_S later."""
        world = self._world
        try:
            wait_for(lambda: not self._open(), ENDED_S, 0.5)
        except AssertionError:
            self.wrong.append(f"after {ENDED_S:g} s: {self._open()}")
        history = read_history(world.notes, world.books)
        try:
            history.open = [one["saga"] for one in world.sagas("open")]
            history.decisions = {one["saga"]: one["decision"] for one in world.sagas("ended")}
        except GossipregError as error:
            self.wrong.append(f"the sagas cannot be listed: {error}")
        return history

    def _open(self) -> str:
        """What is open, or cannot be known to be; empty: nothing."""
        try:
            found = self._world.sagas("open")
            return self._world.unled() or (f"{len(found)} sagas are open, {found[0]['saga']}" if found else "")
        except GossipregError as error:
            return str(error)

    # -- what is told ------------------------------------------------------------------------------------------------

    def say_progress(self) -> None:
        told, _ = read_told(self._world.notes)
        outcomes = Counter(one.outcome for one in told)
        said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        print(f"{self.passed_s:5.0f} s  {said or 'nothing'}, {sum(self.faults.values())} faults", flush=True)

    def _report(self, history: SagaHistory) -> None:
        self.report_faults()
        outcomes = Counter(one.outcome for one in history.told)
        took_s = [one.took_s for one in history.told if one.outcome != "unknown"]
        times = ", ".join(f"p{100 * part:g} {percentile(took_s, part):.3f} s" for part in (0.5, 0.99, 1.0) if took_s)
        print("programs told   ", ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())), times)
        print(
            "refused         ", ", ".join(f"{code} {count}" for code, count in history.refused.most_common()) or "none"
        )
        decisions = Counter(history.decisions.values())
        print("sagas ended     ", ", ".join(f"{decision} {count}" for decision, count in sorted(decisions.items())))
        undone = sum(one.undone for one in history.bookings)
        print("bookings        ", f"{sum(one.done for one in history.bookings)} done, {undone} undone")


def soak_sagas(seconds: float, seed: int, keep: Path | None) -> int:
    """The exit code. `keep`: a new folder for all logs, notes and books."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left behind
    rng = random.Random(seed)
    world = SagasWorld(rng)
    try:
        for member in world.members:
            member.sidecar.wait_ready()
        if world.why_no_cuts:
            print(f"no partitions: {world.why_no_cuts}")
        return SagasSoak(world, seconds, rng).run()
    finally:
        if keep is not None:
            shutil.copytree(world.folder, keep, ignore=shutil.ignore_patterns("*.sock", "disk*", "key"))
        world.close()
