"""Answers the routes that read: options, form and index of an answer, and the wait for another one.

Owns Consul's rules that all reads share. Every read has an index (`blocking.py`); a read that may wait (`Route.about`)
is held until its answer changes.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio

from gossipreg.core.view import View
from gossipreg.gateway.http import ask, knowing
from gossipreg.gateway.http.blocking import ALL, Answers, Found, Question, Topic
from gossipreg.gateway.http.client import Answer
from gossipreg.gateway.http.filter import compile_filter_untrusted
from gossipreg.gateway.http.options import NO_OPTIONS, Options
from gossipreg.gateway.http.params import NEAR, PASSING, TAG
from gossipreg.gateway.http.parts import Parts
from gossipreg.gateway.http.route import About, Route
from gossipreg.gateway.http.spellings import folded
from gossipreg.model import NodeId
from gossipreg.net.http_message import Request, Response, bad_request, json_bytes, shown
from gossipreg.sidecar_api import SidecarApi

QUESTION_MAX = 2048
"""Characters of names, tags and filter in a question; thousands of questions are kept."""
META_MAX = 16
"""Tags or node-meta pairs that one question may have."""


class Reads:
    def __init__(
        self, sidecar: SidecarApi, parts: Parts, *, send: Callable[[Any, Any, Response], None],
        rng: random.Random, clock_us: Callable[[], int],
    ) -> None:  # fmt: skip
        self._sidecar = sidecar
        self._view: View = sidecar.view
        self._parts = parts
        self._rng = rng
        self.answers = Answers(
            self._render, topics, basis=lambda: self._view.knowledge, send=send, clock_us=clock_us, bug=sidecar.bug
        )  # fmt: skip

    def answer(self, route: Route, request: Request, args: tuple[str, ...]) -> Answer:
        """Raises HttpError."""
        if route.about is None:
            return self._at_once(route, request, args)
        return self._or_wait(route, route.about, request, args)

    def _or_wait(self, route: Route, about: About, request: Request, args: tuple[str, ...]) -> Answer:
        ask.check_datacenter(request, self._sidecar.cluster)
        ask.check_namespace(request)
        self._parts.agent.check_here()
        near = NEAR in route.params and ask.near(request, self._parts.agent.own_node)
        if route.choices and args[0] not in route.choices:
            raise bad_request(f"the state is {shown(args[0])}: give {', '.join(route.choices)}")
        question = Question(route, args, self._options(route, request, args))
        knowing.check_question(self._view, about, args, self._sidecar.now())
        form = Form(self._view, ask.pretty(request), near, route.missing)
        index, wait_s = ask.waited_index(request), ask.wait_s(request, self._rng)
        found = self.answers.ask(question)
        if index is None or found.index != index:
            return form(found)
        return self.answers.wait(question, form, trio.current_time() + wait_s)

    def _at_once(self, route: Route, request: Request, args: tuple[str, ...]) -> Response:
        _check_size(*args)
        ask.check_namespace(request)
        filter = _filter(route, request)
        options = Options(filter, route.filter) if filter else NO_OPTIONS
        return Form(self._view, ask.pretty(request))(self.answers.ask(Question(route, args, options)))

    def _options(self, route: Route, request: Request, args: tuple[str, ...]) -> Options:
        filter = _filter(route, request)
        tags = request.query.get("tag", []) if TAG in route.params else []
        meta = request.query.get("node-meta", [])
        if len(tags) > META_MAX or len(meta) > META_MAX:
            raise bad_request(f"too many tags or node-meta: give at most {META_MAX}")
        _check_size(filter, *args, *tags, *meta)
        passing = PASSING in route.params and ask.flag(request, "passing")
        pairs = tuple(sorted((key, value) for key, _, value in (text.partition(":") for text in meta)))
        return Options(filter, route.filter, tuple(sorted(tags)), passing, pairs)

    def _render(self, question: Question) -> Any:
        route, args, options = question
        assert route.render is not None, "only routes that render are asked here"
        if route.about is None:
            return route.render(self._parts, options, *args)
        now = self._sidecar.now()
        knowing.check_question(self._view, route.about, args, now)
        value = route.render(self._parts, options, *args)
        knowing.check_answer(self._view, route.about, value, now)
        return value


def topics(question: Question) -> tuple[Topic, ...]:
    """The changes that may change the answer; none for a read that never waits."""
    match question.route.about:
        case About.SERVICE:
            return (("name", folded(question.args[0])),)
        case About.NODE | About.CLUSTER:
            return (ALL,)
        case About.NOTHING:
            return (("nothing", ""),)
    return ()


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a response. Equal ones make equal responses, so that one is made for all reads that wait."""

    view: View
    pretty: bool = False
    near: bool = False
    missing: int = 200
    """The status of an answer that is null."""

    def __call__(self, found: Found) -> Response:
        headers = (
            ("X-Consul-Index", str(found.index)),
            *knowing.headers(self.view),
            ("X-Consul-LastContact", "0"),
            ("X-Consul-Effective-Consistency", "stale"),
        )
        value, body = found.value, found.body
        if body == b"null" and self.missing != 200:
            return Response(self.missing, b"", headers=headers)
        if self.near or self.pretty:
            if value is None:
                value = json.loads(body)
            if self.near:
                value = sorted(value, key=self._distance)
            body = json_bytes(value, pretty=self.pretty)
        return Response(200, body, headers=headers)

    def _distance(self, entry: dict[str, Any]) -> float:
        node = entry["Node"] if isinstance(entry["Node"], dict) else entry
        rtt_s = self.view.rtt_s(NodeId(bytes.fromhex(node["ID"].replace("-", "")))) if "ID" in node else None
        return float("inf") if rtt_s is None else rtt_s


def _filter(route: Route, request: Request) -> str:
    """The filter of this request; empty: none. Raises HttpError if it cannot be used."""
    filter = ask.one(request, "filter") or ""
    if filter:
        if not route.filter:
            raise bad_request("this path takes no filter: leave it out")
        compile_filter_untrusted(filter, route.filter)
    return filter


def _check_size(*texts: str) -> None:
    size = sum(map(len, texts))
    if size > QUESTION_MAX:
        raise bad_request(f"the request has {size} characters of names and filter: at most {QUESTION_MAX}")
