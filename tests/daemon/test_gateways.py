"""What goes wrong in a gateway stays there."""

from collections.abc import Mapping

import pytest
import trio
from msgpack import unpackb

from gossipreg.daemon.gateways import AGAIN_S, counts_of, questions_of, reread_parts, run_gateways, shown_addresses
from gossipreg.errors import BadParams, Refused
from gossipreg.model import Address
from gossipreg.sidecar_api import Question, Reread, SidecarApi
from tests.core.speaker import a_node
from tests.gateway.beside import api_of


class Fragile:
    name = "fragile"
    addresses = (Address("127.0.0.1", 53), Address("::1", 53))

    def __init__(self) -> None:
        self.runs = 0
        self.breaks: list[str] = []
        self.serving = trio.Event()
        self.rereads: Mapping[str, Reread] = {"fragile_file": lambda: {"lines": 3}}
        self.questions: Mapping[str, Question] = {"xds-show": lambda given: {"given": given}}

    def _maybe_break(self, where: str) -> None:
        if where in self.breaks:
            self.breaks.remove(where)
            raise ZeroDivisionError(where)

    def warnings(self) -> list[str]:
        return []

    async def run(self, api: SidecarApi) -> None:
        self.runs += 1
        self._maybe_break("run")
        with api.changes.following("gateway_fragile", lambda _: self._maybe_break("changed")):
            self.serving.set()
            await trio.sleep_forever()

    def counts(self) -> dict[str, int]:
        return {"fragile.queries": 3}

    def close(self) -> None: ...


def an_api(went_wrong: list[str]) -> SidecarApi:
    return api_of(a_node(), lambda where, _: went_wrong.append(where))


async def test_a_gateway_that_fails_begins_anew_and_says_so(
    autojump_clock: trio.testing.MockClock,  # noqa: ARG001  # sleeping takes no time with it
) -> None:
    fragile, sound = Fragile(), Fragile()
    went_wrong: list[str] = []
    fragile.breaks = ["run", "run"]
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_gateways, [fragile, sound], an_api(went_wrong))
        await sound.serving.wait()
        await fragile.serving.wait()
        nursery.cancel_scope.cancel()
    assert (fragile.runs, sound.runs) == (3, 1)
    assert went_wrong == ["gateway_fragile"] * 2
    assert trio.current_time() - start == 2 * AGAIN_S


async def test_a_gateway_that_lost_track_of_changes_runs_anew_at_once(
    autojump_clock: trio.testing.MockClock,  # noqa: ARG001  # sleeping takes no time with it
) -> None:
    fragile, sound = Fragile(), Fragile()
    went_wrong: list[str] = []
    api = an_api(went_wrong)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_gateways, [fragile, sound], api)
        await fragile.serving.wait()
        await sound.serving.wait()
        fragile.serving = trio.Event()
        fragile.breaks = ["changed"]
        start = trio.current_time()
        api.changes.publish(())
        await fragile.serving.wait()
        assert trio.current_time() == start
        api.changes.publish(())
        nursery.cancel_scope.cancel()
    assert (fragile.runs, sound.runs, went_wrong) == (2, 1, ["gateway_fragile"])


def test_their_counters_and_addresses_are_told() -> None:
    assert counts_of([Fragile()]) == {"fragile.queries": 3}
    assert shown_addresses([Fragile()]) == {"fragile": "127.0.0.1:53,[::1]:53"}


async def test_their_files_are_parts_of_a_reload() -> None:
    (part,) = reread_parts([Fragile()]).values()
    assert await part() == {"lines": 3}


def test_a_question_to_a_gateway_has_checked_parameters() -> None:
    ask = questions_of([Fragile()])["xds-show"]
    answer = ask({"name": "web", "limit": 7, "client": None})
    assert isinstance(answer, bytes)
    assert unpackb(answer) == {"given": {"name": "web", "limit": 7}}
    with pytest.raises(BadParams, match="xds-show has no parameter 'nmae'"):
        ask({"nmae": "web"})
    with pytest.raises(BadParams, match="limit is 0"):
        ask({"limit": 0})


def test_a_question_to_a_gateway_that_does_not_run_names_its_flag() -> None:
    with pytest.raises(Refused, match="start it with --xds HOST:PORT"):
        questions_of([])["xds-show"]({})
