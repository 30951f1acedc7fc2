"""Services over HTTP belong to the user that registered them."""

import pytest

from gossipreg.callers import Caller
from tests.gateway.http.conftest import Served
from tests.gateway.http.consul import WEB, register


async def test_a_user_cannot_change_another_users_service_over_unix(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gossipreg.gateway.http import ports

    def become(uid: int) -> None:
        monkeypatch.setattr(ports, "caller_at", lambda _sock, door: Caller(uid, 5, door=door))

    become(1000)
    app = await served.local_client()
    assert (await app.put("/v1/agent/service/register", {**WEB, "Check": {"TTL": "10s"}})).status == 200
    become(1001)
    other = await served.local_client()
    for path, body in (
        ("service/register", WEB), ("service/deregister/web", None), ("check/pass/service:web", None),
        ("service/maintenance/web?enable=true", None),
        ("check/register", {"Name": "x", "ServiceID": "web", "TTL": "1s"}),
        ("check/deregister/service:web", None), ("check/update/service:web", {"Status": "passing"}),
        ("leave", None), ("maintenance?enable=true", None), ("join/10.0.0.9", None), ("force-leave/two", None),
        ("check/register", {"Name": "x", "TTL": "1s"}),
    ):  # fmt: skip
        reply = await other.put(f"/v1/agent/{path}", body)
        assert (reply.status, "not allowed for user 1001" in reply.error) == (403, True), (path, reply.body)
    assert (await app.put("/v1/agent/service/deregister/web")).status == 200
    assert served.left == []


async def test_a_service_registered_over_tcp_is_changed_over_tcp(served: Served) -> None:
    await register(served)
    assert served.services._registrar.entries["web"].owner == -1
    assert (await served.put("/v1/agent/service/deregister/web")).status == 200
    assert "via=tcp uid=null pid=null" in served.log.getvalue()
