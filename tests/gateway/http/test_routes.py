"""The table of routes: each route is whole, and its fields alone decide what a request may do."""

import inspect
import os
import re

import pytest

from gossipreg.callers import NO_UID, Caller
from gossipreg.gateway.http.api import ROUTER
from gossipreg.gateway.http.blocking import ALL, Question
from gossipreg.gateway.http.doors import Door, Doors
from gossipreg.gateway.http.eureka.resources import Resources
from gossipreg.gateway.http.eureka.routes import TABLE
from gossipreg.gateway.http.kinds import KINDS
from gossipreg.gateway.http.openapi import SCHEMAS
from gossipreg.gateway.http.params import BLOCKING, FILTER, NEAR
from gossipreg.gateway.http.reads import topics
from gossipreg.gateway.http.refusals import REFUSALS
from gossipreg.gateway.http.route import About, Route
from gossipreg.gateway.http.routes import ROUTES, is_open_untrusted
from gossipreg.gateway.http.tokens import Tokens
from gossipreg.net.http_message import READ, Head, HttpError, Request
from gossipreg.rights import NODE_WIDE, RIGHTS, Right
from tests.gateway.http.conftest import Served

OUTSIDE = Door(unix=False, loopback=False)
STRANGER = Caller(os.geteuid() + 4242, door="http")
"""A user who is neither root nor the sidecar's own."""
ENTRIES = ("health_entries", "catalog_entries", "nodes")
"""The lists whose entries say at which node they are."""


def name_of(route: Route) -> str:
    return f"{route.methods[0]} {route.path}"


def braces(route: Route) -> list[str]:
    return re.findall(r"\{(\w+)\}", route.path)


def path_of(route: Route) -> str:
    given = {"state": "any", "node": "one", "address": "127.0.0.1:1", "id": "web-80"}
    return re.sub(r"\{(\w+)\}", lambda match: given.get(match[1], "web"), route.path)


def request_of(route: Route, method: str, caller: Caller = STRANGER) -> Request:
    return Request(method, tuple(path_of(route).strip("/").split("/")), {}, caller=caller)


every_route = pytest.mark.parametrize("route", ROUTES, ids=name_of)
every_read = pytest.mark.parametrize("route", [one for one in ROUTES if one.render], ids=name_of)


@every_route
def test_a_route_is_whole(route: Route) -> None:
    assert (route.render is None) != (route.handle is None)
    assert route.operation in RIGHTS
    assert route.gives in ("nothing", *SCHEMAS)
    assert route.body is None or (route.body in SCHEMAS and "GET" not in route.methods)
    assert (FILTER in route.params) == bool(route.filter)
    assert not route.filter or route.filter in KINDS
    assert (NEAR in route.params) <= (route.gives in ENTRIES)
    assert len({param.name for param in route.params}) == len(route.params)
    assert not route.open or set(route.methods) <= set(READ)
    assert not route.choices or len(braces(route)) == 1


@every_route
def test_only_a_read_of_the_cluster_may_wait(route: Route) -> None:
    waits = route.about is not None
    assert all((param in route.params) == waits for param in BLOCKING)
    assert not waits or (route.render is not None and route.methods == READ)
    assert route.about not in (About.SERVICE, About.NODE) or len(braces(route)) == 1


@every_route
def test_a_route_is_found_by_its_path_and_methods(route: Route) -> None:
    for method in route.methods:
        found, args = ROUTER.find(request_of(route, method))
        assert (found, len(args)) == (route, len(braces(route)))


def test_no_refusal_stands_in_the_way_of_a_route() -> None:
    paths = {route.path for route in ROUTES}
    both = {refusal.path for refusal in REFUSALS if refusal.path in paths}
    assert both == {"/v1/kv", "/v1/query"}  # their reads find nothing, their writes say why


@every_route
async def test_a_route_is_for_the_callers_that_have_its_right(served: Served, route: Route) -> None:
    whole_node = route.operation in NODE_WIDE and not braces(route)
    operators_only = RIGHTS[route.operation] is Right.OPERATE or whole_node
    assert is_refused(served, route, STRANGER) == operators_only
    assert not is_refused(served, route, Caller(NO_UID, door="tcp"))
    assert not is_refused(served, route, Caller(os.geteuid(), door="http"))


def is_refused(served: Served, route: Route, caller: Caller) -> bool:
    try:
        answer = served.http.api.answer(request_of(route, route.methods[0], caller))
    except HttpError as error:
        return error.status == 403
    if inspect.iscoroutine(answer):  # the right is checked before: nothing of the request is carried out here
        answer.close()
    return False


@every_route
def test_only_an_open_route_is_read_from_outside_without_token(route: Route) -> None:
    doors = Doors(tokens=Tokens([b"a token of good length"]), open_reads=False, is_open=is_open_untrusted)
    for method in (*route.methods, "PUT"):
        head = Head(method, path_of(route).encode(), b"1.1")
        try:
            doors.check_untrusted(OUTSIDE, head)
        except HttpError:
            assert not (route.open and method in READ)
        else:
            assert route.open
            assert method in READ


@every_read
async def test_a_filter_is_taken_if_the_route_says_so(served: Served, route: Route) -> None:
    await served.register("web", 80)
    selector = {"entry": "Node.Node", "catalog": "Node", "member": "Name", "service": "ID"}.get(route.filter, "Node")
    path = path_of(route)
    plain = await served.get(path)
    admits = await served.get(f"{path}?filter={selector}!=nothing")
    rejects = await served.get(f"{path}?filter={selector}==nothing")
    if not route.filter:
        assert admits.status == rejects.status == 400
        return
    assert (admits.status, admits.json) == (plain.status, plain.json)
    assert rejects.status == 200
    assert is_empty(rejects.json)


def is_empty(value: object) -> bool:
    """Whether a filter has left nothing of the answer; of a node, its services."""
    return not (value["Services"] if isinstance(value, dict) and "Services" in value else value)


@every_read
async def test_near_is_looked_at_if_the_route_says_so(served: Served, route: Route) -> None:
    reply = await served.get(f"{path_of(route)}?near=elsewhere")
    assert (reply.status == 400 and "near" in reply.error) == (NEAR in route.params)


@every_read
def test_a_read_waits_for_what_it_is_about(route: Route) -> None:
    awaited = topics(Question(route, ("Web",) * len(braces(route))))
    match route.about:
        case None:
            assert awaited == ()
        case About.SERVICE:
            assert awaited == (("name", "web"),)
        case About.NOTHING:
            assert awaited not in ((), (ALL,))
        case _:
            assert awaited == (ALL,)


@every_read
async def test_a_read_has_an_index_and_waits_if_its_route_says_so(served: Served, route: Route) -> None:
    await served.register("web", 80)
    path = path_of(route)
    client = await served.client()
    first = await client.get(path)
    await client.get(f"{path}?index={first.index}&wait=20ms")
    assert served.http.api.answers.woken == 0
    answer = served.http.api.answer(Request("GET", tuple(path[1:].split("/")), {"index": [str(first.index)]}))
    assert type(answer).__name__ == ("Response" if route.about is None else "Waiting")


@pytest.mark.parametrize("line", TABLE, ids=lambda line: f"{line[1][0]} {line[0]}")
def test_the_late_loaded_handler_of_a_route_is_there(line: tuple[str, tuple[str, ...], str, str, str]) -> None:
    path, _, _, name, _ = line
    taken = list(inspect.signature(getattr(Resources, name)).parameters)
    assert len(taken) == len(re.findall("{", path)) + len(["self", "request"])
