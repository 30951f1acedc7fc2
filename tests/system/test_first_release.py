"""A data directory and a services file that the first release wrote and read (fixtures/first_release, made with it)."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import wait_for
from tests.system import older

FIXTURE = Path(__file__).parents[1] / "fixtures" / "first_release"
ID = "d7c2f18f952f78a2173e621bb01597a9"
GENERATION = 117696491887808816


def start(cluster: Sidecars) -> Sidecar:
    data = cluster.folder / "data"
    shutil.copytree(FIXTURE / "data", data)
    services = FIXTURE / "services.toml"
    arguments = ("--data-dir", str(data), "--services", str(services), "--service", "beside", "--port", "9000")
    return cluster.start("old", *arguments).wait_ready()


def found(sidecar: Sidecar, name: str) -> dict[str, Any]:
    (instance,) = sidecar.call("lookup", name=name, all=True)
    assert isinstance(instance, dict)
    return instance


def test_a_data_directory_of_the_first_release_works_unchanged(cluster: Sidecars) -> None:
    one = start(cluster)
    assert one.id == ID
    assert int(one.call("info")["generation"]) > GENERATION
    web = found(one, "web")
    assert (web["id"], web["port"], web["weight"], web["meta"]) == ("web-80", 80, 7, {"k": "v"})
    assert sorted(web["tags"]) == ["a", "b"]
    assert web["health"] == "maintenance"
    assert (found(one, "job")["id"], found(one, "job")["address"]) == ("job-1", "db.example")
    one.call("heartbeat", id="ticker-81")
    wait_for(lambda: found(one, "ticker")["health"] == "passing")
    assert "not_restored" not in one.log.read_text()
    one.call("deregister", id="web-80")
    assert one.end() == 0
    again = cluster.start("old", "--data-dir", str(cluster.folder / "data")).wait_ready()
    assert again.id == ID
    wait_for(lambda: again.call("info")["synced"])  # the member that it remembers does not answer
    assert again.call("lookup", name="web", all=True) == []
    assert found(again, "ticker")["id"] == "ticker-81"


def test_a_services_file_of_the_first_release_is_read_unchanged(cluster: Sidecars) -> None:
    one = start(cluster)
    billing, stock = found(one, "billing"), found(one, "stock")
    assert (billing["port"], billing["tags"], billing["meta"]) == (8080, ["v2"], {"path": "/api"})
    assert (stock["id"], stock["address"], stock["weight"]) == ("stock-a", "10.0.0.7", 3)
    checks = {check["check"] for check in stock["checks"]}
    assert "ttl:1h" in checks
    assert len(checks) == 2
    assert found(one, "beside")["health"] == "passing"


@pytest.mark.skipif(bool(older.missing()), reason=older.missing())
def test_a_member_of_the_first_release_says_nothing_of_its_keys(cluster: Sidecars) -> None:
    ours = cluster.start("ours").wait_ready()
    old = cluster.start("old", "--service", "web", "--port", "80", command=list(older.command())).wait_ready()
    wait_for(lambda: ours.states() == old.states() == {"ours": "alive", "old": "alive"})
    wait_for(lambda: len(ours.lookup("web")) == 1)
    keys = {member["name"]: member["keys"] for member in ours.call("members")}
    assert keys == {"ours": ours.call("info")["keys"], "old": None}
    assert len(keys["ours"]) == 1
    assert ours.call("info")["troubles"] == [], "what is not said is no disagreement"
    assert ours.end() == 0
    wait_for(lambda: old.states()["ours"] == "left")


@pytest.mark.skipif(bool(older.missing()), reason=older.missing())
@pytest.mark.parametrize("order", [("ours", "old"), ("old", "ours")])
def test_members_of_both_releases_join_and_find_each_other(cluster: Sidecars, order: tuple[str, str]) -> None:
    """The second joins by the first; the third, of the release of the first, joins by both."""
    command = {"ours": None, "old": list(older.command())}
    sidecars = []
    for number, release in enumerate((*order, order[0])):
        service = ("--service", f"s{number}", "--port", str(80 + number))
        sidecars.append(cluster.start(f"{release}-{number}", *service, command=command[release]).wait_ready())
    alive = dict.fromkeys((one.name for one in sidecars), "alive")
    for one in sidecars:
        wait_for(lambda one=one: one.states() == alive)  # type: ignore[misc]  # mypy infers no type for its default
        for number in range(len(sidecars)):
            wait_for(lambda one=one, number=number: len(one.lookup(f"s{number}")) == 1)  # type: ignore[misc]  # the same
        assert one.call("info")["troubles"] == []
