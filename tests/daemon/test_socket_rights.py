"""The rights of users of the local socket, and how the log names the user of an operation."""

from dataclasses import replace

import pytest

from gossipreg.callers import Caller
from gossipreg.daemon import local_socket
from gossipreg.rights import RIGHTS
from tests.daemon.conftest import Sidecar


def become(monkeypatch: pytest.MonkeyPatch, caller: Caller) -> None:
    """Connections that are made from now on are this caller's."""
    monkeypatch.setattr(local_socket, "caller_at", lambda _sock, door: replace(caller, door=door))


APP, OTHER = Caller(1000, 11), Caller(1001, 12)


async def test_a_user_changes_only_what_that_user_registered(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    become(monkeypatch, APP)
    app = await sidecar.client()
    await app.call("register", name="web", port=80, checks=["ttl:30s"])
    become(monkeypatch, OTHER)
    other = await sidecar.client()
    for verb, params in (
        ("register", {"name": "web", "port": 80, "weight": 9}), ("deregister", {"id": "web-80"}),
        ("heartbeat", {"id": "web-80"}),
    ):  # fmt: skip
        code, message = await other.call(verb, **params)
        assert code == "refused"
        assert message.startswith(f"{verb} of 'web-80' is not allowed for user 1001: it belongs to user 1000; ask root")
    assert (await other.call("lookup", name="web", all=True))[0]["weight"] == 1
    await other.call("register", name="web", port=81)  # another id is free
    assert await app.call("heartbeat", id="web-80") == {}
    assert await app.call("deregister", id="web-80") == {"durable": True}


async def test_leave_is_for_operators(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    become(monkeypatch, APP)
    code, message = await (await sidecar.client()).call("leave")
    assert (code, sidecar.left) == ("refused", [])
    assert message.startswith("leave is not allowed for user 1000: ask root")
    become(monkeypatch, Caller(0, 1))
    sidecar.may_leave.set()
    assert await (await sidecar.client()).call("leave") == {}


async def test_info_and_the_log_say_who_did_what(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    become(monkeypatch, APP)
    app = await sidecar.client()
    await app.call("register", name="web", port=80)
    await app.call("register", name="web", port=80)  # changes nothing, so it is no operation
    await app.call("deregister", id="web-80")
    operations = (await app.call("info"))["operations"]
    assert [(one["verb"], one["target"], one["uid"], one["pid"], one["via"]) for one in operations] == [
        ("deregister", "web-80", 1000, 11, "socket"), ("register", "web-80", 1000, 11, "socket"),
    ]  # fmt: skip
    lines = [line for line in sidecar.log.getvalue().splitlines() if " service_" in line]
    assert [line.split()[2] for line in lines] == ["service_registered", "service_deregistered"]
    assert all(line.endswith("via=socket uid=1000 pid=11") for line in lines)


async def test_every_method_has_a_right(sidecar: Sidecar) -> None:
    names = {*sidecar.methods.handlers, *sidecar.methods.commands, "watch", "unwatch"}
    assert names - RIGHTS.keys() == set()
