"""Registrations as Consul's clients send them, and their effect inside the sidecar."""

from typing import Any

from gossipreg.model import Health
from tests.gateway.http.conftest import Served

WEB = {"Name": "web", "Port": 80}


async def register(served: Served, **more: Any) -> None:
    reply = await served.put("/v1/agent/service/register", {**WEB, **more})
    assert reply.status == 200, reply.body


def health_of(served: Served, id: str = "web") -> Health:
    return next(one.health for one in served.node.catalog.of_node(served.node.id) if one.service.id == id)


def texts(served: Served, id: str = "web") -> list[str]:
    return [said["check"] for said in served.services.report(id)]
