"""Places at the local socket: the bounds hold whatever comes and goes, and what is counted is what is there."""

import os
from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.callers import Caller
from gossipreg.daemon.checks import schedule
from gossipreg.daemon.places import MAX_CLIENTS_A_PROCESS, MOST, PlaceLimits, Places, limits_for
from gossipreg.daemon.streams import accepting, node_streams
from gossipreg.gateway.dns import server as dns_server
from gossipreg.gateway.http.dapr import picking
from gossipreg.net import http_client
from gossipreg.net.descriptors import (
    HTTP_CLIENTS_MAX,
    LOCAL_CLIENTS_MAX,
    REST,
    WANTED,
    XDS_CLIENTS_MAX,
    for_http_clients,
    for_local_clients,
    for_rest,
    for_xds_clients,
)

LIMITS = PlaceLimits(all=8, of_user=4, kept=2, of_process=3)
USERS = (os.geteuid(), 5001, 5002, 5003)


@dataclass(eq=False)
class Connected:
    caller: Caller
    idle: bool = True
    ended: bool = False

    def make_room(self) -> None:
        assert self.idle
        self.ended = True


steps = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.integers(0, 3), st.integers(1, 4)),
        st.tuples(st.just("go"), st.integers(0, 20), st.just(0)),
        st.tuples(st.sampled_from(["watch", "ask"]), st.integers(0, 20), st.just(0)),
    ),
    max_size=60,
)


@given(steps)
def test_the_bounds_hold_whatever_comes_and_goes(steps: list[tuple[str, int, int]]) -> None:
    places: Places[Connected] = Places(LIMITS)
    here: list[Connected] = []
    dropped: Counter[str] = Counter()
    for what, which, process in steps:
        if what == "come":
            caller = Caller(USERS[which], 10 * which + process, door="socket")
            before = list(here)
            fault = places.fault(caller, dropped, lambda _: None)
            ended = [one for one in before if one.ended]
            here = [one for one in here if not one.ended]
            assert len(ended) <= (not fault)
            if not fault:
                here.append(Connected(caller))
                places.take(here[-1])
        elif here and what == "go":
            places.leave(here.pop(which % len(here)))
        elif here:
            one = here[which % len(here)]
            one.idle = what == "ask"
            places.note(one, may_rest=one.idle)
        _check(places, here)


def _check(places: Places[Connected], here: list[Connected]) -> None:
    assert set(places) == set(here)
    users = Counter(one.caller.uid for one in here)
    processes = Counter(one.caller.pid for one in here)
    assert len(here) <= LIMITS.all
    assert all(number <= LIMITS.of_process for number in processes.values())
    assert all(number <= LIMITS.of_user for uid, number in users.items() if uid not in (0, os.geteuid()))
    assert places.has_room == (len(here) < LIMITS.all - LIMITS.kept and max(users.values(), default=0) < LIMITS.of_user)


def test_the_one_that_asked_longest_ago_makes_room() -> None:
    places: Places[Connected] = Places(PlaceLimits(all=3, of_user=3, kept=0))
    first, second, watcher = (Connected(Caller(0, pid)) for pid in (1, 2, 3))
    for one in (watcher, first, second):
        places.take(one)
    places.note(watcher, may_rest=False)
    places.note(first, may_rest=True)
    assert places.fault(Caller(0, 4), Counter(), lambda _: None) == ""
    assert (first.ended, second.ended, watcher.ended) == (False, True, False)


def test_a_refusal_names_only_users_whose_connections_were_looked_at() -> None:
    places: Places[Connected] = Places(LIMITS)
    taken = [Connected(Caller(uid, pid), idle) for pid, (uid, idle) in enumerate(
        [(5001, False)] * 3 + [(5002, True)] * 2 + [(5003, False)])]  # fmt: skip
    for one in taken:
        places.take(one)
    logged: list[str] = []
    fault = places.fault(Caller(5003, 99), Counter(), logged.append)
    assert fault == (
        "the sidecar has 6 clients, and none is idle of user 5003 or of one with more of them: close some connections"
    )
    assert "one more of user 5003 is refused" in logged[0]
    assert not any(one.ended for one in taken), "5002 has no more than 5003 would have, and keeps its idle ones"


def test_a_refusal_by_the_limit_of_one_user_says_so() -> None:
    places: Places[Connected] = Places(LIMITS)
    for pid in range(4):
        places.take(Connected(Caller(5001, pid), idle=False))
    fault = places.fault(Caller(5001, 99), Counter(), lambda _: None)
    assert fault.startswith("user 5001 has 4 connections, as many as one user may, and none of them is idle")


def test_every_limit_of_the_system_leaves_room_for_each_kind_of_client() -> None:
    for limit in range(256, 2 * WANTED, 97):
        local, http, xds = for_local_clients(limit), for_http_clients(limit), for_xds_clients(limit)
        assert local + http + xds <= max(limit - for_rest(limit), local)
        limits = limits_for(local)
        assert 0 < limits.kept < limits.of_user < limits.all <= LOCAL_CLIENTS_MAX
    assert limits_for(for_local_clients(WANTED)) == MOST
    assert (for_http_clients(WANTED), for_xds_clients(WANTED)) == (HTTP_CLIENTS_MAX, XDS_CLIENTS_MAX)
    assert limits_for(for_local_clients(1024)) == PlaceLimits(all=512, of_user=384, kept=64)
    assert MOST.of_user > MAX_CLIENTS_A_PROCESS


def test_what_else_may_be_open_has_room_beside_the_clients() -> None:
    requests = http_client.REQUESTS_MAX + http_client.KEPT_ALL
    calls = picking.CALLS_MAX + http_client.KEPT_ALL
    streams = node_streams.STREAMS_MAX + accepting.HALF_OPEN_MAX
    checks, files = schedule.CONNECTIONS_MAX + schedule.COMMANDS_MAX, 64
    assert requests + calls + streams + checks + dns_server.CONNECTIONS_MAX + files <= REST == for_rest(WANTED)
    assert for_rest(1024) == 512
