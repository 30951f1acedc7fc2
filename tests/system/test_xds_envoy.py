"""A real Envoy under load follows a sidecar that is killed and started again, and no call fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from scripts.tools.programs import free_port
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import wait_for
from tests.system.test_xds_bootstrap import FORMS, Envoy, Web, acked, envoy, needs_envoy

HOSTS = ("web", "api")
UNHURT = (
    "cluster_manager.cds.update_rejected",
    "listener_manager.lds.update_rejected",
    "cluster_manager.warming_clusters",
    "cluster.web.init_fetch_timeout",
    "cluster.api.init_fetch_timeout",
)
"""Figures of Envoy that stay 0 if nothing was refused and nothing waited for what did not come."""


@contextmanager
def load(front: Envoy) -> Iterator[list[tuple[int, str]]]:
    """Calls one after the other; gives the answers of those that fail."""
    failed: list[tuple[int, str]] = []
    end = Event()

    def call() -> None:
        while not end.is_set():
            failed.extend(answer for answer in map(front.get, HOSTS) if answer[0] != 200)

    thread = Thread(target=call)
    thread.start()
    try:
        yield failed
    finally:
        end.set()
        thread.join()


def has_all(sidecar: Sidecar) -> bool:
    """Whether Envoy has connected, and acknowledged all four types."""
    streams = sidecar.call("info")["counters"]["xds_streams"]
    return streams == 1 and acked(sidecar, "edge") == dict.fromkeys(("cluster", "endpoints", "listener", "route"), True)


@pytest.mark.wide
@needs_envoy
@FORMS
def test_no_call_fails_over_restarts_changed_clusters_and_drains(tmp_path: Path, flags: tuple[str, ...]) -> None:
    port, at, policy = free_port(), f"127.0.0.1:{free_port()}", tmp_path / "policy.toml"
    listen = f"[listen]\nport = {port}\n"
    policy.write_text(listen)
    webs = Web(b"a"), Web(b"b")
    arguments = ("--xds", at, "--xds-policy", str(policy), "--data-dir", str(tmp_path / "data"))
    try:
        with Sidecars() as cluster:
            first = cluster.start("first").wait_ready()
            one = cluster.start("one", *arguments).wait_ready()
            for name in HOSTS:
                first.call("register", name=name, id=f"{name}-a", address="127.0.0.1", port=webs[0].port)
            with envoy(one, tmp_path, port, *flags) as front:
                for name in HOSTS:
                    wait_for(lambda name=name: front.get(name) == (200, "a"))  # type: ignore[misc]
                with load(front) as failed:
                    for _ in range(3):
                        one.kill()
                        one = cluster.start("one", *arguments).wait_ready()
                        wait_for(lambda one=one: has_all(one))  # type: ignore[misc]
                    first.call("register", name="web", id="web-b", address="127.0.0.1", port=webs[1].port)
                    wait_for(lambda: front.get("web") == (200, "b"))
                    for number in range(1, 4):
                        policy.write_text(f"{listen}[default.limits]\nconnections = {number}000\n")
                        one.call("reload")
                    first.call("drain", service="web-a")
                    wait_for(lambda: {front.get("web") for _ in range(20)} == {(200, "b")})
                    wait_for(lambda: has_all(one))
                assert failed == []
                assert [name for name in UNHURT if front.stat(name)] == []
    finally:
        for web in webs:
            web.close()
