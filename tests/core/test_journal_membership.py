"""What journals are told of the cluster: claims and hosts that rows announce, and who runs as which process."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.core.effects import AnnouncementsChanged, Effect, MembersChanged
from gossipreg.core.journal_membership import RegistryMembership
from gossipreg.core.table import own_content
from gossipreg.core.table.layout import (
    KIND_JOURNAL_CLAIM,
    KIND_JOURNAL_HOST,
    KIND_JOURNAL_LEADERLESS,
    KIND_SERVICE,
    KIND_SUBSCRIPTION,
    key_of,
)
from gossipreg.errors import BadDatagram
from gossipreg.journal.announced import (
    AnnouncedClaim,
    AnnouncedHost,
    decode_claim_untrusted,
    decode_host_untrusted,
    decode_leaderless_untrusted,
    encode_claim,
    encode_host,
    encode_leaderless,
)
from gossipreg.journal.membership import LeaderClaim, ProcessStanding
from gossipreg.journal.model import Ballot, JournalId, ReplicaId
from simulations.network import between
from simulations.observer import Observer
from tests.core.cluster import Cluster, Host

JOURNAL = JournalId(b"j" * 16)
BALLOT = Ballot(3, ReplicaId(b"r" * 16))


class Follows(Observer):
    """Keeps a membership for each host of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.of: dict[int, RegistryMembership] = {}
        cluster.watch(self)

    def add(self, host: Host) -> RegistryMembership:
        membership = self.of[host.number] = RegistryMembership(host.node, self.cluster.now)
        return membership

    def on_effect(self, host: Host, effect: Effect) -> None:
        if host.number in self.of and isinstance(effect, AnnouncementsChanged | MembersChanged):
            self.of[host.number].follow(effect.ids, self.cluster.now)


def three() -> tuple[Cluster, list[Host], Follows]:
    cluster = Cluster()
    hosts = [cluster.join()]
    hosts += [cluster.join(hosts[0]) for _ in range(2)]
    follows = Follows(cluster)
    for host in hosts:
        follows.add(host)
    cluster.run(3.0)
    return cluster, hosts, follows


def test_a_claim_arrives_at_all_and_goes_when_withdrawn() -> None:
    cluster, (one, two, three_), follows = three()
    ours = follows.of[one.number]
    cluster.act(one, ours.claim(JOURNAL, BALLOT, cluster.now))
    cluster.run(1.0)
    for host in (two, three_):
        seen = follows.of[host.number].member(one.id)
        assert [*follows.of[host.number].claims(JOURNAL)] == [LeaderClaim(BALLOT, one.id, seen.boot_id)]
        assert seen.standing is ProcessStanding.LIVES
    cluster.act(one, ours.withdraw(JOURNAL, cluster.now))
    cluster.run(1.0)
    assert [*follows.of[two.number].claims(JOURNAL)] == []


def test_leaderless_copies_are_known_to_all_and_only_the_last_ones() -> None:
    cluster, (one, two, three_), follows = three()
    first, second, third = (JournalId(bytes([number]) * 16) for number in range(3))
    ours, theirs = follows.of[one.number], follows.of[three_.number]
    for journals in ([first, second], [second, third]):
        cluster.act(one, ours.announce_leaderless(journals, cluster.now)[1])
        cluster.run(1.0)
        assert set(theirs.leaderless()) == set(journals)
    assert [*theirs.claims(second)] == [], "it is no claim to lead it"
    cluster.act(two, follows.of[two.number].announce_leaderless([third], cluster.now)[1])
    cluster.run(1.0)
    assert (set(theirs.leaderless_at(third)), set(theirs.leaderless_at(first))) == ({one.id, two.id}, set())
    cluster.leave(two)
    cluster.run(2.0)
    assert set(theirs.leaderless_at(third)) == {one.id}, "who has left has nothing any more"
    cluster.act(one, ours.announce_leaderless([], cluster.now)[1])
    cluster.run(1.0)
    assert set(theirs.leaderless()) == set()


def test_a_restarted_process_claims_nothing() -> None:
    cluster, (one, two, _), follows = three()
    cluster.act(one, follows.of[one.number].claim(JOURNAL, BALLOT, cluster.now))
    cluster.run(1.0)
    before = follows.of[two.number].member(one.id)
    del follows.of[one.number]
    cluster.crash(one)
    one.durable = True
    cluster.start(one, [two])
    cluster.run(3.0)
    assert [*follows.of[two.number].claims(JOURNAL)] == []
    assert follows.of[two.number].member(one.id).boot_id != before.boot_id


def test_a_dead_leader_does_not_run_and_one_that_left_has_left() -> None:
    cluster, (one, two, three_), follows = three()
    cluster.crash(one, refuses=False)
    cluster.run(10.0)
    cluster.leave(two)
    cluster.run(2.0)
    membership = follows.of[three_.number]
    assert not membership.member(one.id).runs
    assert membership.member(two.id).standing is ProcessStanding.LEFT


def test_hosts_are_the_living_members_that_take_copies() -> None:
    cluster, (one, two, three_), follows = three()
    for host, takes in ((one, True), (two, True), (three_, False)):
        announced = AnnouncedHost(bytes([host.number + 1]) * 8, takes)
        cluster.act(host, follows.of[host.number].announce_host(announced, cluster.now))
    cluster.run(1.0)
    assert {host.node for host in follows.of[one.number].hosts()} == {one.id, two.id}
    cluster.crash(two)
    cluster.run(10.0)
    assert {host.node for host in follows.of[one.number].hosts()} == {one.id}


def test_only_claims_and_hosts_of_others_decide_for_copies() -> None:
    """A look at 1,000 copies takes 20 ms, and each datagram with subscriptions or leaderless copies was one."""
    cluster, (one, two, _), follows = three()
    asked = RegistryMembership(two.node, cluster.now)
    ours = follows.of[one.number]

    def decides(effects: list[Effect], of: Host = one) -> bool:
        cluster.act(of, effects)
        cluster.run(1.0)
        return asked.follow((of.id,), cluster.now)

    assert decides(ours.claim(JOURNAL, BALLOT, cluster.now))
    assert not decides(ours.announce_leaderless([JOURNAL], cluster.now)[1])
    assert not decides(one.node.announce(KIND_SUBSCRIPTION, 0, b"x", cluster.now))
    assert decides(ours.claim(JOURNAL, BALLOT._replace(round=4), cluster.now))
    assert decides(ours.withdraw(JOURNAL, cluster.now))
    assert decides(ours.announce_host(AnnouncedHost(b"h" * 8, True), cluster.now))
    assert decides(ours.announce_host(AnnouncedHost(b"h" * 8, False), cluster.now))
    assert not decides(follows.of[two.number].claim(JOURNAL, BALLOT, cluster.now), two), "our own"


def test_many_leaderless_copies_are_one_change_of_the_row() -> None:
    cluster, (one, two, _), follows = three()
    journals = [JournalId(bytes([number]) * 16) for number in range(50)]
    for said in (journals, journals[40:], []):
        known, effects = follows.of[one.number].announce_leaderless(said, cluster.now)
        assert [*known] == said
        assert sum(isinstance(effect, AnnouncementsChanged) for effect in effects) == 1
        cluster.act(one, effects)
        cluster.run(1.0)
        for host in (one, two):
            assert set(follows.of[host.number].leaderless()) == set(said)


def test_full_row_says_the_leaderless_copies_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one for which there was no room was taken for announced, and the others were not told to who follows here."""
    cluster, (one, two, _), follows = three()
    journals, ours = [JournalId(bytes([number]) * 16) for number in range(8)], follows.of[one.number]
    content = one.node.table.own.content
    assert content is not None
    for most, expected in ((200, 3), (20_000, 8)):
        monkeypatch.setattr(own_content, "MAX_ROW_BYTES", content.size_bytes + most)
        known, effects = ours.announce_leaderless(journals, cluster.now)
        cluster.act(one, effects)
        cluster.run(1.0)
        assert len(known) == expected
        assert set(ours.leaderless()) == set(follows.of[two.number].leaderless()) == set(known)


def test_what_cannot_be_read_is_counted_and_left_out() -> None:
    cluster, (one, two, _), follows = three()
    cluster.act(one, one.node.announce(KIND_JOURNAL_CLAIM, 0, b"\xc1", cluster.now))
    cluster.act(one, one.node.announce(KIND_JOURNAL_HOST, 0, b"\x90", cluster.now))
    cluster.act(one, one.node.announce(KIND_JOURNAL_LEADERLESS, 0, b"\x91\xc4\x01j", cluster.now))
    cluster.run(1.0)
    assert follows.of[two.number].undecodable >= 3
    assert [*follows.of[two.number].claims(JOURNAL)] == []
    assert [*follows.of[two.number].leaderless()] == []


def test_a_row_without_announcements_reports_none() -> None:
    cluster, (one, two, _), _ = three()
    cluster.register(one, "web")
    cluster.run(1.0)
    assert two.node.announcements.members() == []


@given(st.binary(max_size=64))
def test_any_bytes_are_an_announcement_or_refused(value: bytes) -> None:
    for decode, encode in (
        (decode_claim_untrusted, encode_claim), (decode_host_untrusted, encode_host),
        (decode_leaderless_untrusted, encode_leaderless),
    ):  # fmt: skip
        try:
            found = decode(value)
        except BadDatagram:
            continue
        assert decode(encode(found)) == found  # type: ignore[arg-type]


@given(st.binary(min_size=16, max_size=16), st.integers(1, (1 << 63) - 1), st.binary(min_size=16, max_size=16))
def test_a_claim_survives_its_encoding(journal: bytes, round: int, replica: bytes) -> None:
    claim = AnnouncedClaim(JournalId(journal), Ballot(round, ReplicaId(replica)))
    assert decode_claim_untrusted(encode_claim(claim)) == claim


def test_a_change_of_a_row_without_announcements_reads_the_slot_alone() -> None:
    """A row may have thousands of services: none is looked at because another one changes."""
    cluster, (one, *_), _ = three()
    for number in range(50):
        cluster.register(one, f"web-{number}")
    looked_at: list[int] = []
    content = one.node.table.rows[one.id].content
    assert content is not None

    class Counted(dict[int, tuple[int, bytes | None]]):
        def __iter__(self) -> Iterator[int]:
            looked_at.append(len(self))
            return super().__iter__()

    content.entries = Counted(content.entries)
    row = one.node.table.rows[one.id]
    assert not one.node.announcements.refresh(row, [key_of(KIND_SERVICE, 1)])
    assert looked_at == []


def test_a_member_that_refutes_its_death_has_another_incarnation() -> None:
    """Others may have replaced its copies of journals meanwhile."""
    cluster, (one, *_), follows = three()
    before = follows.of[one.number].incarnation
    cluster.network.rules["cut"] = between(lambda end: end.number == one.number)
    cluster.run(20.0)
    assert follows.of[one.number].incarnation == before, "it has heard of nothing"
    del cluster.network.rules["cut"]
    cluster.run(20.0)
    assert follows.of[one.number].incarnation > before
