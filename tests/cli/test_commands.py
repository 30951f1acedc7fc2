"""Commands that change something: what each asks of the sidecar, what it prints, how it ends."""

import base64
import json
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar


def test_register_prints_the_id(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["register"] = lambda _: {"id": "web-8080", "version": ["1", 2]}
    assert command("register", "web", "--port", "8080") == (0, "web-8080\n", "")
    assert json.loads(command("register", "web", "--port", "8080", "--json").out)["version"] == ["1", 2]
    assert sidecar.seen[0] == ("register", {"name": "web", "port": 8080})


def test_register_sends_what_its_flags_say(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["register"] = lambda _: {"id": "one", "version": ["1", 2]}
    flags = "--port 80 --address example.org --id one --tag a --tag b --meta k=v=w --meta e= --weight 0"
    assert command("register", "web", *flags.split()).code == 0
    assert sidecar.seen == [
        (
            "register",
            {
                "name": "web", "port": 80, "address": "example.org", "id": "one", "tags": ["a", "b"],
                "meta": {"k": "v=w", "e": ""}, "weight": 0,
            },
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "more"),
    [(("deregister", "web-80"), {}), (("maint",), {}), (("drain",), {"acked": True, "missing": 0, "members": []})],
)
def test_a_change_that_is_not_durable_prints_a_warning(
    sidecar: FakeSidecar, command: Command, args: tuple[str, ...], more: dict[str, Any]
) -> None:
    sidecar.answers[args[0]] = lambda _: {"durable": False, **more}
    ended = command(*args)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.startswith("Warning: done, but not durable")
    ended = command(*args, "--json")
    assert (json.loads(ended.out)["durable"], ended.err) == (False, "")


def test_deregister_says_nothing_when_it_is_done(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["deregister"] = lambda _: {}
    assert command("deregister", "web-8080") == (0, "", "")
    assert command("deregister", "web-8080", "--json") == (0, "{}\n", "")
    assert sidecar.seen[0] == ("deregister", {"id": "web-8080"})


def test_leave_says_nothing_when_it_is_done(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["leave"] = lambda _: {}
    assert command("leave") == (0, "", "")
    assert command("leave", "--hold", "30s") == (0, "", "")
    assert [one for one in sidecar.seen if one[0] == "leave"] == [("leave", {}), ("leave", {"hold": 30.0})]


@pytest.mark.parametrize("hold", ["61s", "2m", "-1s", "soon"])
def test_leave_holds_for_a_minute_at_most(hold: str, sidecar: FakeSidecar, command: Command) -> None:
    assert command("leave", "--hold", hold).code == 2
    assert sidecar.seen == []


def test_keygen_prints_32_bytes_never_the_same(command: Command) -> None:
    keys = {command("keygen").out for _ in range(5)} | {json.loads(command("keygen", "--json").out)["key"] + "\n"}
    assert len(keys) == 6
    for key in sorted(keys):
        assert len(base64.b64decode(key, validate=False)) == 32
        assert key.endswith("=\n")
