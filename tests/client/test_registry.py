"""The registry object: what programs read, and which error they get."""

import gc
import threading
from pathlib import Path
from time import monotonic

import pytest

import gossipreg
from gossipreg.client.registry import Registry
from gossipreg.client.snapshot import Snapshot
from gossipreg.client.watching.watcher import WATCHER
from gossipreg.errors import BadParams, NotSynced, Refused
from scripts.tools.wait import wait_for
from tests.client.talking_sidecar import TalkingSidecar, at

BOUND_S = 60.0
B = "0b" * 16


def connect(talking: TalkingSidecar, **options: float | None) -> Registry:
    return gossipreg.connect(str(talking.path), **{"timeout": BOUND_S, **options})  # type: ignore[arg-type]


def watcher_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "gossipreg"]


def test_no_thread_and_no_connection_before_the_first_use_of_a_name(talking: TalkingSidecar) -> None:
    with connect(talking) as registry:
        web = registry.service("web")
        assert web.known is None
        assert (watcher_threads(), talking.accepted) == ([], 0)
        assert web.instances == ()
        assert (len(watcher_threads()), talking.accepted) == (1, 1)


def test_one_thread_serves_all_registries(talking: TalkingSidecar) -> None:
    registries = [connect(talking) for _ in range(5)]
    assert [one.service("web").instances for one in registries] == [()] * 5
    assert len(watcher_threads()) == 1
    for one in registries[:4]:
        one.close()
    talking.change("added", at(1))
    assert len(registries[4].service("web").wait(timeout=BOUND_S)) == 1
    registries[4].close()
    assert watcher_threads() == []


def test_lookups_ask_the_sidecar_once_for_each_name(talking: TalkingSidecar) -> None:
    with connect(talking) as registry:
        for _ in range(100):
            assert registry.service("web").instances == ()
            assert registry.service("WEB").instances == ()
            assert registry.service("db", tags=["x"]).instances == ()
        assert [method for method, _ in talking.seen] == ["state", "watch", "watch"]


def test_equal_arguments_give_the_same_service(talking: TalkingSidecar) -> None:
    with connect(talking) as registry:
        assert registry.service("web", tags=["b", "a"]) is registry.service("Web", tags=["a", "b"])
        assert registry.service("web") is not registry.service("web", zone="eu")


def test_tags_and_zone_choose_among_the_instances(talking: TalkingSidecar) -> None:
    talking.services["web"] = [
        at(1, tags=["v1", "blue"], zone="eu"), at(2, tags=["v2", "blue"], zone="us"),
        at(3, tags=["v2"], zone="eu", health="critical"),
    ]  # fmt: skip
    with connect(talking) as registry:
        assert [one.port for one in registry.service("web", tags=["blue"]).instances] == [1, 2]
        assert [one.port for one in registry.service("web", tags=["v2", "blue"]).instances] == [2]
        assert [one.port for one in registry.service("web", zone="eu").instances] == [1]
        assert [one.port for one in registry.service("web", zone="eu").snapshot.all] == [1, 3]
        talking.change("added", at(4, tags=["blue"]))
        wait_for(lambda: [one.port for one in registry.service("web", tags=["blue"]).instances] == [1, 2, 4])


def test_a_change_reaches_the_snapshot(talking: TalkingSidecar) -> None:
    with connect(talking) as registry:
        web = registry.service("web")
        assert web.instances == ()
        talking.change("added", at(1))
        assert [one.port for one in web.wait()] == [1]
        talking.change("updated", at(1, health="critical"))
        wait_for(lambda: web.instances == () and len(web.snapshot.all) == 1)
        talking.change("removed", at(1, health="critical"))
        wait_for(lambda: web.snapshot.all == ())


def test_without_a_sidecar_the_first_lookup_raises_after_its_timeout(tmp_path: Path) -> None:
    with gossipreg.connect(str(tmp_path / "none.sock"), timeout=2) as registry:
        with pytest.raises(NotSynced, match=r"no list of web .* within 2 s: no sidecar answers on .*none\.sock"):
            _ = registry.service("web").instances
        assert "no sidecar answers" in repr(registry)


def test_a_sidecar_that_comes_during_the_first_lookup_answers_it(talking: TalkingSidecar) -> None:
    talking.end()
    with connect(talking) as registry:
        threading.Timer(0.1, talking.start).start()
        assert registry.service("web").instances == ()


def test_a_sidecar_that_is_silent_gives_not_synced(talking: TalkingSidecar) -> None:
    talking.silent = True
    with (
        connect(talking, timeout=0.05) as registry,
        pytest.raises(NotSynced, match="it has not answered yet"),
    ):
        _ = registry.service("web").instances


def test_a_sidecar_that_is_not_synced_says_why(talking: TalkingSidecar) -> None:
    talking.state |= {"knowledge": "not_synced", "not_synced_because": "no seed has answered"}
    talking.partial = True
    with (
        connect(talking, timeout=2) as registry,
        pytest.raises(NotSynced, match="no seed has answered"),
    ):
        _ = registry.service("web").instances


def test_a_partial_list_is_given_out_as_partial(talking: TalkingSidecar) -> None:
    talking.state |= {"knowledge": "last_known", "not_synced_because": "just started"}
    talking.services["web"] = [at(1, stale=True)]
    talking.partial = True
    with connect(talking) as registry:
        web = registry.service("web")
        assert [(one.port, one.stale) for one in web.instances] == [(1, True)]
        assert not web.snapshot.complete
        talking.partial = False
        talking.say(knowledge="synced")
        talking.services["web"] = [at(1), at(2)]
        talking.tell("web", talking.current("web"))
        assert [one.port for one in web.wait(2)] == [1, 2]
        assert web.snapshot.complete


def test_a_name_that_the_sidecar_refuses_is_an_error(talking: TalkingSidecar) -> None:
    talking.refuses["a b"] = ("bad_params", "no such name can be")
    with connect(talking) as registry:
        for _ in range(2):
            with pytest.raises(BadParams, match="no such name can be"):
                _ = registry.service("a b").instances
        assert registry.service("web").instances == ()


def test_a_watch_of_a_refused_name_is_logged(talking: TalkingSidecar, caplog: pytest.LogCaptureFixture) -> None:
    talking.refuses["a b"] = ("bad_params", "no such name can be")
    with connect(talking) as registry:
        registry.watch("a b", lambda _snapshot: None)
        wait_for(lambda: "no callback is called for changes of a b" in caplog.text)
    assert "the sidecar refuses to watch it: no such name can be" in caplog.text


def test_registries_that_are_never_used_leave_nothing(talking: TalkingSidecar) -> None:
    for _ in range(10):
        connect(talking).close()
        connect(talking)
    gc.collect()
    assert (WATCHER.runs, len(WATCHER.links), len(WATCHER._tasks)) == (False, 0, 0)


def test_a_sidecar_without_states_is_named_as_too_old(talking: TalkingSidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talking, "services", None)
    with connect(talking, timeout=0.05) as registry:
        talking.refuses["web"] = ("unknown_method", "no method 'state'")
        talking.state = {"no": "state"}
        registry.service("web").use()
        wait_for(lambda: "not a sidecar of this release" in registry.stats()["why_not"])
        with pytest.raises(NotSynced, match="no list of web came"):
            _ = registry.service("web").instances


def test_a_closed_registry_refuses_lookups(talking: TalkingSidecar) -> None:
    registry = connect(talking)
    web = registry.service("web")
    assert web.instances == ()
    registry.close()
    registry.close()
    with pytest.raises(Refused, match="the registry that gave out web is closed"):
        _ = web.instances
    assert repr(registry) == "<Registry, closed>"
    assert registry.stats()["why_not"] == "the registry is closed"


def test_close_ends_a_lookup_that_waits(talking: TalkingSidecar) -> None:
    talking.silent = True
    registry = connect(talking)
    found: list[Exception] = []

    def look() -> None:
        try:
            _ = registry.service("web").instances
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    wait_for(lambda: talking.accepted == 1)
    registry.close()
    thread.join(BOUND_S)
    assert [type(error) for error in found] == [Refused]


def test_a_service_keeps_its_registry_alive(talking: TalkingSidecar) -> None:
    web = connect(talking).service("web")
    assert web.instances == ()
    talking.change("added", at(1))
    assert len(web.wait()) == 1
    assert isinstance(web.registry, Registry)
    web.registry.close()


def test_a_forgotten_registry_is_closed_by_the_collector(talking: TalkingSidecar) -> None:
    import gc

    registry = connect(talking)
    assert registry.service("web").instances == ()
    del registry
    gc.collect()
    wait_for(lambda: talking.seen[-1:] != [] and not any(one.watches for one in talking.alive()))


def test_wait_counts_only_confirmed_instances(talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1)]
    with connect(talking) as registry:
        web = registry.service("web")
        assert len(web.wait()) == 1
        talking.change("added", at(2, B, stale=True))
        talking.say(knowledge="isolated")
        wait_for(lambda: web.snapshot.stale_since is not None)
        assert len(web.wait(1)) == 2
        with pytest.raises(NotSynced, match=r"1 of 2 instances of web pass after 0\.05 s: it is isolated"):
            web.wait(2, timeout=0.05)
        talking.end()
        wait_for(lambda: "no sidecar answers" in registry.stats()["why_not"])
        with pytest.raises(NotSynced, match=r"0 of 1 .*: no sidecar answers"):
            web.wait(1, timeout=0.05)
        assert len(web.instances) == 2


def test_a_watch_calls_back_now_and_after_each_change(talking: TalkingSidecar) -> None:
    seen: list[Snapshot] = []
    called = threading.Semaphore(0)

    def callback(snapshot: Snapshot) -> None:
        seen.append(snapshot)
        called.release()

    with connect(talking) as registry:
        assert registry.service("web").instances == ()
        with registry.watch("Web", callback, tags=["x"]):
            assert called.acquire(timeout=BOUND_S)
            talking.change("added", at(1, tags=["x"]))
            assert called.acquire(timeout=BOUND_S)
            talking.change("added", at(2))
            assert called.acquire(timeout=BOUND_S)
        talking.change("added", at(3, tags=["x"]))
        assert len(registry.service("web", tags=["x"]).wait(2)) == 2
    assert [[one.port for one in snapshot.instances] for snapshot in seen] == [[], [1], [1]]


def test_a_callback_gets_no_snapshot_twice(talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1)]
    seen: list[Snapshot] = []
    with connect(talking) as registry:
        for number in range(20):
            registry.watch(f"name-{number}", seen.append)
        for number in range(20):
            assert registry.service(f"name-{number}").instances == ()
        registry.watch("web", seen.append)
        assert len(registry.service("web").wait()) == 1
        talking.change("added", at(2))
        wait_for(lambda: len(seen) >= 22)
        assert len(registry.service("web").wait(2)) == 2
        assert len(set(map(id, seen))) == len(seen) == 22


def test_a_callback_that_fails_is_logged_and_harms_nobody(
    talking: TalkingSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    def callback(_: Snapshot) -> None:
        raise ZeroDivisionError

    with connect(talking) as registry:
        registry.watch("web", callback)
        talking.change("added", at(1))
        assert len(registry.service("web").wait()) == 1
        wait_for(lambda: "the callback for changes of web failed" in caplog.text)


def test_a_lookup_in_a_callback_waits_for_nothing(talking: TalkingSidecar) -> None:
    found: list[object] = []
    done = threading.Event()

    def callback(_: Snapshot) -> None:
        for name in ("web", "other"):
            try:
                found.append(registry.service(name).instances)
            except NotSynced as error:
                found.append(str(error))
        done.set()

    with connect(talking) as registry:
        started = monotonic()
        registry.watch("web", callback)
        assert done.wait(BOUND_S)
        assert monotonic() - started < BOUND_S
        assert found[0] == ()
        assert str(found[1]).startswith("nothing is known of other yet; a callback cannot wait for it")
        assert registry.service("other").instances == ()


def test_the_zone_is_that_of_the_sidecar_unless_one_is_given(talking: TalkingSidecar) -> None:
    with connect(talking) as registry, gossipreg.connect(str(talking.path), zone="us") as other:
        assert (registry.zone, other.zone) == ("", "us")
        assert registry.service("web").instances == ()
        assert (registry.zone, other.zone) == ("eu", "us")


@pytest.mark.parametrize("options", [{"timeout": -1}, {"max_stale": 0}, {"max_stale": -5}, {"timeout": float("nan")}])
def test_options_out_of_bounds_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(BadParams, match="seconds"):
        gossipreg.connect(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [None, 5, b"web", ["web"], "\ud800"])
def test_a_name_that_is_no_text_is_refused_at_once(talking: TalkingSidecar, name: str) -> None:
    with connect(talking) as registry:
        with pytest.raises(BadParams, match=r"name is .*: give text"):
            registry.service(name)
        with pytest.raises(BadParams, match=r"name is .*: give text"):
            registry.watch(name, print)
        assert talking.accepted == 0


def test_a_text_in_place_of_a_list_of_tags_is_refused(talking: TalkingSidecar) -> None:
    with connect(talking) as registry, pytest.raises(BadParams, match="give a list of tags"):
        registry.service("web", tags="v2")


def test_figures_say_what_is_connected_and_known(talking: TalkingSidecar) -> None:
    with connect(talking) as registry:
        assert registry.stats()["connected"] is False
        assert registry.service("web").instances == ()
        talking.change("added", at(1))
        registry.service("web").wait()
        stats = registry.stats()
        assert {name: stats[name] for name in ("connected", "synced", "services", "unknown", "stale", "why_not")} == {
            "connected": True, "synced": True, "services": 1, "unknown": 0, "stale": 0, "why_not": "",
        }  # fmt: skip
        assert (stats["connects"], stats["changes"], stats["cluster"]) == (1, 2, "prod")
        talking.end()
        wait_for(lambda: registry.stats()["stale"] == 1 and registry.stats()["why_not"] != "")
        assert "stale for" in repr(registry.service("web"))
