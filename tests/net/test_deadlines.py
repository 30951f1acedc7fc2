"""Deadlines of connections, in virtual time."""

import random
import socket
from math import inf

from gossipreg.callers import Caller
from gossipreg.gateway.http.client import HttpConnection
from gossipreg.net.deadlines import VOID_MIN, Deadlines
from gossipreg.net.http_framing import Reader

SOCK = socket.socket()
SOCK.close()


def a_connection() -> HttpConnection:
    return HttpConnection(SOCK, Reader(Caller(), lambda _head: None))


def test_each_is_due_at_the_deadline_that_it_had_last() -> None:
    rng = random.Random(1)
    deadlines = Deadlines[HttpConnection]()
    wanted: dict[HttpConnection, float] = {a_connection(): inf for _ in range(50)}
    now = 0.0
    for _ in range(2000):
        connection = rng.choice(list(wanted))
        when = rng.choice([inf, now + 1 + rng.random() * 10, now + 1 + rng.random() * 1000])
        wanted[connection] = when
        deadlines.set(connection, when)
        now += rng.random()
        assert deadlines.next <= min(wanted.values())
        due = set(deadlines.due(now))
        assert due == {one for one, when in wanted.items() if when <= now}
        wanted.update(dict.fromkeys(due, inf))


def test_connections_that_come_and_go_leave_no_heap_behind() -> None:
    deadlines = Deadlines[HttpConnection]()
    for number in range(10_000):
        connection = a_connection()
        deadlines.set(connection, number + 120.0)
        deadlines.set(connection, number + 10.0)  # a request begins
        deadlines.forget(connection)
        assert len(deadlines) <= 2 * VOID_MIN
    assert list(deadlines.due(1e9)) == []
    assert len(deadlines) == 0
