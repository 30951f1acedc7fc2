"""What events are told of the cluster: who subscribes, which groups are known, and who leads a journal."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.config import lan
from gossipreg.core.announced_events import NOTHING_ANNOUNCED, AnnouncedEvents, EventIndex
from gossipreg.core.effects import AnnouncementsChanged, Effect, MembersChanged
from gossipreg.core.event_membership import CLAIM_COUNTS_S, EventRegistry
from gossipreg.core.journal_membership import RegistryMembership
from gossipreg.core.table.layout import KIND_GROUP, KIND_SUBSCRIPTION
from gossipreg.events.announced import (
    MAX_SUBSCRIPTIONS,
    AnnouncedSubscription,
    encode_group,
    encode_subscription,
)
from gossipreg.events.entries import MAX_GROUP_PATTERNS
from gossipreg.events.membership import EventMembership, KnownGroup
from gossipreg.events.patterns import check_pattern, check_type, matches
from gossipreg.journal.announced import AnnouncedHost
from gossipreg.journal.model import Ballot, JournalId, ReplicaId
from gossipreg.model import NodeId
from simulations.observer import Observer
from tests.core.cluster import Cluster, Host
from tests.examples import examples

CREATED, PAID = ("order", "created"), ("order", "paid")
JOURNAL = JournalId(b"j" * 16)


class FollowsEvents(Observer):
    """Keeps both memberships for each host of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.journals: dict[int, RegistryMembership] = {}
        self.of: dict[int, EventRegistry] = {}
        cluster.watch(self)

    def add(self, host: Host) -> EventRegistry:
        journals = self.journals[host.number] = RegistryMembership(host.node, self.cluster.now)
        self.of[host.number] = EventRegistry(host.node, journals)
        return self.of[host.number]

    def on_effect(self, host: Host, effect: Effect) -> None:
        if host.number in self.of and isinstance(effect, AnnouncementsChanged | MembersChanged):
            self.journals[host.number].follow(effect.ids, self.cluster.now)
            self.of[host.number].follow(effect.ids)


class Trio:
    """Three members; the last one is who asks."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.one = self.cluster.join()
        self.two = self.cluster.join(self.one)
        self.three = self.cluster.join(self.one)
        self.follows = FollowsEvents(self.cluster)
        for host in (self.one, self.two, self.three):
            self.follows.add(host)
        self.cluster.run(3.0)

    @property
    def asked(self) -> EventRegistry:
        return self.follows.of[self.three.number]

    def announce(self, host: Host, kind: int, slot: int, value: bytes | None) -> None:
        registry = self.follows.of[host.number]
        self.cluster.act(host, registry.announce(kind, slot, value, self.cluster.now))
        self.cluster.run(1.0)

    def subscribe(self, host: Host, slot: int, group: str, pattern: str) -> None:
        self.announce(host, KIND_SUBSCRIPTION, slot, encode_subscription(AnnouncedSubscription(group, pattern)))

    def unled(self, *kept: JournalId) -> list[JournalId]:
        return self.asked.unled(kept, self.cluster.now)


def test_a_group_that_wants_the_past_is_known_while_it_runs() -> None:
    trio = Trio()
    wants = encode_subscription(AnnouncedSubscription("late", "order.*", past=True))
    trio.announce(trio.one, KIND_SUBSCRIPTION, 0, wants)
    trio.announce(trio.one, KIND_SUBSCRIPTION, 1, encode_subscription(AnnouncedSubscription("late", "order.*")))
    trio.subscribe(trio.two, 0, "late", "user.*")
    trio.subscribe(trio.two, 1, "billing", "user.*")
    late = KnownGroup("late", ("order.*", "user.*"), past=True)
    assert list(trio.asked.past_groups()) == [late]
    assert list(trio.asked.groups_for(PAID)) == [late]
    trio.announce(trio.one, KIND_SUBSCRIPTION, 1, None)
    assert trio.asked.subscribers("late", PAID) == (trio.one.id,), "one of two that differ in that alone goes"
    trio.announce(trio.one, KIND_SUBSCRIPTION, 0, None)
    assert list(trio.asked.past_groups()) == []
    assert not any(group.past for group in trio.asked.groups_for(("user", "gone")))


def test_a_subscription_is_known_to_all_and_goes_when_it_ends() -> None:
    trio = Trio()
    trio.subscribe(trio.one, 0, "billing", "order.*")
    trio.subscribe(trio.three, 0, "billing", "order.paid")
    registry: EventMembership = trio.asked
    assert registry.synced
    assert registry.subscribers("billing", CREATED) == (trio.one.id,)
    assert set(registry.subscribers("billing", PAID)) == {trio.one.id, trio.three.id}, "ourselves count too"
    assert registry.subscribers("stock", CREATED) == ()
    assert [*registry.groups_for(CREATED)] == [KnownGroup("billing", ("order.*", "order.paid"))]
    assert registry.running_patterns("billing") == ("order.*", "order.paid")
    trio.announce(trio.one, KIND_SUBSCRIPTION, 0, None)
    assert registry.subscribers("billing", CREATED) == ()
    assert [*registry.groups_for(CREATED)] == []
    assert [*registry.groups_for(PAID)] == [KnownGroup("billing", ("order.paid",))]


def test_a_broadcast_subscription_is_no_group() -> None:
    trio = Trio()
    trio.subscribe(trio.one, 0, "", "order.>")
    assert trio.asked.listeners(CREATED) == (trio.one.id,)
    assert [*trio.asked.groups_for(CREATED)] == []
    assert not trio.asked.has_subscriber("")
    assert trio.asked.subscribers("", CREATED) == ()
    assert trio.asked.running_patterns("") == ()


def test_a_dead_subscriber_gets_nothing_and_its_group_is_still_known() -> None:
    """Case 9: while a group restarts, events are published that it must get."""
    trio = Trio()
    trio.subscribe(trio.one, 0, "billing", "order.*")
    before = trio.asked.process(trio.one.id)
    assert before
    trio.cluster.crash(trio.one, refuses=False)
    trio.cluster.run(10.0)
    assert not trio.asked.runs(trio.one.id)
    assert trio.asked.process(trio.one.id) == b""
    assert trio.asked.subscribers("billing", CREATED) == ()
    assert not trio.asked.has_subscriber("billing")
    assert trio.asked.running_patterns("billing") == ()
    assert [*trio.asked.groups_for(CREATED)] == [KnownGroup("billing", ("order.*",))]


def test_a_group_of_a_member_that_left_is_not_added_to_journals() -> None:
    trio = Trio()
    trio.subscribe(trio.one, 0, "billing", "order.*")
    trio.cluster.leave(trio.one)
    trio.cluster.run(2.0)
    assert [*trio.asked.groups_for(CREATED)] == []


def test_a_member_that_leaves_still_knows_what_ran_beside_it() -> None:
    """It may still publish, and what it publishes is for that group too."""
    trio = Trio()
    trio.subscribe(trio.one, 0, "billing", "order.*")
    trio.cluster.leave(trio.one)
    trio.cluster.run(0.001)
    assert [*trio.follows.of[trio.one.number].groups_for(CREATED)] == [KnownGroup("billing", ("order.*",))]


def test_a_group_that_another_member_remembers_is_known() -> None:
    trio = Trio()
    group = KnownGroup("billing", ("order.*", "refund"))
    trio.announce(trio.two, KIND_GROUP, 3, encode_group(group))
    assert [*trio.asked.groups_for(CREATED)] == [group]
    assert not trio.asked.has_subscriber("billing")


def test_a_group_is_declared_as_long_as_a_row_says_so() -> None:
    trio = Trio()
    group = KnownGroup("billing", ("order.*",), declared=True)
    trio.announce(trio.two, KIND_GROUP, 0, encode_group(group))
    trio.announce(trio.one, KIND_GROUP, 0, encode_group(group._replace(declared=False)))
    assert [*trio.asked.groups_for(CREATED)] == [group]
    trio.announce(trio.two, KIND_GROUP, 0, None)
    assert [*trio.asked.groups_for(CREATED)] == [group._replace(declared=False)]


def test_a_new_process_has_the_subscriptions_that_it_announces() -> None:
    trio = Trio()
    trio.subscribe(trio.one, 0, "billing", "order.*")
    before = trio.asked.process(trio.one.id)
    del trio.follows.of[trio.one.number]
    trio.cluster.crash(trio.one)
    trio.one.durable = True
    trio.cluster.start(trio.one, [trio.two])
    trio.cluster.run(3.0)
    assert trio.asked.subscribers("billing", CREATED) == ()
    assert trio.asked.process(trio.one.id) not in (before, b"")
    trio.follows.add(trio.one)
    trio.subscribe(trio.one, 0, "billing", "order.*")
    assert trio.asked.subscribers("billing", CREATED) == (trio.one.id,)


def test_whoever_claims_the_highest_ballot_and_runs_leads() -> None:
    trio = Trio()
    for host, round in ((trio.one, 3), (trio.two, 4)):
        claim = trio.follows.journals[host.number].claim(JOURNAL, Ballot(round, ReplicaId(b"r" * 16)), trio.cluster.now)
        trio.cluster.act(host, claim)
    trio.cluster.run(1.0)
    assert trio.asked.leader(JOURNAL) == trio.two.id
    assert trio.asked.leader(JournalId(b"k" * 16)) is None
    trio.cluster.crash(trio.two)
    trio.cluster.run(10.0)
    assert trio.asked.leader(JOURNAL) == trio.one.id


def test_journal_is_unled_until_who_claims_it_is_back_or_has_left() -> None:
    trio = Trio()
    claim = trio.follows.journals[trio.two.number].claim(JOURNAL, Ballot(3, ReplicaId(b"r" * 16)), trio.cluster.now)
    trio.cluster.act(trio.two, claim)
    trio.cluster.run(1.0)
    assert trio.unled() == []
    assert trio.unled(JournalId(b"k" * 16)) == [JournalId(b"k" * 16)]
    trio.cluster.crash(trio.two)
    trio.cluster.run(10.0)
    assert trio.unled() == trio.unled(JOURNAL) == [JOURNAL]
    assert (trio.asked.last_leader(JOURNAL), trio.asked.last_leader(JournalId(b"k" * 16))) == (trio.two.id, None)
    later = trio.cluster.now + CLAIM_COUNTS_S
    assert (trio.asked.unled([], later), trio.asked.unled([JOURNAL], later)) == ([], [JOURNAL])
    assert [*trio.asked.claimed()] == [JOURNAL], "`saga list` names it for longer"
    trio.cluster.act(trio.one, trio.one.node.force_leave(trio.two.id, trio.cluster.now))
    trio.cluster.run(5.0)
    assert trio.unled() == []
    assert [*trio.asked.claimed()] == [], "nor does `saga list` any more"


def test_leaderless_copy_elsewhere_makes_its_journal_unled() -> None:
    """Here is neither a copy nor a claim, as after the loss of a disk."""
    trio = Trio()
    of_two = trio.follows.journals[trio.two.number]
    trio.cluster.act(trio.two, of_two.announce_leaderless([JOURNAL], trio.cluster.now)[1])
    trio.cluster.run(1.0)
    assert trio.unled() == [JOURNAL]
    assert set(trio.asked.claimed()) == {JOURNAL}
    assert (list(trio.asked.leaderless_at(JOURNAL)), trio.asked.last_leader(JOURNAL)) == ([trio.two.id], None)
    assert trio.asked.leader(JOURNAL) is None
    of_one = trio.follows.journals[trio.one.number]
    trio.cluster.act(trio.one, of_one.claim(JOURNAL, Ballot(3, ReplicaId(b"r" * 16)), trio.cluster.now))
    trio.cluster.run(1.0)
    assert trio.unled() == [], "it is led by now"
    trio.cluster.act(trio.one, of_one.withdraw(JOURNAL, trio.cluster.now))
    trio.cluster.crash(trio.two)
    trio.cluster.run(10.0)
    assert trio.unled() == [JOURNAL], "a member with a copy that is dead may come back"
    assert trio.asked.unled([], trio.cluster.now + CLAIM_COUNTS_S) == []


def test_those_that_may_remember_a_journal_run_and_take_copies() -> None:
    trio = Trio()
    for host in (trio.one, trio.two, trio.three):
        announced = AnnouncedHost(bytes([host.number + 1]) * 8, True)
        trio.cluster.act(host, trio.follows.journals[host.number].announce_host(announced, trio.cluster.now))
    trio.cluster.run(1.0)
    assert set(trio.asked.may_remember(JOURNAL)) == {trio.one.id, trio.two.id}
    trio.cluster.crash(trio.two)
    trio.cluster.run(10.0)
    assert trio.asked.may_remember(JOURNAL) == [trio.one.id]
    assert (trio.asked.is_dead(trio.two.id), trio.asked.is_dead(trio.one.id)) == (True, False)


def test_groups_of_dead_members_are_named_and_those_that_left_are_not() -> None:
    trio = Trio()
    trio.subscribe(trio.one, 0, "billing", "order.*")
    trio.subscribe(trio.two, 0, "", "order.*")
    trio.subscribe(trio.two, 1, "mail", "user.*")
    trio.announce(trio.one, KIND_GROUP, 0, encode_group(KnownGroup("stock", ("order.*", "user.*"))))
    stock = {"stock": ("order.*", "user.*")}
    all_of_them = {"billing": ("order.*",), "mail": ("user.*",), **stock}
    assert trio.asked.all_groups() == all_of_them
    assert trio.asked.away_with("mail") == []
    trio.cluster.crash(trio.two)
    trio.cluster.run(10.0)
    assert trio.asked.all_groups() == all_of_them  # an event is for them
    assert (trio.asked.away_with("mail"), trio.asked.away_with("stock")) == ([trio.two.id], [])
    assert trio.two.id not in trio.asked.participants()
    assert trio.asked.dead_participants() == [trio.two.id]
    trio.cluster.act(trio.one, trio.one.node.force_leave(trio.two.id, trio.cluster.now))
    trio.cluster.run(5.0)
    assert trio.asked.all_groups() == {"billing": ("order.*",), **stock}
    assert trio.asked.away_with("mail") == []
    assert trio.asked.dead_participants() == []


def test_a_sidecar_that_is_isolated_for_long_does_not_know_all() -> None:
    """Its members are dead for it, and so are their journals: what it says then is not all that there is."""
    trio = Trio()
    for _ in range(lan.failure.small_members):  # in a small cluster the others are taken to be gone
        trio.cluster.join(trio.one)
    trio.cluster.run(3.0)
    assert trio.asked.knows_all
    trio.cluster.cut = lambda sender, to: trio.three in (sender, to)
    assert trio.cluster.until(lambda: not trio.asked.knows_all, 2 * lan.alone_s)
    assert trio.asked.synced
    trio.cluster.cut = lambda _from, _to: False
    assert trio.cluster.until(lambda: trio.asked.knows_all, 60)


def test_a_dead_member_that_never_subscribed_handled_nothing() -> None:
    trio = Trio()
    trio.subscribe(trio.one, 0, "billing", "order.*")
    trio.cluster.crash(trio.two)
    trio.cluster.run(10.0)
    assert trio.cluster.state_at(trio.three, trio.two) == "dead"
    assert trio.asked.dead_participants() == []


def test_announcements_of_events_that_cannot_be_read_are_counted() -> None:
    trio = Trio()
    trio.announce(trio.one, KIND_SUBSCRIPTION, 0, b"\xc1")
    trio.announce(trio.one, KIND_GROUP, 0, b"\x90")
    trio.subscribe(trio.one, 1, "billing", "order.*")
    assert trio.asked.undecodable >= 2
    assert trio.asked.subscribers("billing", CREATED) == (trio.one.id,)


def test_subscriptions_beyond_the_bound_of_a_member_are_ignored() -> None:
    trio = Trio()
    del trio.follows.of[trio.three.number]
    for slot in range(MAX_SUBSCRIPTIONS + 5):
        value = encode_subscription(AnnouncedSubscription("billing", f"order.{slot}"))
        trio.cluster.act(trio.three, trio.three.node.announce(KIND_SUBSCRIPTION, slot, value, trio.cluster.now))
    registry = trio.follows.add(trio.three)
    assert len(registry.running_patterns("billing")) == MAX_SUBSCRIPTIONS
    assert registry.ignored >= 5


def test_of_a_group_with_many_patterns_those_that_mean_the_type_are_told() -> None:
    index = EventIndex()
    many = tuple(AnnouncedSubscription("billing", f"a.{number:03}") for number in range(MAX_GROUP_PATTERNS + 10))
    index.put(NodeId(b"1" * 16), AnnouncedEvents(True, (*many, AnnouncedSubscription("billing", "z.*"))))
    (group,) = index.groups(("z", "last"))
    assert len(group.patterns) == MAX_GROUP_PATTERNS
    assert "z.*" in group.patterns


# -- the index says what a look at all members would say -------------------------------------------------------------

MEMBERS = tuple(NodeId(bytes([number]) * 16) for number in range(4))
pattern = st.sampled_from(("a", "b", "a.*", "a.b", "a.>", "*.b", ">", "*"))
group = st.sampled_from(("one", "two"))
announced = st.one_of(
    st.just(NOTHING_ANNOUNCED),
    st.builds(
        AnnouncedEvents,
        st.booleans(),
        st.lists(st.builds(AnnouncedSubscription, st.one_of(group, st.just("")), pattern), unique=True, max_size=5).map(
            tuple
        ),
        st.lists(st.builds(KnownGroup, group, st.lists(pattern, max_size=3).map(tuple)), max_size=2).map(tuple),
    ),
)
TYPES = tuple(map(check_type, ("a", "b", "a.b", "a.c", "c.b", "a.b.c")))


def means(pattern: str, type: tuple[str, ...]) -> bool:
    return matches(check_pattern(pattern), type)


@settings(max_examples=examples(100))
@given(st.lists(st.tuples(st.sampled_from(MEMBERS), announced), max_size=12), st.data())
def test_the_index_of_events_agrees_with_a_look_at_all(
    changes: list[tuple[NodeId, AnnouncedEvents]], data: st.DataObject
) -> None:
    index, held = EventIndex(), dict[NodeId, AnnouncedEvents]()
    for id, said in changes:
        index.put(id, said)
        held[id] = said
        if data.draw(st.booleans()):  # fill the caches between changes, too
            check(index, held)
    check(index, held)


def check(index: EventIndex, held: dict[NodeId, AnnouncedEvents]) -> None:
    for type in TYPES:
        for name in ("one", "two", ""):
            assert index.members(name, type) == _subscribers(held, name, type)
        told: dict[str, set[str]] = {}
        for said in held.values():
            for one in said.subscriptions:
                told.setdefault(one.group, set()).add(one.pattern)
            for known in said.groups:
                told.setdefault(known.name, set()).update(known.patterns)
        told.pop("", None)
        expected = {name: found for name, found in told.items() if any(means(one, type) for one in found)}
        assert {known.name: set(known.patterns) for known in index.groups(type)} == expected
    for name in ("one", "two"):
        running = [one for said in held.values() if said.runs for one in said.subscriptions]
        patterns = {one.pattern for one in running if one.group == name}
        assert set(index.running_patterns(name)) == patterns
        assert index.has_member(name) == bool(patterns)


def _subscribers(held: dict[NodeId, AnnouncedEvents], group: str, type: tuple[str, ...]) -> tuple[NodeId, ...]:
    running = [(id, one) for id, said in held.items() if said.runs for one in said.subscriptions]
    return tuple(sorted({id for id, one in running if one.group == group and means(one.pattern, type)}))
