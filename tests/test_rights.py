"""Which verb is for whom, and whose service it is."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from gossipreg.callers import NO_UID, Caller, caller_at
from gossipreg.errors import NotAllowed
from gossipreg.rights import RIGHTS, Right, Rights

SIDECAR_UID, ADMIN_GROUP = 700, 70
RULE = Rights(SIDECAR_UID, ADMIN_GROUP)
ANYBODY = Caller(1000, 5, frozenset({1000, 100}), "socket")
OPERATORS = {
    "root": Caller(0, 5, frozenset({0}), "socket"),
    "the sidecar's user": Caller(SIDECAR_UID, 5, frozenset({7}), "http"),
    "a member of the admin group": Caller(1000, 5, frozenset({1000, ADMIN_GROUP}), "socket"),
    "a TCP client": Caller(),
}


@pytest.mark.parametrize("verb", [verb for verb, right in RIGHTS.items() if right is not Right.OPERATE])
def test_every_user_reads_and_changes_their_own_services(verb: str) -> None:
    RULE.check(verb, ANYBODY, {"id": "web-80"})


@pytest.mark.parametrize(
    "verb", [*(verb for verb, right in RIGHTS.items() if right is Right.OPERATE), "what comes next"]
)
def test_only_operators_operate_and_an_unknown_verb_is_theirs(verb: str) -> None:
    with pytest.raises(NotAllowed) as refused:
        RULE.check(verb, ANYBODY, {})
    assert str(refused.value) == (
        f"{verb} is not allowed for user 1000: ask root, user {SIDECAR_UID} or a member of the group {ADMIN_GROUP}"
    )
    for caller in OPERATORS.values():
        RULE.check(verb, caller, {})


@pytest.mark.parametrize("verb", ["maint", "drain"])
def test_maintenance_of_the_whole_node_is_for_operators(verb: str) -> None:
    for params in ({}, {"id": None}, {"off": True}):
        with pytest.raises(NotAllowed, match=f"{verb} of the whole node"):
            RULE.check(verb, ANYBODY, params)
        for caller in OPERATORS.values():
            RULE.check(verb, caller, params)
    RULE.check(verb, ANYBODY, {"id": "web-80"})
    RULE.check(verb, ANYBODY, {"service": "web-80"})


def test_only_its_own_uid_and_operators_change_a_service() -> None:
    RULE.check_owner("deregister", "web-80", 1000, ANYBODY)
    for caller in OPERATORS.values():
        RULE.check_owner("deregister", "web-80", 1000, caller)
    with pytest.raises(NotAllowed) as refused:
        RULE.check_owner("deregister", "web-80", 1000, Caller(1001, 5, door="socket"))
    assert str(refused.value) == (
        "deregister of 'web-80' is not allowed for user 1001: it belongs to user 1000; ask root, user 700, user 1000 "
        "or a member of the group 70"
    )


def test_a_service_registered_over_tcp_belongs_to_no_uid() -> None:
    with pytest.raises(NotAllowed, match="belongs to no user"):
        RULE.check_owner("heartbeat", "web-80", NO_UID, ANYBODY)
    with pytest.raises(NotAllowed):  # a kernel that does not say who asks makes nobody the owner
        RULE.check_owner("heartbeat", "web-80", NO_UID, Caller(NO_UID, door="socket"))
    for caller in OPERATORS.values():
        RULE.check_owner("heartbeat", "web-80", NO_UID, caller)


def test_an_operator_who_changes_a_service_does_not_take_it_away() -> None:
    for caller in OPERATORS.values():
        assert RULE.owner_after(1000, caller) == 1000
        assert RULE.owner_after(None, caller) is None
    assert RULE.owner_after(None, ANYBODY) == 1000


def test_without_an_admin_group_its_members_are_nobody_special() -> None:
    rule = Rights(SIDECAR_UID)
    with pytest.raises(NotAllowed, match="a member of the group of --socket-admin-group"):
        rule.check("leave", OPERATORS["a member of the admin group"])


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        caller = caller_at(ours, "http")
    assert (caller.uid, caller.pid, caller.door, caller.trusted) == (os.geteuid(), os.getpid(), "http", True)
    assert caller.groups == {os.getegid(), *os.getgroups()}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize("groups", [[], [70, 71], list(range(5000, 5300))], ids=len)
def test_groups_of_another_user_are_read(groups: list[int]) -> None:
    path = f"\0gossipreg-test-{os.getpid()}"  # without a file, so that any user gets there
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        other = os.fork()
        if other == 0:
            _connect_as(path, 1001, 1002, groups)
        try:
            listener.settimeout(30)
            with listener.accept()[0] as sock:
                caller = caller_at(sock, "socket")
        finally:
            os.kill(other, signal.SIGKILL)
            os.waitpid(other, 0)
    assert (caller.uid, caller.pid, caller.trusted) == (1001, other, False)
    known = {1002, *groups} if len(groups) <= 256 else {1002}  # more than Python can be told: the primary one counts
    assert caller.groups == known


def _connect_as(path: str, uid: int, gid: int, groups: list[int]) -> None:
    """In a child of its own, which ends here."""
    try:
        os.setgroups(groups)
        os.setgid(gid)
        os.setuid(uid)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.recv(1)
    finally:
        os._exit(0)


def test_the_manual_has_each_verb_in_its_row() -> None:
    text = (Path(__file__).parents[1] / "gossipreg/docs/rights.md").read_text()
    rows = dict(re.findall(r"^\| (read|own|operate) \| ([^|]*) \|", text, re.MULTILINE))
    for right in Right:
        verbs = sorted(verb for verb, one in RIGHTS.items() if one is right)
        assert rows[right.value] == ", ".join(f"`{verb}`" for verb in verbs)
