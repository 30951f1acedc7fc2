"""A snapshot over the life of its sidecar: what ends, restarts, is isolated, or is another one never empties it."""

import logging
from collections.abc import Iterator

import pytest

import gossipreg
from gossipreg.client import service as service_module
from gossipreg.client.registry import Registry
from gossipreg.client.service import Service
from gossipreg.client.watching import conversation
from gossipreg.client.watching import known as known_rules
from gossipreg.client.watching import state as state_rules
from gossipreg.client.watching.known import KnownService
from gossipreg.errors import NotSynced, TooStale
from scripts.tools.wait import wait_for
from tests.client.talking_sidecar import OWN, Shape, TalkingSidecar, at

BOUND_S = 60.0
B, C = "0b" * 16, "0c" * 16
OTHER = at(2, B, address="10.0.0.2")


@pytest.fixture
def registry(talking: TalkingSidecar) -> Iterator[Registry]:
    """Connected, with one instance of the sidecar's own member and one of another."""
    talking.services["web"] = [at(1), OTHER]
    with gossipreg.connect(str(talking.path), timeout=BOUND_S) as registry:
        assert ports(registry.service("web")) == [1, 2]
        yield registry


def ports(service: Service) -> list[int]:
    return sorted(one.port for one in service.instances)


def stale(service: Service) -> list[int]:
    return sorted(one.port for one in service.instances if one.stale)


def is_fresh(service: Service) -> bool:
    return service.snapshot.stale_since is None


def settled(registry: Registry, wanted: list[int]) -> None:
    """Wait until the snapshot is confirmed again, with these ports."""
    web = registry.service("web")
    wait_for(lambda: is_fresh(web) and ports(web) == wanted, what=f"{wanted}, not {web}")


def test_a_sidecar_without_room_leaves_the_last_snapshot(talking: TalkingSidecar, registry: Registry) -> None:
    web = registry.service("web")
    talking.refuses["web"] = ("busy", "too many watches")
    talking.restart()
    wait_for(lambda: web.is_refused)
    assert ports(web) == [1, 2]
    assert not is_fresh(web)


def test_an_ended_sidecar_leaves_its_last_snapshot(talking: TalkingSidecar, registry: Registry) -> None:
    web = registry.service("web")
    talking.end()
    wait_for(lambda: not is_fresh(web))
    since = web.snapshot.stale_since
    assert ports(web) == [1, 2]
    wait_for(lambda: web.snapshot.stale_s > 0.1)
    assert web.snapshot.stale_since == since


def test_a_restarted_sidecar_replaces_the_snapshot(talking: TalkingSidecar, registry: Registry) -> None:
    talking.services["web"] = [at(1), at(3)]
    talking.restart()
    settled(registry, [1, 3])
    assert registry.stats()["connects"] == 2


def test_a_connection_that_breaks_is_made_again(talking: TalkingSidecar, registry: Registry) -> None:
    for round in range(3):
        talking.change("added", at(10 + round))
        talking.drop()
        settled(registry, [1, 2, *range(10, 11 + round)])
    assert not any(method == "unmet" for method, _ in talking.seen), "nothing is missing"


def test_a_restarted_sidecar_that_is_not_synced_removes_nothing(talking: TalkingSidecar, registry: Registry) -> None:
    talking.services["web"] = []
    talking.partial = True
    talking.restart(knowledge="not_synced", not_synced_because="joining", others=False)
    web = registry.service("web")
    wait_for(lambda: registry.stats()["connects"] == 2 and "joining" in registry.stats()["why_not"])
    assert ports(web) == [1, 2]
    assert not is_fresh(web)
    talking.partial = False
    talking.services["web"] = [at(1)]
    talking.say(knowledge="synced", not_synced_because="", others=True)
    talking.tell("web", talking.current("web"))
    settled(registry, [1])


def test_a_partial_list_adds_to_the_last_snapshot(talking: TalkingSidecar, registry: Registry) -> None:
    talking.services["web"] = [at(1), at(3)]
    talking.partial = True
    talking.restart(knowledge="last_known", not_synced_because="joining")
    web = registry.service("web")
    wait_for(lambda: ports(web) == [1, 2, 3])
    assert (stale(web), is_fresh(web)) == ([2], False)


def test_a_restarted_sidecar_without_its_cluster_removes_nothing(talking: TalkingSidecar, registry: Registry) -> None:
    """It says that it is synced: it has no seed, or none has answered."""
    talking.services["web"] = [at(1)]
    talking.restart(others=False)
    web = registry.service("web")
    wait_for(lambda: stale(web) == [2] and "met no other member" in registry.stats()["why_not"])
    assert ports(web) == [1, 2]
    talking.say(others=True)
    settled(registry, [1])


def test_the_only_member_of_a_cluster_may_restart(talking: TalkingSidecar) -> None:
    talking.state["others"] = False
    talking.services["web"] = [at(1)]
    with gossipreg.connect(str(talking.path), timeout=BOUND_S) as registry:
        assert ports(registry.service("web")) == [1]
        talking.services["web"] = []
        talking.restart()
        settled(registry, [])


def test_instances_of_unmet_members_stay_stale_for_a_while(
    talking: TalkingSidecar, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    talking.services["web"] = [at(1)]
    talking.met = {OWN}
    talking.restart()
    web = registry.service("web")
    wait_for(lambda: is_fresh(web) and stale(web) == [2])
    assert ports(web) == [1, 2]
    talking.change("added", OTHER)
    wait_for(lambda: stale(web) == [])
    monkeypatch.setattr(known_rules, "UNMET_S", 0.1)
    talking.services["web"] = [at(1)]
    talking.restart()
    settled(registry, [1])


def test_what_an_isolated_sidecar_hides_stays_stale(talking: TalkingSidecar, registry: Registry) -> None:
    web = registry.service("web")
    talking.say(knowledge="isolated")
    talking.change("updated", OTHER | {"stale": True})
    talking.change("removed", OTHER | {"stale": True})
    talking.change("removed", at(1))
    wait_for(lambda: ports(web) == [2])
    assert (stale(web), is_fresh(web)) == ([2], False)
    talking.say(knowledge="synced")
    settled(registry, [])


def test_an_isolation_that_ends_leaves_no_trace(talking: TalkingSidecar, registry: Registry) -> None:
    web = registry.service("web")
    talking.say(knowledge="isolated")
    wait_for(lambda: not is_fresh(web))
    talking.say(knowledge="synced")
    settled(registry, [1, 2])
    assert stale(web) == []
    assert [method for method, _ in talking.seen].count("watch") == 1, "nothing was withheld, so nothing is asked"


def test_a_sidecar_of_another_cluster_is_logged_and_not_believed(
    talking: TalkingSidecar, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    talking.services["web"] = [at(99)]
    changes = registry.stats()["changes"]
    with caplog.at_level(logging.WARNING, "gossipreg"):
        talking.restart(cluster="test")
        wait_for(lambda: "'test'" in caplog.text, what="a warning, which is logged after `why_not` says it")
        assert (registry.stats()["connects"], "'test'" in registry.stats()["why_not"]) == (2, True)
        talking.change("added", at(98))
        talking.change("removed", at(1))
        wait_for(lambda: registry.stats()["changes"] == changes + 3, what="the list and two changes")
    web = registry.service("web")
    assert (ports(web), is_fresh(web)) == ([1, 2], False)
    assert [record.message.count("'test'") for record in caplog.records] == [1]
    talking.restart(cluster="prod")
    settled(registry, [98, 99])


def test_another_member_that_has_met_ours_is_believed(talking: TalkingSidecar, registry: Registry) -> None:
    """A sidecar without a data directory is another member after each restart; its programs register again."""
    talking.met = {B}
    talking.services["web"] = [at(1, C), OTHER]
    talking.restart(node=C)
    wait_for(lambda: [one.node for one in registry.service("web").instances] == [B, C])
    settled(registry, [1, 2])


def test_another_member_that_has_met_nobody_is_believed_later(
    talking: TalkingSidecar, registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    talking.met = set()
    talking.services["web"] = [at(3, C)]
    talking.restart(node=C)
    web = registry.service("web")
    wait_for(lambda: "another member than before" in caplog.text)
    assert "another member than before" in registry.stats()["why_not"]
    assert (ports(web), is_fresh(web)) == ([1, 2], False)
    monkeypatch.setattr(state_rules, "STRANGER_S", 0.1)
    monkeypatch.setattr(known_rules, "UNMET_S", 0.1)
    talking.restart()
    settled(registry, [3])


def test_a_snapshot_older_than_max_stale_is_an_error(talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1)]
    with (
        gossipreg.connect(str(talking.path), timeout=BOUND_S, max_stale=0.2) as registry,
        gossipreg.connect(str(talking.path), timeout=BOUND_S, max_stale=None) as patient,
    ):
        web, same = registry.service("web"), patient.service("web")
        assert ports(web) == ports(same) == [1]
        talking.end()
        wait_for(lambda: web.known is not None and web.known.stale_s > 0.2)
        with pytest.raises(TooStale, match=rf"max_stale is 0\.2 s: no sidecar answers on {talking.path}"):
            _ = web.instances
        assert issubclass(TooStale, NotSynced)
        wait_for(lambda: same.snapshot.stale_s > 0.2)
        assert ports(same) == [1]
        talking.start()
        settled(registry, [1])


def test_after_max_stale_a_sidecar_that_knows_nobody_is_believed(talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1), OTHER]
    with gossipreg.connect(str(talking.path), timeout=BOUND_S, max_stale=0.5) as registry:
        assert ports(registry.service("web")) == [1, 2]
        talking.services["web"] = [at(1)]
        talking.restart(others=False)
        wait_for(lambda: known_ports(registry) == [1])
        settled(registry, [1])


def known_ports(registry: Registry) -> list[int]:
    known = registry.service("web").known
    return [] if known is None else [one.port for one in known.instances]


@pytest.mark.parametrize(
    "bytes", [b"\xc1", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x94\x01\xcd\x27\x0f\xc0\xc0", b"\x93\x02\xa5watch\x01"]
)
def test_what_is_no_sidecar_is_named_and_left(talking: TalkingSidecar, registry: Registry, bytes: bytes) -> None:
    talking.greeting = bytes
    talking.drop()
    web = registry.service("web")
    wait_for(lambda: "not a sidecar" in registry.stats()["why_not"])
    assert ports(web) == [1, 2]
    talking.greeting = b""
    settled(registry, [1, 2])


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "current"}, {"kind": "current", "instances": [{}]}, {"kind": "added"},
        {"kind": "added", "instance": 1},
        {"kind": "removed", "instance": {"id": "web-1"}},
    ],
)  # fmt: skip
def test_a_hostile_change_ends_the_connection_alone(talking: TalkingSidecar, registry: Registry, change: Shape) -> None:
    talking.tell("web", change)
    wait_for(lambda: registry.stats()["losses"] == 1)
    settled(registry, [1, 2])


def test_a_fault_of_the_client_is_logged_and_the_connection_made_anew(
    talking: TalkingSidecar, registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        monkeypatch.undo()
        raise ZeroDivisionError

    monkeypatch.setattr(KnownService, "put", fails)
    talking.change("added", at(3))
    wait_for(lambda: registry.stats()["losses"] == 1)
    settled(registry, [1, 2, 3])
    assert "ZeroDivisionError" in caplog.text


def test_a_silent_sidecar_makes_the_snapshot_stale_once_checked(
    talking: TalkingSidecar, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "ANSWER_S", 0.1)
    web = registry.service("web")
    talking.silent = True
    web.check()
    wait_for(lambda: not is_fresh(web))
    assert "answered nothing" in registry.stats()["why_not"]
    assert (ports(web), registry.stats()["losses"]) == ([1, 2], 0)
    talking.silent = False
    talking.change("added", at(3))
    settled(registry, [1, 2, 3])


def test_many_failures_check_the_sidecar_once(
    talking: TalkingSidecar, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "CHECK_S", 600.0)
    web = registry.service("web")
    for _ in range(100):
        web.check()
    wait_for(lambda: [method for method, _ in talking.seen].count("state") == 2)
    talking.change("added", at(3))
    settled(registry, [1, 2, 3])
    assert [method for method, _ in talking.seen].count("state") == 2
    assert registry.stats()["why_not"] == ""


def test_a_failed_request_checks_the_sidecar(talking: TalkingSidecar, registry: Registry) -> None:
    web = registry.service("web")
    with pytest.raises(ConnectionRefusedError), web.pick():
        raise ConnectionRefusedError
    wait_for(lambda: [method for method, _ in talking.seen].count("state") == 2)


def test_a_sidecar_that_turns_clients_away_is_asked_again(talking: TalkingSidecar, registry: Registry) -> None:
    talking.busy = True
    talking.drop()
    wait_for(lambda: "ended the connection: too many clients" in registry.stats()["why_not"])
    talking.busy = False
    settled(registry, [1, 2])
