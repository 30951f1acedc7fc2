"""What an operator sees of events: troubles with a beginning and an end, lines of the log, figures of each group."""

import io
import random
from collections import Counter
from dataclasses import dataclass, field

from gossipreg.daemon.events.event_reports import EventReports
from gossipreg.daemon.events.events_shown import GROUPS_SHOWN, EventsShown
from gossipreg.daemon.logs import Log
from gossipreg.daemon.troubles import Troubles
from gossipreg.events.effects import LogEvents
from gossipreg.events.entries import OutcomeCode
from gossipreg.events.events import Events
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.effects import Deposed, Established
from gossipreg.journal.model import NO_BALLOT, JournalId
from gossipreg.model import NodeId
from tests.events.machines import MachineByHand, new_event
from tests.events.receiver import MadeUpMembership

JOURNAL, SECOND = JournalId(b"j" * 16), JournalId(b"k" * 16)
DAY_MS = 86_400_000


class Members(MadeUpMembership):
    def __init__(self) -> None:
        super().__init__()
        self.running: set[str] = set()

    def has_subscriber(self, group: str) -> bool:
        return group in self.running

    def running_patterns(self, group: str) -> tuple[str, ...]:
        return (">",) if group in self.running else ()

    def subscribers(self, group: str, type: tuple[str, ...]) -> list[NodeId]:  # noqa: ARG002  # the protocol's
        return []


@dataclass
class MadeUpJournals:
    """Journals as the runtime has them, without disks."""

    machines: dict[JournalId, MachineByHand] = field(default_factory=dict)
    fills: dict[JournalId, float] = field(default_factory=dict)

    def machine(self, journal: JournalId) -> object:
        return self.machines[journal].machine

    def has_takeover(self, journal: JournalId) -> bool:  # noqa: ARG002  # the protocol's
        return True

    def led_ms(self, journal: JournalId, now: float) -> int:
        return self.machines[journal].led_ms + int(now * 1000)

    def fill(self, journal: JournalId) -> float:
        return self.fills.get(journal, 0.0)


class Operator:
    def __init__(self) -> None:
        self.now = 0.0
        self.log = io.StringIO()
        self.troubles = Troubles(lambda: self.now)
        self.members, self.journals = Members(), MadeUpJournals()
        tuning = EventsTuning()
        self.events = Events(
            tuning, node=NodeId(b"n" * 16), journals=self.journals, membership=self.members, rng=random.Random(1)
        )
        self.reports = EventReports(Log(stream=self.log), self.troubles, max_age_s=tuning.max_age_s)
        self.shown = EventsShown(self.events, self.journals, self.reports.counts)  # type: ignore[arg-type]

    def lead(self, journal: JournalId, *groups: str, events: int = 0) -> MachineByHand:
        by_hand = self.journals.machines[journal] = MachineByHand()
        by_hand.publish(groups=[(group, ">") for group in groups])
        for number in range(events):
            by_hand.publish(new_event(str(number)))
        self.events.on_journal(Established(journal, NO_BALLOT), self.now)
        return by_hand

    def look(self) -> list[str]:
        self.reports.look(self.shown, self.now)
        return [str(shape["message"]) for shape in self.troubles.shapes()]


def test_a_sidecar_that_uses_no_events_shows_none() -> None:
    operator = Operator()
    assert operator.shown.section(0.0) == {}
    assert operator.shown.counts() == {}
    assert operator.look() == []


def test_what_was_shown_once_stays_when_it_is_zero() -> None:
    operator = Operator()
    operator.lead(JOURNAL, "mail")
    assert operator.shown.section(0.0)["groups"].keys() == {"mail"}
    operator.events.on_journal(Deposed(JOURNAL, NO_BALLOT, "handed over"), operator.now)
    assert operator.shown.section(0.0)["groups"] == {}
    assert operator.shown.counts()["events_publishing"] == 0


def test_the_lag_of_a_group_is_that_of_all_journals_led_here() -> None:
    operator = Operator()
    operator.lead(JOURNAL, "mail", "stock", events=2)
    operator.lead(SECOND, "mail", events=1)
    operator.now = 5.0
    section = operator.shown.section(operator.now)
    assert {name: lag["pending"] for name, lag in section["groups"].items()} == {"mail": 3, "stock": 2}
    assert section["groups"]["mail"]["oldest_s"] == 5.0
    assert next(iter(section["groups"])) == "mail"  # the one that is furthest behind
    assert section["publishing"] == section["subscriptions"] == 0


def test_info_names_the_groups_that_are_furthest_behind() -> None:
    operator = Operator()
    operator.lead(JOURNAL, *(f"g{number}" for number in range(GROUPS_SHOWN + 3)))
    section = operator.shown.section(0.0)
    assert (len(section["groups"]), section["groups_left_out"]) == (GROUPS_SHOWN, 3)


def test_dead_letters_are_a_trouble_until_a_person_decides() -> None:
    operator = Operator()
    by_hand = operator.lead(JOURNAL, "mail", "stock")
    letters = [by_hand.published(new_event(str(number)))[0] for number in range(2)]
    assert operator.look() == []
    by_hand.outcome(1, letters[0], OutcomeCode.DEAD, "no")
    by_hand.outcome(1, letters[1], OutcomeCode.DEAD, "no")
    by_hand.outcome(2, letters[1], OutcomeCode.DEAD_HOLDS, "no")
    assert operator.look() == ["dead letters that a person has to decide on: 3, of 'mail', 'stock'"]
    assert operator.shown.section(0.0)["groups"]["mail"]["dead"] == 2
    by_hand.drop((1, letters[0]), (1, letters[1]), (2, letters[1]))
    assert operator.look() == []


def test_a_journal_nearly_full_is_a_trouble_that_names_who_is_to_blame() -> None:
    operator = Operator()
    operator.lead(JOURNAL, "mail", events=1)
    operator.lead(SECOND, "stock", events=1)
    operator.journals.fills = {JOURNAL: 0.79, SECOND: 0.1}
    assert operator.look() == []
    operator.journals.fills[JOURNAL] = 0.85
    assert operator.look() == ["a journal is 85% full: group 'mail' has acknowledged the least"]
    operator.journals.fills[JOURNAL] = 0.5
    assert operator.look() == []


def test_events_that_wait_for_nobody_are_a_trouble_after_a_day_of_led_time() -> None:
    operator = Operator()
    operator.lead(JOURNAL, "mail", "stock", events=1)
    operator.lead(SECOND, "idle")
    operator.members.running = {"stock"}
    operator.now = DAY_MS / 1000
    assert operator.look() == []
    operator.now += 1.0
    assert operator.look() == ["groups that had no instance within a day, while events wait: 'mail'"]
    operator.members.running |= {"mail"}
    assert operator.look() == []


def test_dropped_events_are_a_trouble_for_a_day_with_their_number() -> None:
    operator = Operator()
    operator.reports.event(LogEvents("events_expired", (("dropped", 3),)))
    operator.reports.event(LogEvents("events_expired", (("dropped", 4),)))
    assert operator.look() == ["7 events were dropped because they were older than 7 days"]
    assert operator.shown.counts()["events.expired"] == 7
    operator.now += 86_401.0
    assert operator.look() == []
    assert "events_expired" in operator.log.getvalue()


def test_lines_about_events_say_what_to_do_and_do_not_flood() -> None:
    operator = Operator()
    for number in range(1000):
        fields = ("group", "mail"), ("index", number), ("holds", 0), ("reason", "no such customer")
        operator.reports.event(LogEvents("event_dead", fields))
    lines = operator.log.getvalue().splitlines()
    assert len(lines) < 20
    assert "gossipreg events dead" in lines[0]
    assert operator.reports.counts == Counter({"events.dead": 1000})


def test_a_forgotten_group_warns_only_where_events_are_lost() -> None:
    operator = Operator()
    for dropped in (0, 5):
        fields = ("group", "mail"), ("reason", "no instance for 7 days"), ("dropped", dropped)
        operator.reports.event(LogEvents("group_forgotten", fields))
    lost, nothing = (" warning " in line for line in operator.log.getvalue().splitlines()[::-1])
    assert (lost, nothing) == (True, False)


def test_groups_that_are_remembered_no_more_are_a_trouble_that_names_them() -> None:
    operator = Operator()
    for group in ("mail", "stock"):
        fields = ("group", group), ("pattern", "order.*")
        operator.reports.event(LogEvents("groups_not_remembered", fields))
    [trouble] = operator.look()
    assert "and it forgot 'mail' (order.*), 'stock' (order.*): " in trouble
    operator.now += 86_401
    assert operator.look() == []
