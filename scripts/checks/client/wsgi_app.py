"""A program under gunicorn that calls another service in each request, with a registry of the module.

    GET /call/billing        by `call`, with the standard library
    GET /requests/billing    by the adapter for requests

With `--preload` the registry is made, and used, in the parent of the workers. The answer is what the instance said.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

import requests

import gossipreg
from gossipreg.client.adapters.requests import mount_services
from gossipreg.client.load_middleware import LoadWSGI
from scripts.checks.client.asking import DEADLINE_S, Reply, ask
from scripts.checks.client.fleet import SERVICES
from scripts.checks.client.stacks import tell_stacks

tell_stacks(os.environ["STACKS"])
registry = gossipreg.connect(timeout=30)
session = requests.Session()
mount_services(session, registry, deadline=DEADLINE_S)
for _name in SERVICES:
    assert registry.service(_name).instances, f"no instance of {_name} is known"


def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    _, way, service = environ["PATH_INFO"].split("/")
    try:
        reply = call(service) if way == "call" else request(service)
    except Exception as error:  # the caller judges what may be
        reply = Reply(500, f"{type(error).__name__}: {error}")
    body = reply.text.encode()
    start_response(f"{reply.status} Answered", [("Content-Length", str(len(body)))])
    return [body]


def call(service: str) -> Reply:
    return registry.service(service).call(ask, idempotent=True, deadline=DEADLINE_S)


def request(service: str) -> Reply:
    answer = session.get(f"http://{service}.service/")
    return Reply(answer.status_code, answer.text)


app = LoadWSGI(serve)
