"""What the page asks of all members: nothing keeps away what is known beside it."""

import json
from collections.abc import Mapping
from typing import Any, cast

from gossipreg.errors import Busy, Unavailable
from gossipreg.gateway.http.ui.asked_views import SAGAS_SHOWN, AskedViews
from gossipreg.sidecar_api import SidecarApi
from tests.daemon.conftest import ME

ENDED: list[dict[str, Any]] = [{"saga": f"j.a{number:04}", "state": "ended"} for number in range(SAGAS_SHOWN + 100)]
STUCK: dict[str, Any] = {"saga": "j.zz", "state": "committed", "stuck": ["pay"]}


class Sidecar:
    """Lists the newest, up to the limit, as sidecars do."""

    async def ask(self, method: str, params: Mapping[str, Any], _caller: object) -> object:
        assert (method, params["newest"]) == ("saga-list", True)
        all = [one for one in (*ENDED, STUCK) if (one["state"] == "ended") == (params["state"] == "ended")]
        return {"sagas": all[: params["limit"]], "more": len(all) > params["limit"], "unanswered": ["two"]}


async def test_a_stuck_saga_is_listed_behind_many_that_ended() -> None:
    shown = json.loads((await AskedViews(cast(SidecarApi, Sidecar()), ME).sagas()).data)
    assert STUCK in shown["items"]
    assert len(shown["items"]) == SAGAS_SHOWN + 1
    assert (shown["more_open"], shown["more_ended"], shown["not_answered"]) == (False, True, ["two"])


class ClosedSidecar:
    """The database of its journals is not open."""

    async def ask(self, method: str, _params: Mapping[str, Any], _caller: object) -> object:
        if method == "journals":
            raise Unavailable("the journals on the disk of this sidecar are not open")
        unanswered = ["the journals of web-1: see `gossipreg info` there"]
        return {"groups": [{"group": "mail"}], "letters": [], "left_out": 0, "unanswered": unanswered}


async def test_journals_that_are_not_open_hide_no_groups() -> None:
    shown = json.loads((await AskedViews(cast(SidecarApi, ClosedSidecar()), ME).events()).data)
    assert (shown["groups"], shown["journals"]) == ([{"group": "mail"}], [])
    assert shown["not_answered"] == ["the journals of web-1: see `gossipreg info` there"]


class BusySidecar(ClosedSidecar):
    async def ask(self, method: str, params: Mapping[str, Any], caller: object) -> object:
        if method == "journals":
            raise Busy("1024 questions wait for answers")
        return await super().ask(method, params, caller)


async def test_busy_sidecar_hides_no_groups() -> None:
    shown = json.loads((await AskedViews(cast(SidecarApi, BusySidecar()), ME).events()).data)
    assert (shown["groups"], shown["journals"]) == ([{"group": "mail"}], [])
    assert shown["not_answered"] == [
        "the journals of web-1: see `gossipreg info` there",
        "the list of the journals here, since this sidecar is busy",
    ]
