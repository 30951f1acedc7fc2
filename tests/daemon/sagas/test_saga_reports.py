"""What an operator sees of sagas: figures, troubles with a beginning and an end, lines of the log."""

import io
import random
from collections import Counter
from typing import Any

from gossipreg.daemon.logs import Log
from gossipreg.daemon.sagas.saga_programs import SagaPrograms
from gossipreg.daemon.sagas.saga_reports import SagaReports
from gossipreg.daemon.sagas.sagas_shown import STUCK_SHOWN, SagasShown
from gossipreg.daemon.troubles import Troubles
from gossipreg.journal.effects import Established
from gossipreg.journal.model import NO_BALLOT, JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.saga_effects import CommandDone, LogSagas
from gossipreg.sagas.saga_model import SagaRef
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.sagas.sagas import Sagas
from tests.sagas.saga_machines import SagasByHand, begun, intent

JOURNAL = JournalId(b"j" * 16)


class MadeUpCluster:
    """One journal that is led here, and nobody else."""

    synced = True

    def __init__(self) -> None:
        self.hand = SagasByHand()

    def machine(self, _journal: JournalId) -> object:
        return self.hand.machine

    def has_takeover(self, _journal: JournalId) -> bool:
        return False

    def led_ms(self, _journal: JournalId, _now: float) -> int:
        return self.hand.led_ms

    def leader(self, _journal: JournalId) -> NodeId | None:
        return None

    def leaders(self) -> list[NodeId]:
        return []

    def claimed(self) -> list[JournalId]:
        return []

    def kept(self) -> list[JournalId]:
        return []

    def closed(self) -> bool:
        return False

    def ended(self) -> list[JournalId]:
        return []

    def may_remember(self, _journal: JournalId) -> list[NodeId]:
        return []

    def process(self, _node: NodeId) -> bytes:
        return b""


class Seen:
    def __init__(self) -> None:
        self.cluster = MadeUpCluster()
        self.hand = self.cluster.hand
        sagas = Sagas(
            SagaTuning(), node=NodeId(bytes(16)), journals=self.cluster, membership=self.cluster,
            rng=random.Random(7), now_wall_ms=lambda: 0,
        )  # fmt: skip
        sagas.on_journal(Established(JOURNAL, NO_BALLOT), 0.0)
        self.log = io.StringIO()
        self.now = 0.0
        self.troubles = Troubles(lambda: self.now)
        self.reports = SagaReports(Log(stream=self.log), self.troubles)
        journals: Any = self.cluster
        programs = SagaPrograms(lambda _: None, lambda _: None)
        self.shown = SagasShown(sagas, journals, programs, self.reports.counts, calls=lambda: 0, commands=lambda: 0)

    def stuck(self, id: str = "7") -> None:
        self.hand.begin(begun(id))
        self.hand.intend(intent("reserve"), saga=id)
        self.hand.result("reserve", saga=id)
        self.hand.abort(id)
        self.hand.stuck("reserve", saga=id)

    def look(self) -> list[str]:
        self.reports.stuck(self.shown.stuck())
        return [str(one["message"]) for one in self.troubles.shapes()]


def test_sidecar_without_sagas_shows_nothing_of_them() -> None:
    seen = Seen()
    assert (seen.shown.section(0.0), seen.shown.counts(), seen.look()) == ({}, {}, [])


def test_what_was_shown_once_stays_when_it_is_zero() -> None:
    seen = Seen()
    seen.hand.begin(begun("a"))
    assert seen.shown.section(0.0)["running"] == 1
    seen.hand.abort("a")
    assert seen.shown.section(0.0)["running"] == 0
    assert seen.shown.counts()["sagas_running"] == 0


def test_section_has_the_sagas_of_each_state_and_the_oldest() -> None:
    seen = Seen()
    seen.hand.begin(begun("a"))
    seen.hand.led_ms = 2000
    seen.hand.begin(begun("b"))
    seen.hand.intend(intent("mail", after=True), saga="b")
    seen.hand.commit("b")
    seen.stuck("c")
    seen.hand.led_ms = 7000
    section = seen.shown.section(0.0)
    assert {name: section[name] for name in ("running", "finishing", "undoing", "stuck", "oldest_s")} == {
        "running": 1, "finishing": 1, "undoing": 1, "stuck": 1, "oldest_s": 7.0,
    }  # fmt: skip
    assert section["stuck_steps"] == {f"{SagaRef(JOURNAL, 'c')}/reserve": {"name": "create-order", "reason": "503"}}
    assert seen.shown.counts()["sagas_running"] == 1


def test_stuck_saga_is_a_trouble_that_names_the_command_to_type() -> None:
    seen = Seen()
    seen.stuck()
    name = SagaRef(JOURNAL, "7")
    assert seen.look() == [
        f"sagas that are stuck: create-order {name} step reserve (503): see `gossipreg saga show {name}`"
    ]
    seen.hand.undone("reserve")
    assert seen.look() == []


def test_first_stuck_steps_are_named_and_the_others_counted() -> None:
    seen = Seen()
    for number in range(STUCK_SHOWN + 2):
        seen.hand.led_ms = number
        seen.stuck(str(number))
    [message] = seen.look()
    assert message.count("step reserve") == 3
    assert f"and {STUCK_SHOWN - 3} more" in message
    assert len(seen.shown.section(0.0)["stuck_steps"]) == STUCK_SHOWN


def test_secret_that_is_missing_is_a_trouble_until_all_were_read() -> None:
    seen = Seen()
    seen.reports.secret_missing("a", "the secret 'a' cannot be read")
    seen.reports.secret_missing("b", "the secret 'b' cannot be read")
    seen.reports.secret_found("a")
    assert len(seen.look()) == 1
    seen.reports.secret_found("b")
    assert seen.look() == []
    assert seen.reports.counts == Counter({"sagas.secrets_missing": 2})


def test_trouble_with_a_secret_that_nobody_asks_for_ends() -> None:
    seen = Seen()
    seen.reports.secret_missing("a", "the secret 'a' cannot be read")
    seen.now = 700.0
    assert seen.look() == []


def test_lines_say_what_a_person_should_do() -> None:
    seen = Seen()
    seen.reports.event(LogSagas("saga_stuck", (("saga", "j.7"), ("step", "reserve"))))
    seen.reports.event(LogSagas("saga_aborted", (("saga", "j.7"), ("reason", "no money"))))
    seen.reports.event(LogSagas("saga_not_undone", (("saga", "j.8"), ("step", "pay"))))
    stuck, aborted, stays = seen.log.getvalue().splitlines()
    assert "warning saga_stuck saga=j.7 step=reserve" in stuck
    assert "`gossipreg saga show j.7`" in stuck
    assert "info saga_aborted saga=j.7" in aborted
    assert "warning saga_not_undone saga=j.8 step=pay" in stays
    assert "`gossipreg saga show j.8`" in stays
    assert seen.reports.counts == Counter({"sagas.stuck_steps": 1, "sagas.steps_not_undone": 1})


def test_commands_are_counted_by_what_came_of_them() -> None:
    seen = Seen()
    for sent, status in ((False, 0), (True, 0), (True, 200), (True, 503)):
        seen.reports.command(CommandDone(1, sent, status, b"", False, "", 0.0, "", ""))
    assert seen.reports.counts == {
        "sagas.commands_unsent": 1, "sagas.commands_unanswered": 1, "sagas.commands_answered": 2,
    }  # fmt: skip
