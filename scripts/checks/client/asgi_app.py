"""A program under uvicorn that calls another service in each request, with a registry of the module.

    GET /call/billing      by `call` of `gossipreg.aio`
    GET /hedged/billing    the same, with a second attempt if the first is slow
    GET /httpx/billing     by the transport for httpx

The answer is what the instance said.
"""

import os
from typing import Any

import httpx

import gossipreg.aio
from gossipreg.client.adapters.httpx import AsyncServiceTransport
from gossipreg.client.load_middleware import LoadASGI
from scripts.checks.client.asking import DEADLINE_S, Reply, ask_async
from scripts.checks.client.stacks import tell_stacks

tell_stacks(os.environ["STACKS"])
registry = gossipreg.aio.connect(timeout=30)
client = httpx.AsyncClient(
    mounts={"all://*.service": AsyncServiceTransport(registry, deadline=DEADLINE_S)}, timeout=DEADLINE_S
)


async def serve(scope: Any, _receive: Any, send: Any) -> None:
    _, way, service = scope["path"].split("/")
    try:
        reply = await (request(service) if way == "httpx" else call(service, way == "hedged"))
    except Exception as error:  # the caller judges what may be
        reply = Reply(500, f"{type(error).__name__}: {error}")
    body = reply.text.encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def call(service: str, hedge: bool) -> Reply:
    return await registry.service(service).call(ask_async, idempotent=True, deadline=DEADLINE_S, hedge=hedge)


async def request(service: str) -> Reply:
    answer = await client.get(f"http://{service}.service/")
    return Reply(answer.status_code, answer.text)


app = LoadASGI(serve)
