"""The groups that ran beside a sidecar: its row names them while none of their instances runs here."""

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.events.announced import (
    GROUP_KIND,
    MAX_DECLARED_GROUPS,
    SUBSCRIPTION_KIND,
    AnnouncedSubscription,
    decode_group_untrusted,
    decode_subscription_untrusted,
)
from gossipreg.events.effects import AnnounceSubscription, KeepGroups, LogEvents, RanGroup
from gossipreg.events.group_announcements import GroupAnnouncements
from gossipreg.events.membership import KnownGroup
from gossipreg.events.remembered_groups import MAX_REMEMBERED, RememberedGroups, announced_groups
from gossipreg.events.subscriptions import Subscriptions, check_subscription
from gossipreg.events.tuning import EventsTuning

TUNING = EventsTuning()
HOUR, WEEK = TUNING.pattern_ttl_s, TUNING.group_ttl_s


class _Members:
    """The groups that run at other members."""

    def __init__(self) -> None:
        self.running: set[str] = set()

    def has_subscriber(self, group: str) -> bool:
        return group in self.running


class Sidecar:
    """The subscriptions of one sidecar, and what its row and its disk say. `restart` is a crash and a start."""

    def __init__(self, declared: tuple[KnownGroup, ...] = ()) -> None:
        self.now = 100.0
        self.kept: tuple[RanGroup, ...] = ()
        self.members = _Members()
        self.declared = declared
        self.said: list[tuple[str, object]] = []
        """Lines of the log."""
        self.seen: list[set[tuple[str, str]]] = []
        """(group, pattern) pairs of each version of the row."""
        self._start()

    def _start(self) -> None:
        remembered = announced_groups(self.kept, self.declared)
        self.row: dict[tuple[int, int], object] = {
            (GROUP_KIND, slot): group for slot, group in enumerate((*self.declared, *remembered))
        }
        self.seen.append(self.named())
        announcements = GroupAnnouncements(self.declared, remembered)
        self.remembered = RememberedGroups(TUNING, announcements, self.members, self.kept)  # type: ignore[arg-type]
        self.subscriptions = Subscriptions()

    def restart(self) -> None:
        self._start()

    def take(self, effects: list[AnnounceSubscription | KeepGroups | LogEvents]) -> None:
        for effect in effects:
            if isinstance(effect, LogEvents):
                self.said.append((effect.kind, dict(effect.fields)))
                continue
            if isinstance(effect, KeepGroups):
                self.kept = effect.groups
                continue
            if effect.value is None:
                del self.row[effect.kind, effect.slot]
            else:
                decode = decode_group_untrusted if effect.kind == GROUP_KIND else decode_subscription_untrusted
                self.row[effect.kind, effect.slot] = decode(effect.value)
            self.seen.append(self.named())

    def announce(self, effects: list[AnnounceSubscription]) -> None:
        for effect in effects:
            self.take(self.remembered.announce(effect, self.now))

    def subscribe(self, group: str, *patterns: str, broadcast: bool = False) -> int:
        subscription = check_subscription(
            TUNING, group, patterns, broadcast=broadcast, window=None, on_dead="go_on", max_attempts=None,
            ack_timeout_s=None,
        )  # fmt: skip
        self.announce(self.subscriptions.add(subscription))
        return subscription.number

    def end(self, number: int) -> None:
        self.announce(self.subscriptions.end(self.subscriptions[number]))

    def look(self) -> None:
        self.take(self.remembered.look(self.now))

    def named(self) -> set[tuple[str, str]]:
        """What a publisher elsewhere knows by this row."""
        named: set[tuple[str, str]] = set()
        for said in self.row.values():
            if isinstance(said, KnownGroup):
                named |= {(said.name, pattern) for pattern in said.patterns}
            elif isinstance(said, AnnouncedSubscription) and said.group:
                named.add((said.group, said.pattern))
        return named


def test_a_group_is_named_after_its_last_instance_has_ended() -> None:
    sidecar = Sidecar()
    first, second = sidecar.subscribe("mail", "order.*"), sidecar.subscribe("mail", "order.*")
    sidecar.end(first)
    assert sidecar.remembered.groups() == {}, "one runs still"
    sidecar.end(second)
    assert sidecar.named() == {("mail", "order.*")}
    assert sidecar.remembered.groups() == {"mail": ("order.*",)}


def test_a_group_that_begins_again_stands_in_the_row_once() -> None:
    sidecar = Sidecar()
    sidecar.end(sidecar.subscribe("mail", "order.*", "user.*"))
    sidecar.subscribe("mail", "order.*")
    assert sorted(kind for kind, _ in sidecar.row) == [SUBSCRIPTION_KIND, GROUP_KIND]
    assert sidecar.named() == {("mail", "order.*"), ("mail", "user.*")}
    sidecar.subscribe("mail", "user.*")
    assert [kind for kind, _ in sidecar.row] == [SUBSCRIPTION_KIND] * 2


def test_no_version_of_the_row_leaves_a_group_out_while_it_ends() -> None:
    sidecar = Sidecar()
    number = sidecar.subscribe("mail", "order.*", "user.*")
    del sidecar.seen[:]
    sidecar.end(number)
    sidecar.restart()
    sidecar.subscribe("mail", "order.*", "user.*")
    assert all(named == {("mail", "order.*"), ("mail", "user.*")} for named in sidecar.seen)


def test_a_restart_names_what_ran_before_a_crash() -> None:
    sidecar = Sidecar(declared=(KnownGroup("stock", ("order.*",), declared=True),))
    for group in ("mail", "stock"):
        sidecar.subscribe(group, "order.*")
    sidecar.restart()
    assert sidecar.named() == {("mail", "order.*"), ("stock", "order.*")}
    assert len(sidecar.row) == 2, "what was declared stands there once"
    sidecar.end(sidecar.subscribe("mail", "user.*"))
    assert sidecar.named() == {("mail", "order.*"), ("mail", "user.*"), ("stock", "order.*")}


def test_a_group_that_runs_nowhere_is_forgotten_after_a_week() -> None:
    sidecar = Sidecar()
    sidecar.end(sidecar.subscribe("mail", "order.*"))
    sidecar.now += WEEK
    sidecar.look()
    assert sidecar.named() == {("mail", "order.*")}
    sidecar.now += 1
    sidecar.look()
    assert (sidecar.named(), sidecar.kept) == (set(), ())


def test_the_sidecar_where_a_group_runs_remembers_it_instead() -> None:
    sidecar = Sidecar()
    sidecar.end(sidecar.subscribe("mail", "order.*"))
    sidecar.members.running.add("mail")
    sidecar.now += HOUR
    sidecar.look()
    assert sidecar.named() == {("mail", "order.*")}
    sidecar.now += 1
    sidecar.look()
    assert sidecar.named() == set()


def test_restarts_do_not_make_a_group_younger() -> None:
    sidecar = Sidecar()
    sidecar.end(sidecar.subscribe("mail", "order.*"))
    starts = 0
    while sidecar.named():
        starts += 1
        sidecar.restart()
        for _ in range(24):
            sidecar.look()
            sidecar.now += HOUR
        sidecar.look()
    assert 7 <= starts <= 8, "a look is kept each hour"


def test_a_forgotten_group_is_not_named_unless_it_runs() -> None:
    sidecar = Sidecar()
    sidecar.end(sidecar.subscribe("mail", "order.*", "user.*"))
    sidecar.subscribe("mail", "order.*")
    sidecar.take(sidecar.remembered.forget("mail", sidecar.now))
    assert sidecar.named() == {("mail", "order.*")}
    assert sidecar.remembered.forget("mail", sidecar.now) == []
    sidecar.restart()
    assert sidecar.named() == {("mail", "order.*")}


def test_broadcast_is_not_remembered() -> None:
    sidecar = Sidecar()
    sidecar.end(sidecar.subscribe("", "order.*", broadcast=True))
    assert (sidecar.row, sidecar.kept, sidecar.remembered.groups()) == ({}, (), {})


def test_of_too_many_groups_those_that_ran_last_are_remembered() -> None:
    assert MAX_REMEMBERED + MAX_DECLARED_GROUPS < 1024, "both fit beside the groups of journals"
    sidecar = Sidecar()
    for number in range(MAX_REMEMBERED + 10):
        sidecar.end(sidecar.subscribe(f"job-{number}", "order.*"))
        sidecar.now += 1
    last = {(f"job-{number}", "order.*") for number in range(10, MAX_REMEMBERED + 10)}
    assert sidecar.named() == last
    sidecar.look()
    sidecar.restart()
    assert sidecar.named() == last
    forgotten = [("groups_not_remembered", {"group": f"job-{number}", "pattern": "order.*"}) for number in range(10)]
    assert sidecar.said == forgotten, "each that has no room is named, once"


def test_of_too_many_that_ran_at_a_crash_those_that_stay_away_are_named() -> None:
    sidecar = Sidecar()
    for number in range(MAX_REMEMBERED + 2):
        sidecar.subscribe(f"job-{number}", "order.*")
    sidecar.restart()
    assert len(sidecar.named()) == MAX_REMEMBERED
    sidecar.subscribe("job-0", "order.*")
    sidecar.look()
    sidecar.look()
    assert sidecar.said == [("groups_not_remembered", {"group": "job-1", "pattern": "order.*"})]


_PAIRS = st.tuples(st.sampled_from(["mail", "stock"]), st.sets(st.sampled_from(["a", "b.*", ">"]), min_size=1))


@given(st.lists(st.one_of(_PAIRS, st.integers(0, 5), st.just("restart"), st.floats(0.0, HOUR))))
def test_whatever_ran_is_named_in_every_version_of_the_row(steps: list[object]) -> None:
    """For as long as it may not be forgotten: no run of these has a week."""
    sidecar, ran = Sidecar(), set[tuple[str, str]]()
    running: list[int] = []
    for step in steps[:100]:
        match step:
            case str():
                sidecar.restart()
                running.clear()
            case int() if running:
                sidecar.end(running.pop(step % len(running)))
            case float():
                sidecar.now += step
                sidecar.look()
            case (str(group), set(patterns)):
                running.append(sidecar.subscribe(group, *sorted(patterns)))
                ran |= {(group, pattern) for pattern in patterns}
        assert sidecar.named() == ran
        assert {(one.group, one.pattern) for one in sidecar.kept} == ran
        del sidecar.seen[:-1]
