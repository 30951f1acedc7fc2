"""Which question is where: one table, from which requests are answered and the description of all is made.

Owns the paths, the methods and what each takes. Never knows what the answers are made of.

A segment in braces stands for anything; the last one of a path for all that follows, since ids may have slashes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from gossipreg.gateway.http.client import Answer
from gossipreg.gateway.http.message import HttpError, Request

READ = ("GET", "HEAD")
WRITE = ("PUT",)
WRITES = ("PUT", "POST", "DELETE", "PATCH")
"""The methods of paths that are not supported, where only their reads are."""

Handler = Callable[..., Answer]


@dataclass(frozen=True, slots=True)
class Param:
    name: str
    text: str
    kind: str = "string"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    path: str
    summary: str
    handle: Handler = field(compare=False)
    """Called with the request and what stands for the braces."""
    methods: tuple[str, ...] = READ
    takes: tuple[Param, ...] = ()
    """A parameter of the query."""
    gives: str = "any"
    """The name of its answer's schema."""
    body: str | None = None
    blocks: bool = False
    statuses: tuple[int, ...] = ()
    """Beside 200 and 400."""
    media: str = "application/json"
    described: bool = True
    """Whether it is in the description of all paths."""

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.strip("/").split("/"))

    @property
    def spelled_out(self) -> int:
        """How many of its segments stand for themselves."""
        return sum(not segment.startswith("{") for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The paths below this one that are not supported, and the reason."""

    path: str
    why: str

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.strip("/").split("/"))


class Router:
    def __init__(self, routes: list[Route], refusals: list[Refusal]) -> None:
        self.routes = routes
        self._refusals = sorted(refusals, key=lambda one: -len(one.segments))
        self._by_first: dict[tuple[str, ...], list[Route]] = {}
        for route in routes:
            self._by_first.setdefault(route.segments[:2], []).append(route)

    def find(self, request: Request) -> tuple[Route, tuple[str, ...]]:
        """The route, and what stands for its braces. Raises HttpError: 404, 405, 501."""
        path = request.path[:-1] if len(request.path) > 1 and request.path[-1] == "" else request.path
        found = [
            (route, args)
            for route in self._by_first.get(path[:2], [])
            if (args := _match(route.segments, path)) is not None
        ]
        # What is spelled out goes before what stands for anything: `service/register` is no service of that id.
        most = max((route.spelled_out for route, _ in found), default=0)
        found = [(route, args) for route, args in found if route.spelled_out == most]
        for route, args in found:
            if request.method in route.methods:
                return route, args
        for refusal in self._refusals if not found or request.method in WRITES else ():
            if path[: len(refusal.segments)] == refusal.segments:
                raise HttpError(501, "not_here", refusal.why)
        if found:
            allowed = ", ".join(dict.fromkeys(method for route, _ in found for method in route.methods))
            message = f"{request.method[:20]} is not for this path: it takes {allowed}"
            raise HttpError(405, "wrong_method", message, ("Allow", allowed))
        raise HttpError(404, "no_such_path", "there is nothing here: /openapi.json says what there is")

    def answer(self, request: Request) -> Answer:
        """Raises HttpError."""
        route, args = self.find(request)
        return route.handle(request, *args)


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
