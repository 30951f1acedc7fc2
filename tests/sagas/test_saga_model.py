"""Random answers, losses, takeovers and programs that die: what the contract says of every attempt holds at each
(`Bench.faults`), and when the faults end, everything ends and the books balance."""

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gossipreg.sagas.saga_model import Decision
from gossipreg.sagas.saga_tuning import SagaTuning
from tests.sagas.bench import Bench, is_over
from tests.sagas.bench_parts import SagaSidecar, Ticket, step
from tests.sagas.saga_ledger import Mood, SagaLedger
from tests.sagas.test_declared_sagas import definition

SERVICES = ("a", "b", "c")
TUNING = SagaTuning(stuck_attempts=3, stuck_again_s=5.0, undo_again_longest_s=4.0, lost_s=4.0)
ENDS_S = 120.0
places = st.integers(0, 2)
services = st.sampled_from(SERVICES)
recent = st.integers(0, 3)
pauses = st.sampled_from((0.0, 0.002, 0.004, 0.01, 0.6, 6.0))
MAIL = {"name": "mail", "service": "mail", "method": "POST", "path": "/"}


class SagaStorm(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(3, TUNING)
        self.ledger = SagaLedger(self.bench)
        self.bench.participants = dict.fromkeys((*SERVICES, "mail"), self.ledger)
        self.sagas: list[str] = []
        self.commits: dict[Ticket, str] = {}

    def _up(self, place: int) -> SagaSidecar:
        living = [sidecar for sidecar in self.bench.sidecars if sidecar.up]
        return living[place % len(living)]

    def _run(self, seconds: float) -> None:
        self.bench.run(seconds)

    def _name(self, which: int) -> str:
        return self.sagas[-1 - which % len(self.sagas)]

    @rule(place=places, strict=st.booleans(), steps=st.lists(services, max_size=3, unique=True), pause=pauses)
    def take_steps(self, place: int, strict: bool, steps: list[str], pause: float) -> None:
        """A program begins a saga and takes these steps, one after the other or beside each other."""
        sidecar, id = self._up(place), f"s{len(self.sagas)}"
        self.sagas.append(f"{'4a' * 16}.{id}")
        self.bench.call("begin", sidecar, name="order", id=id, timeout_ms=20_000, strict=strict)
        self._run(0.004)
        for name in steps:
            if sidecar.up:
                self.bench.call("step", sidecar, saga=self.sagas[-1], step=step(name, timeout_ms=9000))
            self._run(pause)

    @rule(place=places, again=st.booleans(), pause=pauses)
    def run_declared(self, place: int, again: bool, pause: float) -> None:
        id = f"s{len(self.sagas)}"
        undo = {"method": "DELETE", "path": "/{result.b.id}"}
        repeated = {"undo": undo, "unknown": "repeat"} if again else {}
        steps = step("a", timeout="9s"), step("b", timeout="9s", **repeated)
        data = definition(*steps, step("c", timeout="9s"), after=(MAIL,), timeout="20s")
        self.bench.call("run", self._up(place), definition=data, id=id)
        self.sagas.append(f"{'4a' * 16}.{id}")
        self._run(pause)

    @precondition(lambda self: self.sagas)
    @rule(place=places, which=recent, name=services, optional=st.booleans(), pause=pauses)
    def take_step(self, place: int, which: int, name: str, optional: bool, pause: float) -> None:
        taken = step(name, timeout_ms=9000, optional=optional)
        self.bench.call("step", self._up(place), saga=self._name(which), step=taken)
        self._run(pause)

    @precondition(lambda self: self.sagas)
    @rule(place=places, which=recent, commit=st.booleans(), pause=pauses)
    def decide(self, place: int, which: int, commit: bool, pause: float) -> None:
        saga = self._name(which)
        ticket = self.bench.call("commit" if commit else "abort", self._up(place), saga=saga)
        if commit:
            self.commits[ticket] = saga
        self._run(pause)

    @rule(moods=st.tuples(*[st.sampled_from(Mood)] * 3))
    def change_moods(self, moods: tuple[Mood, ...]) -> None:
        self.ledger.moods = dict(zip(SERVICES, moods, strict=True))

    @precondition(lambda self: self.sagas)
    @rule(place=places, before=st.sampled_from(("is told", "dies", "knows nothing", "knows nothing")), pause=pauses)
    def take_over(self, place: int, before: str, pause: float) -> None:
        """Another leader, which may be the same sidecar, and what becomes of that of before."""
        leader, living = self.bench.leader, sum(sidecar.up for sidecar in self.bench.sidecars)
        if before == "dies" and leader is not None and living > 1:
            self.bench.crash(leader)
            self._run(pause)
        heir = self._up(place)
        if before == "knows nothing" and heir is leader:
            heir = self._up(place + 1)
        self.bench.lead(heir, fenced=before == "knows nothing")
        self._run(pause)

    @precondition(lambda self: self.sagas)
    @rule(place=places, which=recent, trouble=st.integers(0, 3), pause=pauses)
    def have_trouble(self, place: int, which: int, trouble: int, pause: float) -> None:
        bench, sidecar = self.bench, self.bench.sidecars[place]
        match trouble:
            case 0:
                bench.lose_program(self._name(which), self._up(place))
            case 1 if not sidecar.up:
                bench.restart(sidecar)
            case 2:
                bench.break_stream(sidecar, bench.sidecars[which % 3])
            case 3:
                full = which % 2
                bench.refuses = lambda effect: ("journal_full", "full") if full and not effect.ends else None
        self._run(pause)

    @rule(seconds=st.sampled_from((0.001, 0.3, 1.0, 5.0, 12.0)))
    def wait(self, seconds: float) -> None:
        self._run(seconds)

    @invariant()
    def every_attempt_was_right(self) -> None:
        assert self.bench.faults == []

    @invariant()
    def what_was_answered_holds(self) -> None:
        for ticket, saga in self.commits.items():
            if ticket in self.bench.answers and self.bench.answers[ticket][0] in ("", "aborted"):
                found = self.bench.truth.find(saga.partition(".")[2])
                committed = found is not None and found.decision is Decision.COMMIT
                assert committed is (self.bench.answers[ticket][0] == "")

    def teardown(self) -> None:
        bench = self.bench
        bench.refuses = lambda _: None
        self.ledger.moods.clear()
        for sidecar in bench.sidecars:
            if not sidecar.up:
                bench.restart(sidecar)
            elif sidecar.leads and sidecar is not bench.leader:
                bench.depose(sidecar)
        if bench.leader is None:
            bench.lead(bench.sidecars[0])
        bench.run(ENDS_S)
        assert bench.faults == []
        assert is_over(bench), list(bench.truth.open.values())
        self.what_was_answered_holds()
        self._the_books_balance()

    def _the_books_balance(self) -> None:
        assert all(count == 1 for count in self.ledger.done.values())
        for saga in self.sagas:
            ended = self.bench.truth.ended(saga.partition(".")[2])
            held = {key for key in self.ledger.held if key.startswith(f"{saga}/")}
            undone = {key for key in self.ledger.undone if key.startswith(f"{saga}/")}
            if ended is None or ended.decision is Decision.ABORT:
                assert held == set(), "an aborted saga holds nothing"
            else:
                assert undone == set(), "nothing of a committed saga is undone"


TestSagaStorm = SagaStorm.TestCase
TestSagaStorm.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, report_multiple_bugs=False, phases=(Phase.generate,)
)
"""Not shrunk: that takes minutes. The history that it prints is short enough."""
