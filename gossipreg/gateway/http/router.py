"""Finds the route of a request.

Owns the rules: a segment that is spelled out goes before one that stands for any text, and a path that is known to be
unsupported says why.
"""

from collections.abc import Iterable

from gossipreg.gateway.http.route import Refusal, Route
from gossipreg.net.http_message import HttpError, Request

WRITES = ("PUT", "POST", "DELETE", "PATCH")
"""The methods that a refusal answers on a path that has reads only."""


class Router:
    def __init__(self, routes: Iterable[Route], refusals: Iterable[Refusal]) -> None:
        self._refusals = sorted(refusals, key=lambda one: -len(one.segments))
        self._by_first: dict[tuple[str, ...], list[tuple[tuple[str, ...], int, Route]]] = {}
        """By the first two segments: all segments, how many of them are spelled out, the route."""
        for route in routes:
            alike = self._by_first.setdefault(route.segments[:2], [])
            alike.append((route.segments, route.spelled_out, route))

    def find(self, request: Request) -> tuple[Route, tuple[str, ...]]:
        """The route, and the texts of its braces. Raises HttpError: 404, 405, 501."""
        path = request.path[:-1] if len(request.path) > 1 and request.path[-1] == "" else request.path
        found = [
            (spelled_out, route, args)
            for segments, spelled_out, route in self._by_first.get(path[:2], [])
            if (args := _match(segments, path)) is not None
        ]
        # `service/register` is not the service with the id `register`.
        most = max((spelled_out for spelled_out, _, _ in found), default=0)
        routes = [(route, args) for spelled_out, route, args in found if spelled_out == most]
        for route, args in routes:
            if request.method in route.methods:
                return route, args
        for refusal in self._refusals if not routes or request.method in WRITES else ():
            if path[: len(refusal.segments)] == refusal.segments:
                raise HttpError(501, "not_here", refusal.why)
        if routes:
            allowed = ", ".join(dict.fromkeys(method for route, _ in routes for method in route.methods))
            message = f"this path does not take {request.method[:20]}: it takes {allowed}"
            raise HttpError(405, "wrong_method", message, ("Allow", allowed))
        raise HttpError(404, "no_such_path", "there is no such path: /openapi.json lists all")


def _match(segments: tuple[str, ...], path: tuple[str, ...]) -> tuple[str, ...] | None:
    args: list[str] = []
    for number, segment in enumerate(segments):
        if number >= len(path):
            return None
        if not segment.startswith("{"):
            if path[number] != segment:
                return None
        elif number == len(segments) - 1:
            args.append("/".join(path[number:]))
        else:
            args.append(path[number])
    if len(path) > len(segments) and not segments[-1].startswith("{"):
        return None
    return tuple(args) if all(args) else None
