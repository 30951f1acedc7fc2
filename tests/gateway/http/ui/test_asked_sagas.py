"""The list of sagas that the page asks for: those that are open are not kept away by those that ended."""

import json
from collections.abc import Mapping
from typing import Any, cast

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
