"""Dead members with real processes: one that came back is no longer listed, another is listed until it is declared
left."""

import json
import subprocess
import urllib.request
from typing import Any

import pytest

from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import wait_for
from tests.system import older

HTTP = ("--http", "127.0.0.1:0")


def get(sidecar: Sidecar, path: str, method: str = "GET") -> str:
    request = urllib.request.Request(f"http://{sidecar.ready['http']}{path}", method=method)
    with urllib.request.urlopen(request, timeout=30) as reply:
        text: str = reply.read().decode()
        return text


def dead_in_metrics(sidecar: Sidecar) -> str:
    [line] = [one for one in get(sidecar, "/metrics").splitlines() if one.startswith('gossipreg_members{state="dead"}')]
    return line.rpartition(" ")[2]


def command(sidecar: Sidecar, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [*COMMAND, "--socket", str(sidecar.socket), *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)


def names(sidecar: Sidecar) -> list[str]:
    found: list[dict[str, Any]] = json.loads(get(sidecar, "/v1/agent/members"))
    return sorted(one["Name"] for one in found)


def test_a_crashed_sidecar_that_is_started_again_leaves_no_trace() -> None:
    with Sidecars() as cluster:
        first, second = cluster.grow(2)[0], cluster.all[1]
        watcher = cluster.start("watcher", *HTTP).wait_ready()
        for _ in range(2):
            address = second.gossip
            second.kill()
            second = cluster.start("n1", "--bind", address, "--service", "web", "--port", "80").wait_ready()
            wait_for(lambda: second.id in {one["id"] for one in watcher.call("members")})  # noqa: B023
            wait_for(lambda: [one["state"] for one in watcher.call("members")] == ["alive"] * 3)
        info = watcher.call("info")
        assert (info["not_alive"], info["members"]["dead"], info["troubles"]) == ([], 0, [])
        assert dead_in_metrics(watcher) == "0"
        assert names(watcher) == ["n0", "n1", "watcher"]
        assert [one["health"] for one in watcher.call("lookup", name="web", all=True)] == ["passing"]
        assert first.states()["n1"] == "alive"


def test_a_dead_member_is_listed_until_it_is_declared_left() -> None:
    with Sidecars() as cluster:
        cluster.grow(2)
        watcher = cluster.start("watcher", *HTTP).wait_ready()
        gone = cluster.start("gone", "--service", "web", "--port", "80").wait_ready()
        wait_for(lambda: len(watcher.lookup("web")) == 1)
        refused = command(watcher, "force-leave", "gone")
        assert (refused.returncode, refused.stdout) == (4, "")
        assert "gone" in refused.stderr
        assert "is alive here: end it with `gossipreg leave` on its host" in refused.stderr
        gone.kill()
        wait_for(lambda: all(one.states().get("gone") == "dead" for one in (cluster.all[0], watcher)))
        listed = command(watcher, "lookup", "--all", "web")
        assert (listed.returncode, listed.stdout.split("  ")[0]) == (0, "127.0.0.1:80 critical")
        assert "gone is dead: " in listed.stdout
        assert command(watcher, "lookup", "web").returncode == 1
        assert dead_in_metrics(watcher) == "1"
        assert command(watcher, "force-leave", "nobody").returncode == 4
        assert command(watcher, "force-leave", gone.id[:8]).returncode == 0
        wait_for(lambda: all(one.states().get("gone") == "left" for one in (*cluster.all[:2], watcher)))
        assert command(watcher, "lookup", "--all", "web").returncode == 1
        assert dead_in_metrics(watcher) == "0"
        [done] = watcher.call("info")["operations"][:1]
        assert (done["verb"], done["target"]) == ("force-leave", "gone")


@pytest.mark.wide
@pytest.mark.skipif(bool(older.missing()), reason=older.missing())
def test_force_leave_beside_members_of_the_first_release() -> None:
    """Older members do not know force-leave: the member stays dead for them, they work as before, and it may come
    back."""
    with Sidecars() as cluster:
        first = cluster.start("first").wait_ready()
        olds = [cluster.start(f"old-{number}", command=list(older.command())).wait_ready() for number in range(2)]
        second = cluster.start("second").wait_ready()
        data = ("--data-dir", str(cluster.folder / "gone"))
        gone = cluster.start("gone", *data).wait_ready()
        everybody = [first, *olds, second]
        wait_for(lambda: all(one.states().get("gone") == "alive" for one in everybody))
        gone.kill()
        wait_for(lambda: all(one.states().get("gone") == "dead" for one in everybody))
        assert command(second, "force-leave", "gone").returncode == 0
        wait_for(lambda: first.states()["gone"] == second.states()["gone"] == "left")
        assert [one.states()["gone"] for one in olds] == ["dead", "dead"]
        first.call("register", name="later", port=1)
        wait_for(lambda: all(len(one.lookup("later")) == 1 for one in everybody))
        cluster.start("gone", *data, "--seed", first.gossip).wait_ready()
        wait_for(lambda: all(one.states()["gone"] == "alive" for one in everybody))
