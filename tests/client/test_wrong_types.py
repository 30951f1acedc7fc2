"""A value of the wrong type is refused at once, in one line that names it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gossipreg
from gossipreg import aio
from gossipreg.client.registry import Registry
from gossipreg.errors import BadParams
from tests.client.talking_sidecar import TalkingSidecar, at
from tests.client.test_aio import Run, loops

REGISTRY: dict[str, Callable[[Registry], Any]] = {
    "zone 5": lambda registry: registry.service("web", zone=5),  # type: ignore[arg-type]
    "tags 5": lambda registry: registry.service("web", tags=5),  # type: ignore[arg-type]
    "tags [5]": lambda registry: registry.service("web", tags=[5]),  # type: ignore[list-item]
    "callback 5": lambda registry: registry.watch("web", 5),  # type: ignore[arg-type]
    "count '1'": lambda registry: registry.service("web").wait("1"),  # type: ignore[arg-type]
    "timeout '5'": lambda registry: registry.service("web").wait(1, "5"),  # type: ignore[arg-type]
    "key 5": lambda registry: registry.service("web").pick(5),  # type: ignore[arg-type]
    "deadline None": lambda registry: registry.service("web").pick(deadline=None),  # type: ignore[arg-type]
}
CALL: dict[str, dict[str, Any]] = {
    "key 5": {"key": 5},
    "deadline '5'": {"deadline": "5"},
    "deadline None": {"deadline": None},
    "attempts 1.5": {"attempts": 1.5},
    "attempts 0": {"attempts": 0},
    "depth '1'": {"depth": "1"},
    "depth -1": {"depth": -1},
    "idempotent 'no'": {"idempotent": "no"},
    "hedge 'no'": {"hedge": "no"},
    "fallback 5": {"fallback": 5},
    "fn 5": {"fn": 5},
}


@pytest.mark.parametrize(
    "options",
    [{"path": 5}, {"path": b"/s"}, {"path": "a\0b"}, {"timeout": "5"}, {"max_stale": "5"}, {"zone": 5}, {"service": 5}],
)
def test_connect_refuses_a_wrong_type_at_once(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(BadParams, match=rf"^{name} .*: give "):
        gossipreg.connect(**options)


@pytest.mark.parametrize("options", [{"path": 5}, {"timeout_s": "5"}])
def test_a_client_refuses_a_wrong_type_at_once(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(BadParams, match=rf"^{name} .*: give "):
        gossipreg.Client(**options)


def test_a_path_object_is_a_path(talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1)]
    with gossipreg.connect(Path(talking.path), timeout=30) as registry:  # type: ignore[arg-type]
        assert [one.port for one in registry.service("web").instances] == [1]


@pytest.mark.parametrize("begin", REGISTRY)
def test_registry_methods_refuse_a_wrong_type_at_once(talking: TalkingSidecar, begin: str) -> None:
    with gossipreg.connect(str(talking.path)) as registry:
        with pytest.raises(BadParams) as caught:
            REGISTRY[begin](registry)
        assert str(caught.value).startswith(begin)
        assert talking.accepted == 0


@pytest.mark.parametrize("begin", CALL)
def test_call_refuses_a_wrong_type_at_once(talking: TalkingSidecar, begin: str) -> None:
    with gossipreg.connect(str(talking.path)) as registry:
        with pytest.raises(BadParams) as caught:
            registry.service("web").call(**{"fn": print, **CALL[begin]})
        assert str(caught.value).startswith(begin)
        assert talking.accepted == 0


@loops
@pytest.mark.parametrize("begin", CALL)
def test_call_of_aio_refuses_a_wrong_type_at_once(run: Run, talking: TalkingSidecar, begin: str) -> None:
    async def test() -> None:
        async with aio.connect(str(talking.path)) as registry:
            with pytest.raises(BadParams) as caught:
                await registry.service("web").call(**{"fn": print, **CALL[begin]})
            assert str(caught.value).startswith(begin)
            with pytest.raises(BadParams, match="count '1' is no whole number"):
                await registry.service("web").wait("1")  # type: ignore[arg-type]

    run(test)
    assert talking.accepted == 0


async def send_nothing(_instance: object) -> int:
    return 1


def test_an_async_function_is_refused_in_threads(talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1)]

    def gone(_instance: object) -> int:
        raise ConnectionResetError("gone")

    with gossipreg.connect(str(talking.path), timeout=30) as registry:
        web = registry.service("web")
        with pytest.raises(BadParams, match=r"^fn .*send_nothing.* is async"):
            web.call(send_nothing)  # type: ignore[unused-coroutine]
        assert (web.stats()["successes"], web.stats()["neutral"]) == (0, 1)
        with pytest.raises(BadParams, match=r"^fallback .*send_nothing.* is async") as caught:
            web.call(gone, idempotent=True, attempts=1, fallback=send_nothing)
        assert isinstance(caught.value.__cause__, ConnectionResetError)


@loops
def test_a_function_that_is_not_async_is_named(run: Run, talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1)]

    async def test() -> None:
        async with aio.connect(str(talking.path), timeout=30) as registry:
            web = registry.service("web")
            with pytest.raises(BadParams, match="returned 7: give an async function"):
                await web.call(lambda _instance: 7)  # type: ignore[arg-type,return-value]
            assert web.stats()["successes"] == 0

    run(test)


@pytest.mark.parametrize("retry_after_s", ["5", float("nan")])
def test_a_retry_after_that_is_no_number_is_refused(talking: TalkingSidecar, retry_after_s: Any) -> None:
    talking.services["web"] = [at(1)]
    with gossipreg.connect(str(talking.path), timeout=30) as registry:
        web = registry.service("web")
        with pytest.raises(BadParams, match=r"^retry_after_s .* is no number: give seconds"):
            web.call(lambda one: one.status(503, retry_after_s), idempotent=True)
        assert web.stats()["in_flight"] == 0


def test_a_pick_that_is_not_entered_says_how_to(talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1)]
    with gossipreg.connect(str(talking.path), timeout=30) as registry:
        pick = registry.service("web").pick()
        with pytest.raises(AttributeError, match="has no instance yet: enter it, `with"):
            _ = pick.hostport
        with pick as instance, pytest.raises(AttributeError, match="object has no attribute 'hostname'"):
            _ = instance.hostname


@loops
def test_a_fallback_that_is_not_async_is_named(run: Run, talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1)]

    async def gone(_instance: object) -> int:
        raise ConnectionResetError("gone")

    async def test() -> None:
        async with aio.connect(str(talking.path), timeout=30) as registry:
            with pytest.raises(BadParams, match="returned 7: give an async function") as caught:
                await registry.service("web").call(gone, idempotent=True, fallback=lambda: 7)  # type: ignore[arg-type]
            assert isinstance(caught.value.__cause__, ConnectionResetError)

    run(test)
